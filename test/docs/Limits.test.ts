/**
 * The limits that docs/distribution-security.md promises are those of the code: every one, with its default.
 */
import { assert, describe, it } from "@effect/vitest"
import { limitsOf } from "../../src/dist/internal/limits.ts"
import { read } from "../project/Sources.ts"

const page = "docs/distribution-security.md"

describe(page, () => {
  it("has each limit of a node with its default", () => {
    const { limits, ...others } = limitsOf(undefined)
    // The size of our own fragments is no limit on what comes from outside.
    const { fragmentBytes: _, ...ofConnections } = limits
    const promised = [...read(page).matchAll(/^\| `(max\w+)` \| (\d+) \|/gm)].map((
      [, name, value]
    ) => [name!, Number(value)])
    assert.deepStrictEqual(Object.fromEntries(promised), { ...ofConnections, ...others })
  })
})
