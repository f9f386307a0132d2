/**
 * The distribution against real Erlang nodes, in both directions.
 */
import { assert, describe, layer } from "@effect/vitest"
import { Clock, Effect, Fiber, Layer, Option, Queue, Redacted, References, Schema, Stream } from "effect"
import { ExitReason, GenServer, Message, Process, Protocol, Signal, Supervisor } from "effect-otp"
import { Rpc } from "effect-otp/dist"
import * as Node from "effect-otp/dist/Node"
import * as NodeNetwork from "effect-otp/dist/NodeNetwork"
import { Etf } from "effect-otp/etf"
import { Atom, Pid, Reference, Term, Tuple } from "effect-otp/term"
import { execFile, spawnSync } from "node:child_process"
import { erlangAvailable } from "../erlang/escript.ts"
import { makeRandom, makeRandomTerm } from "../term/randomTerm.ts"
import { cookie, ErlangEpmd, startErlang } from "./ErlangNode.ts"

/** Erlang's C node on the command line, which not every package of Erlang has. */
const erlCallAvailable = spawnSync("erl_call", []).error === undefined

class Overflow extends Schema.TaggedError<Overflow>()("Overflow", { max: Schema.Int }) {}

class Counter extends Protocol.make(
  "Counter",
  Message.Call("Add", { payload: { n: Schema.Int }, success: Schema.Int, error: Overflow }),
  Message.Call("Get", { success: Schema.Int }),
  Message.Cast("Reset"),
  Message.Info("Tick", { payload: { at: Schema.Int } })
) {}

class Odd extends Protocol.make(
  "Odd",
  Message.Call("Get", { success: Schema.Int }),
  Message.Call("Wrong", { success: Schema.Int }),
  Message.Call("Sleep", { payload: { ms: Schema.Int }, success: Etf.Term })
) {}

const CounterServer = GenServer.make(Counter, {
  init: (args: { readonly from: number }) => Effect.succeed(args.from),
  handlers: {
    Add: ({ n }, count) =>
      count + n > 100 ? Effect.fail(new Overflow({ max: 100 })) : GenServer.reply(count + n, count + n),
    Get: (_, count) => GenServer.reply(count, count),
    Reset: () => GenServer.next(0),
    Tick: ({ at }) => GenServer.next(at)
  }
})

class OpenProtocol extends Protocol.make("Open", Message.Call("Seen", { success: Schema.Array(Etf.Term) })) {}

/** A server that takes what its protocol does not describe. */
const Open = GenServer.make(OpenProtocol, {
  init: () => Effect.succeed<ReadonlyArray<Term.Term>>([]),
  handlers: {
    Seen: (_, seen) => GenServer.reply(seen, seen),
    unhandled: (message, seen) =>
      message instanceof Signal.Request
        ? Effect.as(
          message.from.reply(Tuple.make(Atom.make("answer"), message.payload as Term.Term)),
          GenServer.next(seen)
        )
        : GenServer.next([...seen, message as Term.Term])
  }
})

const nodeLayer = (name: string) =>
  Layer.unwrap(
    Effect.map(ErlangEpmd, ({ port }) => Node.layer({ name, cookie: Redacted.make(cookie), discovery: { port } }))
  ).pipe(Layer.provide(NodeNetwork.layer), Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "None")))

