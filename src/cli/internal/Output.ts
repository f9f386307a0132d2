/**
 * What every command does with its result and its failure: text for people, or one line of JSON for programs.
 *
 * @since 0.1.0
 */
import * as CliError from "effect/cli/CliError"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"

/** The flag that all commands have. */
export const json: Flag.Flag<boolean> = Flag.Boolean("json").pipe(
  Flag.withDefault(false),
  Flag.withDescription("Print the result, or the error, as JSON")
)

/** Prints a result. */
export const show = (json: boolean, value: unknown, text: string): Effect.Effect<void> =>
  Console.log(json ? JSON.stringify(value) : text)

/** A failure of which everything has been said. */
export class Told {
  readonly _tag = "Told" as const
  readonly "~effect/Runtime/errorReported" = false
}

/** What went wrong: in one word, and for people. */
export interface Explained {
  readonly reason: string
  readonly detail: string
}

/** Says what went wrong on standard error: for people, or as JSON. */
export const reported = <A, E extends Explained, R>(
  json: boolean,
  effect: Effect.Effect<A, E | Told, R>
): Effect.Effect<A, CliError.UserError | Told, R> =>
  Effect.catch(effect, (error): Effect.Effect<never, CliError.UserError | Told> => {
    if (error instanceof Told) return Effect.fail(error)
    const { detail, reason } = error
    return json
      ? Effect.andThen(Console.error(JSON.stringify({ error: { reason, detail } })), Effect.fail(new Told()))
      : Effect.fail(new CliError.UserError({ cause: error, userMessage: detail }))
  })
