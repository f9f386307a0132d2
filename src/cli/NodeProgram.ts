/**
 * The command line on Node.js: its commands, the services that they need, and how they end.
 *
 * Exit codes: 0 when a command did what it was asked for, 1 when it did not, 2 when it was not understood, 130 when it was
 * interrupted; a command that runs until it is stopped gives 0 then.
 *
 * @since 0.1.0
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Cause from "effect/Cause"
import * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Runtime from "effect/Runtime"
import NodeProcess from "node:process"
import * as NodeNetwork from "../dist/NodeNetwork.ts"
import * as NodeApplication from "../otp/NodeApplication.ts"
import { call, cast, rpc } from "./internal/Call.ts"
import { cert } from "./internal/Cert.ts"
import { epmd } from "./internal/Epmd.ts"
import { Interruption, type Meaning } from "./internal/Interruption.ts"
import { names } from "./internal/Names.ts"
import { newProject } from "./internal/New.ts"
import { ping } from "./internal/Ping.ts"
import { ps } from "./internal/Ps.ts"
import { run } from "./internal/Run.ts"
import { top } from "./internal/Top.ts"
import { tree } from "./internal/Tree.ts"
import { presenter } from "./internal/Usage.ts"
import { version } from "./internal/Version.ts"

const effectOtp = Command.make("effect-otp").pipe(
  Command.withDescription("Erlang/OTP for people who write Effect"),
  Command.withSubcommands([
    { group: "Begin", commands: [newProject] },
    { group: "Run", commands: [run, epmd, cert] },
    { group: "Talk to a node", commands: [ping, call, cast, rpc] },
    { group: "Look at nodes", commands: [names, ps, tree, top] }
  ])
)

const usageCode = 2

/** Whether a command was asked for something that it does not understand. */
const isUsage = (error: unknown): boolean =>
  CliError.isCliError(error) && error._tag === "ShowHelp" && error.errors.length > 0

const teardown = (meaning: Meaning): Runtime.Teardown => (exit, onExit) => {
  if (Exit.isFailure(exit)) {
    if (Cause.hasInterruptsOnly(exit.cause) && meaning.isOrderly) return onExit(0)
    if (isUsage(Cause.squash(exit.cause))) return onExit(usageCode)
  }
  return Runtime.defaultTeardown(exit, onExit)
}

/** Who reads a part of what is printed (`head`) and goes is no failure. */
const endWithReader = (): void => {
  NodeProcess.stdout.on("error", (error: NodeJS.ErrnoException) => {
    NodeProcess.exit(error.code === "EPIPE" ? 0 : 1)
  })
}

/**
 * Runs the command that the arguments of the process name.
 *
 * @category running
 * @since 0.1.0
 */
export const main = (): void => {
  endWithReader()
  const meaning: Meaning = { isOrderly: false }
  NodeApplication.runMain(
    Command.run(effectOtp, { version }).pipe(
      Effect.provideService(Interruption, meaning),
      Effect.provideService(CliOutput.Presenter, presenter),
      // What is printed is for who reads it; what is logged beside it is not.
      Effect.provideService(Logger.LogToStderr, true),
      Effect.provide(Layer.merge(NodeServices.layer, NodeNetwork.layer))
    ),
    { teardown: teardown(meaning) }
  )
}
