/**
 * The port mapper under attack: our server by hostile clients, our client by hostile servers.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, References, type Scope } from "effect"
import * as Epmd from "effect-otp/dist/Epmd"
import * as EpmdProtocol from "effect-otp/dist/EpmdProtocol"
import * as EpmdServer from "effect-otp/dist/EpmdServer"
import type { Network } from "effect-otp/dist/Network"
import * as NodeNetwork from "effect-otp/dist/NodeNetwork"
import { randomBytes } from "node:crypto"
import * as Net from "node:net"
import { makeRandom } from "../term/randomTerm.ts"
import { freePort } from "./ErlangNode.ts"
import { cases, dial, ended, endedOrDropped, portOf, swarm } from "./hostile/attack.ts"
import { crowding, siege } from "./hostile/Siege.ts"
import { eventually } from "./Member.ts"

const limit = 300_000

const alive = (name: string, port = 4711): Uint8Array =>
  EpmdProtocol.encodeRequest({ _tag: "Alive", node: EpmdProtocol.registration({ name, port }) })

/** Sends bytes and reads until the end. */
const ask = (port: number, bytes: Uint8Array): Promise<Buffer> =>
  new Promise((resolve) => {
    const socket = dial(port)
    let all = Buffer.alloc(0)
    socket.on("data", (data) => {
      all = Buffer.concat([all, data])
    })
    socket.on("close", () => resolve(all))
    socket.end(bytes)
  })

describe("our server", () => {
  it.live(
    "[B4] 20 000 malformed, mutated and cut requests: alive, nothing registered or taken over",
    () =>
      Effect.gen(function*() {
        const { epmd, good, port, victim, withstand } = yield* siege()
        const seeds = [
          alive("t"),
          alive("victim", 1),
          EpmdProtocol.encodeRequest({ _tag: "Port", name: "victim" }),
          EpmdProtocol.encodeRequest({ _tag: "Names" }),
          EpmdProtocol.encodeRequest({ _tag: "Dump" }),
          EpmdProtocol.encodeRequest({ _tag: "Kill" }),
          EpmdProtocol.encodeRequest({ _tag: "Stop", name: "victim" })
        ]
        const attack = async (i: number) => {
          const random = makeRandom(i + 1)
          const int = (n: number): number => Math.floor(random() * n)
          let bytes = Buffer.from(seeds[int(seeds.length)]!)
          switch (i % 4) {
            case 0:
              for (let n = 1 + int(3); n > 0; n--) bytes[int(bytes.length)] = int(256)
              break
            case 1:
              bytes = bytes.subarray(0, int(bytes.length))
              break
            case 2:
              bytes = Buffer.concat([Buffer.from([int(14), int(256)]), randomBytes(int(300))])
              break
            default:
              bytes = Buffer.concat([bytes, randomBytes(1 + int(10))])
          }
          await ask(epmd, bytes)
        }
        yield* withstand(swarm(cases(20_000), 30, attack))
        assert.strictEqual(yield* portOf("victim", epmd), port)
        assert.strictEqual(yield* good.ask("ping", victim.name), "pong")
        const names = EpmdProtocol.decodeNames(
          new Uint8Array(
            yield* Effect.promise(() => ask(epmd, EpmdProtocol.encodeRequest({ _tag: "Names" })))
          )
        )
        assert.deepStrictEqual(
          typeof names === "string" ? names : names?.map((node) => node.name).sort(),
          ["good", "victim"]
        )
      }),
    limit
  )

  it.live(
    "[B4] 2000 that ask nothing and 2000 that want a name: look-ups go on, the silent are closed within 10 seconds",
    () =>
      Effect.gen(function*() {
        const { epmd, withstand } = yield* siege()
        const attack = Effect.promise(async () => {
          // In pieces: that the attacker holds up the loop it shares with its victim is not what is measured.
          const dialAll = async (count: number, first?: (i: number) => Uint8Array) => {
            const sockets: Array<Net.Socket> = []
            for (let i = 0; i < count; i++) {
              const socket = dial(epmd)
              if (first !== undefined) socket.write(first(i))
              sockets.push(socket)
              if (i % 50 === 49) await new Promise(setImmediate)
            }
            return sockets
          }
          const names = await dialAll(2000, (i) => alive(`taken${i}`))
          await new Promise((resolve) => setTimeout(resolve, 1000))
          const silent = await dialAll(2000)
          const half = await dialAll(100, () => Buffer.from([0, 20, 120]))
          const before = performance.now()
          await Promise.all([...silent, ...half].map((socket) => endedOrDropped(socket, 11_500)))
          assert.isBelow(performance.now() - before, 12_500 * crowding())
          for (const socket of names) socket.destroy()
        })
        yield* withstand(attack)
      }),
    limit
  )
})

