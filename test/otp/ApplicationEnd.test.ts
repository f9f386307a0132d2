/**
 * The end of an application by itself, what it means to its node, and the end of the node [S23].
 *
 * Rows of the reference's feature list: A-06 permanent, A-07 transient, A-08 temporary, A-09 no start type, A-11 lifespan,
 * A-14 kill, A-15 the race between an end and a list; N-03 the applications of a node.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Logger, Option, Scope } from "effect"
import { Application, ExitReason, Node, OtpError, Process, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import * as TestNode from "../../src/testing/TestNode.ts"
import { app, running, treeOf } from "./ApplicationFixtures.ts"
import { Broken, child, Log, onNode, seeded } from "./SupervisorFixtures.ts"

const types: ReadonlyArray<Application.StartType> = ["permanent", "transient", "temporary"]

/** The ways in which an application ends by itself, and the reasons that come of them. */
const ends: {
  readonly [name: string]: {
    readonly reason: ExitReason.ExitReason
    readonly end: Effect.Effect<unknown, unknown, Node.Node>
  }
} = {
  "with normal": {
    reason: ExitReason.normal,
    end: Effect.flatMap(treeOf("shop"), (tree) => Process.stop(tree))
  },
  "because its supervisor gave up": {
    reason: ExitReason.shutdown,
    end: Effect.gen(function*() {
      for (let i = 0; i < 2; i++) {
        const pid = yield* Supervisor.whereis(yield* treeOf("shop"), "shop1")
        yield* Process.kill(Option.getOrThrow(pid))
        yield* TestNode.settle
      }
    })
  },
  "because its supervisor was killed": {
    reason: ExitReason.killed,
    end: Effect.flatMap(treeOf("shop"), Process.kill)
  },
  "because its process was killed": {
    reason: ExitReason.killed,
    end: Effect.flatMap(
      Application.info("shop"),
      (info) => Process.kill(Option.getOrThrow(Option.getOrThrow(info).pid))
    )
  },
  "with a reason of its own": {
    reason: ExitReason.shutdownWith("done"),
    end: Effect.flatMap(treeOf("shop"), (tree) => Process.stop(tree, { reason: ExitReason.shutdownWith("done") }))
  }
}

