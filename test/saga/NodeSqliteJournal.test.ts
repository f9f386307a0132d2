/**
 * The journal in a SQLite database: what is found on the disk after it was stopped at the worst moment.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Journal, type JournalError } from "effect-otp/saga"
import * as NodeSqliteJournal from "effect-otp/saga/NodeSqliteJournal"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { JournalDatabase } from "../../src/saga/internal/NodeJournalDatabase.ts"

const text = (value: string) => new TextEncoder().encode(value)
const shown = (entries: ReadonlyArray<Journal.Entry>) =>
  entries.map(({ key, value }) => `${key}: ${new TextDecoder().decode(value)}`)

const directory = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-otp-journal-"))),
  (path) => Effect.sync(() => Fs.rmSync(path, { recursive: true, force: true }))
)

const using = <A, E>(path: string, use: (book: Journal.Book) => Effect.Effect<A, E>) =>
  Effect.scoped(Effect.gen(function*() {
    const journal = yield* NodeSqliteJournal.make(path)
    return yield* use(yield* journal.open("one"))
  }))

const held = (path: string) => using(path, ({ entries }) => Effect.succeed(shown(entries)))

/** The files of a database as a killed program leaves them: with a log that was not carried over. */
interface Files {
  readonly main: Buffer
  readonly log: Buffer
}

const ends = ["", "-wal", "-shm", "-journal"]

const restore = (path: string, { log, main }: Files): void => {
  for (const end of ends) Fs.rmSync(`${path}${end}`, { force: true })
  Fs.writeFileSync(path, main)
  Fs.writeFileSync(`${path}-wal`, log)
}

/** What a database says, read without a thread of its own: thousands of times in a test. */
const read = (path: string): ReadonlyArray<string> | string => {
  try {
    const database = JournalDatabase.open(path)
    try {
      return shown(database.read("one"))
    } finally {
      database.close()
    }
  } catch (error) {
    return (error as JournalError.JournalError).reason
  }
}

/** Databases after each of some writes, as if the program had been killed then. */
const lives = (path: string, writes: number): ReadonlyArray<Files> => {
  const database = JournalDatabase.open(path)
  const files: Array<Files> = []
  for (let i = 0; i < writes; i++) {
    database.commit([
      { owner: "one", change: Journal.append(`k${i}`, text(`value ${i}`)) },
      { owner: "two", change: Journal.put("k", text(`other ${i}`)) },
      ...(i < 5 ? [] : [{ owner: "one", change: Journal.remove(`k${i - 5}`) }])
    ])
    files.push({ main: Fs.readFileSync(path), log: Fs.readFileSync(`${path}-wal`) })
  }
  database.close()
  return files
}

const bits = (seed: number) => {
  let state = seed
  return (below: number) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    return (state >>> 8) % below
  }
}

