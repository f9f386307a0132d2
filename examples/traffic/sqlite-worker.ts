/**
 * The program of the threads of SqliteStore.ts: one connection to the file, to write or to read.
 */
import { workerData } from "node:worker_threads"
import type { Batch } from "./Batch.ts"
import { ForeignFile, open, type Options } from "./SqliteDatabase.ts"
import { SqliteReader } from "./SqliteReader.ts"
import { SqliteWriter } from "./SqliteWriter.ts"
import type { BoxQuery, NearestQuery, TrackQuery } from "./Store.ts"
import { serve } from "./ThreadProgram.ts"

/** What a thread is started with. */
export interface WorkerData extends Options {
  readonly role: "writer" | "reader"
  readonly maxAge: number
}

/** What a thread is asked. */
export type Request =
  | { readonly _tag: "Store"; readonly batch: Batch }
  | { readonly _tag: "Nearest"; readonly query: NearestQuery }
  | { readonly _tag: "Box"; readonly query: BoxQuery }
  | { readonly _tag: "Track"; readonly query: TrackQuery }
  | { readonly _tag: "Statistics" }

/** What SQLite calls its failures, by the lower eight bits of its code. */
const codes: { readonly [code: number]: string } = { 11: "NotADatabase", 13: "DiskFull", 26: "NotADatabase" }

const codeOf = (error: unknown): string =>
  error instanceof ForeignFile
    ? "NotADatabase"
    : codes[(error as { readonly errcode?: number }).errcode! & 0xff] ?? "NotAccessible"

serve<Request>(() => {
  const { maxAge, role, ...options } = workerData as WorkerData
  const database = open(options)
  const close = () => database.close()
  if (role === "writer") {
    const writer = new SqliteWriter(database, maxAge)
    return { close, handle: (request) => request._tag === "Store" ? writer.store(request.batch) : undefined }
  }
  const reader = new SqliteReader(database, options.path, maxAge)
  return {
    close,
    handle: (request) => {
      switch (request._tag) {
        case "Nearest":
          return reader.nearest(request.query)
        case "Box":
          return reader.box(request.query)
        case "Track":
          return reader.track(request.query)
        case "Statistics":
          return reader.statistics()
        case "Store":
          throw new Error("this thread only reads")
      }
    }
  }
}, codeOf)
