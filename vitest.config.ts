/**
 * How the tests run: everything under `test/`, with `effect-otp` and its subpaths resolved to `src` as the custom
 * condition `effect-otp-source` of the exports map says, so that no build is needed.
 *
 * Tests that talk to other programs, or run some, measure how long answers take: they run after all others and one file
 * at a time, so that what they measure is not the work of their neighbours.
 *
 * With `EFFECT_OTP_TEST_REPORT=<file>` the outcome is written to that file as JSON as well.
 */
import { defaultServerConditions } from "vite"
import { defineConfig, type ViteUserConfig } from "vitest/config"

const conditions = ["effect-otp-source", ...defaultServerConditions]
const report = process.env["EFFECT_OTP_TEST_REPORT"]

const all = ["test/**/*.test.ts"]
const wire = ["cli", "dist", "examples", "net"].map((folder) => `test/${folder}/**/*.test.ts`)
  .concat("test/**/processes.test.ts", "test/**/*Erlang.test.ts", "test/**/erlang.test.ts", "test/**/elixir.test.ts")

const config: ViteUserConfig = defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    testTimeout: 20_000,
    hookTimeout: 30_000,
    reporters: report === undefined ? ["default"] : ["default", ["json", { outputFile: report }]],
    projects: [
      { extends: true, test: { name: "local", include: all, exclude: wire, sequence: { groupOrder: 1 } } },
      { extends: true, test: { name: "wire", include: wire, maxWorkers: 1, sequence: { groupOrder: 2 } } }
    ]
  }
})

export default config
