/**
 * Dynamic supervisors: any number of children of one kind, started on demand (OTP's `simple_one_for_one`).
 *
 * Each child is started with arguments of its own, which are kept for its restarts. Restart intensity counts over all
 * children. On shutdown all children are stopped at the same time, with one limit for all of them.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Behaviour from "../process/Behaviour.ts"
import { type CallError, Ignored, StartError } from "../process/CallError.ts"
import type { ExitReason } from "../process/ExitReason.ts"
import type { MailboxOptions } from "../process/Mailbox.ts"
import type * as Message from "../process/Message.ts"
import { Node } from "../process/Node.ts"
import * as Process from "../process/Process.ts"
import type { ProcessRef } from "../process/ProcessRef.ts"
import type * as Protocol from "../process/Protocol.ts"
import type { Pid } from "../term/Pid.ts"
import type * as GenServer from "./GenServer.ts"
import { supervisorProtocol, toRequest } from "./internal/SupervisorMessages.ts"
import { type StartFunction, supervisorBehaviour } from "./internal/SupervisorShell.ts"
import * as Spec from "./internal/SupervisorSpec.ts"
import type { SupervisorError } from "./OtpError.ts"
import * as Supervisor from "./Supervisor.ts"

const TypeId = "~effect-otp/DynamicSupervisor"

/**
 * A supervisor of children of one kind. `Args` is what each child is started with, `M` what it understands, `E` how its start
 * can fail, `R` what all of them need.
 *
 * @category models
 * @since 0.1.0
 */
export interface DynamicSupervisor<in Args, in out M extends Message.Any, out E, out R> {
  readonly [TypeId]: {
    readonly _Args: (_: Args) => void
    readonly _M: (_: M) => M
    readonly _E: () => E
    readonly _R: () => R
  }
  /** @internal */
  readonly protocol: Protocol.Core
  /** The supervisor as the runtime sees it. */
  readonly behaviour: Behaviour.Behaviour
}

/**
 * Options of a dynamic supervisor. The defaults are OTP's.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Supervisor.RestartOptions {
  /** How many restarts are allowed within `period`, over all children: 1. */
  readonly intensity?: number
  /** The sliding window of `intensity`: 5 seconds. */
  readonly period?: Duration.Input
  /**
   * Whether the end of children ends the supervisor, when they are `significant`: the end of any, or of the last one.
   * `never` by default.
   */
  readonly autoShutdown?: Supervisor.AutoShutdown
  /** How many children there may be: any number. */
  readonly maxChildren?: number
  /** Delays restarts; without it they happen at once. As for a supervisor, with a run of the schedule for each child. */
  readonly backoff?: Schedule.Schedule<unknown, ExitReason>
  /** The mailbox of each child. */
  readonly mailbox?: MailboxOptions
  /** Whether children trap exits. */
  readonly trapExit?: boolean
  /** How long the `init` of a child may take. */
  readonly timeout?: Duration.Input
}

/** What a child is started with: its arguments, and what only this one has. */
interface ChildArguments {
  readonly args: unknown
  readonly name: string | undefined
}

/**
 * Describes a supervisor of any number of processes of one server. Throws `InvalidSupervisorSpec` when an option breaks a
 * rule.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <Args, M extends Message.Any, E, R>(
  server: GenServer.GenServer<Args, M, E, R>,
  options?: Options
): DynamicSupervisor<Args, M, E | StartError, R> => {
  const start: StartFunction = (given, onSpawn) => {
    const { args, name } = given as ChildArguments
    return Behaviour.startDetached(server.behaviour, args, {
      name,
      mailbox: options?.mailbox,
      trapExit: options?.trapExit,
      timeout: options?.timeout,
      link: true,
      onSpawn
    })
  }
  const spec = Spec.validate<StartFunction>({
    strategy: "simple_one_for_one",
    intensity: options?.intensity,
    periodMillis: options?.period === undefined
      ? undefined
      : Duration.toMillis(Duration.fromInputUnsafe(options.period)),
    autoShutdown: options?.autoShutdown,
    maxChildren: options?.maxChildren,
    backoff: options?.backoff === undefined ? undefined : {},
    children: [{
      id: server.protocol.name,
      start,
      restart: options?.restart,
      significant: options?.significant,
      shutdown: options?.shutdown === undefined ? undefined : Supervisor.shutdownMillis(options.shutdown)
    }]
  })
  if (Result.isFailure(spec)) throw spec.failure
  return {
    [TypeId]: {
      _Args: () => {},
      _M: (_) => _,
      _E: () => undefined as never,
      _R: () => undefined as never
    },
    protocol: server.protocol,
    behaviour: supervisorBehaviour(
      "DynamicSupervisor",
      supervisorProtocol,
      { spec: spec.success, backoff: options?.backoff },
      toRequest
    )
  }
}

/**
 * A running dynamic supervisor.
 *
 * @category models
 * @since 0.1.0
 */
export interface DynamicSupervisorRef<in Args, in out M extends Message.Any, out E> {
  readonly "~effect-otp/DynamicSupervisorRef": {
    readonly _Args: (_: Args) => void
    readonly _M: (_: M) => M
    readonly _E: () => E
  }
  readonly pid: Pid
  readonly address: Process.Target & Supervisor.SupervisorRef["address"]
  /** @internal */
  readonly protocol: Protocol.Core
}

