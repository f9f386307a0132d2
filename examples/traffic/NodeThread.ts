/**
 * A thread of its own for what blocks: requests in, answers out, in order.
 *
 * The thread belongs to a scope. When the scope closes, it finishes what it was given and ends; what does not end by itself
 * within five seconds is ended. When it ends before, for whatever reason, all who wait are told. At most `capacity` requests
 * are on their way at a time, others wait.
 *
 * The program of the thread calls `serve` of ThreadProgram.ts. It is plain TypeScript: Effect's own worker costs as much for each
 * message, but a thread that has no need of Effect starts in a fifth of the time.
 */
import { Deferred, Effect, Schema, type Scope, Semaphore } from "effect"
import { type Transferable, Worker } from "node:worker_threads"
import type { Answer } from "./ThreadProgram.ts"

/** The thread has ended, or could not be started. */
export class ThreadStopped extends Schema.TaggedError<ThreadStopped>()("ThreadStopped", { message: Schema.String }) {}

/** The thread answers that it could not do it. `code` is what its program calls the failure. */
export class Refused
  extends Schema.TaggedError<Refused>()("Refused", { code: Schema.String, message: Schema.String })
{}

export interface NodeThread {
  /** Waits for the answer. Of what type it is, the program of the thread says. */
  readonly request: (
    message: unknown,
    transfer?: ReadonlyArray<Transferable>
  ) => Effect.Effect<unknown, Refused | ThreadStopped>
  /** Fails when the thread has ended. */
  readonly ended: Effect.Effect<never, ThreadStopped>
}

export interface Options {
  /** The file with the program. */
  readonly program: URL
  /** What the program finds as `workerData`. */
  readonly data: unknown
  /** How many requests may be on their way. */
  readonly capacity: number
}

/** Starts a thread, and waits until it is ready. */
export const make = ({ capacity, data, program }: Options): Effect.Effect<
  NodeThread,
  Refused | ThreadStopped,
  Scope.Scope
> =>
  Effect.gen(function*() {
    const permits = yield* Semaphore.make(capacity)
    const ended = yield* Deferred.make<never, ThreadStopped>()
    // Answers come in the order of the requests. The first one says that the program is ready.
    const ready = Deferred.makeUnsafe<unknown, Refused | ThreadStopped>()
    const waiting = [ready]

    const worker = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const worker = new Worker(program, { workerData: data, execArgv: ["--disable-warning=ExperimentalWarning"] })
        let message = "the thread has ended"
        worker.on("message", (answer: Answer) =>
          void Deferred.doneUnsafe(
            waiting.shift()!,
            answer.ok ? Effect.succeed(answer.value) : Effect.fail(new Refused(answer))
          ))
        worker.once("error", (error) => {
          message = `the thread has crashed: ${error instanceof Error ? error.message : String(error)}`
        })
        worker.once("exit", () => {
          const stopped = Effect.fail(new ThreadStopped({ message }))
          Deferred.doneUnsafe(ended, stopped)
          for (const deferred of waiting.splice(0)) Deferred.doneUnsafe(deferred, stopped)
        })
        return worker
      }),
      (worker) =>
        Effect.sync(() => worker.postMessage(undefined, [])).pipe(
          Effect.andThen(Effect.ignore(Deferred.await(ended))),
          Effect.timeoutOrElse({ duration: "5 seconds", orElse: () => Effect.promise(() => worker.terminate()) })
        )
    )
    yield* Deferred.await(ready)

    const send = (message: unknown, transfer: ReadonlyArray<Transferable>) =>
      Effect.suspend(() => {
        if (Deferred.isDoneUnsafe(ended)) return Deferred.await(ended)
        const answer = Deferred.makeUnsafe<unknown, Refused | ThreadStopped>()
        worker.postMessage(message, transfer)
        waiting.push(answer)
        return Deferred.await(answer)
      })
    return {
      request: (message, transfer = []) => permits.withPermit(send(message, transfer)),
      ended: Deferred.await(ended)
    }
  })
