/**
 * The process of a running application: starts its tree, stands above it, and takes it down again.
 *
 * Its life is one effect in a fiber of its own, so that the process hears requests to stop at any time, also while a
 * callback runs or a child hangs in its `init`:
 *
 *     tree -> start -> phases -> (running) -> prepStop -> stop of the tree -> stop
 *
 * Guarantees: `prepStop` and `stop` run exactly when `start` was done (or there is none), `stop` after the tree is gone;
 * their failures are logged and change nothing. A start that fails or is stopped takes down what it has started. The
 * process ends with the reason of its tree, or with the one it was asked to stop with.
 *
 * Refuses exit signals of anybody but its owner, as supervisors do. A kill cannot be refused: the tree is taken down by
 * its link, and no callback runs.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Behaviour from "../../process/Behaviour.ts"
import * as ExitReason from "../../process/ExitReason.ts"
import type { Core } from "../../process/Protocol.ts"
import { stop } from "../../process/Transition.ts"
import { ApplicationStartError } from "./ApplicationError.ts"
import type { StartType } from "./ApplicationRules.ts"
import type { StartFunction } from "./SupervisorShell.ts"

type Callback = Effect.Effect<unknown, unknown, unknown>

/** An application as it was defined, without its types. */
export interface Definition {
  readonly name: string
  readonly description: string
  readonly version: string
  readonly startType: StartType | undefined
  /** Names, or applications that are loaded when they are needed. */
  readonly applications: ReadonlyArray<string | Definition>
  readonly env: { readonly [key: string]: unknown }
  readonly lifespanMillis: number | undefined
  /** Starts the top of the tree; undefined for an application without processes. */
  readonly tree: StartFunction | undefined
  readonly start: ((type: StartType) => Callback) | undefined
  readonly phases: ReadonlyArray<{ readonly name: string; readonly run: Callback }>
  readonly prepStop: ((state: unknown) => Callback) | undefined
  readonly stop: ((state: unknown, reason: ExitReason.ExitReason) => Callback) | undefined
}

/** What the process is started with. */
export interface ApplicationArguments {
  readonly definition: Definition
  readonly startType: StartType
  /** Gets the top of the tree before it runs. */
  readonly onTop: (top: Behaviour.Process) => void
}

/** How long `stop` waits for the children of a top that did not stop them, before what is left is killed after it. */
const orphansMillis = 5000

/** The live processes that were started by a process, by those, and so on; itself first while it lives. */
export const insideOf = (process: Behaviour.Process): ReadonlyArray<Behaviour.Process> =>
  [...process.node.processes.values()].filter((member) => {
    for (let p: Behaviour.Process | undefined = member; p !== undefined; p = p.parent) if (p === process) return true
    return false
  })

class Lifespan extends Behaviour.Timer {
  readonly onFire: () => void

  constructor(onFire: () => void) {
    super()
    this.onFire = onFire
  }

  fire(): void {
    this.onFire()
  }
}

/** The state of the process. */
class Application {
  readonly instance: Behaviour.Instance
  readonly definition: Definition
  readonly startType: StartType
  stage: "starting" | "running" | "stopping" = "starting"
  private readonly onTop: (top: Behaviour.Process) => void
  private readonly stopRequest = Deferred.makeUnsafe<ExitReason.ExitReason>()
  private top: Behaviour.Process | undefined = undefined
  private step = "tree"
  /** Whether `start` was done, and what it gave. */
  private started = false
  private state: unknown = undefined

  constructor(instance: Behaviour.Instance, { definition, onTop, startType }: ApplicationArguments) {
    this.instance = instance
    this.definition = definition
    this.startType = startType
    this.onTop = onTop
  }

  /** Asks the application to end; only the first word counts. */
  requestStop(reason: ExitReason.ExitReason): void {
    Deferred.doneUnsafe(this.stopRequest, Exit.succeed(reason))
  }

  /** From start to end. What it gives is the reason of the end. */
  life(): Effect.Effect<ExitReason.ExitReason, never, unknown> {
    return Effect.gen({ self: this }, function*() {
      const up = yield* Effect.exit(Effect.andThen(this.startTree(), Effect.suspend(() => this.startUp())))
      if (Exit.isFailure(up)) {
        yield* this.takeDown(ExitReason.shutdown)
        const error = this.failure(Cause.squash(up.cause))
        this.instance.acknowledge({ _tag: "Failed", cause: Cause.fail(error) })
        return ExitReason.shutdownWith(error)
      }
      this.stage = "running"
      const lifespan = this.armLifespan()
      this.instance.acknowledge({ _tag: "Started" })
      const reason = yield* this.end
      if (lifespan !== undefined) Behaviour.cancelTimer(this.instance, lifespan)
      yield* this.takeDown(reason)
      return reason
    })
  }

  /** The request to stop, or the end of the tree by itself. */
  private get end(): Effect.Effect<ExitReason.ExitReason> {
    const requested = Deferred.await(this.stopRequest)
    return this.top === undefined ? requested : Effect.raceFirst(requested, Behaviour.awaitEnd(this.top))
  }

