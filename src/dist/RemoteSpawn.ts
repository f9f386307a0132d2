/**
 * Remote spawn: processes of this node that others may start, and processes of others that this one starts.
 *
 * An entry point is a module, a name and the schemas of its arguments ({@link entry}). What it starts is a process body
 * ({@link provide}) or a server ({@link provideServer}). An Erlang node starts it with `spawn/4`, `spawn_link/4`,
 * `spawn_monitor/4`, `spawn_opt/5` or `spawn_request/5`; one of ours with {@link spawn}, {@link spawnLink} and
 * {@link spawnMonitor}, which start processes on Erlang nodes as well. The process has the group leader of whoever asked
 * for it.
 *
 * Functions of `Rpc.provide` can be started as processes too, whose result nobody sees, and process bodies can be called
 * by `Rpc.call`: in Erlang both are functions. Servers can only be started.
 *
 * Guarantees: a link or a monitor that was asked for is there before the process runs. Refused: everything that was not
 * provided by name, or not to the node that asks. Such a process ends at once with `{undef, [{Module, Name, Args, _}]}`, as on a node that lacks the
 * code. Arguments that do not fit their schemas end it with `function_clause`. There is no limit to how many processes a
 * node that knows the cookie may start.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Compiled } from "../etf/Compiled.ts"
import * as Etf from "../etf/EtfSchema.ts"
import type * as GenServer from "../otp/GenServer.ts"
import * as Behaviour from "../process/Behaviour.ts"
import type * as Message from "../process/Message.ts"
import { Node, type Service } from "../process/Node.ts"
import type { CurrentProcess } from "../process/Process.ts"
import * as Atom from "../term/Atom.ts"
import type { Pid } from "../term/Pid.ts"
import type { Reference } from "../term/Reference.ts"
import { print, type Term } from "../term/Term.ts"
import { leaderOf } from "./internal/RemoteCall.ts"
import { clientOf } from "./internal/Services.ts"
import type { Refusal } from "./internal/SpawnClient.ts"
import * as SpawnService from "./internal/SpawnService.ts"
import { argumentsOf, provideEntry, type ProvideOptions, type TypesOf } from "./Rpc.ts"
import type { ProvideError } from "./RpcError.ts"

const TypeId = "~effect-otp/RemoteSpawn"

/**
 * An entry point. See {@link entry}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry<in out Args extends ReadonlyArray<unknown>> {
  readonly [TypeId]: { readonly _Args: (_: Args) => Args }
  readonly module: string
  readonly name: string
  /** The number of arguments. */
  readonly arity: number
  /** `module:name/arity`. */
  readonly target: string
  /** @internal */
  readonly args: ReadonlyArray<Compiled<unknown>>
}

// Services and effects in schemas are refused by the codecs themselves.
type Codec = Schema.Codec<any, any>

/**
 * Describes an entry point. Throws `EtfSchemaError` when a schema has no form on the wire, and `InvalidTerm` when a name
 * cannot be an atom.
 *
 * @category constructors
 * @since 0.1.0
 */
export const entry = <const Args extends ReadonlyArray<Schema.Top> = []>(
  module: string,
  name: string,
  args?: Args
): Entry<TypesOf<Args>> => ({
  [TypeId]: undefined as never, // only a type
  module: Atom.make(module).name,
  name: Atom.make(name).name,
  arity: args?.length ?? 0,
  target: `${module}:${name}/${args?.length ?? 0}`,
  args: (args ?? []).map((schema) => Etf.compile(schema as unknown as Codec))
})

// --- providing -------------------------------------------------------------------------------------------------------

/**
 * Has processes started by other nodes, until the surrounding scope closes; those that run then run on. The body takes the
 * arguments and its mailbox, as that of `Process.spawn` does. Fails with `ProvideError` when there is such an entry point
 * already.
 *
 * @example
 * ```ts
 * import { Effect, Queue } from "effect"
 * import { Process } from "effect-otp"
 * import { RemoteSpawn } from "effect-otp/dist"
 * import { Etf } from "effect-otp/etf"
 *
 * const Echo = RemoteSpawn.entry("shop", "echo", [Etf.Pid])
 * const echo = RemoteSpawn.provide(Echo, ([owner], mailbox) =>
 *   Effect.forever(Effect.flatMap(Queue.take(mailbox), (message) => Process.send(owner, message))))
 * ```
 *
 * @category providing
 * @since 0.1.0
 */
