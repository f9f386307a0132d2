import { Deferred, Effect, Fiber } from "effect"
import * as TestNode from "effect-otp/testing/TestNode"
const body = Effect.gen(function*() {
  const d = Deferred.makeUnsafe<number>()
  for (let i = 0; i < 30; i++) {
    const f = yield* Effect.forkChild(Effect.map(Deferred.await(d), () => 1))
    yield* Effect.exit(Effect.succeed(1))
    yield* Fiber.interrupt(f)
  }
})
let hangs = 0
for (let seed = 1; seed <= 300; seed++) {
  const r = await Promise.race([Effect.runPromise(Effect.provide(Effect.scoped(body), TestNode.layer({ seed })) as any).then(() => "ok"), new Promise((r) => setTimeout(() => r("HANG"), 100))])
  if (r === "HANG") hangs++
}
console.log("hangs", hangs)
process.exit(0)
