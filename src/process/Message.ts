/**
 * Messages: values that say what may be sent to a process, with the schemas of payload, reply and error.
 *
 * There are three kinds. A *call* expects a reply (`{'$gen_call', From, Request}` on the wire), a *cast* does not
 * (`{'$gen_cast', Request}`), and an *info* is any other term that arrives in the mailbox. A message has no behaviour:
 * servers handle it, refs send it, and both check their types against it.
 *
 * Local messages are passed by reference and are not checked against their schema at run time, apart from constructor
 * defaults; what comes from another node is decoded at the edge of this one. Mutating a payload after it was sent is a
 * bug in the sender.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"

const TypeId = "~effect-otp/Message"

/**
 * Call, cast or info.
 *
 * @category models
 * @since 0.1.0
 */
export type Kind = "Call" | "Cast" | "Info"

/**
 * One message of a protocol. It can be extended as a class, so that it has a name in the types that the editor shows.
 *
 * @category models
 * @since 0.1.0
 */
export interface Message<
  in out Tag extends string,
  out K extends Kind,
  out Payload extends Schema.Top,
  out Success extends Schema.Top,
  out Error extends Schema.Top
> {
  new(_: never): {}
  readonly [TypeId]: typeof TypeId
  readonly _tag: Tag
  readonly kind: K
  readonly payloadSchema: Payload
  readonly successSchema: Success
  readonly errorSchema: Error
  /** Switches for the runtime and the wire, added with {@link annotate}. */
  readonly annotations: Context.Context<never>
  /** Applies constructor defaults to a payload; undefined when the payload has none. */
  readonly makePayload: ((input: unknown) => unknown) | undefined
}

/**
 * Any message.
 *
 * @category models
 * @since 0.1.0
 */
export interface Any extends Message<any, Kind, Schema.Top, Schema.Top, Schema.Top> {} // `any`: Tag is invariant

/**
 * The payload as a handler receives it.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Payload<M extends Any> = M["payloadSchema"]["Type"]

/**
 * The payload as a sender writes it: fields with defaults are optional.
 *
 * @category type-level
 * @since 0.1.0
 */
export type PayloadInput<M extends Any> = M["payloadSchema"]["~type.make.in"]

/**
 * The reply of a call.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Success<M extends Any> = M["successSchema"]["Type"]

/**
 * The domain error of a call.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Error<M extends Any> = M["errorSchema"]["Type"]

type PayloadSchema<P> = P extends Schema.Top ? P : P extends Schema.Struct.Fields ? Schema.Struct<P> : never

const Proto = { [TypeId]: TypeId }

const hasDefaults = (ast: SchemaAST.AST): boolean =>
  SchemaAST.isObjects(ast) &&
  ast.propertySignatures.some((p) => p.type.context?.constructorDefault !== undefined || hasDefaults(p.type))

const make = (
  tag: string,
  kind: Kind,
  options: {
    readonly payload?: Schema.Top | Schema.Struct.Fields | undefined
    readonly success?: Schema.Top | undefined
    readonly error?: Schema.Top | undefined
  } | undefined,
  annotations: Context.Context<never>
): Any => {
  const payload: Schema.Top = options?.payload === undefined
    ? Schema.Void
    : Schema.isSchema(options.payload)
    ? options.payload
    : Schema.Struct(options.payload)
  class MessageClass {}
  return Object.assign(Object.setPrototypeOf(MessageClass, Proto), {
    _tag: tag,
    kind,
    payloadSchema: payload,
    successSchema: options?.success ?? Schema.Void,
    errorSchema: options?.error ?? Schema.Never,
    annotations,
    makePayload: hasDefaults(payload.ast)
      ? (input: unknown) => (payload as unknown as { make(u: unknown): unknown }).make(input ?? {})
      : undefined
  })
}

/**
 * A message that is answered: `payload` in, `success` out or `error`.
 *
 * `payload` is a record of fields or a schema; without it the message has none. Without `success` the reply carries
 * nothing, without `error` the call cannot fail in the domain.
 *
 * @example
 * ```ts
 * import { Schema } from "effect"
 * import { Message } from "effect-otp"
 *
 * const Add = Message.Call("Add", { payload: { n: Schema.Int }, success: Schema.Int })
 * Add._tag // => "Add"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const Call = <
  const Tag extends string,
  P extends Schema.Top | Schema.Struct.Fields = Schema.Void,
  S extends Schema.Top = Schema.Void,
  E extends Schema.Top = Schema.Never
>(tag: Tag, options?: {
  readonly payload?: P
  readonly success?: S
  readonly error?: E
}): Message<Tag, "Call", PayloadSchema<P>, S, E> =>
  // The implementation is untyped; the signature above states what it builds.
  make(tag, "Call", options, Context.empty()) as Message<Tag, "Call", PayloadSchema<P>, S, E>

/**
 * A message that is not answered and whose delivery is not confirmed.
 *
 * @category constructors
 * @since 0.1.0
 */
export const Cast = <const Tag extends string, P extends Schema.Top | Schema.Struct.Fields = Schema.Void>(
  tag: Tag,
  options?: { readonly payload?: P }
): Message<Tag, "Cast", PayloadSchema<P>, Schema.Void, Schema.Never> =>
  make(tag, "Cast", options, Context.empty()) as Message<
    Tag,
    "Cast",
    PayloadSchema<P>,
    Schema.Void,
    Schema.Never
  >

/**
 * A term that arrives outside call and cast: from `Process.send`, a timer, or any process of another node.
 *
 * @category constructors
 * @since 0.1.0
 */
export const Info = <const Tag extends string, P extends Schema.Top | Schema.Struct.Fields = Schema.Void>(
  tag: Tag,
  options?: { readonly payload?: P }
): Message<Tag, "Info", PayloadSchema<P>, Schema.Void, Schema.Never> =>
  make(tag, "Info", options, Context.empty()) as Message<
    Tag,
    "Info",
    PayloadSchema<P>,
    Schema.Void,
    Schema.Never
  >

/**
 * A copy of the message with one more annotation: a switch for the runtime, the wire mapping or an adapter.
 *
 * @category annotations
 * @since 0.1.0
 */
export const annotate = <M extends Any, I, S>(message: M, key: Context.Key<I, S>, value: S): M =>
  // A copy has the type of the original: only the annotations differ.
  make(
    message._tag,
    message.kind,
    { payload: message.payloadSchema, success: message.successSchema, error: message.errorSchema },
    Context.add(message.annotations, key, value) as Context.Context<never>
  ) as M

/**
 * A cast or info as a process without the protocol receives it: the fields of the payload beside the tag; a payload that
 * is no record of fields under `payload`.
 *
 * @internal
 */
export const toValue = (message: Any, payload: unknown): { readonly _tag: string } =>
  payload === undefined
    ? { _tag: message._tag }
    : typeof payload === "object" && payload !== null && Object.getPrototypeOf(payload) === Object.prototype
    ? { ...payload, _tag: message._tag }
    : { _tag: message._tag, payload } as { readonly _tag: string }

/**
 * A copy of the message with all annotations of a context besides its own.
 *
 * @category annotations
 * @since 0.1.0
 */
export const annotateMerge = <M extends Any>(message: M, annotations: Context.Context<never>): M =>
  // As above.
  make(
    message._tag,
    message.kind,
    { payload: message.payloadSchema, success: message.successSchema, error: message.errorSchema },
    Context.merge(message.annotations, annotations)
  ) as M

/**
 * Whether a value is a message.
 *
 * @category guards
 * @since 0.1.0
 */
export const isMessage = (u: unknown): u is Any => typeof u === "function" && TypeId in u
