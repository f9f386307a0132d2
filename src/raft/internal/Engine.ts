/**
 * A member at work: it feeds the core with messages, time and finished writes, carries out what the core wants, and answers
 * callers.
 *
 * Any member takes requests. A command goes to the leader, and the member that took it answers its caller when the entry reaches
 * its own state machine; a read asks the leader for an index and is answered here once that has been applied. What gets
 * lost on the way is sent again under its old number, and counts once.
 *
 * Everything but writing and sending happens in the turn of whoever brings something, so that no two inputs overlap.
 * Guarantees: a caller gets its answer only after the command is committed; a message that promises something leaves only
 * when the disk has it. Refuses to go on after a failed write: the process ends with that error.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Behaviour from "../../process/Behaviour.ts"
import * as CallError from "../../process/CallError.ts"
import * as ExitReason from "../../process/ExitReason.ts"
import * as RaftCore from "../RaftCore.ts"
import type { Entry, MemberId, Membership, Snapshot } from "../RaftEntry.ts"
import type { RaftStorageError } from "../RaftError.ts"
import type { Storage } from "../RaftStorage.ts"
import * as Calls from "./calls.ts"
import * as Machine from "./Machine.ts"
import * as MessageBytes from "./MessageBytes.ts"
import { Outboxes } from "./Outboxes.ts"
import { RecordReader, RecordWriter } from "./Records.ts"
import { Sessions } from "./Sessions.ts"
import { WaitingReads } from "./WaitingReads.ts"

/** How a member is set up. */
export interface Setup {
  readonly group: string
  readonly id: MemberId
  readonly membership: Membership
  readonly options: Partial<RaftCore.Options> | undefined
  readonly snapshotEvery: number
  readonly maxWaiting: number
  /** Tells one life of the member from another, and is the seed of its time-outs. */
  readonly session: number
  /** Hands bytes to another member; they may be lost. */
  readonly send: (to: MemberId, bytes: Uint8Array) => Effect.Effect<void>
  /** Runs something as part of the process, until that ends. */
  readonly fork: (effect: Effect.Effect<unknown>) => void
  /** Ends the process. */
  readonly end: (reason: ExitReason.ExitReason) => void
}

type Core = RaftCore.State<Uint8Array, Uint8Array>
type Input = RaftCore.Input<Uint8Array, Uint8Array>
type Output = RaftCore.Output<Uint8Array, Uint8Array>
type Call = Behaviour.CallEnvelope

type Letter = RaftCore.Envelope<Uint8Array, Uint8Array>

/** What is to be put on disk, and what may be sent then. */
interface Write {
  readonly persist: RaftCore.Persist<Uint8Array, Uint8Array>
  readonly letters: Array<Letter>
}

/** A command whose caller waits here. */
interface Waiting {
  readonly serial: number
  readonly tag: string
  readonly payload: Uint8Array
  /** A cast has none. */
  readonly call: Call | undefined
  sentAt: number
  /** How often it was sent to the leader of today. */
  tries: number
  /** The term in which this member, as the leader, has put it into the log. */
  proposedIn: number
  readonly since: number
}

/** An administrative request that waits for its entry. */
interface Changing {
  readonly call: Call
  index: number
  term: number
}

/** Whom an answer of the core is for. */
type Asked =
  | { readonly _tag: "Member"; readonly member: MemberId; readonly session: number; readonly ref: number }
  | { readonly _tag: "Reading"; readonly ref: number }
  | { readonly _tag: "Changing"; readonly changing: Changing }
  | { readonly _tag: "Transferring"; readonly call: Call }

/** An unanswered command is sent again after one election timeout, then two, at most so many: a slow leader needs no more. */
const mostPatience = 8

class Alarm extends Behaviour.Timer {
  private readonly ring: () => void

  constructor(ring: () => void) {
    super()
    this.ring = ring
  }

  fire(): void {
    this.ring()
  }
}

/** @since 0.1.0 */
export class Engine {
  readonly events: PubSub.PubSub<RaftCore.Event>
  private readonly setup: Setup
  private readonly machine: Machine.Machine
  private readonly storage: Storage
  private readonly instance: Behaviour.Instance
  private readonly alarm = new Alarm(() => this.ring())
  private readonly writes: Queue.Queue<Write>
  private readonly unwritten: Array<Write> = []
  private readonly outboxes: Outboxes
  private readonly asked = new Map<number, Asked>()
  private readonly commands = new Map<number, Waiting>()
  private readonly reads: WaitingReads
  private readonly changes = new Set<Changing>()
  private core: Core
  private state: unknown
  private sessions: Sessions
  private applied: number
  private refs = 0
  private alarmAt = Infinity
  private proposals: Array<{ readonly ref: number; readonly command: Uint8Array; readonly size: number }> = []
  private readonly now: () => number

