/**
 * What a test does to a process from outside: make it crash, and look into it.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Node } from "../process/Node.ts"
import * as Process from "../process/Process.ts"
import { show } from "./internal/show.ts"

/**
 * Makes a process crash as if its own code had thrown: a server between two messages, behind those that wait, so that its
 * `terminate` runs; a low-level process where it stands. Nobody can trap it. Dies when there is no such process on this
 * node.
 *
 * @category faults
 * @since 0.1.0
 */
export const crash = (target: Process.Target, defect: unknown): Effect.Effect<void, never, Node> =>
  Effect.map(Node, ({ runtime }) => {
    const process = runtime.resolve(Process.toAddress(target))
    if (process === undefined) {
      throw new Error(`cannot crash ${show(Process.toAddress(target))}: there is no such process`)
    }
    process.breakDown(Cause.die(defect))
  })

/**
 * A process as a test sees it: what `Process.info` knows, and the messages that wait.
 *
 * @category models
 * @since 0.1.0
 */
export interface Inspection extends Process.Info {
  /** The messages that wait, oldest first, as a process without the protocol would receive them. */
  readonly messages: ReadonlyArray<unknown>
}

/**
 * Looks into a process of this node; none when it is gone. The state is what its `format` callback shows.
 *
 * @category inspection
 * @since 0.1.0
 */
export const inspect = (target: Process.Target): Effect.Effect<Option.Option<Inspection>, never, Node> =>
  Effect.flatMap(
    Node,
    ({ runtime }) =>
      Effect.map(Process.info(target), (info) =>
        Option.map(info, (known): Inspection => ({
          ...known,
          messages: runtime.resolve(known.pid)?.peek(Infinity) ?? []
        })))
  )