describe("[S23] an application that ends by itself", () => {
  for (const type of types) {
    for (const [how, { end, reason }] of Object.entries(ends)) {
      const takesNode = type === "permanent" || (type === "transient" && reason._tag !== "Normal")
      seeded(
        `${how}, being ${type}, ${takesNode ? "takes the node along" : "leaves the node alone"}`,
        () =>
          Effect.gen(function*() {
            const log = new Log()
            yield* Application.start(app(log, "db", { children: ["db"] }))
            yield* Application.start(app(log, "shop", { startType: type }))
            yield* Application.start(app(log, "mail", { children: ["mail"] }))
            const bystander = yield* Process.spawnDetached(() => Effect.never)
            const stopped = yield* Effect.forkScoped(Effect.exit(Application.awaitStop))
            log.take()
            yield* end
            yield* TestNode.settle
            assert.include(log.take(), "-shop1")
            assert.strictEqual(Option.getOrThrow(yield* Application.info("shop")).status, "loaded")
            if (takesNode) {
              const exit = yield* Fiber.join(stopped)
              assert.deepStrictEqual(
                exit,
                Exit.fail(
                  new OtpError.NodeStopped({
                    node: "nonode@nohost",
                    application: "shop",
                    startType: type,
                    exitReason: reason
                  })
                )
              )
              assert.strictEqual(yield* running, "")
              assert.isFalse(yield* Process.isAlive(bystander))
              const refusal = yield* Effect.flip(Application.start("db"))
              assert.strictEqual(refusal._tag === "ApplicationError" && refusal.reason, "NodeStopping")
            } else {
              assert.isUndefined(stopped.pollUnsafe())
              assert.strictEqual(yield* running, "mail db")
              assert.isTrue(yield* Process.isAlive(bystander))
              yield* Application.start("shop")
            }
          })
      )
    }
  }

  for (const type of types) {
    seeded(
      `because it was told to, being ${type}, leaves the node alone, even when its tree dies on the way`,
      () =>
        Effect.gen(function*() {
          const log = new Log()
          const shop = app(log, "shop", { startType: type, conduct: { trapExit: true, stop: Effect.sleep(100) } })
          yield* Application.start(shop)
          const stop = yield* Effect.forkScoped(Application.stop(shop))
          yield* TestNode.settle
          yield* Process.kill(yield* treeOf("shop"))
          yield* TestClock.adjust(100)
          yield* Fiber.join(stop)
          yield* TestNode.settle
          yield* Application.start(shop)
          assert.strictEqual(yield* running, "shop")
        })
    )
  }

  onNode("A-09 without a start type is temporary", () =>
    Effect.gen(function*() {
      yield* Application.start(app(new Log(), "shop"))
      assert.deepStrictEqual(
        Option.getOrThrow(yield* Application.info("shop")).startType,
        Option.some("temporary" as const)
      )
    }))

  seeded("runs prepStop and stop all the same, stop after every child is gone", () =>
    Effect.gen(function*() {
      const log = new Log()
      yield* Application.start(app(log, "shop", { conduct: { trapExit: true, stop: Effect.sleep(100) } }))
      log.take()
      // Its children learn of the end of their supervisor by their links, and take their time.
      yield* Process.kill(yield* treeOf("shop"))
      yield* TestClock.adjust(99)
      assert.deepStrictEqual(log.take().split(" ").sort(), ["shop.", "~shop1", "~shop2"])
      yield* TestClock.adjust(1)
      const lines = log.take()
      assert.deepStrictEqual(lines.split(" ").sort(), ["-shop1", "-shop2", "shop!"])
      assert.isTrue(lines.endsWith("shop!"), lines)
    }))

  seeded(
    "A-14 by a kill takes its tree down by its link, in order, and runs no callback",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const pid = yield* Application.start(app(log, "shop", { conduct: { trapExit: true, stop: Effect.sleep(10) } }))
        log.take()
        yield* Process.kill(pid)
        yield* TestClock.adjust(20)
        assert.strictEqual(log.take(), "~shop2 -shop2 ~shop1 -shop1")
        assert.strictEqual(yield* running, "")
        assert.strictEqual((yield* Node.statistics).processes, 0)
      })
  )

  seeded("A-15 is in no list as soon as its end is known, and its name is free", () =>
    Effect.gen(function*() {
      const log = new Log()
      const shop = app(log, "shop")
      const pid = yield* Application.start(shop)
      const lists = yield* Effect.forkScoped(Effect.gen(function*() {
        for (let i = 0; i < 50; i++) {
          for (const { name, pid, status } of yield* Application.whichApplications) {
            assert.strictEqual(name, "shop")
            assert.isTrue(Option.isSome(pid), status)
          }
          yield* Effect.yieldNow
        }
      }))
      yield* Process.kill(pid)
      yield* Effect.ignore(Application.stop(shop))
      assert.strictEqual(yield* running, "")
      yield* Application.start(shop)
      yield* Fiber.join(lists)
    }))
})

