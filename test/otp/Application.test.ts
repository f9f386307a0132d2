/**
 * Applications: loading, starting with what they need, stopping, environment, what is known of them.
 *
 * Rows of the reference's feature list: A-01 callbacks, A-02 parts, A-03 loading, A-04 start with dependencies, A-05 order
 * of start, A-10 stop, A-12 environment, A-13 information, A-16 what OTP has besides. The end by itself and the end of the
 * node are in ApplicationEnd.test.ts.
 */
import { assert, describe } from "@effect/vitest"
import { Context, Deferred, Duration, Effect, Exit, Fiber, Layer, Logger, Option } from "effect"
import { Application, ExitReason, GenServer, Node, OtpError, Process, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import * as TestNode from "../../src/testing/TestNode.ts"
import { app, running } from "./ApplicationFixtures.ts"
import { Broken, child, Log, onNode, probe, seeded } from "./SupervisorFixtures.ts"

/** The refusal of an application that did what was asked of it in vain. */
const refused = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.instanceOf(error, OtpError.ApplicationError)
    return `${error.reason} ${error.path.join(">")}`
  })

/** The failed start of an application. */
const failed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.instanceOf(error, OtpError.ApplicationStartError)
    return error
  })

describe("A-03 an application is loaded", () => {
  onNode("once, until it is unloaded; a second one of its name is refused", () =>
    Effect.gen(function*() {
      const [shop, other] = [app(new Log(), "shop"), app(new Log(), "shop")]
      assert.deepStrictEqual(yield* Application.loadedApplications, [])
      yield* Application.load(shop)
      assert.strictEqual(yield* refused(Application.load(shop)), "AlreadyLoaded shop")
      assert.strictEqual(yield* refused(Application.load(other)), "AlreadyLoaded shop")
      assert.strictEqual(yield* refused(Application.start(other)), "AlreadyLoaded shop")
      assert.deepStrictEqual((yield* Application.loadedApplications).map(({ name, status }) => [name, status]), [
        ["shop", "loaded"]
      ])
      yield* Application.unload("shop")
      assert.deepStrictEqual(yield* Application.loadedApplications, [])
      assert.strictEqual(yield* refused(Application.unload(shop)), "NotLoaded shop")
      yield* Application.load(other)
    }))

  onNode("and is not unloaded while it runs", () =>
    Effect.gen(function*() {
      const shop = app(new Log(), "shop")
      yield* Application.start(shop)
      assert.strictEqual(yield* refused(Application.unload(shop)), "Running shop")
      yield* Application.stop(shop)
      yield* Application.unload(shop)
    }))

  onNode("with the services of whoever loads it, to be started by its name", () =>
    Effect.gen(function*() {
      class Greeting extends Context.Service<Greeting, string>()("test/Greeting") {}
      const log = new Log()
      const polite = Application.make("polite", { start: () => Effect.flatMap(Greeting, log.add) })
      yield* Effect.provideService(Application.load(polite), Greeting, "hello")
      assert.strictEqual(yield* refused(Application.start("nobody")), "NotLoaded nobody")
      yield* Application.start("polite")
      assert.strictEqual(log.take(), "hello")
    }))
})

