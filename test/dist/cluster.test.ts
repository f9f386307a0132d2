/**
 * Nodes of ours among themselves, over real sockets of one process, and against peers that misbehave.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  Clock,
  type Context,
  Effect,
  Exit,
  Fiber,
  Layer,
  Option,
  Queue,
  Redacted,
  References,
  Schema,
  Scope,
  Stream
} from "effect"
import { ExitReason, GenServer, Message, Process, Protocol, Signal } from "effect-otp"
import { RemoteSpawn, Rpc, RpcError } from "effect-otp/dist"
import * as DistFlags from "effect-otp/dist/DistFlags"
import * as Handshake from "effect-otp/dist/Handshake"
import * as Node from "effect-otp/dist/Node"
import * as NodeNetwork from "effect-otp/dist/NodeNetwork"
import { Decoder, Encoder, Etf } from "effect-otp/etf"
import { Atom, Pid, Reference, Term, Tuple } from "effect-otp/term"
import { randomBytes } from "node:crypto"
import * as Net from "node:net"
import { cookie, freePort } from "./ErlangNode.ts"
import { closed, evil } from "./EvilPeer.ts"

class Worker extends Protocol.make(
  "Worker",
  Message.Call("Echo", { payload: { value: Etf.Term }, success: Etf.Term }),
  Message.Call("Never"),
  Message.Call("Seen", { success: Schema.Array(Schema.Int) }),
  Message.Cast("Note", { payload: { n: Schema.Int, body: Schema.Uint8Array } })
) {}

const WorkerServer = GenServer.make(Worker, {
  init: () => Effect.succeed<ReadonlyArray<number>>([]),
  handlers: {
    Echo: ({ value }, seen) => GenServer.reply(value, seen),
    Never: () => GenServer.noReply<ReadonlyArray<number>>([]),
    Seen: (_, seen) => GenServer.reply(seen, seen),
    Note: ({ n }, seen) => GenServer.next([...seen, n])
  }
})

interface Member {
  readonly name: string
  readonly run: <A, E>(effect: Effect.Effect<A, E, Node.Node>) => Effect.Effect<A, E>
  readonly stop: Effect.Effect<void>
}

/** A node that lives until the scope closes or it is stopped. */
const member = (
  name: string,
  port: number,
  options?: Partial<Node.LayerOptions>
): Effect.Effect<Member, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Scope.fork(yield* Effect.scope)
    const context = yield* Layer.buildWithScope(
      Node.layer({ name, cookie: Redacted.make(cookie), discovery: { port, serve: true }, ...options }).pipe(
        Layer.provide(NodeNetwork.layer)
      ),
      scope
    ).pipe(Effect.provideService(References.MinimumLogLevel, "None"))
    return {
      name,
      run: <A, E>(effect: Effect.Effect<A, E, Node.Node>) =>
        Effect.provideContext(effect, context as Context.Context<Node.Node>),
      stop: Scope.close(scope, Exit.void)
    }
  })

const reasonOf = (error: unknown): string =>
  (error as { readonly reason?: { readonly _tag: string } }).reason?._tag ?? String(error)

const portOf = (name: string, epmd: number): Effect.Effect<number> =>
  Effect.callback((resume) => {
    const socket = Net.connect(epmd, "127.0.0.1", () =>
      socket.write(Buffer.from([0, name.length + 1, 122, ...Buffer.from(name)])))
    let all = Buffer.alloc(0)
    socket.on("data", (data) => {
      all = Buffer.concat([all, data])
    })
    socket.on("close", () =>
      resume(Effect.succeed(all.readUInt16BE(2))))
  })

const packet = (body: Uint8Array): Buffer => {
  const head = Buffer.alloc(4)
  head.writeUInt32BE(body.length)
  return Buffer.concat([head, body])
}

const terms = (...parts: ReadonlyArray<Term.Term>): Buffer =>
  packet(Buffer.concat([Buffer.from([131, 68, 0]), ...parts.map((part) => Encoder.make().encodeUnsafe(part).slice(1))]))