export const provide = <Args extends ReadonlyArray<unknown>, A, E, R>(
  entry: Entry<Args>,
  body: (args: Args, mailbox: Queue.Dequeue<unknown>) => Effect.Effect<A, E, R>,
  options?: ProvideOptions
): Effect.Effect<void, ProvideError, Exclude<R, Scope.Scope | CurrentProcess> | Node | Scope.Scope> =>
  provideEntry((context) => ({
    _tag: "Function",
    module: entry.module,
    name: entry.name,
    arity: entry.arity,
    context,
    allow: options?.allow,
    run: (terms, mailbox) =>
      Effect.as(
        // The services of the body are in the context of its process.
        body(argumentsOf(entry.args, terms) as unknown as Args, mailbox) as Effect.Effect<A, E>,
        Atom.ok
      )
  })) as Effect.Effect<void, ProvideError, Exclude<R, Scope.Scope | CurrentProcess> | Node | Scope.Scope>

/**
 * Has a server started by other nodes, until the surrounding scope closes; those that run then run on. `args` makes the
 * arguments of the server from those of the entry point. The process that is started is the server: calls to its pid wait
 * until its `init` is done, and a failure of `init` is its exit reason.
 *
 * @category providing
 * @since 0.1.0
 */
export const provideServer = <Args extends ReadonlyArray<unknown>, ServerArgs, M extends Message.Any, E, R>(
  entry: Entry<Args>,
  server: GenServer.GenServer<ServerArgs, M, E, R>,
  args: (...args: Args) => NoInfer<ServerArgs>,
  options?: ProvideOptions
): Effect.Effect<void, ProvideError, R | Node | Scope.Scope> =>
  provideEntry((context) => ({
    _tag: "Server",
    module: entry.module,
    name: entry.name,
    arity: entry.arity,
    context,
    allow: options?.allow,
    behaviour: server.behaviour,
    args: (terms) => Effect.sync(() => args(...argumentsOf(entry.args, terms) as unknown as Args))
  })) as Effect.Effect<void, ProvideError, R | Node | Scope.Scope> // the services of the server are in the context

// --- spawning --------------------------------------------------------------------------------------------------------

type ErrorOf<Self, Tag extends string, Fields extends Schema.Struct.Fields> = Schema.Class<
  Self,
  Schema.TaggedStruct<Tag, Fields>,
  Cause.YieldableError
>

/**
 * Why a process was not started.
 *
 * `NoConnection`: there is no connection to the node, or it was lost before its answer; the process may have started and
 * been ended again. `NotSupported`: the node does not start processes for others. `Refused`: it said no (`system_limit`,
 * `badopt`).
 *
 * @category models
 * @since 0.1.0
 */
export const SpawnReason: Schema.Literals<readonly ["NoConnection", "NotSupported", "Refused"]> = Schema.Literals([
  "NoConnection",
  "NotSupported",
  "Refused"
])

const SpawnErrorBase: ErrorOf<SpawnError, "SpawnError", {
  readonly node: typeof Schema.String
  readonly target: typeof Schema.String
  readonly reason: typeof SpawnReason
  readonly detail: Schema.optionalKey<typeof Etf.Term>
}> = Schema.TaggedError<SpawnError>()("SpawnError", {
  node: Schema.String,
  target: Schema.String,
  reason: SpawnReason,
  detail: Schema.optionalKey(Etf.Term)
})

/**
 * A process was not started on a node. `target` is what was to run, as `module:name/arity`; `detail` what the node
 * answered.
 *
 * @category errors
 * @since 0.1.0
 */
export class SpawnError extends SpawnErrorBase {
  override get message(): string {
    const why = this.reason === "NoConnection"
      ? "there is no connection to the node"
      : this.reason === "NotSupported"
      ? "the node does not start processes for others"
      : `the node refused it: ${this.detail === undefined ? "" : print(this.detail, { maxLength: 200 })}`
    return `${this.target} was not started on ${this.node}: ${why}`
  }
}