describe.skipIf(!erlangAvailable)("against Erlang", () => {
  layer(Layer.provideMerge(nodeLayer("ours@127.0.0.1"), ErlangEpmd.layer), {
    timeout: "30 seconds",
    excludeTestServices: true
  })(
    (it) => {
      it.effect("ping in both directions", () =>
        Effect.gen(function*() {
          const { port } = yield* ErlangEpmd
          const erl = yield* startErlang("ping@127.0.0.1", { epmdPort: port })
          assert.strictEqual(yield* Node.ping(erl.name), "pong")
          assert.strictEqual(yield* erl.eval("net_adm:ping('ours@127.0.0.1')"), "pong")
          assert.strictEqual(yield* erl.eval("nodes()"), "['ours@127.0.0.1']")
          assert.deepStrictEqual(yield* Node.nodes(), [erl.name])
        }))

      it.effect("Erlang calls, casts and sends to a typed server of ours", () =>
        Effect.gen(function*() {
          const { port } = yield* ErlangEpmd
          const erl = yield* startErlang("e1@127.0.0.1", { epmdPort: port })
          yield* GenServer.start(CounterServer, { from: 1 }, { name: "counter" })
          const call = (request: string) => erl.eval(`gen_server:call({counter, 'ours@127.0.0.1'}, ${request})`)
          assert.strictEqual(yield* call("{add, 2}"), "{ok,3}")
          assert.strictEqual(yield* call("get"), "3")
          assert.strictEqual(yield* call("{add, 200}"), "{error,{overflow,#{max => 100}}}")
          yield* erl.eval("gen_server:cast({counter, 'ours@127.0.0.1'}, reset)")
          assert.strictEqual(yield* call("get"), "0")
          yield* erl.eval("{counter, 'ours@127.0.0.1'} ! {tick, 7}")
          assert.strictEqual(yield* call("get"), "7")
          // A malformed request never reaches the handler: the caller gets no answer, the server lives.
          assert.match(
            yield* erl.eval("gen_server:call({counter, 'ours@127.0.0.1'}, {add, two}, 200)"),
            /caught,exit,\{timeout/
          )
          assert.strictEqual(yield* call("get"), "7")
          assert.match(yield* erl.eval("gen_server:call({nobody, 'ours@127.0.0.1'}, get)"), /caught,exit,\{noproc/)
          // By pid, and with the old form of a call, whose tag is a bare reference.
          assert.strictEqual(
            yield* erl.eval(
              "begin R = make_ref(), {counter, 'ours@127.0.0.1'} ! {'$gen_call', {self(), R}, get}, receive {R, V} -> V after 2000 -> none end end"
            ),
            "7"
          )
          assert.strictEqual(
            yield* erl.eval("gen_server:multi_call(['ours@127.0.0.1'], counter, get)"),
            "{[{'ours@127.0.0.1',7}],[]}"
          )
          assert.strictEqual(
            yield* erl.eval("gen_server:multi_call(['ours@127.0.0.1'], nobody, get)"),
            "{[],['ours@127.0.0.1']}"
          )
        }))

      it.effect("typed calls, casts and infos to an Erlang gen_server", () =>
        Effect.gen(function*() {
          const { port } = yield* ErlangEpmd
          const erl = yield* startErlang("e2@127.0.0.1", { epmdPort: port })
          yield* erl.eval("dist_server:start(counter)")
          const counter = yield* Node.remote(Counter, { name: "counter", node: erl.name })
          assert.strictEqual(yield* counter.Add({ n: 2 }), 2)
          const error = yield* Effect.flip(counter.Add({ n: 200 }))
          assert.instanceOf(error, Overflow)
          yield* counter.Reset()
          yield* counter.Tick({ at: 5 })
          assert.strictEqual(yield* counter.Get(), 0)
          assert.strictEqual(yield* erl.eval("gen_server:call(counter, seen)"), "[{tick,5}]")
          const nobody = yield* Node.remote(Counter, { name: "nobody", node: erl.name })
          assert.strictEqual(reasonOf(yield* Effect.flip(nobody.Get())), "NoProcess")
          const echoed = yield* Node.callTerm(
            { name: "counter", node: erl.name },
            term("{echo, [1, 2.0, <<\"x\">> | a]}")
          )
          assert.strictEqual(Term.print(echoed), "[1,2.0,<<\"x\">>|a]")
        }))

      it.effect("a name that dies and returns", () =>
        Effect.gen(function*() {
          const { port } = yield* ErlangEpmd
          const erl = yield* startErlang("e17@127.0.0.1", { epmdPort: port })
          yield* erl.eval("dist_server:start(counter)")
          const counter = yield* Node.remote(Counter, { name: "counter", node: erl.name })
          assert.strictEqual(yield* counter.Add({ n: 2 }), 2)
          yield* erl.eval("begin exit(whereis(counter), kill), timer:sleep(20) end")
          assert.strictEqual(reasonOf(yield* Effect.flip(counter.Get())), "NoProcess")
          yield* erl.eval("dist_server:start(counter)")
          assert.strictEqual(yield* counter.Get(), 0)
          // And ours, from Erlang's side.
          for (const count of [1, 2]) {
            yield* Effect.scoped(Effect.gen(function*() {
              yield* GenServer.start(CounterServer, { from: count }, { name: "comes_and_goes" })
              assert.strictEqual(
                yield* erl.eval("gen_server:call({comes_and_goes, 'ours@127.0.0.1'}, get)"),
                `${count}`
              )
            }))
            assert.match(
              yield* erl.eval("gen_server:call({comes_and_goes, 'ours@127.0.0.1'}, get)"),
              /caught,exit,\{noproc/
            )
          }
        }))

      it.effect("a server that ends under a call gives its reason", () =>
        Effect.gen(function*() {
          const { port } = yield* ErlangEpmd
          const erl = yield* startErlang("e3@127.0.0.1", { epmdPort: port })
          yield* erl.eval("dist_server:start(counter)")
          const error = yield* Effect.flip(Node.callTerm({ name: "counter", node: erl.name }, Atom.make("crash")))
          assert.strictEqual(error.reason._tag, "ProcessExit")
          assert.strictEqual(formatReason(error.reason), "{boom,0}")
        }))

      it.effect("calls that leave together share one monitor; each ends once, and nothing is left of it", () =>
        Effect.gen(function*() {
          const { port } = yield* ErlangEpmd
          const erl = yield* startErlang("e15@127.0.0.1", { epmdPort: port })
          yield* erl.eval("dist_server:start(counter)")
          const odd = yield* Node.remote(Odd, { name: "counter", node: erl.name })
          yield* odd.Get()
          const watchers = erl.eval("length(element(2, process_info(whereis(counter), monitored_by)))")
          // What Erlang is asked on its input may be done before what is still on its way there.
          const watchedBy = (count: string) => Effect.repeat(watchers, { until: (now) => now === count, times: 200 })
          const many = <A, E>(call: Effect.Effect<A, E>) =>
            Effect.forEach(Array.from({ length: 100 }), () => Effect.forkChild(call))

          const early = yield* Effect.forkChild(Effect.flip(odd.Sleep({ ms: 3000 }, { timeout: 50 })))
          const calls = yield* many(odd.Sleep({ ms: 2000 }))
          assert.strictEqual(yield* watchedBy("1"), "1")
          for (const call of calls) assert.deepStrictEqual(yield* Fiber.join(call), term("{slept, 2000}"))
          assert.strictEqual(reasonOf(yield* Fiber.join(early)), "CallTimeout")
          assert.strictEqual(yield* watchedBy("0"), "0")

          const lost = yield* many(Effect.flip(odd.Sleep({ ms: 60_000 })))
          assert.strictEqual(yield* watchedBy("1"), "1")
          yield* Effect.flip(Node.callTerm({ name: "counter", node: erl.name }, term("crash")))
          for (const call of lost) assert.strictEqual(reasonOf(yield* Fiber.join(call)), "ProcessExit")
          assert.strictEqual(reasonOf(yield* Effect.flip(odd.Get())), "NoProcess")
          yield* erl.eval("dist_server:start(counter)")
          assert.strictEqual(yield* odd.Get(), 0)
          assert.strictEqual(yield* watchedBy("0"), "0")
        }))

      it.effect("a reply of the wrong type is a MalformedReply, a late reply is dropped", () =>
        Effect.gen(function*() {
          const { port } = yield* ErlangEpmd
          const erl = yield* startErlang("e4@127.0.0.1", { epmdPort: port })
          yield* erl.eval("dist_server:start(counter)")
          const odd = yield* Node.remote(Odd, { name: "counter", node: erl.name })
          assert.strictEqual(reasonOf(yield* Effect.flip(odd.Wrong())), "MalformedReply")
          yield* Process.run(Effect.gen(function*() {
            assert.strictEqual(reasonOf(yield* Effect.flip(odd.Sleep({ ms: 300 }, { timeout: 50 }))), "CallTimeout")
            assert.strictEqual(yield* odd.Get(), 0)
            yield* Effect.sleep("500 millis")
            const mailbox = yield* Process.info(yield* Process.self)
            assert.strictEqual(Option.getOrThrow(mailbox).mailboxLength, 0)
          }))
        }))

      it.effect("monitors and links from Erlang to ours", () =>
        Effect.gen(function*() {
          const { port } = yield* ErlangEpmd
          const erl = yield* startErlang("e5@127.0.0.1", { epmdPort: port })
          yield* erl.eval("register(trapper, spawn(fun dist_server:trapper/0))")
          const trapper = { name: "trapper", node: erl.name }
          const seen = (count: number) => erl.eval(`dist_server:hold(whereis(trapper), ${count})`)
          const victim = yield* Process.spawn((mailbox) => Effect.flatMap(Queue.take(mailbox), Effect.fail), {
            name: "victim"
          })
          yield* Process.send(trapper, Tuple.make(...[Atom.make("monitor"), victim]))
          yield* Process.send(trapper, Tuple.make(...[Atom.make("link"), victim]))
          yield* erl.eval("trapper ! {monitor, {victim, 'ours@127.0.0.1'}}")
          yield* erl.eval("trapper ! {monitor, {nobody, 'ours@127.0.0.1'}}")
          const first = yield* seen(1)
          assert.match(first, /^\[\{'DOWN',#Ref<[0-9.]+>,process,\{nobody,'ours@127.0.0.1'\},noproc\}\]$/)
          yield* Process.send(victim, term("{shutdown, <<\"why\">>}"))
          const all = yield* seen(4)
          assert.match(all, /'EXIT',<[0-9.]+>,\{shutdown,<<"why">>\}/)
          assert.strictEqual(all.match(/'DOWN',#Ref<[0-9.]+>,process,<[0-9.]+>,\{shutdown,<<"why">>\}/g)?.length, 1)
          assert.strictEqual(all.match(/'DOWN',#Ref<[0-9.]+>,process,\{victim,'ours@127.0.0.1'\},/g)?.length, 1)
          // A link to the dead.
          yield* Process.send(trapper, Tuple.make(...[Atom.make("link"), victim]))
          assert.match(yield* seen(5), /'EXIT',<[0-9.]+>,noproc\}\]$/)
        }))

      it.effect("monitors, links, unlinks and exits from ours to Erlang", () =>
        Process.run(Effect.gen(function*() {
          const { port } = yield* ErlangEpmd
          const erl = yield* startErlang("e6@127.0.0.1", { epmdPort: port })
          yield* Process.trapExit(true)
          const spawned = Effect.gen(function*() {
            yield* erl.eval("register(plain, spawn(fun dist_server:plain/0))")
            const found = yield* Node.callTerm({ name: "who", node: erl.name }, Atom.make("plain"))
            assert.isTrue(Pid.isPid(found))
            return found as Pid.Pid
          })
          yield* erl.eval(
            "register(who, spawn(fun L() -> receive {'$gen_call', F, N} -> gen_server:reply(F, whereis(N)), L() end end))"
          )
          const one = yield* spawned
          const ref = yield* Process.monitor(one)
          yield* Process.link(one)
          yield* Process.send(one, term("{die, {bad, thing}}"))
          const exit = yield* Process.receive(Signal.ExitSchema)
          const down = yield* Process.receive(Signal.DownSchema)
          assert.strictEqual(ExitReason.format(exit.reason), ExitReason.format(down.reason))
          assert.strictEqual(Term.print((down.reason as { readonly error: Term.Term }).error), "{bad,thing}")
          assert.isTrue(Reference.equals(down.ref, ref))
          // By name, and nobody there.
          yield* Process.monitor({ name: "plain", node: erl.name })
          assert.strictEqual((yield* Process.receive(Signal.DownSchema)).reason._tag, "NoProc")
          // Unlinked: its end is not seen; exit/2 with kill is seen as killed.
          const two = yield* spawned
          yield* Process.link(two)
          yield* Process.unlink(two)
          yield* Process.monitor(two)
          yield* Process.exit(two, ExitReason.kill)
          assert.strictEqual((yield* Process.receive(Signal.DownSchema)).reason._tag, "Killed")
          // exit/2 from Erlang.
          const self = yield* Process.self
          yield* erl.eval("register(trapper, spawn(fun dist_server:trapper/0))")
          yield* Process.send(
            { name: "trapper", node: erl.name },
            Tuple.make(...[Atom.make("exit"), self, Atom.make("please")])
          )
          const please = yield* Process.receive(Signal.ExitSchema)
          assert.strictEqual(Term.print((please.reason as { readonly error: Term.Term }).error), "please")
          assert.strictEqual((yield* Process.info(self)).pipe(Option.getOrThrow).mailboxLength, 0)
        })))

      it.effect("[F1] kill -9 of a peer: Down, Exit, NodeDown and the pending call once, within 500 ms", () =>
        Process.run(Effect.gen(function*() {
          const { port } = yield* ErlangEpmd
          const erl = yield* startErlang("e7@127.0.0.1", { epmdPort: port })
          yield* erl.eval("dist_server:start(counter)")
          yield* Process.trapExit(true)
          yield* Node.monitorNodes
          const odd = yield* Node.remote(Odd, { name: "counter", node: erl.name })
          yield* odd.Get()
          yield* Process.monitor({ name: "counter", node: erl.name })
          const pending = yield* Effect.forkChild(Effect.flip(odd.Sleep({ ms: 60_000 }, { timeout: "30 seconds" })))
          yield* Effect.sleep("50 millis")
          const started = yield* Clock.currentTimeMillis
          yield* erl.kill
          assert.strictEqual(reasonOf(yield* Fiber.join(pending)), "NodeDown")
          const down = yield* Process.receive(Signal.DownSchema)
          assert.strictEqual(down.reason._tag, "NoConnection")
          assert.isBelow((yield* Clock.currentTimeMillis) - started, 500)
          assert.strictEqual(reasonOf(yield* Effect.flip(odd.Get())), "NodeDown")
          yield* Effect.sleep("100 millis")
          const rest = yield* Process.info(yield* Process.self)
          // NodeUp and NodeDown of the peer, and nothing else.
          assert.strictEqual(Option.getOrThrow(rest).mailboxLength, 2)
        })))

      it.effect("[F7] a peer that returns under its name: the old pids are dead, new ones work", () =>
        Effect.gen(function*() {
          const { port } = yield* ErlangEpmd
          const find = (name: string) => Node.callTerm({ name: "who", node: "e8@127.0.0.1" }, Atom.make(name))
          const who =
            "register(who, spawn(fun L() -> receive {'$gen_call', F, N} -> gen_server:reply(F, whereis(N)), L() end end))"
          const erl = yield* startErlang("e8@127.0.0.1", { epmdPort: port })
          yield* erl.eval(who)
          yield* erl.eval("dist_server:start(counter)")
          const old = (yield* find("counter")) as Pid.Pid
          const toOld = yield* Node.remote(Counter, { pid: old })
          assert.strictEqual(yield* toOld.Get(), 0)
          yield* erl.kill
          const again = yield* startErlang("e8@127.0.0.1", { epmdPort: port })
          yield* again.eval(who)
          yield* again.eval("dist_server:start(counter)")
          const fresh = (yield* find("counter")) as Pid.Pid
          assert.notStrictEqual(fresh.creation, old.creation)
          assert.strictEqual(reasonOf(yield* Effect.flip(toOld.Get())), "NoProcess")
          assert.strictEqual(yield* (yield* Node.remote(Counter, { pid: fresh })).Get(), 0)
        }))

      it.effect("a wrong cookie is refused in both directions", () =>
        Effect.gen(function*() {
          const { port } = yield* ErlangEpmd
          const erl = yield* startErlang("e9@127.0.0.1", { epmdPort: port, cookie: "another-cookie-0123456789" })
          assert.strictEqual(yield* erl.eval("net_adm:ping('ours@127.0.0.1')"), "pang")
          assert.strictEqual(yield* Node.ping(erl.name), "pang")
          const error = yield* Effect.flip(Node.connect(erl.name))
          assert.match(error.message, /cookie/)
        }))

      it.effect("what no message describes reaches unhandled; a call can be answered from there", () =>
        Effect.gen(function*() {
          const { port } = yield* ErlangEpmd
          const erl = yield* startErlang("e13@127.0.0.1", { epmdPort: port })
          yield* GenServer.start(Open, undefined, { name: "open" })
          const call = (request: string) => erl.eval(`gen_server:call({open, 'ours@127.0.0.1'}, ${request})`)
          assert.strictEqual(yield* call("{what, is, this}"), "{answer,{what,is,this}}")
          assert.strictEqual(yield* erl.eval("begin {open, 'ours@127.0.0.1'} ! {odd, [1.0]}, ok end"), "ok")
          assert.strictEqual(yield* erl.eval("gen_server:cast({open, 'ours@127.0.0.1'}, {odd, cast})"), "ok")
          assert.strictEqual(yield* call("seen"), "[{odd,[1.0]},{'$gen_cast',{odd,cast}}]")
          // A low-level process gets terms as they come, and calls as requests.
          yield* Process.spawn(
            (mailbox) =>
              Effect.forever(Effect.flatMap(Queue.take(mailbox), (message) =>
                message instanceof Signal.Request
                  ? message.from.reply(Tuple.make(Atom.ok, message.payload as Term.Term))
                  : Process.send({ name: "catcher", node: erl.name }, message))),
            { name: "low" }
          )
          assert.strictEqual(yield* erl.eval("gen_server:call({low, 'ours@127.0.0.1'}, hello)"), "{ok,hello}")
          assert.strictEqual(
            yield* erl.eval(
              "begin register(catcher, self()), {low, 'ours@127.0.0.1'} ! {any, #{k => 1}}, receive X -> X after 2000 -> none end end"
            ),
            "{any,#{k => 1}}"
          )
        }))

      it.effect("2000 random terms go to Erlang and come back equal", () =>
        Effect.gen(function*() {
          const { port } = yield* ErlangEpmd
          const erl = yield* startErlang("e14@127.0.0.1", { epmdPort: port })
          yield* erl.eval("dist_server:start(counter)")
          const counter = { name: "counter", node: erl.name }
          const randomTerm = makeRandomTerm(makeRandom(20_241_120), {
            negativeZero: false,
            nodes: [["x@y", 3]]
          })
          for (let i = 0; i < 2000; i++) {
            const sent = randomTerm()
            const back = yield* Node.callTerm(counter, Tuple.make(Atom.make("echo"), sent))
            assert.isTrue(Term.equals(back, sent), `term ${i}: ${Term.print(sent)} came back as ${Term.print(back)}`)
          }
        }))

      it.effect("[F2] a frozen peer is dropped within 0.75 to 1.25 tick times, an idle one is not", () =>
        Effect.gen(function*() {
          const { port } = yield* ErlangEpmd
          yield* Effect.provide(
            Effect.gen(function*() {
              const erl = yield* startErlang("frozen@127.0.0.1", {
                epmdPort: port,
                arguments: ["-kernel", "net_ticktime", "2"]
              })
              assert.strictEqual(yield* Node.ping(erl.name), "pong")
              yield* Effect.sleep("5 seconds")
              assert.deepStrictEqual(yield* Node.nodes(), [erl.name])
              assert.strictEqual(yield* erl.eval("length(nodes())"), "1")
              const before = yield* Clock.currentTimeMillis
              yield* erl.signal("SIGSTOP")
              while ((yield* Node.nodes()).length > 0) yield* Effect.sleep(20)
              const after = (yield* Clock.currentTimeMillis) - before
              yield* erl.signal("SIGCONT")
              assert.isAtLeast(after, 1400)
              assert.isBelow(after, 2700)
            }),
            Node.layer({
              name: "ticking@127.0.0.1",
              cookie: Redacted.make(cookie),
              discovery: { port },
              netTickTime: "2 seconds"
            }).pipe(Layer.provide(NodeNetwork.layer), Layer.fresh)
          )
        }))

      it.effect("pids, references and aliases stay live when they travel", () =>
        Process.run(Effect.gen(function*() {
          const { port } = yield* ErlangEpmd
          const erl = yield* startErlang("e15@127.0.0.1", { epmdPort: port })
          yield* erl.eval("dist_server:start(counter)")
          const self = yield* Process.self
          const alias = yield* Process.alias
          yield* erl.eval("register(mirror, spawn(fun L() -> receive {To, M} -> To ! M, L() end end))")
          const mirror = { name: "mirror", node: erl.name }
          yield* Process.send(mirror, Tuple.make(self, Atom.make("by_pid")))
          assert.strictEqual(Term.print((yield* Process.receive(Etf.Atom)) as Term.Term), "by_pid")
          yield* Process.send(mirror, Tuple.make(alias, Atom.make("by_alias")))
          assert.strictEqual(Term.print((yield* Process.receive(Etf.Atom)) as Term.Term), "by_alias")
          yield* Process.unalias(alias)
          yield* Process.send(mirror, Tuple.make(alias, Atom.make("lost")))
          yield* Process.send(mirror, Tuple.make(self, Atom.make("kept")))
          assert.strictEqual(Term.print((yield* Process.receive(Etf.Atom)) as Term.Term), "kept")
          // A monitor's alias of Erlang's, as gen_server uses it.
          const back = yield* Node.callTerm(
            { name: "counter", node: erl.name },
            Tuple.make(Atom.make("echo"), [self, alias])
          )
          assert.isTrue(Term.equals(back, [self, alias]))
        })))

      it.effect("a supervised link across nodes: the local child dies with the Erlang process and is restarted", () =>
        Effect.gen(function*() {
          const { port } = yield* ErlangEpmd
          const erl = yield* startErlang("e16@127.0.0.1", { epmdPort: port })
          yield* erl.eval(
            "register(who, spawn(fun L() -> receive {'$gen_call', F, N} -> gen_server:reply(F, whereis(N)), L() end end))"
          )
          yield* erl.eval("register(plain, spawn(fun dist_server:plain/0))")
          const starts: Array<string> = []
          const child = Effect.gen(function*() {
            const pid = yield* Node.callTerm({ name: "who", node: erl.name }, Atom.make("plain"))
            if (!Pid.isPid(pid)) return yield* Effect.fail("not yet")
            yield* Process.link(pid)
            starts.push(String(pid))
            return yield* Effect.never
          })
          yield* Supervisor.start(Supervisor.make({
            strategy: "one_for_one",
            intensity: 1000,
            period: "1 second",
            children: [Supervisor.worker("linked", child)]
          }))
          while (starts.length < 1) yield* Effect.sleep(10)
          yield* erl.eval(
            "begin plain ! {die, oops}, timer:sleep(20), register(plain, spawn(fun dist_server:plain/0)) end"
          )
          while (starts.length < 2) yield* Effect.sleep(10)
          assert.notStrictEqual(starts[0], starts[1])
        }))

      it.effect.skipIf(!erlCallAvailable)(
        "a C node without a name gets one where that is allowed, and speaks without header and fragments",
        () =>
          Effect.gen(function*() {
            const { port } = yield* ErlangEpmd
            const erlCall = (node: string) =>
              Effect.callback<string>((resume) => {
                const child = execFile(
                  "erl_call",
                  ["-R", "-n", node, "-c", cookie, "-timeout", "5", "-a", "shop what [1,2]"],
                  { env: { ...process.env, ERL_EPMD_PORT: String(port) }, timeout: 8000 },
                  (_, out, err) => resume(Effect.succeed(out + err))
                )
                return Effect.sync(() => child.kill("SIGKILL"))
              })
            yield* Effect.provide(
              Effect.gen(function*() {
                // What such nodes ask for: a remote call.
                const What = Rpc.make("shop", "what", { args: [Schema.Int, Schema.Int], success: Schema.Int })
                yield* Rpc.provide(What, (a, b) => a * 100 + b)
                const up = yield* Effect.forkChild(Stream.runHead(Node.events), { startImmediately: true })
                assert.match(yield* erlCall("naming@127.0.0.1"), /^102$/m)
                const event = Option.getOrThrow(yield* Fiber.join(up))
                assert.match(event.node, /^[0-9A-Z]{6,}@.+$/)
                assert.isTrue(event.hidden)
              }),
              Node.layer({
                name: "naming@127.0.0.1",
                cookie: Redacted.make(cookie),
                discovery: { port },
                dynamicNames: true
              }).pipe(Layer.provide(NodeNetwork.layer), Layer.fresh)
            )
            assert.notMatch(yield* erlCall("ours@127.0.0.1"), /102/)
          })
      )

      it.effect("hidden Erlang nodes connect and are not in nodes()", () =>
        Effect.gen(function*() {
          const { port } = yield* ErlangEpmd
          const erl = yield* startErlang("e10@127.0.0.1", { epmdPort: port, hidden: true })
          assert.strictEqual(yield* erl.eval("net_adm:ping('ours@127.0.0.1')"), "pong")
          assert.notInclude(yield* Node.nodes(), erl.name)
          assert.include(yield* Node.nodes("hidden"), erl.name)
          assert.isTrue(yield* Node.disconnect(erl.name))
          assert.strictEqual(yield* erl.eval("begin timer:sleep(50), nodes(hidden) end"), "[]")
        }))

      it.effect("more atoms than the cache has slots, in both directions", () =>
        Effect.gen(function*() {
          const { port } = yield* ErlangEpmd
          const erl = yield* startErlang("e11@127.0.0.1", { epmdPort: port })
          yield* erl.eval("dist_server:start(counter)")
          const counter = { name: "counter", node: erl.name }
          for (let round = 0; round < 40; round++) {
            const atoms = Array.from({ length: 200 }, (_, i) => Atom.make(`atom_${(round * 131 + i * 7) % 5000}`))
            const back = yield* Node.callTerm(counter, Tuple.make(...[Atom.make("echo"), atoms]))
            assert.isTrue(Term.equals(back, atoms))
          }
          const many = Array.from({ length: 600 }, (_, i) => Atom.make(`much_${i}`))
          assert.isTrue(Term.equals(yield* Node.callTerm(counter, Tuple.make(...[Atom.make("echo"), many])), many))
        }))

      it.effect("64 MB while small calls keep flowing, in both directions", () =>
        Effect.gen(function*() {
          const { port } = yield* ErlangEpmd
          const erl = yield* startErlang("e12@127.0.0.1", { epmdPort: port })
          yield* erl.eval("dist_server:start(counter)")
          yield* erl.eval("dist_server:start(big)")
          const size = 64 * 1024 * 1024
          const binary = new Uint8Array(size).fill(7)
          const big = yield* Effect.forkChild(
            Node.callTerm({ name: "big", node: erl.name }, Tuple.make(...[Atom.make("echo"), binary]), {
              timeout: "30 seconds"
            })
          )
          const counter = yield* Node.remote(Counter, { name: "counter", node: erl.name })
          let slowest = 0
          let calls = 0
          while (big.pollUnsafe() === undefined) {
            const before = yield* Clock.currentTimeMillis
            yield* counter.Get()
            slowest = Math.max(slowest, (yield* Clock.currentTimeMillis) - before)
            calls++
          }
          const back = (yield* Fiber.join(big)) as Uint8Array
          assert.strictEqual(back.length, size)
          assert.strictEqual(back[size - 1], 7)
          assert.isAbove(calls, 5)
          assert.isBelow(slowest, 1000)
        }))

      it.effect("100 simultaneous connects, each ending in one connection", () =>
        Effect.gen(function*() {
          const { port } = yield* ErlangEpmd
          // One name is smaller than ours, the other larger: both sides of the rule.
          for (const name of ["a_sim@127.0.0.1", "z_sim@127.0.0.1"]) {
            const erl = yield* startErlang(name, { epmdPort: port })
            for (let round = 0; round < 50; round++) {
              const [theirs, ours] = yield* Effect.all(
                [erl.eval("net_kernel:connect_node('ours@127.0.0.1')"), Effect.exit(Node.connect(name))],
                { concurrency: 2 }
              )
              assert.strictEqual(theirs, "true", `round ${round}`)
              assert.strictEqual(ours._tag, "Success", `round ${round}`)
              assert.strictEqual(yield* Node.ping(name), "pong")
              assert.strictEqual(yield* erl.eval("length(nodes())"), "1")
              yield* Node.disconnect(name)
              while ((yield* erl.eval("nodes()")) !== "[]") yield* Effect.sleep(5)
            }
          }
        }), 60_000)
    }
  )
})

const term = (text: string): Term.Term => Term.parseUnsafe(text)

const reasonOf = (error: unknown): string =>
  (error as { readonly reason?: { readonly _tag: string } }).reason?._tag ?? String(error)

const formatReason = (reason: unknown): string =>
  Term.print((reason as { readonly exitReason: { readonly error: Term.Term } }).exitReason.error)