describe("nodes among themselves", () => {
  it.live("calls, typed errors and unknown names", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      const a = yield* member("a@127.0.0.1", port)
      const b = yield* member("b@127.0.0.1", port)
      yield* b.run(GenServer.startDetached(WorkerServer, undefined, { name: "worker" }))
      const value = Term.parseUnsafe("{1, 2.0, [a | b], #{x => <<1, 2>>}, \"text\"}")
      yield* a.run(Effect.gen(function*() {
        const worker = yield* Node.remote(Worker, { name: "worker", node: b.name })
        assert.isTrue(Term.equals(yield* worker.Echo({ value }), value))
        const nobody = yield* Node.remote(Worker, { name: "nobody", node: b.name })
        assert.strictEqual(reasonOf(yield* Effect.flip(nobody.Never())), "NoProcess")
        const nowhere = yield* Node.remote(Worker, { name: "worker", node: "nowhere@127.0.0.1" })
        assert.strictEqual(reasonOf(yield* Effect.flip(nowhere.Never())), "NodeDown")
        assert.strictEqual(reasonOf(yield* Effect.flip(worker.Never(undefined, { timeout: 30 }))), "CallTimeout")
        assert.strictEqual(yield* Node.ping("nowhere@127.0.0.1"), "pang")
        assert.strictEqual(yield* Node.ping(b.name), "pong")
      }))
    }), 20_000)

  it.live("signals of one process keep their order, whatever their size", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      const a = yield* member("a@127.0.0.1", port)
      const b = yield* member("b@127.0.0.1", port)
      yield* b.run(GenServer.startDetached(WorkerServer, undefined, { name: "worker" }))
      const count = 300
      yield* a.run(Process.run(Effect.gen(function*() {
        const worker = yield* Node.remote(Worker, { name: "worker", node: b.name })
        for (let n = 0; n < count; n++) {
          // Small ones between large ones: none may overtake.
          yield* worker.Note({ n, body: new Uint8Array(n % 7 === 0 ? 300_000 : 10) })
        }
        assert.deepStrictEqual(yield* worker.Seen(), Array.from({ length: count }, (_, n) => n))
      })))
    }), 20_000)

  it.live(
    "what a fiber that is no process sends to one receiver keeps its order as well",
    () =>
      Effect.gen(function*() {
        const port = yield* freePort
        const a = yield* member("a@127.0.0.1", port)
        const b = yield* member("b@127.0.0.1", port)
        yield* b.run(GenServer.startDetached(WorkerServer, undefined, { name: "worker" }))
        const count = 60
        yield* a.run(Effect.gen(function*() {
          const worker = yield* Node.remote(Worker, { name: "worker", node: b.name })
          for (let n = 0; n < count; n++) yield* worker.Note({ n, body: new Uint8Array(n % 7 === 0 ? 1_000_000 : 10) })
          assert.deepStrictEqual(yield* worker.Seen(), Array.from({ length: count }, (_, n) => n))
        }))
      }),
    20_000
  )

  it.live("a large reply arrives before the end of the process that gave it", () =>
    Effect.gen(function*() {
      class Last extends Protocol.make("Last", Message.Call("Last", { success: Schema.Uint8Array })) {}
      const LastServer = GenServer.make(Last, {
        init: () => Effect.succeed(0),
        handlers: { Last: (_, state) => GenServer.replyAndStop(new Uint8Array(1_000_000), ExitReason.normal, state) }
      })
      const port = yield* freePort
      const a = yield* member("a@127.0.0.1", port)
      const b = yield* member("b@127.0.0.1", port)
      const last = yield* a.run(Node.remote(Last, { name: "last", node: b.name }))
      for (let i = 0; i < 10; i++) {
        yield* b.run(GenServer.startDetached(LastServer, undefined, { name: "last" }))
        assert.strictEqual((yield* last.Last()).length, 1_000_000)
        while (Option.isSome(yield* b.run(Process.whereis("last")))) yield* Effect.sleep(1)
      }
    }), 20_000)

  it.live(
    "the end of a remote process reaches links and monitors once, and kills who does not trap",
    () =>
      Effect.gen(function*() {
        const port = yield* freePort
        const a = yield* member("a@127.0.0.1", port)
        const b = yield* member("b@127.0.0.1", port)
        const victim = yield* b.run(Process.spawnDetached((mailbox) => Queue.take(mailbox), { name: "victim" }))
        const linked = yield* a.run(Process.spawnDetached(() => Effect.andThen(Process.link(victim), Effect.never)))
        const ended = yield* Effect.forkChild(a.run(Process.awaitExit(linked)), { startImmediately: true })
        yield* a.run(Process.run(Effect.gen(function*() {
          yield* Process.trapExit(true)
          yield* Process.link(victim)
          yield* Process.monitor(victim)
          yield* Process.monitor({ name: "victim", node: b.name })
          assert.strictEqual(yield* Node.ping(b.name), "pong")
          yield* Process.exit(victim, ExitReason.error(Atom.make("why")))
          const exit = yield* Process.receive(Signal.ExitSchema)
          assert.strictEqual(ExitReason.format(exit.reason), "why")
          yield* Process.receive(Signal.DownSchema)
          yield* Process.receive(Signal.DownSchema)
          assert.strictEqual(ExitReason.format(yield* Fiber.join(ended)), "why")
          yield* Node.ping(b.name)
          assert.strictEqual(Option.getOrThrow(yield* Process.info(yield* Process.self)).mailboxLength, 0)
        })))
      }),
    20_000
  )

  it.live("comings and goings are told, and a stopped node says goodbye", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      const a = yield* member("a@127.0.0.1", port)
      const b = yield* member("b@127.0.0.1", port)
      const seen = yield* Effect.forkChild(a.run(Stream.runCollect(Stream.take(Node.events, 2))), {
        startImmediately: true
      })
      yield* a.run(Node.connect(b.name))
      assert.deepStrictEqual(yield* a.run(Node.nodes()), [b.name])
      const watched = yield* b.run(Process.spawnDetached(() => Effect.never))
      yield* a.run(Process.run(Effect.gen(function*() {
        yield* Process.monitor(watched)
        yield* Node.ping(b.name)
        yield* b.stop
        // Its processes were shut down in order before the connection went.
        assert.strictEqual((yield* Process.receive(Signal.DownSchema)).reason._tag, "Shutdown")
      })))
      assert.deepStrictEqual([...(yield* Fiber.join(seen))].map((event) => event._tag), ["NodeUp", "NodeDown"])
    }), 20_000)

  it.live("[F6] 1000 simultaneous connects, each ending in one connection", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      const a = yield* member("a@127.0.0.1", port)
      const b = yield* member("b@127.0.0.1", port)
      for (let round = 0; round < 1000; round++) {
        yield* Effect.all([a.run(Node.connect(b.name)), b.run(Node.connect(a.name))], { concurrency: 2 })
        assert.deepStrictEqual(yield* a.run(Node.nodes()), [b.name])
        assert.strictEqual(yield* b.run(Node.ping(a.name)), "pong", `round ${round}`)
        yield* (round % 2 === 0 ? a.run(Node.disconnect(b.name)) : b.run(Node.disconnect(a.name)))
        while ((yield* a.run(Node.nodes())).length + (yield* b.run(Node.nodes())).length > 0) yield* Effect.sleep(0)
      }
    }), 60_000)

  it.live("[F17] 50 000 monitors end within a second when the connection goes", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      const a = yield* member("a@127.0.0.1", port)
      const b = yield* member("b@127.0.0.1", port)
      yield* a.run(Process.run(
        Effect.gen(function*() {
          const count = 50_000
          const target = yield* b.run(Process.spawnDetached(() => Effect.never))
          for (let i = 0; i < count; i++) yield* Process.monitor(target)
          yield* Node.ping(b.name)
          const before = yield* Clock.currentTimeMillis
          yield* Node.disconnect(b.name)
          for (let i = 0; i < count; i++) {
            assert.strictEqual((yield* Process.receive(Signal.DownSchema)).reason._tag, "NoConnection")
          }
          assert.isBelow((yield* Clock.currentTimeMillis) - before, 1500)
          assert.strictEqual(Option.getOrThrow(yield* Process.info(yield* Process.self)).mailboxLength, 0)
        }),
        { mailbox: { capacity: 10 } }
      ))
    }), 30_000)

  it.live(
    "[F4] a peer that does not read: senders wait, memory is bounded, others are served",
    () =>
      Effect.gen(function*() {
        const port = yield* freePort
        const a = yield* member("a@127.0.0.1", port)
        const b = yield* member("b@127.0.0.1", port)
        yield* b.run(GenServer.startDetached(WorkerServer, undefined, { name: "worker" }))
        const socket = yield* evil(yield* portOf("a", port), "deaf@127.0.0.1", a.name)
        socket.pause()
        let sent = 0
        const flood = yield* Effect.forkChild(a.run(Effect.forever(
          Effect.andThen(
            Process.send({ name: "x", node: "deaf@127.0.0.1" }, new Uint8Array(1000)),
            Effect.sync(() => sent++)
          )
        )))
        let last = -1
        while (sent !== last) {
          last = sent
          yield* Effect.sleep(300)
        }
        // 8 MiB in our buffer, and what the kernel takes.
        assert.isBelow(sent * 1000, 40 * 1024 * 1024)
        assert.isAbove(sent * 1000, 4 * 1024 * 1024)
        const worker = yield* a.run(Node.remote(Worker, { name: "worker", node: b.name }))
        yield* worker.Echo({ value: 1 })
        socket.resume()
        // The flood goes on: without that, the limit of the test passes.
        while (sent <= last) yield* Effect.sleep(10)
        yield* Fiber.interrupt(flood)
      }),
    30_000
  )

  it.live("[F18] a loop that is held up neither drops its peers nor is dropped", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      const a = yield* member("a@127.0.0.1", port, { netTickTime: "1 second" })
      const socket = yield* evil(yield* portOf("a", port), "ticker@127.0.0.1", a.name)
      let gap = 0
      let last = performance.now()
      socket.on("data", () => {
        gap = Math.max(gap, performance.now() - last)
        last = performance.now()
      })
      const ticks = setInterval(() => socket.write(Buffer.alloc(4)), 250)
      yield* Effect.addFinalizer(() => Effect.sync(() => clearInterval(ticks)))
      const hog = (millis: number) =>
        Effect.sync(() => {
          const until = performance.now() + millis
          while (performance.now() < until);
        })
      for (let i = 0; i < 6; i++) {
        yield* Effect.sleep(300)
        yield* hog(200)
      }
      // Its own ticks have left all the while.
      assert.isBelow(gap, 750)
      // Longer than the whole tick time, twice: what has arrived is read before the peer is judged.
      yield* hog(1500)
      yield* Effect.sleep(300)
      yield* hog(1500)
      yield* Effect.sleep(300)
      assert.deepStrictEqual(yield* a.run(Node.nodes()), ["ticker@127.0.0.1"])
    }), 20_000)

  it.live("a silent peer is dropped within 0.75 to 1.25 tick times", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      const a = yield* member("a@127.0.0.1", port, { netTickTime: "1 second" })
      const socket = yield* evil(yield* portOf("a", port), "silent@127.0.0.1", a.name)
      const before = yield* Clock.currentTimeMillis
      yield* closed(socket)
      const after = (yield* Clock.currentTimeMillis) - before
      assert.isAtLeast(after, 700)
      assert.isBelow(after, 1500)
    }), 20_000)
})

