/**
 * What the tools of Erlang ask a node: `observer`, `etop`, and a shell that looks around with `rpc:call/4`.
 *
 * They call functions of `runtime_tools`, `erlang` and a few others on the node that they look at. With this layer a node
 * answers them, as far as there is something to tell; without it they get `undef` and say that the node is down.
 *
 * | tool, tab | what it calls | answered |
 * |---|---|---|
 * | `observer`, connecting and System | `observer_backend:sys_info/0` | yes |
 * | Load Charts | `spawn_link` of `observer_backend:fetch_stats/2` | yes |
 * | Memory Allocators | `sys_info/0`, the part `alloc_info` | empty: there are no such allocators |
 * | Processes | `code:ensure_loaded/1`, `erlang:function_exported/3`, `observer_backend:procs_info/1`, `etop_collect/1` | yes |
 * | a process | `erlang:process_info/2`, `proc_lib:translate_initial_call/1`, `effect_otp:module_info/1`, `sys:get_status/2` | yes; the state as text |
 * | Ports, Sockets | `get_port_list/0`, `get_socket_list/0`, `socket_info/0` | empty |
 * | Tables | `get_table_list/2` | empty: there is no ETS; `get_table/3` is not answered |
 * | Applications | `appmon_info:start_link2/3` and casts to the process that it gives | an empty list: trees are shown under Processes |
 * | `effect-otp tree`, a shell | `application:which_applications/0`, `application_controller:get_master/1`, `application_master:get_child/1`, `supervisor:which_children/1` and `count_children/1`, `effect_otp:supervisors/0` | yes |
 * | Trace, Log, Kill, Send | `dbg:*`, `ttb`, `rb:*`, `erlang:exit/2` | no: nobody steers this node from outside |
 * | `etop` | `observer_backend:vsn/0`, `spawn_link` of `etop_collect/1` | yes, with `-tracing off` |
 * | `etop -tracing on` | `net_adm:localhost/0`, `erlang:whereis/1`, then `dbg:tracer/3` | no: there is no trace port |
 * | a shell | `net_adm:ping/1`, `erlang:node/0`, `nodes/0`, `processes/0`, `registered/0`, `whereis/1`, `is_process_alive/1`, `memory/0`, `memory/1`, `system_info/1`, `statistics/1` | yes |
 *
 * Refused: whatever changes something, and what users have put in: messages and environments of processes are never
 * shown, states only as the `format` of their server shows them. Memory of a single process is unknown and shown as 0;
 * reductions are the messages that it has handled.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Etf from "../etf/EtfSchema.ts"
import { Node, processes, statistics } from "../process/Node.ts"
import * as Process from "../process/Process.ts"
import { Down } from "../process/Signal.ts"
import * as Atom from "../term/Atom.ts"
import { isPid, type Pid } from "../term/Pid.ts"
import type { Term } from "../term/Term.ts"
import { isTuple, Tuple } from "../term/Tuple.ts"
import { etopInfo, infosOf, initialCall, itemsOf, statusOf } from "./internal/processInfo.ts"
import { atom, atomOrText, function_, list } from "./internal/shownTerms.ts"
import * as supervisionTree from "./internal/supervisionTree.ts"
import { defaults, type Facts, memoryOf, statisticOf, sysInfo, systemInfoOf } from "./internal/systemInfo.ts"
import { distributionUnsafe, nodes, ping } from "./Node.ts"
import * as RemoteSpawn from "./RemoteSpawn.ts"
import * as Rpc from "./Rpc.ts"
import type { ProvideError } from "./RpcError.ts"

/**
 * What only the host of a node knows. Sizes are bytes.
 *
 * @category models
 * @since 0.1.0
 */
export interface System {
  /** The version of the host's runtime, as text. */
  readonly version: string
  /** As `x86_64-linux`. */
  readonly architecture: string
  readonly processors: number
  /** All memory of the program, and how much of it is heap in use, byte buffers, and compiled code. */
  readonly memory: {
    readonly total: number
    readonly processes: number
    readonly binary: number
    readonly code: number
  }
  /** How long the event loop was busy, of how much time, in microseconds since some moment. */
  readonly load: { readonly active: number; readonly total: number }
}

/**
 * Options of the tools.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** What the host knows; without it, nothing. `NodeRuntimeTools.layer` knows Node.js. */
  readonly system?: Effect.Effect<System> | undefined
  /** Which other nodes get answers; all that know the cookie, by default. See `Rpc.ProvideOptions`. */
  readonly allow?: ((node: string) => boolean) | undefined
}

const any = Etf.Term

/** Any message. */
const anything = Schema.Unknown

/** Chunks in which processes are told. */
const chunkSize = 10_000