describe("A-05 an application starts", () => {
  seeded(
    "its tree, then its start callback, then its phases, each after the one before it",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const shop = Application.make("shop", {
          supervisor: Supervisor.make({ children: [child(log, "a", { start: Effect.sleep(10) }), child(log, "b")] }),
          start: (type) => Effect.andThen(Effect.sleep(5), log.add(`start:${type}`)),
          phases: [
            { name: "one", run: Effect.andThen(Effect.sleep(1), log.add("one")) },
            { name: "two", run: log.add("two") }
          ]
        })
        const start = yield* Effect.forkScoped(Application.start(shop, { startType: "transient" }))
        yield* TestClock.adjust(15)
        assert.strictEqual(log.take(), "+a +b start:transient")
        assert.strictEqual(yield* running, "")
        assert.strictEqual(Option.getOrThrow(yield* Application.info(shop)).status, "starting")
        yield* TestClock.adjust(1)
        assert.strictEqual(log.take(), "one two")
        yield* Fiber.join(start)
        assert.strictEqual(yield* running, "shop")
      })
  )

  onNode("A-01 as a process of its own, above its tree, in which its callbacks run", () =>
    Effect.gen(function*() {
      const log = new Log()
      const shop = Application.make("shop", {
        supervisor: Supervisor.make({ children: [child(log, "a")] }),
        start: () => Effect.flatMap(Process.self, (self) => Effect.as(log.add("start"), self)),
        stop: (started) =>
          Effect.gen(function*() {
            assert.deepStrictEqual(yield* Process.self, started)
            assert.deepStrictEqual(yield* Application.current, Option.some("shop"))
            yield* log.add("stop")
          })
      })
      const pid = yield* Application.start(shop)
      const { behaviour, children, label, parent, state } = Option.getOrThrow(yield* Process.info(pid))
      const { pid: own, tree } = Option.getOrThrow(yield* Application.info("shop"))
      assert.deepStrictEqual(own, Option.some(pid))
      assert.deepStrictEqual({ behaviour, children, label, parent }, {
        behaviour: "Application",
        children: Option.toArray(tree),
        label: Option.some("shop"),
        parent: Option.none()
      })
      assert.deepStrictEqual(state, { name: "shop", version: "0.0.0", startType: "temporary", stage: "running" })
      yield* Application.stop(shop)
      assert.strictEqual(log.take(), "+a start -a stop")
    }))

  onNode("with a layer as its tree, or with nothing at all", () =>
    Effect.gen(function*() {
      const log = new Log()
      const resource = Layer.effectDiscard(Effect.acquireRelease(log.add("open"), () => log.add("close")))
      yield* Application.start(Application.make("files", { layer: resource }))
      const empty = Application.make("empty", { applications: ["files"], stop: () => log.add("stop") })
      yield* Application.start(empty)
      assert.strictEqual(yield* running, "empty files")
      yield* Application.stop("empty")
      yield* Application.stop("files")
      assert.strictEqual(log.take(), "open stop close")
      const broken = Application.make("broken", { layer: Layer.effectDiscard(Effect.fail(new Broken({ child: "x" }))) })
      const error = yield* failed(Application.start(broken))
      assert.deepStrictEqual([error.step, error.error], ["tree", new Broken({ child: "x" })])
    }))

  onNode("A-02 as it was described", () =>
    Effect.gen(function*() {
      const shop = Application.make("shop", {
        description: "sells things",
        version: "1.2.3",
        applications: [Application.make("db")],
        env: { currency: "EUR" },
        startType: "transient"
      })
      yield* TestClock.adjust(1000)
      yield* Application.start(shop)
      yield* TestClock.adjust(5000)
      const { pid: _, uptime, ...info } = Option.getOrThrow(yield* Application.info("shop"))
      assert.deepStrictEqual(info, {
        name: "shop",
        description: "sells things",
        version: "1.2.3",
        status: "running",
        startType: Option.some("transient" as const),
        applications: ["db"],
        tree: Option.none(),
        env: new Map<string, unknown>([["currency", "EUR"]])
      })
      assert.strictEqual(Duration.toMillis(Option.getOrThrow(uptime)), 5000)
      assert.deepStrictEqual(yield* Application.info("nobody"), Option.none())
    }))

  onNode("and refuses descriptions that contradict themselves", () =>
    Effect.sync(() => {
      assert.throws(() => Application.make(""), "needs a name")
      assert.throws(() => Application.make("a", { applications: ["a"] }), "lists itself")
      assert.throws(
        () => Application.make("a", { layer: Layer.empty, supervisor: Supervisor.make({ children: [] }) }),
        "a supervisor and a layer"
      )
    }))
})

