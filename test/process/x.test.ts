import { it } from "@effect/vitest"
import { Effect } from "effect"
import { Process, Node } from "effect-otp"
import { Probe, TestNode, SeededScheduler } from "effect-otp/testing"
import { TestClock } from "effect/testing"
import * as fs from "node:fs"
const say = (s: string) => fs.writeSync(2, s + "\n")
const P = SeededScheduler.SeededScheduler.prototype as any
let sch: any
const oi = P.onIdle
P.onIdle = function(l: any, n: any) { sch = this; return oi.call(this, l, n) }
it.effect("x", () => Effect.gen(function*() {
      const { runtime } = yield* Node.Node
      setTimeout(() => { say([sch.ran, sch.yieldRate, sch.ready.length - sch.head, sch.idle.length].join()); const t = runtime.timers as any; say([t.now(), t.sleepingUntil, t.sleeper?._exit, t.heap.map((l: any) => l.key + ":" + l.duration + ":" + l.first?.expiry)].join(" ")); const r = sch.ran; setTimeout(() => say(String(sch.ran - r)), 100) }, 1000)
      const probe = yield* Probe.make()
      for (const [value, delay] of [["c", 30], ["a", 10], ["d", 30], ["b", 20], ["e", 30]] as const) {
        yield* Process.sendAfter(probe, value, delay)
      }
      say("armed")
      yield* TestClock.adjust(30)
      say("adjusted")
      console.log(yield* probe.waiting)
}).pipe(Effect.provide(TestNode.layer({ seed: 71 }))))
