/**
 * The process `global_name_server`: the part of this node in `global`, Erlang's names of the whole cluster.
 *
 * When two nodes connect, their partitions meet: they introduce themselves (`init_connect`), their lockers lock both
 * partitions, the servers exchange their names (`exchange`), the node with the smaller name decides conflicts, both tell
 * the outcome (`resolved`) to each other and to their partitions (`new_nodes`), and every node connects to the new ones
 * (`in_sync`). Names and locks are monitored and go with their processes.
 *
 * It does its part against overlapping partitions: a connection that is lost is told to all (`lost_connection`), and
 * whoever hears of it leaves the node that was lost.
 *
 * Protocol version 8 (OTP 25 and later); 5 to 7 are understood.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as GenServer from "../../otp/GenServer.ts"
import * as Behaviour from "../../process/Behaviour.ts"
import type { Node, Service } from "../../process/Node.ts"
import * as Process from "../../process/Process.ts"
import * as Protocol from "../../process/Protocol.ts"
import { Request } from "../../process/Signal.ts"
import * as ErlMap from "../../term/ErlMap.ts"
import { equals as samePid, isPid, type Pid } from "../../term/Pid.ts"
import type { Reference } from "../../term/Reference.ts"
import { equals as sameTerm, type Term } from "../../term/Term.ts"
import { Tuple } from "../../term/Tuple.ts"
import { BothLocked, Candidate, locker, LockSet, Over } from "./GlobalLocker.ts"
import { globalResource, type GlobalTables, type NameEntry, type Session } from "./GlobalTables.ts"
import { atom, boolean, cast, listOf, nameOf, send, tagged, tuple } from "./globalWire.ts"

/** Lost connections that are remembered. */
const maxLost = 4096

/** The version of the protocol that is spoken, and since when its parts are there. */
const version = 8
const since = { nodesWithVersions: 7, acknowledged: 8, lostConnection: 8 } as const

/** Decides between two processes of one name; undefined when it is neither. */
export type Resolve = (
  entry: Pick<NameEntry, "name" | "pid" | "method">,
  other: Pid
) => Effect.Effect<Pid | undefined, unknown, Node>

/** What the server needs of the distribution. */
export interface Options {
  readonly tables: GlobalTables
  readonly connect: (node: string) => Effect.Effect<unknown, unknown, Node>
  readonly disconnect: (node: string) => Effect.Effect<unknown, never, Node>
  /** Decides a conflict for an entry of this node's tables. */
  readonly resolve: Resolve
  /** Runs in the scope of the server when it starts. */
  readonly provide: Effect.Effect<void, unknown, Node | Scope.Scope>
}

/** What the server tells itself. */
class Came {
  readonly node: string

  constructor(node: string) {
    this.node = node
  }
}

class Went {
  readonly node: string

  constructor(node: string) {
    this.node = node
  }
}

class Exchanged {
  readonly node: string
  readonly myTag: number
  readonly operations: ReadonlyArray<Term>
  readonly resolved: ReadonlyArray<Term>

  constructor(node: string, myTag: number, operations: ReadonlyArray<Term>, resolved: ReadonlyArray<Term>) {
    this.node = node
    this.myTag = myTag
    this.operations = operations
    this.resolved = resolved
  }
}

interface State extends Options {
  readonly self: Service
  readonly server: Pid
  readonly locker: Pid
  tags: number
}

type Work<A = void> = Effect.Effect<A, never, Node | Process.CurrentProcess>

const isTag = (term: Term | undefined, session: Session | undefined): session is Session =>
  session !== undefined && term === session.myTag

// --- names and locks -------------------------------------------------------------------------------------------------

/**
 * Whether the lock under which a name comes is still there: its holder may have ended, or its node may have been away,
 * before the word arrived.
 */
const isStillLocked = (tables: GlobalTables, by: Pid | { readonly lock: Term | undefined }): boolean => {
  const entry = tables.lockEntry(atom(globalResource))
  if (entry === undefined) return !tables.lockLost
  if (isPid(by)) return entry.holders.some((holder) => samePid(holder.pid, by))
  return by.lock instanceof Tuple && by.lock.elements[1] !== undefined && sameTerm(entry.requester, by.lock.elements[1])
}

