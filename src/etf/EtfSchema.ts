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
import * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import * as AtomModule from "../term/Atom.ts"
import * as PidModule from "../term/Pid.ts"
import * as PortModule from "../term/Port.ts"
import * as ReferenceModule from "../term/Reference.ts"
import * as TermModule from "../term/Term.ts"
import type { Compiled, EtfCodec } from "./Compiled.ts"
import type { EtfAnnotation } from "./EtfAnnotation.ts"
import { codecTo, compileCodec, fromBytes, toBytes } from "./internal/codec.ts"
import { compile as compileShape } from "./internal/compile.ts"

export type {
  /**
   * The fast form of a codec. See `Compiled`.
   *
   * @category models
   * @since 0.1.0
   */
  Compiled,
  /**
   * A schema with another encoded side. See `Compiled`.
   *
   * @category models
   * @since 0.1.0
   */
  EtfCodec
} from "./Compiled.ts"

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
export const Record = <const Fields extends Schema.Struct.Fields>(
  name: string,
  fields: Fields
): Schema.Struct<Fields> => Schema.Struct(fields).annotate({ etf: { _tag: "Record", name } })

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

/**
 * A schema that can be annotated.
 *
 * @category models
 * @since 0.1.0
 */
export interface Annotatable extends Schema.Constraint {
  readonly Rebuild: Schema.Constraint
  annotate(annotations: { readonly etf: EtfAnnotation }): unknown
}

// `annotate` gives what `Rebuild` says; the bound above cannot say so for every schema at once.
const annotated = <S extends Annotatable>(schema: S, etf: EtfAnnotation): S["Rebuild"] =>
  schema.annotate({ etf }) as S["Rebuild"]

/**
 * A tagged struct or class that travels as a flat tuple, `{tag, Field1, Field2}`, and without fields as the bare atom:
 * the form of messages. `tag` is the atom, by default the tag in snake_case.
 *
 * A class stays a class when the annotation is given where it is declared, as its last argument: `{ etf: { _tag: "Message" } }`;
 * through this function it becomes a schema of its instances.
 *
 * @category combinators
 * @since 0.1.0
 */
export const asMessage = (tag?: string) => <S extends Annotatable>(schema: S): S["Rebuild"] =>
  annotated(schema, { _tag: "Message", tag })

/**
 * Literals and enum members that travel as binaries instead of atoms; a struct whose keys are binaries.
 *
 * @category combinators
 * @since 0.1.0
 */
export const asBinary = <S extends Annotatable>(schema: S): S["Rebuild"] => annotated(schema, { _tag: "Binary" })

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
export const name = (name: string) => <S extends Annotatable>(schema: S): S["Rebuild"] =>
  annotated(schema, { _tag: "Name", name })

/**
 * A declared schema that travels as what a link leads to (`Schema.link`).
 *
 * @category combinators
 * @since 0.1.0
 */
export const link = (link: () => SchemaAST.Link) => <S extends Annotatable>(schema: S): S["Rebuild"] =>
  annotated(schema, { _tag: "Link", link })

/**
 * A schema whose key can be annotated.
 *
 * @category models
 * @since 0.1.0
 */
export interface KeyAnnotatable extends Schema.Constraint {
  readonly Rebuild: Schema.Constraint
  annotateKey(annotations: { readonly etfName: string }): unknown
}

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
export const key = (key: string) => <S extends KeyAnnotatable>(schema: S): S["Rebuild"] =>
  schema.annotateKey({ etfName: key }) as S["Rebuild"]

// ---------------------------------------------------------------------------------------------------------------------
// Codecs
// ---------------------------------------------------------------------------------------------------------------------

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
  const shape = compileShape(schema.ast, "encoded", undefined)
  return codecTo(Term, schema, shape.fromTerm, shape.toTerm)
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
  const shape = compileShape(schema.ast, "encoded", undefined)
  return codecTo(
    Schema.Uint8Array,
    schema,
    (bytes: Uint8Array) => fromBytes(shape, bytes),
    (value) => toBytes(shape, value)
  )
}

/**
 * Compiles a schema that needs no services and decodes synchronously.
 *
 * Throws `EtfSchemaError` when a part of the schema has no form on the wire.
 *
 * @category constructors
 * @since 0.1.0
 */
export const compile = <A, I>(schema: Schema.Codec<A, I>): Compiled<A> => compileCodec(schema, undefined)