const refOf = <Args, M extends Message.Any, E>(
  protocol: Protocol.Core,
  pid: Pid
): DynamicSupervisorRef<Args, M, E> => ({
  "~effect-otp/DynamicSupervisorRef": { _Args: () => {}, _M: (_) => _, _E: () => undefined as never },
  pid,
  address: pid,
  protocol
})

/**
 * Starts a dynamic supervisor, without children, tied to the surrounding scope.
 *
 * @category starting
 * @since 0.1.0
 */
export const start = <Args, M extends Message.Any, E, R>(
  supervisor: DynamicSupervisor<Args, M, E, R>,
  options?: Supervisor.StartOptions & { readonly link?: boolean }
): Effect.Effect<DynamicSupervisorRef<Args, M, E>, StartError, R | Node | Scope.Scope> =>
  Effect.map(
    Behaviour.start(supervisor.behaviour, undefined, { ...options, stopWithin: "Infinity" }),
    (instance) => refOf<Args, M, E>(supervisor.protocol, instance.pid)
    // The behaviour is untyped; these are the types of its children.
  ) as Effect.Effect<DynamicSupervisorRef<Args, M, E>, StartError, R | Node | Scope.Scope>

/**
 * The ref of the dynamic supervisor that has a name, with the types of its description.
 *
 * @category refs
 * @since 0.1.0
 */
export const named = <Args, M extends Message.Any, E, R>(
  supervisor: DynamicSupervisor<Args, M, E, R>,
  name: string
): Effect.Effect<Option.Option<DynamicSupervisorRef<Args, M, E>>, never, Node> =>
  Effect.map(Process.whereis(name), Option.map((pid) => refOf<Args, M, E>(supervisor.protocol, pid)))

/**
 * The ref of a dynamic supervisor by its pid, with the types of its description. That the pid is one of its processes is
 * for the caller to know.
 *
 * @category refs
 * @since 0.1.0
 */
export const fromPid = <Args, M extends Message.Any, E, R>(
  supervisor: DynamicSupervisor<Args, M, E, R>,
  pid: Pid
): DynamicSupervisorRef<Args, M, E> => refOf(supervisor.protocol, pid)

/**
 * A dynamic supervisor as a child of another supervisor.
 *
 * @category children
 * @since 0.1.0
 */
export const asChild = <const Id extends string, Args, M extends Message.Any, E, R>(
  id: Id,
  supervisor: DynamicSupervisor<Args, M, E, R>,
  options?: Supervisor.RestartOptions & Supervisor.StartOptions
): Supervisor.Child<Id, StartError, R> =>
  Supervisor.childOf(
    id,
    "supervisor",
    options,
    (_, onSpawn) =>
      Behaviour.startDetached(supervisor.behaviour, undefined, { ...options, label: id, link: true, onSpawn })
  )

/**
 * Starts a child. Its typed failures are in the error channel as they are; a full supervisor refuses with
 * `SupervisorError`. A child whose `init` ignores the start gives `StartError` with `Ignored`.
 *
 * @category administration
 * @since 0.1.0
 */
export const startChild = <Args, M extends Message.Any, E>(
  supervisor: DynamicSupervisorRef<Args, M, E>,
  ...[args, options]: undefined extends Args ? [args?: Args, options?: { readonly name?: string }]
    : [args: Args, options?: { readonly name?: string }]
): Effect.Effect<ProcessRef<M>, E | SupervisorError | CallError, Node> =>
  Effect.matchEffect(
    Supervisor.ask(supervisor, "StartDynamicChild", {
      args: { args, name: options?.name } satisfies ChildArguments
    }) as Effect.Effect<Option.Option<Pid>, SupervisorError | CallError, Node>,
    {
      // The typed failure of the child is the detail of the refusal.
      onFailure: (error) =>
        Effect.fail(error._tag === "SupervisorError" && error.reason === "StartFailed" ? error.detail as E : error),
      onSuccess: (pid) =>
        Option.match(pid, {
          onNone: () =>
            Effect.fail(new StartError({ process: supervisor.protocol.name, reason: new Ignored({}) }) as E), // E has StartError
          onSome: (pid) => Effect.map(Node, (node) => Behaviour.refAt(node, supervisor.protocol, pid) as ProcessRef<M>)
        })
    }
  )

/**
 * Stops a child, as its `shutdown` says, and forgets it.
 *
 * @category administration
 * @since 0.1.0
 */
export const terminateChild = (
  supervisor: Supervisor.Target,
  child: Pid | { readonly pid: Pid }
): Effect.Effect<void, SupervisorError | CallError, Node> =>
  Supervisor.ask(supervisor, "TerminateDynamicChild", { pid: "pid" in child ? child.pid : child })

export { countChildren, whichChildren } from "./Supervisor.ts"

/**
 * A dynamic supervisor as a layer, reached by its name.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <Args, M extends Message.Any, E, R>(
  supervisor: DynamicSupervisor<Args, M, E, R>,
  options: Supervisor.StartOptions & { readonly name: string }
): Layer.Layer<never, StartError, R | Node> =>
  Layer.effectDiscard(start(supervisor, options)) as Layer.Layer<never, StartError, R | Node> // children have own scopes
