/**
 * Compressed messages: between nodes of ours, never to Erlang, and from peers that abuse them.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Schema } from "effect"
import { GenServer, Message, Process, Protocol } from "effect-otp"
import * as DistFlags from "effect-otp/dist/DistFlags"
import * as Node from "effect-otp/dist/Node"
import { Encoder, Etf } from "effect-otp/etf"
import { Atom, Pid, Tuple } from "effect-otp/term"
import { createHash } from "node:crypto"
import { deflateSync } from "node:zlib"
import { ErlangEpmd, freePort, startErlang } from "./ErlangNode.ts"
import { closed, evil } from "./EvilPeer.ts"
import { eventually, type Member, member } from "./Member.ts"

class Entry extends Schema.Class<Entry>("Entry")({
  id: Schema.Int,
  name: Schema.String,
  state: Schema.Literals(["waiting", "running", "done"])
}) {}

class Worker extends Protocol.make(
  "Worker",
  Message.Call("Echo", { payload: { value: Etf.Term }, success: Etf.Term }),
  Message.Call("Table", { payload: { size: Schema.Int }, success: Schema.Array(Entry) }),
  Message.Call("Seen", { success: Schema.Array(Schema.Int) }),
  Message.Call("Compress", { payload: { on: Schema.Boolean } }),
  Message.Cast("Note", { payload: { n: Schema.Int, body: Schema.Uint8Array } })
) {}

const entries = (size: number): ReadonlyArray<Entry> =>
  Array.from(
    { length: size },
    (_, id) =>
      new Entry({ id, name: `the entry number ${id}`, state: (["waiting", "running", "done"] as const)[id % 3]! })
  )

const WorkerServer = GenServer.make(Worker, {
  init: () => Effect.succeed<ReadonlyArray<number>>([]),
  handlers: {
    Echo: ({ value }, seen) => GenServer.reply(value, seen),
    Table: ({ size }, seen) => GenServer.reply(entries(size), seen),
    Seen: (_, seen) => GenServer.reply(seen, seen),
    Compress: ({ on }, seen) => Effect.as(Node.setCompression(on), GenServer.reply(undefined, seen)),
    Note: ({ n }, seen) => GenServer.next([...seen, n])
  }
})

const worker = (of: Member) => of.run(GenServer.startDetached(WorkerServer, undefined, { name: "worker" }))

const workerOf = (from: Member, of: Member) => from.run(Node.remote(Worker, { name: "worker", node: of.name }))

/** Bytes that a node has sent to another one. */
const sent = (from: Member, to: Member): Effect.Effect<number> =>
  from.run(Effect.map(Node.Node, (node) => Node.distributionUnsafe(node)!.connectionTo(to.name)!.counters.bytesOut))

/** How many bytes an effect has `from` send to `to`. */
const cost = <A, E, R>(from: Member, to: Member, effect: Effect.Effect<A, E, R>): Effect.Effect<number, E, R> =>
  Effect.gen(function*() {
    const before = yield* sent(from, to)
    yield* effect
    return (yield* sent(from, to)) - before
  })

const pair = (first?: Partial<Node.LayerOptions>, second?: Partial<Node.LayerOptions>) =>
  Effect.gen(function*() {
    const port = yield* freePort
    const a = yield* member("a@127.0.0.1", port, first)
    const b = yield* member("b@127.0.0.1", port, second)
    yield* worker(a)
    yield* b.run(Node.connect(a.name))
    return { a, b, ofA: yield* workerOf(b, a) }
  })

const text = (bytes: number): Uint8Array =>
  new TextEncoder().encode("the quick brown fox jumps over the lazy dog. ".repeat(Math.ceil(bytes / 45))).slice(
    0,
    bytes
  )

/** Bytes that cannot be compressed, the same every time. */
const noise = (bytes: number): Uint8Array => {
  const out = new Uint8Array(bytes)
  for (let at = 0, block = new Uint8Array(0); at < bytes; at += block.length) {
    block = createHash("sha256").update(String(at)).digest()
    out.set(block.subarray(0, Math.min(block.length, bytes - at)), at)
  }
  return out
}

