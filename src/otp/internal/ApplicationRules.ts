/**
 * What applications mean to one another and to their node: the order of their start, and whose end takes the node along.
 * Functions without I/O.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type { ExitReason } from "../../process/ExitReason.ts"

/**
 * What the end of an application means to its node. `permanent`: any end stops the node. `transient`: any end but
 * `normal`, also the `shutdown` of a supervisor that gave up. `temporary`: none.
 *
 * @category models
 * @since 0.1.0
 */
export type StartType = "permanent" | "transient" | "temporary"

/** Whether the end of an application by itself stops the node. */
export const stopsNode = (type: StartType, reason: ExitReason): boolean =>
  type === "permanent" || (type === "transient" && reason._tag !== "Normal")

/** Why there is no order: a cycle, which begins and ends with the same name, or the way to an unknown application. */
export interface NoOrder {
  readonly reason: "Cycle" | "NotLoaded"
  readonly path: ReadonlyArray<string>
}

/** An application to be started, and the way that led to it. */
export interface Step {
  readonly name: string
  readonly path: ReadonlyArray<string>
}

/**
 * An application with all that it needs, directly or not, each once: dependencies first, in the order in which they are
 * listed, and itself last. `dependenciesOf` gives undefined for an unknown application.
 */
export const startOrder = (
  name: string,
  dependenciesOf: (name: string) => ReadonlyArray<string> | undefined
): Result.Result<ReadonlyArray<Step>, NoOrder> => {
  const order: Array<Step> = []
  const done = new Set<string>()
  const path: Array<string> = []
  const visit = (name: string): NoOrder | undefined => {
    if (done.has(name)) return undefined
    const start = path.indexOf(name)
    path.push(name)
    if (start >= 0) return { reason: "Cycle", path: path.slice(start) }
    const dependencies = dependenciesOf(name)
    if (dependencies === undefined) return { reason: "NotLoaded", path: [...path] }
    for (const dependency of dependencies) {
      const problem = visit(dependency)
      if (problem !== undefined) return problem
    }
    done.add(name)
    order.push({ name, path: [...path] })
    path.pop()
    return undefined
  }
  const problem = visit(name)
  return problem === undefined ? Result.succeed(order) : Result.fail(problem)
}
