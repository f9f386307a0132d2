/**
 * The protocol of supervisors: administration calls as messages, and what they are to the core.
 *
 * @since 0.1.0
 */
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Behaviour from "../../process/Behaviour.ts"
import * as Message from "../../process/Message.ts"
import * as Protocol from "../../process/Protocol.ts"
import type { Pid } from "../../term/Pid.ts"
import { SupervisorError } from "../OtpError.ts"
import type { Answer, Request } from "./SupervisorProtocol.ts"
import type { ShellTypes, StartFunction } from "./SupervisorShell.ts"
import type { ChildOptions } from "./SupervisorSpec.ts"

const Id = { payload: { id: Schema.String }, error: SupervisorError }

/** The administration calls. Starting a child carries a function, and so stays on this node. */
export const supervisorProtocol: Protocol.Core = Protocol.make(
  "Supervisor",
  Message.Call("WhichChildren", { success: Schema.Unknown }),
  Message.Call("CountChildren", { success: Schema.Unknown }),
  Message.Call("GetChildSpec", { ...Id, success: Schema.Unknown }),
  Message.Call("StartChild", { payload: { spec: Schema.Unknown }, success: Schema.Unknown, error: SupervisorError }),
  Message.Call("StartDynamicChild", {
    payload: { args: Schema.Unknown },
    success: Schema.Unknown,
    error: SupervisorError
  }),
  Message.Call("TerminateChild", Id),
  Message.Call("TerminateDynamicChild", { payload: { pid: Schema.Unknown }, error: SupervisorError }),
  Message.Call("RestartChild", { ...Id, success: Schema.Unknown }),
  Message.Call("DeleteChild", Id)
).protocol

/** The request to the core that a call stands for, and the reply that its answer stands for. */
export const toRequest = (
  message: Message.Any,
  payload: unknown,
  instance: Behaviour.Instance
): {
  readonly request: Request<ShellTypes>
  readonly reply: (answer: Answer<ShellTypes>) => Exit.Exit<unknown, unknown>
} => {
  const { request, child } = requestOf(message._tag, payload, instance)
  return { request, reply: (answer) => replyOf(instance.displayName, child, answer) }
}

const requestOf = (
  tag: string,
  payload: unknown,
  instance: Behaviour.Instance
): { readonly request: Request<ShellTypes>; readonly child: string } => {
  const { args, id, pid, spec } = (payload ?? {}) as {
    readonly id: string
    readonly pid: Pid
    readonly args: unknown
    readonly spec: ChildOptions<StartFunction>
  }
  switch (tag) {
    case "WhichChildren":
      return { request: { _tag: "WhichChildren" }, child: "" }
    case "CountChildren":
      return { request: { _tag: "CountChildren" }, child: "" }
    case "StartChild":
      return { request: { _tag: "StartChild", spec }, child: spec.id }
    case "StartDynamicChild":
      return { request: { _tag: "StartDynamicChild", args }, child: "" }
    case "TerminateDynamicChild": {
      // A pid may be an equal copy; the core knows processes by the pid they were made with.
      const process = instance.node.resolve(pid)
      return {
        request: { _tag: "TerminateDynamicChild", key: process?.pid ?? pid, alive: process !== undefined },
        child: pid.toString()
      }
    }
    default:
      return {
        request: { _tag: tag as "TerminateChild" | "RestartChild" | "DeleteChild" | "GetChildSpec", id },
        child: id
      }
  }
}

const replyOf = (supervisor: string, child: string, answer: Answer<ShellTypes>): Exit.Exit<unknown, unknown> => {
  const refuse = (reason: SupervisorError["reason"], detail: unknown): Exit.Exit<never, SupervisorError> =>
    Exit.fail(new SupervisorError({ supervisor, child, reason, detail }))
  switch (answer._tag) {
    case "Started":
      return Exit.succeed(Option.some(answer.key))
    case "Ignored":
      return Exit.succeed(Option.none())
    case "Done":
      return Exit.void
    case "Spec": {
      const { start: _, ...spec } = answer.spec
      return Exit.succeed(spec)
    }
    case "Children":
      return Exit.succeed(answer.children.map(({ id, key, status, type }) => ({
        id: Option.fromUndefinedOr(id),
        pid: Option.fromUndefinedOr(key),
        status,
        type
      })))
    case "Counts": {
      const { _tag: _, ...counts } = answer
      return Exit.succeed(counts)
    }
    case "AlreadyStarted":
    case "Running":
      return refuse(answer._tag, answer.key)
    case "AlreadyPresent":
    case "Restarting":
    case "NotFound":
      return refuse(answer._tag, undefined)
    case "MaxChildren":
      return refuse("MaxChildren", answer.maxChildren)
    case "SimpleOneForOne":
      return refuse("NotStatic", undefined)
    case "NotSimpleOneForOne":
      return refuse("NotDynamic", undefined)
    case "InvalidSpec":
      return refuse("InvalidSpec", answer.error)
    case "StartFailed":
      return refuse("StartFailed", answer.reason._tag === "Error" ? answer.reason.error : answer.reason)
  }
}