const forget = (ref: Reference | undefined): Work =>
  ref === undefined ? Effect.void : Effect.asVoid(Process.demonitor(ref, { flush: true }))

const insertName = Effect.fnUntraced(function*(
  { tables }: State,
  name: Term,
  pid: Pid,
  method: Term,
  by: Pid | { readonly lock: Term | undefined }
) {
  yield* forget(tables.deleteName(name)?.ref)
  if (isStillLocked(tables, by)) tables.setName({ name, pid, method, ref: yield* Process.monitor(pid) })
})

const setLock = Effect.fnUntraced(function*({ tables }: State, resource: Term, requester: Term, pid: Pid) {
  if (!tables.isFree(resource, requester)) return false
  if (!tables.isHeldBy(resource, pid)) tables.addHolder(resource, requester, pid, yield* Process.monitor(pid))
  return true
})

/** `{insert, {Name, Pid, Method}}` and `{delete, Name}`. */
const perform = Effect.fnUntraced(function*(state: State, operations: ReadonlyArray<Term>, lock: Term | undefined) {
  for (const operation of operations) {
    const word = tagged(operation)
    const [subject] = word?.fields ?? []
    if (word?.tag === "delete" && subject !== undefined) yield* forget(state.tables.deleteName(subject)?.ref)
    if (word?.tag !== "insert" || !(subject instanceof Tuple)) continue
    const [name, pid, method] = subject.elements
    if (isPid(pid) && method !== undefined) yield* insertName(state, name!, pid, method, { lock })
  }
})

// --- meeting ---------------------------------------------------------------------------------------------------------

/** The nodes of the partition, as the other's version writes them. */
const knownList = ({ tables }: State, his: number): ReadonlyArray<Term> =>
  [...tables.known].map(([node, vsn]) => his >= since.nodesWithVersions ? tuple(atom(node), vsn) : atom(node))

/** Nodes with their versions, of a list of either kind. */
const nodesOf = (term: Term | undefined): ReadonlyArray<readonly [string, number]> =>
  listOf(term).flatMap((item) => {
    const word = tagged(item)
    const name = nameOf(item) ?? word?.tag
    const [vsn] = word?.fields ?? []
    return name === undefined ? [] : [[name, typeof vsn === "number" ? vsn : version] as const]
  })

/** A node is there: the meeting begins. */
const came = Effect.fnUntraced(function*(state: State, node: string) {
  const { tables } = state
  if (tables.known.has(node) || tables.sessions.has(node)) return
  const myTag = ++state.tags
  tables.sessions.set(node, {
    node,
    myTag,
    hisTag: undefined,
    version,
    introduced: false,
    waiting: "nothing",
    operations: undefined,
    lock: undefined
  })
  const introduction = tuple(atom("locker"), atom("no_longer_a_pid"), ErlMap.make([]), state.locker)
  yield* cast(
    state.self,
    node,
    tuple(atom("init_connect"), tuple(version, myTag), atom(state.tables.node), introduction)
  )
  const early = tables.early.get(node)
  tables.early.delete(node)
  if (early !== undefined) yield* introduced(state, node, early.version, early.tag, early.locker)
})

/** Ends a meeting, successful or not. The other is told when it takes part in it. */
const endMeeting = (state: State, session: Session, silent: boolean, last: Effect.Effect<void, never, Node>): Work =>
  Effect.gen(function*() {
    state.tables.sessions.delete(session.node)
    if (!silent && session.introduced && session.version >= since.acknowledged && session.hisTag !== undefined) {
      yield* cancelThere(state, session.node, session.hisTag)
    }
    yield* Process.send(state.locker, new Over(session.node, session.myTag, last))
  })

const cancelThere = (state: State, node: string, hisTag: Term): Work =>
  send(state.self, node, tuple(atom("cancel_connect"), atom(state.tables.node), hisTag))

