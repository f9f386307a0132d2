/**
 * The mixed load of a soak: two hundred servers under ten supervisors and five slow ones with every overflow policy, clients that
 * cast, call, set timers, spawn and start dynamic children, watchers with monitors, and the one that kills.
 *
 * Clients, watchers and the killer never die, so that what was sent is known; everything they talk to does.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import {
  type CallError,
  DynamicSupervisor,
  ExitReason,
  GenServer,
  Mailbox,
  Message,
  type Node,
  Process,
  type ProcessRef,
  Protocol,
  Signal,
  Supervisor
} from "../../src/index.ts"
import type { Ledger } from "./Ledger.ts"

const supervisors = 10
const perSupervisor = 20
/** Servers that answer at once. */
export const fastServers: number = supervisors * perSupervisor
/** Servers that take a millisecond for each message, in a mailbox of a hundred. */
const slowPolicies: ReadonlyArray<Mailbox.Overflow> = [
  "suspend",
  "fail",
  "dropNew",
  "dropOld",
  { forward: { name: "fallback" }, tag: "overflow" }
]
/** All servers. */
export const servers: number = fastServers + slowPolicies.length
const clients = 16
/** Who sends casts: clients, the one who overloads the slow servers, and each fast server. */
export const streams: number = clients + 1 + fastServers
const overloader = clients

/** A small seeded generator (mulberry32): a number from 0 up to `bound`. */
export const seeded = (seed: number): (bound: number) => number => {
  let state = seed >>> 0
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return Math.floor(((t ^ (t >>> 14)) >>> 0) / 2 ** 32 * bound)
  }
}

class Worker extends Protocol.make(
  "Worker",
  Message.Cast("Note", { payload: { stream: Schema.Int, number: Schema.Int, relay: Schema.Boolean } }),
  Message.Call("Ask", { payload: { n: Schema.Int }, success: Schema.Int }),
  Message.Call("AskSlowly", { payload: { n: Schema.Int }, success: Schema.Int }),
  Message.Cast("Crash"),
  Message.Info("Tick")
) {}

type WorkerRef = ProcessRef.NamedRef<Protocol.Messages<typeof Worker>>

const nameOf = (index: number): string => `worker-${index}`

/** What everybody shares. */
export interface World {
  readonly ledger: Ledger
  readonly random: (bound: number) => number
  readonly refs: ReadonlyArray<WorkerRef>
  /** Set when the clients are to finish what they do. */
  stopping: boolean
}

interface Args {
  readonly world: World
  readonly index: number
}

const cast = (world: World, stream: number, target: number, relay: boolean): Effect.Effect<void> =>
  Effect.suspend(() => {
    const number = world.ledger.next(stream, target)
    return Effect.map(world.refs[target]!.Note({ stream, number, relay }), () => {
      world.ledger.castsReturned++
    })
  })

const WorkerServer = GenServer.make(Worker, {
  init: (args: Args) => Effect.succeed(args),
  handlers: {
    Note: ({ number, relay, stream }, state) => {
      const { index, world } = state
      world.ledger.seen(stream, index, number)
      if (index >= fastServers) return Effect.as(Effect.sleep(1), GenServer.next(state))
      if (!relay) return GenServer.next(state)
      return Effect.as(cast(world, clients + 1 + index, world.random(fastServers), false), GenServer.next(state))
    },
    Ask: ({ n }, { world }) => {
      world.ledger.callsHandled++
      return n + 1
    },
    AskSlowly: ({ n }, state, { from }) => {
      const { index, world } = state
      world.ledger.callsHandled++
      const wait = Effect.sleep(world.random(20))
      // A slow server keeps the others waiting; a fast one goes on and answers later.
      if (index >= fastServers) return Effect.as(wait, GenServer.reply(n + 1, state))
      return Effect.as(Effect.forkChild(Effect.andThen(wait, from.reply(n + 1))), GenServer.noReply(state))
    },
    Crash: (_, { world }) => {
      world.ledger.handled++
      throw new Error("told to crash")
    },
    Tick: (_, { world }) => {
      world.ledger.handled++
      world.ledger.ticks++
    }
  }
})

class Job extends Protocol.make("Job", Message.Call("Finish", { success: Schema.Int })) {}

const JobServer = GenServer.make(Job, {
  init: (n: number) => Effect.succeed(n),
  handlers: {
    Finish: (_, n) => GenServer.replyAndStop(n)
  }
})

const Jobs = DynamicSupervisor.make(JobServer, { restart: "temporary" })

