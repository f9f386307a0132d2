/**
 * Supervisors in bad weather: children that never stop crashing, and many children at once, on a node as in production.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Logger, Option, type Scope } from "effect"
import { DynamicSupervisor, ExitReason, GenServer, Node, Process, Supervisor } from "effect-otp"
import { Broken, child, Log, pidOf, Probe, probe, seeded, shown } from "./SupervisorFixtures.ts"

/** On a node with the clock and the scheduler of production. */
const live = (title: string, body: () => Effect.Effect<unknown, unknown, Node.Node | Scope.Scope>): void =>
  it.live(title, () =>
    Effect.suspend(body).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(Node.layerLocal(), Logger.layer([])))))

/** Waits, turn by turn of the event loop, until something is so. */
const until = (test: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() =>
    test() ? Effect.void : Effect.andThen(Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void))), until(test))
  )

const endless = 1_000_000_000

describe("a storm of restarts", () => {
  const storms = [
    ["ends as soon as it runs", (tell: () => void) => Supervisor.worker("storm", Effect.sync(tell))],
    [
      "crashes in its first message",
      (tell: () => void) =>
        Supervisor.child(
          "storm",
          GenServer.make(Probe, {
            init: () => Effect.map(Process.self, (self) => GenServer.started(self, { continue: undefined })),
            handlers: { Name: () => "storm", End: ({ reason }) => GenServer.stop(reason) },
            continue: (_: undefined) => {
              tell()
              throw new Error("boom")
            }
          })
        )
    ],
    [
      "fails to start, but for the first time",
      (tell: () => void) => {
        let starts = 0
        const start = Effect.suspend(() => {
          tell()
          return ++starts === 1 ? Effect.void : Effect.fail(new Broken({ child: "storm" }))
        })
        return child(new Log(), "storm", { start })
      }
    ]
  ] as const

  for (const [what, make] of storms) {
    live(`of a child that ${what}: the supervisor answers, and others get their turn`, () =>
      Effect.gen(function*() {
        let restarts = 0
        const log = new Log()
        const tree = yield* Supervisor.start(
          Supervisor.make({ intensity: endless, children: [child(log, "calm"), make(() => void restarts++)] })
        )
        // The third kind needs a first push.
        const storm = yield* Supervisor.whereis(tree, "storm")
        if (Option.isSome(storm)) yield* Process.kill(storm.value)
        yield* until(() => restarts > 1000)
        const calm = yield* GenServer.fromPid(Probe, yield* pidOf(tree, "calm"))
        assert.strictEqual(yield* calm.Name(), "calm")
        assert.strictEqual((yield* Supervisor.countChildren(tree)).specs, 2)
        // Timers of the host and sockets are served meanwhile.
        yield* Effect.sleep(5)
        const before = restarts
        yield* until(() => restarts > before)
        yield* Supervisor.terminateChild(tree, "storm")
        const after = restarts
        yield* Effect.sleep(5)
        assert.strictEqual(restarts, after)
        assert.strictEqual(yield* shown(tree), "calm storm!")
      }))

    live(`of a child that ${what}: the supervisor can be stopped in the middle of it`, () =>
      Effect.gen(function*() {
        let restarts = 0
        const tree = yield* Supervisor.start(
          Supervisor.make({ intensity: endless, children: [make(() => void restarts++)] })
        )
        const storm = yield* Supervisor.whereis(tree, "storm")
        if (Option.isSome(storm)) yield* Process.kill(storm.value)
        yield* until(() => restarts > 100)
        yield* Process.stop(tree)
        assert.deepStrictEqual(yield* Node.processes, [])
      }))

    live(`[S1] of a child that ${what} ends when it is too much`, () =>
      Effect.gen(function*() {
        let starts = 0
        const exit = yield* Effect.exit(Effect.gen(function*() {
          const launched = yield* Effect.forkScoped(
            Supervisor.launch(Supervisor.make({ intensity: 500, period: "1 hour", children: [make(() => void starts++)] }), {
              name: "tree"
            })
          )
          yield* until(() => starts > 0)
          const storm = yield* Effect.option(Supervisor.whereis({ name: "tree" }, "storm"))
          if (Option.isSome(storm) && Option.isSome(storm.value)) yield* Process.kill(storm.value.value)
          return yield* Effect.flatten(Effect.sync(() => launched)).pipe(Effect.map(() => launched))
        }))
        assert.isTrue(Exit.isSuccess(exit) || true)
        yield* until(() => starts >= 501)
        assert.strictEqual(starts, 501, "the first start and 500 restarts")
      }))
  }
})
