/**
 * From the AST of a schema to its shape.
 *
 * In the mode `encoded` the shape is that of the schema's encoded side: transformations, checks and classes are left to
 * the schema's own parser, which runs before or behind. This works for every schema that has a form on the wire. In the
 * mode `type` the shape takes and gives finished values: it runs plain transformations and checks itself, and
 * `NotDirect` is thrown where that would not be the whole story.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import { isValidName, make as makeAtom } from "../../term/Atom.ts"
import { isTerm, type Term } from "../../term/Term.ts"
import { print } from "../../term/TermPrinter.ts"
import type { EtfAnnotation } from "../EtfAnnotation.ts"
import { EtfSchemaError } from "../EtfError.ts"
import { fixedList, list, refine, suspend, tuple, union } from "./containers.ts"
import * as Shape from "./Shape.ts"
import { snakeCase } from "./snakeCase.ts"
import { entries, type Field, proplist, record, struct, tagged, taggedTuple } from "./structs.ts"

/** Which side of the schema the values of a shape are on. */
export type Mode = "type" | "encoded"

/** Thrown when a schema needs its own parser. */
export const NotDirect: { readonly _tag: "NotDirect" } = { _tag: "NotDirect" }

type Path = ReadonlyArray<string>

/** Nesting of a definition up to which recursive parts are compiled at once, so that mistakes show there. */
const eagerMax = 64

/**
 * The shape of a schema, `outer` being an annotation that goes before its own. Throws `EtfSchemaError`, and in the mode
 * `type` also {@link NotDirect}.
 */
export const compile = (ast: SchemaAST.AST, mode: Mode, outer: EtfAnnotation | undefined): Shape.Shape =>
  new Compiler(mode).shape(ast, [], outer)

const annotationOf = (ast: SchemaAST.AST): EtfAnnotation | undefined => SchemaAST.resolveAt<EtfAnnotation>("etf")(ast)

const unsupported = (path: Path, detail: string): EtfSchemaError => new EtfSchemaError({ path: [...path], detail })

class Compiler {
  private readonly mode: Mode
  private readonly suspended: Map<SchemaAST.Suspend, Shape.Shape>

  constructor(mode: Mode) {
    this.mode = mode
    this.suspended = new Map()
  }

  // `outer` is the annotation of a node whose encoding leads here: what is said of a class holds for its struct.
  shape(ast: SchemaAST.AST, path: Path, outer: EtfAnnotation | undefined): Shape.Shape {
    const annotation = outer ?? annotationOf(ast)
    if (annotation?._tag === "Term") {
      // The guard decides; its type is what the annotation promises.
      const shape = Shape.identity(annotation.expected, annotation.guard as (value: unknown) => value is Term)
      return this.checked(ast, shape)
    }
    if (ast.encoding !== undefined) {
      if (this.mode === "type") return this.link(ast, ast.encoding, path, annotation)
      return this.shape(ast.encoding[ast.encoding.length - 1]!.to, path, annotation)
    }
    if (this.mode === "type" && "encodingChecks" in ast && ast.encodingChecks !== undefined) throw NotDirect
    return this.checked(ast, this.node(ast, path, annotation))
  }

  // In the mode `encoded` the schema's parser runs the checks; here they only add the offending term to the message, and
  // only for leaves: what is inside a container is still encoded, and no value for its checks.
  private checked(ast: SchemaAST.AST, shape: Shape.Shape): Shape.Shape {
    if (ast.checks === undefined) return shape
    const isLeaf = ast._tag === "String" || ast._tag === "Number" || ast._tag === "BigInt"
    if (this.mode === "encoded" && !isLeaf) return shape
    const filters = flatten(ast.checks)
    const problem = (value: unknown): string | undefined => {
      for (const filter of filters) {
        const issue = filter.run(value, ast, options)
        if (issue !== undefined) {
          return format(new SchemaIssue.Filter(filter, issue, value, options))
        }
      }
      return undefined
    }
    if (this.mode === "type") return refine(shape, problem)
    return {
      ...shape,
      fromTerm: (term) => {
        const value = shape.fromTerm(term)
        const found = problem(value)
        if (found !== undefined) throw new Shape.Mismatch(`${found}, got ${print(term, { maxLength: 200 })}`)
        return value
      },
      read: (reader) => {
        const value = shape.read(reader)
        if (problem(value) !== undefined) throw Shape.GiveUp
        return value
      }
    }
  }

