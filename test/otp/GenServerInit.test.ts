/**
 * How a server starts: what `init` may do, and that a start that fails leaves nothing behind [S14].
 */
import { assert, describe } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Option, Schema } from "effect"
import { CallError, ExitReason, GenServer, Message, Node, Process, Protocol, Signal } from "effect-otp"
import { TestNode } from "effect-otp/testing"
import { TestClock } from "effect/testing"
import { everySeed } from "../testing/EverySeed.ts"
import { onNode } from "./OnNode.ts"

class NoLicence extends Schema.TaggedError<NoLicence>()("NoLicence", { key: Schema.String }) {}

class Store extends Protocol.make(
  "Store",
  Message.Call("Get", { success: Schema.Unknown }),
  Message.Cast("Put", { payload: { value: Schema.Unknown } })
) {}

type Init = Effect.Effect<unknown, NoLicence, any>

/** A server whose start is what the test says. */
const StoreServer = GenServer.make(Store, {
  init: (init: Init) => init,
  handlers: {
    Get: (_, value) => value,
    Put: ({ value }) => GenServer.next(value)
  },
  continue: (value: string, state) => GenServer.next(`${String(state)} then ${value}`)
})

const startError = (effect: Effect.Effect<unknown, NoLicence | CallError.StartError, any>) =>
  Effect.map(Effect.flip(effect as Effect.Effect<unknown, NoLicence | CallError.StartError>), (error) => {
    assert.instanceOf(error, CallError.StartError)
    return error
  })

const nobodyLeft = Effect.gen(function*() {
  assert.deepStrictEqual(yield* Process.registered, [])
  assert.strictEqual((yield* Node.statistics).processes, 0)
})