const live = (name: string, body: Effect.Effect<void, unknown, Scope.Scope | Network>) =>
  it.live(
    name,
    () =>
      Effect.scoped(body).pipe(
        Effect.provide(NodeNetwork.layer),
        Effect.provideService(References.MinimumLogLevel, "None")
      ),
    60_000
  )

describe("our server's limits", () => {
  live(
    "connections: the oldest that has not registered makes room; registrations: a fifth of the places stays free",
    Effect.gen(function*() {
      const server = yield* EpmdServer.make({ port: yield* freePort, maxConnections: 10 })
      const silent = Array.from({ length: 30 }, () => dial(server.port))
      yield* Effect.promise(() => ended(silent[0]!))
      const registered = Array.from({ length: 20 }, (_, i) => {
        const socket = dial(server.port)
        socket.write(alive(`n${i}`))
        socket.resume()
        return socket
      })
      yield* eventually(Effect.sync(() => server.nodes().length), 8)
      assert.strictEqual(server.nodes().length, 8)
      const answer = yield* Effect.promise(() =>
        ask(server.port, EpmdProtocol.encodeRequest({ _tag: "Port", name: server.nodes()[0]!.name }))
      )
      assert.strictEqual(answer[1], 0)
      for (const socket of [...silent, ...registered]) socket.destroy()
      yield* eventually(Effect.sync(() => server.nodes().length), 0)
      assert.strictEqual(server.nodes().length, 0)
    })
  )

  live(
    "who does not take its answer is closed",
    Effect.gen(function*() {
      const server = yield* EpmdServer.make({ port: yield* freePort, idleMillis: 500 })
      const extra = new Uint8Array(1000)
      const holders = Array.from({ length: 700 }, (_, i) => {
        const socket = dial(server.port)
        const name = `${i}${"x".repeat(250)}`
        socket.write(EpmdProtocol.encodeRequest({
          _tag: "Alive",
          node: EpmdProtocol.registration({ name, port: 1, extra })
        }))
        return socket
      })
      yield* eventually(Effect.sync(() => server.nodes().length), 700)
      // 300 times 190 kB, of which nobody reads anything.
      const deaf = Array.from({ length: 100 }, () => {
        const socket = dial(server.port)
        socket.pause()
        socket.write(EpmdProtocol.encodeRequest({ _tag: "Names" }))
        return socket
      })
      const before = performance.now()
      yield* Effect.promise(() =>
        Promise.all(deaf.map((socket) =>
          new Promise<void>((resolve) => {
            setTimeout(() => {
              // The end is seen behind what is read.
              socket.resume()
              void ended(socket).then(resolve)
            }, 1200)
          })
        ))
      )
      assert.isBelow(performance.now() - before, 5000)
      for (const socket of holders) socket.destroy()
    })
  )

  live(
    "a name cannot forge other lines of the list",
    Effect.gen(function*() {
      const server = yield* EpmdServer.make({ port: yield* freePort })
      const client = yield* Epmd.make({ port: server.port })
      const forged = Buffer.from(alive("a at port 1 name bank at port 6666"))
      forged.write("\n", forged.indexOf(" name bank"))
      const socket = dial(server.port)
      socket.write(forged)
      yield* Effect.promise(() => ended(socket))
      assert.deepStrictEqual(yield* client.names("127.0.0.1"), [])
    })
  )
})

