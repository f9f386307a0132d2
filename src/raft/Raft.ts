/**
 * A state machine that several nodes keep in common: every command is agreed upon by a majority before anybody learns of
 * its answer.
 *
 * `make` takes a protocol and what each of its messages does to the state. What it gives is a server like any other, to be started, supervised and called with the methods of its
 * protocol, on every node of the group. Callers may use any member: it passes on to the leader what only the leader
 * can do.
 *
 * Guarantees: linearizable reads and writes, also while nodes and connections fail, as long as a majority can talk; a request that a
 * member sends twice counts once; a caller that got an answer will never see it undone; a restarted member has everything
 * that it ever acknowledged, if its storage lasts. A call that fails by time-out may have been carried out, or still be.
 *
 * Refuses: to answer without a majority (calls time out then); functions that do not depend on payload and state alone
 * (members would disagree for ever): `apply` gets no services and returns no Effect.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as PubSub from "effect/PubSub"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Etf from "../etf/EtfSchema.ts"
import * as GenServer from "../otp/GenServer.ts"
import * as Behaviour from "../process/Behaviour.ts"
import type { CallError, StartError } from "../process/CallError.ts"
import * as ExitReason from "../process/ExitReason.ts"
import type { Handlers } from "../process/Handler.ts"
import * as Message from "../process/Message.ts"
import { Node } from "../process/Node.ts"
import * as Process from "../process/Process.ts"
import * as ProcessRef from "../process/ProcessRef.ts"
import * as Protocol from "../process/Protocol.ts"
import { Engine, type Setup, type Status } from "./internal/Engine.ts"
import type { Machine, Operation, Outcome } from "./internal/Machine.ts"
import type { Change, Event, Options, Refusal } from "./RaftCore.ts"
import type { MemberId } from "./RaftEntry.ts"
import type { RaftStorageError } from "./RaftError.ts"
import { RaftStorage } from "./RaftStorage.ts"

/**
 * What a command or read came to: an answer, a typed error, and the next state.
 *
 * @category models
 * @since 0.1.0
 */
export class Applied<out A, out E, out S> {
  readonly exit: Exit.Exit<A, E> | undefined
  /** Whether `state` is the next state; otherwise it stays as it is. */
  readonly updates: boolean
  readonly state: S

  constructor(exit: Exit.Exit<A, E> | undefined, updates: boolean, state: S) {
    this.exit = exit
    this.updates = updates
    this.state = state
  }
}

/**
 * Answers a command, with the state that follows.
 *
 * @category constructors
 * @since 0.1.0
 */
export const reply = <A, S>(value: A, state: S): Applied<A, never, S> => new Applied(Exit.succeed(value), true, state)

/**
 * Answers with a typed error. The state stays as it is.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fail = <E>(error: E): Applied<never, E, never> =>
  new Applied<never, E, never>(Exit.fail(error), false, undefined as never) // not read when `updates` is false

/**
 * The state after a cast.
 *
 * @category constructors
 * @since 0.1.0
 */
export const next = <S>(state: S): Applied<never, never, S> => new Applied<never, never, S>(undefined, true, state)

/**
 * What a message does to the state.
 *
 * @category models
 * @since 0.1.0
 */
export type Apply<M extends Message.Any, S> = (
  payload: Message.Payload<M>,
  state: S
) => M extends { readonly kind: "Call" } ? Applied<Message.Success<M>, Message.Error<M>, S> : Applied<never, never, S>

/**
 * What a call reads in the state: the answer, or {@link fail}.
 *
 * @category models
 * @since 0.1.0
 */
export type Read<M extends Message.Any, S> = (
  payload: Message.Payload<M>,
  state: S
) => Message.Success<M> | Applied<never, Message.Error<M>, never>

/** The tags of the calls. */
type CallTags<M extends Message.Any> = Extract<M, { readonly kind: "Call" }>["_tag"]

/** One function per message; those of `K` only read. */
type Functions<M extends Message.Any, S, K> = {
  readonly [T in M as T["_tag"]]: T["_tag"] extends K ? Read<T, S> : Apply<T, S>
}

/**
 * How a member is started.
 *
 * @category models
 * @since 0.1.0
 */