  private constructor(
    setup: Setup,
    machine: Machine.Machine,
    storage: Storage,
    instance: Behaviour.Instance,
    events: PubSub.PubSub<RaftCore.Event>,
    writes: Queue.Queue<Write>,
    recovered: RaftCore.Recovered<Uint8Array, Uint8Array>
  ) {
    this.setup = setup
    this.machine = machine
    this.storage = storage
    this.instance = instance
    this.events = events
    this.writes = writes
    this.outboxes = new Outboxes(setup.send, setup.fork)
    this.now = () => instance.node.timers.now()
    this.reads = new WaitingReads(this.now, setup.fork, () => this.askToRead())
    this.state = machine.initial
    this.sessions = new Sessions()
    this.applied = 0
    if (recovered.snapshot !== undefined) this.install(recovered.snapshot)
    this.core = RaftCore.make({
      id: setup.id,
      membership: setup.membership,
      options: setup.options,
      recovered,
      now: this.now(),
      seed: setup.session
    })
  }

  /** A member with what its storage holds, at work until the scope closes. */
  static make(
    setup: Setup,
    machine: Machine.Machine,
    storage: Storage,
    instance: Behaviour.Instance
  ): Effect.Effect<Engine, RaftStorageError, Scope.Scope> {
    return Effect.gen(function*() {
      const recovered = yield* storage.recover
      const events = yield* PubSub.sliding<RaftCore.Event>(1024)
      const writes = yield* Queue.unbounded<Write>()
      const engine = new Engine(setup, machine, storage, instance, events, writes, recovered)
      setup.fork(engine.writeAll)
      yield* Effect.addFinalizer(() => Effect.sync(() => engine.close()))
      engine.arm()
      return engine
    })
  }

  // --- requests ---

  /** A message of the protocol, from a caller or as a cast. */
  request(tag: string, payload: unknown, call: Call | undefined): void {
    const operation = this.machine.operations.get(tag)!
    if (this.commands.size + this.reads.size >= this.setup.maxWaiting) {
      call?.failWith(new CallError.MailboxFull({ capacity: this.setup.maxWaiting }))
      return
    }
    const ref = ++this.refs
    if (operation.reads) {
      // A cast is never a read.
      return this.reads.add(ref, call!, (state) => Machine.run(operation, payload, state))
    }
    const bytes = operation.payload.encode(payload)
    if (Result.isFailure(bytes)) return Calls.die(call, bytes.failure)
    const since = this.now()
    const waiting: Waiting = {
      serial: ref,
      tag,
      payload: bytes.success,
      call,
      sentAt: since,
      tries: 0,
      proposedIn: 0,
      since
    }
    this.commands.set(ref, waiting)
    this.dispatch(waiting)
  }

  /** A change of the membership. */
  change(change: RaftCore.Change, call: Call): void {
    const ref = ++this.refs
    this.asked.set(ref, { _tag: "Changing", changing: { call, index: 0, term: 0 } })
    this.feed({ _tag: "Change", ref, change })
  }

  /** The wish for another leader. */
  transfer(to: MemberId | undefined, call: Call): void {
    const ref = ++this.refs
    this.asked.set(ref, { _tag: "Transferring", call })
    this.feed({ _tag: "Transfer", ref, to })
  }

  /** What came from another member. */
  receive(from: MemberId, bytes: Uint8Array): void {
    const message = MessageBytes.decode(bytes)
    if (message === undefined) return
    switch (message._tag) {
      case "Command":
        // Whoever sent it will see it in its log, or send it again.
        return this.propose(++this.refs, message.command)
      case "Read": {
        const ref = ++this.refs
        this.asked.set(ref, { _tag: "Member", member: from, session: message.session, ref: message.ref })
        return this.feed({ _tag: "Read", ref })
      }
      case "Readable":
        // What was asked in an earlier life of this member, under the same number, says nothing about today.
        if (message.session === this.setup.session) this.readable(message.ref, message.index)
        return
      default:
        return this.feed({ _tag: "Receive", from, message })
    }
  }

  /** How the member is. */
  get status(): Status {
    const { applied, commands, core, reads } = this
    return {
      id: core.id,
      role: core.role._tag,
      term: core.term,
      leader: core.leader,
      lastIndex: core.log.lastIndex,
      commit: core.commit,
      applied,
      snapshotIndex: core.snapshot?.index ?? 0,
      membership: RaftCore.membership(core),
      waiting: commands.size + reads.size
    }
  }

  // --- the core ---

  private feed(input: Input): void {
    const [core, output] = RaftCore.step(this.core, this.now(), input)
    const before = this.core
    this.core = core
    this.carryOut(output)
    // With a leader known again, or another one, nobody waits for a time-out.
    if (core.leader !== undefined && (core.leader !== before.leader || core.term !== before.term)) this.dispatchAll()
    this.arm()
  }

