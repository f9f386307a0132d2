/**
 * The sending side of typed messages: each call and cast of a ref is a small Effect value that sends when it is run.
 *
 * Running a call asks the server in this very turn when it is idle; only when it cannot answer at once does the caller
 * wait, and only then is a call limit armed.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import type * as Fiber from "effect/Fiber"
import { type Address, format as formatAddress } from "../Address.ts"
import * as CallError from "../CallError.ts"
import type * as Message from "../Message.ts"
import { toValue } from "../Message.ts"
import type { Core } from "../Protocol.ts"
import { CallEnvelope, CastEnvelope, TermEnvelope } from "./Envelope.ts"
import { EXITING, type LocalProcess } from "./LocalProcess.ts"
import type { NodeRuntime } from "./NodeRuntime.ts"
import { type CallGuard, OutboundCall } from "./OutboundCall.ts"
import { ServerProcess } from "./ServerProcess.ts"

/** The limit of a call that does not say otherwise. */
export const defaultLimitMillis = 5000

/**
 * Chooses the receiver of one message: the number of the message in its protocol, its payload, and the fiber that sends.
 * It runs in the sender's turn and must not throw; undefined when there is nobody.
 */
export type Route = (index: number, payload: unknown, sender: Fiber.Fiber<unknown, unknown>) => LocalProcess | undefined

/** What every ref has: where messages go. The methods of its protocol stand on the prototype of a subclass. */
export abstract class RefBase {
  readonly runtime: NodeRuntime
  /** The server when it is known, which spares the look-up. */
  readonly target: ServerProcess | undefined
  /** Whether casts report a full mailbox as a typed error. */
  readonly checked: boolean
  /** Chooses the receiver of each message anew; without it, that is whoever the address leads to. */
  readonly route: Route | undefined
  /** What guards the calls of this turn to another node: a memory, no state, since another ref does as well without. */
  guard: CallGuard | undefined = undefined
  abstract readonly address: Address
  abstract readonly core: Core

  constructor(
    runtime: NodeRuntime,
    target: ServerProcess | undefined,
    checked: boolean,
    route: Route | undefined
  ) {
    this.runtime = runtime
    this.target = target
    this.checked = checked
    this.route = route
  }

  /** Whoever the address leads to. */
  resolve(): LocalProcess | undefined {
    return this.target ?? this.runtime.resolve(this.address)
  }

  /** The receiver of one message. */
  receiver(index: number, payload: unknown, sender: AnyFiber): LocalProcess | undefined {
    return this.route === undefined ? this.runtime.resolve(this.address) : this.route(index, payload, sender)
  }
}

type AnyFiber = Fiber.Fiber<unknown, unknown>

/** Gives the instances of a class the behaviour of an Effect without any further object per instance. */
const asEffect = <T extends { evaluate(fiber: AnyFiber): Effect.Effect<unknown, unknown> }>(
  label: string,
  klass: new(...args: Array<never>) => T
): void => {
  Object.setPrototypeOf(
    klass.prototype,
    Effectable.Prototype<Effect.Effect<unknown, unknown>>({
      label,
      // The prototype's `this` is the instance: it has the method, its type does not say so.
      evaluate: (klass.prototype as T).evaluate as (fiber: AnyFiber) => Effect.Effect<unknown, unknown>
    })
  )
}

class CallEffect {
  readonly ref: RefBase
  readonly index: number
  readonly payload: unknown
  readonly limitMillis: number

  constructor(ref: RefBase, index: number, payload: unknown, limitMillis: number) {
    this.ref = ref
    this.index = index
    this.payload = payload
    this.limitMillis = limitMillis
  }

  evaluate(fiber: AnyFiber): Effect.Effect<unknown, unknown> {
    const ref = this.ref
    const process = ref.target ?? ref.receiver(this.index, this.payload, fiber)
    if (process instanceof ServerProcess) return this.callServer(process, fiber)
    if (process !== undefined) return this.callOther(process, fiber)
    if (ref.runtime.isRemote(ref.address)) return this.callRemote(fiber)
    return this.fail(new CallError.NoProcess({}))
  }

  private callServer(process: ServerProcess, fiber: AnyFiber): Effect.Effect<unknown, unknown> {
    if (process.status >= EXITING) return this.fail(new CallError.NoProcess({}))
    if (process.fiber === fiber) return this.fail(new CallError.CallingSelf({}))
    const core = this.ref.core
    const message = core.messages[this.index]!
    const index = core === process.behaviour.protocol ? this.index : foreignIndex(process, message)
    if (index === undefined) return this.callOther(process, fiber)
    const envelope = new CallEnvelope(process, core.name, message, index, this.payload, fiber)
    if (!process.call(envelope)) return this.overflowed(process)
    return envelope.exit ?? envelope.wait(this.limitMillis, fiber)
  }

  /** A call whose message the receiver does not know by type: it gets the call as a value. */
  private callOther(process: LocalProcess, fiber: AnyFiber): Effect.Effect<unknown, unknown> {
    if (process.status >= EXITING) return this.fail(new CallError.NoProcess({}))
    if (process.mailboxLength >= process.capacity) return this.overflowed(process)
    const core = this.ref.core
    const message = core.messages[this.index]!
    const envelope = new CallEnvelope(process, core.name, message, -1, this.payload, fiber)
    process.receiveCall(envelope)
    return envelope.exit ?? envelope.wait(this.limitMillis, fiber)
  }

