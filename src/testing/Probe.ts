/**
 * Probes: processes of a test that get messages and say whether they are the expected ones.
 *
 * A probe is a process like any other: it has a pid, a name if it wants one, links and monitors, and traps exits. What it
 * gets stays in its mailbox, in order, until the test asks for it. With a protocol it has a ref with its methods, and
 * expectations by tag give typed payloads and somebody to reply to.
 *
 * Under `TestNode.layer` an expectation waits until nothing is left to happen, without any time passing, and fails
 * then and not later: a test never hangs on a message that does not come. With `within` the test clock is moved, from one
 * sleeper to the next and not beyond the message. Elsewhere `within` is real time, 3 seconds by default.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import type * as Scope from "effect/Scope"
import { type Address, format as formatAddress } from "../process/Address.ts"
import type { StartError } from "../process/CallError.ts"
import * as ExitReason from "../process/ExitReason.ts"
import type { From } from "../process/Handler.ts"
import type { MailboxOptions } from "../process/Mailbox.ts"
import type * as Message from "../process/Message.ts"
import { Node } from "../process/Node.ts"
import * as Process from "../process/Process.ts"
import { fromPid, type ProcessRef } from "../process/ProcessRef.ts"
import * as Protocol from "../process/Protocol.ts"
import * as Signal from "../process/Signal.ts"
import { equals as samePid, isPid, type Pid } from "../term/Pid.ts"
import { equals as sameReference, isReference, type Reference } from "../term/Reference.ts"
import { show } from "./internal/show.ts"
import { TestControls } from "./internal/TestControls.ts"
import { ProbeError } from "./TestingError.ts"

/**
 * Options of an expectation.
 *
 * @category models
 * @since 0.1.0
 */
export interface Within {
  /** How much time may pass: none by default under `TestNode.layer`, 3 seconds elsewhere. */
  readonly within?: Duration.Input
}

/**
 * The tags that a probe may expect: those of its protocol, or any.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Tag<M extends Message.Any> = [M] extends [never] ? string : M["_tag"]

/**
 * What an expectation by tag gives: the payload, and for a call whom to answer.
 *
 * @category type-level
 * @since 0.1.0
 */
export type Received<M extends Message.Any, T extends string> = [M] extends [never] ? { readonly _tag: T }
  : M extends { readonly _tag: T; readonly kind: "Call" } ? {
      readonly _tag: T
      readonly payload: Message.Payload<M>
      readonly from: From<Message.Success<M>, Message.Error<M>>
    }
  : M extends { readonly _tag: T } ? { readonly _tag: T; readonly payload: Message.Payload<M> }
  : never

/**
 * What an exit or a Down is expected to be. Whatever is left out may be anything.
 *
 * @category models
 * @since 0.1.0
 */
export interface SignalOptions extends Within {
  /** Of whom: the pid of an exit; the address that was monitored of a Down. */
  readonly of?: Process.Target
  /** The reference of a Down. */
  readonly ref?: Reference
  /** The reason, or the tag of the reason. */
  readonly reason?: ExitReason.ExitReason | ExitReason.ExitReason["_tag"]
}

/**
 * Options of a probe.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly name?: string
  readonly mailbox?: MailboxOptions
  /** Whether exit signals become messages: true by default, unlike for other processes. */
  readonly trapExit?: boolean
}

/** What an expectation looks for. */
interface Expected {
  readonly words: string
  /** The value to give, or why it is not the expected one (empty when that is plain). */
  readonly take: (value: unknown) => Taken
}

type Taken = { readonly value: unknown } | { readonly why: string }

/** The default wait outside of `TestNode.layer`. */
const liveWait = Duration.seconds(3)