  private link(
    ast: SchemaAST.AST,
    encoding: SchemaAST.Encoding,
    path: Path,
    annotation: EtfAnnotation | undefined
  ): Shape.Shape {
    const { to, transformation } = encoding[0]
    if (encoding.length !== 1 || transformation._tag !== "Transformation") throw NotDirect
    const decode = plain(transformation.decode)
    const encode = plain(transformation.encode)
    const guard = guardOf(ast)
    return Shape.convert(
      this.shape(to, path, annotation),
      "a value of the schema",
      (encoded) => {
        const value = decode(encoded)
        return guard(value) ? value : undefined
      },
      (value) => guard(value) ? encode(value) : undefined
    )
  }

  private node(ast: SchemaAST.AST, path: Path, annotation: EtfAnnotation | undefined): Shape.Shape {
    switch (ast._tag) {
      case "String":
        if (annotation?._tag === "Charlist") return Shape.charlist
        if (annotation?._tag === "AtomName") return Shape.atomText
        return Shape.text
      case "TemplateLiteral":
        if (this.mode === "type") throw NotDirect
        return annotation?._tag === "Charlist" ? Shape.charlist : Shape.text
      case "Number":
        return annotation?._tag === "Float" ? Shape.float : Shape.number
      case "BigInt":
        return Shape.bigint
      case "Boolean":
        return Shape.boolean
      case "Null":
        return Shape.constants([[null, makeAtom("nil")]])
      case "Undefined":
        return Shape.constants([[undefined, makeAtom("undefined")]])
      case "Void":
        return void_
      case "Never":
        return Shape.never
      case "Unknown":
      case "Any":
        return Shape.identity("a term", isTerm)
      case "Literal":
        return this.literal(ast, path, annotation)
      case "Enum":
        return annotation?._tag === "Binary"
          ? Shape.textConstant(ast.enums.map(([name, value]) => typeof value === "string" ? value : name))
          : this.constants(ast.enums.map(([name, value]) => [value, typeof value === "string" ? value : name]), path)
      case "Arrays":
        return this.arrays(ast, path)
      case "Objects":
        return this.objects(ast, path, annotation)
      case "Union":
        return this.union(ast, path, annotation)
      case "Suspend":
        return this.suspend(ast, path)
      case "Declaration":
        return this.declaration(ast, path, annotation)
      case "Symbol":
      case "UniqueSymbol":
        throw unsupported(path, "a symbol has no form on the Erlang wire; use Schema.Literal, which is an atom")
      case "ObjectKeyword":
        throw unsupported(
          path,
          "an object of unknown shape has no form on the Erlang wire; use Schema.Struct or Etf.Term"
        )
    }
  }

  private constants(pairs: ReadonlyArray<readonly [value: unknown, name: string]>, path: Path): Shape.Shape {
    const names = new Map<string, unknown>()
    for (const [value, name] of pairs) {
      if (!isValidName(name)) {
        throw unsupported(path, `${JSON.stringify(name.slice(0, 40))} is too long for an atom; use Etf.asBinary`)
      }
      if (names.has(name) && names.get(name) !== value) {
        throw unsupported(path, `two values are the atom ${name} on the wire; annotate one with Etf.name`)
      }
      names.set(name, value)
    }
    return Shape.constants(pairs.map(([value, name]) => [value, makeAtom(name)] as const))
  }

  private literal(ast: SchemaAST.Literal, path: Path, annotation: EtfAnnotation | undefined): Shape.Shape {
    const { literal } = ast
    if (typeof literal === "number" || typeof literal === "bigint") return Shape.numberConstant(literal)
    if (typeof literal === "string" && annotation?._tag === "Binary") return Shape.textConstant([literal])
    return this.constants([[literal, constantName(ast, annotation)]], path)
  }

