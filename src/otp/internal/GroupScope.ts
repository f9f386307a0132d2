/**
 * The process of a scope: it knows the members of its node, and what the scopes of the other nodes have told.
 *
 * It speaks the words of Erlang's `pg`: `{discover, Pid}`, `{sync, Pid, Groups}` as a cast, `{join, Pid, Group, Pids}` and
 * `{leave, Pid, Pids, Groups}`. It says `{discover, Pid}` to its name on every node that comes up; who is asked answers
 * with all of its own members, and asks back when the other is new to it. A scope of another node is monitored, and what
 * it has told goes with it. Nothing that is said opens a connection.
 *
 * Processes of other nodes may watch it too, with the calls of `pg:monitor/2`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Etf from "../../etf/EtfSchema.ts"
import * as Behaviour from "../../process/Behaviour.ts"
import * as Message from "../../process/Message.ts"
import * as NodeModule from "../../process/Node.ts"
import * as Process from "../../process/Process.ts"
import * as ProcessRef from "../../process/ProcessRef.ts"
import * as Protocol from "../../process/Protocol.ts"
import { Request } from "../../process/Signal.ts"
import { Atom } from "../../term/Atom.ts"
import * as ErlMap from "../../term/ErlMap.ts"
import { isPid, Pid } from "../../term/Pid.ts"
import { equals as sameReference, isReference, type Reference } from "../../term/Reference.ts"
import type { Term } from "../../term/Term.ts"
import { Tuple } from "../../term/Tuple.ts"
import * as GenServer from "../GenServer.ts"
import { Change } from "./GroupModels.ts"
import { fromWire, GroupTable, Memberships, PidMap, pidsOf } from "./GroupTable.ts"

// A class has no form on the wire: what carries these can only be said on this node.
const LocalPid: Schema.instanceOf<Pid> = Schema.instanceOf(Pid)
const LocalPids: Schema.$Array<typeof LocalPid> = Schema.Array(LocalPid)
class Here {
  readonly here = true
}
const OnlyHere: Schema.instanceOf<Here> = Schema.instanceOf(Here)

/** The messages that only this node may send carry it. */
export const onlyHere: { readonly here: Here } = { here: new Here() }

type Group = typeof Etf.Term
type Local = { readonly local: Schema.Boolean; readonly here: typeof OnlyHere }
type Call<Tag extends string, Fields extends Schema.Struct.Fields, Success extends Schema.Top> = Message.Message<
  Tag,
  "Call",
  Schema.Struct<Fields>,
  Success,
  Schema.Never
>
type Said<Tag extends string, Kind extends "Cast" | "Info", Fields extends Schema.Struct.Fields> = Message.Message<
  Tag,
  Kind,
  Schema.Struct<Fields>,
  Schema.Void,
  Schema.Never
>

// Declarations must be writable file by file: what is said is spelled out once as types, and once as values.
type JoinGroup = Call<"JoinGroup", { readonly group: Group; readonly pids: typeof LocalPids }, Schema.Void>
type LeaveGroup = Call<"LeaveGroup", { readonly group: Group; readonly pids: typeof LocalPids }, Schema.Boolean>
type Members = Call<"Members", { readonly group: Group } & Local, typeof LocalPids>
type Groups = Call<"Groups", Local, Schema.$Array<Group>>
type Watch = Call<
  "Watch",
  {
    readonly group: Schema.Option<Group>
    readonly pid: typeof LocalPid
    readonly ref: typeof Etf.Reference
  },
  Schema.$Array<Schema.Tuple<readonly [Group, typeof LocalPids]>>
>
type Unwatch = Call<"Unwatch", { readonly ref: typeof Etf.Reference; readonly here: typeof OnlyHere }, Schema.Boolean>
type NodeCame = Said<"NodeCame", "Info", { readonly node: Schema.String; readonly here: typeof OnlyHere }>
type Discover = Said<"Discover", "Info", { readonly peer: typeof Etf.Pid }>
type Sync = Said<"Sync", "Cast", {
  readonly peer: typeof Etf.Pid
  readonly groups: Schema.$Array<Schema.Tuple<readonly [Group, Schema.$Array<typeof Etf.Pid>]>>
}>
type Join = Said<"Join", "Info", { readonly peer: typeof Etf.Pid; readonly group: Group; readonly pids: Group }>
type Leave = Said<"Leave", "Info", {
  readonly peer: typeof Etf.Pid
  readonly pids: Group
  readonly groups: Schema.$Array<Group>
}>

const NodeCame: NodeCame = Message.Info("NodeCame", { payload: { node: Schema.String, here: OnlyHere } })

const pids = { group: Etf.Term, pids: LocalPids }
const local = { local: Schema.Boolean, here: OnlyHere }