const restart = Effect.fnUntraced(function*(state: State, session: Session) {
  yield* endMeeting(state, session, false, Effect.void)
  yield* came(state, session.node)
})

const introduced = (
  state: State,
  node: string,
  his: number,
  hisTag: Term,
  hisLocker: Pid
): Work =>
  Effect.gen(function*() {
    const { tables } = state
    const vsn = Math.min(his, version)
    const session = tables.sessions.get(node)
    if (session === undefined) {
      if (!Behaviour.isConnected(state.self, node) || tables.known.has(node)) return
      tables.early.set(node, { version: his, tag: hisTag, locker: hisLocker })
      return
    }
    if (session.introduced) {
      // Two meetings at once: neither counts.
      yield* cancelThere(state, node, hisTag)
      return yield* restart(state, session)
    }
    session.introduced = true
    session.hisTag = hisTag
    session.version = vsn
    yield* Process.send(state.locker, new Candidate(node, hisLocker, hisTag, session.myTag))
    if (his >= since.acknowledged) {
      yield* send(state.self, node, tuple(atom("init_connect_ack"), atom(state.tables.node), hisTag, session.myTag))
    }
  })

/** Both partitions are locked, and the names of the other are here: what is to be done about them. */
const compareNames = (state: State, session: Session, names: ReadonlyArray<Term>): Work =>
  Effect.gen(function*() {
    session.waiting = "nothing"
    const { tables } = state
    const { node } = session
    const compare = Effect.gen(function*() {
      const operations: Array<Term> = []
      const resolved: Array<Term> = []
      for (const item of names) {
        if (!(item instanceof Tuple)) continue
        const [name, pid, method] = item.elements
        if (name === undefined || !isPid(pid) || method === undefined) continue
        const entry = tables.nameEntry(name)
        const insert = tuple(atom("insert"), tuple(name, pid, method))
        if (entry === undefined) operations.push(insert)
        else if (!samePid(entry.pid, pid) && tables.node < node) {
          // The node with the smaller name decides for both.
          const winner = yield* Effect.catchCause(state.resolve(entry, pid), () => Effect.succeed(pid))
          if (winner !== undefined && samePid(winner, entry.pid)) {
            resolved.push(tuple(atom("insert"), tuple(name, entry.pid, entry.method)))
          } else {
            const operation = winner === undefined ? tuple(atom("delete"), name) : insert
            operations.push(operation)
            resolved.push(operation)
          }
        }
      }
      yield* Process.send(state.server, new Exchanged(node, session.myTag, operations, resolved))
    })
    // In a process of its own: to decide may take a call to another node, and locks must be answered meanwhile.
    yield* Effect.orDie(Process.spawnDetached(() => compare))
  })

/** Both know what to do: the partitions become one. */
const unite = (
  state: State,
  session: Session,
  operations: ReadonlyArray<Term>,
  his: { readonly known: ReadonlyArray<Term>; readonly resolved: ReadonlyArray<Term> }
): Work =>
  Effect.gen(function*() {
    const { self, tables } = state
    const all = [...operations, ...his.resolved]
    const others = nodesOf(his.known).filter(([node]) => node !== tables.node)
    const fresh: ReadonlyArray<readonly [string, number]> = [[session.node, session.version], ...others]
    for (const [node] of others) yield* syncWith(state, node)
    yield* perform(state, all, session.lock)
    for (const [node] of others) {
      const meeting = tables.sessions.get(node)
      if (meeting !== undefined) yield* endMeeting(state, meeting, true, Effect.void)
    }
    // Told by the locker, under the lock: nobody takes it before the partition knows.
    const partition = [...tables.known]
    const extra = [tuple(atom("vsn"), session.version), tuple(atom("lock"), session.lock ?? atom("undefined"))]
    const tellPartition = Effect.forEach(partition, ([node, vsn]) => {
      const nodes = fresh.map(([name, v]) => vsn >= since.nodesWithVersions ? tuple(atom(name), v) : atom(name))
      return cast(self, node, tuple(atom("new_nodes"), atom(tables.node), all, [], nodes, extra))
    }, { discard: true })
    yield* endMeeting(state, session, true, tellPartition)
    for (const [node, vsn] of fresh) if (!tables.known.has(node)) tables.known.set(node, vsn)
    tables.synced.add(session.node)
  })

