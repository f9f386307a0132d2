/**
 * Supervisors on the real runtime against the model of OTP's rules, on random trees and faults.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import * as TestNode from "../../src/testing/TestNode.ts"
import { runRuntime } from "./model/RuntimeSupervision.ts"
import { type Case, showTrace } from "./model/SupervisionCase.ts"
import { anything, generateCase, type Profile, shrinkCase } from "./model/SupervisionGenerator.ts"
import { runModel } from "./model/SupervisorModel.ts"

const quiet = Logger.layer([])
const run = (input: Case, seed?: number) =>
  runRuntime(input).pipe(Effect.provide(Layer.mergeAll(TestNode.layer(seed === undefined ? {} : { seed }), quiet)))

describe("try", () => {
  for (const seed of Array.from({ length: 300 }, (_, i) => i + 1)) {
    it.effect(`seed ${seed}`, () => Effect.gen(function*() {
      const input = generateCase(seed, { ...anything, refuse: false })
      const trace = yield* run(input)
      assert.strictEqual(showTrace(trace), showTrace(runModel(input)))
    }))
  }
})
