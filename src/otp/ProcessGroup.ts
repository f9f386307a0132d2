/**
 * Process groups: which processes do a thing, on all nodes that share a scope (OTP's `pg`).
 *
 * A scope is a named process on each node, `pg` by default. Scopes of one name on connected nodes tell each other who has
 * joined and left; each keeps the whole picture, eventually the same everywhere, without locks and without a leader.
 *
 * Guarantees: a process may join a group several times and is a member as often, until it has left as often; when it ends, it
 * is out of every group; when the connection to a node is lost, its members are out, and they are back when it returns.
 * Changes of one node arrive in their order.
 *
 * Refuses members of other nodes: a process joins through the scope of its own node.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as MutableHashMap from "effect/MutableHashMap"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { CallError, StartError } from "../process/CallError.ts"
import * as Message from "../process/Message.ts"
import * as NodeModule from "../process/Node.ts"
import * as Process from "../process/Process.ts"
import type { NamedRef } from "../process/ProcessRef.ts"
import * as Protocol from "../process/Protocol.ts"
import { equals as pidEquals, isPid, Pid } from "../term/Pid.ts"
import type { Reference } from "../term/Reference.ts"
import * as GenServer from "./GenServer.ts"

/**
 * The name of a group: a string, an atom, any value that is equal to itself by content.
 *
 * @category models
 * @since 0.1.0
 */
export type Group = unknown

/**
 * The scope that is meant when none is named, as in Erlang.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultScope = "pg"

const NotJoinedBase: Schema.Class<
  NotJoined,
  Schema.TaggedStruct<"NotJoined", { readonly group: typeof Schema.Unknown; readonly scope: typeof Schema.String }>,
  Cause.YieldableError
> = Schema.TaggedError<NotJoined>()("NotJoined", { group: Schema.Unknown, scope: Schema.String })

/**
 * A process was to leave a group of which it is no member.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotJoined extends NotJoinedBase {
  /** What happened, and where. */
  override get message(): string {
    return `none of the processes is a member of the group ${
      String(this.group)
    } in the scope ${this.scope} (OTP_NOT_JOINED)`
  }
}

/**
 * A change of a group, as its monitors receive it.
 *
 * @category models
 * @since 0.1.0
 */
export class Change {
  readonly _tag = "Change" as const
  readonly ref: Reference
  readonly kind: "join" | "leave"
  readonly group: Group
  /** Once per membership that began or ended. */
  readonly pids: ReadonlyArray<Pid>

  constructor(ref: Reference, kind: "join" | "leave", group: Group, pids: ReadonlyArray<Pid>) {
    this.ref = ref
    this.kind = kind
    this.group = group
    this.pids = pids
  }
}

/**
 * The schema of a change, for `Process.receive`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const ChangeSchema: Schema.instanceOf<Change> = Schema.instanceOf(Change)

const PidSchema = Schema.instanceOf(Pid)
const Pids = Schema.Array(PidSchema)

/** The calls are of this node; the infos are what scopes of one name say to each other, in the words of Erlang's `pg`. */
const messages = [
  Message.Call("JoinGroup", { payload: { group: Schema.Unknown, pids: Pids } }),
  Message.Call("LeaveGroup", { payload: { group: Schema.Unknown, pids: Pids }, success: Schema.Boolean }),
  Message.Call("Members", { payload: { group: Schema.Unknown, local: Schema.Boolean }, success: Pids }),
  Message.Call("Groups", { payload: { local: Schema.Boolean }, success: Schema.Array(Schema.Unknown) }),
  Message.Call("Watch", {
    payload: { group: Schema.Option(Schema.Unknown), pid: PidSchema, ref: Schema.Unknown },
    success: Schema.Array(Schema.Tuple([Schema.Unknown, Pids]))
  }),
  Message.Call("Unwatch", { payload: { ref: Schema.Unknown }, success: Schema.Boolean }),
  Message.Info("Discover", { payload: { peer: PidSchema } }),
  Message.Info("Sync", { payload: { peer: PidSchema, groups: Schema.Array(Schema.Tuple([Schema.Unknown, Pids])) } }),
  Message.Info("Join", { payload: { peer: PidSchema, group: Schema.Unknown, pids: Pids } }),
  Message.Info("Leave", { payload: { peer: PidSchema, pids: Pids, groups: Schema.Array(Schema.Unknown) } })
] as const