/** Gets what overflows the mailbox of the slow server whose policy is to forward. */
const fallback = (world: World) => (mailbox: Queue.Dequeue<unknown>): Effect.Effect<never> =>
  Effect.forever(Effect.map(Queue.take(mailbox), (message) => {
    if (message instanceof Mailbox.Forwarded) world.ledger.forwarded++
    else world.ledger.count(world.ledger.surprises, "the fallback got what was not forwarded")
  }))

/** The tree: supervisors of servers, all permanent, allowed to restart as often as the killer likes. */
const tree = (world: World): Supervisor.Supervisor<string, unknown, never> => {
  const patient = { intensity: 100_000, period: "5 seconds" } as const
  const group = (from: number, to: number) =>
    Supervisor.make({
      ...patient,
      children: Array.from({ length: to - from }, (_, i) => {
        const index = from + i
        const overflow = slowPolicies[index - fastServers]
        return Supervisor.child(nameOf(index), WorkerServer, { world, index }, {
          name: nameOf(index),
          ...(overflow === undefined ? {} : { mailbox: { capacity: 100, overflow } })
        })
      })
    })
  return Supervisor.make({
    ...patient,
    children: [
      Supervisor.nested("slow", group(fastServers, servers)),
      ...Array.from(
        { length: supervisors },
        (_, i) => Supervisor.nested(`group-${i}`, group(i * perSupervisor, (i + 1) * perSupervisor))
      )
    ]
  })
}

const ask = (world: World, target: number, slowly: boolean): Effect.Effect<void> => {
  const { ledger } = world
  return Effect.suspend(() => {
    const n = ++ledger.calls
    const call: Effect.Effect<number, CallError.CallError> = slowly
      ? world.refs[target]!.AskSlowly({ n })
      : world.refs[target]!.Ask({ n })
    return Effect.matchCause(call, {
      onSuccess: (answer) => {
        if (answer === n + 1) ledger.callsAnswered++
        else ledger.count(ledger.surprises, "a call was answered with the reply of another")
      },
      onFailure: (cause) => {
        const reason = cause.reasons[0]
        if (reason?._tag === "Fail") ledger.count(ledger.callErrors, reason.error.reason._tag)
        else ledger.count(ledger.surprises, `a call ended without a typed error: ${String(cause)}`)
      }
    })
  })
}

const timer = (world: World): Effect.Effect<void, never, Node.Node> =>
  Effect.gen(function*() {
    const { ledger, random } = world
    const tick = { _tag: "Tick" }
    const armed = yield* Process.sendAfter({ name: nameOf(random(fastServers)) }, tick, 1 + random(200))
    ledger.timersArmed++
    if (random(2) === 0 && Option.isSome(yield* armed.cancel)) ledger.timersCancelled++
  })

const spawnWorkExit = (world: World): Effect.Effect<void, unknown, Node.Node> =>
  Effect.gen(function*() {
    const { ledger } = world
    ledger.spawned++
    const pid = yield* Process.spawnDetached(() =>
      Effect.sync(() => {
        let sum = 0
        for (let i = 0; i < 100; i++) sum += i
        if (sum === 4950) ledger.workDone++
      })
    )
    yield* Process.awaitExit(pid)
  })

const job = (
  world: World,
  jobs: DynamicSupervisor.DynamicSupervisorRef<number, Protocol.Messages<typeof Job>, unknown>
): Effect.Effect<void, unknown, Node.Node> =>
  Effect.gen(function*() {
    const n = ++world.ledger.jobs
    const ref = yield* DynamicSupervisor.startChild(jobs, n)
    if ((yield* ref.Finish()) === n) world.ledger.jobsDone++
  })

const client = (
  world: World,
  stream: number,
  jobs: DynamicSupervisor.DynamicSupervisorRef<number, Protocol.Messages<typeof Job>, unknown>
): Effect.Effect<void, unknown, Node.Node> =>
  Effect.gen(function*() {
    const { random } = world
    while (!world.stopping) {
      for (let i = 0; i < 64; i++) {
        const dice = random(1000)
        if (dice < 550) yield* cast(world, stream, random(fastServers), dice < 50)
        else if (dice < 900) yield* ask(world, random(fastServers), false)
        else if (dice < 960) yield* spawnWorkExit(world)
        else if (dice < 990) yield* timer(world)
        else yield* job(world, jobs)
      }
      // A turn of the event loop, for timers and for the others.
      yield* Effect.yieldNow
    }
  })