  private carryOut(output: Output): void {
    for (const letter of output.send) this.post(letter)
    if (output.persist !== undefined) {
      const write = { persist: output.persist, letters: [...output.sendAfterPersist] }
      this.unwritten.push(write)
      Queue.offerUnsafe(this.writes, write)
    } else {
      const last = this.unwritten.at(-1)
      if (last !== undefined) last.letters.push(...output.sendAfterPersist)
      else for (const letter of output.sendAfterPersist) this.post(letter)
    }
    if (output.install !== undefined) {
      this.install(output.install)
      this.settleFromSessions()
      this.changed(output.install)
    }
    for (const entry of output.apply) this.apply(entry)
    if (output.apply.length > 0 || output.install !== undefined) this.answerReads()
    for (const reply of output.replies) this.replied(reply)
    for (const event of output.events) PubSub.publishUnsafe(this.events, event)
    if (this.applied - (this.core.snapshot?.index ?? 0) >= this.setup.snapshotEvery) this.takeSnapshot()
  }

  private readonly writeAll: Effect.Effect<void> = Effect.suspend(() => {
    const round = Effect.flatMap(
      Queue.takeAll(this.writes),
      (batch) =>
        Effect.map(this.storage.persist(batch.map((write) => write.persist)), () => {
          this.unwritten.splice(0, batch.length)
          for (const { letters } of batch) for (const letter of letters) this.post(letter)
          this.feed(batch.at(-1)!.persist.receipt)
        })
    )
    return Effect.catch(
      Effect.forever(round),
      (error) => Effect.sync(() => this.setup.end(ExitReason.error(error)))
    )
  })

  private arm(): void {
    const at = RaftCore.wakeAt(this.core)
    const retry = this.commands.size + this.reads.size > 0 ? this.now() + this.core.options.electionTimeout : Infinity
    const due = Math.min(at, retry)
    if (due >= this.alarmAt) return
    if (this.alarmAt !== Infinity) Behaviour.cancelTimer(this.instance, this.alarm)
    this.alarmAt = due
    Behaviour.armTimer(this.instance, this.alarm, Math.max(1, Math.ceil(due - this.now())))
  }

  private ring(): void {
    this.alarmAt = Infinity
    // A throw in here would hit whoever drives the timers of the node.
    const done = Result.try(() => {
      this.repeat()
      this.feed({ _tag: "Tick" })
    })
    if (Result.isFailure(done)) this.setup.end(ExitReason.error(done.failure))
  }

  private close(): void {
    Behaviour.cancelTimer(this.instance, this.alarm)
    this.alarmAt = -Infinity
  }

  private post({ message, to }: Letter): void {
    this.outboxes.put(to, MessageBytes.encode(message))
  }

  // --- commands ---

  private dispatch(waiting: Waiting): void {
    const { core, setup } = this
    waiting.sentAt = this.now()
    waiting.tries += 1
    if (core.leader === undefined) return
    const first = this.commands.keys().next()
    const command = MessageBytes.encodeCommand({
      origin: setup.id,
      session: setup.session,
      serial: waiting.serial,
      settled: first.done === true ? waiting.serial : first.value,
      tag: waiting.tag,
      payload: waiting.payload
    })
    if (core.leader === setup.id) this.propose(waiting.serial, command)
    else this.outboxes.put(core.leader, MessageBytes.encode({ _tag: "Command", command }))
  }

  /** What is proposed in one turn becomes one step: one write, one message to each member. */
  private propose(ref: number, command: Uint8Array): void {
    this.proposals.push({ ref, command, size: command.length })
    if (this.proposals.length > 1) return
    this.setup.fork(Effect.andThen(
      Effect.yieldNow,
      Effect.sync(() => {
        const commands = this.proposals
        this.proposals = []
        this.feed({ _tag: "Propose", commands })
      })
    ))
  }

  private dispatchAll(): void {
    for (const waiting of this.commands.values()) {
      waiting.tries = 0
      this.dispatch(waiting)
    }
    this.reads.askSoon()
  }

  /** Sends again what was not answered, and forgets what nobody waits for. */
  private repeat(): void {
    const { core, setup } = this
    const now = this.now()
    const patience = core.options.electionTimeout
    const leads = core.leader === setup.id
    for (const waiting of this.commands.values()) {
      if (Calls.isGivenUp(waiting, now)) this.commands.delete(waiting.serial)
      // What is in the leader's own log is committed, or another term begins.
      else if (leads && waiting.proposedIn === core.term) continue
      else if (now - waiting.sentAt >= patience * Math.min(waiting.tries, mostPatience)) this.dispatch(waiting)
    }
    this.reads.repeat(patience)
  }

