/**
 * What is known of applications, all of it taken at one moment.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Node } from "../../process/Node.ts"
import type { Pid } from "../../term/Pid.ts"
import { type ApplicationController, controllerOf, type Entry, nameOf } from "./ApplicationController.ts"
import type { StartType } from "./ApplicationRules.ts"

/**
 * What is known of a loaded application.
 *
 * @category models
 * @since 0.1.0
 */
export interface Info {
  readonly name: string
  readonly description: string
  readonly version: string
  readonly status: "loaded" | "starting" | "running" | "stopping"
  /** With which type it runs; of one that does not run, its own. */
  readonly startType: Option.Option<StartType>
  /** The names of what it needs. */
  readonly applications: ReadonlyArray<string>
  /** The process of the application, while there is one. */
  readonly pid: Option.Option<Pid>
  /** The top of its tree. */
  readonly tree: Option.Option<Pid>
  /** How long it has been running. */
  readonly uptime: Option.Option<Duration.Duration>
  readonly env: ReadonlyMap<string, unknown>
}

const infoOf = ({ definition, env, run }: Entry, now: number): Info => ({
  name: definition.name,
  description: definition.description,
  version: definition.version,
  status: run?.status ?? "loaded",
  startType: Option.fromUndefinedOr(run?.type ?? definition.startType),
  applications: definition.applications.map(nameOf),
  pid: Option.fromUndefinedOr(run?.process?.pid),
  tree: Option.fromUndefinedOr(run?.top?.pid),
  uptime: run === undefined || run.status === "starting"
    ? Option.none()
    : Option.some(Duration.millis(now - run.startedAt)),
  env: new Map(env)
})

/** What is known of some applications, all at the same moment. */
export const infosOf = (
  entries: (controller: ApplicationController) => ReadonlyArray<Entry>
): Effect.Effect<ReadonlyArray<Info>, never, Node> =>
  Effect.flatMap(
    controllerOf,
    (controller) => Effect.map(Clock.currentTimeMillis, (now) => entries(controller).map((entry) => infoOf(entry, now)))
  )