describe("A-04 what an application needs", () => {
  seeded(
    "is started before it, each once, in the order of the lists; what runs already is left alone",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const net = app(log, "net", { children: ["net"] })
        const db = app(log, "db", { children: ["db"], applications: [net] })
        const mail = app(log, "mail", { children: ["mail"], applications: [net, db] })
        const shop = app(log, "shop", { children: ["shop"], applications: [mail, db] })
        yield* Application.start(db)
        assert.strictEqual(log.take(), "+net net^ +db db^")
        yield* Application.start(shop)
        assert.strictEqual(log.take(), "+mail mail^ +shop shop^")
        assert.strictEqual(yield* running, "shop mail db net")
      })
  )

  onNode("may be listed by name when it is loaded", () =>
    Effect.gen(function*() {
      const log = new Log()
      const shop = app(log, "shop", { applications: ["db"], children: [] })
      assert.strictEqual(yield* refused(Application.start(shop)), "NotLoaded shop>db")
      yield* Application.load(app(log, "db", { children: [] }))
      yield* Application.start(shop)
      assert.strictEqual(log.take(), "db^ shop^")
    }))

  onNode("has its own start type, or that of the start", () =>
    Effect.gen(function*() {
      const log = new Log()
      const own = app(log, "own", { startType: "temporary" })
      const none = app(log, "none")
      const shop = app(log, "shop", { applications: [own, none], startType: "temporary" })
      yield* Application.start(shop, { startType: "permanent" })
      const types = yield* Effect.forEach(["shop", "own", "none"], (name) =>
        Effect.map(Application.info(name), (info) => Option.getOrThrow(Option.getOrThrow(info).startType)))
      assert.deepStrictEqual(types, ["permanent", "temporary", "permanent"])
    }))

  onNode("is not stopped with it", () =>
    Effect.gen(function*() {
      const log = new Log()
      yield* Application.start(app(log, "shop", { applications: [app(log, "db")] }))
      yield* Application.stop("shop")
      assert.strictEqual(yield* running, "db")
    }))

  onNode("may not be itself: cycles are named, and nothing is started", () =>
    Effect.gen(function*() {
      const log = new Log()
      yield* Application.load(app(log, "a", { applications: ["b"] }))
      yield* Application.load(app(log, "b", { applications: ["c"] }))
      yield* Application.load(app(log, "c", { applications: ["b"] }))
      const error = yield* Effect.flip(Application.start("a"))
      assert.instanceOf(error, OtpError.ApplicationError)
      assert.deepStrictEqual([error.application, error.reason, error.path], ["a", "Cycle", ["b", "c", "b"]])
      assert.include(error.message, "b -> c -> b")
      assert.strictEqual(log.take(), "")
    }))

  onNode(
    "may not be itself by way of a callback: what needs the application under way is refused",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const shop: Application.Application<string, unknown, never> = Application.make("shop", {
          start: () => Effect.flatMap(refused(Effect.scoped(Effect.suspend(() => Application.start(report)))), log.add)
        }) as never
        const report = app(log, "report", { applications: ["shop"] })
        yield* Application.start(shop)
        assert.strictEqual(log.take(), "Cycle shop>report>shop")
        // Once it runs, the same is fine.
        yield* Application.start(report)
        assert.strictEqual(yield* running, "report shop")
      })
  )

  seeded("is started once when two need it at the same time, and waited for", () =>
    Effect.gen(function*() {
      const log = new Log()
      const db = app(log, "db", { children: ["db"], conduct: { start: Effect.sleep(100) } })
      const starts = yield* Effect.forEach(["a", "b"], (name) =>
        Effect.forkScoped(Application.start(app(log, name, { children: [], applications: [db] }))))
      yield* TestClock.adjust(100)
      yield* Effect.forEach(starts, Fiber.join)
      assert.deepStrictEqual(log.take().split(" ").sort(), ["+db", "a^", "b^", "db^"])
    }))
})

