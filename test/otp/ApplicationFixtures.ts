/**
 * What tests of applications have in common: applications that write down what happens to them.
 */
import { type Duration, Effect, Option } from "effect"
import { Application, type CallError, type Node, type OtpError, Supervisor } from "effect-otp"
import type { Pid } from "../../src/term/Pid.ts"
import { type Broken, child, type Conduct, type Log } from "./SupervisorFixtures.ts"

/** What an application of a test may have besides its name. */
export interface Parts {
  readonly applications?: ReadonlyArray<Application.Any | string>
  readonly startType?: Application.StartType
  readonly lifespan?: Duration.Input
  readonly env?: { readonly [key: string]: unknown }
  /** How its children behave. */
  readonly conduct?: Conduct & Supervisor.ChildOptions
  readonly children?: ReadonlyArray<string>
  readonly start?: Effect.Effect<unknown, Broken>
}

/** How the application of a test can fail to start. */
export type Failure = OtpError.SupervisorStartError<Broken | CallError.StartError> | CallError.StartError | Broken

/**
 * An application that writes `+child` and `-child` for its children (`name1` and `name2` by default), `name^` when it has
 * started, `name.` before its tree is stopped, and `name!` when it has stopped.
 */
export const app = (log: Log, name: string, parts: Parts = {}): Application.Application<string, Failure, never> => {
  const { children = [`${name}1`, `${name}2`], conduct, start, ...options } = parts
  return Application.make(name, {
    ...options,
    supervisor: Supervisor.make({ children: children.map((id) => child(log, id, conduct)) }),
    start: () => Effect.andThen(start ?? Effect.void, log.add(`${name}^`)),
    prepStop: () => log.add(`${name}.`),
    stop: () => log.add(`${name}!`)
  }) as Application.Application<string, Failure, never> // dependencies fail in the same ways
}

/** The names of what runs, the last started first. */
export const running: Effect.Effect<string, never, Node.Node> = Effect.map(
  Application.whichApplications,
  (infos) => infos.map(({ name }) => name).join(" ")
)

/** The top of the tree of an application that runs. */
export const treeOf = (name: string): Effect.Effect<Pid, never, Node.Node> =>
  Effect.map(Application.info(name), (info) => Option.getOrThrow(Option.flatMap(info, ({ tree }) => tree)))
