/**
 * What tests of supervisors have in common: children that write down what happens to them, and ways to look at a tree.
 */
import { describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, type Exit, Layer, Logger, Option, Schema, Scope } from "effect"
import { type CallError, ExitReason, GenServer, Message, Node, Process, Protocol, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import type { ServerProcess } from "../../src/process/internal/ServerProcess.ts"
import type { Pid } from "../../src/term/Pid.ts"
import * as TestNode from "../../src/testing/TestNode.ts"

type Body = () => Effect.Effect<unknown, unknown, Node.Node | Scope.Scope>

/**
 * On a node under the test clock. Children crash on purpose here: nobody needs to read about it. The scope of a test is not
 * closed: the node stops what is left, and lets time pass for it.
 */
const run = (body: Body, seed?: number): Effect.Effect<unknown, unknown> =>
  // The first sleep under a test clock that never moved can be interrupted even in a finalizer: it arms a warning.
  Effect.andThen(TestClock.adjust(0), Effect.suspend(body)).pipe(
    Effect.provideService(Scope.Scope, Scope.makeUnsafe()),
    Effect.provide(Layer.provideMerge(TestNode.layer(seed === undefined ? {} : { seed }), Logger.layer([])))
  )

/** A test that is the same in any order. */
export const onNode = (title: string, body: Body): void => it.effect(title, () => run(body))

/** A test under each of twenty orders of what can happen in any order. */
export const seeded = (title: string, body: Body): void => {
  describe(title, () => {
    it.effect.each(TestNode.seeds(400).slice(20))("seed %s", (seed) => run(body, seed))
  })
}

/** What happened, in order. */
export class Log {
  readonly lines: Array<string> = []

  /** Writes a line. */
  readonly add = (line: string): Effect.Effect<void> => Effect.sync(() => void this.lines.push(line))

  /** Writes a line with the time in milliseconds. */
  readonly at = (line: string): Effect.Effect<void> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => this.add(`${now} ${line}`))

  /** The lines so far, in one, which are then forgotten. */
  take(): string {
    return this.lines.splice(0).join(" ")
  }
}

export class Probe extends Protocol.make(
  "Probe",
  Message.Call("Name", { success: Schema.String }),
  Message.Cast("End", { payload: { reason: ExitReason.ExitReason } })
) {}

/** A typed failure to start. */
export class Broken extends Schema.TaggedError<Broken>()("Broken", { child: Schema.String }) {}

/** What a probe does besides writing down `+name` when it starts and `-name` when it has ended. */
export interface Conduct {
  /** Runs first in `init`; may fail, hang or ignore. */
  readonly start?: Effect.Effect<unknown, Broken>
  /** The `terminate` callback, which writes `~name` when there is one. */
  readonly stop?: Effect.Effect<unknown>
}

/** A server that writes to a log. Its argument is its name. */
export const probe = (log: Log, conduct: Conduct = {}) =>
  GenServer.make(Probe, {
    init: (name: string) =>
      Effect.gen(function*() {
        if (conduct.start !== undefined && (yield* conduct.start) === GenServer.ignore) return GenServer.ignore
        yield* Effect.addFinalizer(() => log.add(`-${name}`))
        yield* log.add(`+${name}`)
        return name
      }),
    handlers: {
      Name: (_, name) => GenServer.reply(name, name),
      End: ({ reason }) => GenServer.stop(reason)
    },
    ...(conduct.stop === undefined ? {} : {
      terminate: (_reason: ExitReason.ExitReason, name: string) => Effect.andThen(log.add(`~${name}`), conduct.stop!)
    })
  })

/** A probe as a child, named as its id. */
export const child = <const Id extends string>(
  log: Log,
  id: Id,
  options: Supervisor.ChildOptions & Conduct = {}
): Supervisor.Child<Id, Broken | CallError.StartError, never> => {
  const { start, stop, ...rest } = options
  return Supervisor.child(id, probe(log, { ...(start && { start }), ...(stop && { stop }) }), id, rest)
}

