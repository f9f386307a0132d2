/**
 * The errors of the term folder.
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

type InvalidTermReason = Schema.Literals<readonly ["InvalidAtom", "InvalidBits", "NotFinite", "InvalidIdentifier"]>

const InvalidTermReason: InvalidTermReason = Schema.Literals([
  "InvalidAtom",
  "InvalidBits",
  "NotFinite",
  "InvalidIdentifier"
])

const InvalidTermBase: ErrorOf<InvalidTerm, "InvalidTerm", {
  readonly reason: InvalidTermReason
  readonly detail: typeof Schema.String
}> = Schema.TaggedError<InvalidTerm>()("InvalidTerm", { reason: InvalidTermReason, detail: Schema.String })

const TermParseErrorBase: ErrorOf<TermParseError, "TermParseError", {
  readonly line: typeof Schema.Int
  readonly column: typeof Schema.Int
  readonly offset: typeof Schema.Int
  readonly detail: typeof Schema.String
}> = Schema.TaggedError<TermParseError>()("TermParseError", {
  line: Schema.Int,
  column: Schema.Int,
  offset: Schema.Int,
  detail: Schema.String
})

/**
 * A term was constructed from parts that cannot be one.
 *
 * `InvalidAtom`: text too long or not encodable. `InvalidBits`: a bit count outside 1..8, or bits without bytes.
 * `NotFinite`: NaN or an infinity, which Erlang does not have. `InvalidIdentifier`: a field out of its range.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidTerm extends InvalidTermBase {
  override get message(): string {
    return `${this.reason}: ${this.detail}`
  }
}

/**
 * A text is not an Erlang term. `line` and `column` count from 1, the column in UTF-16 units.
 *
 * @category errors
 * @since 0.1.0
 */
export class TermParseError extends TermParseErrorBase {
  override get message(): string {
    return `${this.line}:${this.column}: ${this.detail}`
  }
}
