/**
 * The log of a member as records: what is written for each step of the core, and what comes of reading it again.
 *
 * A file begins with the snapshot on which it builds (zero for none), and then repeats in order what the core wanted
 * persisted. It is complete in itself, so that only the newest file and the snapshot that it names are needed.
 *
 * @since 0.1.0
 */
import type { Persist, Recovered } from "../RaftCore.ts"
import type { Content, Entry, Membership, Snapshot } from "../RaftEntry.ts"
import { type RecordReader, RecordWriter, scan, type Verdict } from "./Records.ts"

/** What a member has on disk: everything in bytes. */
export type Stored = Recovered<Uint8Array, Uint8Array>

const START = 1
const BALLOT = 2
const ENTRY = 3
const TRUNCATE = 4
const SNAPSHOT = 5

const NOOP = 0
const COMMAND = 1
const MEMBERSHIP = 2

/** Writes what an entry says. */
export const writeContent = (writer: RecordWriter, content: Content<Uint8Array>): void => {
  switch (content._tag) {
    case "Noop":
      writer.byte(NOOP)
      return
    case "Command":
      writer.byte(COMMAND).number(content.size).raw(content.command)
      return
    case "Membership":
      writer.byte(MEMBERSHIP).texts(content.membership.voters).texts(content.membership.learners)
  }
}

/** Reads a membership. */
export const readMembership = (reader: RecordReader): Membership => ({
  voters: reader.texts(),
  learners: reader.texts()
})

/** Reads what an entry says. */
export const readContent = (reader: RecordReader): Content<Uint8Array> => {
  const kind = reader.byte()
  switch (kind) {
    case NOOP:
      return { _tag: "Noop" }
    case COMMAND:
      return { _tag: "Command", size: reader.natural(), command: reader.raw() }
    case MEMBERSHIP:
      return { _tag: "Membership", membership: readMembership(reader) }
    default:
      throw new RangeError(`there is no entry of kind ${kind}`)
  }
}

const writeBallot = (writer: RecordWriter, term: number, votedFor: string | undefined): void => {
  writer.begin().byte(BALLOT).number(term).byte(votedFor === undefined ? 0 : 1).text(votedFor ?? "").end()
}

const writeEntry = (writer: RecordWriter, entry: Entry<Uint8Array>): void => {
  writer.begin().byte(ENTRY).number(entry.index).number(entry.term)
  writeContent(writer, entry.content)
  writer.end()
}

/** Writes what one step wants persisted, but for its snapshot. */
export const writeStep = (
  writer: RecordWriter,
  before: Stored,
  { entries, term, truncate, votedFor }: Persist<Uint8Array, Uint8Array>
): void => {
  if (term !== before.term || votedFor !== before.votedFor) writeBallot(writer, term, votedFor)
  if (truncate !== undefined) writer.begin().byte(TRUNCATE).number(truncate).end()
  for (const entry of entries) writeEntry(writer, entry)
}

/** What is stored after a step. */
export const afterStep = (
  before: Stored,
  { entries, first, snapshot, term, truncate, votedFor }: Persist<Uint8Array, Uint8Array>
): Stored => {
  // Steps without a cut only add: a copy of the whole log each time would be the dearest part of a commit.
  const kept = truncate === undefined
    ? before.entries as Array<Entry<Uint8Array>>
    : before.entries.filter((entry) => entry.index <= truncate)
  for (const entry of entries) kept.push(entry)
  return {
    term,
    votedFor,
    snapshot: snapshot ?? before.snapshot,
    entries: snapshot === undefined ? kept : kept.filter((entry) => entry.index >= first)
  }
}

/** A whole file for what is stored. */
export const writeFile = ({ entries, snapshot, term, votedFor }: Stored): Uint8Array => {
  const writer = new RecordWriter()
  writer.begin().byte(START).number(snapshot?.index ?? 0).end()
  writeBallot(writer, term, votedFor)
  for (const entry of entries) writeEntry(writer, entry)
  return writer.take()
}

/** What a log file holds, the snapshot aside. */
export interface Contents {
  readonly verdict: Verdict
  /** The index of the snapshot on which it builds; undefined when not even that could be read. */
  readonly snapshot: number | undefined
  readonly term: number
  readonly votedFor: string | undefined
  readonly entries: Array<Entry<Uint8Array>>
}

/** Reads a log file. */
export const readFile = (bytes: Uint8Array): Contents => {
  let snapshot: number | undefined
  let term = 0
  let votedFor: string | undefined
  let entries: Array<Entry<Uint8Array>> = []
  const verdict = scan(bytes, (reader) => {
    switch (reader.byte()) {
      case START:
        snapshot = reader.number()
        break
      case BALLOT: {
        term = reader.number()
        const voted = reader.byte() === 1
        const member = reader.text()
        votedFor = voted ? member : undefined
        break
      }
      case ENTRY:
        entries.push({ index: reader.number(), term: reader.number(), content: readContent(reader) })
        break
      case TRUNCATE: {
        const last = reader.number()
        entries = entries.filter((entry) => entry.index <= last)
        break
      }
    }
  })
  return { verdict, snapshot, term, votedFor, entries }
}

/** A file for a snapshot. */
export const writeSnapshot = ({ data, index, membership, term }: Snapshot<Uint8Array>): Uint8Array => {
  const writer = new RecordWriter()
  writer.begin().byte(SNAPSHOT).number(index).number(term).texts(membership.voters).texts(membership.learners).raw(data)
    .end()
  return writer.take()
}

/** Reads the file of a snapshot; undefined when it is not whole. */
export const readSnapshot = (bytes: Uint8Array): Snapshot<Uint8Array> | undefined => {
  let snapshot: Snapshot<Uint8Array> | undefined
  const verdict = scan(bytes, (reader) => {
    if (reader.byte() !== SNAPSHOT) return
    const index = reader.number()
    const term = reader.number()
    const membership = readMembership(reader)
    snapshot = { index, term, membership, data: reader.raw() }
  })
  return verdict._tag === "Whole" ? snapshot : undefined
}