/** The pid of a child that runs. */
export const pidOf = (target: Supervisor.Target, id: string): Effect.Effect<Pid, unknown, Node.Node> =>
  Effect.map(Supervisor.whereis(target, id), Option.getOrThrow)

/** The ids of the children in start order, with `?` for those that wait for a restart and `!` for those that are down. */
export const shown = (target: Supervisor.Target): Effect.Effect<string, unknown, Node.Node> =>
  Effect.map(
    Supervisor.whichChildren(target),
    (children) =>
      [...children].reverse().map(({ id, status }) =>
        Option.getOrElse(id, () => "_") + (status === "running" ? "" : status === "restarting" ? "?" : "!")
      ).join(" ")
  )

export const error = (text = "boom"): ExitReason.ExitReason => ExitReason.error(new Error(text))

/** Ends a child from inside, and lets follow what follows. */
export const end = (
  target: Supervisor.Target,
  id: string,
  reason: ExitReason.ExitReason = error()
): Effect.Effect<void, unknown, Node.Node> =>
  Effect.gen(function*() {
    const ref = yield* GenServer.fromPid(Probe, yield* pidOf(target, id))
    yield* ref.End({ reason })
    yield* TestNode.settle
  })

/** Keeps a supervisor busy while something happens to others, and lets it go on then. */
export const whileBusy = <A, E, R>(
  target: { readonly pid: Pid },
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R | Node.Node> =>
  Effect.gen(function*() {
    const { runtime } = yield* Node.Node
    const held = yield* Deferred.make<void>()
    const release = yield* Deferred.make<void>()
    const supervisor = runtime.resolve(target.pid) as ServerProcess
    supervisor.system(() => Effect.andThen(Deferred.succeed(held, undefined), Deferred.await(release)))
    yield* Deferred.await(held)
    const result = yield* effect
    yield* Deferred.succeed(release, undefined)
    yield* TestNode.settle
    return result
  })

/** How a process ended, or that it is alive, when nothing can go on any more. */
export const endOf = (
  pid: Pid
): Effect.Effect<{ readonly reason: Effect.Effect<string> }, never, Node.Node | Scope.Scope> =>
  Effect.gen(function*() {
    let reason = "alive"
    yield* Effect.forkScoped(Effect.map(Process.awaitExit(pid), (exit) => reason = ExitReason.format(exit)))
    yield* TestNode.settle
    return { reason: Effect.map(TestNode.settle, () => reason) }
  })

/** A process under which something starts that it is linked to and that outlives it. */
export interface Parent<A> {
  readonly pid: Pid
  /** How the start went, once it is over. */
  readonly outcome: Effect.Effect<Exit.Exit<A, unknown>>
  /** Ends the process with a reason. */
  readonly exit: (reason: ExitReason.ExitReason) => Effect.Effect<void, never, Node.Node>
}

/** Starts something under a process of its own. It is in no scope: the process reaches it by its exit signal alone. */
export const underParent = <A, E>(
  start: Effect.Effect<A, E, Node.Node | Scope.Scope | Process.CurrentProcess>
): Effect.Effect<Parent<A>, CallError.StartError, Node.Node> =>
  Effect.gen(function*() {
    const outcome = yield* Deferred.make<Exit.Exit<A, E>>()
    const exit = yield* Deferred.make<ExitReason.ExitReason>()
    const pid = yield* Process.spawnDetached(() =>
      Effect.gen(function*() {
        yield* Effect.provideService(start, Scope.Scope, Scope.makeUnsafe()).pipe(
          Effect.exit,
          Effect.flatMap((result) => Deferred.succeed(outcome, result)),
          Effect.forkDetach
        )
        return yield* Process.exitSelf(yield* Deferred.await(exit))
      })
    )
    yield* TestNode.settle
    return {
      pid,
      outcome: Deferred.await(outcome),
      exit: (reason) => Effect.andThen(Deferred.succeed(exit, reason), TestNode.settle)
    }
  })
