/**
 * A node under attack by peers that know the cookie: packets, control messages, terms and fragments of every kind of
 * wrongness. Counts are those of every commit; `EFFECT_OTP_HOSTILE_FACTOR` multiplies them for a night's run.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Atom, Pid, Reference, type Term, Tuple } from "effect-otp/term"
import { deflateSync } from "node:zlib"
import { makeRandom, makeRandomTerm } from "../term/randomTerm.ts"
import {
  bare,
  cases,
  ended,
  evil,
  fragment,
  login,
  makeControl,
  messageOf,
  mutate,
  packet,
  record,
  rename,
  swarm,
  terms
} from "./hostile/attack.ts"
import { startNode } from "./hostile/NodeProcess.ts"
import { crowding, siege } from "./hostile/Siege.ts"

const limit = 300_000
const mebibyte = 1024 * 1024

const from = (node: string): Pid.Pid => new Pid.Pid(node, 1, 0, 77)

/** As somebody who knows the cookie: everything that is given, then the end. */
const say = async (port: number, name: string, victim: string, bytes: Buffer): Promise<boolean> => {
  const socket = await login(port, name, victim)
  if (socket === undefined) return false
  socket.end(bytes)
  await ended(socket)
  return true
}

/** Names that attackers have, all of the same length. */
const nameOf = (i: number): string => `evil${String(i % 1000).padStart(3, "0")}@127.0.0.1`

