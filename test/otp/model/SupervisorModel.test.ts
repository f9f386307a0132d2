/**
 * The core against the model, on random trees.
 */
import { assert, describe, it } from "@effect/vitest"
import { runCore } from "./CoreSimulation.ts"
import { type Case, showFault, showTrace } from "./SupervisionCase.ts"
import { generateCase, shrinkCase } from "./SupervisionGenerator.ts"
import { runModel } from "./SupervisorModel.ts"

const differs = (input: Case): boolean => showTrace(runModel(input)) !== showTrace(runCore(input))

describe("the model of supervision", () => {
  it("agrees with the core on 6000 random trees and fault sequences", { timeout: 60_000 }, () => {
    for (let seed = 1; seed <= 6000; seed++) {
      const input = generateCase(seed)
      if (!differs(input)) continue
      const smallest = shrinkCase(input, differs)
      assert.fail([
        `seed ${seed}: ${JSON.stringify(smallest.root)}`,
        `faults: ${smallest.faults.map(showFault).join("; ")}`,
        `model:\n${showTrace(runModel(smallest))}`,
        `core:\n${showTrace(runCore(smallest))}`
      ].join("\n"))
    }
  })
})