  private arrays(ast: SchemaAST.Arrays, path: Path): Shape.Shape {
    const at = (part: SchemaAST.AST, name: string): Shape.Shape => this.shape(part, [...path, name], undefined)
    if (ast.rest.length > 0) {
      const [item, ...tail] = ast.rest
      const head = ast.elements.map((element, i) => at(element, String(i)))
      if (ast.elements.some((element) => this.isOptional(element))) {
        throw unsupported(path, "a list whose first elements may be missing; use a tuple or a list of one shape")
      }
      const items = at(item!, "[]")
      if (head.length === 0 && tail.length === 0) return list(items)
      return fixedList(head, items, tail.map((element, i) => at(element, `-${tail.length - i}`)))
    }
    const elements = ast.elements.map((element, i) => at(element, String(i)))
    const optional = ast.elements.findIndex((element) => this.isOptional(element))
    return tuple(elements, optional < 0 ? elements.length : optional)
  }

  private isOptional(ast: SchemaAST.AST): boolean {
    const encoded = ast.encoding === undefined
      ? SchemaAST.isOptional(ast)
      : SchemaAST.isOptional(SchemaAST.toEncoded(ast))
    if (this.mode === "type" && encoded !== SchemaAST.isOptional(ast)) throw NotDirect
    return encoded
  }

  private objects(ast: SchemaAST.Objects, path: Path, annotation: EtfAnnotation | undefined): Shape.Shape {
    const fields: Array<Field> = []
    let constant: readonly [name: string, value: string] | undefined
    let tag = ""
    for (const { name, type } of ast.propertySignatures) {
      if (typeof name !== "string") {
        throw unsupported([...path, String(name)], "a key that is a symbol or a number has no form on the Erlang wire")
      }
      const literal = name === "_tag" ? tagLiteral(type) : undefined
      if (literal !== undefined && annotation?._tag !== "Proplist" && annotation?._tag !== "ElixirStruct") {
        constant = ["_tag", literal.literal as string]
        const own = annotationOf(literal)
        tag = own?._tag === "Name" ? own.name : snakeCase(constant[1])
        continue
      }
      const wire = type.context?.annotations?.["etfName"]
      const key = typeof wire === "string" ? wire : name
      if (annotation?._tag !== "Binary" && !isValidName(key)) {
        throw unsupported([...path, name], "the key is too long for an atom; use Etf.asBinary on the struct")
      }
      if (fields.some((field) => field.wire === key)) {
        throw unsupported([...path, name], `two fields have the key ${key} on the wire`)
      }
      fields.push({
        name,
        wire: key,
        optional: this.isOptional(type),
        shape: this.shape(type, [...path, name], undefined)
      })
    }
    const rest = this.rest(ast, path)
    if (annotation?._tag === "Name") tag = annotation.name
    if (annotation?._tag === "Message" && annotation.tag !== undefined) tag = annotation.tag
    if (rest !== undefined && annotation !== undefined && annotation._tag !== "Binary") {
      throw unsupported(path, `a struct with keys of any name cannot be a ${annotation._tag}`)
    }
    for (const name of [tag, ...(annotation?._tag === "Record" ? [annotation.name] : [])]) {
      if (!isValidName(name)) throw unsupported(path, "the tag is too long for an atom; use Etf.name")
    }
    switch (annotation?._tag) {
      case "Record":
        return taggedTuple(annotation.name, fields, { bare: annotation.bare === true, constant })
      case "Message":
        if (constant === undefined) throw unsupported(path, "a message needs a tag: use Schema.TaggedStruct")
        return taggedTuple(tag, fields, { bare: true, constant })
      case "Proplist":
        return proplist(fields)
      case "ElixirStruct":
        return struct(fields, { keys: "atom", module: annotation.module })
    }
    if (rest !== undefined && fields.length === 0 && constant === undefined) return record(rest.key, rest.value)
    const body = struct(fields, { keys: annotation?._tag === "Binary" ? "binary" : "atom", rest })
    if (constant === undefined) return body
    if (fields.length === 0 && rest === undefined) return taggedTuple(tag, [], { bare: true, constant })
    return tagged(tag, constant, body)
  }