const GroupProtocol: Protocol.Protocol<"ProcessGroup", (typeof messages)[number]> = Protocol.make(
  "ProcessGroup",
  ...messages
)

type Table = MutableHashMap.MutableHashMap<Group, Array<Pid>>

interface Member {
  readonly ref: Reference
  readonly groups: Array<Group>
}

interface Watcher {
  readonly ref: Reference
  readonly pid: Pid
  readonly group: Option.Option<Group>
}

/** What a scope knows. It is changed in place: only its own process sees it. */
interface State {
  readonly self: Pid
  readonly local: Table
  /** Local members, with the monitor on each and the groups it is in, as often as it joined. */
  readonly members: MutableHashMap.MutableHashMap<Pid, Member>
  /** The scopes of other nodes, with the monitor on each and what it has told. */
  readonly peers: MutableHashMap.MutableHashMap<Pid, { readonly ref: Reference; readonly groups: Table }>
  readonly watchers: Array<Watcher>
}

const pidsOf = (table: Table, group: Group): ReadonlyArray<Pid> =>
  Option.getOrElse(MutableHashMap.get(table, group), () => [])

const add = (table: Table, group: Group, pids: ReadonlyArray<Pid>): void => {
  MutableHashMap.set(table, group, [...pids, ...pidsOf(table, group)])
}

/** Takes each pid out once; those that were in. */
const remove = (table: Table, group: Group, pids: ReadonlyArray<Pid>): ReadonlyArray<Pid> => {
  const left = [...pidsOf(table, group)]
  const removed = pids.filter((pid) => {
    const index = left.findIndex((other) => pidEquals(other, pid))
    if (index !== -1) left.splice(index, 1)
    return index !== -1
  })
  if (left.length === 0) MutableHashMap.remove(table, group)
  else MutableHashMap.set(table, group, left)
  return removed
}

/** What is in `pids` beyond `others`, counted. */
const beyond = (pids: ReadonlyArray<Pid>, others: ReadonlyArray<Pid>): ReadonlyArray<Pid> => {
  const rest = [...pids]
  for (const other of others) {
    const index = rest.findIndex((pid) => pidEquals(pid, other))
    if (index !== -1) rest.splice(index, 1)
  }
  return rest
}

/** Tells whoever watches the group. */
const notify = (
  state: State,
  kind: "join" | "leave",
  group: Group,
  pids: ReadonlyArray<Pid>
): Effect.Effect<void, never, NodeModule.Node> =>
  pids.length === 0 ? Effect.void : Effect.forEach(
    state.watchers.filter((watcher) => Option.isNone(watcher.group) || Option.contains(watcher.group, group)),
    (watcher) => Process.send(watcher.pid, new Change(watcher.ref, kind, group, pids)),
    { discard: true }
  )

/** Says something to the scopes of the other nodes. */
const tellPeers = (state: State, value: unknown): Effect.Effect<void, never, NodeModule.Node> =>
  Effect.forEach([...MutableHashMap.keys(state.peers)], (peer) => Process.send(peer, value), { discard: true })

const snapshot = (table: Table): Array<readonly [Group, ReadonlyArray<Pid>]> =>
  [...table].map(([group, pids]) => [group, [...pids]] as const)

/** A scope of another node has told what it has: the difference to what was known is what has changed. */
const synchronise = Effect.fnUntraced(function*(
  state: State,
  peer: Pid,
  groups: ReadonlyArray<readonly [Group, ReadonlyArray<Pid>]>
) {
  const known = MutableHashMap.get(state.peers, peer)
  const before: Table = Option.isSome(known) ? known.value.groups : MutableHashMap.empty()
  const after: Table = MutableHashMap.empty()
  for (const [group, pids] of groups) add(after, group, pids)
  const ref = Option.isSome(known) ? known.value.ref : yield* Process.monitor(peer)
  MutableHashMap.set(state.peers, peer, { ref, groups: after })
  for (const [group, pids] of snapshot(before)) {
    yield* notify(state, "leave", group, beyond(pids, pidsOf(after, group)))
  }
  for (const [group, pids] of snapshot(after)) {
    yield* notify(state, "join", group, beyond(pids, pidsOf(before, group)))
  }
})

