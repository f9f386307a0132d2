/**
 * The error of journals.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import type { ErrorOf } from "./internal/SchemaClass.ts"

const JournalErrorBase: ErrorOf<JournalError, "JournalError", {
  readonly journal: typeof Schema.String
  readonly reason: Schema.Literals<readonly ["Corrupt", "Io", "InUse"]>
  readonly detail: typeof Schema.String
}> = Schema.TaggedError<JournalError>()("JournalError", {
  journal: Schema.String,
  reason: Schema.Literals(["Corrupt", "Io", "InUse"]),
  detail: Schema.String
})

/**
 * A journal could not be read or written.
 *
 * `Corrupt`: what it holds is not what was written. It must not be used with a part of it: the rest may have been a
 * promise. `Io`: the disk refused, which is final for this journal until it is opened anew. `InUse`: somebody else
 * has it open.
 *
 * @category errors
 * @since 0.1.0
 */
export class JournalError extends JournalErrorBase {
  override get message(): string {
    switch (this.reason) {
      case "Corrupt":
        return `${this.journal} is damaged: ${this.detail}. It cannot be trusted: restore it, or settle by hand what it held`
      case "Io":
        return `${this.journal} cannot be read or written: ${this.detail}. Open it anew when the disk works`
      case "InUse":
        return `${this.journal} is in use: ${this.detail}. A journal has one program at a time, a book one owner`
    }
  }
}
