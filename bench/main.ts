/**
 * `npm run bench`: says which program runs.
 *
 * ```
 * npm run bench -- [GROUP...] ...      benchmarks beside Erlang, see compare.ts
 * npm run bench -- soak ...            the soak, see soak.ts
 * npm run bench -- soak-network ...    the soak of the network, see soak-network.ts
 * npm run bench -- soak-traffic ...    the soak of the traffic application, see soak-traffic.ts
 * npm run bench -- cluster ...         Erlang nodes that are killed and come back, see cluster.ts
 * npm run bench -- connections ...     many open connections, see connections.ts
 * npm run bench -- profile FILE...     what a CPU profile says, see profile.ts
 * ```
 *
 * @since 0.1.0
 */
import { spawnSync } from "node:child_process"

const programs: Readonly<Record<string, () => Promise<unknown>>> = {
  soak: () => import("./soak.ts"),
  "soak-network": () => import("./soak-network.ts"),
  "soak-traffic": () => import("./soak-traffic.ts"),
  cluster: () => import("./cluster.ts"),
  connections: () => import("./connections.ts"),
  profile: () => import("./profile.ts")
}

/**
 * A soak judges memory. V8 doubles the space of young objects whenever many of them happen to survive, which is a step of
 * tens of megabytes and no leak: in a soak, and in the processes that it starts, that space has one size from the beginning.
 */
const steadyYoungSpace = ["--min-semi-space-size=16", "--max-semi-space-size=16"]

const name = process.argv[2] ?? ""
if (name.startsWith("soak") && !process.execArgv.includes(steadyYoungSpace[0]!)) {
  const args = [...process.execArgv, ...steadyYoungSpace, ...process.argv.slice(1)]
  process.exit(spawnSync(process.execPath, args, { stdio: "inherit" }).status ?? 1)
}

const program = programs[name]
// The programs read the arguments behind their own name.
if (program !== undefined) process.argv.splice(2, 1)
await (program ?? (() => import("./compare.ts")))()