export type GroupMessages =
  | JoinGroup
  | LeaveGroup
  | Members
  | Groups
  | Watch
  | Unwatch
  | NodeCame
  | Discover
  | Sync
  | Join
  | Leave

export const GroupProtocol: Protocol.Protocol<"ProcessGroup", GroupMessages> = Protocol.make(
  "ProcessGroup",
  Message.Call("JoinGroup", { payload: pids }),
  Message.Call("LeaveGroup", { payload: pids, success: Schema.Boolean }),
  Message.Call("Members", { payload: { group: Etf.Term, ...local }, success: LocalPids }),
  Message.Call("Groups", { payload: local, success: Schema.Array(Etf.Term) }),
  Message.Call("Watch", {
    payload: { group: Schema.Option(Etf.Term), pid: LocalPid, ref: Etf.Reference },
    success: Schema.Array(Schema.Tuple([Etf.Term, LocalPids]))
  }),
  Message.Call("Unwatch", { payload: { ref: Etf.Reference, here: OnlyHere }, success: Schema.Boolean }),
  NodeCame,
  Message.Info("Discover", { payload: { peer: Etf.Pid } }),
  Message.Cast("Sync", {
    payload: { peer: Etf.Pid, groups: Schema.Array(Schema.Tuple([Etf.Term, Schema.Array(Etf.Pid)])) }
  }),
  // One pid or a list of them.
  Message.Info("Join", { payload: { peer: Etf.Pid, group: Etf.Term, pids: Etf.Term } }),
  Message.Info("Leave", { payload: { peer: Etf.Pid, pids: Etf.Term, groups: Schema.Array(Etf.Term) } })
)

interface Member {
  readonly ref: Reference
  readonly groups: Memberships
}

interface Watcher {
  readonly ref: Reference
  readonly pid: Pid
  readonly monitor: Reference
  readonly group: Option.Option<Term>
  /** Whether it wants to hear it in the words of Erlang. */
  readonly wire: boolean
}

interface Peer {
  readonly ref: Reference
  readonly groups: GroupTable
}

/** What a scope knows. It is changed in place: only its own process sees it. */
interface State {
  readonly self: Pid
  readonly name: string
  readonly node: NodeModule.Service
  readonly local: GroupTable
  /** Local members, with the monitor on each. */
  readonly members: PidMap<Member>
  /** The scopes of other nodes, with the monitor on each and what it has told. */
  readonly peers: PidMap<Peer>
  readonly watchers: Array<Watcher>
}

const sameGroup = (a: Term, b: Term): boolean => new Tuple([a])["~effect/Equal"](new Tuple([b]))

const watches = (watcher: Watcher, group: Term): boolean =>
  Option.isNone(watcher.group) || sameGroup(watcher.group.value, group)

/** Tells whoever watches the group. */
const notify = (
  state: State,
  kind: "join" | "leave",
  group: Term,
  pids: ReadonlyArray<Pid>
): Effect.Effect<void, never, NodeModule.Node> =>
  pids.length === 0 || state.watchers.length === 0 ? Effect.void : Effect.forEach(
    state.watchers.filter((watcher) => watches(watcher, group)),
    (watcher) =>
      Process.send(
        watcher.pid,
        watcher.wire
          ? new Tuple([watcher.ref, new Atom(kind), group, pids])
          : new Change(watcher.ref, kind, fromWire(group), pids)
      ),
    { discard: true }
  )

type PeerRef = ProcessRef.ProcessRef<GroupMessages>

/** Says something to the scope of another node, if that is connected. */
const tell = (
  state: State,
  peer: Pid,
  say: (ref: PeerRef) => Effect.Effect<unknown>
): Effect.Effect<void, never, NodeModule.Node> =>
  Behaviour.isConnected(state.node, peer.node)
    ? Effect.asVoid(Effect.flatMap(ProcessRef.fromPid(GroupProtocol, peer), say))
    : Effect.void

const tellPeers = (
  state: State,
  say: (ref: PeerRef) => Effect.Effect<unknown>
): Effect.Effect<void, never, NodeModule.Node> =>
  state.peers.size === 0
    ? Effect.void
    : Effect.forEach([...state.peers], ([peer]) => tell(state, peer, say), { discard: true })

/** Asks the scope of a node for its groups. */
const ask = (state: State, node: string): Effect.Effect<void, never, NodeModule.Node> =>
  Behaviour.isConnected(state.node, node)
    ? Effect.flatMap(
      ProcessRef.named(GroupProtocol, { name: state.name, node }),
      (ref) => ref.Discover({ peer: state.self })
    )
    : Effect.void

