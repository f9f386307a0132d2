import { Deferred, Effect, Fiber } from "effect"
import { SeededScheduler } from "/work/main/src/testing/SeededScheduler.ts"
import * as Scheduler from "effect/Scheduler"
let cur: any, where = ""
const body = Effect.gen(function*() {
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
for (let seed = 1; seed <= 300; seed++) {
  const s = new SeededScheduler(seed)
  let log: string[] = []
  const fiber = Effect.runFork(Effect.provideService(body, Scheduler.Scheduler, s) as any)
  const r = await Promise.race([new Promise((r) => fiber.addObserver(() => r("ok"))), new Promise((r) => setTimeout(() => r("HANG"), 60))])
  if (r === "HANG") { hangs++; if (hangs === 1) { console.log(seed, where, (s as any).yieldRate, s.ran); console.log("child exit", cur._exit, "yielded", cur._yielded?.toString(), "stack", cur._stack.length, cur._stack, "interrupted", !!cur._interruptedCause, "interruptible", cur.interruptible, "running", cur._running, cur._deferredInterrupt);
   const m: any = fiber; console.log("main", m._yielded?.toString(), m._stack.length, m._running) } }
}
console.log("hangs", hangs)
process.exit(0)