describe("values that cannot travel", () => {
  it.live("are a defect of their sender and leave the connection as it is", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      const a = yield* member("a@127.0.0.1", port)
      const b = yield* member("b@127.0.0.1", port)
      yield* b.run(GenServer.startDetached(WorkerServer, undefined, { name: "worker" }))
      const worker = yield* a.run(Node.remote(Worker, { name: "worker", node: b.name }))
      const defectOf = <A, E>(effect: Effect.Effect<A, E, Node.Node>) =>
        Effect.map(
          a.run(Effect.exit(effect)),
          (exit) =>
            Exit.isFailure(exit)
              ? String(exit.cause.reasons.map((reason) => reason._tag === "Die" && reason.defect))
              : ""
        )
      for (const connected of [false, true]) {
        assert.match(
          yield* defectOf(Process.send({ name: "worker", node: b.name }, "text")),
          /NotATerm/,
          `${connected}`
        )
        assert.match(yield* defectOf(worker.Echo({ value: [1, NaN] })), /NaN|NotFinite|term/, `${connected}`)
        yield* a.run(Node.connect(b.name))
      }
      assert.strictEqual(yield* worker.Echo({ value: 1 }), 1)
      const odd = yield* a.run(Node.remote(
        Protocol.make("Odd", Message.Call("Odd", { payload: { s: Schema.Symbol } })),
        { name: "worker", node: b.name }
      ))
      assert.match(yield* defectOf(odd.Odd({ s: Symbol("x") })), /no form on the Erlang wire/)
      assert.strictEqual(yield* worker.Echo({ value: 2 }), 2)
    }), 20_000)

  it.live("a value that sends something while it is being written: it follows behind", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      const a = yield* member("a@127.0.0.1", port)
      const b = yield* member("b@127.0.0.1", port)
      yield* b.run(GenServer.startDetached(WorkerServer, undefined, { name: "worker" }))
      const worker = yield* a.run(Node.remote(Worker, { name: "worker", node: b.name }))
      const body = new Uint8Array(3)
      yield* worker.Note({ n: 1, body })
      yield* worker.Note({
        get n() {
          Effect.runSync(worker.Note({ n: 3, body }))
          return 2
        },
        body
      })
      assert.deepStrictEqual(yield* worker.Seen(), [1, 2, 3])
    }), 20_000)

  it.live("an exit reason that is no term is told as text", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      const a = yield* member("a@127.0.0.1", port)
      const b = yield* member("b@127.0.0.1", port)
      const victim = yield* b.run(Process.spawnDetached((mailbox) => Queue.take(mailbox)))
      yield* a.run(Process.run(Effect.gen(function*() {
        yield* Process.monitor(victim)
        yield* Node.ping(b.name)
        yield* b.run(Process.exit(victim, ExitReason.error(Tuple.make("not a term" as unknown as Term.Term))))
        const down = yield* Process.receive(Signal.DownSchema)
        assert.match(Buffer.from((down.reason as { readonly error: Uint8Array }).error).toString(), /no form as a term/)
      })))
    }), 20_000)
})

