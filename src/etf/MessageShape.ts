/**
 * Messages and replies as Erlang programmers write them.
 *
 * A message `Add { n }` is `{add, N}`: the tag in snake_case, then the fields in declared order; one without fields is
 * the atom. A payload that is no struct is the second element: `{add, Payload}`. A missing optional field is the atom
 * `undefined`. What arrives is found by atom and arity, not by trying one message after the other.
 *
 * A reply is the value, `ok` for `Schema.Void`; when the call can fail it is `{ok, Value}` (or `ok`) or `{error, Reason}`.
 *
 * The module knows nothing of processes: protocols are built on it.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as SchemaIssue from "effect/SchemaIssue"
import { Atom, isValidName, make as makeAtom } from "../term/Atom.ts"
import type { Term } from "../term/Term.ts"
import { print } from "../term/TermPrinter.ts"
import { Tuple } from "../term/Tuple.ts"
import type { Compiled } from "./Compiled.ts"
import type { Decoder } from "./Decoder.ts"
import type { Encoder } from "./Encoder.ts"
import { type EtfDecodeError, EtfSchemaError } from "./EtfError.ts"
import { compileCodec } from "./internal/codec.ts"
import { DecodeFailure } from "./internal/Cursor.ts"
import { peekAtom } from "./internal/Shape.ts"
import { snakeCase } from "./internal/snakeCase.ts"

/**
 * One message: its tag, the schema of its payload, and the atom on the wire where that is not the tag in snake_case.
 *
 * @category models
 * @since 0.1.0
 */
export interface Definition {
  readonly tag: string
  /** Default `Schema.Void`: no payload. */
  readonly payload?: Schema.Codec<unknown, unknown> | undefined
  readonly name?: string | undefined
}

/**
 * What a term turned out to be: one of the messages (`index` is its position in the definitions), none of them, or one
 * whose fields do not fit.
 *
 * @category models
 * @since 0.1.0
 */
export type Decoded =
  | { readonly _tag: "Message"; readonly index: number; readonly tag: string; readonly payload: unknown }
  | { readonly _tag: "Unknown"; readonly term: Term }
  | { readonly _tag: "Malformed"; readonly index: number; readonly tag: string; readonly error: Schema.SchemaError }

/**
 * A set of messages. `index` is the position of a message in the definitions.
 *
 * @category models
 * @since 0.1.0
 */
export interface MessageShape {
  /** The atom and the arity of each message; arity 0 is the bare atom. */
  readonly heads: ReadonlyArray<{ readonly name: string; readonly arity: number }>
  /** The term of a message. */
  readonly toTerm: (index: number, payload: unknown) => Result.Result<Term, Schema.SchemaError>
  /** What a term is. */
  readonly fromTerm: (term: Term) => Decoded
  /** Appends a message to the output of an encoder, without a version byte. On failure the output is as before. */
  readonly writeTo: (encoder: Encoder, index: number, payload: unknown) => Result.Result<void, Schema.SchemaError>
  /** Reads the term a decoder is at, which is behind it afterwards. Fails only when there is no term. */
  readonly readFrom: (decoder: Decoder) => Result.Result<Decoded, EtfDecodeError>
}

interface Entry {
  readonly index: number
  readonly tag: string
  readonly atom: Atom
  readonly arity: number
  /** Undefined when there is no payload. */
  readonly codec: Compiled<unknown> | undefined
  /** Whether the codec makes the whole message, or only the second element. */
  readonly whole: boolean
}

const encodedNode = (ast: SchemaAST.AST): SchemaAST.AST =>
  ast.encoding === undefined ? ast : encodedNode(ast.encoding[ast.encoding.length - 1]!.to)

const entryOf = (definition: Definition, index: number): Entry => {
  const { tag } = definition
  const name = definition.name ?? snakeCase(tag)
  if (!isValidName(name)) {
    throw new EtfSchemaError({ path: [tag], detail: "the tag is too long for an atom; give a name" })
  }
  const atom = makeAtom(name)
  const { payload } = definition
  if (payload === undefined || SchemaAST.isVoid(payload.ast) || SchemaAST.isUndefined(payload.ast)) {
    return { index, tag, atom, arity: 0, codec: undefined, whole: false }
  }
  const node = encodedNode(payload.ast)
  const isStruct = SchemaAST.isObjects(node) && node.indexSignatures.length === 0 &&
    node.propertySignatures.every((property) => property.name !== "_tag") &&
    SchemaAST.resolveAt("etf")(payload.ast) === undefined
  if (!isStruct) return { index, tag, atom, arity: 2, codec: named(tag, payload, undefined), whole: false }
  const count = node.propertySignatures.length
  return {
    index,
    tag,
    atom,
    arity: count === 0 ? 0 : count + 1,
    codec: named(tag, payload, { _tag: "Record", name, bare: true }),
    whole: true
  }
}

