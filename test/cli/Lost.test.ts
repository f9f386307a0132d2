/**
 * Commands whose connection is lost, or slow, at the worst moment: through a relay between them and the node, which they
 * find by asking a relay of EPMD.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, type Scope } from "effect"
import * as Net from "node:net"
import { freePort } from "../dist/ErlangNode.ts"
import { until } from "../net/Until.ts"
import { buildFirst, run } from "./Built.ts"
import { shop } from "./Shop.ts"

const name = "shop@127.0.0.1"
const host = "127.0.0.1"

interface Relay {
  /** The port of its EPMD. */
  readonly epmdPort: number
  /** Whether the command has sent bytes with this text in them. */
  readonly hasSent: (text: string) => boolean
  /** Hands over what was held back, and what comes from now on. */
  readonly release: Effect.Effect<void>
}

const listening = (onSocket: (socket: Net.Socket) => void): Effect.Effect<number, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<Net.Server>((resume) => {
        const server = Net.createServer((socket) => onSocket(socket.on("error", () => {})))
        server.listen(0, host, () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close())
    ),
    (server) => (server.address() as Net.AddressInfo).port
  )

/** Relays until the command sends bytes with a text in them: these and all that follow are held back, or it hangs up. */
const relay = (
  realEpmdPort: number,
  text: string,
  then: "hold" | "hang up"
): Effect.Effect<Relay, never, Scope.Scope> =>
  Effect.gen(function*() {
    let realPort = 0
    let sent = ""
    let state: "relaying" | "hold" | "hang up" | "released" = "relaying"
    const held: Array<() => void> = []
    const port = yield* listening((from) => {
      const to = Net.connect(realPort, host).on("error", () => {})
      from.on("close", () => to.destroy())
      to.on("close", () => from.destroy())
      to.on("data", (bytes) => from.write(bytes))
      from.on("data", (bytes) => {
        sent += bytes.toString("latin1")
        if (state === "relaying" && sent.includes(text)) state = then
        if (state === "hang up") from.destroy()
        else if (state === "hold") held.push(() => to.write(bytes))
        else to.write(bytes)
      })
    })
    const epmdPort = yield* listening((from) => {
      const to = Net.connect(realEpmdPort, host).on("error", () => {})
      from.on("data", (bytes) => to.write(bytes))
      to.on("data", (bytes) => {
        // Where the node is: the port is its first field.
        if (bytes[0] === 119 && bytes[1] === 0) {
          realPort = bytes.readUInt16BE(2)
          bytes.writeUInt16BE(port, 2)
        }
        from.write(bytes)
      })
      to.on("close", () => from.end())
      from.on("close", () => to.destroy())
    })
    return {
      epmdPort,
      hasSent: (text) => sent.includes(text),
      release: Effect.sync(() => {
        state = "released"
        for (const write of held) write()
      })
    }
  })

describe("effect-otp, when the connection is lost", () => {
  buildFirst()

  const throughRelay = ({ epmdPort }: Relay) => ({ env: { ERL_EPMD_PORT: String(epmdPort) } })

  it.live(
    "cast says ok only when the node has the message, and otherwise that nobody knows",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const port = yield* freePort
        yield* shop(name, port)
        const count = Effect.map(
          run(["call", name, "counter", "get"], { env: { ERL_EPMD_PORT: String(port) } }),
          ({ out }) => out
        )
        assert.strictEqual(yield* count, "40\n")

        const lossy = yield* relay(port, "reset", "hang up")
        const lost = yield* run(["cast", name, "counter", "reset", "--json"], throughRelay(lossy))
        assert.isTrue(lossy.hasSent("reset"))
        assert.deepStrictEqual([lost.code, lost.out], [1, ""])
        const { error } = JSON.parse(lost.err) as { error: { reason: string; detail: string } }
        assert.strictEqual(error.reason, "NodeDown")
        assert.include(error.detail, "nobody knows whether the message came through")
        assert.strictEqual(yield* count, "40\n")

        const slow = yield* relay(port, "reset", "hold")
        const casting = yield* Effect.forkChild(run(["cast", name, "counter", "reset"], throughRelay(slow)))
        // It asks the node, behind its message, whether that has come; until it is told, it goes on waiting.
        yield* until(
          Effect.sync(() => casting.pollUnsafe() !== undefined || slow.hasSent("is_auth")),
          (isSo) => isSo
        )
        assert.isTrue(slow.hasSent("reset"))
        assert.strictEqual(yield* count, "40\n")
        assert.isUndefined(casting.pollUnsafe(), "it ended before the message came through")
        yield* slow.release
        assert.deepStrictEqual(yield* Fiber.join(casting), { code: 0, out: "ok\n", err: "" })
        assert.strictEqual(yield* count, "0\n")
      })),
    120_000
  )

  it.live("ping says pang when the node is reached and says nothing", () =>
    Effect.scoped(Effect.gen(function*() {
      const port = yield* freePort
      yield* shop(name, port)
      const lossy = yield* relay(port, "is_auth", "hang up")
      const { code, err, out } = yield* run(["ping", name, "--json"], throughRelay(lossy))
      assert.isTrue(lossy.hasSent("is_auth"))
      assert.deepStrictEqual([code, err], [1, ""])
      const { answer, node, reason } = JSON.parse(out) as { answer: string; node: string; reason: string }
      assert.deepStrictEqual({ answer, node, reason }, { answer: "pang", node: name, reason: "Pang" })
      // Through a relay that only looks on, it is pong.
      const good = yield* relay(port, "no such text", "hang up")
      assert.match((yield* run(["ping", name], throughRelay(good))).out, /^pong from shop@127\.0\.0\.1: /)
      assert.isTrue(good.hasSent("is_auth"))
    })), 120_000)
})