const addPeer = Effect.fnUntraced(function*(state: State, peer: Pid, groups: GroupTable) {
  const known = state.peers.get(peer)
  const ref = known === undefined ? yield* Process.monitor(peer) : known.ref
  state.peers.set(peer, { ref, groups })
  return known
})

const discovered = Effect.fnUntraced(function*(state: State, peer: Pid) {
  if (peer.node === state.self.node) return
  yield* tell(state, peer, (ref) => ref.Sync({ peer: state.self, groups: state.local.snapshot() }))
  // Who asks is new here too, unless it is known: then both ask each other once.
  if (state.peers.get(peer) !== undefined) return
  yield* addPeer(state, peer, new GroupTable())
  yield* tell(state, peer, (ref) => ref.Discover({ peer: state.self }))
})

/** A scope of another node has told what it has: the difference to what was known is what has changed. */
const synchronise = Effect.fnUntraced(function*(
  state: State,
  peer: Pid,
  groups: ReadonlyArray<readonly [Term, ReadonlyArray<Pid>]>
) {
  if (peer.node === state.self.node) return
  const after = GroupTable.from(groups)
  const known = yield* addPeer(state, peer, after)
  const before = known?.groups ?? new GroupTable()
  if (state.watchers.length === 0) return
  for (const group of before.groups) yield* notify(state, "leave", group, before.beyond(group, after))
  for (const group of after.groups) yield* notify(state, "join", group, after.beyond(group, before))
})

/** A member, a peer or a watcher has ended, or its node is gone. */
const ended = Effect.fnUntraced(function*(state: State, address: unknown, ref: Reference) {
  if (!isPid(address)) return
  const member = state.members.get(address)
  if (member !== undefined && sameReference(member.ref, ref)) {
    state.members.delete(address)
    const groups = member.groups.list()
    for (const group of groups) state.local.remove(group, [address])
    yield* tellPeers(state, (peer) => peer.Leave({ peer: state.self, pids: [address], groups }))
    for (const group of groups) yield* notify(state, "leave", group, [address])
    return
  }
  const peer = state.peers.get(address)
  if (peer !== undefined && sameReference(peer.ref, ref)) {
    state.peers.delete(address)
    for (const [group, pids] of peer.groups.snapshot()) yield* notify(state, "leave", group, pids)
    return
  }
  const index = state.watchers.findIndex((watcher) => sameReference(watcher.monitor, ref))
  if (index !== -1) state.watchers.splice(index, 1)
})

const join = Effect.fnUntraced(function*(state: State, group: Term, pids: ReadonlyArray<Pid>) {
  for (const pid of pids) {
    let member = state.members.get(pid)
    if (member === undefined) {
      state.members.set(pid, member = { ref: yield* Process.monitor(pid), groups: new Memberships() })
    }
    member.groups.add(group)
  }
  state.local.add(group, pids)
  yield* tellPeers(state, (ref) => ref.Join({ peer: state.self, group, pids }))
  yield* notify(state, "join", group, pids)
})

const leave = Effect.fnUntraced(function*(state: State, group: Term, pids: ReadonlyArray<Pid>) {
  const left = state.local.remove(group, pids)
  for (const pid of left) {
    const member = state.members.get(pid)!
    member.groups.remove(group)
    if (member.groups.isEmpty) {
      state.members.delete(pid)
      yield* Process.demonitor(member.ref, { flush: true })
    }
  }
  if (left.length > 0) yield* tellPeers(state, (ref) => ref.Leave({ peer: state.self, pids: left, groups: [group] }))
  yield* notify(state, "leave", group, left)
  return left.length > 0
})

const tables = (state: State): ReadonlyArray<GroupTable> => [
  state.local,
  ...[...state.peers].map(([, peer]) => peer.groups)
]

const allMembers = (state: State, group: Term): ReadonlyArray<Pid> =>
  tables(state).flatMap((table) => table.members(group))

const allGroups = (state: State): GroupTable => GroupTable.from(tables(state).flatMap((table) => table.snapshot()))

const watch = Effect.fnUntraced(function*(state: State, watcher: Omit<Watcher, "monitor">) {
  state.watchers.push({ ...watcher, monitor: yield* Process.monitor(watcher.pid) })
  return Option.isNone(watcher.group)
    ? allGroups(state).snapshot()
    : [[watcher.group.value, allMembers(state, watcher.group.value)] as const].filter(([, pids]) => pids.length > 0)
})

const unwatch = Effect.fnUntraced(function*(state: State, ref: Reference) {
  const index = state.watchers.findIndex((watcher) => sameReference(watcher.ref, ref))
  if (index === -1) return false
  const [watcher] = state.watchers.splice(index, 1)
  yield* Process.demonitor(watcher!.monitor, { flush: true })
  return true
})