/** Packets without header and fragments: how to send one, to wait for the next, and to read it. */
const conversation = (socket: Net.Socket) => {
  let all = Buffer.alloc(0)
  let wake = (): void => {}
  socket.on("data", (data) => {
    all = Buffer.concat([all, data])
    wake()
  })
  const answer = Effect.callback<Buffer>((resume) => {
    wake = () => {
      if (all.length < 4 || all.length < 4 + all.readUInt32BE(0)) return
      wake = () => {}
      const packet = all.subarray(4, 4 + all.readUInt32BE(0))
      all = all.subarray(4 + packet.length)
      resume(Effect.succeed(packet))
    }
    wake()
  })
  const send = (...parts: ReadonlyArray<Term.Term>) =>
    socket.write(
      packet(Buffer.concat([Buffer.from([112]), ...parts.map((part) => Encoder.make().encodeUnsafe(part))]))
    )
  const read = (bytes: Buffer): ReadonlyArray<Term.Term> => {
    assert.strictEqual(bytes[0], 112)
    const decoder = Decoder.make()
    decoder.open(new Uint8Array(bytes), 2, bytes.length)
    const control = decoder.readUnsafe()
    if (decoder.remaining === 0) return [control]
    decoder.cursor.pos++
    return [control, decoder.readUnsafe()]
  }
  return { answer, read, send }
}