describe("A-11 the lifespan of an application", () => {
  seeded("ends it with normal, its tree in order, and its callbacks run", () =>
    Effect.gen(function*() {
      const log = new Log()
      const shop = app(log, "shop", { lifespan: "150 millis", startType: "transient" })
      const pid = yield* Application.start(shop)
      const ended = yield* Effect.forkScoped(Process.awaitExit(pid))
      log.take()
      yield* TestClock.adjust(149)
      assert.strictEqual(log.take(), "")
      yield* TestClock.adjust(1)
      assert.strictEqual(log.take(), "shop. -shop2 -shop1 shop!")
      assert.deepStrictEqual(yield* Fiber.join(ended), ExitReason.normal)
      // Normal, and transient: the node goes on.
      yield* Application.start(shop)
    }))

  seeded("counts from the end of the start, and not beyond a stop", () =>
    Effect.gen(function*() {
      const log = new Log()
      const shop = app(log, "shop", { children: [], lifespan: 100, start: Effect.sleep(1000) })
      for (const _ of [1, 2]) {
        const start = yield* Effect.forkScoped(Application.start(shop))
        yield* TestClock.adjust(1000)
        yield* Fiber.join(start)
        yield* TestClock.adjust(60)
        assert.strictEqual(yield* running, "shop")
        yield* Application.stop(shop)
      }
      assert.strictEqual(log.take(), "shop^ shop. shop! shop^ shop. shop!")
    }))

  seeded("takes the node along when the application is permanent", () =>
    Effect.gen(function*() {
      yield* Application.start(app(new Log(), "shop", { lifespan: "1 minute", startType: "permanent" }))
      yield* TestClock.adjust("1 minute")
      const error = yield* Effect.flip(Application.awaitStop)
      assert.deepStrictEqual([error.application, error.exitReason], ["shop", ExitReason.normal])
    }))

  onNode("may be longer than a timer of the host can be", () =>
    Effect.gen(function*() {
      yield* Application.start(app(new Log(), "shop", { lifespan: "36500 days" }))
      yield* TestClock.adjust("36499 days")
      assert.strictEqual(yield* running, "shop")
      yield* TestClock.adjust("1 day")
      assert.strictEqual(yield* running, "")
    }))
})

/** Runs applications in the background. */
const runIn = <E>(
  program: Effect.Effect<void, E, Node.Node>
): Effect.Effect<Fiber.Fiber<void, E>, never, Node.Node | Scope.Scope> =>
  Effect.tap(Effect.forkScoped(program), () => TestNode.settle)

