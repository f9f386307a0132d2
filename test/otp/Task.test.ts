import { assert, describe } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Option, Result, Schema, Scope, Stream } from "effect"
import {
  ExitReason,
  GenServer,
  Message,
  Node,
  Process,
  Protocol,
  Signal,
  Supervisor,
  Task,
  TaskSupervisor
} from "effect-otp"
import { TestNode } from "effect-otp/testing"
import { TestClock } from "effect/testing"
import { everySeed } from "../testing/EverySeed.ts"
import { endOf, onNode } from "./OnNode.ts"

class Bad extends Schema.TaggedError<Bad>()("Bad", { n: Schema.Int }) {}

/** The exit with which an await fails. */
const exitOf = <A, E>(wait: Effect.Effect<A, E>) =>
  Effect.map(Effect.flip(wait), (error) => {
    assert.instanceOf(error, Task.TaskExit)
    return error.reason
  })

/** Runs an effect as a process and leaves it alive with its scope open, until the end of the test. */
const keep = <A, E>(effect: Effect.Effect<A, E, Process.CurrentProcess | Node.Node | Scope.Scope>) =>
  Effect.gen(function*() {
    const result = yield* Deferred.make<A, E>()
    const pid = yield* Process.spawnDetached(() => Effect.andThen(Deferred.into(effect, result), Effect.never))
    return { pid, result: yield* Deferred.await(result) }
  })

