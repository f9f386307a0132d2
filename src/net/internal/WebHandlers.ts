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

  constructor(run: Effect.Effect<Response, unknown>) {
    this.run = run
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
      Run: (job, _, context) => {
        job.begun = true
        return GenServer.cancellable(
          Effect.flatMap(
            Effect.exit(job.run),
            (exit) =>
              Exit.isFailure(exit) && isCrash(exit.cause)
                ? Effect.failCause(exit.cause as Cause.Cause<never>)
                : Effect.succeed(exit)
          ),
          context
        )
      }
    }
  })

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

/** Runs a request in one of the handlers behind a ref. */
export const runIn = <E, R>(
  handlers: {
    readonly Run: (job: Job, options: { readonly timeout: "Infinity" }) => Effect.Effect<unknown, CallError.CallError>
  },
  app: Effect.Effect<Response, E, R>,
  limitMillis: number,
  answers: Answers
): Effect.Effect<Response, E, R> =>
  Effect.flatMap(
    Behaviour.services<R>(),
    (services) =>
      Effect.flatMap(Effect.contextWith((context: Context.Context<never>) => Effect.succeed(context)), (context) => {
        // The scope of the request, which lives until the response is sent; not the process that its server runs in.
        const scope = Context.getOrUndefined(context as Context.Context<Scope.Scope>, Scope.Scope)
        const own = scope === undefined ? services : Context.add(services, Scope.Scope, scope)
        const job = new Job(Effect.provideContext(app, own as Context.Context<R>) as Effect.Effect<Response, unknown>)
        const attempt: Effect.Effect<Response, E> = Effect.matchEffect(handlers.Run(job, { timeout: "Infinity" }), {
          // A handler has crashed with the request before this one: another takes it.
          onFailure: (error): Effect.Effect<Response, E> =>
            error.reason._tag === "ProcessExit" && !job.begun ? attempt : Effect.succeed(responseOf(error, answers)),
          onSuccess: (exit) => exit as Exit.Exit<Response, E>
        })
        // In a fiber that ends with the limit: the handler notices that, and interrupts what it runs.
        return Effect.timeoutOrElse(attempt, { duration: limitMillis, orElse: () => Effect.succeed(late) })
      })
  )
