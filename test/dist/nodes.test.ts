/**
 * Comings and goings of nodes, as each side sees them: ours of Erlang and Elixir nodes, theirs of ours.
 */
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Fiber, Option, type Scope, Stream } from "effect"
import { Schema } from "effect"
import { GenServer, Message, Process, Protocol, Signal } from "effect-otp"
import * as Node from "effect-otp/dist/Node"
import { Etf } from "effect-otp/etf"
import { Atom, type Pid, Term } from "effect-otp/term"
import { erlangAvailable } from "../erlang/escript.ts"
import { elixirAvailable, ErlangEpmd, type ErlangNode, freePort, startElixir, startErlang } from "./ErlangNode.ts"
import { eventually, type Member, member } from "./Member.ts"

class Echo extends Protocol.make("Echo", Message.Call("Echo", { payload: { value: Etf.Term }, success: Etf.Term })) {}

const EchoServer = GenServer.make(Echo, {
  init: () => Effect.succeed(0),
  handlers: { Echo: ({ value }, state) => GenServer.reply(value, state) }
})

const reasonOf = (error: unknown): string =>
  (error as { readonly reason?: { readonly _tag: string } }).reason?._tag ?? String(error)

const EventSchema = Schema.Struct({
  _tag: Schema.Literals(["NodeUp", "NodeDown"]),
  node: Schema.String,
  hidden: Schema.Boolean
})

/** The next message about a node, in a process that asked for them. */
const nextEvent = Effect.map(
  Process.receive(EventSchema, { timeout: "5 seconds" }),
  Option.match({ onNone: () => "nothing", onSome: ({ _tag, node }) => `${_tag} ${node}` })
)

/** Nothing more about any node. */
const noEvent = Effect.map(
  Process.receive(EventSchema, { timeout: "100 millis" }),
  (event) => assert.isTrue(Option.isNone(event), JSON.stringify(event))
)