describe("a task", () => {
  everySeed("gives its value, its typed failure, or a typed exit", () =>
    Effect.gen(function*() {
      const value = yield* Task.async(Effect.as(Effect.yieldNow, 42))
      const failure = yield* Task.async(Effect.fail(new Bad({ n: 1 })))
      const crash = yield* Task.async(Effect.die("boom"))
      assert.strictEqual(yield* Task.await(value), 42)
      assert.deepStrictEqual(yield* Effect.flip(Task.await(failure)), new Bad({ n: 1 }))
      const exit = yield* Effect.flip(Task.await(crash))
      assert.instanceOf(exit, Task.TaskExit)
      assert.strictEqual(ExitReason.format(exit.reason), "boom")
      assert.match(exit.message, /task task ended before it had a result \(OTP_EXIT\): boom/)
      // As often as one likes, also late and from elsewhere.
      assert.strictEqual(yield* Process.run(Task.await(value)), 42)
    }))

  onNode("that is killed or shut down gives the reason", () =>
    Effect.gen(function*() {
      for (const [end, reason] of [[Process.kill, "Killed"], [Process.exit, "Shutdown"]] as const) {
        const task = yield* Task.async(Effect.never)
        yield* end(task.pid)
        assert.strictEqual((yield* exitOf(Task.await(task)))._tag, reason)
      }
    }))

  onNode("has a result when its finalizers have run, and none when one of them crashes", () =>
    Effect.gen(function*() {
      const order: Array<string> = []
      const task = yield* Task.async(Effect.gen(function*() {
        yield* Effect.addFinalizer(() => Effect.sync(() => order.push("finalizer")))
        return "value"
      }))
      order.push(yield* Task.await(task))
      assert.deepStrictEqual(order, ["finalizer", "value"])
      const bad = yield* Task.async(Effect.as(Effect.addFinalizer(() => Effect.die("late")), "value"))
      assert.strictEqual(ExitReason.format(yield* exitOf(Task.await(bad))), "late")
    }))

  onNode(
    "is a process: it has a name, a label, a parent, an environment, a mailbox and the services of its starter",
    () =>
      Effect.gen(function*() {
        class Greeting extends Context.Service<Greeting, string>()("test/Greeting") {}
        const { pid, result } = yield* keep(Effect.gen(function*() {
          yield* Process.setEnv("shop", "x")
          const task = yield* Task.async(
            Effect.gen(function*() {
              const me = yield* Process.self
              yield* Process.send(me, "hello")
              return [
                yield* Process.receive(Schema.String),
                Option.getOrThrow(yield* Process.getEnv("shop")),
                yield* Greeting,
                Option.getOrThrow(yield* Process.parent)
              ]
            }),
            { name: "worker", label: "the worker" }
          ).pipe(Effect.provideService(Greeting, "hi"))
          return yield* Task.await(task)
        }))
        assert.deepStrictEqual(result, ["hello", "x", "hi", pid])
        const error = yield* Effect.flip(Effect.andThen(
          Task.async(Effect.never, { name: "w" }),
          Task.async(Effect.never, { name: "w" })
        ))
        assert.strictEqual(error.reason._tag, "NameTaken")
      })
  )

  everySeed(
    "takes its linked starter with it when it crashes, and not when it fails in its type",
    () =>
      Effect.gen(function*() {
        const typed = yield* keep(
          Effect.flatMap(Task.async(Effect.fail(new Bad({ n: 2 }))), (task) => Effect.flip(Task.await(task)))
        )
        assert.deepStrictEqual(typed.result, new Bad({ n: 2 }))
        assert.isTrue(yield* Process.isAlive(typed.pid))
        const gate = yield* Deferred.make<void>()
        const crash = yield* keep(Task.async(Effect.andThen(Deferred.await(gate), Effect.die("boom"))))
        const ended = yield* endOf(crash.pid)
        yield* Deferred.succeed(gate, undefined)
        assert.strictEqual(ExitReason.format(yield* Fiber.join(ended)), "boom")
      })
  )

  everySeed("does not when it is not linked; a starter that traps exits gets the signal", () =>
    Effect.gen(function*() {
      const { pid, result } = yield* keep(Effect.flatMap(
        Task.async(Effect.die("boom"), { link: false }),
        (task) => exitOf(Task.await(task))
      ))
      assert.strictEqual(ExitReason.format(result), "boom")
      assert.isTrue(yield* Process.isAlive(pid))
      yield* Process.run(Effect.gen(function*() {
        yield* Process.trapExit(true)
        const task = yield* Task.async(Effect.die("boom"))
        const signal = yield* Process.receive(Signal.ExitSchema)
        assert.strictEqual(signal.from, task.pid)
        assert.strictEqual((yield* Effect.flip(Task.await(task)))._tag, "TaskExit")
      }))
    }))

  everySeed("ends with its starter or its scope, unless it is detached or ignored", () =>
    Effect.gen(function*() {
      const { pid, result } = yield* keep(Effect.all([
        Task.async(Effect.never),
        Task.async(Effect.never, { link: false }),
        Task.start(Effect.never),
        Task.asyncDetached(Effect.never),
        Task.startDetached(Effect.never),
        Effect.tap(Task.async(Effect.never), Task.ignore)
      ]))
      const pids = result.map((started) => "pid" in started ? started.pid : started)
      yield* Process.kill(pid)
      yield* TestNode.settle
      assert.deepStrictEqual(yield* Effect.forEach(pids, Process.isAlive), [false, false, false, true, true, true])
      const scope = yield* Scope.make()
      const [tied, ignored] = yield* Scope.provide(
        Effect.all([Task.async(Effect.never), Task.async(Effect.never)]),
        scope
      )
      assert.isTrue(Option.isNone(yield* Task.ignore(ignored)))
      yield* Scope.close(scope, Exit.void)
      assert.isFalse(yield* Process.isAlive(tied.pid))
      assert.isTrue(yield* Process.isAlive(ignored.pid))
    }))

  onNode("leaves nothing in the scope of its starter when it has ended", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const finalizers = () => scope.state._tag === "Open" ? scope.state.finalizers?.size : scope.state._tag
      const gate = yield* Deferred.make<void>()
      const tasks = yield* Scope.provide(
        Effect.all([
          Task.async(Deferred.await(gate)),
          Task.async(Effect.void),
          Task.async(Effect.die("x")),
          Task.async(Effect.never)
        ]),
        scope
      )
      assert.strictEqual(finalizers(), 2)
      yield* Task.ignore(tasks[3])
      yield* Deferred.succeed(gate, undefined)
      yield* Task.await(tasks[0])
      yield* TestNode.settle
      assert.strictEqual(finalizers(), "Empty")
    }))

  onNode("whose result is of no interest crashes with any failure", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const pid = yield* Task.startDetached(Effect.andThen(Deferred.await(gate), Effect.fail(new Bad({ n: 3 }))))
      const ended = yield* endOf(pid)
      yield* Deferred.succeed(gate, undefined)
      const reason = yield* Fiber.join(ended)
      assert.deepStrictEqual(reason._tag === "Error" && reason.error, new Bad({ n: 3 }))
    }))
})