// A schema that cannot travel is reported under the message's tag.
const named = (tag: string, ...args: Parameters<typeof compileCodec>): Compiled<unknown> => {
  // oxlint-disable-next-line effect-otp/no-try -- inside the codec failures are thrown: success pays nothing
  try {
    return compileCodec(...args)
  } catch (error) {
    if (error instanceof EtfSchemaError) throw new EtfSchemaError({ path: [tag, ...error.path], detail: error.detail })
    throw error
  }
}

/**
 * The shapes of a set of messages.
 *
 * Throws `EtfSchemaError` when a payload has no form on the wire, or when two messages would look the same: one atom and
 * one arity.
 *
 * @example
 * ```ts
 * import { Result, Schema } from "effect"
 * import { MessageShape } from "effect-otp/etf"
 * import { Term } from "effect-otp/term"
 *
 * const shape = MessageShape.make([
 *   { tag: "Add", payload: Schema.Struct({ n: Schema.Int }) },
 *   { tag: "Reset" }
 * ])
 * Term.print(Result.getOrThrow(shape.toTerm(0, { n: 2 }))) // => "{add,2}"
 * shape.fromTerm(Term.parseUnsafe("reset")) // => { _tag: "Message", index: 1, tag: "Reset", payload: undefined }
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (definitions: ReadonlyArray<Definition>): MessageShape => {
  const entries = definitions.map(entryOf)
  // By atom, then by arity.
  const heads = new Map<string, Map<number, Entry>>()
  for (const entry of entries) {
    const byArity = heads.get(entry.atom.name) ?? new Map<number, Entry>()
    heads.set(entry.atom.name, byArity)
    const other = byArity.get(entry.arity)
    if (other !== undefined) {
      const form = entry.arity === 0
        ? `the atom ${print(entry.atom)}`
        : `{${print(entry.atom)}, ...} of ${entry.arity} elements`
      throw new EtfSchemaError({
        path: [entry.tag],
        detail: `is ${form} on the wire, as ${other.tag} is; give it another name`
      })
    }
    byArity.set(entry.arity, entry)
  }

  const done = (entry: Entry, payload: Result.Result<unknown, Schema.SchemaError>): Decoded =>
    Result.isSuccess(payload)
      ? { _tag: "Message", index: entry.index, tag: entry.tag, payload: payload.success }
      : { _tag: "Malformed", index: entry.index, tag: entry.tag, error: payload.failure }

  const fromTerm = (term: Term): Decoded => {
    const first = term instanceof Tuple ? term.elements[0] : term
    const arity = term instanceof Tuple ? term.elements.length : 0
    const entry = first instanceof Atom ? heads.get(first.name)?.get(arity) : undefined
    if (entry === undefined) return { _tag: "Unknown", term }
    if (entry.codec === undefined) return done(entry, none)
    return done(entry, entry.codec.fromTerm(entry.whole ? term : (term as Tuple).elements[1]!))
  }

  const toTerm: MessageShape["toTerm"] = (index, payload) => {
    const { atom, codec, whole } = entries[index]!
    if (codec === undefined) return Result.succeed(atom)
    const term = codec.toTerm(payload)
    return whole ? term : Result.map(term, (value) => new Tuple([atom, value]))
  }

  const writeTo: MessageShape["writeTo"] = (encoder, index, payload) => {
    const { atom, codec, whole } = entries[index]!
    if (whole && codec !== undefined) return codec.writeTo(encoder, payload)
    const writer = encoder.output
    const start = writer.pos
    if (codec === undefined) {
      writer.atom(atom.name)
      return written
    }
    writer.tag8(104, 2)
    writer.atom(atom.name)
    const result = codec.writeTo(encoder, payload)
    if (Result.isFailure(result)) writer.pos = start
    return result
  }

  const findAt = (decoder: Decoder): Entry | undefined => {
    const head = peekHead(decoder)
    return head === undefined ? undefined : heads.get(head.name)?.get(head.arity)
  }

  const readFrom: MessageShape["readFrom"] = (decoder) => {
    const entry = findAt(decoder)
    if (entry === undefined || !entry.whole || entry.codec === undefined) return Result.map(readTerm(decoder), fromTerm)
    const payload = entry.codec.readFrom(decoder)
    if (Result.isFailure(payload) && payload.failure._tag === "EtfDecodeError") return Result.fail(payload.failure)
    return Result.succeed(done(entry, payload as Result.Result<unknown, Schema.SchemaError>))
  }

  return {
    heads: entries.map(({ arity, atom }) => ({ name: atom.name, arity })),
    toTerm,
    fromTerm,
    writeTo,
    readFrom
  }
}

// Atom and arity of the term at the cursor, which does not move; undefined when it is no message or malformed.
const peekHead = (decoder: Decoder): { readonly name: string; readonly arity: number } | undefined => {
  const reader = decoder.cursor
  const start = reader.pos
  // oxlint-disable-next-line effect-otp/no-try -- inside the codec failures are thrown: success pays nothing
  try {
    let arity = 0
    if (reader.peek() === 104) {
      reader.pos++
      arity = reader.u8()
    }
    const atom = peekAtom(reader)
    return atom === undefined || (reader.pos !== start && arity === 0) ? undefined : { name: atom.name, arity }
  } catch (failure) {
    // The ordinary way says what is wrong.
    if (failure instanceof DecodeFailure) return undefined
    throw failure
  } finally {
    reader.pos = start
  }
}

const none: Result.Result<undefined> = Result.succeed(undefined)
const written: Result.Result<void> = Result.succeed(undefined)

const anyTerm: Compiled<unknown> = compileCodec(Schema.Unknown, undefined)

const readTerm = (decoder: Decoder): Result.Result<Term, EtfDecodeError> =>
  // Any term is of the schema, so that only the bytes can be wrong.
  anyTerm.readFrom(decoder) as Result.Result<Term, EtfDecodeError>

/**
 * What a reply turned out to be: a value, a domain error, or neither.
 *
 * @category models
 * @since 0.1.0
 */