/** Calls whose handlers take their time, so that a kill finds some of them under way. */
const patientClient = (world: World): Effect.Effect<void> =>
  Effect.gen(function*() {
    while (!world.stopping) yield* ask(world, world.random(fastServers), true)
  })

/** Overloads the slow servers in bursts, so that each overflow policy has something to do, and calls them meanwhile. */
const overload = (world: World): Effect.Effect<void> =>
  Effect.gen(function*() {
    while (!world.stopping) {
      const calls = Array.from({ length: 20 }, () => ask(world, fastServers + world.random(slowPolicies.length), true))
      const bursts = slowPolicies.map((_, i) => i).filter((i) => slowPolicies[i] !== "suspend")
      for (const i of bursts) for (let n = 0; n < 150; n++) yield* cast(world, overloader, fastServers + i, false)
      yield* Effect.all(calls, { concurrency: "unbounded", discard: true })
      for (let n = 0; n < 150; n++) yield* cast(world, overloader, fastServers, false)
      yield* Effect.sleep(500)
    }
  })

/** Keeps a monitor on random servers and expects exactly one Down from each that dies. */
const watcher =
  (world: World) => (mailbox: Queue.Dequeue<unknown>): Effect.Effect<void, never, Node.Node | Process.CurrentProcess> =>
    Effect.gen(function*() {
      const { ledger, random } = world
      const open = new Set<string>()
      const watch = Effect.suspend(() =>
        Effect.map(Process.monitor({ name: nameOf(random(fastServers)) }), (ref) => {
          ledger.monitors++
          open.add(String(ref))
        })
      )
      for (let i = 0; i < 50; i++) yield* watch
      for (;;) {
        const message = yield* Queue.take(mailbox)
        if (!(message instanceof Signal.Down)) continue
        ledger.downs++
        if (!open.delete(String(message.ref))) ledger.strayDowns++
        // A name that is free for a moment answers `noproc` at once: no spinning.
        yield* Effect.sleep(1)
        yield* watch
      }
    })

/** Ends one random server: mostly by a kill, sometimes by a crash or an exit signal. */
export const killOne = (world: World): Effect.Effect<void, never, Node.Node> =>
  Effect.gen(function*() {
    const { ledger, random } = world
    const index = random(servers)
    const pid = yield* Process.whereis(nameOf(index))
    if (Option.isNone(pid)) return
    ledger.kills++
    const dice = random(10)
    if (dice === 0) {
      ledger.casts++
      yield* world.refs[index]!.Crash()
      ledger.castsReturned++
    } else if (dice === 1) yield* Process.exit(pid.value, ExitReason.shutdown)
    else yield* Process.kill(pid.value)
  })

/** The load while it runs. `finish` ends it and waits until everything that was sent has been dealt with. */
export interface Running {
  readonly world: World
  readonly finish: Effect.Effect<void, unknown, Node.Node>
}

/** Starts servers, clients and watchers; nobody is killed yet. */
export const start = (ledger: Ledger, seed: number): Effect.Effect<Running, unknown, Node.Node | Scope.Scope> =>
  Effect.gen(function*() {
    const refs: Array<WorkerRef> = []
    for (let i = 0; i < servers; i++) refs.push(yield* GenServer.named(Worker, nameOf(i)))
    const world: World = { ledger, random: seeded(seed), refs, stopping: false }
    yield* Process.spawn(fallback(world), { name: "fallback", mailbox: { capacity: Infinity } })
    yield* Supervisor.start(tree(world))
    const jobs = yield* DynamicSupervisor.start(Jobs)
    for (let i = 0; i < 4; i++) yield* Process.spawn(watcher(world))
    const busy = yield* Effect.forkScoped(
      Effect.all(
        [
          ...Array.from({ length: clients }, (_, i) => client(world, i, jobs)),
          ...Array.from({ length: clients }, () => patientClient(world)),
          overload(world)
        ],
        { concurrency: "unbounded", discard: true }
      )
    )
    const finish = Effect.gen(function*() {
      world.stopping = true
      const exit = yield* Fiber.await(busy)
      if (exit._tag === "Failure") ledger.count(ledger.surprises, `a client failed: ${String(exit.cause)}`)
      // The longest timer is due, and the last server is back.
      yield* Effect.sleep(1000)
      // Whatever was cast before these calls has been handled when they are answered.
      for (let i = 0; i < servers; i++) yield* ask(world, i, false)
      yield* Effect.sleep(500)
    })
    return { world, finish }
  })
