/**
 * The thread of a journal's database, so that nobody but the journal waits for the disk.
 *
 * It opens the database that its `workerData` names, then answers one request after the other. Guarantees an answer
 * to each; after a failure every answer is that failure.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
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

const answer = (request: Request): Response => {
  if (failed !== undefined) return failed
  const served = Result.try({
    try: () => serve(request),
    catch: (error) => error instanceof Failure ? error : new Failure("Io", String(error))
  })
  if (Result.isSuccess(served)) return { _tag: "Done", entries: served.success }
  failed = { _tag: "Failed", reason: served.failure.reason, detail: served.failure.message }
  return failed
}

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window: it has no origin
parentPort!.on("message", (request: Request) => parentPort!.postMessage(answer(request)))
