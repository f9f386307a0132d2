/**
 * The thread of a journal's database, so that nobody but the journal waits for the disk.
 *
 * It opens the database that its `workerData` names, then answers one request after the other. Guarantees an answer to each; after a
 * failure every answer is that failure.
 *
 * @since 0.1.0
 */
import { parentPort, workerData } from "node:worker_threads"
import type { Entry } from "../Journal.ts"
import type { JournalError } from "../JournalError.ts"
import type { Owned } from "./JournalBooks.ts"
import { Failure, JournalDatabase } from "./NodeJournalDatabase.ts"

/** What the thread is asked for. */
export type Request =
  | { readonly _tag: "Open" }
  | { readonly _tag: "Read"; readonly owner: string }
  | { readonly _tag: "Commit"; readonly changes: ReadonlyArray<Owned> }
  | { readonly _tag: "Close" }

/** What it answers, in the order of the requests. */
export type Response =
  | { readonly _tag: "Done"; readonly entries: ReadonlyArray<Entry> }
  | { readonly _tag: "Failed"; readonly reason: JournalError["reason"]; readonly detail: string }

let database: JournalDatabase | undefined
let failed: Response | undefined

const serve = (request: Request): ReadonlyArray<Entry> => {
  switch (request._tag) {
    case "Open":
      database = JournalDatabase.open(workerData as string)
      return []
    case "Read":
      return database!.read(request.owner)
    case "Commit":
      database!.commit(request.changes)
      return []
    case "Close":
      database!.close()
      return []
  }
}

parentPort!.on("message", (request: Request) => {
  if (failed === undefined) {
    try {
      return parentPort!.postMessage({ _tag: "Done", entries: serve(request) } satisfies Response)
    } catch (error) {
      const failure = error instanceof Failure ? error : new Failure("Io", String(error))
      failed = { _tag: "Failed", reason: failure.reason, detail: failure.message }
    }
  }
  parentPort!.postMessage(failed)
})