/**
 * A process of a test with typed expectations. Made by {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export class Probe<M extends Message.Any = never> {
  readonly pid: Pid
  /** The address of the probe, so that it can be given wherever a process is asked for. */
  readonly address: Address
  /** The typed client of the probe: what it sends, the probe gets. */
  readonly ref: ProcessRef<M>
  /** What errors call it. */
  readonly name: string
  private readonly core: Protocol.Core
  private readonly inside: Inside

  /** @internal */
  constructor(name: string, ref: ProcessRef<M>, core: Protocol.Core, inside: Inside) {
    this.name = name
    this.pid = ref.pid
    this.address = ref.pid
    this.ref = ref
    this.core = core
    this.inside = inside
  }

  /** The next message must be of this schema, or have this tag. Gives it. */
  expectMessage<S extends Schema.Top>(schema: S, options?: Within): Effect.Effect<S["Type"], ProbeError>
  expectMessage<const T extends Tag<M>>(tag: T, options?: Within): Effect.Effect<Received<M, T>, ProbeError>
  expectMessage(expected: Schema.Top | string, options?: Within): Effect.Effect<never, ProbeError> {
    return this.expect(this.expected(expected), options) as Effect.Effect<never, ProbeError> // typed by the overloads
  }

  /** No message may come for so long; without a duration, none may come that costs no time. */
  expectNoMessage(duration?: Duration.Input): Effect.Effect<void, ProbeError> {
    return Effect.flatMap(this.next(deadlineOf(duration ?? 0)), (next) =>
      Option.isNone(next) ? Effect.void : this.fail(
        duration === undefined ? "no message" : `no message for ${showDuration(duration)}`,
        `got ${show(next.value)}`,
        []
      ))
  }

  /** The next message must be an exit signal. Gives it. */
  expectExit(options?: SignalOptions): Effect.Effect<Signal.Exit, ProbeError> {
    return this.expect({
      words: `the exit${wordsOf(options)}`,
      take: (value) =>
        value instanceof Signal.Exit && sameAddress(value.from, options?.of) &&
          sameReason(value.reason, options?.reason)
          ? { value }
          : { why: "" }
    }, options) as Effect.Effect<Signal.Exit, ProbeError> // what `take` gives
  }

  /** The next message must be the Down of a monitor. Gives it. */
  expectDown(options?: SignalOptions): Effect.Effect<Signal.Down, ProbeError> {
    return this.expect({
      words: `the Down${wordsOf(options)}`,
      take: (value) =>
        value instanceof Signal.Down && sameAddress(value.address, options?.of) &&
          sameReason(value.reason, options?.reason) &&
          (options?.ref === undefined || sameReference(value.ref, options.ref))
          ? { value }
          : { why: "" }
    }, options) as Effect.Effect<Signal.Down, ProbeError> // as above
  }

  /** Lets messages pass until one is of this schema, has this tag, or satisfies this predicate. Gives it. */
  fishFor<S extends Schema.Top>(schema: S, options?: Within): Effect.Effect<S["Type"], ProbeError>
  fishFor<const T extends Tag<M>>(tag: T, options?: Within): Effect.Effect<Received<M, T>, ProbeError>
  fishFor(predicate: (value: unknown) => boolean, options?: Within): Effect.Effect<unknown, ProbeError>
  fishFor(
    wanted: Schema.Top | string | ((value: unknown) => boolean),
    options?: Within
  ): Effect.Effect<never, ProbeError> {
    const expected: Expected = typeof wanted === "function" && !Schema.isSchema(wanted)
      ? { words: "a message that satisfies the predicate", take: (value) => wanted(value) ? { value } : { why: "" } }
      : this.expected(wanted)
    const passed: Array<string> = []
    const cast = (deadline: Deadline): Effect.Effect<unknown, ProbeError> =>
      Effect.flatMap(this.next(deadline), (next) => {
        if (Option.isNone(next)) return this.fail(expected.words, this.nothingCame(options), passed)
        const taken = expected.take(next.value)
        if ("value" in taken) return Effect.succeed(taken.value)
        passed.push(show(next.value))
        return cast(deadline)
      })
    return Effect.suspend(() => cast(deadlineOf(options?.within))) as Effect.Effect<never, ProbeError> // as above
  }

  /** Answers a call that an expectation gave. */
  reply<A>(call: { readonly from: From<A> }, value: NoInfer<A>): Effect.Effect<void> {
    return call.from.reply(value)
  }

  /** Answers a call with its domain error. */
  replyError<E>(call: { readonly from: From<never, E> }, error: NoInfer<E>): Effect.Effect<void> {
    return call.from.fail(error)
  }

  /** What waits in the mailbox, oldest first; nothing is taken. */
  get waiting(): Effect.Effect<ReadonlyArray<unknown>> {
    return Effect.sync(() => this.inside.peek())
  }

  /** Runs an effect as the probe: its `self` is the probe's, its links and monitors are the probe's. */
  as<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, Exclude<R, Process.CurrentProcess | Scope.Scope>> {
    return Effect.provideContext(effect, this.inside.context) as Effect.Effect<
      A,
      E,
      Exclude<R, Process.CurrentProcess | Scope.Scope>
    > // provideContext takes away the services of the context
  }

  /** Sends a value as the probe. */
  send(to: Process.Target, value: unknown): Effect.Effect<void, never, Node> {
    return this.as(Process.send(to, value))
  }

  /** Has the probe watch a process; {@link expectDown} tells of its end. */
  monitor(target: Process.Target): Effect.Effect<Reference> {
    return this.as(Process.monitor(target))
  }

  /** Links the probe and a process; {@link expectExit} tells of its end. */
  link(target: Pid | { readonly pid: Pid }): Effect.Effect<void> {
    return this.as(Process.link(target))
  }

  /** Ends the probe with a reason (`normal`, unless said otherwise), and waits until it has ended. */
  end(reason: ExitReason.ExitReason = ExitReason.normal): Effect.Effect<void, never, Node> {
    return Effect.andThen(
      Deferred.succeed(this.inside.ending, reason),
      Effect.asVoid(Process.awaitExit(this.pid))
    )
  }

  // --- waiting -------------------------------------------------------------------------------------------------------

  private expect(expected: Expected, options: Within | undefined): Effect.Effect<unknown, ProbeError> {
    return Effect.flatMap(this.next(deadlineOf(options?.within)), (next) => {
      if (Option.isNone(next)) return this.fail(expected.words, this.nothingCame(options), [])
      const taken = expected.take(next.value)
      if ("value" in taken) return Effect.succeed(taken.value)
      return this.fail(expected.words, `got ${show(next.value)}${taken.why === "" ? "" : `: ${taken.why}`}`, [])
    })
  }

  private nothingCame(options: Within | undefined): string {
    if (this.inside.ended()) return "it has ended itself"
    return options?.within === undefined
      ? "nothing came. Everything that happens without time passing has happened; { within } lets time pass"
      : `nothing came within ${showDuration(options.within)}`
  }

  private fail(
    expected: string,
    found: string,
    passed: ReadonlyArray<string>
  ): Effect.Effect<never, ProbeError> {
    return Effect.fail(
      new ProbeError({ probe: this.name, expected, found, passed, waiting: this.inside.peek().map(show) })
    )
  }

  /** The next message, when one comes in time. */
  private next(deadline: Deadline): Effect.Effect<Option.Option<unknown>> {
    return Effect.withFiber((fiber) => {
      const controls = fiber.getRef(TestControls)
      if (controls === undefined) {
        const now = this.inside.poll()
        return Option.isSome(now) || this.inside.ended()
          ? Effect.succeed(now)
          : Effect.timeoutOption(Queue.take(this.inside.mailbox), deadline.within ?? liveWait)
      }
      deadline.at ??= controls.now() + Duration.toMillis(Duration.fromInputUnsafe(deadline.within ?? 0))
      return this.nextUnder(controls, deadline.at)
    })
  }

  private nextUnder(controls: TestControls, at: number): Effect.Effect<Option.Option<unknown>> {
    return Effect.suspend(() => {
      const now = this.inside.poll()
      if (Option.isSome(now)) return Effect.succeed(now)
      return Effect.flatMap(controls.settle, () => {
        const then = this.inside.poll()
        if (Option.isSome(then) || this.inside.ended() || controls.now() >= at) return Effect.succeed(then)
        return Effect.andThen(controls.step(at), this.nextUnder(controls, at))
      })
    })
  }

  // --- what is expected ----------------------------------------------------------------------------------------------

  private expected(wanted: Schema.Top | string): Expected {
    if (typeof wanted === "string") {
      const index = this.core.indexByTag.get(wanted)
      return {
        words: `the message ${wanted}`,
        take: (value) => receivedOf(wanted, index === undefined ? undefined : this.core.messages[index]!, value)
      }
    }
    // A message is a value, not something to be decoded: only the side of the types counts.
    const check = Schema.decodeUnknownResult(Schema.toType(wanted) as Schema.Codec<unknown>)
    return {
      words: "a message of the schema",
      take: (value) => {
        const result = check(value)
        return result._tag === "Success" ? { value } : { why: result.failure.message }
      }
    }
  }
}