export interface MemberOptions {
  /** The name of the group: under it each member is registered on its node, and keeps its files. */
  readonly group: string
  /**
   * The nodes of the members that begin the group, the same on each of them. A node that is not among them waits until it
   * is added.
   */
  readonly members: ReadonlyArray<MemberId>
  /** Nodes that begin as learners: they have everything and no vote. */
  readonly learners?: ReadonlyArray<MemberId> | undefined
  /** Time-outs and limits, see `RaftCore.defaultOptions`. */
  readonly options?: Partial<Options> | undefined
  /** Entries after which the state is written as a snapshot and the log begins anew: 10 000. */
  readonly snapshotEvery?: number | undefined
  /** Requests that may wait at this member, before calls fail with `MailboxFull`: 10 000. */
  readonly maxWaiting?: number | undefined
}

/**
 * A replicated state machine: a server whose state is the same on all nodes of its group.
 *
 * @category models
 * @since 0.1.0
 */
export interface Raft<in out M extends Message.Any>
  extends GenServer.GenServer<MemberOptions, M, RaftStorageError | StartError, RaftStorage | Node>
{}

const Step = Message.Cast("RaftStep", {
  payload: { from: Schema.String, bytes: Schema.Uint8Array }
})
const MemberIdOption = Schema.optional(Schema.String)

const StatusSchema: Schema.Codec<Status, unknown> = Schema.Struct({
  id: Schema.String,
  role: Schema.Literals(["Follower", "Candidate", "Leader"]),
  term: Schema.Int,
  leader: Schema.UndefinedOr(Schema.String),
  lastIndex: Schema.Int,
  commit: Schema.Int,
  applied: Schema.Int,
  snapshotIndex: Schema.Int,
  membership: Schema.Struct({ voters: Schema.Array(Schema.String), learners: Schema.Array(Schema.String) }),
  waiting: Schema.Int
})

const RefusalSchema: Schema.Codec<Refusal, unknown> = Schema.Union([
  Schema.TaggedStruct("NotLeader", { leader: Schema.UndefinedOr(Schema.String) }),
  Schema.TaggedStruct("Transferring", { to: Schema.String }),
  Schema.TaggedStruct("Overloaded", { uncommitted: Schema.Int }),
  Schema.TaggedStruct("ChangeInProgress", {}),
  Schema.TaggedStruct("BadMember", { member: Schema.UndefinedOr(Schema.String) })
])

// An engine never leaves its node: there is no form on the wire for it.
class Local {
  readonly events: PubSub.PubSub<Event>

  constructor(events: PubSub.PubSub<Event>) {
    this.events = events
  }
}

const administration = [
  Step,
  Message.Call("RaftStatus", { success: StatusSchema }),
  Message.Call("RaftChange", {
    payload: { change: Schema.Literals(["AddLearner", "AddVoter", "Remove"]), member: Schema.String },
    success: Schema.UndefinedOr(RefusalSchema)
  }),
  Message.Call("RaftTransfer", { payload: { to: MemberIdOption }, success: Schema.UndefinedOr(RefusalSchema) }),
  Message.Call("RaftEvents", { success: Schema.instanceOf(Local) })
] as const

const Administration: Protocol.Protocol<"Raft", (typeof administration)[number]> = Protocol.make(
  "Raft",
  ...administration
)

const operationOf = (
  message: Message.Any,
  run: (payload: unknown, state: unknown) => unknown,
  reads: boolean
): Operation => {
  // The schemas of a message need no services: its type says so, its general form does not.
  const compile = (schema: Schema.Top) => Etf.compile(schema as Schema.Codec<unknown, unknown>)
  return {
    payload: compile(message.payloadSchema),
    success: compile(message.successSchema),
    error: compile(message.errorSchema),
    reads,
    run: (payload, state): Outcome => {
      const result = run(payload, state)
      if (result instanceof Applied) return { exit: result.exit, state: result.updates ? result.state : state }
      return { exit: Exit.succeed(result), state }
    }
  }
}