/** Connects to a node that others know, and tells it that both have the same names. */
const syncWith = (state: State, node: string): Work =>
  Effect.asVoid(Effect.orDie(Process.spawnDetached(() =>
    Effect.matchEffect(state.connect(node), {
      onSuccess: () => cast(state.self, node, tuple(atom("in_sync"), atom(state.tables.node), boolean(true))),
      onFailure: () => Process.send(state.server, new Went(node))
    })
  )))

// --- losing ----------------------------------------------------------------------------------------------------------

const tellKnown = (state: State, term: Term, except: string): Work =>
  Effect.forEach(
    [...new Set([...state.tables.known.keys(), ...state.tables.sessions.keys()])].filter((node) => node !== except),
    (node) => send(state.self, node, term),
    { discard: true }
  )

/** The names and locks of its processes have gone with their monitors. */
const went = Effect.fnUntraced(function*(state: State, node: string, why: "lost" | "removed") {
  const { tables } = state
  const session = tables.sessions.get(node)
  const wasKnown = tables.known.delete(node)
  if (session !== undefined) yield* endMeeting(state, session, false, Effect.void)
  tables.synced.delete(node)
  tables.early.delete(node)
  if (why === "lost" && (wasKnown || session?.introduced === true)) {
    const word = tuple(atom("lost_connection"), atom(tables.node), state.self.creation, ++state.tags, atom(node))
    yield* tellKnown(state, word, node)
  }
})

const lostConnection = Effect.fnUntraced(function*(
  state: State,
  word: Term,
  from: string,
  creation: Term,
  number: number | bigint,
  lost: string
) {
  const { tables } = state
  const key = `${from} ${lost}`
  const before = tables.lost.get(key)
  if (before !== undefined && sameTerm(before.creation, creation) && number <= before.number) return
  yield* tellKnown(state, word, from)
  tables.lost.delete(key)
  tables.lost.set(key, { creation, number })
  // The oldest go first: what is told again after so many others does no harm.
  if (tables.lost.size > maxLost) tables.lost.delete(tables.lost.keys().next().value!)
  // When this node is the one that was lost, the one that has lost it is to leave.
  const leaving = lost === tables.node ? from : lost
  if (!tables.known.has(leaving) && tables.sessions.get(leaving)?.introduced !== true) return
  const vsn = tables.known.get(leaving) ?? tables.sessions.get(leaving)!.version
  yield* went(state, leaving, "removed")
  // Older ones do not know the word.
  if (vsn < since.lostConnection) yield* state.disconnect(leaving)
  else yield* send(state.self, leaving, tuple(atom("remove_connection"), atom(tables.node)))
})

const removeConnection = Effect.fnUntraced(function*(state: State, node: string) {
  const { tables } = state
  if (!tables.known.has(node) && tables.sessions.get(node)?.introduced !== true) return
  yield* went(state, node, "removed")
  yield* state.disconnect(node)
})

// --- what comes in ---------------------------------------------------------------------------------------------------

const call = Effect.fnUntraced(function*(state: State, request: Term, caller: Pid) {
  const { tables } = state
  switch (nameOf(request)) {
    case "get_known":
      return knownList(state, 0)
    case "get_synced":
      return [...tables.synced].map(atom)
    case "get_protocol_version":
      return version
    case "get_names_ext":
      return []
  }
  const word = tagged(request)
  const [first, second, third] = word?.fields ?? []
  switch (word?.tag) {
    case "register":
    case "register_ext":
      if (first === undefined || !isPid(second) || third === undefined) return undefined
      yield* insertName(state, first, second, third, caller)
      return atom("yes")
    case "unregister":
      if (first === undefined) return undefined
      yield* forget(tables.deleteName(first)?.ref)
      return atom("ok")
    case "set_lock":
    case "del_lock": {
      if (!(first instanceof Tuple) || first.elements.length !== 2) return undefined
      const [resource, requester] = first.elements as [Term, Term]
      if (word.tag === "set_lock") return boolean(yield* setLock(state, resource, requester, caller))
      yield* forget(tables.deleteHolder(resource, requester, caller))
      return boolean(true)
    }
  }
  return undefined
})

