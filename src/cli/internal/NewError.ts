/**
 * Why no project was made.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Schema from "effect/Schema"

const reasons: Schema.Literals<
  readonly [
    "Syntax",
    "InvalidName",
    "DuplicateName",
    "UnknownParent",
    "UnknownParameter",
    "InvalidValue",
    "NoFolder",
    "NotEmpty",
    "Unwritable"
  ]
> = Schema.Literals([
  "Syntax",
  "InvalidName",
  "DuplicateName",
  "UnknownParent",
  "UnknownParameter",
  "InvalidValue",
  "NoFolder",
  "NotEmpty",
  "Unwritable"
])

const NewErrorBase: Schema.Class<
  NewError,
  Schema.TaggedStruct<"NewError", { readonly reason: typeof reasons; readonly detail: typeof Schema.String }>,
  Cause.YieldableError
> = Schema.TaggedError<NewError>()("NewError", { reason: reasons, detail: Schema.String })

/**
 * No project was made. The first six are about what was asked for; `NoFolder`: nobody said where; `NotEmpty`: the folder
 * has files that might be overwritten; `Unwritable`: a file.
 */
export class NewError extends NewErrorBase {
  override get message(): string {
    return this.detail
  }
}
