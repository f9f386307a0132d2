/**
 * EPMD: our server with Erlang's clients, our client with Erlang's server, and what happens when one of them dies.
 */
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Exit, type Layer, References, Scope } from "effect"
import * as Epmd from "effect-otp/dist/Epmd"
import * as EpmdServer from "effect-otp/dist/EpmdServer"
import * as NodeNetwork from "effect-otp/dist/NodeNetwork"
import { execFileSync } from "node:child_process"
import * as Net from "node:net"
import { erlangAvailable } from "../erlang/escript.ts"
import { freePort, startEpmd, startErlang } from "./ErlangNode.ts"

const quiet = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, References.MinimumLogLevel, "None")

const live = (
  name: string,
  body: Effect.Effect<void, unknown, Scope.Scope | Layer.Success<typeof NodeNetwork.layer>>
) => it.live(name, () => quiet(Effect.provide(Effect.scoped(body), NodeNetwork.layer)), 30_000)

/** Asks with raw bytes and gives what came until the connection ended. */
const ask = (port: number, bytes: Uint8Array): Effect.Effect<Buffer> =>
  Effect.callback((resume) => {
    const socket = Net.connect(port, "127.0.0.1", () => socket.write(bytes))
    let all = Buffer.alloc(0)
    socket.on("data", (data) => {
      all = Buffer.concat([all, data])
    })
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed(all)))
    return Effect.sync(() => socket.destroy())
  })

const eventually = <A>(effect: Effect.Effect<A, unknown>, limit: number): Effect.Effect<A> =>
  Effect.gen(function*() {
    const until = performance.now() + limit
    for (;;) {
      const exit = yield* Effect.exit(effect)
      if (Exit.isSuccess(exit)) return exit.value
      if (performance.now() > until) {
        return yield* Effect.die(new Error(`not within ${limit} ms: ${String(exit.cause)}`))
      }
      yield* Effect.sleep(50)
    }
  })

describe("EpmdServer", () => {
  live(
    "registers, finds, lists; a name belongs to its connection and comes back with the next creation",
    Effect.gen(function*() {
      const server = yield* EpmdServer.make({ port: yield* freePort })
      const client = yield* Epmd.make({ port: server.port })
      const scope = yield* Scope.make()
      const endpoint = { name: "shop", host: "127.0.0.1", port: 4711, attributes: { hidden: true } }
      const first = yield* client.register(endpoint).pipe(Scope.provide(scope))
      assert.isAtLeast(first.creation, 4)
      const found = yield* client.resolve("shop@127.0.0.1")
      assert.deepStrictEqual([found.port, found.attributes?.["hidden"]], [4711, true])
      assert.deepStrictEqual((yield* client.names("127.0.0.1")).map((node) => node.name), ["shop@127.0.0.1"])
      assert.strictEqual((yield* Effect.flip(Effect.scoped(client.register(endpoint)))).message, "taken")
      yield* Scope.close(scope, Exit.void)
      yield* eventually(Effect.flip(client.resolve("shop@127.0.0.1")), 2000)
      const second = yield* client.register(endpoint)
      assert.strictEqual(second.creation, first.creation + 1)
      assert.match((yield* Effect.flip(client.resolve("nobody@127.0.0.1"))).message, /knows no node/)
    })
  )

  live(
    "[S13] KILL and STOP change nothing, a talkative registered connection loses its name, silence ends",
    Effect.gen(function*() {
      const server = yield* EpmdServer.make({ port: yield* freePort, idleMillis: 300 })
      const client = yield* Epmd.make({ port: server.port })
      yield* client.register({ name: "shop", host: "127.0.0.1", port: 4711 })
      assert.strictEqual((yield* ask(server.port, Uint8Array.of(0, 1, 107))).toString(), "NO")
      assert.strictEqual((yield* ask(server.port, Buffer.from([0, 5, 115, ...Buffer.from("shop")]))).length, 0)
      assert.strictEqual(server.nodes().length, 1)
      const before = performance.now()
      yield* ask(server.port, Uint8Array.of(0))
      assert.isBelow(performance.now() - before, 2000)
      const alive = Buffer.from("000e78abcd4d00000600050001740000", "hex")
      yield* ask(server.port, Buffer.concat([alive, Buffer.from([1])]))
      assert.strictEqual(server.nodes().length, 1)
      assert.match(
        (yield* ask(server.port, Uint8Array.of(0, 1, 100))).toString("latin1"),
        /active name {5}<shop> at port 4711, fd = \d+\n\0$/
      )
    })
  )

  live(
    "[B4] hostile requests, and hundreds of silent connections, do not stop the service",
    Effect.gen(function*() {
      const server = yield* EpmdServer.make({ port: yield* freePort })
      const client = yield* Epmd.make({ port: server.port })
      yield* client.register({ name: "shop", host: "127.0.0.1", port: 4711 })
      const silent = Array.from({ length: 400 }, () => Net.connect(server.port, "127.0.0.1").on("error", () => {}))
      yield* Effect.addFinalizer(() => Effect.sync(() => silent.forEach((socket) => socket.destroy())))
      for (let i = 0; i < 300; i++) {
        const noise = Buffer.from(Array.from({ length: i % 40 }, (_, k) => (i * 31 + k * 17) & 255))
        yield* ask(server.port, Buffer.concat([Buffer.from([0, Math.max(1, noise.length)]), noise, Buffer.from([0])]))
      }
      yield* ask(server.port, Buffer.alloc(100_000, 1))
      assert.strictEqual((yield* client.resolve("shop@127.0.0.1")).port, 4711)
    })
  )
})