describe("a start", () => {
  seeded("of what runs, or is being started, is refused; ensureStarted finds it", () =>
    Effect.gen(function*() {
      const log = new Log()
      const shop = app(log, "shop", { children: ["a"], conduct: { start: Effect.sleep(10) } })
      const both = yield* Effect.forEach([1, 2], () => Effect.forkScoped(Effect.result(Application.start(shop))))
      const ensured = yield* Effect.forkScoped(Application.ensureStarted(shop))
      yield* TestClock.adjust(10)
      const outcomes = yield* Effect.forEach(both, Fiber.join)
      const pids = outcomes.flatMap((outcome) => outcome._tag === "Success" ? [outcome.success] : [])
      const refusals = outcomes.flatMap((outcome) => outcome._tag === "Failure" ? [outcome.failure] : [])
      const pid = Option.getOrThrow(Option.getOrThrow(yield* Application.info(shop)).pid)
      assert.deepStrictEqual(yield* Fiber.join(ensured), pid)
      // Whoever comes first starts it; that may be the one who only wants it to run.
      assert.isAtMost(pids.length, 1)
      for (const refusal of refusals) {
        assert.strictEqual(refusal._tag === "ApplicationError" && refusal.reason, "AlreadyStarted")
      }
      assert.strictEqual(yield* refused(Application.start(shop)), "AlreadyStarted shop")
      assert.deepStrictEqual(yield* Application.ensureStarted("shop"), pid)
      assert.strictEqual(log.take(), "+a shop^")
    }))

  seeded("of what is being stopped waits for the end", () =>
    Effect.gen(function*() {
      const log = new Log()
      const shop = app(log, "shop", { children: ["a"], conduct: { trapExit: true, stop: Effect.sleep(100) } })
      yield* Application.start(shop)
      const stop = yield* Effect.forkScoped(Application.stop(shop))
      yield* TestNode.settle
      const start = yield* Effect.forkScoped(Application.start(shop))
      yield* TestNode.settle
      assert.strictEqual(log.take(), "+a shop^ shop. ~a")
      yield* TestClock.adjust(100)
      yield* Fiber.join(stop)
      yield* Fiber.join(start)
      assert.strictEqual(log.take(), "-a shop! +a shop^")
    }))

  seeded(
    "that fails stops what it has started, in reverse order, and leaves what ran before",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const broken = new Broken({ child: "x2" })
        const net = app(log, "net", { children: [] })
        const db = app(log, "db", { children: ["db"], applications: [net] })
        const mail = app(log, "mail", { children: ["mail"], applications: [db] })
        const shop = Application.make("shop", {
          applications: [mail],
          supervisor: Supervisor.make({
            children: [child(log, "x1"), child(log, "x2", { start: Effect.fail(broken) }), child(log, "x3")]
          }),
          start: () => log.add("never"),
          stop: () => log.add("never")
        })
        yield* Application.start(net)
        log.take()
        const error = yield* failed(Application.start(shop, { startType: "permanent" }))
        assert.strictEqual(log.take(), "+db db^ +mail mail^ +x1 -x1 mail. -mail mail! db. -db db!")
        assert.deepStrictEqual([error.application, error.path, error.step], ["shop", ["shop"], "tree"])
        assert.instanceOf(error.error, OtpError.SupervisorStartError)
        assert.deepStrictEqual([error.error.child, error.error.error], ["x2", broken])
        // A permanent application that never ran does not take the node along.
        assert.strictEqual(yield* running, "net")
      })
  )

  seeded("whose dependency fails says which, and the way to it", () =>
    Effect.gen(function*() {
      const log = new Log()
      const db = app(log, "db", { children: ["db"], conduct: { start: Effect.fail(new Broken({ child: "db" })) } })
      const shop = app(log, "shop", { applications: [app(log, "mail", { applications: [db] })] })
      const error = yield* failed(Application.start(shop))
      assert.deepStrictEqual([error.application, error.path], ["db", ["shop", "mail", "db"]])
      assert.include(error.message, "shop -> mail -> db")
      assert.strictEqual(log.take(), "")
      assert.strictEqual(yield* running, "")
      assert.strictEqual((yield* Node.statistics).processes, 0)
    }))

  seeded(
    "fails with its callback: the tree is stopped, and stop does not run, since start was not done",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const broken = new Broken({ child: "start" })
        const error = yield* failed(Application.start(app(log, "shop", { start: Effect.fail(broken) })))
        assert.deepStrictEqual([error.step, error.error], ["start", broken])
        assert.strictEqual(log.take(), "+shop1 +shop2 -shop2 -shop1")
        const defect = yield* failed(Application.start(app(log, "other", { start: Effect.die("boom") })))
        assert.deepStrictEqual([defect.step, defect.error as unknown], ["start", "boom"])
        assert.strictEqual((yield* Node.statistics).processes, 0)
      })
  )

  seeded("fails with a phase: the application is stopped as one that was running", () =>
    Effect.gen(function*() {
      const log = new Log()
      const shop = Application.make("shop", {
        supervisor: Supervisor.make({ children: [child(log, "a")] }),
        start: () => Effect.as(log.add("start"), 7),
        phases: [{ name: "warm up", run: Effect.fail(new Broken({ child: "phase" })) }],
        prepStop: (state) => log.add(`prep${state}`),
        stop: (state) => log.add(`stop${state}`)
      })
      const error = yield* failed(Application.start(shop))
      assert.strictEqual(error.step, "phase warm up")
      assert.strictEqual(log.take(), "+a start prep7 -a stop7")
    }))

  seeded("fails when the tree ends meanwhile", () =>
    Effect.gen(function*() {
      const log = new Log()
      const shop = app(log, "shop", { children: ["a"], start: Effect.never })
      const start = yield* Effect.forkScoped(failed(Application.start(shop)))
      yield* TestNode.settle
      const { tree } = Option.getOrThrow(yield* Application.info(shop))
      yield* Process.stop(Option.getOrThrow(tree))
      const error = yield* Fiber.join(start)
      assert.deepStrictEqual([error.step, error.error as unknown], ["start", ExitReason.normal])
      assert.strictEqual(yield* running, "")
    }))

  seeded("that is interrupted leaves nothing behind, wherever it is", () =>
    Effect.gen(function*() {
      const log = new Log()
      const gate = yield* Deferred.make<void>()
      const places: ReadonlyArray<Parameters<typeof app>[2]> = [
        { children: ["a", "b"], conduct: { start: Effect.never } },
        { children: ["a"], start: Deferred.await(gate) },
        { children: ["a"], start: Effect.never }
      ]
      for (const parts of places) {
        const shop = app(log, "shop", { applications: [app(log, "db", { children: ["db"] })], ...parts })
        const start = yield* Effect.forkScoped(Application.start(shop))
        yield* TestNode.settle
        yield* Fiber.interrupt(start)
        const lines = log.take()
        assert.isTrue(lines.startsWith("+db db^") && lines.endsWith("db. -db db!"), lines)
        assert.notInclude(lines, "shop!")
        assert.strictEqual((yield* Node.statistics).processes, 0)
        yield* Application.unload("shop")
        yield* Application.unload("db")
      }
    }))

  seeded("that is stopped fails with the reason, in order", () =>
    Effect.gen(function*() {
      const log = new Log()
      const shop = Application.make("shop", {
        supervisor: Supervisor.make({
          children: [
            child(log, "a", { trapExit: true, stop: Effect.sleep(10) }),
            child(log, "b", { start: Effect.never })
          ]
        })
      })
      const start = yield* Effect.forkScoped(failed(Application.start(shop)))
      yield* TestNode.settle
      const stop = yield* Effect.forkScoped(Application.stop(shop))
      yield* TestClock.adjust(10)
      yield* Fiber.join(stop)
      assert.strictEqual((yield* Fiber.join(start)).step, "tree")
      assert.strictEqual(log.take(), "+a ~a -a")
    }))
})

