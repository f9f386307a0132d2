/**
 * What a node knows of its applications, and the values in their environments. See `Application`, which exports all of
 * this.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Node } from "../process/Node.ts"
import * as Process from "../process/Process.ts"
import type { Target } from "./Application.ts"
import { controllerOf, nameKey, nameOf } from "./internal/ApplicationController.ts"
import { type Info, infosOf } from "./internal/ApplicationInfo.ts"
import { ApplicationError } from "./OtpError.ts"

export type { Info } from "./internal/ApplicationInfo.ts"

// --- inspection ------------------------------------------------------------------------------------------------------

/**
 * What is known of an application; none when it is not loaded.
 *
 * @category inspection
 * @since 0.1.0
 */
export const info = (target: Target): Effect.Effect<Option.Option<Info>, never, Node> =>
  Effect.map(
    infosOf(({ entries }) => {
      const entry = entries.get(nameOf(target))
      return entry === undefined ? [] : [entry]
    }),
    ([info]) => Option.fromUndefinedOr(info)
  )

/**
 * All applications that are loaded, running or not, in the order in which they were loaded.
 *
 * @category inspection
 * @since 0.1.0
 */
export const loadedApplications: Effect.Effect<ReadonlyArray<Info>, never, Node> = infosOf(
  ({ entries }) => [...entries.values()]
)

/**
 * The applications that run, the last started first.
 *
 * @category inspection
 * @since 0.1.0
 */
export const whichApplications: Effect.Effect<ReadonlyArray<Info>, never, Node> = infosOf(
  ({ running }) => [...running].reverse()
)

/**
 * The name of the application to which this process belongs; none outside of any.
 *
 * @category inspection
 * @since 0.1.0
 */
export const current: Effect.Effect<Option.Option<string>, never, Process.CurrentProcess> = Effect.map(
  Process.getEnv(nameKey),
  // Only the controller writes this key.
  (name) => name as Option.Option<string>
)

// --- environment -----------------------------------------------------------------------------------------------------

/**
 * A value of the environment of an application; none when it has no such value or is not loaded. Its own processes use
 * `Process.getEnv`.
 *
 * @category environment
 * @since 0.1.0
 */
export const getEnv = (target: Target, key: string): Effect.Effect<Option.Option<unknown>, never, Node> =>
  Effect.map(controllerOf, ({ entries }) => {
    const env = entries.get(nameOf(target))?.env
    return env?.has(key) === true ? Option.some(env.get(key)) : Option.none()
  })

/**
 * Sets a value in the environment of a loaded application: for its next start, and at once for the processes of one that
 * runs. Fails with `NotLoaded`.
 *
 * @category environment
 * @since 0.1.0
 */
export const setEnv = (
  target: Target,
  key: string,
  value: unknown
): Effect.Effect<void, ApplicationError, Node> =>
  Effect.flatMap(controllerOf, ({ entries }) => {
    const name = nameOf(target)
    const entry = entries.get(name)
    if (entry === undefined) {
      return Effect.fail(new ApplicationError({ application: name, reason: "NotLoaded", path: [name] }))
    }
    entry.env.set(key, value)
    entry.run?.process?.more.environment?.set(key, value)
    return Effect.void
  })
