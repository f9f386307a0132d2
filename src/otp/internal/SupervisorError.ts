/**
 * The error of a supervisor's specification.
 *
 * One class for the supervisor's options and the specifications of its children: `problem` says which rule is broken,
 * `child` where, `value` what was found.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Schema from "effect/Schema"

const problems = [
  "InvalidStrategy",
  "InvalidIntensity",
  "InvalidPeriod",
  "InvalidAutoShutdown",
  "InvalidMaxChildren",
  "InvalidResetAfter",
  "InvalidTemplate",
  "MissingId",
  "DuplicateId",
  "InvalidRestart",
  "InvalidShutdown",
  "InvalidType",
  "InvalidSignificant",
  "SignificantPermanent",
  "SignificantNever"
] as const

/**
 * The rule that is broken.
 *
 * @category errors
 * @since 0.1.0
 */
export type Problem = (typeof problems)[number]

const advice: { readonly [P in Problem]: string } = {
  InvalidStrategy: "the strategy must be one_for_one, one_for_all, rest_for_one or simple_one_for_one",
  InvalidIntensity: "the intensity must be an integer, 0 or more",
  InvalidPeriod: "the period must be a number of milliseconds greater than 0",
  InvalidAutoShutdown: "autoShutdown must be never, any_significant or all_significant",
  InvalidMaxChildren: "maxChildren must be an integer, 0 or more, and needs the strategy simple_one_for_one",
  InvalidResetAfter: "the time after which the back-off starts anew must be a number of milliseconds, 0 or more",
  InvalidTemplate: "simple_one_for_one needs exactly one child specification, the template of all its children",
  MissingId: "a child needs a non-empty string as its id",
  DuplicateId: "two children have this id; give each child its own",
  InvalidRestart: "restart must be permanent, transient or temporary",
  InvalidShutdown: "shutdown must be brutal_kill, infinity or a number of milliseconds, 0 or more",
  InvalidType: "the type must be worker or supervisor",
  InvalidSignificant: "significant must be true or false",
  SignificantPermanent:
    "a significant child may not be permanent: it would be restarted instead of ending the supervisor",
  SignificantNever: "a significant child needs autoShutdown any_significant or all_significant on its supervisor"
}

const Base: Schema.Class<
  InvalidSupervisorSpec,
  Schema.TaggedStruct<"InvalidSupervisorSpec", {
    readonly problem: Schema.Literals<typeof problems>
    readonly child: Schema.UndefinedOr<typeof Schema.String>
    readonly value: typeof Schema.Unknown
  }>,
  Cause.YieldableError
> = Schema.TaggedError<InvalidSupervisorSpec>()("InvalidSupervisorSpec", {
  problem: Schema.Literals(problems),
  child: Schema.UndefinedOr(Schema.String),
  value: Schema.Unknown
})

/**
 * A supervisor's options or a child's specification break one of OTP's rules.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidSupervisorSpec extends Base {
  override get message(): string {
    const place = this.child === undefined ? "supervisor" : `child ${JSON.stringify(this.child)}`
    return `${this.problem} in the specification of ${place}: ${advice[this.problem]}; found ${show(this.value)}`
  }
}

const show = (value: unknown): string =>
  typeof value === "string"
    ? JSON.stringify(value)
    : typeof value === "object" && value !== null
    ? "an object"
    : String(value)