describe("a peer that knows the cookie", () => {
  it.live("[B3] 20 000 control messages with wrong operations, arities and types", () =>
    Effect.gen(function*() {
      const { port, victim, withstand } = yield* siege()
      let inside = 0
      const attack = async (i: number) => {
        const own = nameOf(i)
        const control = makeControl(makeRandom(i + 1), { own, victim: victim.name, creation: victim.creation })
        // One after the other, until one of them ends the connection.
        const all = Buffer.concat(Array.from({ length: 10 }, control))
        if (await say(port, own, victim.name, all)) inside++
      }
      yield* withstand(swarm(cases(2000), 20, attack))
      assert.strictEqual(inside, cases(2000))
    }), limit)

  it.live("[B3] 20 000 mutants of real traffic", () =>
    Effect.gen(function*() {
      const { epmd, port, victim, withstand } = yield* siege()
      const recorded = "recorded@127.0.0.1"
      const packets = yield* record(port, (proxy) =>
        Effect.gen(function*() {
          const recorder = yield* startNode(recorded, {
            epmd,
            options: { routes: { [victim.name]: { host: "127.0.0.1", port: proxy } } }
          })
          yield* recorder.ask("traffic", victim.name)
          yield* recorder.ask("disconnect", victim.name)
        }).pipe(Effect.scoped))
      assert.isAbove(packets.length, 15)
      const attack = async (i: number) => {
        const random = makeRandom(i + 1)
        const own = `record${String(i % 100).padStart(2, "0")}@127.0.0.1`
        // What went before stays as it was, so that the cache of atoms is as the packet needs it.
        const at = Math.floor(random() * packets.length)
        const stream = packets.slice(0, at).map((bytes) => rename(bytes, recorded, own))
        for (let n = 0; n < 4; n++) {
          const next = packets[Math.min(packets.length - 1, at + n)]!
          stream.push(mutate(random, rename(next, recorded, own)))
        }
        await say(port, own, victim.name, Buffer.concat(stream))
      }
      yield* withstand(swarm(cases(5000), 20, attack))
    }), limit)

  it.live(
    "[B2] 20 000 mutants of terms in calls, casts and messages to processes that are there",
    () =>
      Effect.gen(function*() {
        const { port, victim, withstand } = yield* siege()
        const attack = async (i: number) => {
          const random = makeRandom(i + 1)
          const own = nameOf(i)
          const next = makeRandomTerm(random, {
            funs: true,
            nodes: [[own, 77], [victim.name, victim.creation], ["x@y", 3]]
          })
          const tag = new Reference.Reference(own, 77, [1, 2, 3])
          const parts: Array<Buffer> = []
          for (let n = 0; n < 10; n++) {
            const value = next(3)
            const message = [
              value,
              Tuple.make(Atom.make("$gen_cast"), value),
              Tuple.make(Atom.make("$gen_call"), Tuple.make(from(own), tag), Tuple.make(Atom.make("echo"), value)),
              Tuple.make(Atom.make("$gen_call"), value, value)
            ][Math.floor(random() * 4)]!
            const name = ["worker", "sink", "net_kernel", "rex", "user", "nobody"][Math.floor(random() * 6)]!
            const whole = messageOf(from(own), name, bare(message))
            parts.push(n < 3 ? whole : mutate(random, whole))
          }
          await say(port, own, victim.name, Buffer.concat(parts))
        }
        yield* withstand(swarm(cases(2000), 20, attack))
      }),
    limit
  )

  it.live("[B3] bad references to the cache of atoms, and headers that lie", () =>
    Effect.gen(function*() {
      const { port, victim, withstand } = yield* siege()
      const random = makeRandom(7)
      const int = (n: number): number => Math.floor(random() * n)
      const attack = async (i: number) => {
        const parts: Array<Buffer> = []
        for (let n = 0; n < 5; n++) {
          const count = [0, 1, 2, 3, int(256), 255][int(6)]!
          const flags = Buffer.from(Array.from({ length: (count >> 1) + 1 }, () => int(256)))
          const references = Buffer.from(Array.from({ length: int(40) }, () => int(256)))
          parts.push(packet(Buffer.concat([
            Buffer.from([131, int(20) === 0 ? 69 : 68, count]),
            flags,
            references,
            Buffer.from([104, 4, 97, 6, 82, int(256), 82, int(256), 82, int(256), 82, int(256)])
          ])))
        }
        await say(port, nameOf(i), victim.name, Buffer.concat(parts))
      }
      yield* withstand(swarm(cases(2000), 20, attack))
    }), limit)

  it.live("[B8] frames that claim 4 GB, and frames that come a byte at a time", () =>
    Effect.gen(function*() {
      const { port, victim, withstand } = yield* siege()
      const attack = Effect.gen(function*() {
        yield* swarm(cases(500), 20, async (i) => {
          const head = Buffer.alloc(4 + (i % 50))
          head.writeUInt32BE(i % 2 === 0 ? 0xffffffff : 0x80000000 + i)
          await say(port, nameOf(i), victim.name, head)
        })
        // Allowed in size, and never sent: costs what has come, not what was announced.
        yield* swarm(100, 100, async (i) => {
          const socket = await login(port, `large${i}@127.0.0.1`, victim.name)
          const head = Buffer.alloc(1000)
          head.writeUInt32BE(128 * 1024 * 1024)
          for (let at = 0; at < head.length; at += 50) {
            socket!.write(head.subarray(at, at + 50))
            await new Promise((resolve) => setTimeout(resolve, 20))
          }
          socket!.destroy()
        })
      })
      yield* withstand(attack)
    }), limit)

  it.live(
    "[B8] 20 000 unfinished fragments: within the limit, and freed with their connections",
    () =>
      Effect.gen(function*() {
        const { port, victim, withstand } = yield* siege()
        const attack = swarm(20, 4, async (i) => {
          const own = nameOf(i)
          const socket = (await login(port, own, victim.name))!
          const control = bare(Tuple.make(6, from(own), Atom.make(""), Atom.make("sink")))
          const parts: Array<Buffer> = []
          for (let id = 1; id <= 1000; id++) {
            const begin = Buffer.concat([Buffer.from([0]), control, Buffer.alloc(200, id)])
            parts.push(fragment(69, BigInt(id), [2n ** 64n - 1n, 2n, 1000n][id % 3]!, begin))
          }
          socket.write(Buffer.concat(parts))
          await new Promise((resolve) => setTimeout(resolve, 300))
          assert.isFalse(socket.destroyed)
          socket.write(fragment(69, 0n, 0n, Buffer.from([0])))
          await ended(socket)
        })
        yield* withstand(attack, { growth: 64 })
      }),
    limit
  )

  it.live(
    "[B8] 20 000 unfinished fragments as large as may be: 64 MiB are held, no more, and freed with their connections",
    () =>
      Effect.gen(function*() {
        const { port, victim, withstand } = yield* siege()
        const before = yield* victim.stats
        const held = Effect.map(victim.stats, ({ arrayBuffers }) => (arrayBuffers - before.arrayBuffers) / mebibyte)
        const beginnings = (own: string, first: number, count: number, size: number): Buffer => {
          const control = bare(Tuple.make(6, from(own), Atom.make(""), Atom.make("sink")))
          const begin = Buffer.concat([Buffer.from([0]), control, Buffer.alloc(size)])
          return Buffer.concat(Array.from({ length: count }, (_, i) => fragment(69, BigInt(first + i), 1000n, begin)))
        }
        const attack = Effect.gen(function*() {
          // Few large ones, and as many as there may be: 20 000 would be 1.2 GiB and more.
          for (const [i, size] of [1_000_000, 65_000, 1_000_000, 65_000].entries()) {
            const own = nameOf(i)
            const socket = (yield* Effect.promise(() => login(port, own, victim.name)))!
            const within = Math.floor((63.5 * mebibyte) / size)
            yield* Effect.promise(() =>
              new Promise((resolve) => socket.write(beginnings(own, 1, within, size), resolve))
            )
            let most = 0
            for (let look = 0; look < 100 && most < 63; look++) most = Math.max(most, yield* held)
            assert.isAbove(most, 63)
            assert.isBelow(most, 66)
            assert.isFalse(socket.destroyed)
            socket.write(beginnings(own, within + 1, 100, size))
            yield* Effect.promise(() => ended(socket))
            assert.isBelow(yield* held, 3)
          }
        })
        yield* withstand(attack, { growth: 200 })
      }),
    limit
  )

  it.live(
    "[B8] a large message is not kept once it is handled, although its connection stays",
    () =>
      Effect.gen(function*() {
        const { port, victim, withstand } = yield* siege()
        const before = yield* victim.stats
        const own = nameOf(0)
        const attack = Effect.gen(function*() {
          const socket = yield* evil(port, own, victim.name)
          const control = bare(Tuple.make(6, from(own), Atom.make(""), Atom.make("nobody")))
          const size = 60 * mebibyte
          const head = Buffer.concat([Buffer.from([0]), control, Buffer.from([109, 0, 0, 0, 0])])
          head.writeUInt32BE(size, head.length - 4)
          socket.write(fragment(69, 1n, 2n, head))
          socket.write(fragment(70, 1n, 1n, Buffer.alloc(size)))
          // The answer to what comes behind it says that it was handled.
          const answered = Effect.promise(() => new Promise((resolve) => socket.once("data", resolve)))
          socket.write(
            terms(Tuple.make(19, from(own), Atom.make("nobody"), new Reference.Reference(own, 77, [1, 2, 3])))
          )
          yield* answered
          assert.isBelow(((yield* victim.stats).arrayBuffers - before.arrayBuffers) / mebibyte, 3)
          assert.isFalse(socket.destroyed)
        })
        yield* withstand(Effect.scoped(attack), { growth: 300 })
      }),
    limit
  )

  it.live("[B8] fragments out of turn, doubled, not begun", () =>
    Effect.gen(function*() {
      const { port, victim, withstand } = yield* siege()
      const attack = async (i: number) => {
        const random = makeRandom(i + 1)
        const int = (n: number): number => Math.floor(random() * n)
        const own = nameOf(i)
        const control = bare(Tuple.make(6, from(own), Atom.make(""), Atom.make("sink")))
        const parts = Array.from({ length: 20 }, () => {
          const id = BigInt(1 + int(4))
          const number = BigInt([1, 2, 3, 4, int(5), 2 ** 53][int(6)]!)
          return int(3) === 0
            ? fragment(69, id, number, Buffer.concat([Buffer.from([0]), control, Buffer.from([109, 0, 0, 0, int(9)])]))
            : fragment(70, id, number, Buffer.alloc(int(20), int(256)))
        })
        await say(port, own, victim.name, Buffer.concat(parts))
      }
      yield* withstand(swarm(cases(1000), 20, attack))
    }), limit)

  it.live("[B5] compression bombs and claims of every kind are refused where they stand", () =>
    Effect.gen(function*() {
      const { port, victim, withstand } = yield* siege()
      const zeros = deflateSync(Buffer.alloc(256 * 1024 * 1024))
      const size = Buffer.alloc(4)
      size.writeUInt32BE(256 * 1024 * 1024)
      const bomb = Buffer.concat([Buffer.from([80]), size, zeros])
      const huge = [0xff, 0xff, 0xff, 0xff]
      const payloads: ReadonlyArray<Uint8Array> = [
        bomb,
        Buffer.concat([Buffer.from([131]), bomb]),
        // In a binary it is a binary, of its own size and no more.
        Buffer.concat([Buffer.from([109, 0, 0, 0, 5]), bomb]),
        Buffer.from([80, ...huge, 120, 156]),
        // Lists, tuples, maps, binaries, integers, atoms, funs, bit strings, references that claim what is not there.
        ...[105, 108, 109, 111, 116, 77, 112].map((tag) => Buffer.from([tag, ...huge, 1, 2, 3])),
        Buffer.from([118, 255, 255, 65]),
        Buffer.from([100, 255, 255, 65]),
        Buffer.from([90, 255, 255, 119, 0]),
        Buffer.from([110, 255, 0, 1]),
        Buffer.from([107, 255, 255, 1]),
        Buffer.from([121, 1, 2, 3]),
        Buffer.from([117, ...huge])
      ]
      const attack = swarm(cases(10 * payloads.length), 10, async (i) => {
        const own = nameOf(i)
        const name = ["worker", "sink", "net_kernel"][i % 3]!
        await say(port, own, victim.name, messageOf(from(own), name, payloads[i % payloads.length]!))
      })
      yield* withstand(attack)
    }), limit)

  it.live(
    "[B6] nesting by the million, large integers, long atoms, keys twice, not-a-number: soon a value or the end",
    () =>
      Effect.gen(function*() {
        const { port, victim, withstand } = yield* siege()
        const nested = (unit: ReadonlyArray<number>, end: ReadonlyArray<number>): Buffer => {
          const out = Buffer.alloc(2_000_000 * unit.length + end.length, Buffer.from(unit))
          out.set(end, 2_000_000 * unit.length)
          return out
        }
        const payloads: ReadonlyArray<Uint8Array> = [
          nested([104, 1], [106]),
          nested([108, 0, 0, 0, 1], [106]),
          nested([116, 0, 0, 0, 1], [106]),
          Buffer.concat([nested([108, 0, 0, 0, 1], [106]), Buffer.alloc(2_000_000, 106)]),
          // As deep as is allowed.
          Buffer.concat([Buffer.alloc(2 * 1_000_000, Buffer.from([104, 1])), Buffer.from([106])]),
          Buffer.concat([Buffer.from([111, 0, 64, 0, 0, 0]), Buffer.alloc(4 * 1024 * 1024, 255)]),
          Buffer.concat([Buffer.from([111, 0, 15, 0, 0, 1]), Buffer.alloc(983_040, 255)]),
          Buffer.concat([Buffer.from([118, 255, 255]), Buffer.alloc(65_535, 97)]),
          Buffer.from([116, 0, 0, 0, 2, 97, 1, 97, 1, 97, 1, 97, 2]),
          Buffer.from([70, 127, 248, 0, 0, 0, 0, 0, 0]),
          Buffer.from([70, 255, 240, 0, 0, 0, 0, 0, 0]),
          Buffer.from([99, ...Buffer.alloc(31, "1e999")])
        ]
        const attack = swarm(3 * payloads.length, 1, async (i) => {
          const own = nameOf(i)
          const name = ["worker", "sink", "nobody"][i % 3]!
          const started = performance.now()
          await say(port, own, victim.name, messageOf(from(own), name, payloads[Math.floor(i / 3)]!))
          assert.isBelow(performance.now() - started, 3000 * crowding())
        })
        yield* withstand(attack, { growth: 900 })
      }),
    limit
  )

  it.live("[B7] 1.1 million fresh atoms, in terms and in the cache", () =>
    Effect.gen(function*() {
      const { port, victim, withstand } = yield* siege()
      const own = nameOf(0)
      const attack = Effect.promise(async () => {
        const socket = (await login(port, own, victim.name))!
        for (let i = 0; i < 1100; i++) {
          const atoms = Array.from({ length: 1000 }, (_, k) => {
            const text = Buffer.from(`fresh_${i}_${k}`)
            return Buffer.concat([Buffer.from([119, text.length]), text])
          })
          const list = Buffer.concat([Buffer.from([108, 0, 0, 3, 232]), ...atoms, Buffer.from([106])])
          const to = ["sink", "worker", "nobody", `fresh_name_${i}`][i % 4]!
          if (!socket.write(messageOf(from(own), to, list))) {
            await new Promise<void>((resolve) => socket.once("drain", () => resolve()))
          }
        }
        // As monitored names, and as names of nodes in pids, references and ports.
        for (let i = 0; i < 20_000; i++) {
          const ref = new Reference.Reference(`node${i}@fresh`, i, [i, 2, 3])
          const parts = [
            terms(Tuple.make(19, from(own), Atom.make(`watched_${i}`), new Reference.Reference(own, 77, [i, 1, 1]))),
            messageOf(from(own), "sink", bare([ref, new Pid.Pid(`node${i}@fresh`, i, 0, i)]))
          ]
          if (!socket.write(Buffer.concat(parts))) {
            await new Promise<void>((resolve) => socket.once("drain", () => resolve()))
          }
        }
        socket.end()
        await ended(socket)
      })
      yield* withstand(attack, { growth: 256 })
    }), limit)

  it.live(
    "calls that nobody answers leave nothing behind, not even while the caller is there",
    () =>
      Effect.gen(function*() {
        const { port, victim, withstand } = yield* siege()
        const own = nameOf(0)
        const call = (request: Term.Term, i: number): Buffer =>
          messageOf(
            from(own),
            i % 2 === 0 ? "worker" : "sink",
            bare(Tuple.make(
              Atom.make("$gen_call"),
              Tuple.make(from(own), new Reference.Reference(own, 77, [i & 0xffff, 1, 1])),
              request
            ))
          )
        const attack = Effect.gen(function*() {
          const socket = yield* evil(port, own, victim.name)
          const before = yield* victim.stats
          yield* Effect.promise(async () => {
            socket.resume()
            for (let i = 0; i < 200_000; i++) {
              const request = i % 3 === 0 ? Atom.make("never") : Tuple.make(Atom.make("unknown"), i)
              if (!socket.write(call(request, i))) {
                await new Promise<void>((resolve) => socket.once("drain", () => resolve()))
              }
            }
          })
          yield* Effect.sleep(500)
          const after = yield* victim.stats
          assert.isBelow((after.heap - before.heap) / 1024 / 1024, 12)
        }).pipe(Effect.scoped)
        yield* withstand(attack)
      }),
    limit
  )

  it.live("monitors that hash alike do not slow the node down", () =>
    Effect.gen(function*() {
      const { port, victim, withstand } = yield* siege()
      const own = nameOf(0)
      const attack = Effect.gen(function*() {
        const socket = yield* evil(port, own, victim.name)
        socket.resume()
        // 31 * a + b is the same for all of them.
        const refs = Array.from(
          { length: 40_000 },
          (_, i) => new Reference.Reference(own, 77, [i, 2 ** 31 - 31 * i, 1])
        )
        const send = (op: number) =>
          socket.write(Buffer.concat(refs.map((ref) => terms(Tuple.make(op, from(own), Atom.make("worker"), ref)))))
        send(19)
        yield* Effect.sleep(500)
        send(20)
        yield* Effect.sleep(500)
        // The same reference again and again is one monitor.
        for (let i = 0; i < 20_000; i++) socket.write(terms(Tuple.make(19, from(own), Atom.make("worker"), refs[0]!)))
        yield* Effect.sleep(500)
        assert.strictEqual((yield* victim.stats).watchers, 1)
      }).pipe(Effect.scoped)
      yield* withstand(attack)
    }), limit)
})