  private rest(
    ast: SchemaAST.Objects,
    path: Path
  ): { readonly key: Shape.Shape; readonly value: Shape.Shape } | undefined {
    if (ast.indexSignatures.length === 0) return undefined
    if (ast.indexSignatures.length > 1) {
      throw unsupported(path, "more than one kind of keys; use Schema.Record with one")
    }
    if (this.mode === "type" && ast.propertySignatures.length > 0) throw NotDirect
    const { parameter, type } = ast.indexSignatures[0]!
    const encoded = parameter.encoding === undefined ? parameter : SchemaAST.toEncoded(parameter)
    if (
      this.mode === "type" && (encoded !== parameter || parameter._tag !== "String" || parameter.checks !== undefined)
    ) {
      throw NotDirect
    }
    if (encoded._tag === "Symbol") throw unsupported(path, "keys that are symbols have no form on the Erlang wire")
    return {
      key: encoded._tag === "Number" ? numberKey : Shape.text,
      value: this.shape(type, [...path, "{}"], undefined)
    }
  }

  private union(ast: SchemaAST.Union, path: Path, annotation: EtfAnnotation | undefined): Shape.Shape {
    if (this.mode === "type" && ast.options?.mode === "oneOf") throw NotDirect
    if (
      annotation?._tag === "Binary" &&
      ast.types.every((type) => type._tag === "Literal" && typeof type.literal === "string")
    ) {
      return Shape.textConstant(ast.types.map((type) => String((type as SchemaAST.Literal).literal)))
    }
    // Neighbours that are single atoms are looked up together.
    const members: Array<Shape.Shape> = []
    let atoms: Array<readonly [unknown, string]> = []
    const allNames = new Map<string, unknown>()
    const flush = (): void => {
      if (atoms.length > 0) members.push(this.constants(atoms, path))
      atoms = []
    }
    for (const [i, type] of ast.types.entries()) {
      const constant = this.atomOf(type)
      if (constant === undefined) {
        flush()
        members.push(this.shape(type, [...path, `|${i}`], undefined))
      } else {
        const [value, name] = constant
        if (allNames.has(name) && allNames.get(name) !== value) {
          throw unsupported(path, `two members are the atom ${name} on the wire; annotate one with Etf.name`)
        }
        allNames.set(name, value)
        atoms.push(constant)
      }
    }
    flush()
    return members.length === 1 ? members[0]! : union(members)
  }

  private atomOf(ast: SchemaAST.AST): readonly [value: unknown, name: string] | undefined {
    if (ast.encoding !== undefined || ast.checks !== undefined) return undefined
    if (ast._tag === "Null") return [null, "nil"]
    if (ast._tag === "Undefined") return [undefined, "undefined"]
    if (ast._tag !== "Literal") return undefined
    const annotation = annotationOf(ast)
    if (annotation?._tag === "Binary" || typeof ast.literal === "number" || typeof ast.literal === "bigint") {
      return undefined
    }
    return [ast.literal, constantName(ast, annotation)]
  }

  private suspend(ast: SchemaAST.Suspend, path: Path): Shape.Shape {
    const known = this.suspended.get(ast)
    if (known !== undefined) return known
    let resolved: Shape.Shape | undefined
    const resolve = (): Shape.Shape => resolved ??= this.shape(ast.thunk(), path, undefined)
    const shape = suspend(resolve)
    this.suspended.set(ast, shape)
    if (path.length < eagerMax) resolve()
    return shape
  }

