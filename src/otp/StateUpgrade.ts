/**
 * Upgrades of state: a chain of schemas, one per version of a server, and the step from each to the next.
 *
 * A chain serves twice. It brings a stored {@link Snapshot} of any of its versions to the present one, which is how a
 * server starts from what an older program wrote. And it brings the state of a running process to the version of a newer
 * server, which is how code is changed under way (`GenServer.changeCode`).
 *
 * Guarantees: a state passes through every version between, in order; what comes in is checked against the schema of the
 * version that it claims, and what comes out against the present one; nothing is half done when a step fails. Refuses:
 * snapshots of versions that are not in the chain, and schemas that need services.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import { type ClassOf, type ErrorOf } from "./internal/SchemaClass.ts"

const TypeId = "~effect-otp/StateUpgrade"

/**
 * A state at rest: the version of the server that wrote it, and the state as JSON, by the schema of that version.
 *
 * @category models
 * @since 0.1.0
 */
export interface Snapshot {
  readonly version: number
  readonly state: Schema.Json
}

/**
 * The schema of snapshots, for those who store them.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Snapshot: Schema.Codec<Snapshot> = Schema.Struct({ version: Schema.Int, state: Schema.Json })

/**
 * A schema of states: any that needs no services.
 *
 * @category models
 * @since 0.1.0
 */
export type StateSchema = Schema.Codec<unknown, unknown>

/**
 * How states of earlier versions become states of the present one. `S` is the present state.
 *
 * @category models
 * @since 0.1.0
 */
export interface StateUpgrade<in out S> {
  readonly [TypeId]: { readonly _S: (_: S) => S }
  /** The number of the present version. */
  readonly version: number
  /** The versions that the chain knows, oldest first. */
  readonly versions: ReadonlyArray<Version>
  /**
   * The chain with one more version: its schema, and how a state of the version before becomes one of it. The step is
   * a plain function, or one that gives an Effect without services.
   */
  next<Next extends StateSchema>(
    schema: Next,
    step: (state: S) => Next["Type"] | Effect.Effect<Next["Type"], unknown>
  ): StateUpgrade<Next["Type"]>
}

/**
 * One version of a state, as the runtime sees it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Version {
  readonly version: number
  readonly schema: StateSchema
  /** From the version before; the oldest has none. */
  readonly step: ((state: never) => unknown) | undefined
}

const VersionTooNewBase: ClassOf<VersionTooNew, "VersionTooNew", {
  readonly version: typeof Schema.Number
  readonly newest: typeof Schema.Number
}> = Schema.TaggedClass<VersionTooNew>()("VersionTooNew", { version: Schema.Number, newest: Schema.Number })

/**
 * The state is of a version that this program does not know yet.
 *
 * @category reasons
 * @since 0.1.0
 */
export class VersionTooNew extends VersionTooNewBase {}

const VersionTooOldBase: ClassOf<VersionTooOld, "VersionTooOld", {
  readonly version: typeof Schema.Number
  readonly oldest: typeof Schema.Number
}> = Schema.TaggedClass<VersionTooOld>()("VersionTooOld", { version: Schema.Number, oldest: Schema.Number })

/**
 * The state is of a version that this program no longer knows.
 *
 * @category reasons
 * @since 0.1.0
 */
export class VersionTooOld extends VersionTooOldBase {}

const MalformedStateBase: ClassOf<MalformedState, "MalformedState", {
  readonly version: typeof Schema.Int
  readonly path: Schema.$Array<typeof Schema.String>
  readonly detail: typeof Schema.String
}> = Schema.TaggedClass<MalformedState>()("MalformedState", {
  version: Schema.Int,
  path: Schema.Array(Schema.String),
  detail: Schema.String
})

/**
 * The state does not fit the schema of its version. `path` leads to the first part that does not, `detail` tells of all.
 *
 * @category reasons
 * @since 0.1.0
 */
export class MalformedState extends MalformedStateBase {}

const StepFailedBase: ClassOf<StepFailed, "StepFailed", {
  readonly from: typeof Schema.Int
  readonly to: typeof Schema.Int
  readonly error: typeof Schema.Unknown
}> = Schema.TaggedClass<StepFailed>()("StepFailed", { from: Schema.Int, to: Schema.Int, error: Schema.Unknown })

/**
 * The step from one version to the next failed or threw `error`.
 *
 * @category reasons
 * @since 0.1.0
 */
export class StepFailed extends StepFailedBase {}

const NoUpgradeBase: ClassOf<NoUpgrade, "NoUpgrade", {}> = Schema.TaggedClass<NoUpgrade>()("NoUpgrade", {})

/**
 * The server has no `upgrade`, so that nothing is known of its state.
 *
 * @category reasons
 * @since 0.1.0
 */