describe("N-03 the applications of a main program", () => {
  seeded(
    "[S23] are stopped in reverse order of start when it is interrupted, each after the one before it",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const conduct = { trapExit: true, stop: Effect.sleep(100) }
        const db = app(log, "db", { children: ["db"], conduct })
        const shop = app(log, "shop", { children: ["shop"], conduct, applications: [db] })
        const mail = app(log, "mail", { children: ["mail"], conduct })
        const main = yield* runIn(Application.run([shop, mail]))
        assert.strictEqual(log.take(), "+db db^ +shop shop^ +mail mail^")
        const interrupted = yield* Effect.forkScoped(Fiber.interrupt(main))
        yield* TestClock.adjust(299)
        assert.strictEqual(log.take(), "mail. ~mail -mail mail! shop. ~shop -shop shop! db. ~db")
        yield* TestClock.adjust(1)
        yield* Fiber.join(interrupted)
        assert.strictEqual(log.take(), "-db db!")
        assert.isTrue(Exit.hasInterrupts(main.pollUnsafe()!))
        assert.strictEqual((yield* Node.statistics).processes, 0)
      })
  )

  seeded(
    "[S23] are stopped in reverse order when one of them takes the node along: the program fails",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const [db, shop, mail] = [app(log, "db"), app(log, "shop"), app(log, "mail")]
        const main = yield* runIn(Application.run([db, shop, mail]))
        log.take()
        yield* Process.kill(yield* treeOf("shop"))
        const error = yield* Effect.flip(Fiber.join(main))
        assert.instanceOf(error, OtpError.NodeStopped)
        // Without a start type they are permanent here.
        assert.deepStrictEqual([error.application, error.startType], ["shop", "permanent"])
        assert.include(error.message, "permanent application shop ended")
        const lines = log.take()
        assert.include(lines, "mail. -mail2 -mail1 mail! db. -db2 -db1 db!")
        assert.isTrue(lines.indexOf("shop!") < lines.indexOf("mail."), lines)
      })
  )

  seeded(
    "are stopped in reverse order when the node is told to stop: the program completes",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const db = app(log, "db", { children: [] })
        const shop = Application.make("shop", {
          applications: [db],
          supervisor: Supervisor.make({
            children: [
              child(log, "a"),
              Supervisor.worker("quitter", Effect.andThen(Effect.sleep(5), Application.stopNode))
            ]
          }),
          stop: () => log.add("shop!")
        })
        const main = yield* runIn(Application.run([shop]))
        yield* TestClock.adjust(5)
        yield* Fiber.join(main)
        assert.strictEqual(log.take(), "db^ +a -a shop! db. db!")
      })
  )

  seeded("do not run when one of them cannot start: the program fails with that", () =>
    Effect.gen(function*() {
      const log = new Log()
      const broken = app(log, "shop", { children: [], start: Effect.fail(new Broken({ child: "shop" })) })
      const error = yield* Effect.flip(Application.run([app(log, "db", { children: [] }), broken, app(log, "mail")]))
      assert.instanceOf(error, OtpError.ApplicationStartError)
      assert.strictEqual(error.application, "shop")
      assert.strictEqual(log.take(), "db^ db. db!")
    }))

  seeded("are stopped when it is interrupted in the middle of a start", () =>
    Effect.gen(function*() {
      const log = new Log()
      const hanging = app(log, "shop", { children: ["a", "b"], conduct: { start: Effect.sleep(1000) } })
      const main = yield* runIn(Application.run([app(log, "db", { children: [] }), hanging]))
      yield* TestClock.adjust(1500)
      yield* Fiber.interrupt(main)
      assert.strictEqual(log.take(), "db^ +a -a db. db!")
      assert.strictEqual((yield* Node.statistics).processes, 0)
    }))

  seeded("are killed when they do not stop in time", () =>
    Effect.gen(function*() {
      const log = new Log()
      const stubborn = { trapExit: true, shutdown: "infinity", stop: Effect.never } as const
      const main = yield* runIn(Application.run([
        app(log, "db", { children: ["db"] }),
        app(log, "shop", { children: ["shop"], conduct: stubborn }),
        app(log, "mail", { children: ["mail"] })
      ], { timeout: "10 seconds" }))
      log.take()
      const interrupted = yield* Effect.forkScoped(Fiber.interrupt(main))
      yield* TestClock.adjust(9999)
      assert.strictEqual(log.take(), "mail. -mail mail! shop. ~shop")
      assert.isUndefined(interrupted.pollUnsafe())
      yield* TestClock.adjust(1)
      yield* Fiber.join(interrupted)
      // What waited for its turn had no time left.
      assert.deepStrictEqual(log.take().split(" ").sort(), ["-db", "-shop"])
      assert.strictEqual((yield* Node.statistics).processes, 0)
    }))

  seeded("have thirty seconds at most, finalizers that hang included", () =>
    Effect.gen(function*() {
      const hang = Supervisor.worker(
        "hang",
        Effect.andThen(
          Effect.addFinalizer(() => Effect.never),
          Effect.never
        ),
        { shutdown: "infinity" }
      )
      const main = yield* runIn(Application.run([
        Application.make("shop", { supervisor: Supervisor.make({ children: [hang] }) })
      ]))
      const interrupted = yield* Effect.forkScoped(Fiber.interrupt(main))
      yield* TestClock.adjust(29_999)
      assert.isUndefined(interrupted.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.isDefined(interrupted.pollUnsafe())
    }))

  onNode("may already run, and keep the type with which they do", () =>
    Effect.gen(function*() {
      const log = new Log()
      const db = app(log, "db", { children: [] })
      const shop = app(log, "shop", { children: [], applications: [db], startType: "temporary" })
      yield* Application.start(shop)
      const main = yield* runIn(Application.run([shop, db]))
      assert.strictEqual(log.take(), "db^ shop^")
      yield* Fiber.interrupt(main)
      assert.strictEqual(log.take(), "shop. shop! db. db!")
    }))

  it("are started with the type that the program says", () =>
    Effect.runPromise(
      Effect.scoped(Effect.gen(function*() {
        const main = yield* runIn(Application.run([app(new Log(), "shop")], { startType: "temporary" }))
        assert.deepStrictEqual(
          Option.getOrThrow(yield* Application.info("shop")).startType,
          Option.some("temporary" as const)
        )
        yield* Fiber.interrupt(main)
      })).pipe(Effect.provide(TestNode.layer()))
    ))
})

