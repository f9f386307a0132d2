/**
 * Large messages that a real Erlang node sends at the same time: their fragments interleave, and far more of them is
 * unfinished than what a peer may only begin.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Queue } from "effect"
import { Process } from "effect-otp"
import * as Node from "effect-otp/dist/Node"
import type { Term, Tuple } from "effect-otp/term"
import { erlangAvailable } from "../erlang/escript.ts"
import { ErlangEpmd, startErlang } from "./ErlangNode.ts"
import { member } from "./Member.ts"

const mebibyte = 1024 * 1024

describe.skipIf(!erlangAvailable)("fragments from Erlang", () => {
  for (
    const { count, size } of [
      { count: 2, size: 64 * mebibyte },
      { count: 3, size: 64 * mebibyte },
      { count: 60, size: 3 * mebibyte }
    ]
  ) {
    it.live(
      `[B8] ${count} binaries of ${
        size / mebibyte
      } MiB that ${count} processes send at once arrive whole, while small calls are answered`,
      () =>
        Effect.gen(function*() {
          const { port } = yield* ErlangEpmd
          const ours = yield* member("ours@127.0.0.1", port, { discovery: { port } })
          const erl = yield* startErlang("senders@127.0.0.1", { epmdPort: port })
          // What is sent before there is a connection does not come in fragments.
          assert.strictEqual(yield* erl.eval(`net_adm:ping('${ours.name}')`), "pong")
          /** Each binary is full of the number of its sender: which have arrived, and whether they were right. */
          const arrived = new Map<number, boolean>()
          const take = (message: Term.Term): void => {
            const [number, binary] = (message as Tuple.Tuple).elements as unknown as [number, Uint8Array]
            arrived.set(number, Buffer.alloc(size, number).equals(binary))
          }
          yield* ours.run(
            Process.spawnDetached(
              (mailbox) => Effect.forever(Effect.map(Queue.take(mailbox), (message) => take(message as Term.Term))),
              { name: "sink" }
            )
          )
          const opened = yield* ours.run(Node.networkStatistics)
          yield* erl.eval(
            `(fun() -> [P ! go || P <- [spawn(fun() -> B = binary:copy(<<N>>, ${size}), ` +
              `receive go -> {sink, '${ours.name}'} ! {N, B} end end) || N <- lists:seq(1, ${count})]], ok end)()`
          )
          let answered = 0
          while (arrived.size < count) {
            assert.strictEqual(yield* erl.eval(`net_adm:ping('${ours.name}')`), "pong")
            if (arrived.size < count) answered++
          }
          assert.isTrue([...arrived.values()].every((right) => right))
          assert.isAbove(answered, 0)
          // The same connection from the beginning to the end.
          assert.deepStrictEqual(yield* ours.run(Node.nodes()), [erl.name])
          assert.deepStrictEqual(yield* ours.run(Node.networkStatistics), opened)
        }).pipe(Effect.scoped, Effect.provide(ErlangEpmd.layer)),
      60_000
    )
  }
})