export class NoUpgrade extends NoUpgradeBase {}

const MessagesMissingBase: ClassOf<MessagesMissing, "MessagesMissing", {
  readonly messages: Schema.$Array<typeof Schema.String>
}> = Schema.TaggedClass<MessagesMissing>()("MessagesMissing", { messages: Schema.Array(Schema.String) })

/**
 * The protocol of the new server lacks messages of the old one, which may be waiting in the mailbox.
 *
 * @category reasons
 * @since 0.1.0
 */
export class MessagesMissing extends MessagesMissingBase {}

/**
 * Why a state was not brought to the present version.
 *
 * @category reasons
 * @since 0.1.0
 */
export type UpgradeErrorReason =
  | VersionTooNew
  | VersionTooOld
  | MalformedState
  | StepFailed
  | NoUpgrade
  | MessagesMissing

const UpgradeErrorReason: Schema.Union<
  readonly [
    typeof VersionTooNew,
    typeof VersionTooOld,
    typeof MalformedState,
    typeof StepFailed,
    typeof NoUpgrade,
    typeof MessagesMissing
  ]
> = Schema.Union([VersionTooNew, VersionTooOld, MalformedState, StepFailed, NoUpgrade, MessagesMissing])

const show = (error: unknown): string => error instanceof Error ? error.message : String(error)

const explain = (reason: UpgradeErrorReason): string => {
  switch (reason._tag) {
    case "VersionTooNew":
      return `its version is ${reason.version} and the newest known here is ${reason.newest} (OTP_VERSION_TOO_NEW). ` +
        "It was written by a newer program; use that one"
    case "VersionTooOld":
      return `its version is ${reason.version} and the oldest known here is ${reason.oldest} (OTP_VERSION_TOO_OLD). ` +
        "Put the schemas and steps of earlier versions back in front of the chain"
    case "MalformedState": {
      const at = reason.path.length === 0 ? "" : ` at ${reason.path.join(".")}`
      return `it does not fit the schema of version ${reason.version}${at} (OTP_MALFORMED_STATE): ${reason.detail}`
    }
    case "StepFailed":
      return `the step from version ${reason.from} to ${reason.to} failed (OTP_UPGRADE_STEP): ${show(reason.error)}`
    case "NoUpgrade":
      return "the server says nothing about its state (OTP_NO_UPGRADE). Give it upgrade: StateUpgrade.make(schema)"
    case "MessagesMissing":
      return `the new protocol lacks ${reason.messages.join(", ")} (OTP_MESSAGES_MISSING). ` +
        "Keep the messages of the old one, as Protocol.add does"
  }
}

const UpgradeErrorBase: ErrorOf<UpgradeError, "UpgradeError", {
  readonly subject: typeof Schema.String
  readonly reason: typeof UpgradeErrorReason
}> = Schema.TaggedError<UpgradeError>()("UpgradeError", { subject: Schema.String, reason: UpgradeErrorReason })

/**
 * A state could not be written, or brought to the present version. `subject` is whose state it is.
 *
 * @category errors
 * @since 0.1.0
 */
export class UpgradeError extends UpgradeErrorBase {
  /** What happened, to whom, and what to do about it. */
  override get message(): string {
    return `the state of ${this.subject} was refused: ${explain(this.reason)}`
  }
}

const chainOf = <S>(versions: ReadonlyArray<Version>): StateUpgrade<S> => {
  const present = versions.at(-1)!
  const chain: Omit<StateUpgrade<S>, typeof TypeId> & { readonly [TypeId]: unknown } = {
    [TypeId]: TypeId,
    version: present.version,
    versions,
    next: (schema, step) => chainOf([...versions, { version: present.version + 1, schema, step }])
  }
  return chain as StateUpgrade<S> // the type id carries a type and no value
}

