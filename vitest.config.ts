/**
 * How the tests run: everything under `test/`, with `effect-otp` and its subpaths resolved to `src` as the custom
 * condition `effect-otp-source` of the exports map says, so that no build is needed.
 *
 * With `EFFECT_OTP_TEST_REPORT=<file>` the outcome is written to that file as JSON as well.
 */
import { defaultServerConditions } from "vite"
import { defineConfig, type ViteUserConfig } from "vitest/config"

const conditions = ["effect-otp-source", ...defaultServerConditions]
const report = process.env["EFFECT_OTP_TEST_REPORT"]

const config: ViteUserConfig = defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 20_000,
    hookTimeout: 30_000,
    reporters: report === undefined ? ["default"] : ["default", ["json", { outputFile: report }]]
  }
})

export default config
