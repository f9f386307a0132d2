/**
 * Names and locks of the whole cluster: this node as a full member of Erlang's `global`.
 *
 * A node is outside of `global` unless this layer is there: then no process `global_name_server` exists, who asks for it is
 * told so at once, and no Erlang node is ever disconnected because of this one. A hidden node (`Node.layer({ hidden: true })`)
 * keeps out of everything. With the layer the node takes part in all of it: names that any node registers are known here,
 * names that are registered here are known there, conflicts are resolved when partitions meet, it is connected to all
 * nodes that its peers know, and it does its part against overlapping partitions (`prevent_overlapping_partitions`, OTP
 * 25 and later): when two nodes lose each other, so do the others with one of them.
 *
 * Guarantees: after `register`, `whereis` gives the process on every node of the partition; a name goes when its process
 * ends or its node is lost. A lock is held by one at a time among the connected nodes that take part.
 *
 * Refuses a hidden node, and a second name for a process, as Erlang does.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Etf from "../etf/EtfSchema.ts"
import * as GenServer from "../otp/GenServer.ts"
import * as Behaviour from "../process/Behaviour.ts"
import type { StartError } from "../process/CallError.ts"
import * as ExitReason from "../process/ExitReason.ts"
import type * as Message from "../process/Message.ts"
import * as Process from "../process/Process.ts"
import * as ProcessRef from "../process/ProcessRef.ts"
import type * as Protocol from "../process/Protocol.ts"
import { ExportFun } from "../term/Fun.ts"
import { equals as samePid, isPid, type Pid } from "../term/Pid.ts"
import { print, type Term } from "../term/Term.ts"
import * as GlobalServer from "./internal/GlobalServer.ts"
import { globalResource, GlobalTables } from "./internal/GlobalTables.ts"
import { atom, bossOf, deleteLock, nameOf, serverName, setLock, tellAll, tuple } from "./internal/globalWire.ts"
import * as Node from "./Node.ts"
import * as Rpc from "./Rpc.ts"

/**
 * A name in the cluster: any term. A string is an atom, as in all names of processes.
 *
 * @category models
 * @since 0.1.0
 */
export type GlobalName = string | Term

/**
 * What is done when two nodes meet that have different processes under one name. `keepOne` kills the process on the node with
 * the larger name (Erlang's `random_exit_name`), `notifyOne` takes the name from it and sends it
 * `{global_name_conflict, Name}`, `notifyBoth` takes the name from both and sends both
 * `{global_name_conflict, Name, OtherPid}`.
 *
 * @category models
 * @since 0.1.0
 */
export type Resolution = "keepOne" | "notifyOne" | "notifyBoth"

/**
 * How a name is registered.
 *
 * @category models
 * @since 0.1.0
 */
export interface RegisterOptions {
  /** `keepOne` by default. */
  readonly onConflict?: Resolution | undefined
}

/**
 * Why something with global names is not possible. `Outside`: this node takes no part, there is no `Global.layer`. `Hidden`:
 * a hidden node cannot take part. `Local`: it was not made with `Node.layer`. `NameTaken`: another process has the name.
 * `SecondName`: the process has another name already.
 *
 * @category errors
 * @since 0.1.0
 */
export const GlobalReason: Schema.Literals<readonly ["Outside", "Hidden", "Local", "NameTaken", "SecondName"]> = Schema
  .Literals(["Outside", "Hidden", "Local", "NameTaken", "SecondName"])

const GlobalErrorBase: Schema.Class<
  GlobalError,
  Schema.TaggedStruct<"GlobalError", {
    readonly node: typeof Schema.String
    readonly reason: typeof GlobalReason
    readonly detail: typeof Schema.String
  }>,
  Cause.YieldableError
> = Schema.TaggedError<GlobalError>()("GlobalError", {
  node: Schema.String,
  reason: GlobalReason,
  detail: Schema.String
})

/**
 * Something with global names was not possible.
 *
 * @category errors
 * @since 0.1.0
 */
export class GlobalError extends GlobalErrorBase {
  /** What happened, and where. */
  override get message(): string {
    return `global names on ${this.node}: ${this.detail} (${this.reason})`
  }
}

const tablesOf = new WeakMap<Node.Service["runtime"], GlobalTables>()

const toTerm = (name: GlobalName): Term => typeof name === "string" ? atom(name) : name

const member: Effect.Effect<
  { readonly self: Node.Service; readonly tables: GlobalTables },
  GlobalError,
  Node.Node
