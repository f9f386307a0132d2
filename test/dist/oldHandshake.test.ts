/**
 * The handshake of version 5, over sockets: a peer of our own that speaks it, in both roles.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Scope } from "effect"
import * as DistFlags from "effect-otp/dist/DistFlags"
import * as EpmdProtocol from "effect-otp/dist/EpmdProtocol"
import * as Node from "effect-otp/dist/Node"
import { Atom, Pid, Reference, Tuple } from "effect-otp/term"
import { randomBytes } from "node:crypto"
import * as Net from "node:net"
import { erlangAvailable } from "../erlang/escript.ts"
import { cookie, freePort, startErlang } from "./ErlangNode.ts"
import { dial, digestOf, evil, framed, packet, portOf, terms } from "./hostile/attack.ts"
import { member } from "./Member.ts"

const digest = (challenge: number): Uint8Array => digestOf(cookie)("", challenge)

const u32 = (n: number): ReadonlyArray<number> => [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255]

const u64 = (n: bigint): ReadonlyArray<number> => [...u32(Number(n >> 32n)), ...u32(Number(n & 0xffffffffn))]

/** Registers a name with EPMD as that of a node that speaks version 5 at most. */
const registerOld = (epmd: number, name: string, port: number): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(Effect.acquireRelease(
    Effect.callback<Net.Socket>((resume) => {
      const socket = dial(epmd)
      socket.once("data", () => resume(Effect.succeed(socket)))
      socket.write(EpmdProtocol.encodeRequest({
        _tag: "Alive",
        node: EpmdProtocol.registration({ name, port, highest: 5, lowest: 5 })
      }))
    }),
    (socket) => Effect.sync(() => socket.destroy())
  ))

