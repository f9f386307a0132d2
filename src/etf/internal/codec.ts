/**
 * How shapes become schemas and compiled codecs.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as TermModule from "../../term/Term.ts"
import type { Compiled, EtfCodec } from "../Compiled.ts"
import { Decoder } from "../Decoder.ts"
import { Encoder } from "../Encoder.ts"
import type { EtfAnnotation } from "../EtfAnnotation.ts"
import { EtfDecodeError, EtfEncodeError } from "../EtfError.ts"
import { compile as compileShape, NotDirect } from "./compile.ts"
import { isExpected, Mismatch, type Shape } from "./Shape.ts"

const anyTerm: Schema.Codec<TermModule.Term> = Schema.declare(TermModule.isTerm, { expected: "a term" })

const issue = (mismatch: Mismatch): SchemaIssue.Issue => {
  const leaf = new SchemaIssue.InvalidValue({ message: mismatch.message })
  return mismatch.path.length === 0 ? leaf : new SchemaIssue.Pointer(mismatch.path, leaf)
}

// A step of a transformation: a mismatch becomes an issue, anything else is a defect.
const step = <A, B>(f: (a: A) => B) => (a: A): Effect.Effect<B, SchemaIssue.Issue> => {
  // oxlint-disable-next-line effect-otp/no-try -- inside the codec failures are thrown: success pays nothing
  try {
    return Effect.succeed(f(a))
  } catch (failure) {
    if (failure instanceof Mismatch) return Effect.fail(issue(failure))
    throw failure
  }
}

/** The schema whose encoded side is `from`, by way of the encoded side of `schema`. */
export const codecTo = <S extends Schema.Constraint, Wire>(
  from: Schema.Codec<Wire>,
  schema: S,
  decode: (wire: Wire) => unknown,
  encode: (value: unknown) => Wire
): EtfCodec<S, Wire> => {
  const transformation = SchemaTransformation.transformEffect<unknown, Wire>({
    decode: step(decode),
    encode: step(encode)
  })
  // The shape gives the encoded side of the schema, which the types cannot know.
  return from.pipe(Schema.decodeTo(schema as Schema.Constraint, transformation as never)) as unknown as EtfCodec<
    S,
    Wire
  >
}

// One encoder and one decoder serve all calls; a transformation of a schema that codes something itself, in the middle of
// another coding, gets the next ones.
const encoders: Array<Encoder> = []
const decoders: Array<Decoder> = []
let encoding = 0
let decoding = 0

const withEncoder = <A>(f: (encoder: Encoder) => A): A => {
  const encoder = encoders[encoding] ??= new Encoder()
  encoding++
  // oxlint-disable-next-line effect-otp/no-try -- the count goes back whatever happens
  try {
    return f(encoder)
  } finally {
    encoding--
  }
}

const withDecoder = <A>(f: (decoder: Decoder) => A): A => {
  const decoder = decoders[decoding] ??= new Decoder()
  decoding++
  // oxlint-disable-next-line effect-otp/no-try -- the count goes back whatever happens
  try {
    return f(decoder)
  } finally {
    decoding--
  }
}

/** The encoded value in some bytes. Throws `Mismatch`. */
export const fromBytes = (shape: Shape, bytes: Uint8Array): unknown =>
  withDecoder((decoder) => {
    const direct = readDirect(decoder, shape, bytes)
    if (direct !== failed) return direct
    const term = decoder.decode(bytes)
    if (Result.isFailure(term)) throw new Mismatch(term.failure.message)
    return shape.fromTerm(term.success)
  })

/** The bytes of an encoded value. Throws `Mismatch`. */
export const toBytes = (shape: Shape, value: unknown): Uint8Array =>
  withEncoder((encoder) => {
    if (writeDirect(encoder, shape, value)) return encoder.take()
    const bytes = encoder.encode(shape.toTerm(value))
    if (Result.isFailure(bytes)) throw new Mismatch(bytes.failure.message)
    return bytes.success
  })

const failed: unique symbol = Symbol("failed")

// Anything out of the ordinary goes the way through terms, which knows what to say about it.
const readDirect = (decoder: Decoder, shape: Shape, bytes: Uint8Array): unknown => {
  // oxlint-disable-next-line effect-otp/no-try -- inside the codec failures are thrown: success pays nothing
  try {
    const reader = decoder.prepare(bytes)
    const value = shape.read(reader)
    return reader.pos === reader.end ? value : failed
  } catch (failure) {
    if (isExpected(failure)) return failed
    throw failure
  }
}

const writeDirect = (encoder: Encoder, shape: Shape, value: unknown): boolean => {
  encoder.begin()
  const writer = encoder.output
  // oxlint-disable-next-line effect-otp/no-try -- inside the codec failures are thrown: success pays nothing
  try {
    writer.u8(131)
    shape.write(writer, value)
    return true
  } catch (failure) {
    if (isExpected(failure)) return false
    throw failure
  }
}