/** A server that answers whatever is asked as it likes. */
const hostile = (
  answer: (socket: Net.Socket, request: Buffer, count: number) => void
): Effect.Effect<{ readonly port: number; readonly asked: () => number }, never, Scope.Scope> =>
  Effect.gen(function*() {
    let count = 0
    const sockets = new Set<Net.Socket>()
    const server = yield* Effect.acquireRelease(
      Effect.callback<Net.Server>((resume) => {
        const server = Net.createServer((socket) => {
          sockets.add(socket)
          socket.on("error", () => {})
          socket.on("close", () => sockets.delete(socket))
          socket.on("data", (data) => answer(socket, data, ++count))
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.sync(() => {
          server.close()
          for (const socket of sockets) socket.destroy()
        })
    )
    return { port: (server.address() as Net.AddressInfo).port, asked: () => count }
  })

const endpoint = { name: "shop", host: "127.0.0.1", port: 4711 }

describe("our client", () => {
  live(
    "2000 random answers are values or typed errors, in time",
    Effect.gen(function*() {
      const random = makeRandom(5)
      const int = (n: number): number => Math.floor(random() * n)
      const found = Buffer.from([119, 0, 18, 103, 77, 0, 0, 6, 0, 5, 0, 4, 115, 104, 111, 112, 0, 0])
      const server = yield* hostile((socket, _, count) => {
        const bytes = count % 2 === 0 ? Buffer.from(found) : randomBytes(int(60))
        if (bytes.length > 0) bytes[int(bytes.length)] = int(256)
        socket.end(count % 3 === 0 ? bytes.subarray(0, int(bytes.length)) : bytes)
      })
      const client = yield* Epmd.make({ port: server.port })
      const asks = (i: number): Effect.Effect<unknown, unknown, Scope.Scope> =>
        [client.resolve("shop@127.0.0.1"), client.names("127.0.0.1"), client.register(endpoint)][i % 3]!
      yield* Effect.forEach(
        Array.from({ length: 2000 }, (_, i) => i),
        (i) =>
          Effect.matchCauseEffect(Effect.scoped(asks(i)), {
            onSuccess: () => Effect.void,
            onFailure: (cause) =>
              Effect.sync(() => {
                for (const reason of cause.reasons) {
                  assert.strictEqual(reason._tag, "Fail")
                  assert.strictEqual(
                    (reason as { readonly error: { readonly _tag: string } }).error._tag,
                    "DiscoveryError"
                  )
                }
              })
          }),
        { concurrency: 20 }
      )
    })
  )

  live(
    "silence, drips and floods end: after 5 seconds or a mebibyte",
    Effect.gen(function*() {
      const silent = yield* hostile(() => {})
      const dripping = yield* hostile((socket) => {
        const drip = setInterval(() => socket.write(Buffer.from([119])), 200)
        socket.on("close", () => clearInterval(drip))
      })
      const flooding = yield* hostile((socket) => {
        const chunk = Buffer.alloc(100_000, "name x at port 1\n")
        const pour = (): void => {
          while (!socket.destroyed && socket.write(chunk));
        }
        socket.on("drain", pour)
        pour()
      })
      const before = performance.now()
      yield* Effect.forEach([silent, dripping, flooding], ({ port }) =>
        Effect.gen(function*() {
          const client = yield* Epmd.make({ port })
          const error = yield* Effect.flip(client.names("127.0.0.1"))
          assert.strictEqual(error._tag, "DiscoveryError")
          yield* Effect.flip(client.resolve("shop@127.0.0.1"))
        }), { concurrency: 3 })
      assert.isBelow(performance.now() - before, 13_000)
    })
  )

  live(
    "ports that are none are not handed on",
    Effect.gen(function*() {
      const server = yield* hostile((socket) =>
        socket.end(Buffer.concat([
          Buffer.from([0, 0, 17, 17]),
          Buffer.from(
            "name a at port 99999\nname b at port 65536\nname c at port 65535\nname  at port \nname d at port -1\n"
          )
        ]))
      )
      const client = yield* Epmd.make({ port: server.port })
      assert.deepStrictEqual((yield* client.names("127.0.0.1")).map((node) => node.name), ["c@127.0.0.1"])
    })
  )

  live(
    "a server that takes the registration and drops it is not asked without end",
    Effect.gen(function*() {
      const server = yield* hostile((socket) => socket.end(Buffer.from([118, 0, 0, 0, 0, 9])))
      const client = yield* Epmd.make({ port: server.port })
      yield* client.register(endpoint)
      yield* Effect.sleep("5 seconds")
      assert.isAtMost(server.asked(), 4)
      assert.isAtLeast(server.asked(), 2)
    })
  )

  live(
    "what follows on the answer of a registration means nothing, and its end is noticed all the same",
    Effect.gen(function*() {
      const server = yield* hostile((socket, _, count) => {
        socket.write(Buffer.from([118, 0, 0, 0, 0, 9]))
        if (count > 1) return
        for (let i = 0; i < 10; i++) setTimeout(() => socket.write(Buffer.alloc(200_000, 118)), 50 + i * 10)
        setTimeout(() => socket.end(), 400)
      })
      const client = yield* Epmd.make({ port: server.port })
      yield* client.register(endpoint)
      assert.strictEqual(yield* eventually(Effect.sync(() => server.asked()), 2), 2)
    })
  )
})