/** An acceptor of an old node: what it was sent, and the connection once hands are shaken. */
const oldAcceptor = (name: string, flags: bigint) =>
  Effect.gen(function*() {
    const seen: Array<Buffer> = []
    let shaken: (socket: Net.Socket) => void = () => {}
    const socket = new Promise<Net.Socket>((resolve) => {
      shaken = resolve
    })
    const server = yield* Effect.acquireRelease(
      Effect.callback<Net.Server>((resume) => {
        const server = Net.createServer((socket) => {
          const challenge = randomBytes(4).readUInt32BE()
          let held = Buffer.alloc(0)
          socket.on("error", () => {})
          const onData = (data: Buffer): void => {
            held = Buffer.concat([held, data])
            while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
              const message = held.subarray(2, 2 + held.readUInt16BE(0))
              held = held.subarray(2 + message.length)
              seen.push(Buffer.from(message))
              if (message[0] === 110) {
                socket.write(framed(Buffer.from("sok")))
                const text = [...Buffer.from(name)]
                // A node that knows the new handshake answers with its challenge, an older one with the old one.
                const answer = (flags & DistFlags.flags.handshake23) === 0n
                  ? [110, 0, 5, ...u32(Number(flags & 0xffffffffn)), ...u32(challenge), ...text]
                  : [78, ...u64(flags), ...u32(challenge), ...u32(33), 0, text.length, ...text]
                socket.write(framed(Uint8Array.from(answer)))
              } else if (message[0] === 114) {
                assert.deepStrictEqual(new Uint8Array(message.subarray(5)), digest(challenge))
                socket.write(framed(Uint8Array.of(97, ...digest(message.readUInt32BE(1)))))
                socket.off("data", onData)
                shaken(socket)
              }
            }
          }
          socket.on("data", onData)
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close())
    )
    return { port: (server.address() as Net.AddressInfo).port, seen, socket: Effect.promise(() => socket) }
  })

const old = "old@127.0.0.1"

/** Asks net_kernel over a connection, as `net_adm:ping` does. */
const ping = (socket: Net.Socket, victim: string) =>
  Effect.callback<boolean>((resume) => {
    const from = new Pid.Pid(old, 1, 0, 33)
    const ref = new Reference.Reference(old, 33, [1, 2, 3])
    let all = Buffer.alloc(0)
    socket.on("data", (data) => {
      all = Buffer.concat([all, data])
      if (all.includes("yes")) resume(Effect.succeed(true))
    })
    socket.write(terms(
      Tuple.make(6, from, Atom.make(""), Atom.make("net_kernel")),
      Tuple.make(Atom.make("$gen_call"), Tuple.make(from, ref), Tuple.make(Atom.make("is_auth"), Atom.make(victim)))
    ))
    socket.write(packet(Buffer.alloc(0)))
  })

describe("handshake of version 5", () => {
  it.live("an old node connects to ours and is answered", () =>
    Effect.gen(function*() {
      const epmd = yield* freePort
      const a = yield* member("a@127.0.0.1", epmd)
      const socket = yield* evil(yield* portOf("a", epmd), old, a.name, { version: 5, creation: 33 })
      assert.isTrue(yield* Effect.timeout(ping(socket, a.name), "5 seconds"))
      assert.deepStrictEqual(yield* a.run(Node.nodes()), [old])
    }), 20_000)

  it.live(
    "ours connects to a node that EPMD says is old, with what such a node understands",
    () =>
      Effect.gen(function*() {
        const epmd = yield* freePort
        const a = yield* member("a@127.0.0.1", epmd)
        const acceptor = yield* oldAcceptor(old, DistFlags.offer())
        yield* registerOld(epmd, "old", acceptor.port)
        yield* a.run(Node.connect(old))
        assert.deepStrictEqual(yield* a.run(Node.nodes()), [old])
        assert.deepStrictEqual(acceptor.seen.map((message) => String.fromCharCode(message[0]!)), ["n", "c", "r"])
        assert.strictEqual(acceptor.seen[0]!.subarray(7).toString(), a.name)
        assert.isTrue(yield* Effect.timeout(ping(yield* acceptor.socket, a.name), "5 seconds"))
      }),
    20_000
  )

  it.live("a node that is older still is refused, and the error says what it lacks", () =>
    Effect.gen(function*() {
      const epmd = yield* freePort
      const a = yield* member("a@127.0.0.1", epmd)
      const acceptor = yield* oldAcceptor(old, 0x7df7fbdn)
      yield* registerOld(epmd, "old", acceptor.port)
      const error = yield* Effect.flip(a.run(Node.connect(old)))
      assert.match(error.message, /too old.*v4Nc/)
      assert.isFalse(acceptor.seen.some((message) => message[0] === 114), "no digest was given away")
    }), 20_000)

  it.live(
    "EPMD tells the truth: a node of today that is listed as old is reached by what it takes",
    () =>
      Effect.gen(function*() {
        const epmd = yield* freePort
        const a = yield* member("a@127.0.0.1", epmd)
        const b = yield* member("b@127.0.0.1", epmd, {})
        const port = yield* portOf("b", epmd)
        // Under another EPMD it is an old one.
        const other = yield* freePort
        const c = yield* member("c@127.0.0.1", other)
        yield* registerOld(other, "b", port)
        assert.strictEqual(yield* c.run(Node.ping(b.name)), "pong")
        assert.strictEqual(yield* a.run(Node.ping(b.name)), "pong")
        assert.deepStrictEqual([...yield* b.run(Node.nodes())].sort(), [a.name, c.name])
      }),
    20_000
  )

  it.live.skipIf(!erlangAvailable)(
    "Erlang 25: reaches ours when that is listed as old, and closes on version 5 itself",
    () =>
      Effect.gen(function*() {
        const [epmd, other] = [yield* freePort, yield* freePort]
        const a = yield* member("a@127.0.0.1", epmd)
        const c = yield* member("c@127.0.0.1", other)
        const erl = yield* startErlang("erl@127.0.0.1", { epmdPort: epmd })
        yield* registerOld(epmd, "c", yield* portOf("c", other))
        assert.strictEqual(yield* erl.eval("net_adm:ping('c@127.0.0.1')"), "pong")
        assert.deepStrictEqual(yield* c.run(Node.nodes()), [erl.name])
        yield* c.run(Node.disconnect(erl.name))
        // OTP 25.0 to 25.2 know the old message no more, 25.3 does again: whichever it is, the outcome is a clean one.
        yield* registerOld(other, "erl", yield* portOf("erl", epmd))
        const exit = yield* c.run(Effect.exit(Node.connect(erl.name)))
        if (exit._tag === "Failure") assert.match(String(exit.cause), /closed the connection during the handshake/)
        else assert.deepStrictEqual(yield* c.run(Node.nodes()), [erl.name])
        assert.strictEqual(yield* a.run(Node.ping(erl.name)), "pong")
      }),
    30_000
  )
})
