/**
 * The database of a journal: one table of records, and one row that says how many there are and what their checksums
 * add up to.
 *
 * Every function here stops the thread until the disk has answered. Guarantees that a database that was opened holds
 * what was committed: its structure is checked, its log (`NodeJournalWal`), the checksum of every record, and that
 * none is missing. A new database appears under its name when it is complete. Throws a {@link Failure}, after which
 * the database is closed.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { DatabaseSync, type StatementSync } from "node:sqlite"
import { crc32 } from "node:zlib"
import type { Entry } from "../Journal.ts"
import type { JournalError } from "../JournalError.ts"
import type { Owned } from "./JournalBooks.ts"
import * as Wal from "./NodeJournalWal.ts"

/** Why a database cannot be used. */
export class Failure extends Error {
  readonly reason: JournalError["reason"]

  constructor(reason: JournalError["reason"], detail: string) {
    super(detail)
    this.reason = reason
  }
}

/** Bytes of the log after which it is carried over into the table: a start reads at most so many. */
const mostLog = 4 * 1024 * 1024

/** The codes of SQLite for a file that somebody else has locked. */
const busy = 5
/**
 * And for a file that is not what was written: a statement that makes no sense there, a broken structure, no database
 * at all.
 */
const corrupt: ReadonlySet<number | undefined> = new Set([1, 11, 26])

const schema = `
  CREATE TABLE records(
    seq INTEGER PRIMARY KEY, owner TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, sum INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE head(
    id INTEGER PRIMARY KEY, next INTEGER NOT NULL, records INTEGER NOT NULL, total INTEGER NOT NULL, sum INTEGER NOT NULL
  ) STRICT;
`
const settings = `
  PRAGMA locking_mode = EXCLUSIVE;
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA wal_autocheckpoint = 0;
`

/** What a file has under it besides itself while it is open. */
const companions = ["", "-wal", "-shm", "-journal"]

interface Row {
  readonly seq: number
  readonly owner: string
  readonly key: string
  readonly value: Uint8Array
  readonly sum: number
}

/** Where a record is, and what it adds to the total. */
interface Place {
  readonly seq: number
  readonly sum: number
}

const checksum = ({ key, owner, seq, value }: Omit<Row, "sum">): number =>
  crc32(value, crc32(`${seq}\n${owner.length}\n${owner}\n${key}\n`))

const headChecksum = (next: number, records: number, total: number): number => crc32(`${next} ${records} ${total}`)

/** What SQLite, or the file system, has to say. */
const failureOf = (error: unknown): Failure => {
  if (error instanceof Failure) return error
  const { errcode, message } = error as Error & { readonly errcode?: number }
  // The lower byte is the kind, the rest a refinement.
  const kind = errcode === undefined ? undefined : errcode & 0xff
  if (kind === busy) return new Failure("InUse", "another program has it open")
  return new Failure(corrupt.has(kind) ? "Corrupt" : "Io", message)
}

const syncPath = (path: string): void => {
  const handle = Fs.openSync(path, "r")
  const synced = Result.try(() => Fs.fsyncSync(handle))
  Fs.closeSync(handle)
  Result.getOrThrowWith(synced, failureOf)
}

/** Keeps everybody else out for as long as it is open: its lock goes with the program, however that ends. */
const lock = (path: string): DatabaseSync => {
  Fs.mkdirSync(Path.dirname(path), { recursive: true })
  const held = new DatabaseSync(`${path}-lock`)
  Result.getOrThrowWith(
    Result.try(() => held.exec("BEGIN EXCLUSIVE")),
    (error) => {
      held.close()
      return failureOf(error)
    }
  )
  return held
}

/** Makes a database under another name first: under its own it is there whole or not at all. */
const create = (path: string): void => {
  const draft = `${path}.new`
  for (const end of companions) Fs.rmSync(`${draft}${end}`, { force: true })
  const database = new DatabaseSync(draft)
  const made = Result.try(() => {
    database.exec(settings)
    database.exec(`BEGIN; ${schema} INSERT INTO head VALUES (1, 1, 0, 0, ${headChecksum(1, 0, 0)}); COMMIT;`)
  })
  database.close()
  Result.getOrThrowWith(made, failureOf)
  syncPath(draft)
  Fs.renameSync(draft, path)
  syncPath(Path.dirname(path))
}

/** Refuses files that SQLite would take for something else. */
const inspect = (path: string): void => {
  if (Fs.statSync(path).size === 0) throw new Failure("Corrupt", "it is empty")
  const log = `${path}-wal`
  const damaged = Fs.existsSync(log) ? Wal.damage(Fs.readFileSync(log)) : undefined
  if (damaged !== undefined) throw new Failure("Corrupt", damaged)
}

/** @since 0.1.0 */
export class JournalDatabase {
  private readonly path: string
  private readonly database: DatabaseSync
  private readonly held: DatabaseSync
  private readonly insert: StatementSync
  private readonly delete: StatementSync
  private readonly update: StatementSync
  private readonly select: StatementSync
  /** The records that are there, by owner and key. */
  private readonly places = new Map<string, Map<string, Array<Place>>>()
  private next = 1
  private records = 0
  private total = 0

