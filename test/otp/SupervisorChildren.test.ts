/**
 * What can be a child, and what a child is to its supervisor: servers, Effects, Layers, supervisors; parent, links,
 * environment, reports; trees as layers and as main programs.
 */
import { assert, describe } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Logger, Option, References, Schema, Scope } from "effect"
import type { OtpError } from "effect-otp"
import { DynamicSupervisor, ExitReason, GenServer, Message, Node, Process, Protocol, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import * as TestNode from "../../src/testing/TestNode.ts"
import {
  Broken,
  child,
  end,
  endOf,
  error,
  Log,
  onNode,
  pidOf,
  Probe,
  probe,
  seeded,
  shown
} from "./SupervisorFixtures.ts"

describe("an Effect as a child", () => {
  const outcomes = [
    ["completes", Effect.void, { permanent: "a", transient: "a!", temporary: "" }],
    ["fails", Effect.fail(new Broken({ child: "a" })), { permanent: "a", transient: "a", temporary: "" }],
    ["dies", Effect.die(new Error("boom")), { permanent: "a", transient: "a", temporary: "" }],
    ["is interrupted", Effect.interrupt, { permanent: "a", transient: "a!", temporary: "" }],
    ["exits", Process.exitSelf(ExitReason.shutdownWith("done")), { permanent: "a", transient: "a!", temporary: "" }]
  ] as const
  for (const [what, effect, expected] of outcomes) {
    for (const restart of ["permanent", "transient", "temporary"] as const) {
      seeded(`[S5] that ${what}, ${restart}`, () =>
        Effect.gen(function*() {
          let runs = 0
          const once = Effect.suspend(() => ++runs === 1 ? Effect.andThen(Effect.sleep(100), effect) : Effect.never)
          const tree = yield* Supervisor.start(
            Supervisor.make({ children: [Supervisor.worker("a", once, { restart })] })
          )
          yield* TestClock.adjust(100)
          assert.strictEqual(yield* shown(tree), expected[restart])
          assert.strictEqual(runs, expected[restart] === "a" ? 2 : 1)
        }))
    }
  }

  seeded("releases what it acquired, and its own fibers, when it is stopped", () =>
    Effect.gen(function*() {
      const log = new Log()
      const effect = Effect.gen(function*() {
        yield* Effect.addFinalizer(() => log.add("released"))
        yield* Effect.forkScoped(Effect.onInterrupt(Effect.never, () => log.add("interrupted")))
        yield* Process.label("renamed")
        return yield* Effect.never
      })
      const tree = yield* Supervisor.start(Supervisor.make({ children: [Supervisor.worker("a", effect)] }))
      const a = yield* endOf(yield* pidOf(tree, "a"))
      yield* Supervisor.terminateChild(tree, "a")
      assert.strictEqual(log.take(), "interrupted released")
      assert.strictEqual(yield* a.reason, "shutdown")
    }))

  seeded("that ends at once is started again until that is too often", () =>
    Effect.gen(function*() {
      let runs = 0
      const reason = yield* Supervisor.launch(Supervisor.make({
        intensity: 7,
        children: [Supervisor.worker("a", Effect.sync(() => void runs++))]
      }))
      assert.strictEqual(reason, ExitReason.shutdown)
      assert.strictEqual(runs, 8)
    }))
})

describe("a Layer as a child", () => {
  class Db extends Context.Service<Db, number>()("Db") {}

  seeded("is built at each start and released at each end, before it is built again", () =>
    Effect.gen(function*() {
      const log = new Log()
      let builds = 0
      const DbLive = Layer.effect(
        Db,
        Effect.suspend(() => {
          const build = ++builds
          return Effect.acquireRelease(
            Effect.as(log.add(`open ${build}`), build),
            () => Effect.andThen(Effect.sleep(10), log.add(`close ${build}`))
          )
        })
      )
      // The same layer twice, and once below another: each child builds its own.
      const Above = Layer.provide(Layer.effectDiscard(Effect.flatMap(Db, (db) => log.add(`above ${db}`))), DbLive)
      const tree = yield* Supervisor.start(
        Supervisor.make({ children: [Supervisor.fromLayer("a", DbLive), Supervisor.fromLayer("b", Above)] })
      )
      assert.strictEqual(log.take(), "open 1 open 2 above 2")
      yield* Process.kill(yield* pidOf(tree, "a"))
      yield* TestClock.adjust(10)
      assert.strictEqual(log.take(), "close 1 open 3")
      yield* Effect.forkScoped(Process.stop(tree))
      yield* TestClock.adjust(10)
      assert.strictEqual(log.take(), "close 2")
      yield* TestClock.adjust(10)
      assert.strictEqual(log.take(), "close 3")
    }))

  seeded("that cannot be built is a start that failed, with its typed error", () =>
    Effect.gen(function*() {
      const log = new Log()
      const layer = Layer.effect(Db, Effect.fail(new Broken({ child: "db" })))
      const failed = yield* Effect.flip(
        Supervisor.start(Supervisor.make({ children: [child(log, "a"), Supervisor.fromLayer("db", layer)] }))
      )
      assert.strictEqual(failed._tag, "SupervisorStartError")
      assert.deepStrictEqual((failed as OtpError.SupervisorStartError<Broken>).error, new Broken({ child: "db" }))
      assert.strictEqual(log.take(), "+a -a")
    }))

  seeded("uses services of whoever starts the tree", () =>
    Effect.gen(function*() {
      const log = new Log()
      const layer = Layer.effectDiscard(Effect.flatMap(Db, (db) => log.add(`db ${db}`)))
      const Tree = Supervisor.make({ children: [Supervisor.fromLayer("a", layer)] })
      yield* Effect.provideService(Supervisor.start(Tree), Db, 7)
      assert.strictEqual(log.take(), "db 7")
    }))
})

describe("a child and its supervisor", () => {
  seeded("its parent is the supervisor, to which it is linked", () =>
    Effect.gen(function*() {
      const parents: Array<string> = []
      const effect = Effect.flatMap(Process.parent, (parent) => {
        parents.push(Option.getOrThrow(parent).toString())
        return Effect.never
      })
      const log = new Log()
      const below = Supervisor.make({ children: [Supervisor.worker("b", effect)] })
      const tree = yield* Supervisor.start(
        Supervisor.make({ children: [child(log, "a"), Supervisor.nested("below", below)] })
      )
      yield* TestNode.settle
      const sub = yield* pidOf(tree, "below")
      assert.deepStrictEqual(parents, [sub.toString()])
      const info = Option.getOrThrow(yield* Process.info(tree))
      const children = [yield* pidOf(tree, "a"), sub]
      assert.deepStrictEqual(info.children, children)
      assert.deepStrictEqual(info.links, children)
      assert.deepStrictEqual(Option.getOrThrow(yield* Process.info(sub)).links, [tree.pid, yield* pidOf(sub, "b")])
    }))

  seeded(
    "the environment of a tree is seen by all below, who may see another value from nearer",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const tell = (id: string) =>
          Supervisor.worker(
            id,
            Effect.gen(function*() {
              const [color, size] = [yield* Process.getEnv("color"), yield* Process.getEnv("size")]
              yield* log.add(`${id}:${Option.getOrNull(color)}/${Option.getOrNull(size)}`)
              return yield* Effect.never
            })
          )
        const lowest = Supervisor.make({ children: [tell("c")] })
        const below = Supervisor.make({ children: [tell("b"), Supervisor.nested("lowest", lowest)] })
        const tree = yield* Supervisor.start(
          Supervisor.make({
            children: [tell("a"), Supervisor.nested("below", below, { environment: { color: "green" } })]
          }),
          { environment: { color: "red", size: 7 } }
        )
        yield* TestNode.settle
        assert.deepStrictEqual(log.take().split(" ").sort(), ["a:red/7", "b:green/7", "c:green/7"])
        yield* Process.kill(yield* pidOf(yield* pidOf(yield* pidOf(tree, "below"), "lowest"), "c"))
        yield* TestNode.settle
        assert.strictEqual(log.take(), "c:green/7", "also after a restart")
      })
  )

  seeded("it keeps its name over restarts, and refs by name go on working", () =>
    Effect.gen(function*() {
      const log = new Log()
      const tree = yield* Supervisor.start(Supervisor.make({ children: [child(log, "a", { name: "the a" })] }))
      const ref = yield* GenServer.named(Probe, "the a")
      const before = yield* pidOf(tree, "a")
      assert.strictEqual(yield* ref.Name(), "a")
      yield* end(tree, "a")
      assert.strictEqual(yield* ref.Name(), "a")
      assert.deepStrictEqual(yield* Process.whereis("the a"), yield* Supervisor.whereis(tree, "a"))
      assert.notDeepEqual(yield* pidOf(tree, "a"), before)
    }))

  seeded("it starts anew from its arguments: nothing of the state that it had is left", () =>
    Effect.gen(function*() {
      class Basket extends Protocol.make(
        "Basket",
        Message.Cast("Put", { payload: Schema.String }),
        Message.Call("All", { success: Schema.Array(Schema.String) })
      ) {}
      const server = GenServer.make(Basket, {
        init: (first: string) => Effect.succeed<ReadonlyArray<string>>([first]),
        handlers: {
          Put: (item, all) => GenServer.next([...all, item]),
          All: (_, all) => all
        }
      })
      const ids = ["a", "b"] as const
      // One definition serves both.
      const tree = yield* Supervisor.start(
        Supervisor.make({ children: ids.map((id) => Supervisor.child(id, server, id, { name: id })) })
      )
      const [a, b] = [yield* GenServer.named(Basket, "a"), yield* GenServer.named(Basket, "b")]
      yield* a.Put("apple")
      yield* b.Put("pear")
      yield* Process.kill(yield* pidOf(tree, "a"))
      yield* TestNode.settle
      assert.deepStrictEqual([yield* a.All(), yield* b.All()], [["a"], ["b", "pear"]])
    }))

  seeded("a child that took its link away is stopped with the others", () =>
    Effect.gen(function*() {
      const log = new Log()
      const loner = (id: string, then: Effect.Effect<unknown>) =>
        Supervisor.worker(
          id,
          Effect.gen(function*() {
            yield* Effect.addFinalizer(() => log.add(`-${id}`))
            yield* Process.unlink(Option.getOrThrow(yield* Process.parent))
            yield* then
          }),
          { shutdown: "infinity" }
        )
      const tree = yield* Supervisor.start(
        Supervisor.make({ children: [child(log, "a"), loner("b", Effect.never), loner("c", Effect.void)] })
      )
      const ended = yield* endOf(tree.pid)
      yield* TestNode.settle
      // The end of c was its own business; nobody heard of it.
      assert.strictEqual(log.take(), "+a -c")
      assert.strictEqual(yield* shown(tree), "a b c")
      yield* Process.stop(tree)
      assert.strictEqual(log.take(), "-b -a")
      assert.strictEqual(yield* ended.reason, "normal")
    }))
})

