/**
 * The group leader: the process that gets what a process prints.
 *
 * A process that another node has started has the group leader of whoever asked for it, so that what it prints appears
 * there; what it starts itself has the same one. Every other process has that of its node: the process `user`, which
 * prints on the console of Effect. Output travels by the io protocol of Erlang, so that the group leader may be a process
 * of any node, and Erlang code may print to one of ours.
 *
 * Guarantees: `print` returns when the group leader has taken the text, and fails with a typed error when that is
 * gone, refuses or does not answer. Refused: input. Who asks `user` for a line gets `{error, enotsup}`.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Address } from "../process/Address.ts"
import * as ExitReason from "../process/ExitReason.ts"
import { Node } from "../process/Node.ts"
import * as Process from "../process/Process.ts"
import { Down } from "../process/Signal.ts"
import * as Atom from "../term/Atom.ts"
import { isPid, type Pid } from "../term/Pid.ts"
import { equals as sameReference, isReference } from "../term/Reference.ts"
import { print as printTerm, type Term } from "../term/Term.ts"
import { Tuple } from "../term/Tuple.ts"
import { utf8 } from "./internal/Bytes.ts"

type ErrorOf<Self, Tag extends string, Fields extends Schema.Struct.Fields> = Schema.Class<
  Self,
  Schema.TaggedStruct<Tag, Fields>,
  Cause.YieldableError
>

const IoErrorBase: ErrorOf<IoError, "IoError", { readonly detail: typeof Schema.String }> = Schema.TaggedError<
  IoError
>()("IoError", { detail: Schema.String })

/**
 * A group leader did not take what was to be printed. `detail` says why: it is gone, it did not answer in time, or what
 * it answered.
 *
 * @category errors
 * @since 0.1.0
 */
export class IoError extends IoErrorBase {
  override get message(): string {
    return `the group leader did not print: ${this.detail}`
  }
}

const leader: Context.Reference<Pid | undefined> = Context.Reference<Pid | undefined>("effect-otp/GroupLeader", {
  defaultValue: () => undefined
})

/**
 * The group leader of what runs: a process by pid, or the process `user` of this node.
 *
 * @category getters
 * @since 0.1.0
 */
export const get: Effect.Effect<Address> = Effect.map(leader, (pid) => pid ?? user)

/** Who prints when nobody else does. */
const user: Address = { name: "user" }

/**
 * Gives an effect, and the processes that it starts, another group leader.
 *
 * @category combinators
 * @since 0.1.0
 */
export const set = (pid: Pid) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(effect, leader, pid)

/** @internal */
export const leaderIn = (context: Context.Context<never>): Pid | undefined => Context.get(context, leader)

/** @internal */
export const withLeader = (context: Context.Context<never>, pid: Pid | undefined): Context.Context<never> =>
  Context.add(context, leader, pid)

const atoms = {
  ioRequest: Atom.make("io_request"),
  putChars: Atom.make("put_chars"),
  unicode: Atom.make("unicode")
}

/**
 * Prints a text to the group leader and waits until that has taken it, 5 seconds at most unless `timeout` says otherwise.
 * Nothing is appended: end a line with `\n`.
 *
 * @example
 * ```ts
 * import { GroupLeader } from "effect-otp/dist"
 *
 * const hello = GroupLeader.print("hello\n")
 * ```
 *
 * @category printing
 * @since 0.1.0
 */
export const print = (
  text: string,
  options?: { readonly timeout?: Duration.Input }
): Effect.Effect<void, IoError, Node> =>
  Effect.flatMap(leader, (pid) => {
    const timeout = options?.timeout ?? "5 seconds"
    // In a process of its own, so that an answer that comes late does not stay in the mailbox of the one that prints.
    return Effect.flatMap(
      Effect.exit(Process.run(request(pid, text, timeout))),
      (exit) =>
        exit._tag === "Success"
          ? exit.value === undefined ? Effect.void : Effect.fail(new IoError({ detail: exit.value }))
          : Effect.failCause(exit.cause as Cause.Cause<never>)
    )
  })

/** Undefined, or what went wrong. */
const request = (
  pid: Pid | undefined,
  text: string,
  timeout: Duration.Input
): Effect.Effect<string | undefined, never, Process.CurrentProcess | Node> =>
  Effect.gen(function*() {
    const { runtime } = yield* Node
    const to: Address = pid ?? user
    const from = yield* Process.self
    const ref = yield* Process.monitor(to)
    const reply = Schema.declare((u: unknown): u is Down | Tuple =>
      u instanceof Down ? sameReference(u.ref, ref) : isReplyTo(u, ref)
    )
    const body = new Tuple([atoms.putChars, atoms.unicode, utf8(text)])
    yield* Effect.ignore(Process.trySend(to, new Tuple([atoms.ioRequest, from, ref, body])))
    const answer = yield* Process.receive(reply, { timeout })
    if (Option.isNone(answer)) {
      return `no answer within ${Duration.toMillis(Duration.fromInputUnsafe(timeout))} ms`
    }
    if (answer.value instanceof Down) {
      return answer.value.reason._tag === "NoProc"
        ? `there is no process ${isPid(to) ? to.toString() : `${user.name} on ${runtime.name}`}`
        : `it ended: ${ExitReason.format(answer.value.reason)}`
    }
    const result = answer.value.elements[2]!
    return Atom.is(result, "ok") ? undefined : printTerm(result)
  })

const isReplyTo = (u: unknown, ref: Term): u is Tuple =>
  u instanceof Tuple && u.arity === 3 && Atom.is(u.elements[0], "io_reply") && isReference(u.elements[1]) &&
  isReference(ref) && sameReference(u.elements[1], ref)
