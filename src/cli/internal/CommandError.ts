/**
 * Why a command did not do what it was asked for.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Schema from "effect/Schema"

const CommandErrorBase: Schema.Class<
  CommandError,
  Schema.TaggedStruct<
    "CommandError",
    { readonly reason: typeof Schema.String; readonly detail: typeof Schema.String }
  >,
  Cause.YieldableError
> = Schema.TaggedError<CommandError>()("CommandError", { reason: Schema.String, detail: Schema.String })

/**
 * `reason` is one word, for programs that read it in JSON; `detail` says to people what happened, to whom, and what to do.
 */
export class CommandError extends CommandErrorBase {
  override get message(): string {
    return this.detail
  }
}