describe("waiting for tasks", () => {
  onNode("fails with TaskTimeout after 5 seconds or as long as told; the task goes on", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<number>()
      const task = yield* Task.async(Deferred.await(gate), { label: "slow" })
      const waiting = yield* Effect.forkChild(Effect.flip(Task.await(task)))
      yield* TestClock.adjust("4999 millis")
      assert.strictEqual(waiting.pollUnsafe(), undefined)
      yield* TestClock.adjust("1 millis")
      const late = yield* Fiber.join(waiting)
      assert.deepStrictEqual(late, new Task.TaskTimeout({ task: "slow", timeoutMillis: 5000 }))
      assert.isTrue(Option.isNone(yield* Task.yield(task, { timeout: 0 })))
      const forever = yield* Effect.forkChild(Task.await(task, { timeout: "Infinity" }))
      yield* TestClock.adjust("1 day")
      yield* Deferred.succeed(gate, 7)
      assert.strictEqual(yield* Fiber.join(forever), 7)
      assert.deepStrictEqual(yield* Task.yield(task), Option.some(Result.succeed(7)))
      assert.strictEqual(yield* Task.await(task, { timeout: 0 }), 7)
    }))

  onNode("for many gives their values in order, or the first failure", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<number>()
      const tasks = [yield* Task.async(Deferred.await(gate)), yield* Task.async(Effect.succeed(2))]
      const all = yield* Effect.forkChild(Task.awaitMany(tasks))
      yield* Deferred.succeed(gate, 1)
      assert.deepStrictEqual(yield* Fiber.join(all), [1, 2])
      const never = yield* Task.async(Effect.never, { label: "never" })
      const bad = yield* Task.async(Effect.fail(new Bad({ n: 4 })))
      assert.deepStrictEqual(yield* Effect.flip(Task.awaitMany([never, bad])), new Bad({ n: 4 }))
      const late = yield* Effect.forkChild(Effect.flip(Task.awaitMany([never, ...tasks], { timeout: "1 second" })))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(late), new Task.TaskTimeout({ task: "never", timeoutMillis: 1000 }))
    }))

  onNode("yields what there is in time, up to a limit, and does with the others as told", () =>
    Effect.gen(function*() {
      const done = yield* Task.async(Effect.succeed(1))
      const failed = yield* Task.async(Effect.fail(new Bad({ n: 5 })))
      const slow = yield* Task.async(Effect.delay(Effect.succeed(2), "1 second"))
      const never = yield* Task.async(Effect.never)
      const tasks: ReadonlyArray<Task.Task<number, Bad>> = [never, slow, done, failed]
      const first = yield* Effect.forkChild(Task.yieldMany(tasks, { limit: 3 }))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(first), [
        Option.none(),
        Option.some(Result.succeed(2)),
        Option.some(Result.succeed(1)),
        Option.some(Result.fail(new Bad({ n: 5 })))
      ])
      assert.lengthOf(yield* Task.yieldMany(tasks, { limit: 0 }), 4)
      const second = yield* Effect.forkChild(Task.yieldMany(tasks, { timeout: "2 seconds", onTimeout: "killTask" }))
      yield* TestClock.adjust("2 seconds")
      assert.isTrue(Option.isNone((yield* Fiber.join(second))[0]!))
      assert.isFalse(yield* Process.isAlive(never.pid))
    }))
})

describe("shutting a task down", () => {
  onNode("asks, waits, and kills what takes longer; the starter is not hit", () =>
    Effect.gen(function*() {
      const { pid } = yield* keep(Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        const polite = yield* Task.async(Effect.never)
        assert.deepStrictEqual(yield* Task.shutdown(polite), Option.none())
        const crashed = yield* Task.async(Effect.die("boom"), { link: false })
        yield* TestNode.settle
        const outcome = Option.getOrThrow(yield* Task.shutdown(crashed))
        assert.isTrue(
          Result.isFailure(outcome) && ExitReason.format((outcome.failure as Task.TaskExit).reason) === "boom"
        )
        const done = yield* Task.async(Effect.succeed(3))
        assert.deepStrictEqual(yield* Task.shutdown(done), Option.some(Result.succeed(3)))
        const busy = yield* Task.async(Effect.uninterruptible(Effect.as(Deferred.await(gate), 4)))
        const ending = yield* Effect.forkChild(Task.shutdown(busy))
        yield* TestNode.settle
        yield* Deferred.succeed(gate, undefined)
        // The work was done, but its result was never handed over.
        assert.isTrue(Option.isNone(yield* Fiber.join(ending)))
      }))
      assert.isTrue(yield* Process.isAlive(pid))
    }))

  onNode("kills at the limit, or at once", () =>
    Effect.gen(function*() {
      const stubborn = yield* Task.async(Effect.onInterrupt(Effect.never, () => Effect.never))
      const ending = yield* Effect.forkChild(Task.shutdown(stubborn, { timeout: "2 seconds" }))
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(ending.pollUnsafe(), undefined)
      // The node counts a killed process as dead when its finalizers do not end either.
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* Fiber.join(ending), Option.none())
      const other = yield* Task.async(Effect.never)
      assert.deepStrictEqual(yield* Task.shutdown(other, { timeout: "brutalKill" }), Option.none())
      assert.strictEqual((yield* exitOf(Task.await(other)))._tag, "Killed")
    }))
})

