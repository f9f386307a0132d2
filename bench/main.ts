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
const programs: Readonly<Record<string, () => Promise<unknown>>> = {
  soak: () => import("./soak.ts"),
  "soak-network": () => import("./soak-network.ts"),
  "soak-traffic": () => import("./soak-traffic.ts"),
  cluster: () => import("./cluster.ts"),
  connections: () => import("./connections.ts"),
  profile: () => import("./profile.ts")
}

const program = programs[process.argv[2] ?? ""]
// The programs read the arguments behind their own name.
if (program !== undefined) process.argv.splice(2, 1)
await (program ?? (() => import("./compare.ts")))()
