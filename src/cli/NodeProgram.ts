/**
 * The command line on Node.js: its commands, and the services that they need.
 *
 * @since 0.1.0
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { cert } from "./internal/Cert.ts"
import { version } from "./internal/Version.ts"

const effectOtp = Command.make("effect-otp").pipe(
  Command.withDescription("Erlang/OTP for people who write Effect"),
  Command.withSubcommands([cert])
)

/**
 * Runs the command that the arguments of the process name.
 *
 * @category running
 * @since 0.1.0
 */
export const main = (): void =>
  NodeRuntime.runMain(Effect.provide(Command.run(effectOtp, { version }), NodeServices.layer))