describe("reports", () => {
  onNode("have the fields of OTP's, in the journal of the node and in logs", () =>
    Effect.gen(function*() {
      const log = new Log()
      const reports: Array<unknown> = []
      const logs: Array<unknown> = []
      yield* Node.trace((event) => {
        if (event._tag === "Report") reports.push({ name: event.name, ...event.report as object })
      })
      const logger = Logger.make(({ fiber, logLevel, message }) => {
        const annotations = fiber.getRef(References.CurrentLogAnnotations)
        if ("context" in annotations) logs.push([logLevel, String(message), annotations["context"]])
      })
      let pids: Array<string | undefined> = []
      yield* Effect.gen(function*() {
        let starts = 0
        const start = Effect.suspend(() => ++starts === 2 ? Effect.fail(new Broken({ child: "a" })) : Effect.void)
        const tree = yield* Supervisor.start(
          Supervisor.make({
            intensity: 2,
            children: [child(log, "a", { start, shutdown: 100 }), child(log, "b", { restart: "transient" })]
          }),
          { name: "tree" }
        )
        const first = yield* pidOf(tree, "a")
        yield* end(tree, "a")
        const second = yield* pidOf(tree, "a")
        pids = [first.toString(), second.toString(), (yield* pidOf(tree, "b")).toString()]
        yield* end(tree, "b", ExitReason.normal)
        yield* end(tree, "a")
      }).pipe(
        Effect.provide(Logger.layer([logger])),
        Effect.provideService(References.MinimumLogLevel, "Debug")
      )
      const a = { id: "a", restart: "permanent", shutdown: 100, type: "worker" }
      const b = { id: "b", restart: "transient", shutdown: 5000, type: "worker" }
      const tree = { name: "tree", supervisor: "tree" }
      assert.deepStrictEqual(reports, [
        { ...tree, context: "progress", reason: undefined, offender: { ...a, pid: pids[0] } },
        { ...tree, context: "progress", reason: undefined, offender: { ...b, pid: pids[2] } },
        { ...tree, context: "child_terminated", reason: "Error: boom", offender: { ...a, pid: pids[0] } },
        { ...tree, context: "start_error", reason: "Broken {\"child\":\"a\"}", offender: { ...a, pid: pids[0] } },
        { ...tree, context: "progress", reason: undefined, offender: { ...a, pid: pids[1] } },
        { ...tree, context: "child_terminated", reason: "Error: boom", offender: { ...a, pid: pids[1] } },
        { ...tree, context: "shutdown", reason: "reached_max_restart_intensity", offender: { ...a, pid: pids[1] } }
      ])
      assert.deepStrictEqual(logs, [
        ["Debug", "supervisor tree: progress a", "progress"],
        ["Debug", "supervisor tree: progress b", "progress"],
        ["Error", "supervisor tree: child_terminated a: Error: boom", "child_terminated"],
        ["Error", "supervisor tree: start_error a: Broken {\"child\":\"a\"}", "start_error"],
        ["Debug", "supervisor tree: progress a", "progress"],
        ["Error", "supervisor tree: child_terminated a: Error: boom", "child_terminated"],
        ["Error", "supervisor tree: shutdown a: reached_max_restart_intensity", "shutdown"]
      ])
    }))

  onNode("say of children that did not stop as told why, and of dynamic ones how many", () =>
    Effect.gen(function*() {
      const log = new Log()
      const reports: Array<unknown> = []
      yield* Node.trace((event) => {
        if (event._tag !== "Report") return
        const { context, offender, reason } = event.report as {
          readonly context: string
          readonly reason: string
          readonly offender: { readonly id: string; readonly count?: number }
        }
        if (context !== "progress") reports.push([context, reason, offender.id, offender.count])
      })
      const crash = { trapExit: true, stop: Effect.die(new Error("late")) } as const
      const workers = DynamicSupervisor.make(probe(log, { stop: crash.stop }), { trapExit: true })
      const tree = yield* Supervisor.start(Supervisor.make({
        children: [
          child(log, "a", crash),
          child(log, "b"),
          DynamicSupervisor.asChild("workers", workers, { name: "workers" })
        ]
      }))
      const ref = Option.getOrThrow(yield* DynamicSupervisor.named(workers, "workers"))
      for (const name of ["1", "2", "3"]) yield* DynamicSupervisor.startChild(ref, name)
      yield* Process.stop(tree)
      assert.deepStrictEqual(reports, [
        ["shutdown_error", "Error: late", "Probe", 3],
        ["shutdown_error", "Error: late", "a", undefined]
      ])
    }))

  onNode("an observer sees what a supervisor does", () =>
    Effect.gen(function*() {
      const log = new Log()
      const tree = yield* Supervisor.start(Supervisor.make({ children: [child(log, "a")] }))
      yield* end(tree, "a")
      const info = Option.getOrThrow(yield* Process.info(tree))
      assert.deepStrictEqual(info.state, { phase: "running", activity: "idle", waiting: 0, children: 1, restarts: 1 })
    }))

  onNode("other messages are of no use to a supervisor, and counted", () =>
    Effect.gen(function*() {
      const log = new Log()
      const tree = yield* Supervisor.start(Supervisor.make({ children: [child(log, "a")] }))
      const before = (yield* Node.statistics).unhandled
      yield* Process.send(tree, "hello")
      yield* Process.send(tree, { _tag: "TerminateChild", id: "a" })
      yield* TestNode.settle
      assert.strictEqual((yield* Node.statistics).unhandled, before + 2)
      assert.strictEqual(yield* shown(tree), "a")
    }))
})

