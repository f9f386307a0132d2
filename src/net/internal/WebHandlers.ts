/**
 * Processes that handle requests: each runs one at a time, and what is left over of a request ends with it.
 *
 * A request is an Effect with the services of its own fiber. It runs in a fiber of the handler's process, so that a defect
 * is a crash of that process; a failure belongs to the request and goes back to it. When its client goes away, or its time
 * has passed, it is interrupted there.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpServerRespondable from "effect/http/HttpServerRespondable"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as GenServer from "../../otp/GenServer.ts"
import * as Behaviour from "../../process/Behaviour.ts"
import type * as CallError from "../../process/CallError.ts"
import * as Message from "../../process/Message.ts"
import * as Protocol from "../../process/Protocol.ts"

type Response = HttpServerResponse.HttpServerResponse

/** A request on its way to a handler. */
export class Job {
  readonly run: Effect.Effect<Response, unknown>
  /** Whether a handler has begun with it. */
  begun = false
  /** Whether nobody waits for it any more. */
  cancelled = false
  fiber: Fiber.Fiber<Response, unknown> | undefined = undefined

  constructor(run: Effect.Effect<Response, unknown>) {
    this.run = run
  }

  /** Interrupts it, wherever it is. */
  cancel(): void {
    this.cancelled = true
    this.fiber?.interruptUnsafe()
  }
}

type Run = Message.Message<"Run", "Call", Schema.instanceOf<Job>, typeof Schema.Unknown, typeof Schema.Never>

/** What handlers understand: what the middleware hands them. Nothing else is an instance of the class. */
const WebHandler: Protocol.Protocol<"WebHandler", Run> = Protocol.make(
  "WebHandler",
  Message.Call("Run", { payload: Schema.instanceOf(Job), success: Schema.Unknown })
)

/** A response that is thrown is a response, and no crash. */
const isCrash = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.some((reason) =>
    Cause.isDieReason(reason) && !HttpServerResponse.isHttpServerResponse(reason.defect) &&
    !HttpServerRespondable.isRespondable(reason.defect)
  )

/** The server of a handler. Its reply is the exit of the request. */
export const handlerServer: GenServer.GenServer<void, Run, never, never> = GenServer
  .make(WebHandler, {
    init: () => Effect.void,
    handlers: {
      Run: (job) => {
        job.begun = true
        if (job.cancelled) return gone
        // In a fiber of its own, which can be interrupted without the process.
        return Effect.flatMap(Effect.forkChild(job.run, { startImmediately: true }), (fiber) => {
          job.fiber = fiber
          return Effect.flatMap(Fiber.await(fiber), (exit) =>
            Exit.isFailure(exit) && isCrash(exit.cause)
              ? Effect.failCause(exit.cause as Cause.Cause<never>)
              : Effect.succeed(exit))
        })
      }
    }
  })

/** The reply that nobody waits for. */
const gone = Exit.succeed(Exit.interrupt())

/** How requests are answered that no handler has answered. Nothing of the reason is told to the client. */
export interface Answers {
  readonly retryAfterSeconds: number
}

const empty = (status: number, headers?: Record<string, string>): Response =>
  HttpServerResponse.empty(headers === undefined ? { status } : { status, headers })

/** Nobody has room, or is there: the client may try again. */
export const overloaded = ({ retryAfterSeconds }: Answers): Response =>
  empty(503, { "retry-after": String(retryAfterSeconds) })

/** Nobody has answered in time. */
export const late: Response = empty(504)

/** The response that a failed call stands for. */
export const responseOf = (error: CallError.CallError, answers: Answers): Response => {
  switch (error.reason._tag) {
    case "MailboxFull":
    case "NoProcess":
      return overloaded(answers)
    case "CallTimeout":
      return late
    case "NodeDown":
    case "MalformedReply":
      return empty(502)
    case "ProcessExit":
    case "CallingSelf":
      return empty(500)
  }
}

/**
 * The services of a request, with its scope, which lives until the response is sent; without the process that its server
 * may run in.
 */
const servicesOf = <R>(): Effect.Effect<Context.Context<R>, never, R> =>
  Effect.flatMap(
    Behaviour.current,
    (process) =>
      process === undefined ? Effect.context<R>() : Effect.flatMap(Behaviour.services<R>(), (services) =>
        Effect.map(
          Effect.context<R>(),
          (context) =>
            Context.add(
              services,
              Scope.Scope,
              Context.getUnsafe(context, Scope.Scope)
            ) as unknown as Context.Context<R> // what is left out is in no R
        ))
  )

/** Runs a request in one of the handlers behind a ref. */
export const runIn = <E, R>(
  handlers: {
    readonly Run: (job: Job, options: { readonly timeout: number }) => Effect.Effect<unknown, CallError.CallError>
  },
  app: Effect.Effect<Response, E, R>,
  limitMillis: number,
  answers: Answers
): Effect.Effect<Response, E, R> =>
  Effect.flatMap(servicesOf<R>(), (services) => {
    const job = new Job(Effect.provideContext(app, services) as Effect.Effect<Response, unknown>)
    const attempt: Effect.Effect<Response, E> = Effect.matchEffect(handlers.Run(job, { timeout: limitMillis }), {
      onFailure: (error): Effect.Effect<Response, E> => {
        // A handler has crashed with the request before this one: another takes it.
        if (error.reason._tag === "ProcessExit" && !job.begun) return attempt
        if (error.reason._tag === "CallTimeout") job.cancel()
        return Effect.succeed(responseOf(error, answers))
      },
      onSuccess: (exit) => exit as Exit.Exit<Response, E>
    })
    return Effect.onInterrupt(attempt, () => Effect.sync(() => job.cancel()))
  })