describe("the end of a node", () => {
  seeded(
    "[S23] stops its applications in reverse order, each with all the time of its children",
    () =>
      Effect.gen(function*() {
        const log = new Log()
        const scope = yield* Scope.make()
        const other = yield* Effect.provideService(Node.make({ name: "other@nohost" }), Scope.Scope, scope)
        const conduct = { trapExit: true, shutdown: "10 seconds", stop: Effect.sleep("8 seconds") } as const
        const on = Effect.provideService(Node.Node, other)
        yield* on(Application.start(app(log, "db", { children: ["db"], conduct })))
        yield* on(Application.start(app(log, "shop", { children: ["shop"], conduct })))
        const root = yield* on(Process.spawnDetached(() => Effect.ensuring(Effect.never, log.add("-root"))))
        yield* TestNode.settle
        log.take()
        const close = yield* Effect.forkScoped(Scope.close(scope, Exit.void))
        yield* TestClock.adjust("8 seconds")
        assert.strictEqual(log.take(), "shop. ~shop -shop shop! db. ~db")
        yield* TestClock.adjust("8 seconds")
        yield* Fiber.join(close)
        // What belongs to no application goes after all of them.
        assert.strictEqual(log.take(), "-db db! -root")
        assert.isFalse(yield* on(Process.isAlive(root)))
        // Who waits for the end of the applications learns of it.
        yield* on(Application.awaitStop)
      })
  )

  seeded("is waited for by whoever asks for it, also by a second one", () =>
    Effect.gen(function*() {
      const log = new Log()
      const node = yield* Node.Node
      yield* Node.onStop(node, log.add("first"))
      yield* Node.onStop(node, Effect.andThen(Effect.sleep(10), log.add("second")))
      yield* Node.onStop(node, Effect.die("no"))
      const stops = yield* Effect.forEach([1, 2], () => Effect.forkScoped(Node.stop(node)))
      yield* TestClock.adjust(9)
      assert.isTrue(stops.every((stop) => stop.pollUnsafe() === undefined))
      yield* TestClock.adjust(1)
      yield* Effect.forEach(stops, Fiber.join)
      assert.strictEqual(log.take(), "second first")
      const refused = yield* Effect.flip(Process.spawnDetached(() => Effect.void))
      assert.strictEqual(refused.reason._tag, "NodeDown")
    }))
})

describe("the report of an end", () => {
  onNode("has the fields of OTP's, and says when the node goes", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
        lines.push(`${logLevel}: ${String(Array.isArray(message) ? message[0] : message)}`)
      })
      const reports: Array<unknown> = []
      yield* Effect.scoped(Effect.gen(function*() {
        const scope = yield* Effect.scope
        const node = yield* Effect.provide(Node.make(), Logger.layer([logger]))
        yield* Effect.provideService(
          Node.trace((event) => {
            if (event._tag === "Report") reports.push(event.report)
          }),
          Node.Node,
          node
        )
        const program = Effect.gen(function*() {
          yield* Application.start(app(new Log(), "mail", { children: [] }))
          yield* Application.start(app(new Log(), "shop", { children: [] }), { startType: "permanent" })
          yield* Process.kill(yield* treeOf("mail"))
          yield* TestNode.settle
          yield* Process.kill(yield* treeOf("shop"))
          yield* TestNode.settle
        })
        yield* Effect.provideService(Effect.provideService(program, Node.Node, node), Scope.Scope, scope)
      }))
      assert.deepInclude(reports, { application: "mail", exited: "killed", type: "temporary" })
      assert.deepInclude(reports, { application: "shop", exited: "killed", type: "permanent" })
      assert.include(lines, "Warn: application mail ended: killed")
      assert.include(lines, "Error: application shop ended: killed. It is permanent: the node stops")
    }))
})

describe("the exit code of a main program", () => {
  const codeOf = (exit: Exit.Exit<unknown, unknown>): number | undefined => {
    let code: number | undefined
    Application.teardown(exit, (c) => code = c)
    return code
  }

  it("is 0 when it completed or was interrupted, and 1 when it failed", () => {
    assert.strictEqual(codeOf(Exit.void), 0)
    assert.strictEqual(codeOf(Exit.interrupt(1)), 0)
    assert.strictEqual(codeOf(Exit.fail(new Broken({ child: "x" }))), 1)
    assert.strictEqual(codeOf(Exit.die("x")), 1)
  })
})