/** A member or a peer has ended, or its node is gone. */
const ended = Effect.fnUntraced(function*(state: State, address: unknown, ref: Reference) {
  if (!isPid(address)) return
  const member = MutableHashMap.get(state.members, address)
  if (Option.isSome(member) && member.value.ref === ref) {
    MutableHashMap.remove(state.members, address)
    const groups = member.value.groups
    for (const group of groups) remove(state.local, group, [address])
    yield* tellPeers(state, { _tag: "Leave", peer: state.self, pids: [address], groups })
    for (const group of groups) yield* notify(state, "leave", group, [address])
    return
  }
  const peer = MutableHashMap.get(state.peers, address)
  if (Option.isSome(peer)) {
    MutableHashMap.remove(state.peers, address)
    for (const [group, pids] of snapshot(peer.value.groups)) yield* notify(state, "leave", group, pids)
    return
  }
  const index = state.watchers.findIndex((watcher) => pidEquals(watcher.pid, address))
  if (index !== -1) {
    for (let i = state.watchers.length - 1; i >= 0; i--) {
      if (pidEquals(state.watchers[i]!.pid, address)) state.watchers.splice(i, 1)
    }
  }
})

const join = Effect.fnUntraced(function*(state: State, group: Group, pids: ReadonlyArray<Pid>) {
  for (const pid of pids) {
    const member = MutableHashMap.get(state.members, pid)
    if (Option.isSome(member)) member.value.groups.push(group)
    else MutableHashMap.set(state.members, pid, { ref: yield* Process.monitor(pid), groups: [group] })
  }
  add(state.local, group, pids)
  yield* tellPeers(state, { _tag: "Join", peer: state.self, group, pids })
  yield* notify(state, "join", group, pids)
})

const leave = Effect.fnUntraced(function*(state: State, group: Group, pids: ReadonlyArray<Pid>) {
  const left = remove(state.local, group, pids)
  for (const pid of left) {
    const member = Option.getOrThrow(MutableHashMap.get(state.members, pid))
    member.groups.splice(member.groups.indexOf(group), 1)
    if (member.groups.length === 0) {
      MutableHashMap.remove(state.members, pid)
      yield* Process.demonitor(member.ref, { flush: true })
    }
  }
  if (left.length > 0) yield* tellPeers(state, { _tag: "Leave", peer: state.self, pids: left, groups: [group] })
  yield* notify(state, "leave", group, left)
  return left.length > 0
})

const allMembers = (state: State, group: Group): ReadonlyArray<Pid> => [
  ...pidsOf(state.local, group),
  ...[...MutableHashMap.values(state.peers)].flatMap((peer) => pidsOf(peer.groups, group))
]

const allGroups = (state: State): Table => {
  const all: Table = MutableHashMap.empty()
  for (const [group, pids] of state.local) add(all, group, pids)
  for (const peer of MutableHashMap.values(state.peers)) for (const [group, pids] of peer.groups) add(all, group, pids)
  return all
}