/**
 * Makes a replicated state machine of a protocol.
 *
 * The functions of `apply` run on every member, in the same order: they must come to the same on each, from payload and state
 * alone. One that throws leaves the state as it is, and its caller gets the reason. Those named in `reads` run only on the
 * member that was called, and answer with a plain value.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { GenServer, Message, Protocol } from "effect-otp"
 * import { Raft, RaftStorage } from "effect-otp/raft"
 *
 * class Store extends Protocol.make(
 *   "Store",
 *   Message.Call("Put", { payload: { key: Schema.String, value: Schema.Int } }),
 *   Message.Call("Get", { payload: { key: Schema.String }, success: Schema.UndefinedOr(Schema.Int) })
 * ) {}
 *
 * const StoreRaft = Raft.make(Store, {
 *   state: Schema.Record(Schema.String, Schema.Int),
 *   initial: {},
 *   reads: ["Get"],
 *   apply: {
 *     Put: ({ key, value }, state) => Raft.reply(undefined, { ...state, [key]: value }),
 *     Get: ({ key }, state) => state[key]
 *   }
 * })
 *
 * const program = Effect.gen(function*() {
 *   const store = yield* GenServer.start(StoreRaft, { group: "store", members: ["a@127.0.0.1"] })
 *   yield* store.Put({ key: "apples", value: 3 })
 *   return yield* store.Get({ key: "apples" })
 * }).pipe(Effect.scoped, Effect.provide(RaftStorage.memory))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <
  Name extends string,
  M extends Message.Any,
  S,
  I,
  const K extends CallTags<M> = never,
  A extends Functions<M, S, K> = Functions<M, S, K>
>(
  protocol: Protocol.Protocol<Name, M>,
  options: {
    /** The state, as snapshots hold it. */
    readonly state: Schema.Codec<S, I>
    readonly initial: NoInfer<S>
    /** The calls that change nothing: they need no entry in the log, only the word of the leader. */
    readonly reads?: ReadonlyArray<K>
    /** What each message does. */
    readonly apply: A & { readonly [X in Exclude<keyof A, M["_tag"]>]: never }
  }
): Raft<M> => {
  // One function per message, each of its own types.
  const functions = options.apply as unknown as {
    readonly [tag: string]: (payload: unknown, state: unknown) => unknown
  }
  const reads = new Set<string>(options.reads)
  const machine: Machine = {
    operations: new Map(
      protocol.messages.map((message) => [
        message._tag,
        operationOf(message, functions[message._tag]!, reads.has(message._tag))
      ])
    ),
    state: Etf.compile(options.state as Schema.Codec<unknown, unknown>),
    initial: options.initial
  }
  const requests = Object.fromEntries(protocol.messages.map((message) => [
    message._tag,
    (payload: unknown, engine: Engine, context: { readonly from?: unknown }) => {
      engine.request(message._tag, payload, context.from === undefined ? undefined : callOf(context.from))
      return GenServer.noReply(engine)
    }
  ]))
  const server = GenServer.make(
    // What is there besides is for members and administrators; its handlers are made from the protocol, so that the compiler
    // cannot see that there is one for each message.
    protocol.add(...administration) as unknown as typeof Administration,
    {
      init: (given: MemberOptions) => begin(given, machine),
      handlers: { ...requests, ...administer } as typeof administer,
      format: (engine) => engine.status
    }
  )
  return server as unknown as Raft<M>
}

const administer: Handlers<(typeof administration)[number], Engine> = {
  RaftStep: ({ bytes, from }, engine) => engine.receive(from, bytes),
  RaftStatus: (_, engine) => engine.status,
  RaftEvents: (_, engine) => new Local(engine.events),
  RaftChange: ({ change, member }, engine, { from }) => {
    engine.change({ _tag: change, member }, callOf(from))
    return GenServer.noReply(engine)
  },
  RaftTransfer: ({ to }, engine, { from }) => {
    engine.transfer(to, callOf(from))
    return GenServer.noReply(engine)
  }
}

/** A call is its own `From`. */
const callOf = (from: unknown): Behaviour.CallEnvelope => from as Behaviour.CallEnvelope

const begin = (
  { group, learners, maxWaiting, members, options, snapshotEvery }: MemberOptions,
  machine: Machine
): Effect.Effect<Engine, RaftStorageError | StartError, RaftStorage | Node | Scope.Scope> =>
  Effect.gen(function*() {
    const node = yield* Node
    const context = yield* Effect.context<Node>()
    const scope = yield* Effect.scope
    // The process in whose fiber this runs is the server itself.
    const instance = (yield* Behaviour.current) as Behaviour.Instance
    const self = instance.pid
    // The name comes first: it keeps a second member of the group on this node away from the files of the first.
    yield* Process.register(group, self)
    const storage = yield* (yield* RaftStorage).open(group)
    const end = (reason: ExitReason.ExitReason): void => {
      Effect.runForkWith(context)(Effect.forkIn(Process.exit(self, reason), scope))
    }
    // A part of the member that fails silently would leave a member that promises and does not keep.
    const fork = (effect: Effect.Effect<unknown>): void => {
      Effect.runForkWith(context)(Effect.forkIn(
        Effect.catchCause(
          effect,
          (cause) => Effect.sync(() => Cause.hasInterruptsOnly(cause) || end(ExitReason.error(Cause.squash(cause))))
        ),
        scope
      ))
    }
    const peers = new Map<MemberId, ProcessRef.NamedRef<(typeof administration)[number]>>()
    const setup: Setup = {
      group,
      id: node.name,
      membership: { voters: members, learners: learners ?? [] },
      options,
      snapshotEvery: snapshotEvery ?? 10_000,
      maxWaiting: maxWaiting ?? 10_000,
      session: yield* Random.nextIntBetween(1, Number.MAX_SAFE_INTEGER),
      send: (to, bytes) =>
        Effect.gen(function*() {
          let peer = peers.get(to)
          if (peer === undefined) {
            peer = yield* ProcessRef.named(Administration, { name: group, node: to })
            // Strangers that are answered must not add up.
            if (peers.size >= 64) peers.clear()
            peers.set(to, peer)
          }
          yield* peer.RaftStep({ from: node.name, bytes })
        }).pipe(Effect.provideService(Node, node)),
      fork,
      end
    }
    return yield* Engine.make(setup, machine, storage, instance)
  })