describe("A-10 an application stops", () => {
  seeded(
    "prepStop first, then its tree in reverse order, then stop; and can be started again",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const shop = app(log, "shop", { conduct: { trapExit: true, stop: Effect.sleep(100) } })
        yield* Application.start(shop)
        log.take()
        const stop = yield* Effect.forkScoped(Application.stop(shop))
        yield* TestClock.adjust(199)
        // The stop callback waits for the whole tree.
        assert.strictEqual(log.take(), "shop. ~shop2 -shop2 ~shop1")
        assert.strictEqual(Option.getOrThrow(yield* Application.info(shop)).status, "stopping")
        yield* TestClock.adjust(1)
        yield* Fiber.join(stop)
        assert.strictEqual(log.take(), "-shop1 shop!")
        assert.strictEqual(yield* running, "")
        yield* Application.start(shop)
        assert.strictEqual(log.take(), "+shop1 +shop2 shop^")
      })
  )

  onNode("once: what does not run is refused, and so is what nobody knows", () =>
    Effect.gen(function*() {
      const shop = app(new Log(), "shop")
      assert.strictEqual(yield* refused(Application.stop("shop")), "NotLoaded shop")
      yield* Application.load(shop)
      assert.strictEqual(yield* refused(Application.stop(shop)), "NotRunning shop")
    }))

  onNode("whatever its callbacks say", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.make<unknown, void>(({ message }) => {
        lines.push(String(Array.isArray(message) ? message[0] : message))
      })
      const log = new Log()
      const shop = Application.make("shop", {
        supervisor: Supervisor.make({ children: [child(log, "a")] }),
        prepStop: () => Effect.fail("no"),
        stop: () => Effect.die("boom")
      })
      yield* Effect.provide(Application.start(shop), Logger.layer([logger]))
      yield* Application.stop(shop)
      assert.strictEqual(log.take(), "+a -a")
      assert.deepStrictEqual(lines, ["application shop: prepStop failed", "application shop: stop failed"])
    }))

  seeded("with everything that was started inside of it, whoever started it and however", () =>
    Effect.gen(function*() {
      const log = new Log()
      const shop = Application.make("shop", {
        supervisor: Supervisor.make({
          children: [Supervisor.worker(
            "spawner",
            Effect.andThen(
              Process.spawnDetached(() =>
                Effect.andThen(
                  GenServer.startDetached(probe(log), "grandchild", { trapExit: true }),
                  Effect.andThen(Process.trapExit(true), Effect.never)
                )
              ),
              Effect.never
            )
          )]
        }),
        stop: () => log.add("stop")
      })
      yield* Application.start(shop)
      yield* TestNode.settle
      assert.strictEqual((yield* Node.statistics).processes, 5)
      yield* Application.stop(shop)
      assert.strictEqual((yield* Node.statistics).processes, 0)
      assert.strictEqual(log.take(), "+grandchild stop -grandchild")
    }))

  seeded("by force after a time, if it is given one", () =>
    Effect.gen(function*() {
      const log = new Log()
      const conduct = { trapExit: true, shutdown: "infinity", stop: Effect.never } as const
      yield* Application.start(app(log, "shop", { conduct }))
      log.take()
      const stop = yield* Effect.forkScoped(Application.stop("shop", { timeout: "3 seconds" }))
      yield* TestClock.adjust(2999)
      assert.isUndefined(stop.pollUnsafe())
      yield* TestClock.adjust(1)
      yield* Fiber.join(stop)
      assert.deepStrictEqual(log.take().split(" ").sort(), ["-shop1", "-shop2", "shop.", "~shop2"])
      assert.strictEqual((yield* Node.statistics).processes, 0)
    }))

  seeded("when one of its own processes asks for it", () =>
    Effect.gen(function*() {
      const log = new Log()
      const shop = Application.make("shop", {
        supervisor: Supervisor.make({
          children: [
            child(log, "a"),
            Supervisor.worker("quitter", Effect.andThen(Effect.sleep(5), Application.stop("shop")))
          ]
        }),
        stop: () => log.add("stop")
      })
      yield* Application.start(shop)
      yield* TestClock.adjust(5)
      assert.strictEqual(log.take(), "+a -a stop")
      assert.strictEqual(yield* running, "")
    }))

  onNode("only when its owner asks: exit signals of others are not heard", () =>
    Effect.gen(function*() {
      const pid = yield* Application.start(app(new Log(), "shop"))
      yield* Process.exit(pid, ExitReason.shutdown)
      yield* Process.run(Process.exit(pid, ExitReason.error("x")))
      yield* TestNode.settle
      assert.strictEqual(yield* running, "shop")
    }))
})