describe.skipIf(!erlangAvailable)("comings and goings", () => {
  layer(ErlangEpmd.layer, { timeout: "30 seconds", excludeTestServices: true })((it) => {
    const ours = (name: string, options?: Partial<Node.LayerOptions>) =>
      Effect.flatMap(ErlangEpmd, ({ port }) => member(name, port, { discovery: { port }, ...options }))

    const erlang = (
      name: string,
      options?: { readonly hidden?: boolean }
    ): Effect.Effect<ErlangNode, never, ErlangEpmd | Scope.Scope> =>
      Effect.flatMap(ErlangEpmd, ({ port }) => startErlang(name, { epmdPort: port, ...options }))

    /** What the evaluating process has in its mailbox, one message, or `nothing`. */
    const next = (erl: ErlangNode, wait = 5000) =>
      erl.eval(`(fun() -> receive M -> M after ${wait} -> nothing end end)()`)

    it.effect(
      "ours of an Erlang node: up from either side, disconnect from either side, each told once",
      () =>
        Effect.gen(function*() {
          const a = yield* ours("a@127.0.0.1")
          const erl = yield* erlang("u1@127.0.0.1")
          const all = yield* Effect.forkChild(a.run(Stream.runCollect(Stream.take(Node.events, 8))), {
            startImmediately: true
          })
          yield* a.run(Process.run(Effect.gen(function*() {
            yield* Node.monitorNodes
            for (let round = 0; round < 4; round++) {
              if (round % 2 === 0) yield* Node.connect(erl.name)
              else yield* erl.eval("net_kernel:connect_node('a@127.0.0.1')")
              assert.strictEqual(yield* nextEvent, `NodeUp ${erl.name}`)
              assert.deepStrictEqual(yield* Node.nodes(), [erl.name])
              // Once more: nothing happens.
              yield* Node.connect(erl.name)
              assert.strictEqual(yield* Node.ping(erl.name), "pong")
              yield* noEvent
              if (round < 2) assert.isTrue(yield* Node.disconnect(erl.name))
              else yield* erl.eval("erlang:disconnect_node('a@127.0.0.1')")
              assert.strictEqual(yield* nextEvent, `NodeDown ${erl.name}`)
              assert.deepStrictEqual(yield* Node.nodes(), [])
              yield* noEvent
              assert.strictEqual(yield* eventually(erl.eval("nodes()"), "[]"), "[]")
            }
          })))
          const seen = (yield* Fiber.join(all)).map((event) => event._tag)
          assert.deepStrictEqual(seen, Array.from({ length: 8 }, (_, i) => i % 2 === 0 ? "NodeUp" : "NodeDown"))
        }),
      60_000
    )

    it.effect("ours of a hidden Erlang node: told as hidden", () =>
      Effect.gen(function*() {
        const a = yield* ours("a@127.0.0.1")
        const erl = yield* erlang("u2@127.0.0.1", { hidden: true })
        yield* a.run(Process.run(Effect.gen(function*() {
          yield* Node.monitorNodes
          yield* erl.eval("net_kernel:connect_node('a@127.0.0.1')")
          const up = Option.getOrThrow(yield* Process.receive(EventSchema, { timeout: "5 seconds" }))
          assert.deepStrictEqual([up._tag, up.hidden], ["NodeUp", true])
          yield* erl.kill
          const down = Option.getOrThrow(yield* Process.receive(EventSchema, { timeout: "5 seconds" }))
          assert.deepStrictEqual([down._tag, down.hidden], ["NodeDown", true])
        })))
      }), 60_000)

    it.effect(
      "kill -9 of an Erlang node and its return: told once each, and the old pids are dead",
      () =>
        Effect.gen(function*() {
          const a = yield* ours("a@127.0.0.1")
          yield* a.run(Process.run(Effect.gen(function*() {
            yield* Node.monitorNodes
            yield* Process.trapExit(true)
            const old: Array<Pid.Pid> = []
            for (let life = 0; life < 3; life++) {
              const erl = yield* erlang("u3@127.0.0.1")
              yield* erl.eval("dist_server:start(echo)")
              const echo = yield* Node.remote(Echo, { name: "echo", node: erl.name })
              assert.strictEqual(yield* echo.Echo({ value: life }), life)
              assert.strictEqual(yield* nextEvent, `NodeUp ${erl.name}`)
              yield* erl.eval(
                "register(who, spawn(fun L() -> receive {'$gen_call', F, N} -> gen_server:reply(F, whereis(N)), L() end end))"
              )
              const pid = (yield* Node.callTerm({ name: "who", node: erl.name }, Atom.make("echo"))) as Pid.Pid
              // Pids of earlier lives have the same name of the node: they reach nobody of this one.
              for (const dead of old) {
                const ghost = yield* Node.remote(Echo, { pid: dead })
                assert.strictEqual(reasonOf(yield* Effect.flip(ghost.Echo({ value: 1 }))), "NoProcess")
                yield* Process.monitor(dead)
                assert.strictEqual((yield* Process.receive(Signal.DownSchema)).reason._tag, "NoProc")
                yield* Process.link(dead)
                assert.strictEqual((yield* Process.receive(Signal.ExitSchema)).reason._tag, "NoProc")
                yield* Process.send(dead, Atom.make("nobody"))
              }
              assert.strictEqual(yield* erl.eval("gen_server:call(echo, seen)"), "[]")
              old.push(pid)
              yield* Process.monitor(pid)
              yield* Process.link(pid)
              yield* erl.kill
              assert.strictEqual((yield* Process.receive(Signal.DownSchema)).reason._tag, "NoConnection")
              assert.strictEqual((yield* Process.receive(Signal.ExitSchema)).reason._tag, "NoConnection")
              assert.strictEqual(yield* nextEvent, `NodeDown ${erl.name}`)
              yield* noEvent
            }
          })))
        }),
      40_000
    )

    it.effect(
      "Erlang of ours: net_kernel:monitor_nodes and erlang:monitor_node, up, disconnect, end and return",
      () =>
        Effect.gen(function*() {
          const erl = yield* erlang("u4@127.0.0.1")
          yield* erl.eval("net_kernel:monitor_nodes(true)")
          let old: Pid.Pid | undefined
          for (let life = 0; life < 3; life++) {
            const a = yield* ours("a@127.0.0.1")
            yield* a.run(GenServer.startDetached(EchoServer, undefined, { name: "echo" }))
            if (life % 2 === 0) yield* a.run(Node.connect(erl.name))
            else yield* erl.eval("net_kernel:connect_node('a@127.0.0.1')")
            assert.strictEqual(yield* next(erl), "{nodeup,'a@127.0.0.1'}")
            assert.strictEqual(yield* erl.eval("gen_server:call({echo, 'a@127.0.0.1'}, {echo, hello})"), "hello")
            // Nobody of an earlier life answers.
            if (old !== undefined) {
              assert.match(yield* erl.eval("gen_server:call(Old, {echo, hello}, 2000)"), /caught,exit,\{noproc/)
              assert.match(
                yield* erl.eval(
                  "begin monitor(process, Old), receive {'DOWN', _, _, Old, Why} -> Why after 2000 -> none end end"
                ),
                /^noproc$/
              )
              yield* erl.eval("Old ! nobody")
            }
            // Remembered there as a pid of this life.
            yield* erl.eval("register(keeper, self())").pipe(Effect.when(Effect.sync(() => life === 0)))
            const echo = yield* a.run(Process.whereis("echo"))
            old = Option.getOrThrow(echo)
            yield* a.run(Process.send({ name: "keeper", node: erl.name }, old))
            if (life === 0) {
              yield* erl.eval("begin Old = receive P when is_pid(P) -> P after 2000 -> none end, is_pid(Old) end")
            } else yield* next(erl)
            // Each monitor tells once, two monitors tell twice.
            yield* erl.eval("[erlang:monitor_node('a@127.0.0.1', true) || _ <- [1, 2]]")
            yield* erl.eval("begin monitor(process, {echo, 'a@127.0.0.1'}), ok end")
            if (life === 0) yield* a.stop
            else if (life === 1) yield* erl.eval("erlang:disconnect_node('a@127.0.0.1')")
            else yield* a.run(Node.disconnect(erl.name))
            const told = [yield* next(erl), yield* next(erl), yield* next(erl), yield* next(erl)]
            assert.lengthOf(told.filter((message) => message === "{nodedown,'a@127.0.0.1'}"), 3, told.join())
            assert.lengthOf(
              told.filter((message) =>
                /^\{'DOWN',.*,process,\{echo,'a@127.0.0.1'\},(noconnection|shutdown|killed)\}$/.test(message)
              ),
              1,
              told.join()
            )
            assert.strictEqual(yield* next(erl, 100), "nothing")
            if (life === 1) {
              // The node is the same: its pids live, and it can be had again.
              assert.strictEqual(yield* erl.eval("gen_server:call({echo, 'a@127.0.0.1'}, {echo, again})"), "again")
              assert.strictEqual(yield* next(erl), "{nodeup,'a@127.0.0.1'}")
              yield* a.stop
              assert.strictEqual(yield* next(erl), "{nodedown,'a@127.0.0.1'}")
            }
            yield* a.stop
          }
          // A node that is not there.
          yield* erl.eval("erlang:monitor_node('a@127.0.0.1', true)")
          assert.strictEqual(yield* next(erl), "{nodedown,'a@127.0.0.1'}")
        }),
      40_000
    )

    it.effect(
      "Erlang of ours: links and monitors on our processes end when the node does",
      () =>
        Effect.gen(function*() {
          const erl = yield* erlang("u5@127.0.0.1")
          const a = yield* ours("a@127.0.0.1")
          yield* a.run(GenServer.startDetached(EchoServer, undefined, { name: "echo" }))
          yield* erl.eval("register(trapper, spawn(fun dist_server:trapper/0))")
          const echo = Option.getOrThrow(yield* a.run(Process.whereis("echo")))
          yield* a.run(Process.send({ name: "trapper", node: erl.name }, Term.parseUnsafe("{keep, me}")))
          yield* a.run(Process.send({ name: "trapper", node: erl.name }, echo))
          yield* erl.eval("dist_server:hold(whereis(trapper), 2)")
          yield* erl.eval("trapper ! {link, lists:nth(2, dist_server:hold(whereis(trapper), 2))}")
          yield* erl.eval("trapper ! {monitor, lists:nth(2, dist_server:hold(whereis(trapper), 2))}")
          yield* erl.eval("gen_server:call({echo, 'a@127.0.0.1'}, {echo, behind_both})")
          yield* a.run(Node.disconnect(erl.name))
          const all = yield* erl.eval("dist_server:hold(whereis(trapper), 4)")
          assert.lengthOf(all.match(/\{'EXIT',<[0-9.]+>,noconnection\}/g) ?? [], 1, all)
          assert.lengthOf(all.match(/\{'DOWN',#Ref<[0-9.]+>,process,<[0-9.]+>,noconnection\}/g) ?? [], 1, all)
        }),
      60_000
    )

    it.effect.skipIf(!elixirAvailable)(
      "Elixir of ours: Node.monitor and :net_kernel.monitor_nodes, and ours of it",
      () =>
        Effect.gen(function*() {
          const { port } = yield* ErlangEpmd
          const elixir = yield* startElixir("ux@127.0.0.1", { epmdPort: port })
          const heard = elixir.eval("receive do m -> m after 5000 -> :nothing end")
          yield* elixir.eval(":net_kernel.monitor_nodes(true)")
          for (let life = 0; life < 2; life++) {
            const a = yield* ours("a@127.0.0.1")
            yield* a.run(Process.run(Effect.gen(function*() {
              yield* Node.monitorNodes
              yield* elixir.eval("Node.connect(:\"a@127.0.0.1\")")
              assert.strictEqual(yield* nextEvent, "NodeUp ux@127.0.0.1")
              assert.strictEqual(yield* heard, "{:nodeup, :\"a@127.0.0.1\"}")
              assert.strictEqual(yield* elixir.eval("Node.list()"), "[:\"a@127.0.0.1\"]")
              yield* elixir.eval("Node.monitor(:\"a@127.0.0.1\", true)")
              yield* elixir.eval("Node.disconnect(:\"a@127.0.0.1\")")
              assert.strictEqual(yield* nextEvent, "NodeDown ux@127.0.0.1")
              for (let i = 0; i < 2; i++) assert.strictEqual(yield* heard, "{:nodedown, :\"a@127.0.0.1\"}")
              yield* Node.connect(elixir.name)
              assert.strictEqual(yield* nextEvent, "NodeUp ux@127.0.0.1")
              assert.strictEqual(yield* heard, "{:nodeup, :\"a@127.0.0.1\"}")
              yield* elixir.eval("Node.monitor(:\"a@127.0.0.1\", true)")
            })))
            if (life === 0) {
              yield* a.stop
              for (let i = 0; i < 2; i++) assert.strictEqual(yield* heard, "{:nodedown, :\"a@127.0.0.1\"}")
            } else {
              yield* a.run(Process.run(Effect.gen(function*() {
                yield* Node.monitorNodes
                yield* elixir.kill
                assert.strictEqual(yield* nextEvent, "NodeDown ux@127.0.0.1")
                yield* noEvent
              })))
            }
          }
        })
    )
  })
})

describe("comings and goings among nodes of ours", () => {
  it.live("both sides are told once each, whoever connects and whoever ends it", () =>
    Effect.gen(function*() {
      const port = yield* freePort
      const a = yield* member("a@127.0.0.1", port)
      const lives: Array<Member> = []
      const all = yield* Effect.forkChild(a.run(Stream.runCollect(Stream.take(Node.events, 8))), {
        startImmediately: true
      })
      for (let life = 0; life < 2; life++) {
        const b = yield* member("b@127.0.0.1", port)
        lives.push(b)
        const theirs = yield* Effect.forkChild(b.run(Stream.runCollect(Stream.take(Node.events, 3))), {
          startImmediately: true
        })
        yield* a.run(Node.connect(b.name))
        assert.isTrue(yield* a.run(Node.disconnect(b.name)))
        yield* eventually(b.run(Node.nodes()), [])
        yield* b.run(Node.connect(a.name))
        assert.deepStrictEqual((yield* Fiber.join(theirs)).map((event) => event._tag), ["NodeUp", "NodeDown", "NodeUp"])
        yield* b.stop
        assert.deepStrictEqual(yield* eventually(a.run(Node.nodes()), []), [])
      }
      const seen = (yield* Fiber.join(all)).map((event) => `${event._tag} ${event.node}`)
      assert.deepStrictEqual(
        seen,
        Array.from({ length: 8 }, (_, i) => `${i % 2 === 0 ? "NodeUp" : "NodeDown"} b@127.0.0.1`)
      )
    }), 20_000)
})
