/**
 * What other nodes expect to find on this one: `net_kernel`, `rex`, `user`, and the answer to spawn requests.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Supervisor from "../../otp/Supervisor.ts"
import * as Local from "../../process/Node.ts"
import type { Distribution } from "./Distribution.ts"
import * as Functions from "./Functions.ts"
import * as NetKernel from "./NetKernel.ts"
import * as Rex from "./Rex.ts"
import { SpawnClient } from "./SpawnClient.ts"
import * as SpawnService from "./SpawnService.ts"
import * as User from "./User.ts"

const clients = new WeakMap<object, SpawnClient>()

/** The requests of a node to others; undefined on a node that knows only itself. */
export const clientOf = (node: Local.Service): SpawnClient | undefined => clients.get(node.runtime)

/** Starts them, before the first connection is made. */
export const start = (
  node: Local.Service,
  distribution: Distribution
): Effect.Effect<void, never, Scope.Scope> => {
  const client = new SpawnClient(node, distribution)
  clients.set(node.runtime, client)
  Functions.functionsOf(node.runtime).maxProcesses = distribution.settings.maxProcesses
  distribution.onSpawn = SpawnService.handler(node, distribution)
  distribution.onSpawnReply = (reply, from) => client.reply(reply, from)
  const tree = Supervisor.make({
    strategy: "one_for_one",
    // Any node that knows the cookie can end them, as often as it likes: they come back, and the node stays.
    intensity: 1_000_000,
    period: "1 second",
    children: [
      Supervisor.child("net_kernel", NetKernel.server, undefined, { name: "net_kernel" }),
      Supervisor.child("rex", Rex.make(node), undefined, { name: "rex" }),
      Supervisor.child("user", User.server, undefined, { name: "user" })
    ]
  })
  return Effect.asVoid(Supervisor.start(tree)).pipe(
    Effect.provideService(Local.Node, node),
    Effect.orDie
  )
}