export type DecodedReply<A, E> =
  | { readonly _tag: "Success"; readonly value: A }
  | { readonly _tag: "Failure"; readonly error: E }
  | { readonly _tag: "Malformed"; readonly error: Schema.SchemaError }

/**
 * The replies of a call.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReplyShape<A, E> {
  /** Whether the reply says `{ok, _}` or `{error, _}`; without an error schema it is the bare value. */
  readonly fallible: boolean
  /** The term of a reply that succeeded. */
  readonly successToTerm: (value: A) => Result.Result<Term, Schema.SchemaError>
  /** The term of a reply with a domain error. Fails when the call has none. */
  readonly failureToTerm: (error: E) => Result.Result<Term, Schema.SchemaError>
  /** What a term is. */
  readonly fromTerm: (term: Term) => DecodedReply<A, E>
  /** Appends a reply that succeeded to the output of an encoder. On failure the output is as before. */
  readonly writeSuccessTo: (encoder: Encoder, value: A) => Result.Result<void, Schema.SchemaError>
  /** Appends a reply with a domain error to the output of an encoder. On failure the output is as before. */
  readonly writeFailureTo: (encoder: Encoder, error: E) => Result.Result<void, Schema.SchemaError>
  /** Reads the term a decoder is at, which is behind it afterwards. Fails only when there is no term. */
  readonly readFrom: (decoder: Decoder) => Result.Result<DecodedReply<A, E>, EtfDecodeError>
}

const mismatch = (message: string): Schema.SchemaError =>
  new Schema.SchemaError(new SchemaIssue.InvalidValue({ message }))

