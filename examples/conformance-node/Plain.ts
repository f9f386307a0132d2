/**
 * The plain process: no server, it takes its messages as they come.
 */
import { Deferred, Effect, Queue } from "effect"
import { Process } from "effect-otp"
import { ExitReasonTerm } from "effect-otp/dist"
import { type Pid, Tuple } from "effect-otp/term"
import { fromPid, fromTag, unbounded } from "./Terms.ts"

/** Answers `{Pid, Ref, T}` with `{Ref, T}`, ends on `{die, Reason}`, and ignores everything else. */
export const plain = (mailbox: Queue.Dequeue<unknown>) =>
  Effect.forever(
    Effect.flatMap(Queue.take(mailbox), (message) => {
      const question = fromPid(message, 3)
      if (question !== undefined) return Process.send(question[0], Tuple.make(question[1]!, question[2]!))
      const end = fromTag(message, "die", 2)
      return end === undefined ? Effect.void : Process.exitSelf(ExitReasonTerm.fromTerm(end[1]!))
    })
  )

/** Starts a plain process that belongs to nobody; it has linked itself when the pid is given. */
export const spawnPlain = (options: { readonly links: ReadonlyArray<Pid.Pid>; readonly trapExit: boolean }) =>
  Effect.gen(function*() {
    const linked = yield* Deferred.make<void>()
    const pid = yield* Process.spawnDetached(
      (mailbox) =>
        Effect.forEach(options.links, (other) => Process.link(other), { discard: true }).pipe(
          Effect.ensuring(Deferred.succeed(linked, undefined)),
          Effect.andThen(plain(mailbox))
        ),
      { label: "plain", trapExit: options.trapExit, mailbox: unbounded }
    )
    yield* Deferred.await(linked)
    return pid
  }).pipe(Effect.orDie) // without a name nothing can be taken
