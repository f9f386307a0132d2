/**
 * Three Erlang nodes and one of ours under load, while one of the Erlang nodes is killed and comes back, time and again.
 *
 * Judged: every pair of live nodes is connected; a call to a node that is there is answered, one to the node that was killed is
 * answered or fails with a typed error; every other node sees each death and each return exactly once, as an event and as
 * the end of a monitored process; the members of a group are the same on all nodes once nobody joins or leaves.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { fileURLToPath } from "node:url"
import * as Global from "../../src/dist/Global.ts"
import * as Node from "../../src/dist/Node.ts"
import * as NodeNetwork from "../../src/dist/NodeNetwork.ts"
import * as ProcessGroup from "../../src/otp/ProcessGroup.ts"
import * as Process from "../../src/process/Process.ts"
import * as Atom from "../../src/term/Atom.ts"
import type { Pid } from "../../src/term/Pid.ts"
import * as Term from "../../src/term/Term.ts"
import type { Tuple } from "../../src/term/Tuple.ts"
import { cookie, type ErlangNode, freePort, startErlang } from "../../test/dist/ErlangNode.ts"
import * as Watch from "./Watch.ts"

/** What a run does. */
export interface Options {
  /** How often a node is killed. */
  readonly kills: number
  /** From kill to kill. */
  readonly cycleMillis: number
  /** How long a killed node is away. */
  readonly downMillis: number
  readonly netTickSeconds: number
  /** Between two calls of one caller. */
  readonly pauseMillis: number
  /** Whether our node takes part in `global`. */
  readonly global: boolean
  readonly say: (text: string) => void
  /** Called now and then. */
  readonly look?: () => void
}

/** What came of it. */
export interface Outcome {
  readonly problems: ReadonlyArray<string>
  readonly kills: number
  /** Calls of ours that were answered, and those that failed because the node was killed. */
  readonly answered: number
  readonly failed: number
  /** Calls of the Erlang nodes to ours that were answered. */
  readonly served: number
  /** The longest time from the start of a killed node to a whole cluster, in milliseconds. */
  readonly slowestReturn: number
}

const ourName = "ours@127.0.0.1"
const erlangNames = ["e1@127.0.0.1", "e2@127.0.0.1", "e3@127.0.0.1"] as const
const group = Atom.make("load")
const source = fileURLToPath(new URL("../erlang/bench_cluster", import.meta.url))
const callersPerNode = 6

type Book = ReadonlyMap<string, number>

/** A node that runs: its name, what it counts, whom it sees, whom it takes for members. */
interface Seen {
  readonly name: string
  readonly counts: Effect.Effect<Book, unknown, Node.Node>
  readonly nodes: Effect.Effect<ReadonlyArray<string>, unknown, Node.Node>
  readonly members: (local: boolean) => Effect.Effect<ReadonlyArray<Pid>, unknown, Node.Node>
  readonly churn: (on: boolean) => Effect.Effect<unknown, unknown, Node.Node>
}

interface Running extends Seen {
  readonly erl: ErlangNode
  readonly scope: Scope.Closeable
}

const sorted = (pids: ReadonlyArray<Pid>): string => pids.map((pid) => `${pid}:${pid.creation}`).sort().join(" ")

const unwanted: ReadonlySet<string> = new Set(["wrong", "unknown", "timeout", "noproc", "nodedown_"])

