/**
 * A program with a five-step saga on a journal in SQLite, and a ledger in a file, that kills itself where it is told to.
 *
 *   traveller.ts run <folder> <step> <before | during | after | undo>
 *   traveller.ts recover <folder>...
 *
 * `recover` starts as the program would after a crash, and prints for each folder how the run of its journal ended.
 */
import { Cause, Effect, Exit } from "effect"
import { Saga } from "effect-otp/saga"
import * as NodeSqliteJournal from "effect-otp/saga/NodeSqliteJournal"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { five, makeTrip, type Point } from "../Trip.ts"
import { FileLedger } from "./FileLedger.ts"

const die = Effect.sync(() => process.kill(process.pid, "SIGKILL")).pipe(Effect.andThen(Effect.never))

const open = (folder: string, at: (step: number, point: Point | "undo") => Effect.Effect<void>) => {
  const ledger = new FileLedger(Path.join(folder, "ledger"))
  return Saga.open(makeTrip({
    book: ledger.book,
    cancel: (key) => Effect.andThen(at(Number(key.at(-1)), "undo"), ledger.cancel(key)),
    at
  }))
}

/** With the journal of a folder. */
const on = (folder: string) => Effect.provide(NodeSqliteJournal.layer(Path.join(folder, "journal.sqlite")))

const run = (folder: string, step: number, point: string) =>
  Effect.gen(function*() {
    Fs.mkdirSync(folder, { recursive: true })
    const trip = yield* open(folder, (n, here) => n === step && here === point ? die : Effect.void)
    // To be killed while going back, it has to go back.
    yield* Effect.exit(trip.execute("7", { amounts: five.map((n) => point === "undo" && n === 5 ? 500 : n) }))
  }).pipe(Effect.scoped, on(folder))

const recover = (folder: string) =>
  Effect.gen(function*() {
    const trip = yield* open(folder, () => Effect.void)
    const again = yield* Effect.exit(trip.execute("7", { amounts: five }))
    const error = Exit.isFailure(again) ? Cause.squash(again.cause) as { readonly _tag: string } : undefined
    yield* Effect.sync(() => process.stdout.write(`${trip.recovered.length} ${error?._tag ?? "value"}\n`))
  }).pipe(Effect.scoped, on(folder))

const [mode, ...rest] = process.argv.slice(2)
await Effect.runPromise(
  mode === "run"
    ? run(rest[0]!, Number(rest[1]), rest[2]!)
    : Effect.forEach(rest, recover, { discard: true })
)