describe("A-12 the environment of an application", () => {
  onNode("is seen by all of its processes, below their own and above that of the node", () =>
    Effect.gen(function*() {
      const log = new Log()
      const show = (name: string) =>
        Effect.forEach(["size", "colour", "shape"], (key) =>
          Effect.flatMap(Process.getEnv(key), (value) => log.add(`${name}:${Option.getOrNull(value)}`)))
      const shop = Application.make("shop", {
        env: { size: 1, colour: "red" },
        supervisor: Supervisor.make({
          children: [
            Supervisor.worker("a", show("a"), { restart: "temporary" }),
            Supervisor.worker("b", show("b"), { restart: "temporary", environment: { colour: "blue" } })
          ]
        }),
        start: () =>
          show("app")
      })
      yield* Process.setNodeEnv("shape", "round")
      yield* Process.setNodeEnv("size", 9)
      yield* Application.start(shop)
      yield* TestNode.settle
      const lines = log.take()
      for (const line of ["a:1 a:red a:round", "b:1 b:blue b:round", "app:1 app:red app:round"]) {
        assert.include(lines, line)
      }
    }))

  onNode("can be changed before the start and while it runs", () =>
    Effect.gen(function*() {
      const log = new Log()
      const read = Effect.flatMap(Process.getEnv("size"), (size) => log.add(String(Option.getOrNull(size))))
      const shop = Application.make("shop", { env: { size: 1 }, start: () => read, stop: () => read })
      assert.strictEqual(yield* refused(Application.setEnv(shop, "size", 2)), "NotLoaded shop")
      assert.deepStrictEqual(yield* Application.getEnv(shop, "size"), Option.none())
      yield* Application.load(shop)
      yield* Application.setEnv(shop, "size", 2)
      yield* Application.start(shop)
      yield* Application.setEnv("shop", "size", 3)
      assert.deepStrictEqual(yield* Application.getEnv("shop", "size"), Option.some(3))
      assert.deepStrictEqual(yield* Application.getEnv("shop", "colour"), Option.none())
      yield* Application.stop(shop)
      assert.strictEqual(log.take(), "2 3")
    }))

  onNode("says to which application a process belongs", () =>
    Effect.gen(function*() {
      const log = new Log()
      const show = Effect.flatMap(Application.current, (name) => log.add(Option.getOrElse(name, () => "none")))
      const shop = Application.make("shop", {
        supervisor: Supervisor.make({ children: [Supervisor.worker("a", show, { restart: "temporary" })] })
      })
      yield* Application.start(shop)
      yield* TestNode.settle
      yield* Process.run(show)
      assert.strictEqual(log.take(), "shop none")
    }))
})

