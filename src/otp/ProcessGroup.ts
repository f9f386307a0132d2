/**
 * Process groups: which processes do a thing, on all nodes that share a scope (OTP's `pg`).
 *
 * A scope is a named process on each node, `pg` by default. Scopes of one name on connected nodes tell each other who has
 * joined and left; each keeps the whole picture, eventually the same everywhere, without locks and without a leader.
 * Scopes of Erlang and Elixir nodes take part: they speak the same protocol (OTP 23 and later). A hidden node is found
 * only when one of both asks for the other, see {@link discover}.
 *
 * Guarantees: a process may join a group several times and is a member as often, until it has left as often; when it ends, it
 * is out of every group; when the connection to a node is lost, its members are out, and they are back when it returns.
 * Changes of one node arrive in their order, and none is dropped: the mailbox of a scope has no bound. A scope opens no
 * connection.
 *
 * Refuses members of other nodes: a process joins through the scope of its own node.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { CallError, StartError } from "../process/CallError.ts"
import * as NodeModule from "../process/Node.ts"
import * as Process from "../process/Process.ts"
import * as ProcessRef from "../process/ProcessRef.ts"
import { isPid, type Pid } from "../term/Pid.ts"
import type { Reference } from "../term/Reference.ts"
import type { Term } from "../term/Term.ts"
import * as GenServer from "./GenServer.ts"
import { Change, type Group, NotJoined, NotLocal } from "./internal/GroupModels.ts"
import { type GroupMessages, GroupProtocol, GroupServer, onlyHere } from "./internal/GroupScope.ts"
import { fromWire, toWire } from "./internal/GroupTable.ts"

export {
  /**
   * A change of a group, as its monitors receive it.
   *
   * @category models
   * @since 0.1.0
   */
  Change,
  /**
   * The name of a group: a string or any term. A string travels as a binary: what Erlang calls `workers` is
   * `Atom.make("workers")`.
   *
   * @category models
   * @since 0.1.0
   */
  type Group,
  /**
   * A process was to leave a group of which it is no member.
   *
   * @category errors
   * @since 0.1.0
   */
  NotJoined,
  /**
   * A process of another node was to join.
   *
   * @category errors
   * @since 0.1.0
   */
  NotLocal
}

/**
 * The scope that is meant when none is named, as in Erlang.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultScope = "pg"

/**
 * The schema of a change, for `Process.receive`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const ChangeSchema: Schema.instanceOf<Change> = Schema.instanceOf(Change)

const scopeRef = (
  scope: string | undefined
): Effect.Effect<ProcessRef.NamedRef<GroupMessages>, never, NodeModule.Node> =>
  GenServer.named(GroupProtocol, scope ?? defaultScope)

/** The group as the scope knows it. What cannot travel cannot be a group: a defect of the caller. */
const named = <A, E, R>(group: Group, use: (wire: Term) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  const wire = toWire(group)
  return wire === undefined
    ? Effect.die(new TypeError(`${String(group)} cannot name a group: it is neither a string nor a term`))
    : use(wire)
}

/**
 * Which scope is meant.
 *
 * @category models
 * @since 0.1.0
 */
export interface ScopeOption {
  /** `pg` by default. */
  readonly scope?: string
}

/**
 * Starts a scope on this node.
 *
 * @category starting
 * @since 0.1.0
 */
export const start = (options?: ScopeOption): Effect.Effect<Pid, StartError, NodeModule.Node | Scope.Scope> =>
  Effect.map(
    GenServer.start(GroupServer, options?.scope ?? defaultScope, {
      name: options?.scope ?? defaultScope,
      // A word that is lost would never be said again: the pictures would differ for ever.
      mailbox: { capacity: Infinity }
    }),
    (ref) => ref.pid
  )

/**
 * A scope on this node, as a layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: ScopeOption): Layer.Layer<never, StartError, NodeModule.Node> =>
  Layer.effectDiscard(start(options))

/**
 * Makes the scope known to that of a connected node, and the other way round. For every visible node a scope does it by
 * itself; hidden nodes must be told about each other. Nothing happens when the other node has no such scope.
 *
 * @category distribution
 * @since 0.1.0
 */
export const discover = (node: string, options?: ScopeOption): Effect.Effect<void, never, NodeModule.Node> =>
  Effect.gen(function*() {
    const name = options?.scope ?? defaultScope
    const self = yield* Process.whereis(name)
    if (Option.isNone(self)) return
    const other = yield* ProcessRef.named(GroupProtocol, { name, node })
    yield* other.Discover({ peer: self.value })
  })

const toPids = (target: Pid | { readonly pid: Pid } | ReadonlyArray<Pid>): ReadonlyArray<Pid> =>
  isPid(target) ? [target] : "pid" in target ? [target.pid] : target

/**
 * Makes processes of this node members of a group, once more each. Fails with `NotLocal` for those of other nodes.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Process, ProcessGroup } from "effect-otp"
 *
 * const joined = Effect.gen(function*() {
 *   const worker = yield* Process.spawn(() => Effect.never)
 *   yield* ProcessGroup.join("workers", worker)
 *   return yield* ProcessGroup.members("workers")
 * }).pipe(Effect.provide(ProcessGroup.layer()))
 * ```
 *
 * @category membership
 * @since 0.1.0
 */
