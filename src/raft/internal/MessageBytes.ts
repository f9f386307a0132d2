/**
 * What members say to each other, as bytes: the messages of Raft, and what a member forwards to the leader.
 *
 * Every message begins with the version of this form and the kind of the message. Refuses what it cannot read, with undefined: a
 * member that sends such a thing is of another version, or no member.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type { MemberId, Snapshot } from "../RaftEntry.ts"
import type { Message } from "../RaftMessage.ts"
import { readContent, readMembership, writeContent } from "./LogFile.ts"
import { RecordReader, RecordWriter } from "./Records.ts"

/** Between members there are only bytes. */
export type Wire = Message<Uint8Array, Uint8Array>

/** What members that do not lead ask of the one that does, and its answers. */
export type Forwarded =
  | { readonly _tag: "Command"; readonly command: Uint8Array }
  /** Asks for an index for all reads up to a number, in one life of the sender. */
  | { readonly _tag: "Read"; readonly session: number; readonly ref: number }
  /** Those reads may be answered once this index has been applied. */
  | { readonly _tag: "Readable"; readonly session: number; readonly ref: number; readonly index: number }

const version = 1
const VOTE_REQUEST = 1
const VOTE_REPLY = 2
const APPEND = 3
const APPEND_REPLY = 4
const INSTALL_SNAPSHOT = 5
const TIMEOUT_NOW = 6
const COMMAND = 16
const READ = 17
const READABLE = 18

/** The bytes of a message. */
export const encode = (message: Wire | Forwarded): Uint8Array => {
  const writer = new RecordWriter().byte(version)
  switch (message._tag) {
    case "VoteRequest":
      writer.byte(VOTE_REQUEST).number(message.term).byte(message.poll ? 1 : 0).number(message.lastIndex)
        .number(message.lastTerm).byte(message.transfer ? 1 : 0)
      break
    case "VoteReply":
      writer.byte(VOTE_REPLY).number(message.term).byte(message.poll ? 1 : 0).byte(message.granted ? 1 : 0)
      break
    case "Append":
      writer.byte(APPEND).number(message.term).number(message.previousIndex).number(message.previousTerm)
        .number(message.commit).number(message.round).number(message.entries.length)
      for (const entry of message.entries) {
        writer.number(entry.term)
        writeContent(writer, entry.content)
      }
      break
    case "AppendReply":
      writer.byte(APPEND_REPLY).number(message.term).number(message.round).byte(message.accepted ? 1 : 0)
        .number(message.index).number(message.retry)
      break
    case "InstallSnapshot": {
      const { data, index, membership, term } = message.snapshot
      writer.byte(INSTALL_SNAPSHOT).number(message.term).number(message.round).number(index).number(term)
        .texts(membership.voters).texts(membership.learners).raw(data)
      break
    }
    case "TimeoutNow":
      writer.byte(TIMEOUT_NOW).number(message.term)
      break
    case "Command":
      writer.byte(COMMAND).raw(message.command)
      break
    case "Read":
      writer.byte(READ).number(message.session).number(message.ref)
      break
    case "Readable":
      writer.byte(READABLE).number(message.session).number(message.ref).number(message.index)
      break
  }
  return writer.take()
}

/** The message of bytes; undefined when they are none. */
export const decode = (bytes: Uint8Array): Wire | Forwarded | undefined =>
  // Reading past the end throws; what comes from other programs is not worth a check of its own for each number.
  Result.getOrUndefined(Result.try(() => read(new RecordReader(bytes, 0))))

const read = (reader: RecordReader): Wire | Forwarded | undefined => {
  if (reader.byte() !== version) return undefined
  switch (reader.byte()) {
    case VOTE_REQUEST:
      return {
        _tag: "VoteRequest",
        term: reader.natural(),
        poll: reader.byte() === 1,
        lastIndex: reader.natural(),
        lastTerm: reader.natural(),
        transfer: reader.byte() === 1
      }
    case VOTE_REPLY:
      return { _tag: "VoteReply", term: reader.natural(), poll: reader.byte() === 1, granted: reader.byte() === 1 }
    case APPEND: {
      const term = reader.natural()
      const previousIndex = reader.natural()
      const previousTerm = reader.natural()
      const commit = reader.natural()
      const round = reader.natural()
      const count = reader.natural()
      // Each entry takes at least nine bytes: a larger number than that is no number of entries.
      if (count * 9 > reader.left) return undefined
      const entries = Array.from({ length: count }, (_, i) => ({
        index: previousIndex + 1 + i,
        term: reader.natural(),
        content: readContent(reader)
      }))
      return { _tag: "Append", term, previousIndex, previousTerm, commit, round, entries }
    }
    case APPEND_REPLY:
      return {
        _tag: "AppendReply",
        term: reader.natural(),
        round: reader.natural(),
        accepted: reader.byte() === 1,
        index: reader.natural(),
        retry: reader.natural()
      }
    case INSTALL_SNAPSHOT: {
      const term = reader.natural()
      const round = reader.natural()
      const index = reader.natural()
      const snapshotTerm = reader.natural()
      const membership = readMembership(reader)
      const snapshot: Snapshot<Uint8Array> = { index, term: snapshotTerm, membership, data: reader.raw() }
      return { _tag: "InstallSnapshot", term, round, snapshot }
    }
    case TIMEOUT_NOW:
      return { _tag: "TimeoutNow", term: reader.natural() }
    case COMMAND:
      return { _tag: "Command", command: reader.raw() }
    case READ:
      return { _tag: "Read", session: reader.natural(), ref: reader.natural() }
    case READABLE:
      return { _tag: "Readable", session: reader.natural(), ref: reader.natural(), index: reader.natural() }
  }
  return undefined
}

/** A command as it stands in the log: who wants it, and what. */
export interface Command {
  readonly origin: MemberId
  /** Which life of the origin. */
  readonly session: number
  readonly serial: number
  /** No request of this session before this one waits any longer. */
  readonly settled: number
  readonly tag: string
  readonly payload: Uint8Array
}

/** The bytes of a command. */
export const encodeCommand = ({ origin, payload, serial, session, settled, tag }: Command): Uint8Array =>
  new RecordWriter().text(origin).number(session).number(serial).number(settled).text(tag).raw(payload).take()

/** The command of bytes; undefined when they are none. */
export const decodeCommand = (bytes: Uint8Array): Command | undefined =>
  Result.getOrUndefined(Result.try(() => {
    const reader = new RecordReader(bytes, 0)
    return {
      origin: reader.text(),
      session: reader.natural(),
      serial: reader.natural(),
      settled: reader.natural(),
      tag: reader.text(),
      payload: reader.raw()
    }
  }))