describe.skipIf(!erlangAvailable)("with Erlang", () => {
  live(
    "Erlang's tools and nodes use our server",
    Effect.gen(function*() {
      const server = yield* EpmdServer.make({ port: yield* freePort })
      const erl = yield* startErlang("one@127.0.0.1", { epmdPort: server.port })
      const two = yield* startErlang("two@127.0.0.1", { epmdPort: server.port })
      assert.strictEqual(yield* erl.eval("net_adm:ping('two@127.0.0.1')"), "pong")
      assert.match(
        yield* two.eval("begin {ok, N} = net_adm:names(\"127.0.0.1\"), lists:sort(N) end"),
        /^\[\{"one",\d+\},\{"two",\d+\}\]$/
      )
      assert.strictEqual(yield* erl.eval("erl_epmd:port_please(\"nobody\", {127,0,0,1})"), "noport")
      const text = yield* Effect.callback<string>((resume) => {
        // Not execFileSync: the server is in this process.
        import("node:child_process").then(({ execFile }) =>
          execFile("epmd", ["-port", String(server.port), "-names"], (_, out) => resume(Effect.succeed(out)))
        )
      })
      assert.match(text, /name one at port \d+\nname two at port \d+/)
      yield* two.kill
      yield* eventually(
        Effect.suspend(() => server.nodes().length === 1 ? Effect.void : Effect.fail("still there")),
        2000
      )
    })
  )

  live(
    "[F8] our client with a real EPMD; when that is killed, the name is back within 10 seconds of the next",
    Effect.gen(function*() {
      const port = yield* freePort
      const client = yield* Epmd.make({ port })
      const scope = yield* Effect.scope
      const epmd = yield* Scope.fork(scope)
      yield* startEpmd(port).pipe(Scope.provide(epmd))
      yield* client.register({ name: "shop", host: "127.0.0.1", port: 4711 })
      assert.strictEqual((yield* client.resolve("shop@127.0.0.1")).port, 4711)
      assert.include(
        execFileSync("epmd", ["-port", String(port), "-names"], { encoding: "utf8" }),
        "name shop at port 4711"
      )
      yield* Scope.close(epmd, Exit.void)
      yield* eventually(Effect.flip(client.resolve("shop@127.0.0.1")), 2000)
      yield* startEpmd(port)
      assert.strictEqual((yield* eventually(client.resolve("shop@127.0.0.1"), 10_000)).port, 4711)
    })
  )

  live(
    "a node that may serve takes over when EPMD dies, and others register with it",
    Effect.gen(function*() {
      const port = yield* freePort
      const server = yield* Epmd.make({ port, serve: true })
      const other = yield* Epmd.make({ port })
      const epmd = yield* Scope.fork(yield* Effect.scope)
      yield* startEpmd(port).pipe(Scope.provide(epmd))
      yield* server.register({ name: "one", host: "127.0.0.1", port: 1111 })
      yield* other.register({ name: "two", host: "127.0.0.1", port: 2222 })
      yield* Scope.close(epmd, Exit.void)
      assert.strictEqual((yield* eventually(other.resolve("one@127.0.0.1"), 10_000)).port, 1111)
      assert.strictEqual((yield* eventually(server.resolve("two@127.0.0.1"), 10_000)).port, 2222)
    })
  )
})

describe("the port", () => {
  it.live("comes from the configuration where nobody gives it", () =>
    Effect.gen(function*() {
      const server = yield* EpmdServer.make({ port: yield* freePort })
      const client = yield* Effect.provide(
        Epmd.make(),
        ConfigProvider.layer(ConfigProvider.fromEnv({ env: { ERL_EPMD_PORT: String(server.port) } }))
      )
      yield* client.register({ name: "shop", host: "127.0.0.1", port: 4711 })
      assert.strictEqual(server.nodes().length, 1)
    }).pipe(Effect.scoped, Effect.provide(NodeNetwork.layer), quiet))
})
