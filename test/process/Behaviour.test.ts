/**
 * A behaviour of one's own on the common loop: what its four functions are asked, and what the loop does for it.
 */
import { assert, describe } from "@effect/vitest"
import { Effect, Fiber, Option, Schema } from "effect"
import {
  Behaviour,
  type CallError,
  ExitReason,
  Message,
  Node,
  Process,
  type ProcessRef,
  Protocol,
  Transition
} from "effect-otp"
import { Probe, TestNode } from "effect-otp/testing"
import { TestClock } from "effect/testing"
import { everySeed } from "../testing/EverySeed.ts"

class Gone extends Schema.TaggedError<Gone>()("Gone", { name: Schema.String }) {}

/** A till: takes tickets, and hands them out in order to whoever asks, or as soon as one comes. */
class Till extends Protocol.make(
  "Till",
  Message.Call("Take", { success: Schema.String }),
  Message.Cast("Put", { payload: { ticket: Schema.String } })
) {}

interface State {
  readonly tickets: ReadonlyArray<string>
  readonly waiting: ReadonlyArray<Behaviour.CallEnvelope>
}

const isTake = (envelope: Behaviour.Envelope): envelope is Behaviour.CallEnvelope => envelope.kind === Behaviour.CALL

const makeTill = (log: Array<unknown>): Behaviour.Behaviour => ({
  name: "till",
  protocol: Till.protocol,
  init: (instance, args) => {
    instance.state = undefined
    if (args === "closed") return Effect.succeed(new Behaviour.Ignore())
    if (args === "gone") return Effect.fail(new Gone({ name: instance.displayName }))
    return Effect.succeed(
      new Behaviour.Started({ tickets: [args as string], waiting: [] } satisfies State, { timeout: "1 minute" })
    )
  },
  handle: (instance, envelope) => {
    const { tickets, waiting } = instance.state as State
    if (isTake(envelope)) {
      const [ticket, ...rest] = tickets
      return ticket === undefined
        ? Transition.next({ tickets, waiting: [...waiting, envelope] })
        : Transition.reply(ticket, { tickets: rest, waiting })
    }
    switch (envelope.kind) {
      case Behaviour.CAST: {
        const { ticket } = envelope.payload as { readonly ticket: string }
        const [first, ...rest] = waiting
        if (first === undefined) return Transition.next({ tickets: [...tickets, ticket], waiting })
        return Effect.as(first.from.reply(ticket as never), Transition.next({ tickets, waiting: rest }))
      }
      case Behaviour.TIMEOUT:
        return Transition.stop(ExitReason.shutdownWith("idle"))
      default:
        log.push(envelope.payload)
        return undefined
    }
  },
  terminate: (instance, reason) =>
    Effect.sync(() => log.push(`${ExitReason.format(reason)} with ${(instance.state as State).tickets.length}`)),
  format: (state) => (state as State).tickets.length
})

type Ref = ProcessRef.ProcessRef<Protocol.Messages<typeof Till>>

const open = (log: Array<unknown>, first = "1") =>
  Effect.map(
    Behaviour.startDetached(makeTill(log), first, { name: "till" }),
    (instance) => Behaviour.refOf(instance, Till.protocol) as Ref
  )

describe("a behaviour", () => {
  everySeed("answers calls at once, or later; typed refs reach it", () =>
    Effect.gen(function*() {
      const till = yield* open([])
      assert.strictEqual(yield* till.Take(), "1")
      const later = yield* Effect.forEach([1, 2], () => Effect.forkChild(till.Take()))
      yield* TestNode.settle
      for (const ticket of ["2", "3", "4"]) yield* till.Put({ ticket })
      assert.sameMembers(yield* Fiber.joinAll(later), ["2", "3"])
      const node = yield* Node.Node
      const byName = Behaviour.refAt(node, Till.protocol, { name: "till" }) as Ref
      assert.strictEqual(yield* byName.Take(), "4")
      assert.strictEqual(
        yield* Behaviour.call(Till.protocol, till, "Take", undefined, { timeout: 10 }).pipe(
          Effect.flip,
          Effect.map((error) => (error as CallError.CallError).reason._tag),
          Effect.forkChild,
          Effect.tap(() => TestClock.adjust(10)),
          Effect.flatMap(Fiber.join)
        ),
        "CallTimeout"
      )
    }))

  everySeed("is shown by its name and its format, and is an ordinary process", () =>
    Effect.gen(function*() {
      const log: Array<unknown> = []
      const till = yield* open(log)
      const probe = yield* Probe.make()
      yield* probe.monitor(till)
      const info = Option.getOrThrow(yield* Process.info(till))
      assert.deepStrictEqual([info.behaviour, info.state, info.names], ["till", 1, ["till"]])
      yield* Process.send(till, "anything")
      yield* Process.stop(till)
      assert.deepStrictEqual(log, ["anything", "normal with 1"])
      yield* probe.expectDown({ of: till, reason: "Normal" })
    }))

  everySeed("stops by its own decision, after a time in which nothing came", () =>
    Effect.gen(function*() {
      const log: Array<unknown> = []
      const till = yield* open(log)
      const ended = yield* Effect.forkChild(Process.awaitExit(till))
      const waiting = yield* Effect.forkChild(Effect.flip(till.Take().pipe(Effect.andThen(till.Take()))))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(waiting)).reason._tag, "CallTimeout")
      assert.isUndefined(ended.pollUnsafe())
      const again = yield* Effect.orDie(Behaviour.startDetached(makeTill(log), "x", {}))
      yield* TestClock.adjust("59999 millis")
      assert.isTrue(again.alive)
      yield* TestClock.adjust(1)
      assert.isFalse(again.alive)
      assert.deepStrictEqual(log, ["{shutdown, idle} with 1"])
      yield* Process.kill(till)
      assert.deepStrictEqual(yield* Fiber.join(ended), ExitReason.killed)
    }))

  everySeed("may fail to start in its own way, or ignore, and leaves no name behind", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* Effect.flip(open([], "gone")), new Gone({ name: "till" }))
      const ignored = yield* Effect.flip(open([], "closed"))
      assert.strictEqual((ignored as CallError.StartError).reason._tag, "Ignored")
      assert.deepStrictEqual(yield* Process.registered, [])
    }))
})