describe("a journal in SQLite", () => {
  it.live("keeps what was written through closing and opening, and makes the folder it is in", () =>
    Effect.scoped(Effect.gen(function*() {
      const path = Path.join(yield* directory, "not", "there", "journal.sqlite")
      yield* using(path, (book) =>
        Effect.gen(function*() {
          yield* book.write([Journal.append("a", text("1")), Journal.append("b", text("2"))])
          yield* Effect.forEach(
            ["3", "4", "5"],
            (value) => book.write([Journal.append("a", text(value))]),
            { concurrency: "unbounded" }
          )
          yield* book.write([Journal.put("b", text("6")), Journal.append("c", text("7")), Journal.remove("c")])
          yield* book.later([Journal.append("d", text("8"))])
        }))
      assert.deepStrictEqual(yield* held(path), ["a: 1", "a: 3", "a: 4", "a: 5", "b: 6", "d: 8"])
    })))

  it.live("has one program at a time", () =>
    Effect.scoped(Effect.gen(function*() {
      const path = Path.join(yield* directory, "journal.sqlite")
      yield* NodeSqliteJournal.make(path)
      const error = yield* Effect.flip(NodeSqliteJournal.make(path))
      assert.strictEqual(error.reason, "InUse")
    })))

  it.live(
    "[S28] [F12] cut at every byte of its last write, it loses that write and nothing else",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const folder = yield* directory
        const [before, after] = lives(Path.join(folder, "journal.sqlite"), 8).slice(-2)
        const path = Path.join(folder, "cut.sqlite")
        restore(path, before!)
        const earlier = read(path)
        restore(path, after!)
        const later = read(path)
        assert.deepStrictEqual(earlier, ["k2", "k3", "k4", "k5", "k6"].map((key) => `${key}: value ${key.slice(1)}`))
        assert.notDeepEqual(earlier, later)
        const from = before!.log.length
        assert.isAbove(after!.log.length, from)
        // Every byte of the headers, and every so many of the pages between them.
        for (let length = from; length < after!.log.length; length += (length - 32) % 4120 < 64 ? 1 : 61) {
          restore(path, { main: after!.main, log: after!.log.subarray(0, length) })
          assert.deepStrictEqual(read(path), earlier, `cut to ${length} bytes`)
        }
        // So does a file system that leaves zeros.
        const zeros = Buffer.from(after!.log)
        zeros.fill(0, from)
        restore(path, { main: after!.main, log: zeros })
        assert.deepStrictEqual(read(path), earlier)
      })),
    60_000
  )

  it.live("[S28] [F12] any flipped bit is found, or changes nothing", () =>
    Effect.scoped(Effect.gen(function*() {
      const folder = yield* directory
      const files = lives(Path.join(folder, "journal.sqlite"), 8).at(-1)!
      const path = Path.join(folder, "flipped.sqlite")
      restore(path, files)
      const whole = read(path)
      // And one whose log was carried over.
      const closed: Files = { main: Fs.readFileSync(path), log: Buffer.alloc(0) }
      const pick = bits(1)
      let found = 0
      for (let i = 0; i < 600; i++) {
        const which = ([["log", files], ["main", files], ["main", closed]] as const)[i % 3]!
        const damaged = { main: Buffer.from(which[1].main), log: Buffer.from(which[1].log) }
        const bytes = damaged[which[0]]
        // The first bytes of a file say the most.
        const at = i < 300 ? Math.floor(i / 3) : pick(bytes.length)
        bytes[at]! ^= 1 << pick(8)
        restore(path, damaged)
        const said = read(path)
        if (said === "Corrupt") found++
        else assert.deepStrictEqual(said, whole, `a bit of byte ${at} of ${which[0]} (${i})`)
        if (which[0] === "log") assert.strictEqual(said, "Corrupt", `byte ${at} of the log`)
        // Nobody has made it look whole in the meantime.
        if (i % 5 === 0) assert.deepStrictEqual(read(path), said, `byte ${at} of ${which[0]}, again`)
      }
      assert.isAbove(found, 250)
    })), 60_000)

  it.live("a record that is gone is missed", () =>
    Effect.scoped(Effect.gen(function*() {
      const path = Path.join(yield* directory, "journal.sqlite")
      lives(path, 3)
      const database = new DatabaseSync(path)
      database.exec("DELETE FROM records WHERE key = 'k1'")
      database.close()
      const error = yield* Effect.flip(NodeSqliteJournal.make(path))
      assert.strictEqual(error.reason, "Corrupt")
      assert.include(error.message, path)
    })))

  it.live("a file that is no journal is refused", () =>
    Effect.scoped(Effect.gen(function*() {
      const folder = yield* directory
      for (const content of ["", "this is no database at all, but it is long enough to be taken for one".repeat(100)]) {
        const path = Path.join(folder, `file ${content.length}`)
        Fs.writeFileSync(path, content)
        assert.strictEqual((yield* Effect.flip(NodeSqliteJournal.make(path))).reason, "Corrupt")
      }
      const file = Path.join(folder, "file 0")
      assert.strictEqual((yield* Effect.flip(NodeSqliteJournal.make(Path.join(file, "journal.sqlite")))).reason, "Io")
    })))

  it.live("[S28] [F11] a full disk is an error, after which nothing is written, and what was there is there", () =>
    Effect.scoped(Effect.gen(function*() {
      const path = Path.join(yield* directory, "journal.sqlite")
      const database = JournalDatabase.open(path)
      const write = (key: string, size: number) =>
        database.commit([
          { owner: "one", change: Journal.append(key, new Uint8Array(size)) }
        ])
      write("a", 10)
      // As full as a disk can be: no page more.
      const inner = (database as unknown as { readonly database: DatabaseSync }).database
      inner.exec("PRAGMA max_page_count = 1")
      assert.throws(() => write("b", 100_000), /full/)
      assert.throws(() => write("c", 1))
      assert.strictEqual((read(path) as ReadonlyArray<string>).length, 1)
    })))

  it.live("[S28] [F11] a disk that is gone is an error for all that come, until the journal is opened anew", () =>
    Effect.scoped(Effect.gen(function*() {
      const folder = yield* directory
      const journal = yield* NodeSqliteJournal.make(Path.join(folder, "journal.sqlite"))
      const book = yield* journal.open("one")
      yield* book.write([Journal.append("a", text("1"))])
      for (const name of Fs.readdirSync(folder)) Fs.rmSync(Path.join(folder, name))
      const failed = yield* Effect.flip(book.write([Journal.append("b", text("2"))]))
      assert.strictEqual(failed.reason, "Io")
      assert.strictEqual(yield* Effect.flip(book.write([Journal.append("c", text("3"))])), failed)
      const again = yield* journal.open("one")
      assert.deepStrictEqual(shown(again.entries), [])
      yield* again.write([Journal.append("d", text("4"))])
    })))
})
