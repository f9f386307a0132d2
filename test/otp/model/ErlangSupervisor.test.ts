/**
 * The model against Erlang's own `supervisor`, on random trees. Needs `erl` and `erlc`; without them it is skipped with
 * a loud line, or fails when EFFECT_OTP_REQUIRE_ERLANG=1.
 */
import { assert, describe, it } from "@effect/vitest"
import { runCore } from "./CoreSimulation.ts"
import { hasErlang, runErlang } from "./ErlangSupervisor.ts"
import { showFault, showTrace } from "./SupervisionCase.ts"
import { erlangProfile, generateCase } from "./SupervisionGenerator.ts"
import { runModel } from "./SupervisorModel.ts"

const required = process.env["EFFECT_OTP_REQUIRE_ERLANG"] === "1"
const available = hasErlang()
if (!available && !required) {
  console.warn("\n*** SKIPPED: supervisors against Erlang/OTP. `erl` and `erlc` are not installed. ***\n")
}

const count = 1000

describe.skipIf(!available && !required)("Erlang's supervisor", () => {
  it(
    `[S1-S9] does what the model and the core do, on ${count} random trees and fault sequences`,
    { timeout: 120_000 },
    () => {
      assert.isTrue(available, "EFFECT_OTP_REQUIRE_ERLANG=1, but erl or erlc is not installed")
      const cases = Array.from({ length: count }, (_, index) => generateCase(index + 1, erlangProfile))
      const traces = runErlang(cases)
      for (const [index, input] of cases.entries()) {
        const erlang = showTrace(traces[index]!)
        const told = `seed ${input.seed}: ${JSON.stringify(input.root)}\nfaults: ${
          input.faults.map(showFault).join("; ")
        }`
        assert.strictEqual(showTrace(runModel(input)), erlang, `the model differs from Erlang\n${told}`)
        assert.strictEqual(showTrace(runCore(input)), erlang, `the core differs from Erlang\n${told}`)
      }
    }
  )
})