const erlangNode = (name: string, port: number, options: Options): Effect.Effect<Running, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Scope.fork(yield* Effect.scope)
    const erl = yield* Effect.provideService(
      startErlang(name, {
        epmdPort: port,
        arguments: ["-kernel", "net_ticktime", String(options.netTickSeconds), "-kernel", "logger_level", "none"]
      }),
      Scope.Scope,
      scope
    )
    const loaded = yield* erl.eval(
      `(fun() -> {ok, M, B} = compile:file(${JSON.stringify(source)}, [binary]), code:load_binary(M, "", B) end)()`
    )
    if (!loaded.startsWith("{module,")) return yield* Effect.die(new Error(`bench_cluster did not load: ${loaded}`))
    return {
      name,
      erl,
      scope,
      counts: Effect.map(erl.eval("bench_cluster:counts()"), (text) =>
        new Map(
          (Term.parseUnsafe(text) as ReadonlyArray<Tuple>).map(({ elements: [kind, node, count] }) => [
            `${Term.print(kind!)} ${Term.print(node!).replaceAll("'", "")}`,
            count as number
          ])
        )),
      nodes: Effect.map(erl.eval("lists:sort(nodes())"), (text) => text.match(/[^\s'[\],]+/g) ?? []),
      members: (local) =>
        Effect.map(
          Node.callTerm({ name: "cluster_teller", node: name }, Atom.make(local ? "local" : "members")),
          (pids) => pids as ReadonlyArray<Pid>
        ),
      churn: (on) => erl.eval(`bench_cluster:churn(${on})`)
    }
  })

/** Has processes of ours join and leave. */
const churner = (on: () => boolean, running: () => boolean): Effect.Effect<void, unknown, Node.Node> =>
  Effect.gen(function*() {
    const pids: Array<Pid> = []
    for (let n = 0; running(); n++) {
      yield* Effect.sleep(20)
      if (!on()) continue
      const what = n % 4
      if (pids.length > 0 && (what === 0 || pids.length > 20)) yield* Process.kill(pids.shift()!)
      else if (what === 1 && pids.length > 0) yield* Effect.ignore(ProcessGroup.leave(group, pids[0]!))
      else {
        const pid = yield* Process.spawnDetached(() => Effect.never)
        yield* ProcessGroup.join(group, [pid, pid])
        pids.push(pid)
      }
    }
  })

/** Runs it. */
export const run = (options: Options): Effect.Effect<Outcome, unknown> =>
  Effect.scoped(Effect.gen(function*() {
    const port = yield* freePort
    const node = Node.layer({
      name: ourName,
      cookie: Redacted.make(cookie),
      discovery: { port, serve: true },
      netTickTime: `${options.netTickSeconds} seconds`
    }).pipe(Layer.provide(NodeNetwork.layer))
    return yield* options.global
      ? Effect.provide(body(options, port), Layer.provideMerge(Global.layer, node))
      : Effect.provide(body(options, port), node)
  }))

const body = (options: Options, port: number): Effect.Effect<Outcome, unknown, Node.Node | Scope.Scope> =>
  Effect.gen(function*() {
    const problems: Array<string> = []
    const begin = performance.now()
    const problem = (text: string): void => {
      const line = `at ${((performance.now() - begin) / 1000).toFixed(1)} s: ${text}`
      // A broken cluster would repeat itself without end.
      if (problems.length < 50) problems.push(line)
      options.say(`  ! ${line}`)
    }
    const counts = new Watch.Counts()
    /** Nodes that may fail to answer now. */
    const absent = new Set<string>()
    let running = true
    let churning = true
    const us: Seen = {
      name: ourName,
      counts: Effect.sync(() => counts.snapshot()),
      nodes: Effect.map(Node.nodes(), (names) => [...names].sort()),
      members: (local) => local ? ProcessGroup.localMembers(group) : ProcessGroup.members(group),
      churn: (on) =>
        Effect.sync(() => {
          churning = on
        })
    }

    yield* Watch.startEcho
    yield* ProcessGroup.start()
    yield* Watch.watch(counts)
    const start = (name: string) =>
      Effect.tap(erlangNode(name, port, options), ({ erl }) => {
        const others = [ourName, ...erlangNames].filter((other) => other !== name).map((other) => `'${other}'`)
        return erl.eval(`bench_cluster:start([${others}], ${options.pauseMillis})`)
      })
    for (const name of erlangNames) absent.add(name)
    const erlangs = new Map<string, Running>()
    for (const name of erlangNames) erlangs.set(name, yield* start(name))
    const live = (): ReadonlyArray<Seen> => [us, ...erlangs.values()]

    const callers: Array<Fiber.Fiber<unknown, unknown>> = [
      yield* Effect.forkChild(churner(() => churning, () => running))
    ]
    for (const name of erlangNames) {
      for (let i = 0; i < callersPerNode; i++) {
        callers.push(
          yield* Effect.forkChild(Watch.caller(name, options.pauseMillis, counts, () => running, (reason) => {
            if (!absent.has(name)) problem(`a call of ours to ${name} failed with ${reason}, but it is there`)
            else if (reason === "wrong" || reason === "untyped") problem(`a call to ${name} ended with ${reason}`)
          }))
        )
      }
    }

    /** Pairs of live nodes that are not connected, and dead nodes that are still seen. */
    const broken: Effect.Effect<ReadonlyArray<string>, unknown, Node.Node> = Effect.gen(function*() {
      const all = live()
      const wrong: Array<string> = []
      for (const one of all) {
        const expected = all.filter((other) => other !== one).map((other) => other.name).sort().join(" ")
        const seen = (yield* one.nodes).join(" ")
        if (seen !== expected) wrong.push(`${one.name} sees [${seen}] and not [${expected}]`)
      }
      return wrong
    })
    const until = (millis: number, check: Effect.Effect<ReadonlyArray<string>, unknown, Node.Node>) =>
      Effect.gen(function*() {
        const end = performance.now() + millis
        for (;;) {
          const wrong = yield* check
          if (wrong.length === 0 || performance.now() > end) return wrong
          yield* Effect.sleep(50)
        }
      })
    /** Watches that the cluster stays as it is. */
    const stay = (end: number) =>
      Effect.gen(function*() {
        while (performance.now() < end) {
          for (const wrong of yield* broken) problem(wrong)
          options.look?.()
          yield* Effect.sleep(Math.min(500, Math.max(1, end - performance.now())))
        }
      })
    const whole = Effect.gen(function*() {
      const started = performance.now()
      for (const wrong of yield* until(20_000, broken)) problem(`not whole within 20 s: ${wrong}`)
      return performance.now() - started
    })

    /** With nobody joining or leaving, all must say the same: what is there. */
    const converge = Effect.gen(function*() {
      for (const one of live()) yield* one.churn(false)
      const differing = yield* until(
        10_000,
        Effect.gen(function*() {
          const local: Array<Pid> = []
          for (const one of live()) local.push(...yield* one.members(true))
          const expected = sorted(local)
          const wrong: Array<string> = []
          for (const one of live()) {
            const all = yield* one.members(false)
            if (sorted(all) !== expected) wrong.push(`${one.name} has ${all.length} members of ${local.length}`)
          }
          return wrong
        })
      )
      for (const wrong of differing) problem(`the group does not converge: ${wrong}`)
      for (const one of live()) yield* one.churn(true)
    })

    const books = Effect.gen(function*() {
      const all = new Map<string, Book>()
      for (const one of live()) all.set(one.name, yield* one.counts)
      return all
    })
    /** What a node has counted since, beside what it should have. */
    const compare = (name: string, before: Book | undefined, after: Book, victim: string): void => {
      const expected = new Map<string, number>()
      if (before !== undefined) {
        for (const kind of ["nodeup", "nodedown", "down"]) expected.set(`${kind} ${victim}`, 1)
      } else for (const other of live()) if (other.name !== name) expected.set(`nodeup ${other.name}`, 1)
      for (const key of new Set([...after.keys(), ...before?.keys() ?? [], ...expected.keys()])) {
        const [kind, node] = key.split(" ") as [string, string]
        const grown = (after.get(key) ?? 0) - (before?.get(key) ?? 0)
        if (["nodeup", "nodedown", "down", "stray"].includes(kind)) {
          // A node that has just come back may have begun to count when others had already connected.
          if (before === undefined && kind === "nodeup" && grown <= 1) continue
          const wanted = expected.get(key) ?? 0
          if (grown !== wanted) problem(`${name} counts ${grown} x ${kind} of ${node} and not ${wanted}`)
        } else if (unwanted.has(kind) && grown > 0) {
          const excused = node === victim && (kind === "nodedown_" || kind === "noproc")
          if (!excused) problem(`${grown} calls of ${name} to ${node} ended with ${kind}`)
        }
      }
    }

    yield* whole
    absent.clear()
    yield* converge
    options.say(`whole: ${live().map((one) => one.name).join(", ")}`)
    let served = 0
    let slowestReturn = 0
    const collect = (book: Book): void => {
      served += book.get(`answered ${ourName}`) ?? 0
    }
    for (let kill = 0; kill < options.kills; kill++) {
      const due = performance.now() + options.cycleMillis
      yield* stay(due - options.cycleMillis * 0.6)
      const victim = erlangNames[kill % erlangNames.length]!
      const before = yield* books
      const dying = erlangs.get(victim)!
      collect(before.get(victim)!)
      absent.add(victim)
      erlangs.delete(victim)
      yield* dying.erl.kill
      yield* Scope.close(dying.scope, Exit.void)
      for (const wrong of yield* until(5000, broken)) problem(`5 s after the death of ${victim}: ${wrong}`)
      yield* stay(performance.now() + options.downMillis)
      erlangs.set(victim, yield* start(victim))
      const took = yield* whole
      slowestReturn = Math.max(slowestReturn, took)
      // Calls that began before have failed by now.
      yield* stay(performance.now() + Math.min(1000, options.cycleMillis * 0.1))
      absent.delete(victim)
      yield* converge
      const after = yield* books
      for (const [name, book] of after) compare(name, name === victim ? undefined : before.get(name), book, victim)
      options.say(
        `${victim} was killed and came back, whole after ${took.toFixed(0)} ms; ` +
          `${counts.total("answered")} calls answered, ${counts.total("NodeDown")} failed with NodeDown`
      )
      yield* stay(due)
    }
    running = false
    const ended = yield* Effect.timeoutOption(Effect.forEach(callers, Fiber.await), "15 seconds")
    if (ended._tag === "None") problem("calls are still waiting 15 s after the end")
    else for (const exit of ended.value) if (Exit.isFailure(exit)) problem(`a caller ended with ${String(exit.cause)}`)
    for (const book of (yield* books).values()) collect(book)
    const answered = counts.total("answered")
    if (answered === 0 || served === 0) problem("there was no load")
    return {
      problems,
      kills: options.kills,
      answered,
      failed: counts.total("NodeDown") + counts.total("NoProcess") + counts.total("CallTimeout"),
      served,
      slowestReturn
    }
  })
