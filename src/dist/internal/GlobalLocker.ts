/**
 * The process that sets the lock of two partitions that meet. It deals with one meeting at a time: it locks its own partition
 * and the other node, tells the locker there, waits until that has locked as well, and holds the lock until the name
 * server has what it needs. Or the other was faster and asks: then it locks its own partition and agrees.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import type { Node, Service } from "../../process/Node.ts"
import * as Process from "../../process/Process.ts"
import type { Pid } from "../../term/Pid.ts"
import { compare, type Term } from "../../term/Term.ts"
import type { Tuple } from "../../term/Tuple.ts"
import type { GlobalTables } from "./GlobalTables.ts"
import { globalResource } from "./GlobalTables.ts"
import { atom, boolean, bossOf, cast, deleteLock, setLock, tuple } from "./globalWire.ts"

/** A node that wants to meet. */
export class Candidate {
  readonly node: string
  readonly locker: Pid
  readonly hisTag: Term
  readonly myTag: number

  constructor(node: string, locker: Pid, hisTag: Term, myTag: number) {
    this.node = node
    this.locker = locker
    this.hisTag = hisTag
    this.myTag = myTag
  }
}

/** The locker of the other node has set its lock, or could not. */
export class LockSet {
  readonly locker: Pid
  readonly isSet: boolean
  readonly myTag: number

  constructor(locker: Pid, isSet: boolean, myTag: number) {
    this.locker = locker
    this.isSet = isSet
    this.myTag = myTag
  }
}

/** A meeting is over. What is still to be said under the lock is said first. */
export class Over {
  readonly node: string
  readonly myTag: number
  readonly last: Effect.Effect<void, never, Node>

  constructor(node: string, myTag: number, last: Effect.Effect<void, never, Node>) {
    this.node = node
    this.myTag = myTag
    this.last = last
  }
}

/** What it tells the name server: both sides are locked. */
export class BothLocked {
  readonly node: string
  readonly myTag: number
  readonly lock: Term

  constructor(node: string, myTag: number, lock: Term) {
    this.node = node
    this.myTag = myTag
    this.lock = lock
  }
}

const MessageSchema = Schema.declare((u: unknown): u is Candidate | LockSet | Over =>
  u instanceof Candidate || u instanceof LockSet || u instanceof Over
)

/** Runs for ever. */
export const locker = (self: Service, tables: GlobalTables, server: Pid): Effect.Effect<
  never,
  never,
  Node | Process.CurrentProcess
> =>
  Effect.gen(function*() {
    const me = yield* Process.self
    const candidates = new Map<string, Candidate>()
    let justSynced = false

    const lockOf = (his: Pid): Tuple => tuple(atom(globalResource), [me, his].sort((a, b) => compare(a, b)))

    /** Locks this partition and the nodes beyond it; the boss first, which is held up least by others. */
    const lockPartition = (id: Term, requester: Term, beyond: ReadonlyArray<string>) =>
      Effect.gen(function*() {
        const first = bossOf([self.name, ...tables.known.keys()])
        if (first !== self.name && !tables.isFree(atom(globalResource), requester)) return false
        if (!(yield* setLock(self, id, [first]))) return false
        const second = [self.name, ...beyond].filter((node) => node !== first)
        if (!(yield* setLock(self, id, second))) {
          yield* deleteLock(self, id, [first])
          return false
        }
        const rest = [...tables.known.keys()].filter((node) => node !== first)
        if (!(yield* setLock(self, id, rest))) {
          yield* deleteLock(self, id, [first, ...second])
          return false
        }
        return true
      })

    const answer = (candidate: Candidate, isSet: boolean) =>
      cast(
        self,
        candidate.node,
        tuple(atom("lock_set"), me, boolean(isSet), [...tables.known.keys()].map(atom), candidate.hisTag)
      )

    /** Both sides are locked: the server exchanges names, and says when it is done. */
    const hold = (candidate: Candidate, id: Term, nodes: ReadonlyArray<string>) =>
      Effect.gen(function*() {
        candidates.delete(candidate.node)
        yield* Process.send(server, new BothLocked(candidate.node, candidate.myTag, id))
        const over = yield* Process.receive(
          Schema.declare((u: unknown): u is Over =>
            u instanceof Over && u.node === candidate.node && u.myTag === candidate.myTag
          )
        )
        yield* over.last
        yield* deleteLock(self, id, nodes)
        justSynced = true
      })

    /** The own attempt: with a node that is chosen at random, so that many that meet do not all wait for one. */
    const attempt = Effect.gen(function*() {
      for (const node of [...candidates.keys()]) if (tables.known.has(node)) candidates.delete(node)
      const open = [...candidates.values()]
      if (open.length === 0) return
      const candidate = open[(yield* Random.nextIntBetween(0, open.length)) % open.length]!
      const id = lockOf(candidate.locker)
      if (!(yield* lockPartition(id, id.elements[1]!, [candidate.node]))) return
      const nodes = [self.name, candidate.node, ...tables.known.keys()]
      yield* answer(candidate, true)
      const word = yield* Process.receive(
        Schema.declare((u: unknown): u is LockSet | Over =>
          (u instanceof LockSet && u.locker.node === candidate.node && u.myTag === candidate.myTag) ||
          (u instanceof Over && u.node === candidate.node && u.myTag === candidate.myTag)
        )
      )
      if (word instanceof LockSet && word.isSet) return yield* hold(candidate, id, nodes)
      if (word instanceof Over) {
        candidates.delete(candidate.node)
        yield* word.last
      }
      yield* deleteLock(self, id, nodes)
    })

    for (;;) {
      // Longer than nothing: who failed must not be the first again.
      const patience = candidates.size === 0
        ? undefined
        : justSynced
        ? 0
        : tables.known.size === 0
        ? 200
        : Math.min(1000 + 100 * tables.known.size, 3000)
      const message = patience === undefined
        ? Option.some(yield* Process.receive(MessageSchema))
        : yield* Process.receive(MessageSchema, { timeout: patience })
      justSynced = false
      if (Option.isNone(message)) {
        if (!tables.isGlobalLocked) yield* attempt
        continue
      }
      const word = message.value
      if (word instanceof Candidate) candidates.set(word.node, word)
      else if (word instanceof Over) {
        if (candidates.get(word.node)?.myTag === word.myTag) candidates.delete(word.node)
        yield* word.last
      } else if (word.isSet) {
        const candidate = candidates.get(word.locker.node)
        if (candidate === undefined || candidate.myTag !== word.myTag) {
          // It waits for a word, which need not be a good one.
          const hisTag = tables.sessions.get(word.locker.node)?.hisTag
          if (hisTag !== undefined) {
            yield* answer(new Candidate(word.locker.node, word.locker, hisTag, word.myTag), false)
          }
          continue
        }
        const id = lockOf(word.locker)
        const isSet = yield* lockPartition(id, id.elements[1]!, [])
        const nodes = [self.name, ...tables.known.keys()]
        yield* answer(candidate, isSet)
        if (isSet) yield* hold(candidate, id, nodes)
      }
    }
  })