/**
 * The chain of a first version. Versions are numbered from 1, or from the number given here: a program that gives up its
 * oldest versions keeps the numbers of the others.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { StateUpgrade } from "effect-otp"
 *
 * const upgrade = StateUpgrade.make(Schema.Int)
 *   .next(Schema.Struct({ count: Schema.Int }), (count) => ({ count }))
 *   .next(Schema.Struct({ count: Schema.Int, step: Schema.Int }), (state) => ({ ...state, step: 1 }))
 *
 * upgrade.version // => 3
 * Effect.runSync(StateUpgrade.decode(upgrade, { version: 1, state: 7 })) // => { count: 7, step: 1 }
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <First extends StateSchema>(
  schema: First,
  options?: { readonly version?: number }
): StateUpgrade<First["Type"]> => chainOf([{ version: options?.version ?? 1, schema, step: undefined }])

const refused = (subject: string, reason: UpgradeErrorReason): UpgradeError => new UpgradeError({ subject, reason })

const allErrors = { errors: "all" } as const
const pathsOf = SchemaIssue.makeFormatterStandardSchemaV1()
const textOf = SchemaIssue.makeFormatterDefault()

const malformed = (subject: string, version: number, issue: SchemaIssue.Issue): UpgradeError =>
  refused(
    subject,
    new MalformedState({
      version,
      path: (pathsOf(issue).issues[0]?.path ?? []).map(String),
      detail: textOf(issue)
    })
  )

/** The place of a version in a chain. */
const placeOf = (
  versions: ReadonlyArray<Version>,
  version: number,
  subject: string
): Effect.Effect<number, UpgradeError> => {
  const place = versions.findIndex((known) => known.version === version)
  if (place >= 0) return Effect.succeed(place)
  const newest = versions.at(-1)!.version
  return Effect.fail(refused(
    subject,
    version > newest
      ? new VersionTooNew({ version, newest })
      : new VersionTooOld({ version, oldest: versions[0]!.version })
  ))
}

/** Takes a state of the version at a place through the steps that follow, and checks what comes out. */
const climb = (
  versions: ReadonlyArray<Version>,
  place: number,
  state: unknown,
  subject: string
): Effect.Effect<unknown, UpgradeError> => {
  const steps = versions.slice(place + 1)
  if (steps.length === 0) return Effect.succeed(state)
  const climbed = steps.reduce(
    (before: Effect.Effect<unknown, UpgradeError>, { step, version }) =>
      Effect.flatMap(before, (value) =>
        Effect.catchCause(
          Effect.suspend(() => {
            const after = step!(value as never) // the schema of the version before has been checked
            return Effect.isEffect(after) ? after as Effect.Effect<unknown, unknown> : Effect.succeed(after)
          }),
          (cause) =>
            Cause.hasInterrupts(cause) ? Effect.failCause(cause as Cause.Cause<never>) : Effect.fail(
              refused(subject, new StepFailed({ from: version - 1, to: version, error: Cause.squash(cause) }))
            )
        )),
    Effect.succeed(state)
  )
  return Effect.tap(climbed, (value) => check(versions.at(-1)!, value, subject))
}

/** Fails when a state is not one of a version. The state itself goes on: decoding could give a copy. */
const check = (version: Version, state: unknown, subject: string): Effect.Effect<void, UpgradeError> =>
  Effect.asVoid(
    Effect.mapError(
      SchemaParser.decodeUnknownEffect(Schema.toType(version.schema), allErrors)(state),
      (issue) => malformed(subject, version.version, issue)
    )
  )

/**
 * Brings a snapshot of any version of the chain to the present state. `subject` is what the error calls it.
 *
 * @category upgrading
 * @since 0.1.0
 */
export const decode = <S>(
  chain: StateUpgrade<S>,
  snapshot: Snapshot,
  subject: string = "a snapshot"
): Effect.Effect<S, UpgradeError> =>
  Effect.flatMap(placeOf(chain.versions, snapshot.version, subject), (place) => {
    const { schema, version } = chain.versions[place]!
    return Effect.flatMap(
      Effect.mapError(
        SchemaParser.decodeUnknownEffect(Schema.toCodecJson(schema), allErrors)(snapshot.state),
        (issue) => malformed(subject, version, issue)
      ),
      (state) => climb(chain.versions, place, state, subject)
    )
  }) as Effect.Effect<S, UpgradeError> // the last check is against the schema of S

/**
 * Writes a state of the present version down. Fails when it does not fit its schema, or has parts that cannot be written
 * as JSON, a pid for example.
 *
 * @category upgrading
 * @since 0.1.0
 */
export const encode = <S>(
  chain: StateUpgrade<S>,
  state: S,
  subject: string = "a server"
): Effect.Effect<Snapshot, UpgradeError> => {
  const { schema, version } = chain.versions.at(-1)!
  return Effect.mapBoth(SchemaParser.encodeUnknownEffect(Schema.toCodecJson(schema), allErrors)(state), {
    onFailure: (issue) => malformed(subject, version, issue),
    onSuccess: (state) => ({ version, state })
  })
}

/**
 * Brings a live state of an earlier version to the present one. It is not encoded, so that pids and open resources in it
 * stay what they are.
 *
 * @category upgrading
 * @since 0.1.0
 */
export const upgrade = <S>(
  chain: StateUpgrade<S>,
  version: number,
  state: unknown,
  subject: string = "a server"
): Effect.Effect<S, UpgradeError> =>
  Effect.flatMap(placeOf(chain.versions, version, subject), (place) =>
    Effect.andThen(
      check(chain.versions[place]!, state, subject),
      climb(chain.versions, place, state, subject)
    )) as Effect.Effect<S, UpgradeError> // as in `decode`