/**
 * The shape of the replies of a call with these schemas. `Schema.Never` as error stands for a call that cannot fail.
 *
 * Throws `EtfSchemaError` when one of the schemas has no form on the wire.
 *
 * @example
 * ```ts
 * import { Result, Schema } from "effect"
 * import { MessageShape } from "effect-otp/etf"
 * import { Term } from "effect-otp/term"
 *
 * const reply = MessageShape.makeReply(Schema.Int, Schema.Literal("overflow"))
 * Term.print(Result.getOrThrow(reply.successToTerm(3))) // => "{ok,3}"
 * Term.print(Result.getOrThrow(reply.failureToTerm("overflow"))) // => "{error,overflow}"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeReply = <A, IA, E, IE>(
  success: Schema.Codec<A, IA>,
  error: Schema.Codec<E, IE>
): ReplyShape<A, E> => {
  const fallible = !SchemaAST.isNever(error.ast)
  const isVoid = SchemaAST.isVoid(success.ast)
  const ok = makeAtom("ok")
  const failed = makeAtom("error")
  const successCodec = compileCodec(success, undefined)
  const errorCodec = compileCodec(error, undefined)
  const wrapped = fallible && !isVoid
  const expected = fallible ? `${isVoid ? "ok" : "{ok, Value}"} or {error, Reason}` : "a value"

  const value = (result: Result.Result<A, Schema.SchemaError>): DecodedReply<A, E> =>
    Result.isSuccess(result)
      ? { _tag: "Success", value: result.success }
      : { _tag: "Malformed", error: result.failure }
  const reason = (result: Result.Result<E, Schema.SchemaError>): DecodedReply<A, E> =>
    Result.isSuccess(result)
      ? { _tag: "Failure", error: result.success }
      : { _tag: "Malformed", error: result.failure }

  const fromTerm = (term: Term): DecodedReply<A, E> => {
    if (!fallible || (isVoid && term instanceof Atom)) return value(successCodec.fromTerm(term))
    if (term instanceof Tuple && term.elements.length === 2 && term.elements[0] instanceof Atom) {
      const [head, body] = term.elements as readonly [Atom, Term]
      if (head.name === "ok" && wrapped) return value(successCodec.fromTerm(body))
      if (head.name === "error") return reason(errorCodec.fromTerm(body))
    }
    return { _tag: "Malformed", error: mismatch(`Expected ${expected}, got ${print(term, { maxLength: 200 })}`) }
  }

  const tagged = <B>(
    atom: Atom,
    codec: Compiled<B>
  ) =>
  (encoder: Encoder, body: B): Result.Result<void, Schema.SchemaError> => {
    const writer = encoder.output
    const start = writer.pos
    writer.tag8(104, 2)
    writer.atom(atom.name)
    const result = codec.writeTo(encoder, body)
    if (Result.isFailure(result)) writer.pos = start
    return result
  }

  const readBody = <B>(
    decoder: Decoder,
    codec: Compiled<B>,
    finish: (result: Result.Result<B, Schema.SchemaError>) => DecodedReply<A, E>
  ): Result.Result<DecodedReply<A, E>, EtfDecodeError> => {
    const result = codec.readFrom(decoder)
    if (Result.isFailure(result) && result.failure._tag === "EtfDecodeError") return Result.fail(result.failure)
    return Result.succeed(finish(result as Result.Result<B, Schema.SchemaError>))
  }

  const readFrom = (decoder: Decoder): Result.Result<DecodedReply<A, E>, EtfDecodeError> => {
    if (!fallible) return readBody(decoder, successCodec, value)
    const head = peekHead(decoder)
    if (head === undefined || head.arity !== 2 || !(head.name === "error" || (wrapped && head.name === "ok"))) {
      return Result.map(readTerm(decoder), fromTerm)
    }
    const reader = decoder.cursor
    const start = reader.pos
    reader.pos += 2
    reader.atom()
    const reply = head.name === "ok" ? readBody(decoder, successCodec, value) : readBody(decoder, errorCodec, reason)
    if (Result.isFailure(reply)) reader.pos = start
    return reply
  }

  return {
    fallible,
    successToTerm: (body) =>
      wrapped ? Result.map(successCodec.toTerm(body), (term) => new Tuple([ok, term])) : successCodec.toTerm(body),
    failureToTerm: (body) => Result.map(errorCodec.toTerm(body), (term) => new Tuple([failed, term])),
    fromTerm,
    writeSuccessTo: wrapped ? tagged(ok, successCodec) : successCodec.writeTo,
    writeFailureTo: tagged(failed, errorCodec),
    readFrom
  }
}
