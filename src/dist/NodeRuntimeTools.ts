/**
 * What the tools of Erlang ask a node, with what Node.js knows of itself: versions, memory, load. See `RuntimeTools`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Os from "node:os"
import { performance } from "node:perf_hooks"
import * as NodeProcess from "node:process"
import type { Node } from "../process/Node.ts"
import type { ProvideError } from "./RpcError.ts"
import * as RuntimeTools from "./RuntimeTools.ts"

const system: Effect.Effect<RuntimeTools.System> = Effect.sync(() => {
  const memory = NodeProcess.memoryUsage()
  const { active, idle } = performance.eventLoopUtilization()
  return {
    version: NodeProcess.version,
    architecture: `${NodeProcess.arch}-${NodeProcess.platform}`,
    processors: Os.availableParallelism(),
    memory: {
      total: memory.rss,
      processes: memory.heapUsed,
      binary: memory.external,
      code: 0
    },
    load: { active: active * 1000, total: (active + idle) * 1000 }
  }
})

/**
 * Answers the tools of Erlang, with memory and load of the Node.js process.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Pick<RuntimeTools.Options, "allow">): Layer.Layer<never, ProvideError, Node> =>
  RuntimeTools.layer({ ...options, system })