  private apply(entry: Entry<Uint8Array>): void {
    this.applied = entry.index
    if (entry.content._tag === "Command") this.command(entry.content.command)
    // Only now: whoever gets an answer may come back in the same turn, and must find this entry applied.
    this.changed(entry)
  }

  /** Answers those who wait for a change of the membership. */
  private changed(entry: { readonly index: number; readonly term: number }): void {
    for (const changing of this.changes) {
      if (changing.index > entry.index) continue
      this.changes.delete(changing)
      const done = changing.index === entry.index && changing.term === entry.term
      changing.call.complete(Exit.succeed(done ? undefined : { _tag: "NotLeader", leader: this.core.leader }))
    }
  }

  private command(bytes: Uint8Array): void {
    const command = MessageBytes.decodeCommand(bytes)
    if (command === undefined) return
    const { setup } = this
    let answer = this.sessions.known(command)
    if (answer === undefined) {
      const performed = Machine.perform(this.machine, command, this.state)
      this.state = performed.state
      answer = performed.answer
      this.sessions.remember(command, answer)
    }
    if (answer !== null && command.origin === setup.id && command.session === setup.session) {
      this.settle(command.serial, answer)
    }
  }

  private settle(serial: number, answer: Uint8Array): void {
    const waiting = this.commands.get(serial)
    if (waiting === undefined) return
    this.commands.delete(serial)
    if (waiting.call === undefined) return
    Calls.end(waiting.call, Machine.read(this.machine.operations.get(waiting.tag)!, answer))
  }

  private settleFromSessions(): void {
    const { id, session } = this.setup
    for (const serial of [...this.commands.keys()]) {
      const answer = this.sessions.answer(id, session, serial)
      if (answer !== undefined) this.settle(serial, answer)
    }
  }

  // --- reads ---

  /** Asks the leader for an index that is good for all reads that have come so far. */
  private askToRead(): void {
    const { core, setup } = this
    const ref = this.refs
    if (core.leader === undefined) return
    if (core.leader !== setup.id) {
      return this.outboxes.put(core.leader, MessageBytes.encode({ _tag: "Read", session: setup.session, ref }))
    }
    const asked = ++this.refs
    this.asked.set(asked, { _tag: "Reading", ref })
    this.feed({ _tag: "Read", ref: asked })
  }

  private readable(upTo: number, index: number): void {
    this.reads.readable(upTo, index)
    if (this.applied >= index) this.answerReads()
  }

  private answerReads(): void {
    this.reads.answer(this.applied, this.state)
  }

  // --- answers of the core ---

  private replied(reply: RaftCore.Reply): void {
    const asked = this.asked.get(reply.ref)
    if (asked === undefined) {
      const waiting = this.commands.get(reply.ref)
      if (waiting !== undefined && reply._tag === "Accepted") waiting.proposedIn = reply.term
      return
    }
    this.asked.delete(reply.ref)
    switch (asked._tag) {
      case "Member":
        if (reply._tag === "Readable") {
          const { member, ref, session } = asked
          this.outboxes.put(member, MessageBytes.encode({ _tag: "Readable", session, ref, index: reply.index }))
        }
        return
      case "Reading":
        if (reply._tag === "Readable") this.readable(asked.ref, reply.index)
        return
      case "Changing":
        if (reply._tag === "Refused") asked.changing.call.complete(Exit.succeed(reply.reason))
        else if (reply._tag === "Accepted") {
          asked.changing.index = reply.index
          asked.changing.term = reply.term
          this.changes.add(asked.changing)
        }
        return
      case "Transferring":
        asked.call.complete(Exit.succeed(reply._tag === "Refused" ? reply.reason : undefined))
        return
    }
  }

  // --- snapshots ---

  private takeSnapshot(): void {
    const state = this.machine.state.encode(this.state)
    // A state that its schema refuses could not be read back: the log stays, and the reason is for the observer to see.
    if (Result.isFailure(state)) return this.setup.end(ExitReason.error(state.failure))
    const writer = new RecordWriter().raw(state.success)
    this.sessions.write(writer)
    this.feed({
      _tag: "Snapshot",
      index: this.applied,
      data: writer.take(),
      keep: Math.floor(this.setup.snapshotEvery / 10)
    })
  }

  private install({ data, index }: Snapshot<Uint8Array>): void {
    const reader = new RecordReader(data, 0)
    const state = this.machine.state.decode(reader.raw())
    if (Result.isFailure(state)) throw state.failure
    this.state = state.success
    this.sessions = Sessions.read(reader)
    this.applied = index
  }
}

/** How a member is. */
export interface Status {
  readonly id: MemberId
  readonly role: RaftCore.Role["_tag"]
  readonly term: number
  readonly leader: MemberId | undefined
  readonly lastIndex: number
  readonly commit: number
  readonly applied: number
  readonly snapshotIndex: number
  readonly membership: Membership
  readonly waiting: number
}
