/**
 * Calls of other nodes, with errors that say what to do.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Node } from "../../dist/Node.ts"
import * as Rpc from "../../dist/Rpc.ts"
import type { RpcError } from "../../dist/RpcError.ts"
import type { CallError } from "../../process/CallError.ts"
import * as ExitReason from "../../process/ExitReason.ts"
import type { Term } from "../../term/Term.ts"
import { CommandError } from "./CommandError.ts"

/** A function of a node, called from here. */
export interface Call {
  readonly node: string
  readonly module: string
  readonly name: string
  readonly args: ReadonlyArray<Term>
}

const seconds = (millis: number): string => `${millis / 1000} s`

/** What became of a call, as the error of a command. */
export const ofRpc = ({ message, node, reason, target }: RpcError): CommandError => {
  switch (reason._tag) {
    case "Undefined":
      return new CommandError({
        reason: "Undefined",
        detail: `${node} has no function ${target}, or does not let others call it. ` +
          "A node of effect-otp answers what it provides with Rpc.provide, and nothing else"
      })
    case "Timeout":
      return new CommandError({
        reason: "Timeout",
        detail: `${target} on ${node} gave no result within ${seconds(reason.timeoutMillis)}; ` +
          "it may still run. --timeout waits longer"
      })
    default:
      return new CommandError({ reason: reason._tag, detail: message })
  }
}

/** What became of a message to a process, as the error of a command. */
export const ofCall = (node: string, process: string, error: CallError): CommandError => {
  const { reason } = error
  const of = (detail: string): CommandError => new CommandError({ reason: reason._tag, detail })
  switch (reason._tag) {
    case "NoProcess":
      return of(`no process of ${node} is registered as ${process}`)
    case "NodeDown":
      return of(`the connection to ${node} was lost before ${process} replied`)
    case "CallTimeout":
      return of(
        `${process} on ${node} did not reply within ${seconds(reason.timeoutMillis)}: it is busy, ` +
          "or does not understand the request. --timeout waits longer"
      )
    case "ProcessExit":
      return of(`${process} on ${node} ended before it replied: ${ExitReason.format(reason.exitReason)}`)
    default:
      return of(error.message)
  }
}

/** Calls a function of a node. */
export const rpc = (
  { args, module, name, node }: Call,
  timeout: Duration.Duration
): Effect.Effect<Term, CommandError, Node> =>
  Effect.mapError(Rpc.callTerm(node, module, name, args, { timeout }), ofRpc)
