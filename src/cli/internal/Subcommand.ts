/**
 * The type of a command of this program.
 *
 * @since 0.1.0
 */
import type * as CliError from "effect/cli/CliError"
import type * as Command from "effect/cli/Command"
import type { Told } from "./Output.ts"

/** A command: its name, and what it needs. What it reads is its own business; it fails with what has been or will be told. */
export type Subcommand<Name extends string, R> = Command.Command<Name, never, {}, CliError.UserError | Told, R>
