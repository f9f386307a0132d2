/**
 * The server of an external program: a process that ends with it, and it with the process.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as ChildProcess from "effect/process/ChildProcess"
import type { ChildProcessHandle } from "effect/process/ChildProcessSpawner"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as GenServer from "../../otp/GenServer.ts"
import * as Behaviour from "../../process/Behaviour.ts"
import * as ExitReason from "../../process/ExitReason.ts"
import type { Context as HandlerContext } from "../../process/Handler.ts"
import type * as Protocol from "../../process/Protocol.ts"
import * as Framing from "../Framing.ts"
import { ConnectionClosed, type FrameError, PortError, PortExit } from "../NetError.ts"
import { adapt, type Callback, contextOf, eachFrame, type Live, wrapHandlers } from "./Callbacks.ts"

/** The parts of a port, untyped. The public constructor has checked the types. */
export interface PortParts {
  readonly command: (args: unknown) => ChildProcess.Command
  readonly framing: Framing.Framing<unknown, unknown>
  readonly init: Callback
  readonly frame: Callback
  readonly exited: Callback | undefined
  readonly timeout: Callback | undefined
  readonly handlers: { readonly [tag: string]: Callback | undefined }
  readonly logsErrors: boolean
  readonly killAfterMillis: number
}

type AnyCallback = (...args: ReadonlyArray<unknown>) => unknown

/** How many frames may wait for the program to read them, before writers wait. */
const inputCapacity = 16

/** How long what the program has written may take to come after its end: others may hold its output open. */
const lastWords = "1 second"

/** The input of a program. */
class Input {
  readonly osPid: number
  private readonly name: string
  private readonly framing: Framing.Framing<unknown, unknown>
  private readonly queue: Queue.Queue<Uint8Array, Cause.Done>
  private readonly handle: ChildProcessHandle
  private readonly killAfterMillis: number

  constructor(
    name: string,
    framing: Framing.Framing<unknown, unknown>,
    queue: Queue.Queue<Uint8Array, Cause.Done>,
    handle: ChildProcessHandle,
    killAfterMillis: number
  ) {
    this.name = name
    this.osPid = handle.pid
    this.framing = framing
    this.queue = queue
    this.handle = handle
    this.killAfterMillis = killAfterMillis
  }

  write(frame: unknown): Effect.Effect<void, ConnectionClosed | FrameError> {
    return Effect.suspend((): Effect.Effect<void, ConnectionClosed | FrameError> => {
      const bytes = this.framing.encodeFrame(frame)
      if (Result.isFailure(bytes)) return Effect.fail(bytes.failure)
      return Effect.flatMap(Queue.offer(this.queue, bytes.success), (taken) =>
        taken
          ? Effect.void
          : Effect.fail(new ConnectionClosed({ peer: this.name, detail: "its input is closed" })))
    })
  }

  get end(): Effect.Effect<void> {
    return Effect.asVoid(Queue.end(this.queue))
  }

  get kill(): Effect.Effect<void> {
    return Effect.ignore(this.handle.kill({ forceKillAfter: this.killAfterMillis }))
  }
}

interface LivePort extends Live {
  readonly port: Input
  readonly context: HandlerContext
}

/** The program of a command, for errors. Its arguments may hold what nobody else should read. */
const nameOf = (command: ChildProcess.Command): string =>
  command._tag === "StandardCommand" ? command.command : "a pipeline"