// --- administration --------------------------------------------------------------------------------------------------

/**
 * A member of a group: its ref, or the name of the group for the member on this node.
 *
 * @category administration
 * @since 0.1.0
 */
export type MemberRef = Process.Target | string

const ask = (member: MemberRef, tag: string, payload: unknown): Effect.Effect<unknown, CallError, Node> =>
  // The errors of an administrative call are those of any call; it has no own.
  Behaviour.call(
    Administration.protocol,
    typeof member === "string" ? { name: member } : member,
    tag,
    payload
  ) as Effect.Effect<
    unknown,
    CallError,
    Node
  >

/**
 * How a member is: its role and term, whom it takes for the leader, how far its log and its state machine are, who belongs to
 * the group as far as it knows, and how many callers wait here.
 *
 * @category administration
 * @since 0.1.0
 */
export const status = (member: MemberRef): Effect.Effect<Status, CallError, Node> =>
  // The member's own handler made it.
  ask(member, "RaftStatus", undefined) as Effect.Effect<Status, CallError, Node>

export type {
  /**
   * How a member is.
   *
   * @category administration
   * @since 0.1.0
   */
  Status
}

/**
 * What happens to a member of this node from now on: changes of its role, of the leader, of the membership. Whoever is slow
 * misses the oldest.
 *
 * @category administration
 * @since 0.1.0
 */
export const events = (member: MemberRef): Stream.Stream<Event, CallError, Node> =>
  Stream.unwrap(Effect.map(ask(member, "RaftEvents", undefined), (local) => Stream.fromPubSub((local as Local).events)))

const refusable = (
  result: Effect.Effect<unknown, CallError, Node>
): Effect.Effect<void, CallError | Refusal, Node> =>
  Effect.flatMap(result, (refusal) => refusal === undefined ? Effect.void : Effect.fail(refusal as Refusal))

const change = (
  member: MemberRef,
  _tag: Change["_tag"],
  subject: MemberId
): Effect.Effect<void, CallError | Refusal, Node> =>
  refusable(ask(member, "RaftChange", { change: _tag, member: subject }))

/**
 * Adds a node that receives everything and has no vote. To be asked of the leader. It ends when that is committed.
 *
 * @category administration
 * @since 0.1.0
 */
export const addLearner = (member: MemberRef, learner: MemberId): Effect.Effect<void, CallError | Refusal, Node> =>
  change(member, "AddLearner", learner)

/**
 * Gives a node a vote: best one that has been a learner and has caught up. To be asked of the leader. It ends when that is
 * committed.
 *
 * @category administration
 * @since 0.1.0
 */
export const addVoter = (member: MemberRef, voter: MemberId): Effect.Effect<void, CallError | Refusal, Node> =>
  change(member, "AddVoter", voter)

/**
 * Takes a node out of the group. To be asked of the leader, which may remove itself. It ends when that is committed.
 *
 * @category administration
 * @since 0.1.0
 */
export const remove = (member: MemberRef, subject: MemberId): Effect.Effect<void, CallError | Refusal, Node> =>
  change(member, "Remove", subject)

/**
 * Hands leadership to a voter, by default to the one that is furthest. To be asked of the leader. It ends when the successor
 * has been chosen; `events` tell when it leads.
 *
 * @category administration
 * @since 0.1.0
 */
export const transfer = (member: MemberRef, to?: MemberId): Effect.Effect<void, CallError | Refusal, Node> =>
  refusable(ask(member, "RaftTransfer", to === undefined ? {} : { to }))
