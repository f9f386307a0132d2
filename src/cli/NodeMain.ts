#!/usr/bin/env node
/**
 * The program `effect-otp`.
 *
 * What it needs besides the library, `@effect/platform-node`, is optional: without it, the program says so.
 *
 * @since 0.1.0
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import NodeProcess from "node:process"

const missing =
  "The command line needs the package @effect/platform-node, which is not installed: npm install @effect/platform-node"

Effect.runFork(
  Effect.tryPromise(() => import("./NodeProgram.ts")).pipe(
    Effect.matchEffect({
      onSuccess: (program) => Effect.sync(program.main),
      onFailure: (error) => {
        NodeProcess.exitCode = 1
        const { code } = error.cause as NodeJS.ErrnoException
        return Console.error(code === "ERR_MODULE_NOT_FOUND" ? missing : error.cause)
      }
    })
  )
)