const GroupServer = GenServer.make(GroupProtocol, {
  init: () =>
    Effect.map(Process.self, (self): State => ({
      self,
      local: MutableHashMap.empty(),
      members: MutableHashMap.empty(),
      peers: MutableHashMap.empty(),
      watchers: []
    })),
  handlers: {
    JoinGroup: ({ group, pids }, state) =>
      Effect.map(join(state, group, pids), () => GenServer.reply(undefined, state)),
    LeaveGroup: ({ group, pids }, state) =>
      Effect.map(leave(state, group, pids), (left) => GenServer.reply(left, state)),
    Members: ({ group, local }, state) => local ? pidsOf(state.local, group) : allMembers(state, group),
    Groups: ({ local }, state) => [...MutableHashMap.keys(local ? state.local : allGroups(state))],
    Watch: ({ group, pid, ref }, state) =>
      Effect.map(Process.monitor(pid), () => {
        state.watchers.push({ ref: ref as Reference, pid, group }) // made by `monitor`, which knows what it is
        return GenServer.reply(
          snapshot(allGroups(state)).filter(([name]) => Option.isNone(group) || Option.contains(group, name)),
          state
        )
      }),
    Unwatch: ({ ref }, state) => {
      const index = state.watchers.findIndex((watcher) => watcher.ref === ref)
      if (index !== -1) state.watchers.splice(index, 1)
      return GenServer.reply(index !== -1, state)
    },
    Discover: Effect.fnUntraced(function*({ peer }, state: State) {
      yield* Process.send(peer, { _tag: "Sync", peer: state.self, groups: snapshot(state.local) })
      // Who asks is new here too, unless it is known: then both ask each other once.
      if (!MutableHashMap.has(state.peers, peer)) {
        MutableHashMap.set(state.peers, peer, { ref: yield* Process.monitor(peer), groups: MutableHashMap.empty() })
        yield* Process.send(peer, { _tag: "Discover", peer: state.self })
      }
    }),
    Sync: ({ groups, peer }, state) => Effect.asVoid(synchronise(state, peer, groups)),
    Join: Effect.fnUntraced(function*({ group, peer, pids }, state: State) {
      const known = MutableHashMap.get(state.peers, peer)
      if (Option.isNone(known)) return
      add(known.value.groups, group, pids)
      yield* notify(state, "join", group, pids)
    }),
    Leave: Effect.fnUntraced(function*({ groups, peer, pids }, state: State) {
      const known = MutableHashMap.get(state.peers, peer)
      if (Option.isNone(known)) return
      for (const group of groups) yield* notify(state, "leave", group, remove(known.value.groups, group, pids))
    }),
    down: ({ address, ref }, state) => Effect.asVoid(ended(state, address, ref))
  },
  format: (state) => ({ groups: snapshot(allGroups(state)), peers: [...MutableHashMap.keys(state.peers)] })
})

const scopeRef = (
  scope: string | undefined
): Effect.Effect<NamedRef<(typeof messages)[number]>, never, NodeModule.Node> =>
  GenServer.named(GroupProtocol, scope ?? defaultScope)

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
    GenServer.start(GroupServer, undefined, { name: options?.scope ?? defaultScope }),
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
 * Makes the scope known to that of another node, and the other way round. A distribution does it for every node that comes
 * up; nothing happens when the other node has no such scope.
 *
 * @category distribution
 * @since 0.1.0
 */
export const discover = (node: string, options?: ScopeOption): Effect.Effect<void, never, NodeModule.Node> =>
  Effect.gen(function*() {
    const scope = options?.scope ?? defaultScope
    const self = yield* Process.whereis(scope)
    if (Option.isSome(self)) yield* Process.send({ name: scope, node }, { _tag: "Discover", peer: self.value })
  })

const toPids = (target: Pid | { readonly pid: Pid } | ReadonlyArray<Pid>): ReadonlyArray<Pid> =>
  isPid(target) ? [target] : "pid" in target ? [target.pid] : target

/**
 * Makes processes of this node members of a group, once more each.
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
): Effect.Effect<void, CallError, NodeModule.Node> =>
  Effect.flatMap(scopeRef(options?.scope), (ref) => ref.JoinGroup({ group, pids: toPids(target) }))

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
    Effect.flatMap(scopeRef(options?.scope), (ref) => ref.LeaveGroup({ group, pids: toPids(target) })),
    (left) => left ? Effect.void : Effect.fail(new NotJoined({ group, scope: options?.scope ?? defaultScope }))
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
  Effect.flatMap(scopeRef(options?.scope), (ref) => ref.Members({ group, local: false }))

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
  Effect.flatMap(scopeRef(options?.scope), (ref) => ref.Members({ group, local: true }))

/**
 * The groups that have members.
 *
 * @category membership
 * @since 0.1.0
 */
export const groups = (options?: ScopeOption): Effect.Effect<ReadonlyArray<Group>, CallError, NodeModule.Node> =>
  Effect.flatMap(scopeRef(options?.scope), (ref) => ref.Groups({ local: false }))

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
    return { ref, groups: yield* scope.Watch({ group, pid, ref }) }
  })

/**
 * Ends a monitor; changes that already wait stay in the mailbox. False when there was none.
 *
 * @category monitors
 * @since 0.1.0
 */
export const demonitor = (ref: Reference, options?: ScopeOption): Effect.Effect<boolean, CallError, NodeModule.Node> =>
  Effect.flatMap(scopeRef(options?.scope), (scope) => scope.Unwatch({ ref }))