describe("a stream of tasks", () => {
  everySeed("gives the results in order, a bounded number at a time", () =>
    Effect.gen(function*() {
      let running = 0
      let most = 0
      const results = yield* Stream.runCollect(Task.asyncStream([5, 4, 3, 2, 1], (n) =>
        Effect.gen(function*() {
          most = Math.max(most, ++running)
          for (let i = 0; i < n; i++) yield* Effect.yieldNow
          running--
          return n === 3 ? yield* new Bad({ n }) : n === 2 ? yield* Effect.die("boom") : n
        }), { maxConcurrency: 2 }))
      assert.isAtMost(most, 2)
      assert.deepStrictEqual(
        results.map((result) => Result.isSuccess(result) ? result.success : result.failure._tag),
        [5, 4, "Bad", "TaskExit", 1]
      )
    }))

  onNode("gives them as they come when order does not matter", () =>
    Effect.gen(function*() {
      const run = yield* Effect.forkChild(Stream.runCollect(
        Task.asyncStream([3, 1, 2], (n) => Effect.delay(Effect.succeed(n), n * 100), { ordered: false })
      ))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual((yield* Fiber.join(run)).map(Result.getOrThrow), [1, 2, 3])
    }))

  onNode(
    "fails at a task that takes too long and ends the others, or kills that task and goes on",
    () =>
      Effect.gen(function*() {
        const pids: Array<Process.Target> = []
        const slow = (n: number) =>
          Effect.andThen(
            Effect.map(Process.self, (pid) => pids.push(pid)),
            n === 2 ? Effect.never : Effect.delay(Effect.succeed(n), 100 * n)
          )
        const failing = yield* Effect.forkChild(
          Effect.flip(Stream.runDrain(Task.asyncStream([1, 2, 30], slow, { timeout: "1 second" })))
        )
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* Fiber.join(failing))._tag, "TaskTimeout")
        assert.deepStrictEqual(yield* Effect.forEach(pids, Process.isAlive), [false, false, false])
        const killing = yield* Effect.forkChild(Stream.runCollect(
          Task.asyncStream([1, 2, 3], slow, { timeout: "1 second", onTimeout: "killTask" })
        ))
        yield* TestClock.adjust("1 second")
        const results = yield* Fiber.join(killing)
        assert.deepStrictEqual(
          results.map((result) => Result.isSuccess(result) ? result.success : result.failure._tag),
          [1, "TaskTimeout", 3]
        )
        assert.isFalse(yield* Process.isAlive(pids[4]!))
      })
  )

  onNode("kills its tasks when nobody reads it any more", () =>
    Effect.gen(function*() {
      const before = (yield* Node.processes).length
      const run = yield* Effect.forkChild(Stream.runDrain(Task.asyncStream([1, 2, 3], () => Effect.never)))
      yield* TestNode.settle
      assert.strictEqual((yield* Node.processes).length, before + 3)
      yield* Fiber.interrupt(run)
      assert.strictEqual((yield* Node.processes).length, before)
    }))
})