describe("a tree as a layer, and as a program", () => {
  seeded(
    "starts when the layer is built and stops in reverse order when its scope closes",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const stopping = { trapExit: true, stop: Effect.sleep(100) } as const
        const Tree = Supervisor.make({ children: [child(log, "a", stopping), child(log, "b", stopping)] })
        const scope = yield* Scope.make()
        yield* Layer.buildWithScope(Supervisor.layer(Tree, { name: "tree" }), scope)
        assert.strictEqual(log.take(), "+a +b")
        assert.isTrue(Option.isSome(yield* Process.whereis("tree")))
        yield* Effect.forkScoped(Scope.close(scope, Exit.void))
        yield* TestClock.adjust(200)
        assert.strictEqual(log.take(), "~b -b ~a -a")
        assert.deepStrictEqual(yield* Node.processes, [])
      })
  )

  seeded("that cannot start fails the layer", () =>
    Effect.gen(function*() {
      const log = new Log()
      const Tree = Supervisor.make({
        children: [child(log, "a"), child(log, "b", { start: Effect.fail(new Broken({ child: "b" })) })]
      })
      const failed = yield* Effect.flip(Effect.scoped(Layer.build(Supervisor.layer(Tree))))
      assert.strictEqual(failed._tag, "SupervisorStartError")
      assert.strictEqual(log.take(), "+a -a")
    }))

  seeded("runs as the main program until it ends, and gives its reason", () =>
    Effect.gen(function*() {
      const log = new Log()
      const Tree = Supervisor.make({
        autoShutdown: "any_significant",
        children: [
          child(log, "a"),
          Supervisor.worker("main", Effect.sleep("1 minute"), { restart: "transient", significant: true })
        ]
      })
      const program = yield* Effect.forkScoped(Supervisor.launch(Tree))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* Fiber.join(program), ExitReason.shutdown)
      assert.strictEqual(log.take(), "+a -a")
    }))

  seeded("stops in reverse order when the program is interrupted", () =>
    Effect.gen(function*() {
      const log = new Log()
      const program = yield* Effect.forkScoped(
        Supervisor.launch(Supervisor.make({ children: [child(log, "a"), child(log, "b")] }))
      )
      yield* TestNode.settle
      assert.strictEqual(log.take(), "+a +b")
      yield* Fiber.interrupt(program)
      assert.strictEqual(log.take(), "-b -a")
      assert.deepStrictEqual(yield* Node.processes, [])
    }))

  seeded("leaves nothing in its scope when it ends by itself", () =>
    Effect.gen(function*() {
      const log = new Log()
      const tree = yield* Supervisor.start(Supervisor.make({ intensity: 0, children: [child(log, "a")] }), {
        name: "tree"
      })
      yield* end(tree, "a", error())
      assert.deepStrictEqual(yield* Process.registered, [])
      const again = yield* Supervisor.start(Supervisor.make({ children: [child(log, "a")] }), { name: "tree" })
      assert.strictEqual(yield* shown(again), "a")
    }))
})