  private constructor(path: string, database: DatabaseSync, held: DatabaseSync) {
    this.path = path
    this.held = held
    this.database = database
    this.insert = database.prepare("INSERT INTO records VALUES (?, ?, ?, ?, ?)")
    this.delete = database.prepare("DELETE FROM records WHERE seq = ?")
    this.update = database.prepare("UPDATE head SET next = ?, records = ?, total = ?, sum = ? WHERE id = 1")
    this.select = database.prepare("SELECT * FROM records WHERE owner = ? ORDER BY seq")
  }

  /** Opens the database of a file, which is made when it is not there. */
  static open(path: string): JournalDatabase {
    const held = Result.getOrThrowWith(Result.try(() => lock(path)), failureOf)
    let database: DatabaseSync | undefined
    const opened = Result.try(() => {
      if (!Fs.existsSync(path)) create(path)
      // Before SQLite sees it: with the first look it would carry over what it believes, and throw the rest away.
      inspect(path)
      database = new DatabaseSync(path)
      database.exec(settings)
      const [problem] = database.prepare("PRAGMA integrity_check(1)").all()
      if (problem?.["integrity_check"] !== "ok") throw new Failure("Corrupt", String(problem?.["integrity_check"]))
      const journal = new JournalDatabase(path, database, held)
      journal.check()
      // After a failed sync nobody knows what of the log the disk has: everything goes there once more.
      journal.checkpoint()
      return journal
    })
    return Result.getOrThrowWith(opened, (error) => {
      database?.close()
      held.close()
      return failureOf(error)
    })
  }

  /** The records of an owner, oldest first. */
  read(owner: string): ReadonlyArray<Entry> {
    return this.guarded(() =>
      (this.select.all(owner) as unknown as ReadonlyArray<Row>).map((row) => {
        if (checksum(row) !== row.sum) throw disagreeing(row)
        return { key: row.key, value: row.value }
      })
    )
  }

  /** Brings changes to disk, all or none. */
  commit(changes: ReadonlyArray<Owned>): void {
    this.guarded(() => {
      this.database.exec("BEGIN IMMEDIATE")
      for (const change of changes) this.apply(change)
      this.update.run(this.next, this.records, this.total, headChecksum(this.next, this.records, this.total))
      this.database.exec("COMMIT")
      if (Fs.statSync(`${this.path}-wal`).size > mostLog) this.checkpoint()
    })
  }

  close(): void {
    if (this.database.isOpen) this.database.close()
    if (this.held.isOpen) this.held.close()
  }

  private guarded<A>(run: () => A): A {
    return Result.getOrThrowWith(Result.try(run), (error) => {
      // What has been written is unknown: only reading it again tells.
      this.close()
      return failureOf(error)
    })
  }

  private apply({ change, owner }: Owned): void {
    const { key } = change
    if (change._tag !== "Append") {
      const book = this.places.get(owner)
      for (const { seq, sum } of book?.get(key) ?? []) {
        this.delete.run(seq)
        this.count(-1, sum)
      }
      book?.delete(key)
    }
    if (change._tag === "Remove") return
    const { value } = change
    const seq = this.next++
    const sum = checksum({ seq, owner, key, value })
    this.insert.run(seq, owner, key, value, sum)
    this.add(owner, key, { seq, sum })
  }

  private add(owner: string, key: string, place: Place): void {
    let book = this.places.get(owner)
    if (book === undefined) this.places.set(owner, book = new Map())
    const places = book.get(key)
    if (places === undefined) book.set(key, [place])
    else places.push(place)
    this.count(1, place.sum)
  }

  private count(by: 1 | -1, sum: number): void {
    this.records += by
    this.total = (this.total + by * sum) >>> 0
  }

  private check(): void {
    const rows = this.database.prepare("SELECT * FROM records ORDER BY seq").iterate() as Iterable<unknown>
    for (const row of rows as Iterable<Row>) {
      if (checksum(row) !== row.sum) throw disagreeing(row)
      this.add(row.owner, row.key, row)
    }
    const head = this.database.prepare("SELECT * FROM head").all() as ReadonlyArray<
      { readonly [name: string]: unknown }
    >
    const next = Number(head[0]?.["next"])
    if (
      head.length !== 1 || head[0]!["records"] !== this.records || head[0]!["total"] !== this.total ||
      head[0]!["sum"] !== headChecksum(next, this.records, this.total)
    ) throw new Failure("Corrupt", "there are other records than were written")
    this.next = next
  }

  /** Carries the log over into the table, and begins a new one. */
  private checkpoint(): void {
    const [result] = this.database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").all()
    if (result?.["busy"] !== 0) throw new Failure("Io", "its log cannot be carried over")
  }
}

const disagreeing = ({ key, owner, seq }: Row): Failure =>
  new Failure("Corrupt", `the checksum of record ${seq}, of ${owner} under ${key}, does not agree`)
