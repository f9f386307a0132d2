/**
 * The types of codecs.
 *
 * @since 0.1.0
 */
import type * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import type * as TermModule from "../term/Term.ts"
import type { Decoder } from "./Decoder.ts"
import type { Encoder } from "./Encoder.ts"
import type { EtfDecodeError } from "./EtfError.ts"

/**
 * A schema of `S`'s type whose encoded side is `Encoded`.
 *
 * @category models
 * @since 0.1.0
 */
export interface EtfCodec<S extends Schema.Constraint, Encoded>
  extends Schema.Codec<S["Type"], Encoded, S["DecodingServices"], S["EncodingServices"]>
{}

/**
 * The fast form of a codec, for runtimes: from bytes to finished values and back without terms between, where the schema
 * allows it, and the way of {@link toCodecTerm} where not. The results are the same.
 *
 * @category models
 * @since 0.1.0
 */
export interface Compiled<A> {
  /** Whether plain values take the direct way. */
  readonly direct: boolean
  /** A stand-alone encoding of a value. */
  readonly encode: (value: A) => Result.Result<Uint8Array, Schema.SchemaError>
  /** The value of a stand-alone encoding. */
  readonly decode: (bytes: Uint8Array) => Result.Result<A, Schema.SchemaError>
  /** The term of a value. */
  readonly toTerm: (value: A) => Result.Result<TermModule.Term, Schema.SchemaError>
  /** The value of a term. */
  readonly fromTerm: (term: TermModule.Term) => Result.Result<A, Schema.SchemaError>
  /** Appends a value to the output of an encoder, without a version byte. On failure the output is as before. */
  readonly writeTo: (encoder: Encoder, value: A) => Result.Result<void, Schema.SchemaError>
  /**
   * Reads a value from where a decoder is, without a version byte. On failure the decoder is behind the term when the
   * bytes are one, and at its start when they are not.
   */
  readonly readFrom: (decoder: Decoder) => Result.Result<A, Schema.SchemaError | EtfDecodeError>
}
