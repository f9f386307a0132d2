import { it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, Scope } from "effect"
import { Node, Supervisor } from "effect-otp"
import { TestClock } from "effect/testing"
import * as TestNode from "../../src/testing/TestNode.ts"
import { child, Log } from "./SupervisorFixtures.ts"
const body =  () => Effect.gen(function*() {
      const log = new Log()
      const Tree = Supervisor.make({
        children: [child(log, "a", { name: "a" }), Supervisor.nested("below", Supervisor.make({ children: [child(log, "b")] }))]
      })
  const node = yield* Node.Node
      for (let tasks = 0; tasks < 40; tasks++) {
        const starting: any = yield* Effect.forkChild(Effect.scoped(Effect.andThen(Supervisor.start(Tree), Effect.never)))
        const t = setTimeout(() => { console.log("stuck", tasks, log.take()); for (const p of node.runtime.processes.values()) console.log(p.displayName, p.status, p.exitReason, (p as any).wake !== undefined, (p as any).queued, (p as any).state?.core?.inspect?.(), (p as any).box?.length); console.log(starting._exit, starting._stack.map((s:any) => String(s.onExit ?? s.onSuccess ?? "?").slice(0, 200)), (starting as any).interruptible);  }, 2000)
        for (let n = 0; n < tasks; n++) yield* Effect.yieldNow
        console.log(tasks, "interrupt")
        yield* Fiber.interrupt(starting)
        console.log("interrupted")
        yield* TestNode.settle
        clearTimeout(t)
      }
}).pipe((prog) => Effect.andThen(TestClock.adjust(0), prog).pipe(Effect.provideService(Scope.Scope, Scope.makeUnsafe()), Effect.provide(Layer.provideMerge(TestNode.layer({ seed: 1 }), Logger.layer([]))))) as any

import { seeded, onNode } from "./SupervisorFixtures.ts"
onNode("first", () => Effect.void)
it.effect("x", body as any, 6000)
it.effect("y", body as any, 6000)