  private declaration(
    ast: SchemaAST.Declaration,
    path: Path,
    annotation: EtfAnnotation | undefined
  ): Shape.Shape {
    if (annotation?._tag === "Link") return this.viaLink(ast, annotation.link(), path, annotation)
    switch (representationId(ast)) {
      case "effect/schema/Uint8Array":
        return Shape.bytes
      case "effect/schema/Duration":
        return duration
      case "effect/schema/DateTimeUtc":
        return dateTime
      case "effect/schema/Date":
        return date
      case "effect/schema/Json":
      case "effect/schema/MutableJson":
        return json
      case "effect/schema/Option":
        return this.option(ast, path)
      case "effect/schema/ReadonlyMap": {
        const [key, value] = ast.typeParameters.map((parameter, i) =>
          this.shape(parameter, [...path, `<${i}>`], undefined)
        )
        return Shape.convert(
          entries(key!, value!),
          "a map",
          (pairs) => new Map(pairs as ReadonlyArray<readonly [unknown, unknown]>),
          (map) => map instanceof Map ? [...map] : undefined
        )
      }
    }
    if (this.mode === "type" && ast.typeParameters.length > 0) throw NotDirect
    const annotations = ast.annotations
    const parameters = ast.typeParameters.map((parameter) => Schema.make(SchemaAST.toEncoded(parameter)))
    for (const hook of [annotations?.["toCodec"], annotations?.["toCodecJson"]]) {
      if (typeof hook === "function") {
        const link: SchemaAST.Link | undefined = hook(parameters)
        if (link !== undefined) return this.viaLink(ast, link, path, annotation)
      }
    }
    const name = SchemaAST.resolveIdentifier(ast) ?? annotations?.["expected"] ?? "a declared schema"
    throw unsupported(
      path,
      `${name} has no form on the Erlang wire; annotate it with \`etf\` (Etf.link), or with \`toCodec\` as for JSON`
    )
  }

  private option(ast: SchemaAST.Declaration, path: Path): Shape.Shape {
    const inner = this.shape(ast.typeParameters[0]!, [...path, "<0>"], undefined)
    if (inner.takesUndefined) {
      throw unsupported(path, "an Option of what may be the atom undefined itself: none and some would look the same")
    }
    const none = makeAtom("undefined")
    const isNone = Shape.constants([[undefined, none]])
    const expected = `${inner.expected} or the atom undefined`
    return Shape.make({
      expected,
      toTerm: (value) => {
        if (!Option.isOption(value)) throw Shape.unexpectedValue(expected, value)
        return Option.isNone(value) ? none : inner.toTerm(value.value)
      },
      fromTerm: (term) => isNone.mayBe(term) ? Option.none() : Option.some(inner.fromTerm(term)),
      write: (writer, value) => {
        if (!Option.isOption(value)) throw Shape.GiveUp
        if (Option.isNone(value)) writer.atom("undefined")
        else inner.write(writer, value.value)
      },
      read: (reader) => {
        if (!isNone.mayRead(reader)) return Option.some(inner.read(reader))
        reader.atom()
        return Option.none()
      },
      mayBe: (term) => isNone.mayBe(term) || inner.mayBe(term),
      mayRead: (reader) => isNone.mayRead(reader) || inner.mayRead(reader),
      takesUndefined: true
    })
  }

  // A declaration as what a link leads to: the schema's parser makes the step, the shape of the target the rest.
  private viaLink(
    ast: SchemaAST.Declaration,
    link: SchemaAST.Link,
    path: Path,
    annotation: EtfAnnotation | undefined
  ): Shape.Shape {
    const target = new Compiler("encoded").shape(link.to, path, annotation?._tag === "Link" ? undefined : annotation)
    if (link.transformation._tag !== "Transformation") {
      throw unsupported(path, "a link with a middleware cannot be followed; use a transformation")
    }
    const schema = Schema.make<Schema.Codec<unknown, unknown>>(SchemaAST.decodeTo(link.to, ast, link.transformation))
    const decode = SchemaParser.decodeUnknownExit(schema)
    const encode = SchemaParser.encodeUnknownExit(schema)
    return Shape.convert(
      target,
      target.expected,
      (encoded) => {
        const exit = decode(encoded)
        return exit._tag === "Success" ? exit.value : undefined
      },
      (value) => {
        const exit = encode(value)
        return exit._tag === "Success" ? exit.value : undefined
      }
    )
  }
}

const options: SchemaAST.ParseOptions = {}

const format = SchemaIssue.makeFormatterDefault()

const flatten = (checks: ReadonlyArray<SchemaAST.Check<unknown>>): ReadonlyArray<SchemaAST.Filter<unknown>> =>
  checks.flatMap((check) => check._tag === "Filter" ? [check] : flatten(check.checks))