/**
 * Answers the tools of Erlang. Opt in: it tells who knows the cookie about the processes of the node, and changes nothing.
 *
 * @example
 * ```ts
 * import { Layer, Redacted } from "effect"
 * import { Node, RuntimeTools } from "effect-otp/dist"
 *
 * const NodeLive = RuntimeTools.layer().pipe(
 *   Layer.provideMerge(Node.layer({ name: "shop@127.0.0.1", cookie: Redacted.make("k6vQ0yq9c2h1uYw7") }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<never, ProvideError, Node> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const node = yield* Node
    const system = options?.system ?? Effect.succeed(defaults)
    const only = { allow: options?.allow }
    const inNode = <A, E>(effect: Effect.Effect<A, E, Node>): Effect.Effect<A, E> =>
      Effect.provideService(effect, Node, node)
    const give = (
      module: string,
      name: string,
      arity: number,
      f: (...args: ReadonlyArray<Term>) => Effect.Effect<Term>
    ) =>
      Rpc.provide(
        Rpc.make(module, name, { args: Array.from({ length: arity }, () => any), success: any }),
        (...args) => Effect.suspend(() => f(...args)),
        only
      )
    const constant = (module: string, name: string, arity: number, term: Term) =>
      give(module, name, arity, () => Effect.succeed(term))

    const traffic = Effect.sync(() => {
      let input = 0
      let output = 0
      for (const peer of distributionUnsafe(node)?.peers.values() ?? []) {
        input += peer.connection?.counters.bytesIn ?? 0
        output += peer.connection?.counters.bytesOut ?? 0
      }
      return { input, output }
    })
    const now = Effect.map(Clock.currentTimeMillis, (millis) => millis * 1000)
    const facts: Effect.Effect<Facts> = Effect.all({ system, statistics: inNode(statistics), traffic, now })

    // observer_backend
    yield* constant("observer_backend", "vsn", 0, new Tuple([Atom.ok, list("1.19")]))
    yield* give("observer_backend", "sys_info", 0, () => Effect.map(facts, sysInfo))
    yield* constant("observer_backend", "get_port_list", 0, [])
    yield* constant("observer_backend", "get_socket_list", 0, [])
    yield* constant(
      "observer_backend",
      "socket_info",
      0,
      ["iov_max", "num_monitors", "num_sockets"].map((name) => new Tuple([atom(name), 0]))
    )
    yield* constant("observer_backend", "get_table_list", 2, [])
    yield* RemoteSpawn.provide(
      RemoteSpawn.entry("observer_backend", "procs_info", [Etf.Pid]),
      ([collector]) =>
        Effect.gen(function*() {
          const self = yield* Process.self
          const all = infosOf(node, self)
          for (let at = 0; at === 0 || at <= all.length; at += chunkSize) {
            const chunk = all.slice(at, at + chunkSize)
            yield* Process.send(collector, new Tuple([atom("procs_info"), self, chunk]))
          }
        }),
      only
    )
    yield* RemoteSpawn.provide(
      RemoteSpawn.entry("observer_backend", "etop_collect", [Etf.Pid]),
      ([collector]) =>
        Effect.gen(function*() {
          const self = yield* Process.self
          const all = infosOf(node, self)
          yield* Process.send(collector, new Tuple([self, etopInfo(yield* facts, all)]))
        }),
      only
    )
    yield* RemoteSpawn.provide(
      RemoteSpawn.entry("observer_backend", "fetch_stats", [Etf.Pid, Etf.Term]),
      ([parent, interval]) =>
        Effect.gen(function*() {
          // A parent that is gone must not be told for ever. Any message ends it.
          yield* Process.trapExit(true)
          const millis = typeof interval === "number" && interval >= 10 ? interval : 1000
          while (Option.isNone(yield* Process.receive(anything, { timeout: Duration.millis(millis) }))) {
            const now = yield* facts
            yield* Process.send(
              parent,
              new Tuple([
                atom("stats"),
                1,
                statisticOf(now, "scheduler_wall_time")!,
                statisticOf(now, "io")!,
                memoryOf(now)
              ])
            )
          }
        }),
      only
    )

    // The tab of applications wants a process that answers its casts.
    yield* give("appmon_info", "start_link2", 3, (_, client) =>
      isPid(client)
        ? Effect.map(
          Effect.orDie(
            inNode(Process.spawnDetached((mailbox) => noApplications(client, mailbox), { label: "appmon_info" }))
          ),
          (pid) => new Tuple([Atom.ok, pid])
        )
        : Rpc.raise(atom("badarg")))

    // What observer looks at before it uses them.
    yield* give("code", "ensure_loaded", 1, (module) =>
      Effect.succeed(
        Atom.is(module, "observer_backend")
          ? new Tuple([atom("module"), module])
          : new Tuple([Atom.error, atom("nofile")])
      ))
    yield* give(
      "erlang",
      "function_exported",
      3,
      (module, name, arity) =>
        Effect.map(
          inNode(Rpc.provided),
          (all) => Atom.fromBoolean(all.includes(`${String(module)}:${String(name)}/${String(arity)}`))
        )
    )

    // One process.
    const about = (pid: Term | undefined): Effect.Effect<Option.Option<Process.Info>> =>
      isPid(pid) && pid.node === node.name ? inNode(Process.info(pid)) : Rpc.raise(atom("badarg"))
    yield* give("erlang", "process_info", 2, (pid, items) =>
      Effect.flatMap(
        about(pid),
        Option.match({
          onNone: () => Effect.succeed(Atom.undefined_),
          onSome: (info) => {
            const found = itemsOf(node, info, items!)
            return found === undefined ? Rpc.raise(atom("badarg")) : Effect.succeed(found)
          }
        })
      ))
    yield* give("proc_lib", "translate_initial_call", 1, (pid) =>
      Effect.map(
        about(pid),
        Option.match({
          onNone: () => function_("proc_lib", "init_p", 5),
          onSome: initialCall
        })
      ))
    yield* give("effect_otp", "module_info", 1, (what) =>
      Effect.succeed(
        Atom.is(what, "attributes") ? [new Tuple([atom("behaviour"), [atom("gen_server")]])] : []
      ))
    yield* give("sys", "get_status", 2, (pid) =>
      Effect.flatMap(
        about(pid),
        Option.match({
          onNone: () => Rpc.exit(atom("noproc")),
          onSome: (info) => Effect.succeed(statusOf(info))
        })
      ))

    // The node.
    yield* give(
      "net_adm",
      "ping",
      1,
      (name) => name instanceof Atom.Atom ? Effect.map(inNode(ping(name.name)), atom) : Effect.succeed(atom("pang"))
    )
    yield* constant("net_adm", "localhost", 0, list(node.name.slice(node.name.indexOf("@") + 1)))
    yield* constant("erlang", "node", 0, atom(node.name))
    yield* give("erlang", "nodes", 0, () => Effect.map(inNode(nodes()), (names) => names.map(atom)))
    yield* give("erlang", "processes", 0, () => inNode(processes))
    yield* give(
      "erlang",
      "registered",
      0,
      () => Effect.map(inNode(Process.registered), (names) => names.map(atomOrText))
    )
    yield* give("erlang", "whereis", 1, (name) =>
      name instanceof Atom.Atom
        ? Effect.map(inNode(Process.whereis(name.name)), Option.getOrElse((): Term => Atom.undefined_))
        : Rpc.raise(atom("badarg")))
    yield* give("erlang", "is_process_alive", 1, (pid) =>
      isPid(pid) && pid.node === node.name
        ? Effect.map(inNode(Process.isAlive(pid)), Atom.fromBoolean)
        : Rpc.raise(atom("badarg")))
    for (const { arity, module, name, run } of supervisionTree.answers(node)) yield* give(module, name, arity, run)
    const orBadarg = (term: Term | undefined): Effect.Effect<Term> =>
      term === undefined ? Rpc.raise(atom("badarg")) : Effect.succeed(term)
    yield* give("erlang", "memory", 0, () => Effect.map(facts, memoryOf))
    yield* give("erlang", "memory", 1, (what) =>
      Effect.flatMap(facts, (now) => {
        const entries = memoryOf(now) as ReadonlyArray<Tuple>
        if (Array.isArray(what)) {
          return Effect.succeed(entries.filter(({ elements }) => what.some((w) => Atom.is(w, String(elements[0])))))
        }
        return orBadarg(
          entries.find(({ elements }) => what instanceof Atom.Atom && Atom.is(elements[0], what.name))?.elements[1]
        )
      }))
    yield* give(
      "erlang",
      "system_info",
      1,
      (what) => Effect.flatMap(facts, (now) => orBadarg(systemInfoOf(now, what!)))
    )
    yield* give(
      "erlang",
      "statistics",
      1,
      (what) =>
        Effect.flatMap(facts, (now) => orBadarg(what instanceof Atom.Atom ? statisticOf(now, what.name) : undefined))
    )
  }))

/** Says for as long as somebody listens that there are no applications. */
const noApplications = (
  client: Pid,
  mailbox: Queue.Dequeue<unknown>
): Effect.Effect<void, never, Node | Process.CurrentProcess> =>
  Effect.gen(function*() {
    const self = yield* Process.self
    yield* Process.monitor(client)
    while (true) {
      const message = yield* Effect.orDie(Queue.take(mailbox))
      if (message instanceof Down) return
      if (!isTuple(message, 2) || !Atom.is(message.elements[0], "$gen_cast")) continue
      const request = message.elements[1]
      if (!isTuple(request) || request.arity < 3) continue
      const [from, command, about] = request.elements as readonly [Term, Term, Term]
      const nothing = Atom.is(command, "app_ctrl") ? [] : new Tuple([[], [], [], []])
      if (isPid(from)) yield* Process.send(from, new Tuple([atom("delivery"), self, command, about, nothing]))
    }
  })
