/**
 * Stores positions without end, and says which are stored: for SqliteKill.test.ts, which kills it.
 *
 *     storing.ts PATH FIRST
 */
import { Effect } from "effect"
import { writeSync } from "node:fs"
import * as SqliteStore from "../../../examples/traffic/SqliteStore.ts"
import { Store } from "../../../examples/traffic/Store.ts"
import { request } from "./KillRequests.ts"

const [path, first] = process.argv.slice(2)

const program = Effect.gen(function*() {
  const { store } = yield* (yield* Store).writer
  let next = Number(first)
  const storeOne = Effect.suspend(() => {
    const number = next++
    // At once, not in a buffer: what is said is to arrive, whatever happens then.
    return Effect.map(store([request(number)]), () => writeSync(1, `${number}\n`))
  })
  // As many on their way as the thread takes.
  yield* Effect.all(Array.from({ length: 6 }, () => Effect.forever(storeOne)), { concurrency: "unbounded" })
})

await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(SqliteStore.layer({ path: path! }))))