const received = Effect.fnUntraced(function*(state: State, term: Term) {
  const { tables } = state
  const { fields, tag } = tagged(term) ?? { tag: "", fields: [] }
  switch (tag) {
    case "init_connect": {
      const [his, nodeTerm, introduction] = fields
      const node = nameOf(nodeTerm)
      const hisLocker = tagged(introduction)?.fields[2]
      if (!(his instanceof Tuple) || node === undefined || !isPid(hisLocker)) return
      const [vsn, hisTag] = his.elements
      if (typeof vsn === "number" && vsn > 4 && hisTag !== undefined) {
        yield* introduced(state, node, vsn, hisTag, hisLocker)
      }
      return
    }
    case "init_connect_ack": {
      const session = tables.sessions.get(nameOf(fields[0]) ?? "")
      const [, mine, his] = fields
      if (session === undefined || his === undefined) return
      if (mine === session.myTag && session.hisTag !== undefined && sameTerm(session.hisTag, his)) return
      // The two are not in the same meeting.
      yield* cancelThere(state, session.node, his)
      return yield* restart(state, session)
    }
    case "cancel_connect": {
      const session = tables.sessions.get(nameOf(fields[0]) ?? "")
      if (!isTag(fields[1], session)) return
      session.introduced = false // it knows
      return yield* restart(state, session)
    }
    case "lock_set": {
      const [hisLocker, isSet, , mine] = fields
      if (!isPid(hisLocker)) return
      const session = tables.sessions.get(hisLocker.node)
      if (session === undefined || (mine !== undefined && mine !== session.myTag)) return
      return yield* Process.send(state.locker, new LockSet(hisLocker, nameOf(isSet) === "true", session.myTag))
    }
    case "exchange": {
      const session = tables.sessions.get(nameOf(fields[0]) ?? "")
      if (!isTag(fields[3], session)) return
      if (session.waiting === "locked") return yield* compareNames(state, session, listOf(fields[1]))
      session.waiting = listOf(fields[1])
      return
    }
    case "resolved": {
      const session = tables.sessions.get(nameOf(fields[0]) ?? "")
      if (!isTag(fields[5], session)) return
      const his = { resolved: listOf(fields[1]), known: listOf(fields[2]) }
      if (Array.isArray(session.operations)) {
        return yield* unite(state, session, session.operations as ReadonlyArray<Term>, his)
      }
      session.operations = his
      return
    }
    case "new_nodes": {
      const fresh = nodesOf(fields[3]).filter(([node]) => node !== tables.node && !tables.known.has(node))
      for (const [node, vsn] of fresh) tables.known.set(node, vsn)
      for (const [node] of fresh) yield* syncWith(state, node)
      const lock = listOf(fields[4]).map(tagged).find((item) => item?.tag === "lock")?.fields[0]
      return yield* perform(state, listOf(fields[1]), lock)
    }
    case "in_sync": {
      const node = nameOf(fields[0])
      if (node === undefined) return
      tables.synced.add(node)
      const session = tables.sessions.get(node)
      if (session !== undefined) yield* endMeeting(state, session, true, Effect.void)
      return
    }
    case "lost_connection": {
      const [from, creation, number, lost] = fields
      const [a, b] = [nameOf(from), nameOf(lost)]
      if (a === undefined || b === undefined || creation === undefined) return
      if (typeof number !== "number" && typeof number !== "bigint") return
      return yield* lostConnection(state, term, a, creation, number, b)
    }
    case "remove_connection": {
      const node = nameOf(fields[0])
      return node === undefined ? undefined : yield* removeConnection(state, node)
    }
    case "whereis": {
      // `{whereis, Name, From}`, answered as a call is.
      const [name, from] = fields
      if (name === undefined || !(from instanceof Tuple) || !isPid(from.elements[0])) return
      const reply = tables.nameEntry(name)?.pid ?? atom("undefined")
      return yield* Process.send(from.elements[0], tuple(from.elements[1]!, reply))
    }
  }
})