describe("compression between nodes of ours", () => {
  it.live("calls and replies of any size come back equal, with far fewer bytes on the wire", () =>
    Effect.scoped(Effect.gen(function*() {
      const { a, b, ofA } = yield* pair({ compression: true }, { compression: { level: 9 } })
      for (const size of [1000, 1023, 1024, 1100, 5000, 65_536, 66_000, 1_000_000, 4_000_000]) {
        const value = text(size)
        const out = yield* cost(
          b,
          a,
          Effect.map(b.run(ofA.Echo({ value })), (back) => assert.deepStrictEqual(back, value))
        )
        if (size > 1100) assert.isBelow(out, 1000 + size / 20)
      }
      const back = yield* cost(
        a,
        b,
        Effect.map(b.run(ofA.Table({ size: 2000 })), (table) => assert.deepStrictEqual(table, entries(2000)))
      )
      assert.isBelow(back, 40_000)
    })))

  it.live("is off unless it was asked for, and then from the threshold on", () =>
    Effect.scoped(Effect.gen(function*() {
      const { a, b, ofA } = yield* pair({}, { compression: { threshold: 50_000 } })
      assert.isAbove(yield* cost(b, a, b.run(ofA.Echo({ value: text(49_000) }))), 49_000)
      assert.isBelow(yield* cost(b, a, b.run(ofA.Echo({ value: text(51_000) }))), 2000)
      assert.isAbove(yield* cost(a, b, b.run(ofA.Echo({ value: text(51_000) }))), 51_000)
    })))

  it.live("sends what does not get smaller as it is, and so what is very large", () =>
    Effect.scoped(Effect.gen(function*() {
      const { a, b, ofA } = yield* pair({}, { compression: true })
      const random = noise(100_000)
      const out = yield* cost(
        b,
        a,
        Effect.map(b.run(ofA.Echo({ value: random })), (back) => assert.deepStrictEqual(back, random))
      )
      assert.isAbove(out, 100_000)
      assert.isBelow(out, 100_500)
      assert.isAbove(yield* cost(b, a, b.run(ofA.Echo({ value: text(4_300_000) }))), 4_300_000)
    })))

  it.live("is what a process says, for as long as it lives", () =>
    Effect.scoped(Effect.gen(function*() {
      const { a, b, ofA } = yield* pair({}, { compression: true })
      const value = text(20_000)
      const reply = (on: boolean) => Effect.andThen(b.run(ofA.Compress({ on })), cost(a, b, b.run(ofA.Echo({ value }))))
      assert.isBelow(yield* reply(true), 2000)
      assert.isAbove(yield* reply(false), 20_000)
      const count = a.run(Effect.map(Node.Node, (node) => {
        const { compressions } = Node.distributionUnsafe(node)!
        return (compressions as unknown as { readonly processes: Map<string, unknown> }).processes.size
      }))
      assert.strictEqual(yield* count, 1)
      const pid = Option.getOrThrow(yield* a.run(Process.whereis("worker")))
      yield* a.run(Process.kill(pid))
      assert.strictEqual(yield* eventually(count, 0), 0)
      // A process turns off what the node does.
      const casts = (on: boolean | undefined) =>
        cost(
          b,
          a,
          Effect.andThen(
            b.run(Process.run(
              Effect.gen(function*() {
                if (on !== undefined) yield* Node.setCompression(on)
                const target = yield* Node.remote(Worker, { name: "worker", node: a.name })
                yield* target.Note({ n: 1, body: value })
              }).pipe(Effect.scoped)
            )),
            Effect.sleep(50)
          )
        )
      assert.isAbove(yield* casts(false), 20_000)
      assert.isBelow(yield* casts(undefined), 2000)
    })))

  it.live("keeps the order of one sender, whatever is compressed, cut into fragments or neither", () =>
    Effect.scoped(Effect.gen(function*() {
      const { b, ofA } = yield* pair({}, { compression: true })
      const bodies = [new Uint8Array(3), text(3000), noise(200_000), text(900_000), noise(1500), text(2_000_000)]
      const count = 120
      yield* b.run(Process.run(Effect.gen(function*() {
        for (let n = 0; n < count; n++) yield* ofA.Note({ n, body: bodies[n % bodies.length]! })
      })))
      const seen = yield* eventually(
        b.run(ofA.Seen()),
        Array.from({ length: count }, (_, n) => n)
      )
      assert.deepStrictEqual(seen, Array.from({ length: count }, (_, n) => n))
    })))

  it.live("atoms keep their meaning inside of what is compressed", () =>
    Effect.scoped(Effect.gen(function*() {
      const { b, ofA } = yield* pair({ compression: true }, { compression: true })
      for (let round = 0; round < 40; round++) {
        const value = Array.from({ length: 300 }, (_, i) =>
          Tuple.make(Atom.make(`atom_${(i * 7 + round * 31) % 900}`), i))
        const back = yield* b.run(ofA.Echo({ value }))
        assert.strictEqual(String(back), String(value))
      }
    })))
})