  private failure(error: unknown): ApplicationStartError<unknown> {
    const { name } = this.definition
    return new ApplicationStartError({ application: name, path: [name], step: this.step, error })
  }

  // --- up ------------------------------------------------------------------------------------------------------------

  private startTree(): Effect.Effect<void, unknown, unknown> {
    const { tree } = this.definition
    if (tree === undefined) return Effect.void
    return Effect.gen({ self: this }, function*() {
      // A start under way is asked to end, as a supervisor asks its child: interrupting it would kill.
      const abort = yield* Effect.forkChild(
        Effect.map(Deferred.await(this.stopRequest), () => this.askTreeToEnd())
      )
      const outcome = yield* Effect.exit(tree(undefined, (process) => {
        this.top = process
        this.onTop(process)
      }))
      yield* Fiber.interrupt(abort)
      return yield* Effect.asVoid(outcome)
    })
  }

  /** The callbacks after the start of the tree, until the application is asked to stop or its tree ends. */
  private startUp(): Effect.Effect<void, unknown, unknown> {
    const callbacks = Effect.gen({ self: this }, function*() {
      const { phases, start } = this.definition
      if (start !== undefined) {
        this.step = "start"
        this.state = yield* start(this.startType)
      }
      this.started = true
      for (const { name, run } of phases) {
        this.step = `phase ${name}`
        yield* run
      }
    })
    return Effect.raceFirst(callbacks, Effect.flatMap(this.end, (reason) => Effect.fail(reason)))
  }

  private armLifespan(): Lifespan | undefined {
    const { lifespanMillis } = this.definition
    if (lifespanMillis === undefined) return undefined
    const lifespan = new Lifespan(() => {
      this.instance.system(() => {
        this.requestStop(ExitReason.normal)
      })
    })
    Behaviour.armTimer(this.instance, lifespan, lifespanMillis)
    return lifespan
  }

  // --- down ----------------------------------------------------------------------------------------------------------

  private takeDown(reason: ExitReason.ExitReason): Effect.Effect<void, never, unknown> {
    return Effect.gen({ self: this }, function*() {
      const { prepStop, stop } = this.definition
      this.stage = "stopping"
      if (this.mayCall && prepStop !== undefined) yield* this.guard("prepStop", () => prepStop(this.state))
      if (this.top !== undefined) {
        this.askTreeToEnd()
        const ended = yield* Behaviour.awaitEnd(this.top)
        // A top that was killed or crashed did not stop its children: they learn of it by their links.
        if (!ExitReason.isOrderly(ended)) {
          yield* Effect.timeoutOption(
            Effect.forEach(insideOf(this.top), Behaviour.awaitEnd, { discard: true }),
            orphansMillis
          )
        }
      }
      if (this.mayCall && stop !== undefined) yield* this.guard("stop", () => stop(this.state, reason))
    })
  }

  /** Callbacks of the end run when `start` was done, and no more when the process was killed. */
  private get mayCall(): boolean {
    return this.started && this.instance.alive
  }

  private askTreeToEnd(): void {
    this.top?.exitSignal(this.instance.pid, ExitReason.shutdown, false, true)
  }

  /** The application goes down whatever its callbacks say. */
  private guard(callback: string, run: () => Callback): Effect.Effect<void, never, unknown> {
    return Effect.catchCause(Effect.asVoid(Effect.suspend(run)), (cause) =>
      Cause.hasInterruptsOnly(cause)
        ? Effect.failCause(cause as Cause.Cause<never>) // no failure in it
        : Effect.logError(`application ${this.definition.name}: ${callback} failed`, Cause.pretty(cause)))
  }
}

const protocol: Core = { name: "Application", messages: [], indexByTag: new Map() }

/** The behaviour of all applications. */
export const applicationBehaviour: Behaviour.Behaviour = {
  name: "Application",
  protocol,
  ownsExit: true,
  init: (instance, args) => {
    instance.trapExit = true
    const application = new Application(instance, args as ApplicationArguments)
    const life = Effect.matchCause(application.life(), {
      onFailure: ExitReason.fromCause,
      onSuccess: (reason) => reason
    })
    return Effect.as(
      Effect.forkIn(
        Effect.map(life, (reason) => {
          instance.system(() => stop(reason))
        }),
        instance.scope
      ),
      new Behaviour.Started(application, undefined, true)
    )
  },
  handle: (instance, envelope) => {
    const application = instance.state as Application
    if (envelope.kind === Behaviour.STOP) {
      application.requestStop(envelope.payload)
    } else if (envelope.kind === Behaviour.EXIT) {
      if (envelope.fromParent) application.requestStop(envelope.payload.reason)
    } else {
      instance.node.unhandled++
    }
    return undefined
  },
  terminate: () => undefined,
  format: (state) => {
    const { definition, stage, startType } = state as Application
    return { name: definition.name, version: definition.version, startType, stage }
  }
}