describe("A-13 applications are listed", () => {
  onNode("loaded ones as they were loaded, running ones with the last started first", () =>
    Effect.gen(function*() {
      const log = new Log()
      const [a, b, c] = [app(log, "a"), app(log, "b", { applications: ["c"] }), app(log, "c")]
      yield* Effect.forEach([a, b, c], Application.load)
      yield* Application.start("b")
      const loaded = yield* Application.loadedApplications
      assert.deepStrictEqual(loaded.map(({ name, status }) => `${name} ${status}`), [
        "a loaded",
        "b running",
        "c running"
      ])
      assert.strictEqual(yield* running, "b c")
    }))
})

describe("an application as a layer", () => {
  seeded("runs while its scope is open, and takes what was started for it along", () =>
    Effect.gen(function*() {
      const log = new Log()
      const db = app(log, "db", { children: [] })
      const shop = app(log, "shop", { children: [], applications: [db] })
      yield* Effect.provide(Effect.flatMap(running, log.add), Application.layer(shop))
      assert.strictEqual(log.take(), "db^ shop^ shop db shop. shop! db. db!")
      assert.strictEqual(yield* running, "")
    }))

  seeded("leaves a dependency that another one needs, until that one goes", () =>
    Effect.gen(function*() {
      const log = new Log()
      const db = app(log, "db", { children: [] })
      const [a, b] = [
        app(log, "a", { children: [], applications: [db] }),
        app(log, "b", { children: [], applications: [db] })
      ]
      yield* Effect.provide(
        Effect.gen(function*() {
          yield* Effect.provide(running, Application.layer(b))
          assert.strictEqual(log.take(), "db^ a^ b^ b. b!")
          assert.strictEqual(yield* running, "a db")
        }),
        Application.layer(a)
      )
      assert.strictEqual(log.take(), "a. a! db. db!")
    }))

  onNode("does not stop what runs because somebody started it", () =>
    Effect.gen(function*() {
      const log = new Log()
      const db = app(log, "db", { children: [] })
      const shop = app(log, "shop", { children: [], applications: [db] })
      yield* Application.start(db)
      yield* Effect.provide(Effect.void, Application.layer(shop))
      assert.strictEqual(yield* running, "db")
      yield* Effect.provide(Effect.void, Application.layer(db))
      assert.strictEqual(yield* running, "db")
    }))

  onNode("leaves a dependency of its own that somebody has asked for meanwhile", () =>
    Effect.gen(function*() {
      const log = new Log()
      const db = app(log, "db", { children: [] })
      const shop = app(log, "shop", { children: [], applications: [db] })
      yield* Effect.provide(Application.ensureStarted(db), Application.layer(shop))
      assert.strictEqual(yield* running, "db")
    }))

  onNode("fails as its start does, and is interrupted as it is", () =>
    Effect.gen(function*() {
      const log = new Log()
      const broken = app(log, "broken", { start: Effect.fail(new Broken({ child: "x" })) })
      const error = yield* failed(Effect.scoped(Layer.build(Application.layer(broken))))
      assert.strictEqual(error.step, "start")
      const hanging = app(log, "hanging", { children: [], start: Effect.never })
      const fiber = yield* Effect.forkScoped(Effect.scoped(Layer.build(Application.layer(hanging))))
      yield* TestNode.settle
      yield* Fiber.interrupt(fiber)
      assert.isTrue(Exit.hasInterrupts(fiber.pollUnsafe()!))
      assert.strictEqual((yield* Node.statistics).processes, 0)
    }))
})
