/**
 * What must hold in a Raft group, whatever happens to it.
 *
 * It is told of every step of every member, and remembers what no member can: who led which term, every entry that was
 * ever in a log, what was applied where. Refuses with a `Violation`, at the first step that breaks a law.
 *
 * @since 0.1.0
 */
import type * as RaftCore from "../../raft/RaftCore.ts"
import type { Entry, MemberId } from "../../raft/RaftEntry.ts"
import type { Digest } from "../RaftSimulation.ts"
import { Violation } from "./Verdict.ts"

type State = RaftCore.State<number, Digest>
type Output = RaftCore.Output<number, Digest>

const fingerprint = ({ content }: Entry<number>): string =>
  content._tag === "Command"
    ? `c${content.command}`
    : content._tag === "Membership"
    ? `m${content.membership.voters.join()}/${content.membership.learners.join()}`
    : "-"

/** @since 0.1.0 */
export class RaftLaws {
  /** The highest index that was ever applied anywhere. */
  committed = 0
  /** The highest index whose write a client knows to be done. */
  acknowledged = 0
  private readonly leaders = new Map<number, MemberId>()
  /** Every entry that was ever in a log, by index and term, with the term before it. */
  private readonly seen = new Map<string, string>()
  /** What was applied at each index: its term, a term in which that was committed, and the state afterwards. */
  private readonly history: Array<{ readonly term: number; readonly by: number; readonly after: Digest }> = []

  /** A member has gone from one state to the next. */
  stepped(member: MemberId, before: State, state: State, { install, persist }: Output): void {
    if (state.role._tag === "Leader" && before.role._tag !== "Leader") this.elected(member, state)
    if (state.term < before.term || state.commit < before.commit) {
      throw new Violation(`${member} went back to term ${state.term}, commit ${state.commit}`)
    }
    for (const entry of persist?.entries ?? []) this.appended(entry, state.log.termAt(entry.index - 1))
    if (install !== undefined && this.history[install.index]?.after.hash !== install.data.hash) {
      throw new Violation(`${member} installs a snapshot at ${install.index} that no log leads to`)
    }
  }

  private elected(member: MemberId, { log, term }: State): void {
    const other = this.leaders.get(term)
    if (other !== undefined && other !== member) throw new Violation(`${other} and ${member} both led term ${term}`)
    this.leaders.set(term, member)
    for (let index = log.baseIndex; index <= this.committed; index++) {
      const known = this.history[index]
      // The leader of an earlier term may be elected late, and learns its mistake from whom it asks to follow.
      if (known !== undefined && known.by < term && log.termAt(index) !== known.term) {
        throw new Violation(`${member} leads term ${term} without the committed entry ${index}`)
      }
    }
  }

  private appended(entry: Entry<number>, termBefore: number | undefined): void {
    const key = `${entry.index}:${entry.term}`
    const value = `${fingerprint(entry)} after ${termBefore}`
    const known = this.seen.get(key)
    if (known === undefined) this.seen.set(key, value)
    else if (known !== value) throw new Violation(`the entry ${key} is both ${known} and ${value}`)
  }

  /** A member is about to apply an entry. */
  follows(member: MemberId, applied: number, { index }: Entry<number>): void {
    if (index !== applied + 1) throw new Violation(`${member} applied ${index} after ${applied}`)
  }

  /** A member in a term has applied an entry. */
  applied(member: MemberId, by: number, { index, term }: Entry<number>, after: Digest): void {
    const known = this.history[index]
    if (known === undefined) this.history[index] = { term, by, after }
    else if (known.term !== term || known.after.hash !== after.hash) {
      throw new Violation(`${member} applied another entry at ${index} than somebody before`)
    }
    this.committed = Math.max(this.committed, index)
  }

  /** A client was told that its write is done. */
  wrote(index: number): void {
    this.acknowledged = Math.max(this.acknowledged, index)
  }

  /** A client reads at an index, and had asked when another was acknowledged. */
  read(member: MemberId, index: number, asked: number): void {
    if (index < asked) {
      throw new Violation(`${member} reads at ${index} although ${asked} was acknowledged before`)
    }
  }
}