/** What this node's own processes say to the server. */
const own = Effect.fnUntraced(function*(state: State, word: Came | Went | BothLocked | Exchanged) {
  const { tables } = state
  if (word instanceof Came) return yield* came(state, word.node)
  if (word instanceof Went) return yield* went(state, word.node, "lost")
  const session = tables.sessions.get(word.node)
  if (session === undefined || session.myTag !== word.myTag) {
    // A meeting that is over: the lock of it is of no use.
    if (word instanceof BothLocked) {
      yield* Process.send(state.locker, new Over(word.node, word.myTag, Effect.void))
    }
    return
  }
  if (word instanceof BothLocked) {
    session.lock = word.lock
    const names = tables.nameEntries().map(({ method, name, pid }) => tuple(name, pid, method))
    yield* cast(
      state.self,
      word.node,
      tuple(atom("exchange"), atom(tables.node), names, [], session.hisTag ?? atom("undefined"))
    )
    if (session.waiting !== "nothing" && session.waiting !== "locked") {
      return yield* compareNames(state, session, session.waiting)
    }
    session.waiting = "locked"
    return
  }
  yield* cast(
    state.self,
    word.node,
    tuple(
      atom("resolved"),
      atom(tables.node),
      word.resolved,
      knownList(state, session.version),
      atom("unused"),
      [],
      session.hisTag ?? atom("undefined")
    )
  )
  const his = session.operations
  if (his !== undefined && "known" in his) yield* unite(state, session, word.operations, his)
  else session.operations = word.operations
})

const isOwn = (term: unknown): term is Came | Went | BothLocked | Exchanged =>
  term instanceof Came || term instanceof Went || term instanceof BothLocked || term instanceof Exchanged

const base: Protocol.Protocol<"Global", never> = Protocol.make("Global")

/** Nothing but terms: what Erlang's name servers say to each other. */
class GlobalProtocol extends base {}

const begin = Effect.fnUntraced(function*(self: Service, options: Options) {
  const server = yield* Process.self
  yield* options.provide
  const state: State = {
    ...options,
    self,
    server,
    locker: yield* Process.spawn(() => locker(self, options.tables, server), { link: true, label: "global_locker" }),
    tags: 0
  }
  yield* Effect.acquireRelease(
    Effect.sync(() =>
      Behaviour.watchNodes(self, (change) => {
        if (change.hidden) return
        const word = change._tag === "NodeUp" ? new Came(change.node) : new Went(change.node)
        const process = Behaviour.processAt(self, server)
        if (process !== undefined) Behaviour.tell(process, word)
      })
    ),
    (stop) => Effect.sync(stop)
  )
  for (const node of Behaviour.connectedNodes(self)) yield* came(state, node)
  return state
})

/** The name server of a node. */
export const make = (self: Service): GenServer.GenServer<Options, never, never, Node> =>
  GenServer.make(GlobalProtocol, {
    init: (options: Options) => Effect.orDie(begin(self, options)),
    handlers: {
      down: ({ ref }, state) => state.tables.down(ref),
      unhandled: (message: unknown, state: State): Work => {
        if (isOwn(message)) return own(state, message)
        if (message instanceof Request) {
          return Effect.flatMap(
            call(state, message.payload as Term, message.from.caller),
            (reply) => reply === undefined ? Effect.void : message.from.reply(reply)
          )
        }
        const word = tagged(message)
        return received(state, word?.tag === "$gen_cast" ? word.fields[0]! : message as Term)
      }
    },
    format: ({ tables }) => ({
      names: tables.nameEntries().map(({ name, pid }) => [name, pid]),
      known: [...tables.known.keys()],
      synced: [...tables.synced]
    })
  })
