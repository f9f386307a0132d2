/**
 * Why no certificate was made.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Schema from "effect/Schema"

const reasons: Schema.Literals<readonly ["NoLibrary", "Invalid", "Authority", "Exists", "Unreadable", "Unwritable"]> =
  Schema.Literals(["NoLibrary", "Invalid", "Authority", "Exists", "Unreadable", "Unwritable"])

const CertificateErrorBase: Schema.Class<
  CertificateError,
  Schema.TaggedStruct<"CertificateError", { readonly reason: typeof reasons; readonly detail: typeof Schema.String }>,
  Cause.YieldableError
> = Schema.TaggedError<CertificateError>()("CertificateError", { reason: reasons, detail: Schema.String })

/**
 * No certificate was made. `NoLibrary`: what makes them is not installed; `Invalid`: what was asked for; `Authority`: what
 * should issue it may not; `Exists`: a file would be overwritten; `Unreadable` and `Unwritable`: a file.
 */
export class CertificateError extends CertificateErrorBase {
  override get message(): string {
    return this.detail
  }
}