/** What a probe has of its process. */
interface Inside {
  readonly mailbox: Queue.Dequeue<unknown>
  readonly context: Context.Context<Process.CurrentProcess | Scope.Scope>
  readonly ending: Deferred.Deferred<ExitReason.ExitReason>
  readonly poll: () => Option.Option<unknown>
  readonly peek: () => ReadonlyArray<unknown>
  readonly ended: () => boolean
}

/** A limit that starts to count when the wait starts. */
interface Deadline {
  readonly within: Duration.Input | undefined
  at: number | undefined
}

const deadlineOf = (within: Duration.Input | undefined): Deadline => ({ within, at: undefined })

const showDuration = (duration: Duration.Input): string => Duration.format(Duration.fromInputUnsafe(duration))

const nobody = Protocol.make("Probe")

/**
 * Starts a probe, tied to the surrounding scope. With a protocol, its `ref` has the methods of the protocol and
 * expectations by tag are typed. Fails only when its name is taken.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Message, Protocol } from "effect-otp"
 * import { Probe } from "effect-otp/testing"
 *
 * class Counter extends Protocol.make("Counter", Message.Call("Get", { success: Schema.Int })) {}
 *
 * const test = Effect.gen(function*() {
 *   const probe = yield* Probe.make(Counter)
 *   const answer = yield* Effect.forkChild(probe.ref.Get())
 *   const call = yield* probe.expectMessage("Get")
 *   yield* probe.reply(call, 3)
 *   return answer
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: {
  (options?: Options): Effect.Effect<Probe, StartError, Node | Scope.Scope>
  <Name extends string, M extends Message.Any>(
    protocol: Protocol.Protocol<Name, M>,
    options?: Options
  ): Effect.Effect<Probe<M>, StartError, Node | Scope.Scope>
} = (
  first?: Options | Protocol.Protocol<string, Message.Any>,
  second?: Options
): Effect.Effect<never, StartError, Node | Scope.Scope> =>
  Effect.gen(function*() {
    const protocol = Protocol.isProtocol(first) ? first : nobody
    const options = Protocol.isProtocol(first) ? second : first
    const ready = yield* Deferred.make<Omit<Inside, "ending">>()
    const ending = yield* Deferred.make<ExitReason.ExitReason>()
    const pid = yield* Process.spawnDetached(
      (mailbox) =>
        Effect.flatMap(Effect.context<Process.CurrentProcess | Scope.Scope>(), (context) =>
          Effect.andThen(
            Deferred.succeed(ready, {
              mailbox,
              context,
              poll: () => pollOf(mailbox),
              peek: () => peekOf(mailbox),
              ended: () => mailbox.state._tag === "Done"
            }),
            Effect.flatMap(Deferred.await(ending), Process.exitSelf)
          )),
      { label: `probe ${protocol.protocolName}`, ...options, trapExit: options?.trapExit ?? true }
    )
    // A probe that traps exits would not end by the `shutdown` of its owner.
    const node = yield* Node
    yield* Effect.addFinalizer(() =>
      Effect.andThen(
        Deferred.succeed(ending, ExitReason.shutdown),
        Effect.provideService(Process.awaitExit(pid), Node, node)
      )
    )
    const ref = yield* fromPid(protocol as Protocol.Protocol<string, never>, pid)
    const inside = { ...yield* Deferred.await(ready), ending }
    return new Probe(options?.name ?? pid.toString(), ref, protocol.protocol, inside)
  }) as Effect.Effect<never, StartError, Node | Scope.Scope> // one implementation for both overloads

const pollOf = (mailbox: Queue.Dequeue<unknown>): Option.Option<unknown> => {
  const exit = Queue.takeUnsafe(mailbox)
  return exit !== undefined && Exit.isSuccess(exit) ? Option.some(exit.value) : Option.none()
}

const peekOf = (mailbox: Queue.Dequeue<unknown>): ReadonlyArray<unknown> => {
  const waiting: Array<unknown> = []
  for (let bucket = mailbox.messages.head; bucket !== undefined; bucket = bucket.next) {
    waiting.push(...bucket.array.slice(bucket.offset))
  }
  return waiting
}

/** A value as the message of this tag: a call as it reaches a process that serves no protocol, or a tagged value. */
const receivedOf = (tag: string, message: Message.Any | undefined, value: unknown): Taken => {
  if (value instanceof Signal.Request) {
    const { from, payload } = value
    if (value.message === tag) return { value: { _tag: tag, payload, from } }
    // A call from another node, whose request nobody has decoded.
    if (value.message !== "$gen_call" || message?.kind !== "Call") return { why: "" }
    const taken = payloadOf(message, payload)
    return "why" in taken ? taken : { value: { _tag: tag, payload: taken.value, from } }
  }
  if (message === undefined) return isTagged(value) && value._tag === tag ? { value } : { why: "" }
  const taken = payloadOf(message, value)
  if ("why" in taken) return taken
  return message.kind === "Call"
    ? { why: `${tag} is a call, and this was sent as an ordinary message` }
    : { value: { _tag: tag, payload: taken.value } }
}