/**
 * What to start: an entry point with its arguments, or any function of an Erlang node with terms.
 *
 * @category models
 * @since 0.1.0
 */
export interface Application {
  readonly module: string
  readonly name: string
  readonly args: ReadonlyArray<Term>
}

/**
 * An entry point with arguments, to be started.
 *
 * @category constructors
 * @since 0.1.0
 */
export const apply = <Args extends ReadonlyArray<unknown>>(
  entry: Entry<Args>,
  ...args: NoInfer<Args>
): Application => ({
  module: entry.module,
  name: entry.name,
  args: entry.args.map((codec, i) => Result.getOrThrow(codec.toTerm(args[i])))
})

/**
 * Starts a process on a node, which may be this one, and gives its pid. Whether the node knows the function does not show
 * here: a process that was started for an unknown one ends with `undef`.
 *
 * @example
 * ```ts
 * import { RemoteSpawn } from "effect-otp/dist"
 *
 * const sleeper = RemoteSpawn.spawn("calc@127.0.0.1", { module: "timer", name: "sleep", args: [1000] })
 * ```
 *
 * @category spawning
 * @since 0.1.0
 */
export const spawn = (node: string, application: Application): Effect.Effect<Pid, SpawnError, Node> =>
  Effect.map(start(node, application, false, false), ({ pid }) => pid)

/**
 * Starts a process on a node, linked with the calling process from its first moment on.
 *
 * @category spawning
 * @since 0.1.0
 */
export const spawnLink = (
  node: string,
  application: Application
): Effect.Effect<Pid, SpawnError, Node | CurrentProcess> =>
  Effect.map(start(node, application, true, false), ({ pid }) => pid)

/**
 * A process with the monitor on it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Monitored {
  readonly pid: Pid
  /** What the `Down` of its end refers to; `Process.demonitor` takes it back. */
  readonly ref: Reference
}

/**
 * Starts a process on a node, monitored by the calling process from its first moment on. With `link` it is linked as well.
 *
 * @category spawning
 * @since 0.1.0
 */
export const spawnMonitor = (
  node: string,
  application: Application,
  options?: { readonly link?: boolean }
): Effect.Effect<Monitored, SpawnError, Node | CurrentProcess> => start(node, application, options?.link === true, true)

const start = (
  nodeName: string,
  application: Application,
  link: boolean,
  monitor: boolean
): Effect.Effect<Monitored, SpawnError, Node> =>
  Effect.gen(function*() {
    const node = yield* Node
    const current = yield* Behaviour.current
    const process = current?.node === node.runtime ? current : undefined
    const leader = yield* leaderOf(node)
    if (nodeName === node.name) return startHere(node, process, leader, application, link, monitor)
    const client = clientOf(node)
    const { args, module, name } = application
    const spawned = client === undefined
      ? Effect.fail<Refusal>({ _tag: "NotSupported" })
      : client.spawn({ node: nodeName, leader, module, name, args, link, monitor, process })
    return yield* Effect.catch(spawned, (refusal) =>
      refusal._tag === "NotATerm" ? Effect.die(refusal.error) : Effect.fail(
        new SpawnError({
          node: nodeName,
          target: `${module}:${name}/${args.length}`,
          reason: refusal._tag,
          ...(refusal._tag === "Refused" ? { detail: refusal.detail } : {})
        })
      ))
  })

const startHere = (
  node: Service,
  current: Behaviour.Process | undefined,
  leader: Pid,
  { args, module, name }: Application,
  link: boolean,
  monitor: boolean
): Monitored => {
  let pid: Pid | undefined
  let ref: Reference | undefined
  SpawnService.start(
    node,
    { module: Atom.make(module), name: Atom.make(name), args, caller: node.name },
    leader,
    (process) => {
      pid = process.pid
      if (current === undefined) return
      if (link) current.link(process)
      if (monitor) ref = current.monitor(process, process.pid).ref
    }
  )
  return { pid: pid!, ref: ref ?? node.runtime.makeReference() }
}