/** The calls of `pg:monitor_scope/1`, `pg:monitor/2` and `pg:demonitor/2`, from another node. */
const wireCall = Effect.fnUntraced(function*(state: State, request: Request) {
  const { from, message, payload } = request
  const [head, argument] = payload instanceof Tuple ? payload.elements : [payload]
  const arity = payload instanceof Tuple ? payload.elements.length : 0
  if (!(head instanceof Atom) || message !== "$gen_call") return
  if (head.name === "monitor" && (arity === 0 || arity === 2)) {
    const ref = yield* NodeModule.makeReference
    const group = arity === 0 ? Option.none<Term>() : Option.some(argument as Term)
    const groups = yield* watch(state, { ref, pid: from.caller, group, wire: true })
    yield* from.reply(
      new Tuple([ref, arity === 0 ? ErlMap.make(groups) : groups[0]?.[1] ?? []])
    )
  } else if (head.name === "demonitor" && arity === 2 && isReference(argument)) {
    yield* from.reply(new Atom((yield* unwatch(state, argument)) ? "ok" : "false"))
  }
})

/** `{discover, Pid, Version}`: who knows more than this protocol understands it as well. */
const newerDiscover = (term: unknown): Pid | undefined => {
  if (!(term instanceof Tuple) || term.elements.length !== 3) return undefined
  const [head, peer] = term.elements
  return head instanceof Atom && head.name === "discover" && isPid(peer) ? peer : undefined
}

const begin = Effect.fnUntraced(function*(name: string) {
  const node = yield* NodeModule.Node
  const self = yield* Process.self
  const process = yield* Behaviour.current
  yield* Effect.acquireRelease(
    Effect.sync(() =>
      Behaviour.watchNodes(node, (change) => {
        if (change._tag === "NodeUp" && !change.hidden) {
          Behaviour.post(process!, NodeCame, { node: change.node, ...onlyHere })
        }
      })
    ),
    (stop) => Effect.sync(stop)
  )
  const state: State = {
    self,
    name,
    node,
    local: new GroupTable(),
    members: new PidMap(),
    peers: new PidMap(),
    watchers: []
  }
  for (const other of Behaviour.connectedNodes(node)) yield* ask(state, other)
  return state
})

export const GroupServer: GenServer.GenServer<string, GroupMessages, never, NodeModule.Node> = GenServer.make(
  GroupProtocol,
  {
    init: (name: string) => begin(name),
    handlers: {
      JoinGroup: ({ group, pids }, state) =>
        Effect.map(join(state, group, pids), () => GenServer.reply(undefined, state)),
      LeaveGroup: ({ group, pids }, state) =>
        Effect.map(leave(state, group, pids), (left) => GenServer.reply(left, state)),
      Members: ({ group, local }, state) =>
        GenServer.reply(local ? state.local.members(group) : allMembers(state, group), state),
      Groups: ({ local }, state) => GenServer.reply(local ? state.local.groups : allGroups(state).groups, state),
      Watch: ({ group, pid, ref }, state) =>
        Effect.map(watch(state, { ref, pid, group, wire: false }), (groups) => GenServer.reply(groups, state)),
      Unwatch: ({ ref }, state) => Effect.map(unwatch(state, ref), (found) => GenServer.reply(found, state)),
      NodeCame: ({ node }, state) => Effect.asVoid(ask(state, node)),
      Discover: ({ peer }, state) => Effect.asVoid(discovered(state, peer)),
      Sync: ({ groups, peer }, state) => Effect.asVoid(synchronise(state, peer, groups)),
      Join: Effect.fnUntraced(function*({ group, peer, pids: term }, state: State) {
        const known = state.peers.get(peer)
        const pids = pidsOf(term)
        if (known === undefined || pids === undefined) return
        known.groups.add(group, pids)
        yield* notify(state, "join", group, pids)
      }),
      Leave: Effect.fnUntraced(function*({ groups, peer, pids: term }, state: State) {
        const known = state.peers.get(peer)
        const pids = pidsOf(term)
        if (known === undefined || pids === undefined) return
        for (const group of groups) yield* notify(state, "leave", group, known.groups.remove(group, pids))
      }),
      down: ({ address, ref }, state) => Effect.asVoid(ended(state, address, ref)),
      // Whatever else a node says to the name is none of its business, and no reason to log.
      unhandled: (
        term: unknown,
        state: State
      ): Effect.Effect<void, never, NodeModule.Node | Process.CurrentProcess> => {
        const peer = newerDiscover(term)
        if (peer !== undefined) return Effect.asVoid(discovered(state, peer))
        return term instanceof Request ? Effect.asVoid(wireCall(state, term)) : Effect.void
      }
    },
    format: (state) => ({ groups: allGroups(state).snapshot(), peers: [...state.peers].map(([peer]) => peer) })
  }
)