describe("peers that can do less", () => {
  it.live("without fragments and header: packets have neither, both ways", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      const a = yield* member("a@127.0.0.1", port)
      yield* a.run(GenServer.startDetached(WorkerServer, undefined, { name: "worker" }))
      const { alias, altactSig, distHeaderAtomCache, exitPayload, fragments, sendSender } = DistFlags.flags
      const flags = DistFlags.offer() &
        ~(distHeaderAtomCache | fragments | sendSender | exitPayload | altactSig | alias)
      const socket = yield* evil(yield* portOf("a", port), "small@127.0.0.1", a.name, flags)
      const pid = new Pid.Pid("small@127.0.0.1", 1, 0, 77)
      const ref = new Reference.Reference("small@127.0.0.1", 77, [1, 2, 3])
      const { answer, read, send } = conversation(socket)
      const empty = Atom.make("")
      const value = new Uint8Array(200_000).fill(5)
      send(
        Tuple.make(6, pid, empty, Atom.make("worker")),
        Tuple.make(Atom.make("$gen_call"), Tuple.make(pid, ref), Tuple.make(Atom.make("echo"), value))
      )
      const [control, payload] = read(yield* answer)
      assert.isTrue(Term.equals(control!, Tuple.make(2, empty, pid)))
      assert.isTrue(Term.equals(payload!, Tuple.make(ref, value)))
      send(Tuple.make(19, pid, Atom.make("nobody"), ref))
      assert.isTrue(
        Term.equals(read(yield* answer)[0]!, Tuple.make(21, Atom.make("nobody"), pid, ref, Atom.make("noproc")))
      )
    }), 20_000)

  it.live("priority signals of OTP 28: messages and exits to pids, names and aliases", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      const a = yield* member("a@127.0.0.1", port)
      const socket = yield* evil(yield* portOf("a", port), "new@127.0.0.1", a.name)
      const from = new Pid.Pid("new@127.0.0.1", 1, 0, 77)
      yield* a.run(Process.run(
        Effect.gen(function*() {
          yield* Process.trapExit(true)
          const alias = yield* Process.alias
          const self = yield* Process.self
          socket.write(terms(Tuple.make(37, 1, from, self), Atom.make("one")))
          socket.write(terms(Tuple.make(37, 9, from, Atom.make("target")), Atom.make("two")))
          socket.write(terms(Tuple.make(37, 5, from, alias), Atom.make("three")))
          socket.write(terms(Tuple.make(37, 16 + 8, from, Atom.make("target")), Atom.make("four")))
          socket.write(terms(Tuple.make(37, 16 + 4 + 2, from, alias, []), Atom.make("five")))
          for (const expected of ["one", "two", "three"]) {
            assert.strictEqual(((yield* Process.receive(Etf.Atom)) as Atom.Atom).name, expected)
          }
          for (const expected of ["four", "five"]) {
            assert.strictEqual(ExitReason.format((yield* Process.receive(Signal.ExitSchema)).reason), expected)
          }
        }),
        { name: "target" }
      ))
    }), 20_000)

  it.live("a peer that starts no processes is called through its rex", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      const a = yield* member("a@127.0.0.1", port)
      const { alias, altactSig, distHeaderAtomCache, fragments, spawn } = DistFlags.flags
      const flags = DistFlags.offer() & ~(distHeaderAtomCache | fragments | altactSig | alias | spawn)
      const socket = yield* evil(yield* portOf("a", port), "old@127.0.0.1", a.name, flags)
      const { answer, read, send } = conversation(socket)
      /** Answers the call of `rex` that comes next, if there is one. */
      const serve = (reply: Term.Term) =>
        Effect.gen(function*() {
          while (true) {
            const [, payload] = read(yield* answer)
            if (!Tuple.isTuple(payload, 3)) continue
            const [, from, request] = payload.elements as readonly [Term.Term, Tuple.Tuple, Term.Term]
            const [pid, tag] = from.elements as readonly [Pid.Pid, Term.Term]
            send(Tuple.make(2, Atom.make(""), pid), Tuple.make(tag, reply))
            return request
          }
        })
      const call = (reply: string) =>
        Effect.gen(function*() {
          const fiber = yield* Effect.forkChild(
            a.run(Effect.result(Rpc.callTerm("old@127.0.0.1", "m", "f", [1]))),
            { startImmediately: true }
          )
          const request = yield* serve(Term.parseUnsafe(reply))
          const result = yield* Fiber.join(fiber)
          const [, , , , leader] = (request as Tuple.Tuple).elements
          assert.match(Term.print(request), /^\{call,m,f,\[1\],/)
          assert.isTrue(Pid.isPid(leader) && leader.node === a.name)
          return result._tag === "Success"
            ? Term.print(result.success)
            : Term.print(RpcError.toErlang(result.failure.reason))
        })
      assert.strictEqual(yield* call("{a, 1}"), "{a,1}")
      assert.strictEqual(yield* call("{badrpc, {'EXIT', {undef, [{m, f, [1], []}]}}}"), "{error,{exception,undef}}")
      assert.strictEqual(yield* call("{badrpc, {'EXIT', {boom, [{m, g, 0, []}]}}}"), "{error,{exception,boom}}")
      assert.strictEqual(yield* call("{badrpc, {'EXIT', why}}"), "{exit,{exception,why}}")
      assert.strictEqual(yield* call("{badrpc, nodedown}"), "{error,{erpc,nodedown}}")
      // A spawn has no other way.
      const error = yield* a.run(Effect.flip(RemoteSpawn.spawn("old@127.0.0.1", { module: "m", name: "f", args: [] })))
      assert.strictEqual(error.reason, "NotSupported")
    }), 20_000)

  it.live("what was not provided ends with undef, and an unknown option is refused", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      const a = yield* member("a@127.0.0.1", port)
      const socket = yield* evil(yield* portOf("a", port), "small@127.0.0.1", a.name)
      const pid = new Pid.Pid("small@127.0.0.1", 1, 0, 77)
      const ref = new Reference.Reference("small@127.0.0.1", 77, [1, 2, 3])
      const mfa = Term.parseUnsafe("{os, cmd, 1}")
      const answerTo = (options: string) =>
        Effect.callback<string>((resume) => {
          socket.once("data", (data) => resume(Effect.succeed(data.toString("latin1"))))
          socket.write(terms(Tuple.make(29, ref, pid, pid, mfa, Term.parseUnsafe(options)), [[1]]))
        })
      const undef = yield* answerTo("[monitor]")
      assert.include(undef, "undef")
      assert.include(undef, "cmd")
      assert.include(yield* answerTo("[{ponies, 1}]"), "badopt")
      // Arguments that are not as many as announced are no request at all: the connection is closed.
      socket.write(terms(Tuple.make(29, ref, pid, pid, mfa, []), []))
      yield* Effect.callback<void>((resume) => {
        socket.once("close", () => resume(Effect.void))
      })
    }), 20_000)
})

