/**
 * Schemas on the Erlang wire. Public as `Etf`.
 *
 * {@link toCodecTerm} turns a schema into one whose encoded side is a `Term`, {@link toCodec} into one whose encoded side
 * is bytes; both are ordinary schemas. {@link compile} gives the fast form of the latter. What has which shape:
 *
 * | Schema | Erlang |
 * |---|---|
 * | `String`, `TemplateLiteral` | binary in UTF-8; {@link Charlist} a list of code points; {@link AtomName} an atom |
 * | `Literal("ok")`, `Enum` | atom (numeric members by name, numeric literals as numbers) |
 * | `Boolean`, `Null`, `Undefined`, `Void` | `true` / `false`, `nil`, `undefined`, `ok` |
 * | `Number`, `Int`, `BigInt` | integer when it is a safe one, else float; integer of any size |
 * | `Struct`, `Class` | map with atom keys; binary keys are read as well; unknown keys are ignored |
 * | `TaggedStruct`, `TaggedClass`, `TaggedError` | `{tag, #{...}}`, or the atom without fields; the tag in snake_case |
 * | `Record` | map with binary keys; atom keys are read as well |
 * | `Array`, `NonEmptyArray`; `Tuple` | list; tuple |
 * | `Uint8Array` | binary |
 * | `Duration`, `DateTimeUtc`, `Date` | integer milliseconds (an infinite duration is the atom `infinity`) |
 * | `Option` | the value, or the atom `undefined` |
 * | `ReadonlyMap` | map with any keys |
 * | {@link Term}, {@link Pid}, {@link Reference}, {@link Port}, {@link Atom} | themselves |
 * | `Json` | the same with binaries for texts and keys |
 * | `Unknown` | any term |
 * | other declared types | what their `toCodec` or `toCodecJson` annotation leads to |
 *
 * A schema without a form on the wire is refused when the codec is made, with an `EtfSchemaError`. A value or term that
 * does not fit is an ordinary schema error with the path and the offending term, printed as Erlang prints it. Recursive
 * schemas go 256 levels deep.
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
import * as AtomModule from "../term/Atom.ts"
import * as PidModule from "../term/Pid.ts"
import * as PortModule from "../term/Port.ts"
import * as ReferenceModule from "../term/Reference.ts"
import * as TermModule from "../term/Term.ts"
import { Decoder } from "./Decoder.ts"
import { Encoder } from "./Encoder.ts"
import type { EtfAnnotation } from "./EtfAnnotation.ts"
import { EtfDecodeError, EtfEncodeError } from "./EtfError.ts"
import { compile as compileShape, NotDirect } from "./internal/compile.ts"
import { isExpected, Mismatch, type Shape } from "./internal/Shape.ts"

export {
  /**
   * A float that JavaScript would take for an integer, as a value inside a `Term`.
   *
   * @category models
   * @since 0.1.0
   */
  Float
} from "../term/Float.ts"

// ---------------------------------------------------------------------------------------------------------------------
// Terms as schemas
// ---------------------------------------------------------------------------------------------------------------------

const declared = <A extends TermModule.Term>(
  expected: string,
  guard: (value: unknown) => value is A
): Schema.declare<A> => Schema.declare(guard, { expected, etf: { _tag: "Term", expected, guard } })

/**
 * Any term, untyped and lossless.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Term: Schema.declare<TermModule.Term> = declared("a term", TermModule.isTerm)

/**
 * Any term, untyped and lossless.
 *
 * @category models
 * @since 0.1.0
 */
export type Term = TermModule.Term

/**
 * A process identifier.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Pid: Schema.declare<PidModule.Pid> = declared("a pid", PidModule.isPid)

/**
 * A reference, which may be an alias.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Reference: Schema.declare<ReferenceModule.Reference> = declared("a reference", ReferenceModule.isReference)

/**
 * A port.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Port: Schema.declare<PortModule.Port> = declared("a port", PortModule.isPort)

/**
 * An atom, kept as an `Atom`. See {@link AtomName} for one that is a string here.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Atom: Schema.declare<AtomModule.Atom> = declared("an atom", AtomModule.isAtom)

// ---------------------------------------------------------------------------------------------------------------------
// Shapes by annotation
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A string that travels as a list of code points: what Erlang calls a string.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Charlist: Schema.String = Schema.String.annotate({ etf: { _tag: "Charlist" } })

/**
 * A string that travels as an atom, whatever its text. For a known set of atoms use `Schema.Literals`.
 *
 * Atoms are never freed on a BEAM: do not send text from users this way.
 *
 * @category schemas
 * @since 0.1.0
 */