/** Makes the server of a program. It is started with what its command is made of. */
export const portServer = (
  protocol: Protocol.Any,
  parts: PortParts
): GenServer.GenServer<unknown, never, never, never> => {
  const { framing, killAfterMillis } = parts
  // Callbacks are called with what their types ask for.
  const frame = parts.frame as AnyCallback
  const exited = parts.exited as AnyCallback | undefined
  const timeout = parts.timeout as AnyCallback | undefined
  const nothing = (): unknown => undefined

  /** Hands over what the program writes, chunk by chunk. */
  const read = (live: LivePort, handle: ChildProcessHandle): Effect.Effect<void, unknown> => {
    const decoder = framing.makeDecoder()
    return Effect.andThen(
      Stream.runForEach(handle.stdout, (chunk) => {
        const { error, frames } = decoder.feed(chunk)
        const handled = frames.length === 0 ? Effect.void : Effect.callback<void>((resume) => {
          live.instance.system(() =>
            eachFrame({
              live,
              frames,
              handle: (value) => adapt(live, frame(value, live.user, live.context), nothing),
              isOver: () => false,
              done: () => resume(Effect.void)
            })
          )
        })
        return error === undefined ? handled : Effect.andThen(handled, Effect.fail(error))
      }),
      Effect.suspend(() => {
        const error = decoder.finish()
        return error === undefined ? Effect.void : Effect.fail(error)
      })
    )
  }

  const logErrors = (name: string, handle: ChildProcessHandle): Effect.Effect<void> =>
    handle.stderr.pipe(
      Framing.decode(Framing.lines()),
      Stream.runForEach((line) => parts.logsErrors ? Effect.logWarning(`${name}: ${line}`) : Effect.void),
      // What is no text is nobody's business, but must be read: else the program waits for ever.
      Effect.catch(() => Stream.runDrain(handle.stderr)),
      Effect.ignore
    )

  /** Waits for the end of the program, and of what it has written. */
  const watch = (live: LivePort, name: string, handle: ChildProcessHandle) =>
    Effect.gen(function*() {
      const reading = yield* Effect.forkChild(read(live, handle), { startImmediately: true })
      // Nonsense ends the process at once; the program need not have ended.
      reading.addObserver((exit) => {
        if (exit._tag === "Failure") live.instance.system(() => GenServer.stop(ExitReason.fromCause(exit.cause)))
      })
      const status = yield* Effect.match(handle.exitCode, {
        onFailure: (error) => new PortExit({ command: name, detail: error.message }),
        onSuccess: (code) => new PortExit({ command: name, code, detail: `exit code ${code}` })
      })
      yield* live.port.end
      yield* Effect.timeoutOption(
        Effect.callback<void>((resume) => {
          reading.addObserver(() => resume(Effect.void))
        }),
        lastWords
      )
      live.instance.system(() => {
        if (exited !== undefined) return adapt(live, exited(status, live.user, live.context), nothing)
        return GenServer.stop(status.code === 0 ? ExitReason.normal : ExitReason.error(status))
      })
    })

  return GenServer.make(protocol as never, {
    init: (args: unknown) =>
      Effect.gen(function*() {
        const instance = (yield* Behaviour.current) as Behaviour.Instance // a server runs in an instance
        const command = parts.command(args)
        const name = nameOf(command)
        const handle = yield* Effect.mapError(
          command,
          (error) => new PortError({ command: name, detail: error.message })
        )
        const queue = yield* Queue.bounded<Uint8Array, Cause.Done>(inputCapacity)
        const port = new Input(name, framing, queue, handle, killAfterMillis)
        yield* Effect.addFinalizer(() => Effect.andThen(port.end, port.kill))
        const context = contextOf(instance, { port })
        // A program that does not read its input, or has ended, ends the writing; its exit says more.
        yield* Effect.forkScoped(
          Effect.ensuring(Effect.ignore(Stream.run(Stream.fromQueue(queue), handle.stdin)), Queue.shutdown(queue))
        )
        yield* Effect.forkScoped(logErrors(name, handle))
        const user = yield* (parts.init as AnyCallback)(args, context) as Effect.Effect<unknown>
        const live: LivePort = { user, instance, port, context }
        yield* Effect.forkScoped(watch(live, name, handle))
        return live
      }),
    handlers: wrapHandlers<LivePort>(protocol, parts.handlers, ({ port }) => ({ port }), nothing),
    ...(timeout === undefined ? {} : {
      timeout: (live: LivePort) => adapt(live, timeout(live.user, live.context), nothing)
    }),
    format: ({ port, user }: LivePort) => ({ osPid: port.osPid, state: user })
  } as never) as never // untyped on purpose: the public constructor has the types
}
