/**
 * The door of a node under attack: whoever does not know the cookie. Counts are those of every commit;
 * `EFFECT_OTP_HOSTILE_FACTOR` multiplies them for a night's run.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as DistFlags from "effect-otp/dist/DistFlags"
import * as Handshake from "effect-otp/dist/Handshake"
import { randomBytes } from "node:crypto"
import { makeRandom } from "../term/randomTerm.ts"
import { cookie } from "./ErlangNode.ts"
import { cases, dial, digestOf, ended, endedOrDropped, framed, login, swarm } from "./hostile/attack.ts"
import { crowding, siege } from "./hostile/Siege.ts"

const limit = 300_000

describe("who does not know the cookie", () => {
  it.live("[B3] 10 000 connections with garbage are closed", () =>
    Effect.gen(function*() {
      const { port, withstand } = yield* siege()
      const random = makeRandom(1)
      const int = (n: number): number => Math.floor(random() * n)
      const attack = async (i: number) => {
        const socket = dial(port)
        switch (i % 5) {
          case 0:
            socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            break
          case 1:
            socket.write(randomBytes(1 + int(200)))
            break
          case 2:
            // A proper length in front of it.
            socket.write(framed(randomBytes(1 + int(300))))
            break
          case 3:
            socket.write(Buffer.from([255, 255, ...randomBytes(int(3000))]))
            break
          default:
            socket.write(Buffer.alloc(100_000, int(256)))
        }
        socket.end()
        await ended(socket)
      }
      yield* withstand(swarm(cases(10_000), 50, attack))
    }), limit)

  it.live(
    "[B3] 5000 handshakes that are cut off anywhere, or changed anywhere, let nobody in",
    () =>
      Effect.gen(function*() {
        const { port, victim, withstand } = yield* siege()
        const random = makeRandom(2)
        const int = (n: number): number => Math.floor(random() * n)
        let inside = 0
        const attack = (i: number) =>
          new Promise<void>((resolve) => {
            const name = `cut${i % 100}@127.0.0.1`
            const machine = Handshake.initiate({
              self: { name, creation: 77, flags: DistFlags.offer() },
              challenge: 5,
              digest: digestOf(cookie),
              wanted: victim.name,
              connected: () => false,
              version: i % 7 === 0 ? 5 : 6
            })
            const cut = int(60)
            let sent = 0
            const socket = dial(port)
            socket.on("close", () => resolve())
            let stopped = false
            const say = (bytes: Buffer): void => {
              if (stopped) return
              if (i % 2 === 0) {
                const part = bytes.subarray(0, Math.max(0, cut - sent))
                sent += part.length
                socket.write(part)
                if (sent >= cut) {
                  stopped = true
                  socket.end()
                }
              } else {
                const changed = Buffer.from(bytes)
                changed[int(changed.length)]! ^= 1 << int(8)
                socket.write(changed)
                setTimeout(() => socket.end(), 30).unref()
              }
            }
            let held = Buffer.alloc(0)
            socket.on("data", (data) => {
              held = Buffer.concat([held, data])
              while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
                const message = held.subarray(2, 2 + held.readUInt16BE(0))
                held = held.subarray(2 + message.length)
                if (message[0] === 97) inside++
                for (const next of machine.receive(new Uint8Array(message)).send) say(framed(next))
              }
            })
            for (const message of machine.start) say(framed(message))
          })
        yield* withstand(swarm(cases(5000), 400, attack))
        // A flag or a creation that is changed is no harm; what proves the cookie must be whole.
        assert.isBelow(inside, cases(5000) / 2)
      }),
    limit
  )

  it.live("[B9] 10 000 wrong cookies: none in, the brute forcer is slowed down", () =>
    Effect.gen(function*() {
      const { port, victim, withstand } = yield* siege()
      let inside = 0
      let slow = 0
      const attack = async (i: number) => {
        const started = performance.now()
        const socket = await login(port, `guess${i % 1000}@127.0.0.1`, victim.name, { secret: `guess ${i}` })
        if (socket !== undefined) {
          inside++
          socket.destroy()
        }
        if (performance.now() - started > 900) slow++
      }
      yield* withstand(swarm(cases(10_000), 400, attack))
      assert.strictEqual(inside, 0)
      assert.isAbove(slow, 100)
    }), limit)

  it.live(
    "[B10] 1000 silent connections and 200 slow handshakes end within 8 seconds, others get in meanwhile",
    () =>
      Effect.gen(function*() {
        const { port, withstand } = yield* siege()
        const started = performance.now()
        const attack = Effect.promise(async () => {
          const name = framed(
            Handshake.initiate({
              self: { name: "slow@127.0.0.1", creation: 1, flags: DistFlags.offer() },
              challenge: 1,
              digest: digestOf("x"),
              wanted: "victim@127.0.0.1",
              connected: () => false
            }).start[0]!
          )
          const silent = Array.from({ length: 1000 }, () => dial(port))
          const slow = Array.from({ length: 200 }, () => dial(port))
          let at = 0
          const drip = setInterval(() => {
            for (const socket of slow) if (at < name.length) socket.write(name.subarray(at, at + 1))
            at++
          }, 500)
          await Promise.all([...silent, ...slow].map((socket) => endedOrDropped(socket, 9000)))
          clearInterval(drip)
        })
        const watched = yield* withstand(attack)
        // The attack itself lasts as long as the last of them.
        assert.isBelow(performance.now() - started, 12_000 * crowding())
        assert.isAbove(watched.pings, 20)
      }),
    limit
  )

  it.live(
    "10 000 connections that say nothing, one after the other: the places are never all taken",
    () =>
      Effect.gen(function*() {
        const { port, victim, withstand } = yield* siege()
        const open: Array<ReturnType<typeof dial>> = []
        const attack = swarm(cases(10_000), 10, async () => {
          const socket = dial(port)
          await new Promise<void>((resolve) => {
            socket.once("connect", resolve)
            socket.once("close", () => resolve())
          })
          socket.resume()
          open.push(socket)
        })
        yield* withstand(Effect.andThen(
          attack,
          Effect.gen(function*() {
            const { pending, sockets } = yield* victim.stats
            assert.isAtMost(pending, 257)
            assert.isBelow(sockets, 400)
            for (const socket of open) socket.destroy()
          })
        ))
      }),
    limit
  )
})