export const AtomName: Schema.String = Schema.String.annotate({ etf: { _tag: "AtomName" } })

/**
 * A number that always travels as a float, `1` as `1.0`. Integers are read as well.
 *
 * @category schemas
 * @since 0.1.0
 */
export const FloatNumber: Schema.Finite = Schema.Finite.annotate({ etf: { _tag: "Float" } })

/**
 * A struct that travels as an Erlang record: `{name, Field1, Field2}`, fields in declared order. A missing optional field
 * is the atom `undefined`, as in a record without a default.
 *
 * @example
 * ```ts
 * import { Schema } from "effect"
 * import { Etf } from "effect-otp/etf"
 * import { Term } from "effect-otp/term"
 *
 * const User = Etf.Record("user", { name: Schema.String, age: Schema.Int })
 * Term.print(Schema.encodeSync(Etf.toCodecTerm(User))({ name: "Ada", age: 36 })) // => "{user,<<\"Ada\">>,36}"
 * ```
 *
 * @category schemas
 * @since 0.1.0
 */
export const Record = <const Fields extends Schema.Struct.Fields>(name: string, fields: Fields): Schema.Struct<Fields> =>
  Schema.Struct(fields).annotate({ etf: { _tag: "Record", name } })

/**
 * A struct that travels as a property list: `[{key, Value}]`. A bare atom is read as `{key, true}`, of several entries
 * with one key the first counts, unknown entries are ignored.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Proplist = <const Fields extends Schema.Struct.Fields>(fields: Fields): Schema.Struct<Fields> =>
  Schema.Struct(fields).annotate({ etf: { _tag: "Proplist" } })

/**
 * A struct that travels as an Elixir struct: a map with the key `__struct__`. A missing optional field is `nil`, because
 * an Elixir struct always has all of its keys; `nil` is read as missing where the field itself cannot be it.
 *
 * @example
 * ```ts
 * import { Schema } from "effect"
 * import { Etf } from "effect-otp/etf"
 *
 * const User = Etf.ElixirStruct("Elixir.Shop.User", { name: Schema.String })
 * ```
 *
 * @category schemas
 * @since 0.1.0
 */
export const ElixirStruct = <const Fields extends Schema.Struct.Fields>(
  module: string,
  fields: Fields
): Schema.Struct<Fields> => Schema.Struct(fields).annotate({ etf: { _tag: "ElixirStruct", module } })

type Annotatable = Schema.Constraint & { annotate(annotations: { readonly etf: EtfAnnotation }): unknown }

// `annotate` gives back the same schema with annotations: its declared type says so in a form that is lost here.
const annotated = <S extends Annotatable>(schema: S, etf: EtfAnnotation): S => schema.annotate({ etf }) as S

/**
 * A tagged struct or class that travels as a flat tuple, `{tag, Field1, Field2}`, and without fields as the bare atom:
 * the form of messages. `tag` is the atom, by default the tag in snake_case.
 *
 * @category combinators
 * @since 0.1.0
 */
export const asMessage = (tag?: string) => <S extends Annotatable>(schema: S): S =>
  annotated(schema, { _tag: "Message", tag })

/**
 * Literals and enum members that travel as binaries instead of atoms; a struct whose keys are binaries.
 *
 * @category combinators
 * @since 0.1.0
 */
export const asBinary = <S extends Annotatable>(schema: S): S => annotated(schema, { _tag: "Binary" })