describe("init", () => {
  onNode("makes the first state, by an Effect that may wait", () =>
    Effect.gen(function*() {
      const store = yield* GenServer.start(StoreServer, Effect.as(Effect.yieldNow, "first"))
      assert.strictEqual(yield* store.Get(), "first")
    }))

  everySeed(
    "runs in the process: it can register, monitor and start children of its own",
    () =>
      Effect.gen(function*() {
        const target = yield* Process.spawnDetached(() => Effect.never)
        const store = yield* GenServer.start(
          StoreServer,
          Effect.gen(function*() {
            const self = yield* Process.self
            yield* Process.register("another name", self)
            yield* Process.monitor(target)
            yield* Process.spawn(() => Effect.never, { name: "child" })
            return self
          }).pipe(Effect.orDie)
        )
        assert.strictEqual(yield* store.Get(), store.pid)
        const info = yield* Effect.flatMap(Process.info(store), Effect.fromOption)
        assert.deepStrictEqual(info.names, ["another name"])
        assert.deepStrictEqual(info.monitors, [target])
        assert.deepStrictEqual(info.children, [Option.getOrThrow(yield* Process.whereis("child"))])
        yield* Process.kill(store)
        yield* TestNode.settle
        assert.deepStrictEqual(yield* Process.registered, [])
      })
  )

  everySeed("may call others: a server that is there, and one that it has started", () =>
    Effect.gen(function*() {
      const there = yield* GenServer.start(StoreServer, Effect.succeed("there"))
      const store = yield* GenServer.start(
        StoreServer,
        Effect.gen(function*() {
          const own = yield* Effect.orDie(GenServer.start(StoreServer, Effect.succeed("own")))
          return [yield* Effect.orDie(there.Get()), yield* Effect.orDie(own.Get())]
        })
      )
      assert.deepStrictEqual(yield* store.Get(), ["there", "own"])
    }))

  for (
    const [how, before] of [["at once", Effect.void], ["after a while", Effect.yieldNow]] as const
  ) {
    onNode(
      `[S14] that fails ${how} with a typed error gives it to the starter, and leaves no name behind`,
      () =>
        Effect.gen(function*() {
          const error = yield* Effect.flip(
            GenServer.startDetached(
              StoreServer,
              Effect.andThen(before, Effect.fail(new NoLicence({ key: "k" }))),
              { name: "store" }
            )
          )
          assert.deepStrictEqual(error, new NoLicence({ key: "k" }))
          yield* nobodyLeft
          yield* GenServer.startDetached(StoreServer, Effect.succeed(1), { name: "store" })
        })
    )

    onNode(
      `[S14] that dies ${how} is a StartError with the reason, and leaves no name behind`,
      () =>
        Effect.gen(function*() {
          const error = yield* startError(
            GenServer.startDetached(StoreServer, Effect.andThen(before, Effect.die("broken")), { name: "store" })
          )
          assert.strictEqual(error.process, "store")
          assert.strictEqual(error.reason._tag, "InitExit")
          assert.include(error.message, "broken")
          yield* nobodyLeft
        })
    )

    onNode(`[S14] that ignores ${how} is the reason Ignored, and leaves no name behind`, () =>
      Effect.gen(function*() {
        const error = yield* startError(
          GenServer.startDetached(StoreServer, Effect.as(before, GenServer.ignore), { name: "store" })
        )
        assert.strictEqual(error.reason._tag, "Ignored")
        yield* nobodyLeft
      }))

    onNode(`[S14] that exits ${how} with a reason of its own is InitExit with it`, () =>
      Effect.gen(function*() {
        const error = yield* startError(
          GenServer.startDetached(
            StoreServer,
            Effect.andThen(before, Process.exitSelf(ExitReason.shutdownWith("closed"))),
            { name: "store" }
          )
        )
        assert.deepStrictEqual(
          error.reason,
          new CallError.InitExit({ exitReason: ExitReason.shutdownWith("closed") })
        )
        yield* nobodyLeft
      }))
  }

  onNode("[S14] that throws where it should have made an Effect is a StartError", () =>
    Effect.gen(function*() {
      const server = GenServer.make(Store, {
        init: (): Effect.Effect<unknown> => {
          throw new Error("thrown")
        },
        handlers: StoreServer.handlers
      })
      const error = yield* startError(GenServer.startDetached(server, undefined, { name: "store" }))
      assert.include(error.message, "thrown")
      yield* nobodyLeft
    }))

  onNode("[S14] that fails has released what it acquired when the starter learns of it", () =>
    Effect.gen(function*() {
      let open = 0
      const init = Effect.gen(function*() {
        yield* Effect.acquireRelease(
          Effect.sync(() => open++),
          () => Effect.andThen(Effect.yieldNow, Effect.sync(() => open--))
        )
        yield* Effect.yieldNow
        return yield* new NoLicence({ key: "k" })
      })
      yield* Effect.flip(GenServer.startDetached(StoreServer, init, { name: "store" }))
      assert.strictEqual(open, 0)
      yield* Effect.exit(
        GenServer.startDetached(
          StoreServer,
          Effect.andThen(
            Effect.acquireRelease(Effect.sync(() => open++), () => Effect.sync(() => open--)),
            Effect.die(1)
          )
        )
      )
      assert.strictEqual(open, 0)
      yield* nobodyLeft
    }))

  onNode("[S14] that hangs is killed at the limit: no name, no process, no message", () =>
    Effect.gen(function*() {
      const ended: Array<string> = []
      const starting = yield* Effect.forkChild(
        Process.run(Effect.gen(function*() {
          yield* Process.trapExit(true)
          const error = yield* startError(
            GenServer.startDetached(
              StoreServer,
              Effect.andThen(Effect.addFinalizer(() => Effect.sync(() => ended.push("released"))), Effect.never),
              { name: "store", timeout: "2 seconds", link: true }
            )
          )
          const left = yield* Process.receive(Schema.Unknown, { timeout: 0 })
          return [error.reason, left] as const
        })),
        { startImmediately: true }
      )
      yield* TestClock.adjust("1999 millis")
      assert.isTrue(Option.isSome(yield* Process.whereis("store")))
      yield* TestClock.adjust("1 millis")
      const [reason, left] = yield* Fiber.join(starting)
      assert.deepStrictEqual(reason, new CallError.InitTimeout({ timeoutMillis: 2000 }))
      assert.isTrue(Option.isNone(left))
      assert.deepStrictEqual(ended, ["released"])
      yield* nobodyLeft
    }))

  onNode("[S14] that ends in time is not hit by the limit later", () =>
    Effect.gen(function*() {
      const store = yield* GenServer.start(StoreServer, Effect.as(Effect.yieldNow, 1), { timeout: "1 second" })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* store.Get(), 1)
    }))

  onNode(
    "[S14] that fails leaves no exit message with a linked starter that traps exits",
    () =>
      Effect.gen(function*() {
        const left = yield* Process.run(Effect.gen(function*() {
          yield* Process.trapExit(true)
          for (
            const init of [
              Effect.die("broken"),
              Effect.fail(new NoLicence({ key: "" })),
              Effect.succeed(GenServer.ignore)
            ]
          ) {
            yield* Effect.flip(
              GenServer.startDetached(StoreServer, Effect.andThen(Effect.yieldNow, init as Init), { link: true })
            )
          }
          return yield* Process.receive(Schema.Unknown, { timeout: 0 })
        }))
        assert.isTrue(Option.isNone(left))
        yield* nobodyLeft
      })
  )

  onNode("links with its starter before it runs, when it is asked to", () =>
    Effect.gen(function*() {
      const reason = yield* Process.run(Effect.gen(function*() {
        yield* Process.trapExit(true)
        const store = yield* GenServer.startDetached(StoreServer, Effect.succeed(1), { link: true })
        yield* Process.kill(store)
        const exit = yield* Process.receive(Signal.ExitSchema)
        assert.strictEqual(exit.from, store.pid)
        return exit.reason
      }))
      assert.deepStrictEqual(reason, ExitReason.killed)
    }))

  onNode("[S14] of the one who loses the race for a name never runs", () =>
    Effect.gen(function*() {
      let runs = 0
      const gate = yield* Deferred.make<void>()
      const init = Effect.andThen(Effect.sync(() => runs++), Deferred.await(gate))
      const winner = yield* Effect.forkChild(GenServer.start(StoreServer, init, { name: "store" }), {
        startImmediately: true
      })
      const error = yield* startError(GenServer.start(StoreServer, init, { name: "store" }))
      assert.strictEqual(error.reason._tag, "NameTaken")
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(winner)
      assert.strictEqual(runs, 1)
    }))

  everySeed(
    "[S14] of many who want one name at once runs once, and the others learn who has it",
    () =>
      Effect.gen(function*() {
        let runs = 0
        const starts = yield* Effect.all(
          Array.from({ length: 10 }, () =>
            Effect.result(
              Effect.andThen(
                Effect.yieldNow,
                GenServer.start(StoreServer, Effect.andThen(Effect.yieldNow, Effect.sync(() => ++runs)), {
                  name: "store"
                })
              )
            )),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(runs, 1)
        assert.strictEqual(starts.filter((start) => start._tag === "Success").length, 1)
        const holder = Option.getOrThrow(yield* Process.whereis("store")).toString()
        for (const start of starts) {
          if (start._tag === "Failure") {
            assert.deepStrictEqual(
              (start.failure as CallError.StartError).reason,
              new CallError.NameTaken({ name: "store", pid: holder })
            )
          }
        }
      })
  )

  onNode("[S14] is ended when its starter is interrupted, before the starter is", () =>
    Effect.gen(function*() {
      let released = false
      const starting = yield* Effect.forkChild(
        GenServer.startDetached(
          StoreServer,
          Effect.andThen(
            Effect.addFinalizer(() => Effect.andThen(Effect.yieldNow, Effect.sync(() => released = true))),
            Effect.never
          ),
          { name: "store" }
        ),
        { startImmediately: true }
      )
      yield* Fiber.interrupt(starting)
      assert.isTrue(released)
      yield* nobodyLeft
    }))

  onNode(
    "[S14] that ends in the turn in which an exit signal hits does not make the signal undone",
    () =>
      Effect.gen(function*() {
        for (const reason of [ExitReason.error("bad"), ExitReason.kill]) {
          const error = yield* startError(
            GenServer.startDetached(
              StoreServer,
              Effect.flatMap(Process.self, (pid) => Effect.as(Process.exit(pid, reason), "state")) as Init,
              { name: "store" }
            )
          )
          const exitReason = reason._tag === "Kill" ? ExitReason.killed : reason
          assert.deepStrictEqual(error.reason, new CallError.InitExit({ exitReason }))
          yield* nobodyLeft
        }
      })
  )

  onNode(
    "[S13] may go on with a continuation, which runs before every message that waits",
    () =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        const init = Effect.as(Deferred.await(gate), GenServer.started("started", { continue: "continued" }))
        const starting = yield* Effect.forkChild(GenServer.start(StoreServer, init, { name: "store" }), {
          startImmediately: true
        })
        const early = yield* GenServer.named(Store, "store")
        const reply = yield* Effect.forkChild(early.Get(), { startImmediately: true })
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(starting)
        assert.strictEqual(yield* Fiber.join(reply), "started then continued")
      })
  )

  onNode("handles what was sent to its name while it ran, afterwards and in order", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const starting = yield* Effect.forkChild(
        GenServer.start(StoreServer, Effect.as(Deferred.await(gate), 0), { name: "store" }),
        { startImmediately: true }
      )
      const early = yield* GenServer.named(Store, "store")
      yield* early.Put({ value: 1 })
      yield* early.Put({ value: 2 })
      const reply = yield* Effect.forkChild(early.Get(), { startImmediately: true })
      assert.isUndefined(reply.pollUnsafe())
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(starting)
      assert.strictEqual(yield* Fiber.join(reply), 2)
    }))

  onNode("[S14] that fails has its waiting callers learn the reason", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const starting = yield* Effect.forkChild(
        Effect.exit(
          GenServer.start(StoreServer, Effect.andThen(Deferred.await(gate), Effect.die("broken")), { name: "store" })
        ),
        { startImmediately: true }
      )
      const early = yield* GenServer.named(Store, "store")
      const reply = yield* Effect.forkChild(Effect.flip(early.Get()), { startImmediately: true })
      yield* Deferred.succeed(gate, undefined)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(starting)))
      const error = yield* Fiber.join(reply)
      assert.strictEqual(error.reason._tag, "ProcessExit")
      assert.include(error.message, "broken")
    }))

  onNode("[S14] that fails in closure style gives its typed error too", () =>
    Effect.gen(function*() {
      const server = GenServer.make(Store, (key: string) =>
        Effect.gen(function*() {
          if (key === "") return yield* new NoLicence({ key })
          let value: unknown = key
          return Store.of({
            Get: () => value,
            Put: (put) => {
              value = put.value
            }
          })
        }))
      assert.deepStrictEqual(yield* Effect.flip(GenServer.startDetached(server, "")), new NoLicence({ key: "" }))
      const store = yield* GenServer.start(server, "k")
      assert.strictEqual(yield* store.Get(), "k")
    }))
})
