/**
 * The error of registries.
 *
 * @since 0.1.0
 */
import * as Formatter from "effect/Formatter"
import * as Schema from "effect/Schema"
import type { ErrorOf } from "./SchemaClass.ts"

const reasons = ["AlreadyRegistered", "NotRegistered", "NoProcess"] as const

const RegistryErrorBase: ErrorOf<RegistryError, "RegistryError", {
  readonly registry: typeof Schema.String
  readonly key: typeof Schema.Unknown
  readonly reason: Schema.Literals<typeof reasons>
  readonly process: typeof Schema.String
}> = Schema.TaggedError<RegistryError>()("RegistryError", {
  registry: Schema.String,
  key: Schema.Unknown,
  reason: Schema.Literals(reasons),
  process: Schema.String
})

/**
 * A registry refused: the key of a unique registry is taken (`process` has it), the process has no entry under the key,
 * or there is no such process.
 *
 * @category errors
 * @since 0.1.0
 */
export class RegistryError extends RegistryErrorBase {
  /** What happened, to whom, with which key, and what to do about it. */
  override get message(): string {
    const place = `registry ${this.registry}, key ${Formatter.format(this.key)}`
    switch (this.reason) {
      case "AlreadyRegistered":
        return `${place}: ${this.process} is registered under it (OTP_ALREADY_REGISTERED); ` +
          "use that process, or another key"
      case "NotRegistered":
        return `${place}: ${this.process} has no entry under it (OTP_NOT_REGISTERED); register it first`
      case "NoProcess":
        return `${place}: there is no process ${this.process} on this node (OTP_NOPROC)`
    }
  }
}