/**
 * Another atom for a literal, or for the tag of a tagged struct or class.
 *
 * @example
 * ```ts
 * import { Schema } from "effect"
 * import { Etf } from "effect-otp/etf"
 *
 * const Verdict = Schema.Union([
 *   Schema.Literal("yes").pipe(Etf.name("true")),
 *   Schema.Literal("no").pipe(Etf.name("false"))
 * ])
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const name = (name: string) => <S extends Annotatable>(schema: S): S => annotated(schema, { _tag: "Name", name })

/**
 * A declared schema that travels as what a link leads to (`Schema.link`).
 *
 * @category combinators
 * @since 0.1.0
 */
export const link = (link: () => SchemaAST.Link) => <S extends Annotatable>(schema: S): S =>
  annotated(schema, { _tag: "Link", link })

/**
 * Another key for a field of a struct.
 *
 * @example
 * ```ts
 * import { Schema } from "effect"
 * import { Etf } from "effect-otp/etf"
 *
 * const User = Schema.Struct({ userId: Schema.Int.pipe(Etf.key("user_id")) })
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const key = (key: string) =>
<S extends Schema.Constraint & { annotateKey(annotations: { readonly etfName: string }): unknown }>(schema: S): S =>
  schema.annotateKey({ etfName: key }) as S

// ---------------------------------------------------------------------------------------------------------------------
// Codecs
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A schema of `S`'s type whose encoded side is `Encoded`.
 *
 * @category models
 * @since 0.1.0
 */
export interface EtfCodec<S extends Schema.Constraint, Encoded>
  extends Schema.Codec<S["Type"], Encoded, S["DecodingServices"], S["EncodingServices"]>
{}

const issue = (mismatch: Mismatch): SchemaIssue.Issue => {
  const leaf = new SchemaIssue.InvalidValue({ message: mismatch.message })
  return mismatch.path.length === 0 ? leaf : new SchemaIssue.Pointer(mismatch.path, leaf)
}

// A step of a transformation: a mismatch becomes an issue, anything else is a defect.
const step = <A, B>(f: (a: A) => B) => (a: A): Effect.Effect<B, SchemaIssue.Issue> => {
  try {
    return Effect.succeed(f(a))
  } catch (failure) {
    if (failure instanceof Mismatch) return Effect.fail(issue(failure))
    throw failure
  }
}

const transformation = <Encoded, Wire>(decode: (wire: Wire) => Encoded, encode: (value: Encoded) => Wire) =>
  SchemaTransformation.transformEffect<Encoded, Wire>({ decode: step(decode), encode: step(encode) })

const link_ = <S extends Schema.Constraint, Wire>(
  from: Schema.Codec<Wire>,
  schema: S,
  shape: SchemaTransformation.Transformation<unknown, Wire>
): EtfCodec<S, Wire> =>
  // The shape gives the encoded side of the schema, which the types cannot know.
  from.pipe(Schema.decodeTo(schema as Schema.Constraint, shape as never)) as unknown as EtfCodec<S, Wire>

const codecs = new WeakMap<SchemaAST.AST, EtfCodec<Schema.Constraint, TermModule.Term>>()

/**
 * A schema whose encoded side is a term.
 *
 * Throws `EtfSchemaError` when a part of the schema has no form on the wire.
 *
 * @example
 * ```ts
 * import { Schema } from "effect"
 * import { Etf } from "effect-otp/etf"
 * import { Term } from "effect-otp/term"
 *
 * class Overflow extends Schema.TaggedError<Overflow>()("Overflow", { max: Schema.Int }) {}
 *
 * const codec = Etf.toCodecTerm(Overflow)
 * Term.print(Schema.encodeSync(codec)(new Overflow({ max: 100 }))) // => "{overflow,#{max => 100}}"
 * ```
 *
 * @category converting
 * @since 0.1.0
 */
export const toCodecTerm = <S extends Schema.Constraint>(schema: S): EtfCodec<S, TermModule.Term> => {
  const known = codecs.get(schema.ast)
  // The key is the schema's AST: what was stored under it is for this type.
  if (known !== undefined) return known as unknown as EtfCodec<S, TermModule.Term>
  const shape = compileShape(schema.ast, "encoded")
  const codec = link_(Term, schema, transformation(shape.fromTerm, shape.toTerm))
  codecs.set(schema.ast, codec as unknown as EtfCodec<Schema.Constraint, TermModule.Term>)
  return codec
}

