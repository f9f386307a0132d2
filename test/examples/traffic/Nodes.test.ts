import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import * as NodeTcpNetwork from "effect-otp/net/NodeTcpNetwork"
import * as Sender from "../../../examples/traffic/Sender.ts"
import { freePort, positions, services as appServices } from "./App.ts"
import * as Programs from "./Programs.ts"

const services = Layer.merge(appServices, NodeTcpNetwork.layer)

describe("several nodes", () => {
  it.live(
    "receivers and page here, storage there, by settings alone: killed and back, it loses nothing",
    () =>
      Effect.gen(function*() {
        const shared = { epmd: yield* freePort, cookie: "a-cookie-for-tests-of-traffic" }
        const store = yield* Programs.prepare({ TRAFFIC_NODE: "store@127.0.0.1", TRAFFIC_ROLES: "storage" }, shared)
        const front = yield* Programs.prepare({
          TRAFFIC_NODE: "front@127.0.0.1",
          TRAFFIC_ROLES: "ingest,web",
          TRAFFIC_STORAGE_NODE: "store@127.0.0.1"
        }, shared)
        const storing = yield* store.start
        assert.include(storing.printed, "store@127.0.0.1 runs: storage.")
        const running = yield* front.start
        assert.include(running.printed, "front@127.0.0.1 runs: ingest, web.")
        assert.notInclude(running.printed, "database")
        assert.include(running.printed, "-setcookie \"$TRAFFIC_COOKIE\"")

        const sender = yield* Sender.tcp({ host: "127.0.0.1", port: front.tcp })
        assert.deepInclude(yield* sender.send(positions(2000)), { kept: 2000, dropped: 0 })
        // The page of this node asks the storage of the other.
        assert.strictEqual((yield* front.tracks(50)).length, 2000)

        // What is sent while the storage is away waits for it.
        yield* storing.kill
        const waiting = yield* Effect.forkChild(sender.send(positions(2000, 2000)))
        const again = yield* store.start
        assert.deepInclude(yield* Fiber.join(waiting), { kept: 2000, dropped: 0 })
        assert.strictEqual((yield* front.tracks(50)).length, 4000)

        assert.strictEqual(yield* running.stop, 0)
        assert.strictEqual(yield* again.stop, 0)
      }).pipe(Effect.provide(services)),
    180_000
  )
})
