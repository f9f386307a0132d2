/**
 * The errors of the tools for tests. Each says what was expected and what there was instead, in full, so that a failing
 * test can be read without a debugger.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Schema from "effect/Schema"

// Explicit types of the base classes: declarations must be writable file by file (`isolatedDeclarations`).
type ErrorOf<Self, Tag extends string, Fields extends Schema.Struct.Fields> = Schema.Class<
  Self,
  Schema.TaggedStruct<Tag, Fields>,
  Cause.YieldableError
>

const listed = (title: string, lines: ReadonlyArray<string>): string =>
  lines.length === 0 ? "" : `\n${title}:\n${lines.map((line) => `  ${line}`).join("\n")}`

const ProbeErrorBase: ErrorOf<ProbeError, "ProbeError", {
  readonly probe: typeof Schema.String
  readonly expected: typeof Schema.String
  readonly found: typeof Schema.String
  readonly passed: Schema.$Array<typeof Schema.String>
  readonly waiting: Schema.$Array<typeof Schema.String>
}> = Schema.TaggedError<ProbeError>()("ProbeError", {
  probe: Schema.String,
  expected: Schema.String,
  found: Schema.String,
  passed: Schema.Array(Schema.String),
  waiting: Schema.Array(Schema.String)
})

/**
 * A probe did not get what it expected. `found` is what it got instead, `passed` what `fishFor` let pass, `waiting` what
 * stands in its mailbox behind it.
 *
 * @category errors
 * @since 0.1.0
 */
export class ProbeError extends ProbeErrorBase {
  /** What was expected, and all that there was. */
  override get message(): string {
    return `probe ${this.probe} expected ${this.expected}, and ${this.found}` +
      listed("it let pass", this.passed) +
      listed("behind it in the mailbox", this.waiting)
  }
}

const JournalErrorBase: ErrorOf<JournalError, "JournalError", {
  readonly expected: typeof Schema.String
  readonly found: typeof Schema.String
  readonly journal: typeof Schema.String
}> = Schema.TaggedError<JournalError>()("JournalError", {
  expected: Schema.String,
  found: Schema.String,
  journal: Schema.String
})

/**
 * What happened is not what was expected to happen. The whole journal is in the message.
 *
 * @category errors
 * @since 0.1.0
 */
export class JournalError extends JournalErrorBase {
  /** What was expected, what there was, and everything that happened. */
  override get message(): string {
    return `expected ${this.expected}, and ${this.found}\n${this.journal}`
  }
}

const StubErrorBase: ErrorOf<StubError, "StubError", {
  readonly protocol: typeof Schema.String
  readonly message: typeof Schema.String
}> = Schema.TaggedError<StubError>()("StubError", {
  protocol: Schema.String,
  message: Schema.String
})

/**
 * A call reached a stub that has no handler for it. The caller dies with this defect; the stub goes on.
 *
 * @category errors
 * @since 0.1.0
 */
export class StubError extends StubErrorBase {}
