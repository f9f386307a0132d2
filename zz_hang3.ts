import { Deferred, Effect, Fiber } from "effect"
import { SeededScheduler } from "/work/main/src/testing/SeededScheduler.ts"
import * as TestNode from "effect-otp/testing/TestNode"
let cur: any, where = ""
let main: any
const body = Effect.gen(function*() {
 main = Fiber.getCurrent()
  const d = Deferred.makeUnsafe<number>()
  for (let i = 0; i < 30; i++) {
    where = "fork " + i
    const f: any = yield* Effect.forkChild(Effect.map(Deferred.await(d), () => 1))
    cur = f
    where = "exit " + i
    yield* Effect.exit(Effect.succeed(1))
    where = "interrupt " + i
    yield* Fiber.interrupt(f)
  }
})
let hangs = 0
for (let seed = 1; seed <= 1000; seed++) {
  let log: string[] = []
  const fiber = Effect.runFork(Effect.provide(body, TestNode.layer({ seed })) as any)
  const r = await Promise.race([new Promise((r) => fiber.addObserver(() => r("ok"))), new Promise((r) => setTimeout(() => r("HANG"), 400))])
  if (r === "HANG") { hangs++; if (hangs === 1) { console.log(seed, where, ""); console.log("child exit", cur._exit, "yielded", cur._yielded?.toString(), "stack", cur._stack.length, cur._stack, "interrupted", !!cur._interruptedCause, "interruptible", cur.interruptible, "running", cur._running, cur._deferredInterrupt);
   const m: any = main; console.log("main", m._yielded?.toString(), m._stack.length, m._running) } }
}
console.log("hangs", hangs)
process.exit(0)