const isTagged = (value: unknown): value is { readonly _tag: unknown; readonly payload?: unknown } =>
  typeof value === "object" && value !== null && "_tag" in value

/** The payload in a tagged value of a message. */
const payloadOf = (message: Message.Any, value: unknown): Taken => {
  if (!isTagged(value) || value._tag !== message._tag) return { why: "" }
  if (SchemaAST.isVoid(message.payloadSchema.ast)) return { value: undefined }
  const { _tag, ...fields } = value
  const isPayload = Schema.is(message.payloadSchema)
  if (isPayload(fields)) return { value: fields }
  const inner: unknown = value.payload
  return isPayload(inner) ? { value: inner } : { why: `this is no payload of ${message._tag}` }
}

const addressOf = Process.toAddress

const sameAddress = (address: Address, expected: Process.Target | undefined): boolean => {
  if (expected === undefined) return true
  const wanted = addressOf(expected)
  if (isPid(address)) return isPid(wanted) && samePid(address, wanted)
  if (isReference(address)) return isReference(wanted) && sameReference(address, wanted)
  return "name" in wanted && address.name === wanted.name && address.node === wanted.node
}

const sameReason = (reason: ExitReason.ExitReason, expected: SignalOptions["reason"]): boolean => {
  if (expected === undefined) return true
  if (typeof expected === "string") return reason._tag === expected
  return reason._tag === expected._tag && ExitReason.format(reason) === ExitReason.format(expected)
}

const wordsOf = (options: SignalOptions | undefined): string => {
  const reason = options?.reason
  return (options?.of === undefined ? "" : ` of ${formatAddress(addressOf(options.of))}`) +
    (reason === undefined ? "" : ` with reason ${typeof reason === "string" ? reason : ExitReason.format(reason)}`)
}