  private callRemote(fiber: AnyFiber): Effect.Effect<unknown, unknown> {
    const { core, runtime: node } = this.ref
    const remote = node.remote
    const transport = remote.transport
    const address = this.ref.address
    const nodeName = address.node!
    if (transport === undefined) return this.fail(new CallError.NodeDown({ node: nodeName }))
    const message = core.messages[this.index]!
    const from = node.pidOf(fiber)
    const key = node.takeReference()
    const reply = node.referenceOfKey(key)
    let { guard } = this.ref
    const guarded = guard !== undefined && guard.open
    if (!guarded) this.ref.guard = guard = remote.guard(address, from, key, reply)
    const call = new OutboundCall(guard!, key, reply, core.name, message, this.payload, fiber)
    if (!guarded) guard!.begin()
    const sent = transport.send(from, address, { _tag: "Call", message, payload: this.payload, reply })
    return sent === Effect.void ? call.exit ?? call.wait(this.limitMillis, fiber) : this.callLater(call, sent, nodeName)
  }

  /** The connection is being opened, or its output buffer is full: the call limit runs meanwhile. */
  private callLater(
    call: OutboundCall,
    sent: Effect.Effect<void, { readonly _tag: "NodeDown" }>,
    nodeName: string
  ): Effect.Effect<unknown, unknown> {
    return Effect.onError(
      Effect.raceFirst(
        Effect.andThen(
          Effect.catchTag(
            sent,
            "NodeDown",
            () => Effect.sync(() => call.failWith(new CallError.NodeDown({ node: nodeName })))
          ),
          Effect.never
        ),
        Effect.withFiber((fiber) => call.exit ?? call.wait(this.limitMillis, fiber))
      ),
      () => Effect.sync(() => call.released())
    )
  }

  private overflowed(process: LocalProcess): Effect.Effect<never, unknown> {
    process.countDropped()
    return this.fail(new CallError.MailboxFull({ capacity: process.capacity }))
  }

  private fail(reason: CallError.CallErrorReason): Effect.Effect<never, CallError.CallError> {
    const ref = this.ref
    return Effect.fail(
      new CallError.CallError({
        target: ref.target?.displayName ?? formatAddress(ref.address),
        protocol: ref.core.name,
        request: ref.core.messages[this.index]!._tag,
        reason
      })
    )
  }
}
asEffect("effect-otp/call", CallEffect)

const foreignIndex = (process: ServerProcess, message: Message.Any): number | undefined => {
  const core = process.behaviour.protocol
  const index = core.indexByTag.get(message._tag)
  return index !== undefined && core.messages[index]!.kind === message.kind ? index : undefined
}

class CastEffect {
  readonly ref: RefBase
  readonly index: number
  readonly payload: unknown

  constructor(ref: RefBase, index: number, payload: unknown) {
    this.ref = ref
    this.index = index
    this.payload = payload
  }

  evaluate(fiber: AnyFiber): Effect.Effect<unknown, unknown> {
    const ref = this.ref
    const process = ref.target ?? ref.receiver(this.index, this.payload, fiber)
    if (process instanceof ServerProcess) {
      const core = ref.core
      const index = core === process.behaviour.protocol
        ? this.index
        : foreignIndex(process, core.messages[this.index]!)
      const envelope = index === undefined
        ? new TermEnvelope(process, this.value())
        : new CastEnvelope(process, index, this.payload)
      const sent = process.cast(envelope, fiber)
      return sent === Effect.void ? sent : this.report(sent, process)
    }
    if (process !== undefined) return this.report(process.deliverValue(this.value(), fiber), process)
    return ref.runtime.isRemote(ref.address) ? this.castRemote(fiber) : this.lost()
  }

  private value(): unknown {
    return toValue(this.ref.core.messages[this.index]!, this.payload)
  }

  private castRemote(fiber: AnyFiber): Effect.Effect<void> {
    const { core, runtime: node } = this.ref
    const message = core.messages[this.index]!
    const kind = message.kind === "Info" ? "Info" : "Cast"
    const outbound = { _tag: kind, message, payload: this.payload } as const
    const sent = node.remote.send(node.pidOf(fiber), this.ref.address, outbound)
    return sent === Effect.void ? Effect.void : Effect.ignore(sent)
  }

  private lost(): Effect.Effect<void> {
    this.ref.runtime.discarded++
    return Effect.void
  }

  /** A full mailbox whose policy is `fail`: a typed error for a checked ref; a plain cast is dropped, and counted. */
  private report(
    sent: Effect.Effect<void, "full">,
    process: LocalProcess
  ): Effect.Effect<void, CallError.SendError> {
    return Effect.catch(sent, () => {
      if (!this.ref.checked) return Effect.sync(() => process.countDropped())
      return Effect.fail(
        new CallError.SendError({
          target: process.displayName,
          reason: new CallError.MailboxFull({ capacity: process.capacity })
        })
      )
    })
  }
}
asEffect("effect-otp/cast", CastEffect)

/** The Effect of one call. */
export const callEffect = (
  ref: RefBase,
  index: number,
  payload: unknown,
  timeout: Duration.Input | undefined
): Effect.Effect<unknown, unknown> =>
  // `asEffect` has made the class an Effect.
  new CallEffect(
    ref,
    index,
    payload,
    timeout === undefined ? defaultLimitMillis : Duration.toMillis(Duration.fromInputUnsafe(timeout))
  ) as unknown as Effect.Effect<unknown, unknown>

/** The Effect of one cast or info. */
export const castEffect = (ref: RefBase, index: number, payload: unknown): Effect.Effect<void> =>
  new CastEffect(ref, index, payload) as unknown as Effect.Effect<void>
