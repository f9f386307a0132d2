/**
 * The replicated state machine as a member sees it: operations that take bytes, and answers that are bytes.
 *
 * Whatever an operation does, there is an answer: what it gave, its typed error, or the text of why there is neither. It is
 * the same on every member, as long as the functions are.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import type { Compiled } from "../../etf/Compiled.ts"
import type { Command } from "./MessageBytes.ts"
import { RecordReader, RecordWriter } from "./Records.ts"

/** What a command or a read came to. */
export interface Outcome {
  /** The answer; a cast has none. */
  readonly exit: Exit.Exit<unknown, unknown> | undefined
  readonly state: unknown
}

/** One message of the protocol, ready for bytes. */
export interface Operation {
  readonly payload: Compiled<unknown>
  readonly success: Compiled<unknown>
  readonly error: Compiled<unknown>
  /** Whether it is a read, which goes through no log. */
  readonly reads: boolean
  readonly run: (payload: unknown, state: unknown) => Outcome
}

/** The replicated state machine. */
export interface Machine {
  readonly operations: ReadonlyMap<string, Operation>
  readonly state: Compiled<unknown>
  readonly initial: unknown
}

const SUCCESS = 0
const FAILURE = 1
const DEFECT = 2

/** Runs an operation. A throw must not end the process: every member would throw at the same entry, after each restart. */
export const run = (operation: Operation, payload: unknown, state: unknown): Outcome => {
  const outcome = Result.try(() => operation.run(payload, state))
  return Result.isFailure(outcome) ? { exit: Exit.die(outcome.failure), state } : outcome.success
}

const defect = (text: string): Uint8Array => new RecordWriter().byte(DEFECT).text(text).take()

const answerOf = (
  kind: typeof SUCCESS | typeof FAILURE,
  schema: Compiled<unknown>,
  value: unknown
): Uint8Array => {
  const bytes = schema.encode(value)
  return Result.isFailure(bytes)
    ? defect(bytes.failure.message)
    : new RecordWriter().byte(kind).raw(bytes.success).take()
}

/** Carries out a command: the next state, and the answer. */
export const perform = (
  machine: Machine,
  { payload, tag }: Command,
  before: unknown
): { readonly state: unknown; readonly answer: Uint8Array } => {
  const operation = machine.operations.get(tag)
  if (operation === undefined) {
    return { state: before, answer: defect(`no message of the protocol is called ${tag}`) }
  }
  const value = operation.payload.decode(payload)
  if (Result.isFailure(value)) return { state: before, answer: defect(value.failure.message) }
  const { exit, state } = run(operation, value.success, before)
  if (exit === undefined || Exit.isSuccess(exit)) {
    return { state, answer: answerOf(SUCCESS, operation.success, exit?.value) }
  }
  const error = Cause.findError(exit.cause)
  const answer = Result.isFailure(error)
    ? defect(String(Cause.squash(exit.cause)))
    : answerOf(FAILURE, operation.error, error.success)
  return { state, answer }
}

/** What an answer says: a defect is for the caller's call, everything else for its protocol. */
export const read = (operation: Operation, answer: Uint8Array): Exit.Exit<unknown, unknown> => {
  const reader = new RecordReader(answer, 0)
  const kind = reader.byte()
  if (kind === DEFECT) return Exit.die(new Error(reader.text()))
  const value = (kind === SUCCESS ? operation.success : operation.error).decode(reader.raw())
  if (Result.isFailure(value)) return Exit.die(value.failure)
  return kind === SUCCESS ? Exit.succeed(value.success) : Exit.fail(value.success)
}
