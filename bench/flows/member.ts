/**
 * Another member of the group, in a process of its own. It ends with its input.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { nodeLayer } from "../network/World.ts"
import { startMember } from "./Tally.ts"

const [name, epmdPort, directory] = process.argv.slice(2)

const main = Effect.gen(function*() {
  yield* startMember(directory!)
  process.stdout.write("@ready\n")
  yield* Effect.callback<void>((resume) => {
    process.stdin.on("end", () => resume(Effect.void)).resume()
  })
})

await Effect.runPromise(Effect.provide(main, nodeLayer(name!, Number(epmdPort))))
process.exit()
