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
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpServerRespondable from "effect/http/HttpServerRespondable"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Schema from "effect/Schema"
import * as GenServer from "../../otp/GenServer.ts"
import * as Behaviour from "../../process/Behaviour.ts"
import type * as CallError from "../../process/CallError.ts"
import * as Message from "../../process/Message.ts"
import * as Protocol from "../../process/Protocol.ts"

type Response = HttpServerResponse.HttpServerResponse

/** A request on its way to a handler. */
export class Job {
  readonly app: Effect.Effect<Response, unknown, unknown>
  /** The services of the request; its scope lives until the response is sent. */
  readonly context: Context.Context<never>
  /** Whether a handler has begun with it. */
  begun = false
  /** Whether nobody waits for it any more. */
  cancelled = false
  private fiber: Fiber.Fiber<Response, unknown> | undefined = undefined

  constructor(app: Effect.Effect<Response, unknown, unknown>, context: Context.Context<never>) {
    this.app = app
    this.context = context
  }

  /** Runs it in a process, as far as it goes without waiting. */
  begin(process: Behaviour.Process): Fiber.Fiber<Response, unknown> {
    this.begun = true
    return this.fiber = Effect.runForkWith(Behaviour.within(process, this.context))(
      this.app as Effect.Effect<Response, unknown> // its services are those of the request
    )
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

/** The reply to a request that has ended, or the crash that it is. */
const settled = (exit: Exit.Exit<Response, unknown>): Exit.Exit<Exit.Exit<Response, unknown>> =>
  Exit.isFailure(exit) && isCrash(exit.cause)
    ? Exit.failCause(exit.cause as Cause.Cause<never>) // the failures of a request are in its exit
    : Exit.succeed(exit)

/** The server of a handler. Its reply is the exit of the request. */
export const handlerServer: GenServer.GenServer<void, Run, never, never> = GenServer
  .make(WebHandler, {
    init: () => Effect.map(Behaviour.current, (process) => process!), // a server runs in one
    handlers: {
      Run: (job, process) => {
        if (job.cancelled) return gone
        // In a fiber of its own, which can be interrupted without the process. Most requests are answered at once, in
        // the turn of the fiber that asks.
        const fiber = job.begin(process)
        const exit = fiber.pollUnsafe()
        if (exit !== undefined) return settled(exit)
        // It ends with the process, also when that ends before it has come to wait here.
        Fiber.runIn(fiber, process.scope)
        return Effect.flatMap(Effect.onInterrupt(Fiber.await(fiber), () => Fiber.interrupt(fiber)), settled)
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

/** The handlers that there are, behind one ref. */
export interface Handlers {
  current: {
    readonly Run: (job: Job, options: { readonly timeout: number }) => Effect.Effect<unknown, CallError.CallError>
  } | undefined
}

/** Runs a request in one of the handlers. */
export const runIn = <E, R>(
  handlers: Handlers,
  app: Effect.Effect<Response, E, R>,
  limitMillis: number,
  answers: Answers
): Effect.Effect<Response, E, R> =>
  Effect.withFiber((fiber) => {
    const job = new Job(app, fiber.context)
    // There are handlers since before there was a request.
    const attempt = (): Effect.Effect<Response, E> =>
      Effect.matchEffect(handlers.current!.Run(job, { timeout: limitMillis }), {
        onFailure: (error): Effect.Effect<Response, E> => {
          // A handler has crashed with the request before this one: another takes it.
          if (error.reason._tag === "ProcessExit" && !job.begun) return attempt()
          if (error.reason._tag === "CallTimeout") job.cancel()
          return Effect.succeed(responseOf(error, answers))
        },
        onSuccess: (exit) => exit as Exit.Exit<Response, E>
      })
    return Effect.onInterrupt(attempt(), () => Effect.sync(() => job.cancel()))
  })