describe("peers that misbehave", () => {
  const good = (a: Member, b: Member) =>
    Effect.gen(function*() {
      const before = yield* Clock.currentTimeMillis
      assert.strictEqual(yield* b.run(Node.ping(a.name)), "pong")
      assert.isBelow((yield* Clock.currentTimeMillis) - before, 1000)
    })

  it.live(
    "[B3] malformed packets of a peer that knows the cookie close its connection and nothing else",
    () =>
      Effect.gen(function*() {
        const port = yield* freePort
        const a = yield* member("a@127.0.0.1", port)
        const b = yield* member("b@127.0.0.1", port)
        yield* a.run(GenServer.startDetached(WorkerServer, undefined, { name: "worker" }))
        const own = yield* portOf("a", port)
        const from = Term.parseUnsafe("<0.1.0>")
        const cases: ReadonlyArray<Buffer> = [
          Buffer.from([255, 255, 255, 255, 1, 2, 3]),
          packet(Uint8Array.of(1)),
          packet(Uint8Array.of(131)),
          packet(Uint8Array.of(131, 1)),
          packet(Uint8Array.of(112, 131, 106)),
          packet(Uint8Array.of(131, 68)),
          packet(Uint8Array.of(131, 68, 255)),
          // A slot of the atom cache that nobody has filled, and a reference beyond the header.
          packet(Uint8Array.of(131, 68, 1, 0, 9, 106)),
          packet(Uint8Array.of(131, 68, 0, 104, 1, 82, 3)),
          // Fragments: none, not begun, out of turn, two beginnings.
          packet(Uint8Array.of(131, 69, ...new Uint8Array(16), 0)),
          packet(Uint8Array.of(131, 70, ...new Uint8Array(7), 1, ...new Uint8Array(7), 1, 5)),
          terms(Atom.make("x")),
          terms(Tuple.make(99)),
          terms(Tuple.make(22, from)),
          // In the name of another node.
          terms(Tuple.make(1, from, from)),
          terms(Tuple.make(8, from, from, Atom.make("kill"))),
          // Payloads that are missing or no terms.
          packet(
            Buffer.concat([
              Buffer.from([131, 68, 0]),
              Encoder.make().encodeUnsafe(Term.parseUnsafe("{6, <0.1.0>, '', worker}")).slice(1)
            ])
          ),
          packet(Buffer.concat([
            Buffer.from([131, 68, 0]),
            Encoder.make().encodeUnsafe(Term.parseUnsafe("{6, <0.1.0>, '', worker}")).slice(1),
            Buffer.from([70, 255, 255, 255, 255, 255, 255, 255, 255])
          ]))
        ]
        for (const bytes of cases) {
          const socket = yield* evil(own, "evil@127.0.0.1", a.name)
          socket.write(bytes)
          yield* Effect.timeout(closed(socket), "5 seconds")
        }
        yield* good(a, b)
        const worker = yield* b.run(Node.remote(Worker, { name: "worker", node: a.name }))
        assert.deepStrictEqual(yield* worker.Seen(), [])
      }),
    60_000
  )

  it.live("[B3] random packets: the node stays and serves", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      const a = yield* member("a@127.0.0.1", port)
      const b = yield* member("b@127.0.0.1", port)
      yield* a.run(GenServer.startDetached(WorkerServer, undefined, { name: "worker" }))
      const own = yield* portOf("a", port)
      const seeds = [
        terms(
          Term.parseUnsafe("{6, <0.1.0>, '', worker}"),
          Term.parseUnsafe("{'$gen_call', {<0.1.0>, [alias | x]}, seen}")
        ),
        terms(Term.parseUnsafe("{6, <0.1.0>, '', worker}"), Term.parseUnsafe("{'$gen_cast', {note, 1, <<1>>}}")),
        terms(Term.parseUnsafe("{19, <0.1.0>, worker, x}")),
        terms(Term.parseUnsafe("{35, 1, <0.1.0>, <0.2.0>}"))
      ]
      for (let i = 0; i < 150; i++) {
        const socket = yield* evil(own, "evil@127.0.0.1", a.name)
        for (let j = 0; j < 20; j++) {
          const bytes = Buffer.from(seeds[(i + j) % seeds.length]!)
          const noise = randomBytes(8)
          // The length stays, so that the packet is read whole.
          for (let k = 0; k < 1 + (noise[7]! & 3); k++) {
            bytes[4 + noise.readUInt16BE(k) % (bytes.length - 4)] = noise[k + 3]!
          }
          socket.write(bytes)
        }
        yield* Effect.raceFirst(closed(socket), Effect.sleep(20))
        socket.destroy()
      }
      yield* good(a, b)
    }), 60_000)

  it.live(
    "[B6] [B7] two million levels of nesting, huge integers, fresh atoms: a value or the end of the connection",
    () =>
      Effect.gen(function*() {
        const port = yield* freePort
        const a = yield* member("a@127.0.0.1", port)
        const b = yield* member("b@127.0.0.1", port)
        yield* a.run(GenServer.startDetached(WorkerServer, undefined, { name: "worker" }))
        const own = yield* portOf("a", port)
        const control = Encoder.make().encodeUnsafe(Term.parseUnsafe("{6, <0.1.0>, '', worker}")).slice(1)
        const message = (payload: Uint8Array) => packet(Buffer.concat([Buffer.from([131, 68, 0]), control, payload]))
        const nested = Buffer.alloc(2_000_000 * 2 + 1, Buffer.from([104, 1]))
        nested[nested.length - 1] = 106
        const integer = Buffer.concat([Buffer.from([111, 0, 64, 0, 0, 0]), Buffer.alloc(4 * 1024 * 1024, 1)])
        const twice = Buffer.from([116, 0, 0, 0, 2, 97, 1, 97, 1, 97, 1, 97, 2])
        const nan = Buffer.from([70, 127, 248, 0, 0, 0, 0, 0, 0])
        const compressed = Buffer.from([80, 255, 255, 255, 255, 1, 2, 3])
        for (const payload of [nested, integer, twice, nan, compressed]) {
          const socket = yield* evil(own, "evil@127.0.0.1", a.name)
          socket.write(message(payload))
          yield* Effect.timeout(closed(socket), "5 seconds")
          yield* good(a, b)
        }
        const socket = yield* evil(own, "evil@127.0.0.1", a.name)
        for (let i = 0; i < 1000; i++) {
          // A thousand atoms in each.
          const atoms = Array.from({ length: 1000 }, (_, k) => {
            const text = Buffer.from(`fresh_${i}_${k}`)
            return Buffer.concat([Buffer.from([119, text.length]), text])
          })
          socket.write(message(Buffer.concat([Buffer.from([108, 0, 0, 3, 232]), ...atoms, Buffer.from([106])])))
        }
        yield* good(a, b)
        const worker = yield* b.run(Node.remote(Worker, { name: "worker", node: a.name }))
        assert.deepStrictEqual(yield* worker.Seen(), [])
        socket.destroy()
      }),
    30_000
  )

  it.live(
    "[B8] unfinished messages are limited in number and bytes, and freed with the connection",
    () =>
      Effect.gen(function*() {
        const port = yield* freePort
        const a = yield* member("a@127.0.0.1", port, { limits: { maxFragments: 100, maxFragmentBytes: 1024 * 1024 } })
        const b = yield* member("b@127.0.0.1", port)
        const own = yield* portOf("a", port)
        const control = Encoder.make().encodeUnsafe(Term.parseUnsafe("{6, <0.1.0>, '', x}")).slice(1)
        const begin = (id: number, size: number) => {
          const numbers = Buffer.alloc(16)
          numbers.writeUInt32BE(id, 4)
          numbers.fill(255, 8)
          return packet(Buffer.concat([Buffer.from([131, 69]), numbers, Buffer.from([0]), control, Buffer.alloc(size)]))
        }
        const many = yield* evil(own, "evil@127.0.0.1", a.name)
        for (let id = 1; id <= 101; id++) many.write(begin(id, 1))
        yield* Effect.timeout(closed(many), "5 seconds")
        const large = yield* evil(own, "evil@127.0.0.1", a.name)
        for (let id = 1; id <= 20; id++) large.write(begin(id, 100_000))
        yield* Effect.timeout(closed(large), "5 seconds")
        yield* good(a, b)
      }),
    30_000
  )

  it.live(
    "[B9] wrong cookies: none gets in, a brute forcer is held up, a good peer is not",
    () =>
      Effect.gen(function*() {
        const port = yield* freePort
        const a = yield* member("a@127.0.0.1", port)
        const b = yield* member("b@127.0.0.1", port)
        const own = yield* portOf("a", port)
        const attempt = Effect.callback<number>((resume) => {
          const started = performance.now()
          const machine = Handshake.initiate({
            self: { name: "guess@127.0.0.1", creation: 77, flags: DistFlags.offer() },
            challenge: 5,
            digest: () => new Uint8Array(16),
            wanted: a.name,
            connected: () => false
          })
          const socket = Net.connect(own, "127.0.0.1")
          const send = (messages: ReadonlyArray<Uint8Array>): void => {
            for (const message of messages) socket.write(Buffer.from([0, message.length, ...message]))
          }
          let held = Buffer.alloc(0)
          socket.on("data", (data) => {
            held = Buffer.concat([held, data])
            while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
              const message = held.subarray(2, 2 + held.readUInt16BE(0))
              held = held.subarray(2 + message.length)
              send(machine.receive(new Uint8Array(message)).send)
            }
          })
          socket.on("error", () => {})
          socket.on("close", () => resume(Effect.succeed(performance.now() - started)))
          send(machine.start)
        })
        for (let i = 0; i < 10; i++) assert.isBelow(yield* attempt, 900)
        const held = yield* Effect.forkChild(attempt, { startImmediately: true })
        yield* good(a, b)
        assert.isAtLeast(yield* Fiber.join(held), 900)
        assert.notInclude(yield* a.run(Node.nodes("all")), "guess@127.0.0.1")
        yield* good(a, b)
      }),
    30_000
  )

  it.live(
    "[B10] 1000 silent connections are closed within 8 seconds, a good peer gets in meanwhile",
    () =>
      Effect.gen(function*() {
        const port = yield* freePort
        const a = yield* member("a@127.0.0.1", port, { setupTime: "2 seconds", limits: { maxPendingHandshakes: 1100 } })
        const b = yield* member("b@127.0.0.1", port)
        const own = yield* portOf("a", port)
        const sockets = yield* Effect.acquireRelease(
          Effect.sync(() => Array.from({ length: 1000 }, () => Net.connect(own, "127.0.0.1").on("error", () => {}))),
          (sockets) => Effect.sync(() => sockets.forEach((socket) => socket.destroy()))
        )
        yield* good(a, b)
        // A slow one: a byte now and then does not prolong its time.
        const slow = sockets[0]!
        const drip = setInterval(() => slow.write(Buffer.from([0])), 300)
        yield* Effect.addFinalizer(() => Effect.sync(() => clearInterval(drip)))
        const before = yield* Clock.currentTimeMillis
        yield* Effect.all(sockets.map(closed), { concurrency: "unbounded" })
        assert.isBelow((yield* Clock.currentTimeMillis) - before, 4000)
        yield* good(a, b)
      }),
    30_000
  )

  it.live("garbage instead of a handshake is closed at once", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      const a = yield* member("a@127.0.0.1", port)
      const b = yield* member("b@127.0.0.1", port)
      const own = yield* portOf("a", port)
      for (let i = 0; i < 200; i++) {
        const socket = Net.connect(own, "127.0.0.1").on("error", () => {})
        socket.write(
          i % 2 === 0
            ? Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            : Buffer.concat([Buffer.from([0, 40]), randomBytes(40)])
        )
        yield* Effect.timeout(closed(socket), "2 seconds")
      }
      yield* good(a, b)
    }), 30_000)
})