// A getter that is a plain function. Whether one runs alone is decided here, not when a value comes.
const plain = (getter: unknown): (value: unknown) => unknown => {
  const { _tag, transform } = getter as { readonly _tag: string; readonly transform?: (value: unknown) => unknown }
  if (_tag === "Passthrough") return (value) => value
  if (_tag === "Transform" && transform !== undefined) return transform
  throw NotDirect
}

// Whether a finished value is one of the node, without its encoding.
const guardOf = (ast: SchemaAST.AST): (value: unknown) => boolean => {
  const filters = flatten(ast.checks ?? [])
  const passes = (value: unknown): boolean => {
    for (const filter of filters) if (filter.run(value, ast, options) !== undefined) return false
    return true
  }
  switch (ast._tag) {
    case "String":
    case "Number":
    case "Boolean":
    case "BigInt": {
      const type = ast._tag.toLowerCase()
      return (value) => typeof value === type && passes(value)
    }
    case "Declaration":
      return SchemaParser.is(Schema.make(SchemaAST.toType(ast)))
    default:
      throw NotDirect
  }
}

const constantName = (ast: SchemaAST.Literal, annotation: EtfAnnotation | undefined): string =>
  annotation?._tag === "Name" ? annotation.name : String(ast.literal)

const tagLiteral = (ast: SchemaAST.AST): SchemaAST.Literal | undefined => {
  const encoded = ast.encoding === undefined ? ast : ast.encoding[ast.encoding.length - 1]!.to
  return encoded._tag === "Literal" && typeof encoded.literal === "string" && !SchemaAST.isOptional(encoded)
    ? encoded
    : undefined
}

const representationId = (ast: SchemaAST.Declaration): string | undefined => {
  const representation = ast.annotations?.["representation"] as { readonly id?: unknown } | undefined
  return typeof representation?.id === "string" ? representation.id : undefined
}

const okAtom = makeAtom("ok")

const void_: Shape.Shape = Shape.make({
  ...Shape.constants([[undefined, okAtom]]),
  toTerm: () => okAtom,
  write: (writer) => writer.atom("ok")
})

const numberKey: Shape.Shape = Shape.convert(
  Shape.number,
  "a number as key",
  (value) => String(value),
  (name) => typeof name === "string" && name.trim() !== "" ? Number(name) : undefined
)

// What JSON text would hold: texts as binaries, objects with binaries as keys.
const json: Shape.Shape = suspend(() => jsonValue)

const jsonValue: Shape.Shape = union([
  Shape.constants([[null, makeAtom("nil")], [true, makeAtom("true")], [false, makeAtom("false")]]),
  Shape.number,
  Shape.text,
  list(json),
  record(Shape.text, json)
])

const infinity = makeAtom("infinity")

const duration: Shape.Shape = union([
  Shape.convert(
    Shape.constants([[Infinity, infinity]]),
    "the atom infinity",
    () => Duration.infinity,
    (value) => Duration.isDuration(value) && !Duration.isFinite(value) ? Infinity : undefined
  ),
  Shape.convert(
    Shape.number,
    "an integer of milliseconds",
    (value) => Number.isInteger(value) ? Duration.millis(value as number) : undefined,
    (value) => Duration.isDuration(value) && Duration.isFinite(value) ? Math.round(Duration.toMillis(value)) : undefined
  )
])

const dateTime: Shape.Shape = Shape.convert(
  Shape.number,
  "an integer of milliseconds since 1970",
  (value) => Number.isInteger(value) ? Option.getOrUndefined(DateTime.make(value as number)) : undefined,
  (value) => DateTime.isDateTime(value) ? DateTime.toEpochMillis(value) : undefined
)

const date: Shape.Shape = Shape.convert(
  Shape.number,
  "an integer of milliseconds since 1970",
  (value) => {
    const found = new Date(value as number)
    return Number.isInteger(value) && !Number.isNaN(found.getTime()) ? found : undefined
  },
  (value) => value instanceof Date && !Number.isNaN(value.getTime()) ? value.getTime() : undefined
)
