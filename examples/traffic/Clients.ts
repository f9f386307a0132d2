/**
 * Where the storage is: clients of `storage` and `queries`, of this node or of another one. Who uses them does not see
 * which.
 */
import { Effect, Layer } from "effect"
import { GenServer, Node } from "effect-otp"
import { Query } from "./Query.ts"
import { Storage } from "./Storage.ts"

/** The client of the process `storage`. */
export class StorageClient extends GenServer.Service<StorageClient>()("traffic/StorageClient", Storage) {}

/** The client of the pool `queries`. */
export class QueryClient extends GenServer.Service<QueryClient>()("traffic/QueryClient", Query) {}

/** The clients of the processes of a node: of this one, when no other is named. */
export const layer = (node?: string): Layer.Layer<StorageClient | QueryClient, never, Node.Node> => {
  const at = (name: string) => Effect.map(Node.Node, (here) => ({ name, node: node ?? here.name }))
  return Layer.mergeAll(
    Layer.effect(StorageClient, Effect.flatMap(at("storage"), (address) => Node.remote(Storage, address))),
    Layer.effect(QueryClient, Effect.flatMap(at("queries"), (address) => Node.remote(Query, address)))
  )
}
