import { it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Process, Node } from "effect-otp"
const turn = Effect.callback<void>((resume) => { setImmediate(() => resume(Effect.void)) })
it.live("x", () => Effect.gen(function*() {
      let got = 0
      const N = 4
      const last = yield* Process.spawnDetached(
        () =>
          Effect.andThen(
            Process.receive(Schema.Literal("start")),
            Effect.forever(Effect.map(Process.receive(Schema.Literal("item")), () => got++))
          ),
        { mailbox: { capacity: 1 } }
      )
      yield* Process.send(last, "item")
      let next = last
      const all = [last]
      for (let i = 0; i < N; i++) {
        const to = next
        next = yield* Process.spawnDetached(
          () => Effect.forever(Effect.flatMap(Process.receive(Schema.String), (item) => Process.send(to, item))),
          { mailbox: { capacity: 1 } }
        )
        all.push(next)
        // One in its hands, for which the next has no room, and one in its mailbox.
        yield* Process.send(next, "item")
        yield* turn
        yield* Process.send(next, "item")
      }
      const { runtime } = yield* Node.Node
      const show = () => console.log(got, all.map((p) => { const q = runtime.resolve(p) as any; return `${q.queue.messages.length}/${q.queue.state.offers?.size}/${q.receivers?.size}` }).join("  "))
      show()
      yield* Process.send(last, "start")
      for (let i = 0; i < 20; i++) { yield* turn }
      show()
}).pipe(Effect.provide(Node.layerLocal())), 3000)
