/**
 * The errors of the codec.
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

/**
 * Why bytes were refused.
 *
 * `Truncated`: a length or count goes past the end. `TrailingBytes`: something follows the term. `Version`: the first
 * byte is not 131. `UnknownTag`, `UnsupportedTag`: no such tag, or one that has no place here. `InvalidAtom`,
 * `InvalidFloat`, `InvalidBits`, `InvalidIdentifier`, `InvalidFun`: malformed content. `DuplicateKey`: a map has a
 * key twice. `AtomCache`: a reference to the atom cache that the header does not have. `Compressed`: corrupt, of the
 * wrong size, nested or not allowed. `Limit`: one of `DecodeLimits`.
 *
 * @category models
 * @since 0.1.0
 */
export const DecodeReason: Schema.Literals<
  readonly [
    "Truncated",
    "TrailingBytes",
    "Version",
    "UnknownTag",
    "UnsupportedTag",
    "InvalidAtom",
    "InvalidFloat",
    "InvalidBits",
    "InvalidIdentifier",
    "InvalidFun",
    "DuplicateKey",
    "AtomCache",
    "Compressed",
    "Limit"
  ]
> = Schema.Literals([
  "Truncated",
  "TrailingBytes",
  "Version",
  "UnknownTag",
  "UnsupportedTag",
  "InvalidAtom",
  "InvalidFloat",
  "InvalidBits",
  "InvalidIdentifier",
  "InvalidFun",
  "DuplicateKey",
  "AtomCache",
  "Compressed",
  "Limit"
])

/**
 * Why bytes were refused.
 *
 * @category models
 * @since 0.1.0
 */
export type DecodeReason = typeof DecodeReason.Type

const EtfDecodeErrorBase: ErrorOf<EtfDecodeError, "EtfDecodeError", {
  readonly reason: typeof DecodeReason
  readonly offset: typeof Schema.Int
  readonly path: Schema.$Array<typeof Schema.String>
  readonly detail: typeof Schema.String
}> = Schema.TaggedError<EtfDecodeError>()("EtfDecodeError", {
  reason: DecodeReason,
  offset: Schema.Int,
  path: Schema.Array(Schema.String),
  detail: Schema.String
})

/**
 * Bytes are not a term, or one past a limit.
 *
 * `offset` is the position in the input where it was noticed (inside the inflated bytes for a compressed term).
 * `path` leads to the place: `[0]` is a list's first element, `{1}` a tuple's first, `|` a tail, `#{key}` the value of a
 * key, `#key(0)` the first key itself, `fun(0)` a captured variable; at most 64 steps are kept, the outermost ones, and none
 * when the place is more than 1 MiB into the input.
 *
 * @category errors
 * @since 0.1.0
 */
export class EtfDecodeError extends EtfDecodeErrorBase {
  override get message(): string {
    return `${this.reason} at byte ${this.offset}${
      this.path.length > 0 ? `, ${this.path.join("")}` : ""
    }: ${this.detail}`
  }
}

/**
 * Why a value could not be written.
 *
 * `NotATerm`: no Erlang value (a string, null, an unknown class). `NotFinite`: NaN or an infinity. `InvalidAtom`,
 * `InvalidIdentifier`, `InvalidFun`: a part out of its range. `Limit`: deeper or larger than the encoder allows.
 *
 * @category models
 * @since 0.1.0
 */
export const EncodeReason: Schema.Literals<
  readonly [
    "NotATerm",
    "NotFinite",
    "InvalidAtom",
    "InvalidIdentifier",
    "InvalidFun",
    "Limit"
  ]
> = Schema.Literals(["NotATerm", "NotFinite", "InvalidAtom", "InvalidIdentifier", "InvalidFun", "Limit"])

/**
 * Why a value could not be written.
 *
 * @category models
 * @since 0.1.0
 */
export type EncodeReason = typeof EncodeReason.Type

const EtfEncodeErrorBase: ErrorOf<EtfEncodeError, "EtfEncodeError", {
  readonly reason: typeof EncodeReason
  readonly path: Schema.$Array<typeof Schema.String>
  readonly detail: typeof Schema.String
}> = Schema.TaggedError<EtfEncodeError>()("EtfEncodeError", {
  reason: EncodeReason,
  path: Schema.Array(Schema.String),
  detail: Schema.String
})

/**
 * A value cannot be written as a term. `path` is as in `EtfDecodeError`.
 *
 * @category errors
 * @since 0.1.0
 */
export class EtfEncodeError extends EtfEncodeErrorBase {
  override get message(): string {
    return `${this.reason}${this.path.length > 0 ? ` at ${this.path.join("")}` : ""}: ${this.detail}`
  }
}

const EtfSchemaErrorBase: ErrorOf<EtfSchemaError, "EtfSchemaError", {
  readonly path: Schema.$Array<typeof Schema.String>
  readonly detail: typeof Schema.String
}> = Schema.TaggedError<EtfSchemaError>()("EtfSchemaError", {
  path: Schema.Array(Schema.String),
  detail: Schema.String
})

/**
 * A schema has no form on the Erlang wire. Thrown where the codec is defined, not when the first value is coded.
 *
 * `path` leads to the part of the schema, `detail` says what to use instead.
 *
 * @category errors
 * @since 0.1.0
 */
export class EtfSchemaError extends EtfSchemaErrorBase {
  override get message(): string {
    return `${this.path.length > 0 ? `${this.path.join(".")}: ` : ""}${this.detail}`
  }
}