> = Effect.flatMap(Node.Node, (self) => {
  const tables = tablesOf.get(self.runtime)
  return tables === undefined
    ? Effect.fail(
      new GlobalError({ node: self.name, reason: "Outside", detail: "this node takes no part: provide Global.layer" })
    )
    : Effect.succeed({ self, tables })
})

// --- conflicts -------------------------------------------------------------------------------------------------------

const methods: Readonly<Record<Resolution, string>> = {
  keepOne: "random_exit_name",
  notifyOne: "random_notify_name",
  notifyBoth: "notify_all_name"
}

const methodOf = (resolution: Resolution): Term => new ExportFun(atom("global"), atom(methods[resolution]), 3)

/** Decides between two processes, as the functions of Erlang do that can be named. */
const decide = (
  method: Term,
  name: Term,
  one: Pid,
  other: Pid
): Effect.Effect<Pid | undefined, never, Node.Node> => {
  const [kept, lost] = one.node < other.node ? [one, other] : [other, one]
  const known = method instanceof ExportFun && method.module.name === "global" ? method.name.name : undefined
  switch (known) {
    case methods.notifyOne:
      return Effect.as(Process.send(lost, tuple(atom("global_name_conflict"), name)), kept)
    case methods.notifyBoth:
      return Effect.as(
        Effect.andThen(
          Process.send(one, tuple(atom("global_name_conflict"), name, other)),
          Process.send(other, tuple(atom("global_name_conflict"), name, one))
        ),
        undefined
      )
    default:
      return Effect.andThen(
        Effect.logInfo(`global: two processes are called ${print(name)}; ${lost} is ended`),
        Effect.as(Process.exit(lost, ExitReason.kill), kept)
      )
  }
}

/** Decides where the process of the own tables lives: its method may be code of that node. */
const resolve: GlobalServer.Resolve = (entry, other) =>
  Effect.flatMap(
    Node.Node,
    (self) =>
      entry.pid.node === self.name || (entry.method instanceof ExportFun && entry.method.module.name === "global")
        ? decide(entry.method, entry.name, other, entry.pid)
        : Effect.map(
          Rpc.callTerm(entry.pid.node, "global", "resolve_it", [entry.method, entry.name, other, entry.pid]),
          (winner) => isPid(winner) ? winner : undefined
        )
  )

/** `global:resolve_it/4`: another node asks this one to decide about a process that lives here. */
const ResolveIt = Rpc.make("global", "resolve_it", {
  args: [Etf.Term, Etf.Term, Etf.Pid, Etf.Pid],
  success: Etf.Term
})

const provideResolve = Rpc.provide(
  ResolveIt,
  (method, name, one, other) => Effect.map(decide(method, name, one, other), (winner): Term => winner ?? atom("none"))
)

// --- taking part -----------------------------------------------------------------------------------------------------

/**
 * Makes this node a member of `global`, for as long as it lives: others count on it from now on. Best started with the node,
 * before it has connections; nodes that are connected already are met all the same. Nothing happens when it is a member.
 *
 * @category starting
 * @since 0.1.0
 */
export const start: Effect.Effect<void, GlobalError | StartError, Node.Node> = Effect.gen(
  function*() {
    const self = yield* Node.Node
    if (tablesOf.has(self.runtime)) return
    const distribution = Node.distributionUnsafe(self)
    if (distribution === undefined) {
      return yield* new GlobalError({ node: self.name, reason: "Local", detail: "make the node with Node.layer" })
    }
    if (distribution.settings.hidden) {
      return yield* new GlobalError({ node: self.name, reason: "Hidden", detail: "a hidden node cannot take part" })
    }
    const tables = new GlobalTables(self.name)
    tablesOf.set(self.runtime, tables)
    const { pid } = yield* GenServer.startDetached(
      GlobalServer.make(self),
      { tables, resolve, connect: Node.connect, disconnect: Node.disconnect, provide: provideResolve },
      // A word that is lost would never be said again.
      { name: serverName, mailbox: { capacity: Infinity } }
    ).pipe(Effect.onError(() => Effect.sync(() => tablesOf.delete(self.runtime))))
    const server = Behaviour.processAt(self, pid)
    if (server === undefined) return
    Behaviour.watch(server, (reason) => {
      tablesOf.delete(self.runtime)
      // A member that is there no more must not be counted on.
      if (!ExitReason.isOrderly(reason)) {
        Behaviour.defer(self, () => {
          for (const node of [...tables.known.keys()]) distribution.disconnect(node)
        })
      }
    })
  }
)

