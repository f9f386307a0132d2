import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import type { Problem } from "../../../src/otp/internal/SupervisorError.ts"
import {
  type ChildOptions,
  type SupervisorOptions,
  validate,
  validateChild
} from "../../../src/otp/internal/SupervisorSpec.ts"

const child = (options: Partial<ChildOptions<string>> = {}): ChildOptions<string> => ({
  id: "a",
  start: "a",
  ...options
})

const problem = (options: Partial<SupervisorOptions<string>>): readonly [Problem, string | undefined] | "valid" => {
  const result = validate({ children: [], ...options })
  return Result.isSuccess(result) ? "valid" : [result.failure.problem, result.failure.child]
}

describe("SupervisorSpec", () => {
  it("fills in OTP's defaults", () => {
    const spec = Result.getOrThrow(validate({ children: [child(), child({ id: "b", type: "supervisor" })] }))
    assert.deepStrictEqual(spec, {
      strategy: "one_for_one",
      intensity: 1,
      periodMillis: 5000,
      autoShutdown: "never",
      maxChildren: Infinity,
      backoff: undefined,
      children: [
        { id: "a", start: "a", restart: "permanent", shutdown: 5000, type: "worker", significant: false },
        { id: "b", start: "a", restart: "permanent", shutdown: "infinity", type: "supervisor", significant: false }
      ]
    })
  })

  it("lets the back-off start anew after a period", () => {
    assert.deepStrictEqual(Result.getOrThrow(validate({ periodMillis: 7, backoff: {}, children: [] })).backoff, {
      resetAfterMillis: 7
    })
  })

  const cases: ReadonlyArray<readonly [string, Partial<SupervisorOptions<string>>, Problem, string | undefined]> = [
    ["an unknown strategy", { strategy: "one_for_two" as never }, "InvalidStrategy", undefined],
    ["a negative intensity", { intensity: -1 }, "InvalidIntensity", undefined],
    ["a fraction as intensity", { intensity: 1.5 }, "InvalidIntensity", undefined],
    ["a period of nothing", { periodMillis: 0 }, "InvalidPeriod", undefined],
    ["a negative period", { periodMillis: -5 }, "InvalidPeriod", undefined],
    ["a period that is not a number", { periodMillis: NaN }, "InvalidPeriod", undefined],
    ["an unknown autoShutdown", { autoShutdown: "some" as never }, "InvalidAutoShutdown", undefined],
    ["maxChildren on a static supervisor", { maxChildren: 3 }, "InvalidMaxChildren", undefined],
    [
      "a negative maxChildren",
      { strategy: "simple_one_for_one", maxChildren: -1, children: [child()] },
      "InvalidMaxChildren",
      undefined
    ],
    ["a negative reset", { backoff: { resetAfterMillis: -1 } }, "InvalidResetAfter", undefined],
    ["no template", { strategy: "simple_one_for_one" }, "InvalidTemplate", undefined],
    [
      "two templates",
      { strategy: "simple_one_for_one", children: [child(), child({ id: "b" })] },
      "InvalidTemplate",
      undefined
    ],
    ["an id that is no string", { children: [child({ id: 7 as never })] }, "MissingId", undefined],
    ["an empty id", { children: [child({ id: "" })] }, "MissingId", undefined],
    ["the same id twice", { children: [child(), child({ id: "b" }), child()] }, "DuplicateId", "a"],
    ["an unknown restart", { children: [child({ restart: "often" as never })] }, "InvalidRestart", "a"],
    ["a negative shutdown", { children: [child({ shutdown: -1 })] }, "InvalidShutdown", "a"],
    ["a shutdown that is not a number", { children: [child({ shutdown: NaN })] }, "InvalidShutdown", "a"],
    ["an unknown type", { children: [child({ type: "manager" as never })] }, "InvalidType", "a"],
    ["significant that is no boolean", { children: [child({ significant: 1 as never })] }, "InvalidSignificant", "a"],
    [
      "[S8] a significant permanent child",
      { autoShutdown: "any_significant", children: [child({ significant: true })] },
      "SignificantPermanent",
      "a"
    ],
    [
      "[S8] a significant child under never",
      { children: [child({ significant: true, restart: "transient" })] },
      "SignificantNever",
      "a"
    ]
  ]
  it.each(cases)("refuses %s", (_, options, expected, place) => {
    assert.deepStrictEqual(problem(options), [expected, place])
  })

  it("takes the limits: intensity 0, shutdown 0, maxChildren 0, an infinite period", () => {
    assert.strictEqual(problem({ intensity: 0, periodMillis: Infinity, children: [child({ shutdown: 0 })] }), "valid")
    assert.strictEqual(problem({ backoff: { resetAfterMillis: 0 } }), "valid")
    assert.strictEqual(problem({ strategy: "simple_one_for_one", maxChildren: 0, children: [child()] }), "valid")
  })

  it("says what is wrong, where, with which value and what to do", () => {
    const result = validateChild(child({ shutdown: -1 }), "never")
    assert.isTrue(Result.isFailure(result))
    assert.strictEqual(
      Result.isFailure(result) ? result.failure.message : "",
      "InvalidShutdown in the specification of child \"a\": shutdown must be brutal_kill, infinity or a number of milliseconds, 0 or more; found -1"
    )
  })
})
