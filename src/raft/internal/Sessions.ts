/**
 * Which requests the state machine has seen: the part of it that makes a request which is sent again count once.
 *
 * It is replicated like the rest. Every member that takes requests numbers them; each request says from which number on its
 * answers are still awaited, and what is before that is forgotten. A member that starts anew begins another session; of each
 * member the latest few sessions are remembered, since something of an earlier life may still be under way.
 *
 * @since 0.1.0
 */
import type { MemberId } from "../RaftEntry.ts"
import type { Command } from "./MessageBytes.ts"
import type { RecordReader, RecordWriter } from "./Records.ts"

const remembered = 8

interface Session {
  readonly id: number
  settled: number
  /** The answers that may still be awaited, by the number of their request. */
  readonly answers: Map<number, Uint8Array>
}

/** The requests that were applied, with their answers. */
export class Sessions {
  /** Of each member the sessions, the latest last. */
  private readonly members = new Map<MemberId, Array<Session>>()

  /** The answer to a request that was applied before; undefined when it is new; null when it is older than anything awaited. */
  known({ origin, serial, session }: Command): Uint8Array | null | undefined {
    const found = this.find(origin, session)
    if (found === undefined) return undefined
    return found.answers.get(serial) ?? (serial < found.settled ? null : undefined)
  }

  /** The answer to a request, if it is there. */
  answer(origin: MemberId, session: number, serial: number): Uint8Array | undefined {
    return this.find(origin, session)?.answers.get(serial)
  }

  /** Remembers the answer to a request. */
  remember({ origin, serial, session, settled }: Command, answer: Uint8Array): void {
    let found = this.find(origin, session)
    if (found === undefined) {
      found = { id: session, settled: 0, answers: new Map() }
      const sessions = this.members.get(origin) ?? []
      sessions.push(found)
      if (sessions.length > remembered) sessions.shift()
      this.members.set(origin, sessions)
    }
    found.answers.set(serial, answer)
    if (settled <= found.settled) return
    found.settled = settled
    for (const known of found.answers.keys()) if (known < settled) found.answers.delete(known)
  }

  /** How many answers are kept. */
  get size(): number {
    let size = 0
    for (const sessions of this.members.values()) for (const { answers } of sessions) size += answers.size
    return size
  }

  write(writer: RecordWriter): void {
    writer.number(this.members.size)
    for (const [member, sessions] of this.members) {
      writer.text(member).number(sessions.length)
      for (const { answers, id, settled } of sessions) {
        writer.number(id).number(settled).number(answers.size)
        for (const [serial, answer] of answers) writer.number(serial).raw(answer)
      }
    }
  }

  static read(reader: RecordReader): Sessions {
    const sessions = new Sessions()
    for (let members = reader.natural(); members > 0; members--) {
      const member = reader.text()
      sessions.members.set(
        member,
        Array.from({ length: reader.natural() }, () => {
          const session: Session = { id: reader.natural(), settled: reader.natural(), answers: new Map() }
          for (let answers = reader.natural(); answers > 0; answers--) {
            session.answers.set(reader.natural(), reader.raw())
          }
          return session
        })
      )
    }
    return sessions
  }

  private find(origin: MemberId, session: number): Session | undefined {
    return this.members.get(origin)?.find(({ id }) => id === session)
  }
}