/** The fast form of a codec, `outer` being an annotation that goes before those of the schema. */
export const compileCodec = <A, I>(schema: Schema.Codec<A, I>, outer: EtfAnnotation | undefined): Compiled<A> => {
  const encoded = compileShape(schema.ast, "encoded", outer)
  const codec = codecTo(anyTerm, schema, encoded.fromTerm, encoded.toTerm)
  const decodeTerm = Schema.decodeUnknownExit(codec)
  const encodeTerm = Schema.encodeUnknownExit(codec)
  const shape = compileDirect(schema.ast, outer)

  const fromTerm = (term: TermModule.Term): Result.Result<A, Schema.SchemaError> => toResult(decodeTerm(term))
  const toTerm = (value: A): Result.Result<TermModule.Term, Schema.SchemaError> => toResult(encodeTerm(value))

  const writeTo = (encoder: Encoder, value: A): Result.Result<void, Schema.SchemaError> => {
    const writer = encoder.output
    const start = writer.pos
    if (shape !== undefined) {
      // oxlint-disable-next-line effect-otp/no-try -- whatever goes wrong here, the other way reports it
      try {
        shape.write(writer, value)
        return done
      } catch {
        writer.pos = start
      }
    }
    const term = toTerm(value)
    if (Result.isFailure(term)) return Result.fail(term.failure)
    // oxlint-disable-next-line effect-otp/no-try -- inside the codec failures are thrown: success pays nothing
    try {
      encoder.writeUnsafe(term.success)
      return done
    } catch (error) {
      if (error instanceof EtfEncodeError) return Result.fail(schemaError(error.message))
      throw error
    }
  }

  const readFrom = (decoder: Decoder): Result.Result<A, Schema.SchemaError | EtfDecodeError> => {
    const reader = decoder.cursor
    const start = reader.pos
    if (shape !== undefined) {
      // oxlint-disable-next-line effect-otp/no-try -- inside the codec failures are thrown: success pays nothing
      try {
        reader.begin()
        // The shape is that of the schema's own values.
        return Result.succeed(shape.read(reader) as A)
      } catch {
        reader.pos = start
      }
    }
    let term: TermModule.Term
    // oxlint-disable-next-line effect-otp/no-try -- inside the codec failures are thrown: success pays nothing
    try {
      term = decoder.readUnsafe()
    } catch (error) {
      reader.pos = start
      if (error instanceof EtfDecodeError) return Result.fail(error)
      throw error
    }
    return fromTerm(term)
  }

  const encode = (value: A): Result.Result<Uint8Array, Schema.SchemaError> =>
    withEncoder((encoder) => {
      encoder.begin()
      encoder.output.u8(131)
      const written = writeTo(encoder, value)
      return Result.isFailure(written) ? Result.fail(written.failure) : Result.succeed(encoder.take())
    })

  const decode = (bytes: Uint8Array): Result.Result<A, Schema.SchemaError> =>
    withDecoder((decoder) => {
      if (shape !== undefined) {
        // oxlint-disable-next-line effect-otp/no-try -- inside the codec failures are thrown: success pays nothing
        try {
          const reader = decoder.prepare(bytes)
          const value = shape.read(reader)
          if (reader.pos === reader.end) return Result.succeed(value as A)
        } catch {
          // The way through terms says what is wrong.
        }
      }
      const term = decoder.decode(bytes)
      return Result.isFailure(term) ? Result.fail(schemaError(term.failure.message)) : fromTerm(term.success)
    })

  return { direct: shape !== undefined, encode, decode, toTerm, fromTerm, writeTo, readFrom }
}

const done: Result.Result<void> = Result.succeed(undefined)

const schemaError = (message: string): Schema.SchemaError =>
  new Schema.SchemaError(new SchemaIssue.InvalidValue({ message }))

const compileDirect = (ast: SchemaAST.AST, outer: EtfAnnotation | undefined): Shape | undefined => {
  // oxlint-disable-next-line effect-otp/no-try -- inside the codec failures are thrown: success pays nothing
  try {
    return compileShape(ast, "type", outer)
  } catch (reason) {
    if (reason === NotDirect) return undefined
    throw reason
  }
}

const toResult = <A>(exit: Exit.Exit<A, Schema.SchemaError>): Result.Result<A, Schema.SchemaError> => {
  if (exit._tag === "Success") return Result.succeed(exit.value)
  for (const reason of exit.cause.reasons) if (reason._tag === "Fail") return Result.fail(reason.error)
  throw new Error(`a schema failed in another way than with an issue: ${String(exit.cause)}`)
}