describe("starting", () => {
  const start = (options: Partial<Node.LayerOptions>) =>
    Effect.gen(function*() {
      const port = yield* freePort
      return yield* Effect.flip(Effect.scoped(member("a@127.0.0.1", port, options)))
    })
  const reason = (error: unknown) => (error as { readonly reason: string }).reason

  it.live("[S2] weak cookies are refused", () =>
    Effect.gen(function*() {
      for (const weak of ["", "monster", "short", "nocookie", "aaaaaaaaaaaaaaaaaaaaaaaa"]) {
        assert.strictEqual(reason(yield* start({ cookie: Redacted.make(weak) })), "BadCookie")
      }
    }))

  it.live("[S1] [S6] addresses beyond this host are refused unless said so", () =>
    Effect.gen(function*() {
      assert.strictEqual(reason(yield* start({ listen: { host: "0.0.0.0" } })), "PublicAddress")
      assert.strictEqual(reason(yield* start({ name: "nohost" })), "BadName")
      const port = yield* freePort
      yield* Effect.scoped(member("a@127.0.0.1", port, { listen: { host: "0.0.0.0", allowPlaintext: true } }))
    }))

  it.live("a name that is taken, and a port that is", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      yield* member("a@127.0.0.1", port)
      const taken = yield* Effect.flip(Effect.scoped(member("a@127.0.0.1", port)))
      assert.strictEqual(reason(taken), "NameTaken")
      const used = yield* Effect.flip(Effect.scoped(member("c@127.0.0.1", port, { listen: { port } })))
      assert.strictEqual(reason(used), "Listen")
      yield* Effect.scoped(member("d@127.0.0.1", port, { listen: { port: { from: port, to: port + 50 } } }))
    }))
})
