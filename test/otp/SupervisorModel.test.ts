/**
 * Supervisors on the real runtime against the model of OTP's rules: random trees of servers, Effects, Layers and
 * supervisors, random faults, and no difference in what starts, stops, is reported, is answered and is alive.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import { Node } from "effect-otp"
import * as TestNode from "../../src/testing/TestNode.ts"
import { liveRest, runRuntime, type RuntimeTrace, virtualRest } from "./model/RuntimeSupervision.ts"
import { type Case, type Node as TreeNode, showTrace, type SupervisorNode } from "./model/SupervisionCase.ts"
import { anything, generateCase, shrinking } from "./model/SupervisionGenerator.ts"
import { runModel } from "./model/SupervisorModel.ts"

/** Crashes are reported, many times. */
const quiet = Logger.layer([])

/** A run under the test clock: fibers take turns, or a seed decides. */
const virtually = (seed?: number) => (input: Case): Effect.Effect<RuntimeTrace> =>
  runRuntime(input, virtualRest).pipe(
    Effect.provide(Layer.provideMerge(TestNode.layer(seed === undefined ? {} : { seed }), quiet))
  )

/** A run as in production: the scheduler of Effect, the run queue of the node. */
const live = (input: Case): Effect.Effect<RuntimeTrace> =>
  runRuntime(input, liveRest).pipe(Effect.provide(Layer.provideMerge(Node.layerLocal(), quiet)))

type Run = (input: Case) => Effect.Effect<RuntimeTrace>

const differs = (input: Case, run: Run): Effect.Effect<boolean> =>
  Effect.map(run(input), (trace) => showTrace(trace) !== showTrace(runModel(input)))

/** Fails with the smallest case that still shows a difference. */
const check = (input: Case, run: Run): Effect.Effect<void> =>
  Effect.gen(function*() {
    if (!(yield* differs(input, run))) return
    const steps = shrinking(input)
    let next = steps.next()
    while (next.done !== true) next = steps.next(yield* differs(next.value, run))
    const small = next.value
    assert.strictEqual(
      showTrace(yield* run(small)),
      showTrace(runModel(small)),
      `the runtime differs from the model\n${JSON.stringify(small, undefined, 2)}\n`
    )
    assert.fail(`case ${input.seed} differs from the model now and then`)
  })

const quickly = { ...anything, refuse: false }

/** Without faults that let time pass. */
const timeless = (input: Case): Case => ({
  ...input,
  faults: input.faults.filter((fault) => fault.kind !== "advance")
})

/** Every second worker that may be killed for it does not stop when it is told. */
const stubborn = (input: Case): Case => {
  let count = 0
  const change = (node: TreeNode): TreeNode =>
    node.kind === "supervisor"
      ? { ...node, children: node.children.map(change) }
      : typeof node.shutdown === "number" && count++ % 2 === 0
      ? { ...node, onShutdown: "refuse" }
      : node
  return { ...input, root: change(input.root) as SupervisorNode }
}

const batches = (count: number, size: number): ReadonlyArray<readonly [number, number]> =>
  Array.from({ length: count }, (_, index) => [index * size + 1, (index + 1) * size] as const)

describe("supervisors on the real runtime do as OTP's rules say", () => {
  it.effect.each(batches(10, 300))("[S1][S2][S5][S6] in cases %i to %i", ([from, to]) =>
    Effect.gen(function*() {
      for (let seed = from; seed <= to; seed++) yield* check(generateCase(seed, quickly), virtually())
    }))

  it.effect.each(TestNode.seeds(20))(
    "[S1][S2][S5][S6] under seed %i of the scheduler, in 100 cases of its own",
    (seed) =>
      Effect.gen(function*() {
        for (let n = 1; n <= 100; n++) {
          yield* check(generateCase(10_000 + seed * 100 + n, quickly), virtually(seed * 1000 + n))
        }
      })
  )

  it.effect.each(batches(4, 100))(
    "[S3] when workers have to be killed to make them stop, in cases %i to %i",
    ([from, to]) =>
      Effect.gen(function*() {
        let compared = 0
        let killed = 0
        for (let seed = from; seed <= to; seed++) {
          const input = stubborn(timeless(generateCase(20_000 + seed, anything)))
          const { waits } = yield* virtually()(input)
          // In the model no time passes. What passes here must not come near the end of a period.
          if (waits * 10 >= 500) continue
          yield* check(input, virtually(seed))
          compared++
          killed += waits
        }
        assert.isAbove(compared, 90)
        assert.isAbove(killed, 50)
      })
  )

  it.live.each(batches(2, 150))("in production's own order, in cases %i to %i", ([from, to]) =>
    Effect.gen(function*() {
      for (let n = from; n <= to; n++) yield* check(timeless(generateCase(30_000 + n, quickly)), live)
    }))
})