describe("a task supervisor", () => {
  class Greeting extends Context.Service<Greeting, string>()("test/Greeting") {}

  everySeed(
    "owns tasks, which have the services of who asked for them, and forgets those that end",
    () =>
      Effect.gen(function*() {
        const supervisor = yield* TaskSupervisor.start({}, { name: "tasks" })
        const gate = yield* Deferred.make<void>()
        const task = yield* TaskSupervisor.async(
          supervisor,
          Effect.gen(function*() {
            yield* Deferred.await(gate)
            return [yield* Greeting, Option.getOrThrow(yield* Process.parent)]
          })
        ).pipe(Effect.provideService(Greeting, "hello"))
        const named = yield* TaskSupervisor.named("tasks")
        assert.deepStrictEqual(yield* TaskSupervisor.tasks(named), [task.pid])
        yield* Deferred.succeed(gate, undefined)
        assert.deepStrictEqual(yield* Task.await(task), ["hello", Option.getOrThrow(yield* Process.whereis("tasks"))])
        yield* TestNode.settle
        assert.deepStrictEqual(yield* TaskSupervisor.tasks(named), [])
        assert.deepStrictEqual(Option.getOrThrow(yield* Process.info({ name: "tasks" })).state, {
          tasks: 0,
          maxTasks: Infinity
        })
      })
  )

  everySeed(
    "survives the crash of a task, and so do the others; typed failures are results",
    () =>
      Effect.gen(function*() {
        const supervisor = yield* TaskSupervisor.start()
        const other = yield* TaskSupervisor.asyncNoLink(supervisor, Effect.never)
        const crash = yield* TaskSupervisor.asyncNoLink(supervisor, Effect.die("boom"))
        const bad = yield* TaskSupervisor.asyncNoLink(supervisor, Effect.fail(new Bad({ n: 6 })))
        yield* TaskSupervisor.startTask(supervisor, Effect.fail("unseen"))
        assert.strictEqual((yield* Effect.flip(Task.await(crash)))._tag, "TaskExit")
        assert.deepStrictEqual(yield* Effect.flip(Task.await(bad)), new Bad({ n: 6 }))
        yield* TestNode.settle
        assert.deepStrictEqual(yield* TaskSupervisor.tasks(supervisor), [other.pid])
      })
  )

  everySeed(
    "links a task of async to the caller, in both directions, and one of asyncNoLink to nobody but itself",
    () =>
      Effect.gen(function*() {
        const supervisor = yield* TaskSupervisor.start()
        const { pid, result } = yield* keep(Effect.all([
          TaskSupervisor.async(supervisor, Effect.never),
          TaskSupervisor.asyncNoLink(supervisor, Effect.never)
        ]))
        yield* Process.kill(pid)
        yield* TestNode.settle
        assert.deepStrictEqual(yield* Effect.forEach(result, (task) => Process.isAlive(task.pid)), [false, true])
        const caller = yield* keep(TaskSupervisor.async(supervisor, Effect.never))
        yield* Process.exit(caller.result.pid, ExitReason.error("x"))
        yield* TestNode.settle
        assert.isFalse(yield* Process.isAlive(caller.pid))
        assert.deepStrictEqual(yield* TaskSupervisor.tasks(supervisor), [result[1].pid])
      })
  )

  onNode("refuses more tasks than it may have, and those whose name is taken", () =>
    Effect.gen(function*() {
      const supervisor = yield* TaskSupervisor.start({ maxTasks: 2 }, { name: "few" })
      const first = yield* TaskSupervisor.asyncNoLink(supervisor, Effect.never, { name: "first" })
      const taken = yield* Effect.flip(TaskSupervisor.asyncNoLink(supervisor, Effect.never, { name: "first" }))
      assert.strictEqual(taken._tag, "StartError")
      yield* TaskSupervisor.startTask(supervisor, Effect.never)
      const error = yield* Effect.flip(TaskSupervisor.asyncNoLink(supervisor, Effect.never))
      assert.deepStrictEqual(error, new Task.TaskLimit({ supervisor: "few", maxTasks: 2 }))
      assert.isTrue(yield* TaskSupervisor.terminateTask(supervisor, first.pid))
      assert.isFalse(yield* TaskSupervisor.terminateTask(supervisor, first.pid))
      yield* TaskSupervisor.asyncNoLink(supervisor, Effect.void)
    }))

  everySeed("ends all its tasks when it is stopped or killed", () =>
    Effect.gen(function*() {
      for (const end of [(target: Process.Target) => Process.stop(target), Process.kill]) {
        const supervisor = yield* TaskSupervisor.start()
        const tasks = yield* Effect.forEach([1, 2, 3], () => TaskSupervisor.asyncNoLink(supervisor, Effect.never))
        yield* end(supervisor)
        yield* TestNode.settle
        assert.deepStrictEqual(yield* Effect.forEach(tasks, (task) => Process.isAlive(task.pid)), [false, false, false])
      }
    }))

  onNode(
    "gives its tasks one limit together when it shuts down, and kills what takes longer",
    () =>
      Effect.gen(function*() {
        const supervisor = yield* TaskSupervisor.start({ shutdown: "2 seconds" })
        const cleaning = (millis: number) => Effect.onInterrupt(Effect.never, () => Effect.sleep(millis))
        for (const millis of [1000, 1500, 60_000]) yield* TaskSupervisor.asyncNoLink(supervisor, cleaning(millis))
        const stopping = yield* Effect.forkChild(Process.stop(supervisor))
        yield* TestClock.adjust("1999 millis")
        assert.lengthOf((yield* Node.processes).slice(1), 1)
        // The last one is killed, and given up when its finalizer goes on after that.
        yield* TestClock.adjust("5001 millis")
        yield* Fiber.join(stopping)
        assert.deepStrictEqual(yield* Node.processes, [])
      })
  )

  onNode("can be the child of a supervisor, and a layer", () =>
    Effect.gen(function*() {
      yield* Supervisor.start(Supervisor.make({
        strategy: "one_for_one",
        children: [Supervisor.child("tasks", TaskSupervisor.server, { maxTasks: 1 }, { name: "tasks" })]
      }))
      const supervisor = yield* TaskSupervisor.named("tasks")
      yield* TaskSupervisor.startTask(supervisor, Effect.never)
      yield* Process.kill({ name: "tasks" })
      yield* TestNode.settle
      assert.deepStrictEqual(yield* TaskSupervisor.tasks(supervisor), [])
      class MyTasks extends Context.Service<MyTasks, TaskSupervisor.TaskSupervisor>()("test/MyTasks") {}
      const value = yield* Effect.gen(function*() {
        return yield* Task.await(yield* TaskSupervisor.async(yield* MyTasks, Effect.succeed(9)))
      }).pipe(Effect.provide(Layer.fresh(TaskSupervisor.layer(MyTasks))))
      assert.strictEqual(value, 9)
    }))

  onNode("runs streams of tasks", () =>
    Effect.gen(function*() {
      const supervisor = yield* TaskSupervisor.start()
      const results = yield* Stream.runCollect(TaskSupervisor.asyncStream(supervisor, [1, 2, 3], (n) =>
        Effect.map(Process.parent, (parent) => [n, Option.isSome(parent)])))
      assert.deepStrictEqual(results.map(Result.getOrThrow), [[1, true], [2, true], [3, true]])
      const run = yield* Effect.forkChild(Stream.runDrain(TaskSupervisor.asyncStream(supervisor, [1, 2], () =>
        Effect.never)))
      yield* TestNode.settle
      assert.lengthOf(yield* TaskSupervisor.tasks(supervisor), 2)
      yield* Fiber.interrupt(run)
      assert.deepStrictEqual(yield* TaskSupervisor.tasks(supervisor), [])
    }))

  onNode("that is not there is a CallError", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(TaskSupervisor.async(yield* TaskSupervisor.named("nobody"), Effect.void))
      assert.isTrue(error._tag === "CallError" && error.reason._tag === "NoProcess")
    }))
})

describe("a server that hands work to tasks", () => {
  class Desk extends Protocol.make("Desk", Message.Call("Slow", { payload: { n: Schema.Int }, success: Schema.Int })) {}

  onNode("goes on meanwhile; the task answers the caller", () =>
    Effect.gen(function*() {
      const desk = yield* GenServer.start(GenServer.make(Desk, {
        init: () => Effect.void,
        handlers: {
          Slow: ({ n }, state, { from }) =>
            Effect.as(
              Effect.orDie(Task.start(Effect.andThen(Effect.sleep(n), GenServer.replyTo(from, n)))),
              GenServer.noReply(state)
            )
        }
      }))
      const answers = yield* Effect.forkChild(
        Effect.all([desk.Slow({ n: 300 }), desk.Slow({ n: 100 })], { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("300 millis")
      assert.deepStrictEqual(yield* Fiber.join(answers), [300, 100])
    }))
})