/**
 * A schema whose encoded side is bytes: a stand-alone term in the External Term Format.
 *
 * Throws `EtfSchemaError` when a part of the schema has no form on the wire. Compressed terms are not read; give
 * `Decoder` an `inflate` and use {@link toCodecTerm} where they are wanted.
 *
 * @category converting
 * @since 0.1.0
 */
export const toCodec = <S extends Schema.Constraint>(schema: S): EtfCodec<S, Uint8Array> => {
  const shape = compileShape(schema.ast, "encoded")
  return link_(Schema.Uint8Array, schema, transformation((bytes: Uint8Array) => fromBytes(shape, bytes), (value) => toBytes(shape, value)))
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
  try {
    return f(encoder)
  } finally {
    encoding--
  }
}

const withDecoder = <A>(f: (decoder: Decoder) => A): A => {
  const decoder = decoders[decoding] ??= new Decoder()
  decoding++
  try {
    return f(decoder)
  } finally {
    decoding--
  }
}

const fromBytes = (shape: Shape, bytes: Uint8Array): unknown =>
  withDecoder((decoder) => {
    const direct = readDirect(decoder, shape, bytes)
    if (direct !== failed) return direct
    const term = decoder.decode(bytes)
    if (Result.isFailure(term)) throw new Mismatch(term.failure.message)
    return shape.fromTerm(term.success)
  })

const toBytes = (shape: Shape, value: unknown): Uint8Array =>
  withEncoder((encoder) => {
    if (writeDirect(encoder, shape, value)) return encoder.take()
    const bytes = encoder.encode(shape.toTerm(value))
    if (Result.isFailure(bytes)) throw new Mismatch(bytes.failure.message)
    return bytes.success
  })

const failed: unique symbol = Symbol("failed")

// Anything out of the ordinary goes the way through terms, which knows what to say about it.
const readDirect = (decoder: Decoder, shape: Shape, bytes: Uint8Array): unknown => {
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
  try {
    writer.u8(131)
    shape.write(writer, value)
    return true
  } catch (failure) {
    if (isExpected(failure)) return false
    throw failure
  }
}

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

/**
 * Compiles a schema that needs no services and decodes synchronously.
 *
 * Throws `EtfSchemaError` when a part of the schema has no form on the wire.
 *
 * @category constructors
 * @since 0.1.0
 */
export const compile = <A, I>(schema: Schema.Codec<A, I>): Compiled<A> => {
  const codec = toCodecTerm(schema)
  const decodeTerm = Schema.decodeUnknownExit(codec)
  const encodeTerm = Schema.encodeUnknownExit(codec)
  const shape = compileDirect(schema.ast)

  const fromTerm = (term: TermModule.Term): Result.Result<A, Schema.SchemaError> => toResult(decodeTerm(term))
  const toTerm = (value: A): Result.Result<TermModule.Term, Schema.SchemaError> => toResult(encodeTerm(value))

  const writeTo = (encoder: Encoder, value: A): Result.Result<void, Schema.SchemaError> => {
    const writer = encoder.output
    const start = writer.pos
    if (shape !== undefined) {
      // Whatever goes wrong here, the other way reports it.
      try {
        shape.write(writer, value)
        return done
      } catch {
        writer.pos = start
      }
    }
    const term = toTerm(value)
    if (Result.isFailure(term)) return Result.fail(term.failure)
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
      try {
        reader.begin()
        // The shape is that of the schema's own values.
        return Result.succeed(shape.read(reader) as A)
      } catch {
        reader.pos = start
      }
    }
    let term: TermModule.Term
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

const compileDirect = (ast: SchemaAST.AST): Shape | undefined => {
  try {
    return compileShape(ast, "type")
  } catch (reason) {
    if (reason === NotDirect) return undefined
    throw reason
  }
}

const toResult = <A>(exit: Exit.Exit<A, Schema.SchemaError>): Result.Result<A, Schema.SchemaError> => {
  if (exit._tag === "Success") return Result.succeed(exit.value)
  for (const reason of exit.cause.reasons) if (reason._tag === "Fail") return Result.fail(reason.error)
  throw new Error(`Etf.compile: a schema failed in another way than with an issue: ${String(exit.cause)}`)
}