/**
 * This node as a member of `global`, from the start of the layer to the end of the node.
 *
 * @example
 * ```ts
 * import { Layer, Redacted } from "effect"
 * import { Global, Node } from "effect-otp/dist"
 * import * as NodeNetwork from "effect-otp/dist/NodeNetwork"
 *
 * const NodeLive = Global.layer.pipe(
 *   Layer.provideMerge(Node.layer({ name: "shop@127.0.0.1", cookie: Redacted.make("k6vQ0yq9c2h1uYw7") })),
 *   Layer.provide(NodeNetwork.layer)
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, GlobalError | StartError, Node.Node> = Layer.effectDiscard(start)

// --- locks -----------------------------------------------------------------------------------------------------------

/** Longer with each time, up to eight seconds, and never the same for two that compete. */
const pause = (times: number): Effect.Effect<void> =>
  Effect.flatMap(Random.next, (random) => Effect.sleep(random * (times > 5 ? 8000 : 2 ** times * 125)))

/** Runs something in a process that holds the lock of all names, on all nodes of the partition. */
const withNames = <A, E, R>(
  self: Node.Service,
  tables: GlobalTables,
  use: (nodes: ReadonlyArray<string>) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | GlobalError, Exclude<R, Scope.Scope | Process.CurrentProcess> | Node.Node> =>
  Process.run(Effect.gen(function*() {
    const id = tuple(atom(globalResource), yield* Process.self)
    for (let times = 0;; times++) {
      const nodes = [self.name, ...tables.known.keys()]
      const boss = bossOf(nodes)
      const result = yield* Effect.uninterruptibleMask((restore) =>
        Effect.gen(function*() {
          if (!(yield* setLock(self, id, [boss]))) return Option.none<A>()
          if (!(yield* setLock(self, id, nodes))) {
            yield* deleteLock(self, id, [boss])
            return Option.none<A>()
          }
          // A node that came meanwhile was not asked.
          const isWhole = [...tables.known.keys()].every((node) => nodes.includes(node))
          const exit = isWhole ? yield* Effect.exit(restore(use(nodes))) : undefined
          yield* deleteLock(self, id, nodes)
          return exit === undefined ? Option.none<A>() : Option.some(yield* exit)
        })
      )
      if (Option.isSome(result)) return result.value
      yield* pause(times)
    }
  })).pipe(
    Effect.catchIf(
      (error): error is Exclude<typeof error, E> => isStartError(error),
      () => Effect.die(new Error("a process for a lock could not start: the node stops"))
    )
  ) as Effect.Effect<A, E, Exclude<R, Scope.Scope | Process.CurrentProcess> | Node.Node>

const isStartError = (u: unknown): boolean =>
  typeof u === "object" && u !== null && "_tag" in u && u._tag === "StartError"

/**
 * Runs an effect while this node holds a lock that nobody else holds among the connected nodes which take part
 * (`global:trans/2`). Waits for the lock.
 *
 * @category locks
 * @since 0.1.0
 */
export const transaction = <A, E, R>(
  resource: GlobalName,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E | GlobalError, Exclude<R, Scope.Scope | Process.CurrentProcess> | Node.Node> =>
  Effect.flatMap(member, ({ self }) =>
    Process.run(Effect.gen(function*() {
      const id = tuple(toTerm(resource), yield* Process.self)
      for (let times = 0;; times++) {
        const nodes = [self.name, ...Behaviour.connectedNodes(self)]
        const result = yield* Effect.uninterruptibleMask((restore) =>
          Effect.gen(function*() {
            if (!(yield* setLock(self, id, nodes))) return undefined
            const exit = yield* Effect.exit(restore(effect))
            yield* deleteLock(self, id, nodes)
            return exit
          })
        )
        if (result !== undefined) return yield* result
        yield* pause(times)
      }
    }))) as Effect.Effect<A, E | GlobalError, Exclude<R, Scope.Scope | Process.CurrentProcess> | Node.Node>

// --- names -----------------------------------------------------------------------------------------------------------

/**
 * Gives a process a name in the whole cluster (`global:register_name/2`). Fails with `NameTaken` or `SecondName`.
 *
 * @category names
 * @since 0.1.0
 */
export const register = (
  name: GlobalName,
  target: Pid | { readonly pid: Pid },
  options?: RegisterOptions
): Effect.Effect<void, GlobalError, Node.Node> =>
  Effect.flatMap(member, ({ self, tables }) => {
    const term = toTerm(name)
    const pid = isPid(target) ? target : target.pid
    return withNames(self, tables, (nodes) =>
      Effect.gen(function*() {
        const fail = (reason: GlobalError["reason"], detail: string) =>
          new GlobalError({ node: self.name, reason, detail })
        const holder = tables.nameEntry(term)
        if (holder !== undefined) {
          return yield* fail("NameTaken", `${holder.pid} is called ${print(term)}`)
        }
        const other = tables.nameEntries().find((entry) => samePid(entry.pid, pid))
        if (other !== undefined) {
          return yield* fail("SecondName", `${pid} cannot be called ${print(term)}, it is called ${print(other.name)}`)
        }
        yield* tellAll(
          self,
          nodes,
          tuple(atom("register"), term, pid, methodOf(options?.onConflict ?? "keepOne"))
        )
      }))
  })

/**
 * Gives a name to a process, whoever has it (`global:re_register_name/2`).
 *
 * @category names
 * @since 0.1.0
 */
export const reregister = (
  name: GlobalName,
  target: Pid | { readonly pid: Pid },
  options?: RegisterOptions
): Effect.Effect<void, GlobalError, Node.Node> =>
  Effect.flatMap(member, ({ self, tables }) => {
    const pid = isPid(target) ? target : target.pid
    const request = tuple(atom("register"), toTerm(name), pid, methodOf(options?.onConflict ?? "keepOne"))
    return withNames(self, tables, (nodes) => tellAll(self, nodes, request))
  })

/**
 * Takes a name away (`global:unregister_name/1`). Nothing happens when nobody has it.
 *
 * @category names
 * @since 0.1.0
 */
export const unregister = (name: GlobalName): Effect.Effect<void, GlobalError, Node.Node> =>
  Effect.flatMap(member, ({ self, tables }) => {
    const term = toTerm(name)
    return tables.nameEntry(term) === undefined
      ? Effect.void
      : withNames(self, tables, (nodes) => tellAll(self, nodes, tuple(atom("unregister"), term)))
  })

/**
 * The process of a name (`global:whereis_name/1`). None as well when this node takes no part.
 *
 * @category names
 * @since 0.1.0
 */
export const whereis = (name: GlobalName): Effect.Effect<Option.Option<Pid>, never, Node.Node> =>
  Effect.map(Node.Node, (self) => Option.fromUndefinedOr(find(self, toTerm(name))))

const find = (self: Node.Service, name: Term): Pid | undefined => {
  const pid = tablesOf.get(self.runtime)?.nameEntry(name)?.pid
  // Of the own processes the end is known before it is told.
  return pid === undefined || pid.node !== self.name || Behaviour.processAt(self, pid)?.alive === true ? pid : undefined
}

/**
 * All names (`global:registered_names/0`); atoms as strings.
 *
 * @category names
 * @since 0.1.0
 */
export const registered: Effect.Effect<ReadonlyArray<GlobalName>, never, Node.Node> = Effect.map(
  Node.Node,
  (self) => (tablesOf.get(self.runtime)?.nameEntries() ?? []).map(({ name }) => nameOf(name) ?? name)
)

/**
 * Sends a value to the process of a name (`global:send/2`). Nothing happens when nobody has it.
 *
 * @category names
 * @since 0.1.0
 */
export const send = (name: GlobalName, value: unknown): Effect.Effect<void, never, Node.Node> =>
  Effect.flatMap(whereis(name), (pid) => Option.isNone(pid) ? Effect.void : Process.send(pid.value, value))

/**
 * The typed client of the process that has a name now; none when nobody has it.
 *
 * @category names
 * @since 0.1.0
 */
export const ref = <Tag extends string, M extends Message.Any>(
  protocol: Protocol.Protocol<Tag, M>,
  name: GlobalName
): Effect.Effect<Option.Option<ProcessRef.ProcessRef<M>>, never, Node.Node> =>
  Effect.flatMap(whereis(name), (pid) =>
    Option.isNone(pid)
      ? Effect.succeed(Option.none())
      : Effect.map(ProcessRef.fromPid(protocol, pid.value), Option.some))

/**
 * The nodes whose names are known here, and which know those of this node.
 *
 * @category nodes
 * @since 0.1.0
 */
export const synced: Effect.Effect<ReadonlyArray<string>, never, Node.Node> = Effect.map(
  Node.Node,
  (self) => [...tablesOf.get(self.runtime)?.known.keys() ?? []]
)
