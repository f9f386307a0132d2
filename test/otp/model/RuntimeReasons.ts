/**
 * Exit reasons of the runtime and the words that a case of supervision has for them.
 */
import { ExitReason, OtpError } from "effect-otp"
import type { Reason } from "./SupervisionCase.ts"

/** What a process of a case is told to end with. */
export const reasons: { readonly [R in "normal" | "shutdown" | "detail" | "error" | "killed"]: ExitReason.ExitReason } =
  {
    normal: ExitReason.normal,
    shutdown: ExitReason.shutdown,
    detail: ExitReason.shutdownWith("a detail"),
    error: ExitReason.error(new Error("boom")),
    killed: ExitReason.kill
  }

/** The error of a tree that did not start, as the model tells it: its own child at fault. */
const failedIn = (error: unknown): Reason | undefined =>
  error instanceof OtpError.SupervisorStartError ? `failed:${error.child.split(".")[0]}` : undefined

/** How a process ended, in the words of a case. */
export const reasonOf = (reason: ExitReason.ExitReason): Reason => {
  switch (reason._tag) {
    case "Normal":
      return "normal"
    case "Shutdown":
      return reason.detail === undefined ? "shutdown" : failedIn(reason.detail) ?? "detail"
    case "Killed":
      return "killed"
    default:
      return reason._tag === "Error" ? failedIn(reason.error) ?? "error" : "error"
  }
}

/** The same of a reason that was printed in a report. */
export const reasonOfText = (text: string): string => {
  if (["normal", "shutdown", "killed", "reached_max_restart_intensity"].includes(text)) return text
  if (text.startsWith("{shutdown,")) return "detail"
  const failed = /^SupervisorStartError: .* its child "([^".]+)/.exec(text)
  return failed === null ? "error" : `failed:${failed[1]}`
}