describe("compression and Erlang", () => {
  it.live("Erlang ignores the flag and is sent nothing compressed", () =>
    Effect.scoped(Effect.gen(function*() {
      const { port } = yield* ErlangEpmd
      const a = yield* member("a@127.0.0.1", port, { compression: true, discovery: { port } })
      yield* worker(a)
      const erl = yield* startErlang("e@127.0.0.1", { epmdPort: port })
      assert.strictEqual(
        yield* erl.eval("byte_size(gen_server:call({worker, 'a@127.0.0.1'}, {echo, binary:copy(<<\"ab\">>, 100000)}))"),
        "200000"
      )
      assert.strictEqual(
        yield* erl.eval("register(sink, spawn(fun() -> receive B -> put(b, B), receive never -> ok end end end))"),
        "true"
      )
      const erlang = { name: "e@127.0.0.1" } as Member
      assert.isAbove(
        yield* cost(
          a,
          erlang,
          Effect.andThen(
            a.run(Process.run(Process.send({ name: "sink", node: "e@127.0.0.1" }, text(50_000)))),
            Effect.sleep(50)
          )
        ),
        50_000
      )
      assert.strictEqual(
        yield* erl.eval(`(fun F(0) -> never; F(N) ->
          case [byte_size(B) || {b, B} <- element(2, process_info(whereis(sink), dictionary))] of
            [Size] -> Size;
            [] -> timer:sleep(20), F(N - 1)
          end end)(300)`),
        "50000"
      )
    })).pipe(Effect.provide(ErlangEpmd.layer)), 30_000)
})

const bytesOf = (term: Parameters<ReturnType<typeof Encoder.make>["encodeUnsafe"]>[0]): Uint8Array =>
  Encoder.make().encodeUnsafe(term).slice(1)

/** A message to the process called worker, with any bytes as its payload. */
const message = (payload: Uint8Array): Buffer => {
  const from = new Pid.Pid("evil@127.0.0.1", 1, 0, 77)
  const body = Buffer.concat([
    Buffer.from([131, 68, 0]),
    bytesOf(Tuple.make(6, from, Atom.make(""), Atom.make("worker"))),
    payload
  ])
  const head = Buffer.alloc(4)
  head.writeUInt32BE(body.length)
  return Buffer.concat([head, body])
}

const packed = (content: Uint8Array, size = content.length): Buffer => {
  const head = Buffer.from([80, 0, 0, 0, 0])
  head.writeUInt32BE(size, 1)
  return Buffer.concat([head, deflateSync(content)])
}

describe("compressed messages of a hostile peer", () => {
  const note = bytesOf(Tuple.make(Atom.make("$gen_cast"), Tuple.make(Atom.make("note"), 7, new Uint8Array(2000))))
  const zeros = new Uint8Array(70 * 1024 * 1024)
  const bombs: ReadonlyArray<readonly [string, Uint8Array]> = [
    ["claims 4 GiB", packed(note, 0xffffffff)],
    ["inflates past the limit", packed(zeros)],
    ["claims more than its bytes can hold", packed(note, 10_000_000)],
    ["claims less than it holds", packed(note, 100)],
    ["claims more than it holds", packed(note, note.length + 1)],
    ["claims nothing", packed(note, 0)],
    ["is no zlib stream", Buffer.from([80, 0, 0, 7, 208, ...noise(100)])],
    ["is cut off", packed(note).subarray(0, 30)],
    ["is only its tag", Buffer.from([80])],
    ["holds another one", packed(packed(note))],
    ["holds no term", packed(new Uint8Array(2000).fill(255))]
  ]

  it.live(
    "what is in order arrives, and each that is not costs its sender the connection and nothing else",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const epmd = yield* freePort
        const port = yield* freePort
        const a = yield* member("a@127.0.0.1", epmd, { listen: { port } })
        const b = yield* member("b@127.0.0.1", epmd)
        yield* worker(a)
        const ofA = yield* workerOf(b, a)
        const flags = DistFlags.offer({ compression: true })
        const fine = yield* evil(port, "evil@127.0.0.1", a.name, flags)
        fine.write(message(packed(note)))
        assert.deepStrictEqual(yield* eventually(b.run(ofA.Seen()), [7]), [7])
        fine.destroy()
        for (const [what, payload] of bombs) {
          yield* eventually(a.run(Node.nodes("all")), [b.name])
          const socket = yield* evil(port, "evil@127.0.0.1", a.name, flags)
          socket.write(message(payload))
          const outcome = yield* Effect.exit(Effect.timeout(closed(socket), 3000))
          assert.strictEqual(outcome._tag, "Success", what)
          assert.deepStrictEqual(yield* b.run(ofA.Seen()), [7], what)
        }
      })),
    30_000
  )

  it.live("who has not said that it compresses may not", () =>
    Effect.scoped(Effect.gen(function*() {
      const epmd = yield* freePort
      const port = yield* freePort
      const a = yield* member("a@127.0.0.1", epmd, { listen: { port } })
      yield* worker(a)
      const socket = yield* evil(port, "evil@127.0.0.1", a.name, DistFlags.offer())
      socket.write(message(packed(note)))
      yield* Effect.timeout(closed(socket), 3000)
    })))
})