export const join_ = (
  group: Group,
  target: Pid | { readonly pid: Pid } | ReadonlyArray<Pid>,
  options?: ScopeOption
): Effect.Effect<void, CallError | NotLocal, NodeModule.Node> =>
  Effect.flatMap(NodeModule.Node, (node): Effect.Effect<void, CallError | NotLocal, NodeModule.Node> => {
    const pids = toPids(target)
    const foreign = pids.find((pid) => pid.node !== node.name)
    return foreign !== undefined
      ? Effect.fail(new NotLocal({ pid: foreign, scope: options?.scope ?? defaultScope }))
      : named(group, (wire) => Effect.flatMap(scopeRef(options?.scope), (ref) => ref.JoinGroup({ group: wire, pids })))
  })

/**
 * Ends one membership of each process. Fails when none of them is a member.
 *
 * @category membership
 * @since 0.1.0
 */
export const leave_ = (
  group: Group,
  target: Pid | { readonly pid: Pid } | ReadonlyArray<Pid>,
  options?: ScopeOption
): Effect.Effect<void, CallError | NotJoined, NodeModule.Node> =>
  Effect.flatMap(
    named(group, (wire) =>
      Effect.flatMap(scopeRef(options?.scope), (ref) => ref.LeaveGroup({ group: wire, pids: toPids(target) }))),
    (left) =>
      left ? Effect.void : Effect.fail(new NotJoined({ group, scope: options?.scope ?? defaultScope }))
  )

export { join_ as join, leave_ as leave }

/**
 * The members of a group on all nodes, each as often as it has joined.
 *
 * @category membership
 * @since 0.1.0
 */
export const members = (
  group: Group,
  options?: ScopeOption
): Effect.Effect<ReadonlyArray<Pid>, CallError, NodeModule.Node> =>
  named(
    group,
    (wire) => Effect.flatMap(scopeRef(options?.scope), (ref) => ref.Members({ group: wire, local: false, ...onlyHere }))
  )

/**
 * The members of a group on this node.
 *
 * @category membership
 * @since 0.1.0
 */
export const localMembers = (
  group: Group,
  options?: ScopeOption
): Effect.Effect<ReadonlyArray<Pid>, CallError, NodeModule.Node> =>
  named(
    group,
    (wire) => Effect.flatMap(scopeRef(options?.scope), (ref) => ref.Members({ group: wire, local: true, ...onlyHere }))
  )

const groupsOf = (
  local: boolean,
  options: ScopeOption | undefined
): Effect.Effect<ReadonlyArray<Group>, CallError, NodeModule.Node> =>
  Effect.flatMap(
    scopeRef(options?.scope),
    (ref) => Effect.map(ref.Groups({ local, ...onlyHere }), (groups) => groups.map(fromWire))
  )

/**
 * The groups that have members. A group whose name is a binary with text appears as a string.
 *
 * @category membership
 * @since 0.1.0
 */
export const groups = (options?: ScopeOption): Effect.Effect<ReadonlyArray<Group>, CallError, NodeModule.Node> =>
  groupsOf(false, options)

/**
 * The groups that have members on this node.
 *
 * @category membership
 * @since 0.1.0
 */
export const localGroups = (options?: ScopeOption): Effect.Effect<ReadonlyArray<Group>, CallError, NodeModule.Node> =>
  groupsOf(true, options)

/**
 * Sends a value to every member of a group, once per membership.
 *
 * @category membership
 * @since 0.1.0
 */
export const broadcast = (
  group: Group,
  value: unknown,
  options?: ScopeOption
): Effect.Effect<void, CallError, NodeModule.Node> =>
  Effect.flatMap(
    members(group, options),
    (pids) => Effect.forEach(pids, (pid) => Process.send(pid, value), { discard: true })
  )

/**
 * Has this process get a {@link Change} for each join and leave, of one group or (without one) of all, from now on. The
 * groups and members of this moment come with the reference.
 *
 * @category monitors
 * @since 0.1.0
 */
export const monitor = (
  group: Option.Option<Group>,
  options?: ScopeOption
): Effect.Effect<
  { readonly ref: Reference; readonly groups: ReadonlyArray<readonly [Group, ReadonlyArray<Pid>]> },
  CallError,
  NodeModule.Node | Process.CurrentProcess
> =>
  Effect.gen(function*() {
    const scope = yield* scopeRef(options?.scope)
    const ref = yield* NodeModule.makeReference
    const pid = yield* Process.self
    const watched = (wire: Option.Option<Term>) =>
      Effect.map(
        scope.Watch({ group: wire, pid, ref }),
        (groups) => ({ ref, groups: groups.map(([name, pids]) => [fromWire(name), pids] as const) })
      )
    return yield* Option.isNone(group)
      ? watched(Option.none())
      : named(group.value, (wire) => watched(Option.some(wire)))
  })

/**
 * Ends a monitor; changes that already wait stay in the mailbox. False when there was none.
 *
 * @category monitors
 * @since 0.1.0
 */
export const demonitor = (ref: Reference, options?: ScopeOption): Effect.Effect<boolean, CallError, NodeModule.Node> =>
  Effect.flatMap(scopeRef(options?.scope), (scope) => scope.Unwatch({ ref, ...onlyHere }))
