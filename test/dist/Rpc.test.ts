/**
 * Remote calls, remote spawns and group leaders against a real Erlang node, in both directions.
 */
import { assert, describe, layer } from "@effect/vitest"
import { Console, Effect, Fiber, Layer, Option, Queue, Redacted, References, Schema } from "effect"
import { type Address, type CallError, ExitReason, GenServer, Message, Process, Protocol, Signal } from "effect-otp"
import { GroupLeader, RemoteSpawn, Rpc, RpcError } from "effect-otp/dist"
import * as Node from "effect-otp/dist/Node"
import * as NodeNetwork from "effect-otp/dist/NodeNetwork"
import { Etf } from "effect-otp/etf"
import { Atom, Term, Tuple } from "effect-otp/term"
import { fileURLToPath } from "node:url"
import { format } from "../../src/dist/internal/ioFormat.ts"
import { clientOf } from "../../src/dist/internal/Services.ts"
import { erlangAvailable } from "../erlang/escript.ts"
import { cookie, elixirAvailable, ErlangEpmd, type ErlangNode, startElixir, startErlang } from "./ErlangNode.ts"

const ours = "rpc@127.0.0.1"

const nodeLayer = Layer.unwrap(
  Effect.map(ErlangEpmd, ({ port }) => Node.layer({ name: ours, cookie: Redacted.make(cookie), discovery: { port } }))
).pipe(Layer.provide(NodeNetwork.layer), Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "None")))

/** What was printed on the console. */
const printed: Array<string> = []
const consoleLayer = Layer.succeed(Console.Console, {
  ...globalThis.console,
  log: (...args: ReadonlyArray<unknown>) => void printed.push(args.join(" "))
})

const term = Term.parseUnsafe

class TooMuch extends Schema.TaggedError<TooMuch>()("TooMuch", { max: Schema.Int }) {}

const Add = Rpc.make("effect_otp", "add", { args: [Schema.Number, Schema.Number], success: Schema.Number })
const Echo = Rpc.make("effect_otp", "echo", { args: [Etf.Term], success: Etf.Term })
const Crash = Rpc.make("effect_otp", "crash")
const Throw = Rpc.make("effect_otp", "throw", { args: [Etf.Term] })
const Exit = Rpc.make("effect_otp", "exit", { args: [Etf.Term] })
const Defect = Rpc.make("effect_otp", "defect")
const Sleep = Rpc.make("effect_otp", "sleep", { args: [Schema.Int] })
const Print = Rpc.make("effect_otp", "print", { args: [Etf.Charlist] })
const Limited = Rpc.make("effect_otp", "limited", { args: [Schema.Int], success: Schema.Int, error: TooMuch })
const Self = Rpc.make("effect_otp", "self", { success: Etf.Pid })
const User = Rpc.make("effect_otp", "user", { success: Etf.Pid })
const Proc = RemoteSpawn.entry("effect_otp", "proc", [Etf.Pid])

const plain = (mailbox: Queue.Dequeue<unknown>): Effect.Effect<void, never, Node.Node> =>
  Effect.gen(function*() {
    while (true) {
      const message = yield* Queue.take(mailbox)
      if (!Tuple.isTuple(message)) continue
      const [first, second, third] = message.elements
      if (Atom.is(first, "die") && message.arity === 2) yield* Process.exitSelf(ExitReason.error(second))
      if (message.arity === 3) yield* Process.send(first as never, Tuple.make(second!, third!))
    }
  }) as Effect.Effect<void, never, Node.Node>

class Counter extends Protocol.make(
  "Counter",
  Message.Call("Add", { payload: { n: Schema.Int }, success: Schema.Int }),
  Message.Call("Fail", { success: Schema.Int })
) {}

const CounterServer = GenServer.make(Counter, {
  init: (from: number) => Effect.succeed(from),
  handlers: {
    Add: ({ n }, count) => GenServer.reply(count + n, count + n),
    Fail: () => Effect.die(new Error("broken"))
  }
})

const StartCounter = RemoteSpawn.entry("effect_otp", "counter", [Schema.Int])

const provideAll = Effect.gen(function*() {
  yield* Rpc.provide(Add, (a, b) => a + b)
  yield* Rpc.provide(Echo, (value) => value)
  yield* Rpc.provide(Crash, () => Rpc.raise(Atom.make("effect_otp_crash")))
  yield* Rpc.provide(Throw, (value) => Rpc.throw_(value))
  yield* Rpc.provide(Exit, (value) => Rpc.exit(value))
  yield* Rpc.provide(Defect, () => Effect.die(new TypeError("oops")))
  yield* Rpc.provide(Sleep, (millis) => Effect.sleep(millis))
  yield* Rpc.provide(Print, (text) => Effect.orDie(GroupLeader.print(text)))
  yield* Rpc.provide(Limited, (n) => n > 10 ? Effect.fail(new TooMuch({ max: 10 })) : Effect.succeed(n))
  yield* Rpc.provide(Self, () => Process.self)
  yield* Rpc.provide(User, () => Effect.map(Process.whereis("user"), Option.getOrThrow))
  yield* RemoteSpawn.provide(Proc, ([owner], mailbox) =>
    Effect.gen(function*() {
      const self = yield* Process.self
      yield* Process.send(owner, Tuple.make(Atom.make("started"), self, owner))
      yield* plain(mailbox)
    }))
  yield* RemoteSpawn.provideServer(StartCounter, CounterServer, (from) => from)
})

const load = (erl: ErlangNode): Effect.Effect<string> =>
  erl.eval(
    `(fun() -> {ok, M, B} = compile:file(${
      JSON.stringify(fileURLToPath(new URL("../erlang/rpc_server", import.meta.url)))
    }, [binary]), code:load_binary(M, "", B) end)()`
  )

/** Evaluates in a process of its own, so that nothing is left in the mailbox of the one that evaluates the rest. */
const isolated = (erl: ErlangNode, body: string): Effect.Effect<string> =>
  erl.eval(
    `(fun() -> {_, Ref_} = spawn_monitor(fun() -> exit({result_, (fun() -> ${body} end)()}) end), receive {'DOWN', Ref_, _, _, {result_, Val_}} -> Val_; {'DOWN', Ref_, _, _, Why_} -> Why_ end end)()`
  )

const reasonOf = (error: RpcError.RpcError | CallError.CallError): string => error.reason._tag

describe.skipIf(!erlangAvailable)("remote calls", () => {
  layer(Layer.provideMerge(nodeLayer, Layer.merge(ErlangEpmd.layer, consoleLayer)), {
    timeout: "30 seconds",
    excludeTestServices: true
  })((it) => {
    it.effect("Erlang calls with erpc", () =>
      Effect.gen(function*() {
        const { port } = yield* ErlangEpmd
        const erl = yield* startErlang("r1@127.0.0.1", { epmdPort: port })
        yield* provideAll
        const call = (f: string, args: string) => erl.eval(`erpc:call('${ours}', effect_otp, ${f}, ${args}, 5000)`)
        assert.strictEqual(yield* call("add", "[1, 2]"), "3")
        assert.strictEqual(yield* call("add", "[1, 2.5]"), "3.5")
        assert.strictEqual(
          yield* call("echo", "[[{a, \"b\", <<1>>, self()} | c]] -- []").pipe(Effect.map((s) => s.slice(0, 14))),
          "[{a,\"b\",<<1>>,"
        )
        assert.strictEqual(
          yield* call("crash", "[]"),
          "{caught,error,{exception,effect_otp_crash,[{effect_otp,crash,0,[]}]}}"
        )
        assert.strictEqual(yield* call("throw", "[{a, 1}]"), "{caught,throw,{a,1}}")
        assert.strictEqual(yield* call("exit", "[{a, 1}]"), "{caught,exit,{exception,{a,1}}}")
        assert.match(yield* call("defect", "[]"), /^\{caught,error,\{exception,\{error,<<"TypeError: oops">>\},/)
        assert.strictEqual(yield* call("sleep", "[10]"), "ok")
        assert.strictEqual(
          yield* erl.eval(`erpc:call('${ours}', effect_otp, sleep, [2000], 50)`),
          "{caught,error,{erpc,timeout}}"
        )
        assert.strictEqual(yield* call("limited", "[3]"), "{ok,3}")
        assert.strictEqual(yield* call("limited", "[30]"), "{error,{too_much,#{max => 10}}}")
        assert.strictEqual(yield* call("add", "[1]"), "{caught,error,{exception,undef,[{effect_otp,add,[1],[]}]}}")
        assert.strictEqual(
          yield* call("add", "[a, b]"),
          "{caught,error,{exception,function_clause,[{effect_otp,add,[a,b],[]}]}}"
        )
        for (const name of ["toString", "constructor", "'__proto__'", "hasOwnProperty"]) {
          assert.strictEqual(
            yield* call(name, "[]"),
            `{caught,error,{exception,undef,[{effect_otp,${name.replace(/^'__proto__'$/, "'__proto__'")},[],[]}]}}`
          )
          assert.match(yield* erl.eval(`erpc:call('${ours}', ${name}, ${name}, [])`), /exception,undef/)
        }
        assert.match(
          yield* erl.eval(`erpc:call('${ours}', fun() -> 1 end)`),
          /^\{caught,error,\{exception,undef,\[\{erlang,apply,/
        )
        assert.strictEqual(
          yield* erl.eval(`erpc:call('${ours}', lists, reverse, [[1] | 2])`),
          "{caught,error,{exception,badarg,[{erlang,apply,[lists,reverse,[[1]|2]],[]}]}}"
        )
        assert.strictEqual(
          yield* erl.eval(`erpc:multicall(['${ours}', node(), 'nobody@127.0.0.1'], effect_otp, add, [1, 2], 5000)`),
          "[{ok,3},{error,{exception,undef,[{effect_otp,add,[1,2],[]}]}},{error,{erpc,noconnection}}]"
        )
        assert.strictEqual(
          yield* erl.eval(
            `begin R = erpc:send_request('${ours}', effect_otp, add, [3, 4]), erpc:receive_response(R, 5000) end`
          ),
          "7"
        )
        assert.strictEqual(
          yield* erl.eval(
            `begin Me = self(), erpc:cast('${ours}', effect_otp, proc, [Me]), receive {started, _, Me} -> got after 3000 -> none end end`
          ),
          "got"
        )
        // 64 kB and more travel in fragments, there and back.
        assert.strictEqual(
          yield* erl.eval(
            `begin B = binary:copy(<<7>>, 500000), erpc:call('${ours}', effect_otp, echo, [B]) =:= B end`
          ),
          "true"
        )
        // A thousand at once.
        assert.strictEqual(
          yield* erl.eval(
            `begin Rs = [erpc:send_request('${ours}', effect_otp, add, [N, 1]) || N <- lists:seq(1, 1000)], lists:sum([erpc:receive_response(X, 5000) || X <- Rs]) end`
          ),
          "501500"
        )
      }))

    it.effect("Erlang calls with rpc and rex", () =>
      Effect.gen(function*() {
        const { port } = yield* ErlangEpmd
        const erl = yield* startErlang("r2@127.0.0.1", { epmdPort: port })
        yield* provideAll
        const call = (f: string, args: string) => erl.eval(`rpc:call('${ours}', effect_otp, ${f}, ${args}, 5000)`)
        assert.strictEqual(yield* call("add", "[1, 2]"), "3")
        assert.strictEqual(yield* call("throw", "[x]"), "x")
        assert.strictEqual(yield* call("exit", "[x]"), "{badrpc,{'EXIT',x}}")
        assert.strictEqual(yield* call("crash", "[]"), "{badrpc,{'EXIT',{effect_otp_crash,[{effect_otp,crash,0,[]}]}}}")
        assert.strictEqual(yield* call("nothing", "[1]"), "{badrpc,{'EXIT',{undef,[{effect_otp,nothing,[1],[]}]}}}")
        assert.strictEqual(yield* erl.eval(`rpc:call('${ours}', effect_otp, sleep, [2000], 50)`), "{badrpc,timeout}")
        assert.strictEqual(
          yield* erl.eval(`rpc:multicall(['${ours}', 'nobody@127.0.0.1'], effect_otp, add, [1, 2], 5000)`),
          "{[3],['nobody@127.0.0.1']}"
        )
        assert.strictEqual(yield* erl.eval(`rpc:yield(rpc:async_call('${ours}', effect_otp, add, [1, 2]))`), "3")
        assert.strictEqual(yield* erl.eval(`rpc:block_call('${ours}', effect_otp, add, [1, 2])`), "3")
        assert.strictEqual(yield* erl.eval(`rpc:block_call('${ours}', effect_otp, throw, [x])`), "x")
        assert.match(
          yield* erl.eval(`rpc:block_call('${ours}', effect_otp, crash, [])`),
          /^\{badrpc,\{'EXIT',\{effect_otp_crash,/
        )
        assert.strictEqual(
          yield* erl.eval(
            `begin Me = self(), true = rpc:cast('${ours}', effect_otp, proc, [Me]), receive {started, _, Me} -> got after 3000 -> none end end`
          ),
          "got"
        )
        const rex = (request: string) => erl.eval(`gen_server:call({rex, '${ours}'}, ${request})`)
        assert.strictEqual(yield* rex("{call, effect_otp, add, [1, 2], self()}"), "3")
        assert.strictEqual(yield* rex("{call, effect_otp, exit, [x], self()}"), "{badrpc,{'EXIT',x}}")
        assert.strictEqual(
          yield* rex("{call, effect_otp, toString, [], self()}"),
          "{badrpc,{'EXIT',{undef,[{effect_otp,toString,[],[]}]}}}"
        )
        assert.strictEqual(
          yield* rex("{call, 1, add, [1, 2], self()}"),
          "{badrpc,{'EXIT',{badarg,[{erlang,apply,[1,add,[1,2]],[]}]}}}"
        )
        const ask = (message: string) =>
          erl.eval(`(fun() -> {rex, '${ours}'} ! {self(), ${message}}, receive M -> M after 2000 -> none end end)()`)
        assert.strictEqual(yield* ask("features_request"), `{features_reply,'${ours}',[erpc]}`)
        assert.strictEqual(yield* ask("{call, effect_otp, add, [1, 2], user}"), "{rex,3}")
        assert.strictEqual(yield* ask("{sbcast, nobody, hello}"), `{rex,'${ours}',{nonexisting_name,nobody}}`)
        assert.strictEqual(yield* erl.eval(`rpc:sbcast(['${ours}'], rex, hello)`), `{['${ours}'],[]}`)
        // Block calls wait for one another, ordinary ones do not.
        assert.match(
          yield* erl.eval(
            `begin T = erlang:monotonic_time(millisecond), Ks = [rpc:async_call(node(), rpc, block_call, ['${ours}', effect_otp, sleep, [100]]) || _ <- [1,2,3]], [rpc:yield(K) || K <- Ks], D = erlang:monotonic_time(millisecond) - T, {D >= 300, D} end`
          ),
          /^\{true,/
        )
      }))

    it.effect("we call Erlang with types", () =>
      Effect.gen(function*() {
        const { port } = yield* ErlangEpmd
        const erl = yield* startErlang("r3@127.0.0.1", { epmdPort: port })
        const Seq = Rpc.make("lists", "seq", { args: [Schema.Int, Schema.Int], success: Schema.Array(Schema.Int) })
        assert.deepStrictEqual(yield* Rpc.call(erl.name, Seq, [1, 3]), [1, 2, 3])
        const ReadFile = Rpc.make("file", "read_file", {
          args: [Etf.Charlist],
          success: Schema.Uint8Array,
          error: Etf.AtomName
        })
        assert.strictEqual(yield* Effect.flip(Rpc.call(erl.name, ReadFile, ["/does/not/exist"])), "enoent")
        const wrong = Rpc.make("lists", "seq", { args: [Schema.Int, Schema.Int], success: Schema.String })
        assert.strictEqual(reasonOf(yield* Effect.flip(Rpc.call(erl.name, wrong, [1, 3]))), "MalformedResult")
        const failing = (module: string, name: string, args: string, options?: Rpc.CallOptions) =>
          Effect.map(
            Effect.flip(Rpc.callTerm(erl.name, module, name, term(args) as ReadonlyArray<Term.Term>, options)),
            ({ reason }) => ({ tag: reason._tag, erlang: Term.print(RpcError.toErlang(reason)) })
          )
        assert.deepStrictEqual(yield* failing("erlang", "error", "[boom]"), {
          tag: "Raised",
          erlang: "{error,{exception,boom}}"
        })
        assert.deepStrictEqual(yield* failing("erlang", "throw", "[boom]"), { tag: "Thrown", erlang: "{throw,boom}" })
        assert.deepStrictEqual(yield* failing("erlang", "exit", "[boom]"), {
          tag: "Exited",
          erlang: "{exit,{exception,boom}}"
        })
        assert.deepStrictEqual(yield* failing("erlang", "nothing", "[1]"), {
          tag: "Undefined",
          erlang: "{error,{exception,undef}}"
        })
        assert.deepStrictEqual(yield* failing("timer", "sleep", "[5000]", { timeout: "50 millis" }), {
          tag: "Timeout",
          erlang: "{error,{erpc,timeout}}"
        })
        assert.deepStrictEqual(
          yield* Effect.map(Effect.flip(Rpc.callTerm("nobody@127.0.0.1", "erlang", "node", [])), ({ reason }) =>
            Term.print(RpcError.toErlang(reason))),
          "{error,{erpc,noconnection}}"
        )
        // The process that makes the call is ended by a signal; an undef from deeper within is none of the function itself.
        yield* load(erl)
        assert.deepStrictEqual(yield* failing("rpc_server", "killed", "[]"), {
          tag: "Signalled",
          erlang: "{exit,{signal,killed}}"
        })
        assert.deepStrictEqual(yield* failing("rpc_server", "deep", "[]"), {
          tag: "Raised",
          erlang: "{error,{exception,undef}}"
        })
        const nodes = yield* Rpc.multicall([erl.name, "nobody@127.0.0.1", ours], Seq, [1, 2])
        assert.deepStrictEqual(nodes.results, [[erl.name, [1, 2]]])
        assert.deepStrictEqual(nodes.failures.map(([node, error]) => [node, reasonOf(error as RpcError.RpcError)]), [
          ["nobody@127.0.0.1", "NoConnection"],
          [ours, "Undefined"]
        ])
        // A cast arrives, and the group leader of the call is our `user`.
        const Tell = Rpc.make("rpc_server", "tell", { args: [Etf.Pid, Etf.Atom] })
        yield* Process.run(Effect.gen(function*() {
          yield* Rpc.cast(erl.name, Tell, [yield* Process.self, Atom.make("hello")])
          const told = yield* Process.receive(Etf.Term, { timeout: "3 seconds" })
          assert.isTrue(Option.isSome(told) && Tuple.isTuple(told.value) && Atom.is(told.value.elements[1], "hello"))
        }))
        const Leader = Rpc.make("rpc_server", "gl", { success: Etf.AtomName })
        assert.strictEqual(yield* Rpc.call(erl.name, Leader, []), ours)
        // A node that is asked for nothing in particular does not keep anything.
        assert.deepStrictEqual(yield* Rpc.provided, [])
      }))

    it.effect("Erlang starts processes here", () =>
      Effect.gen(function*() {
        const { port } = yield* ErlangEpmd
        const erl = yield* startErlang("s1@127.0.0.1", { epmdPort: port })
        yield* provideAll
        const us = `'${ours}'`
        const inProcess = (body: string) => isolated(erl, body)
        // A plain process that knows its owner, answers and dies with a reason.
        assert.strictEqual(
          yield* inProcess(
            `P = spawn(${us}, effect_otp, proc, [self()]), Me = self(), receive {started, P, Me} -> ok end, P ! {self(), ref, hello}, receive M -> M after 2000 -> none end`
          ),
          "{ref,hello}"
        )
        assert.strictEqual(
          yield* inProcess(
            `{P, R} = spawn_monitor(${us}, effect_otp, proc, [self()]), receive {started, P, _} -> ok end, P ! {die, {boom, 1}}, receive {'DOWN', R, process, P, Why} -> Why after 2000 -> none end`
          ),
          "{boom,1}"
        )
        assert.strictEqual(
          yield* inProcess(
            `process_flag(trap_exit, true), P = spawn_link(${us}, effect_otp, proc, [self()]), receive {started, P, _} -> ok end, P ! {die, why}, receive {'EXIT', P, Why} -> Why after 2000 -> none end`
          ),
          "why"
        )
        // The link works in the other direction, and an unlink takes it back.
        assert.strictEqual(
          yield* inProcess(
            `Me = self(), Q = spawn(fun() -> P = spawn_link(${us}, effect_otp, proc, [Me]), Me ! {p, P}, receive stop -> exit(gone) end end), receive {p, P} -> ok end, R = monitor(process, P), Q ! stop, receive {'DOWN', R, process, P, Why} -> Why after 2000 -> none end`
          ),
          "gone"
        )
        assert.strictEqual(
          yield* inProcess(
            `R = spawn_request(${us}, effect_otp, add, [1, 2], [monitor, link, {priority, high}]), receive {spawn_reply, R, ok, P} when node(P) =:= ${us} -> receive {'DOWN', R, process, P, Why} -> Why after 2000 -> none end; Other -> Other after 2000 -> none end`
          ),
          "normal"
        )
        assert.strictEqual(
          yield* inProcess(
            `{P, R} = spawn_opt(${us}, effect_otp, add, [1, 2], [link, monitor]), receive {'DOWN', R, process, P, Why} -> Why after 2000 -> none end`
          ),
          "normal"
        )
        const end = (name: string, args: string) =>
          inProcess(
            `{P, R} = spawn_monitor(${us}, effect_otp, ${name}, ${args}), receive {'DOWN', R, process, P, Why} -> Why after 2000 -> none end`
          )
        assert.strictEqual(yield* end("toString", "[]"), "{undef,[{effect_otp,toString,[],[]}]}")
        assert.strictEqual(yield* end("proc", "[]"), "{undef,[{effect_otp,proc,[],[]}]}")
        assert.strictEqual(yield* end("proc", "[x]"), "{function_clause,[{effect_otp,proc,[x],[]}]}")
        assert.strictEqual(yield* end("throw", "[x]"), "{{nocatch,x},[]}")
        assert.strictEqual(yield* end("exit", "[x]"), "x")
        assert.strictEqual(yield* end("exit", "[normal]"), "normal")
        assert.strictEqual(yield* end("crash", "[]"), "{effect_otp_crash,[{effect_otp,crash,0,[]}]}")
        // A server: calls go to the pid that the spawn gave; it can be started only, not called as a function.
        assert.strictEqual(
          yield* inProcess(
            `P = spawn_link(${us}, effect_otp, counter, [40]), A = gen_server:call(P, {add, 2}), unlink(P), B = (catch gen_server:call(P, fail)), {A, element(1, B)}`
          ),
          "{42,'EXIT'}"
        )
        assert.strictEqual(yield* end("counter", "[x]"), "{function_clause,[{effect_otp,counter,[x],[]}]}")
        assert.match(yield* erl.eval(`erpc:call(${us}, effect_otp, counter, [1])`), /exception,undef/)
        // An unknown option is refused.
        assert.strictEqual(
          yield* inProcess(
            `R = spawn_request(${us}, effect_otp, proc, [self()], [monitor, {max_heap_size, 10000}, {message_queue_data, off_heap}]), receive {spawn_reply, R, Ok, _} -> Ok after 2000 -> none end`
          ),
          "ok"
        )
      }))

    it.effect("we start processes on Erlang and here", () =>
      Effect.gen(function*() {
        const { port } = yield* ErlangEpmd
        const erl = yield* startErlang("s2@127.0.0.1", { epmdPort: port })
        yield* provideAll
        yield* load(erl)
        yield* Process.run(Effect.gen(function*() {
          const self = yield* Process.self
          const tell = { module: "rpc_server", name: "tell", args: [self, Atom.make("hi")] }
          const next = Effect.map(Process.receive(Etf.Term, { timeout: "3 seconds" }), Option.getOrThrow)
          const die = (pid: Term.Term, reason: string) => Process.send(pid as never, term(`{die, ${reason}}`))
          for (const node of [erl.name, ours]) {
            if (node === ours) {
              yield* RemoteSpawn.provide(
                RemoteSpawn.entry("rpc_server", "tell", [Etf.Pid, Etf.Atom]),
                ([to, what], mailbox) =>
                  Effect.gen(function*() {
                    yield* Process.send(to, Tuple.make(yield* Process.self, what))
                    yield* plain(mailbox)
                  })
              )
            }
            const pid = yield* RemoteSpawn.spawn(node, tell)
            assert.strictEqual(pid.node, node)
            assert.isTrue(Term.equals(yield* next, Tuple.make(pid, Atom.make("hi"))))
            // A monitor that fires once, with the reason; one that was taken back does not fire.
            const { pid: watched, ref } = yield* RemoteSpawn.spawnMonitor(node, tell)
            yield* next
            yield* die(watched, "{boom, 1}")
            const down = Option.getOrThrow(yield* Process.receive(Signal.DownSchema, { timeout: "3 seconds" }))
            assert.strictEqual(down.ref.toString(), ref.toString())
            assert.strictEqual(ExitReason.format(down.reason), ExitReason.format(ExitReason.error(term("{boom, 1}"))))
            const other = yield* RemoteSpawn.spawnMonitor(node, tell)
            yield* next
            assert.isTrue(yield* Process.demonitor(other.ref))
            yield* die(other.pid, "x")
            // A link, trapped.
            yield* Process.trapExit(true)
            const linked = yield* RemoteSpawn.spawnLink(node, tell)
            yield* next
            yield* die(linked, "bye")
            const exit = Option.getOrThrow(yield* Process.receive(Signal.ExitSchema, { timeout: "3 seconds" }))
            assert.strictEqual(exit.from.toString(), linked.toString())
            assert.isTrue(Option.isNone(yield* Process.receive(Signal.DownSchema, { timeout: 0 })))
            // What nobody knows ends with undef.
            yield* RemoteSpawn.spawnMonitor(node, { module: "nobody", name: "knows", args: [1] })
            const undef = Option.getOrThrow(yield* Process.receive(Signal.DownSchema, { timeout: "3 seconds" }))
            assert.match(ExitReason.format(undef.reason), /undef/)
          }
          // Our server, started by us through its entry point.
          const typed = yield* RemoteSpawn.spawn(ours, RemoteSpawn.apply(StartCounter, 5))
          const counter = yield* Node.remote(Counter, { pid: typed })
          assert.strictEqual(yield* counter.Add({ n: 1 }), 6)
          const error = yield* Effect.flip(RemoteSpawn.spawn("nobody@127.0.0.1", tell))
          assert.strictEqual(error.reason, "NoConnection")
          assert.match(error.message, /rpc_server:tell\/2 was not started on nobody@127.0.0.1/)
        }))
      }))

    it.effect("a call ends with the connection, and a kill of the node is seen", () =>
      Effect.gen(function*() {
        const { port } = yield* ErlangEpmd
        const erl = yield* startErlang("s3@127.0.0.1", { epmdPort: port })
        const fiber = yield* Effect.forkChild(
          Effect.flip(Rpc.callTerm(erl.name, "timer", "sleep", [60_000], { timeout: "20 seconds" })),
          { startImmediately: true }
        )
        yield* Rpc.callTerm(erl.name, "erlang", "node", [])
        yield* erl.kill
        assert.strictEqual(reasonOf(yield* Fiber.join(fiber)), "NoConnection")
      }))

    it.effect("output goes to the group leader, in both directions", () =>
      Effect.gen(function*() {
        const { port } = yield* ErlangEpmd
        const erl = yield* startErlang("g1@127.0.0.1", { epmdPort: port })
        yield* provideAll
        yield* load(erl)
        // Erlang calls us; what we print appears at its group leader.
        assert.strictEqual(
          yield* isolated(
            erl,
            `L = spawn(rpc_server, leader, [[]]), group_leader(L, self()), ok = rpc:call('${ours}', effect_otp, print, ["gr\\x{fc}\\x{df}e \\x{263a}\\n"]), ok = erpc:call('${ours}', effect_otp, print, ["second"]), spawn_monitor('${ours}', effect_otp, print, ["third"]), receive {'DOWN', _, _, _, normal} -> ok end, L ! {get, self()}, receive {L, T} -> T =:= "gr\\x{fc}\\x{df}e \\x{263a}\\nsecondthird" end`
          ),
          "true"
        )
        assert.match(
          yield* isolated(
            erl,
            `L = spawn(fun() -> ok end), group_leader(L, self()), erpc:call('${ours}', effect_otp, print, ["x"])`
          ),
          /^\{\{exception,\{'IoError'/
        )
        // We call Erlang; what it prints appears here, and so does what it prints to our `user`.
        const Printer = Rpc.make("rpc_server", "printer", { args: [Etf.Charlist] })
        yield* Rpc.call(erl.name, Printer, ["hallo"])
        assert.strictEqual(
          yield* erl.eval(
            `io:format(erpc:call('${ours}', effect_otp, user, []), "~w ~5.2.0f|~-4s|~.16B~n", [[1, 2], 1.5, ab, 255])`
          ),
          "ok"
        )
        assert.strictEqual(
          yield* erl.eval(`io:put_chars(erpc:call('${ours}', effect_otp, user, []), "half a line")`),
          "ok"
        )
        assert.match(yield* erl.eval(`io:get_line(erpc:call('${ours}', effect_otp, user, []), "> ")`), /error,enotsup/)
        assert.match(
          yield* erl.eval(`io:format(erpc:call('${ours}', effect_otp, user, []), "~s", [])`),
          /caught,error,/
        )
        // A line without an end is printed when nothing has come for a while.
        while (printed.length < 3) yield* Effect.sleep(10)
        assert.deepStrictEqual(printed, ["hallo {a,\"b\"}", "[1,2] 01.50|ab  |FF", "half a line"])
      }))

    it.effect("gen_server:multi_call in both directions", () =>
      Effect.gen(function*() {
        const { port } = yield* ErlangEpmd
        const a = yield* startErlang("m1@127.0.0.1", { epmdPort: port })
        const b = yield* startErlang("m2@127.0.0.1", { epmdPort: port })
        yield* GenServer.start(CounterServer, 5, { name: "multi" })
        yield* a.eval("dist_server:start(multi)")
        // dist_server's add answers {ok, N}.
        assert.strictEqual(
          yield* a.eval(
            `(fun({Good, Bad}) -> {Good, lists:sort(Bad)} end)(gen_server:multi_call(['${ours}', node(), '${b.name}', 'nobody@127.0.0.1'], multi, {add, 1}, 3000))`
          ),
          `{[{'${ours}',6},{'${a.name}',{ok,1}}],['${b.name}','nobody@127.0.0.1']}`
        )
        const Erl = Message.Call("Get", { success: Schema.Int })
        class Get extends Protocol.make("Get", Erl) {}
        yield* b.eval("dist_server:start(multi)")
        const refs = yield* Effect.forEach([a.name, b.name, "nobody@127.0.0.1", ours], (node) =>
          Node.remote(Get, { name: "multi", node }))
        const { failures, replies } = yield* GenServer.multiCall(refs, (ref) =>
          ref.Get(undefined, { timeout: "500 millis" }))
        assert.deepStrictEqual(replies.map(([ref, n]) => [(ref.address as Address.Name).node, n]), [[a.name, 1], [
          b.name,
          0
        ]])
        assert.deepStrictEqual(failures.map(([ref, error]) => [(ref.address as Address.Name).node, reasonOf(error)]), [
          ["nobody@127.0.0.1", "NodeDown"],
          [ours, "CallTimeout"]
        ])
      }))

    it.effect("a call that is given up leaves nothing behind, and one whose process is killed says so", () =>
      Effect.gen(function*() {
        const { port } = yield* ErlangEpmd
        const erl = yield* startErlang("l1@127.0.0.1", { epmdPort: port })
        yield* provideAll
        const node = yield* Node.Node
        const watched =
          "length([P || P <- processes(), {monitored_by, L} <- [process_info(P, monitored_by)], lists:any(fun(X) -> is_pid(X) andalso node(X) =/= node() end, L)])"
        const sleep = Rpc.callTerm(erl.name, "timer", "sleep", [60_000], { timeout: "100 millis" })
        const calls = yield* Effect.forEach(Array.from({ length: 20 }), () => Effect.flip(sleep), {
          concurrency: "unbounded"
        })
        assert.deepStrictEqual([...new Set(calls.map(reasonOf))], ["Timeout"])
        // The connection is in order again: what was sent before has been seen.
        yield* Rpc.callTerm(erl.name, "erlang", "node", [])
        assert.strictEqual(yield* erl.eval(watched), "0")
        assert.strictEqual(clientOf(node)!.size, 0)
        // A cast knows no answer but that it was started.
        yield* Rpc.cast(erl.name, Sleep, [1])
        yield* Rpc.callTerm(erl.name, "erlang", "node", [])
        assert.strictEqual(clientOf(node)!.size, 0)
        // The process of a call can be ended from outside, as any other.
        const Hang = Rpc.make("effect_otp", "hang", { args: [Etf.Pid] })
        yield* Rpc.provide(
          Hang,
          (owner) => Effect.andThen(Effect.flatMap(Process.self, (self) => Process.send(owner, self)), Effect.never)
        )
        assert.strictEqual(
          yield* isolated(
            erl,
            `Me = self(), spawn(fun() -> Me ! (catch erpc:call('${ours}', effect_otp, hang, [Me])) end), P = receive X when is_pid(X) -> X end, exit(P, kill), receive Y -> Y after 3000 -> none end`
          ),
          "{'EXIT',{signal,killed}}"
        )
        assert.strictEqual(
          yield* isolated(
            erl,
            `Me = self(), spawn(fun() -> Me ! rpc:block_call('${ours}', effect_otp, hang, [Me]) end), P = receive X when is_pid(X) -> X end, exit(P, why), receive Y -> Y after 3000 -> none end`
          ),
          "{badrpc,{'EXIT',why}}"
        )
        // And a block call after it has its turn.
        assert.strictEqual(yield* erl.eval(`rpc:block_call('${ours}', effect_otp, add, [1, 2])`), "3")
      }))

    it.effect("what others expect to find comes back when it is ended", () =>
      Effect.gen(function*() {
        const { port } = yield* ErlangEpmd
        const erl = yield* startErlang("k1@127.0.0.1", { epmdPort: port })
        yield* provideAll
        for (const name of ["net_kernel", "rex", "user"]) {
          for (let i = 0; i < 20; i++) {
            const before = Option.getOrThrow(yield* Process.whereis(name))
            yield* Process.kill(before)
            while (
              Option.match(yield* Process.whereis(name), {
                onNone: () => true,
                onSome: (pid) => pid === before
              })
            ) {
              yield* Effect.sleep(1)
            }
          }
        }
        assert.strictEqual(yield* erl.eval(`net_adm:ping('${ours}')`), "pong")
        assert.strictEqual(yield* erl.eval(`rpc:block_call('${ours}', effect_otp, add, [1, 2])`), "3")
      }))

    it.effect("formats print as Erlang prints them", () =>
      Effect.gen(function*() {
        const { port } = yield* ErlangEpmd
        const erl = yield* startErlang("f1@127.0.0.1", { epmdPort: port })
        const cases: ReadonlyArray<readonly [string, string]> = [
          ["plain ~~ text~n", "[]"],
          ["~w|~p|~0p", "[\"abc\", \"abc\", <<\"abc\">>]"],
          ["~w ~w", "[<<1,2>>, 'A b']"],
          ["~5w|~-5w|~3w|~5.3.0w", "[ab, ab, abcdef, 7]"],
          ["~s|~10s|~-10s|~3s|~10.3s|~.2s", "[abc, \"abc\", <<\"abc\">>, \"abcdef\", \"abcdef\", \"abcdef\"]"],
          ["~5.5.*s", "[$+, \"abcde\"]"],
          ["~*w|~-*w", "[5, a, 5, b]"],
          ["~c~3c|~5.2c", "[$a, $b, $c]"],
          ["~b ~.16b ~.16B ~8.2.0b ~.36B", "[255, 255, 255, 5, -123456]"],
          ["~x ~.16X ~+ ~.16#", "[10, \"0x\", 255, \"0x\", 10, 255]"],
          ["~f ~.2f ~8.1f|~f", "[1.5, 3.14159, 2.25, 2.0]"],
          ["~.0f", "[1.5]"],
          ["~f", "[1]"],
          ["~.1e", "[1.5]"],
          ["~.1g ~.2g ~.2g ~g ~g ~g ~g", "[0.5, 9.5, 99.5, 1000.5, 0.05, 12345.678, -0.5]"],
          ["~e ~.3e ~12.4e", "[1.5, 31415.9, 0.00012]"],
          ["~g ~g ~.3g", "[1.5, 123456.789, 0.5]"],
          ["~i~w", "[hidden, seen]"],
          ["~ts ~tp", "[[16#263a], [16#263a]]"],
          ["~2n|", "[]"],
          ["~s", "[a, b]"],
          ["~s", "[1]"],
          ["~s", "[[16#263a]]"],
          ["~y", "[1]"],
          ["~w", "[]"],
          ["~c", "[abc]"],
          ["~b", "[a]"],
          ["~f", "[a]"],
          ["~.1b", "[1]"]
        ]
        const differences: Array<string> = []
        for (const [pattern, args] of cases) {
          const theirs = yield* erl.eval(
            `try {ok, unicode:characters_to_list(io_lib:format(${
              JSON.stringify(pattern)
            }, ${args}))} catch _:_ -> error end`
          )
          const text = format([...pattern].map((c) => c.codePointAt(0)!), term(args))
          const codes = text === undefined ? undefined : [...text].map((c) => c.codePointAt(0)!)
          const mine = codes === undefined ? "error" : yield* erl.eval(`{ok, [${codes.join(",")}]}`)
          if (mine !== theirs) differences.push(`${pattern} ${args}: ${mine} instead of ${theirs}`)
        }
        assert.deepStrictEqual(differences, [])
      }))

    it.effect("what is provided to some nodes only does not exist for the others", () =>
      Effect.gen(function*() {
        const { port } = yield* ErlangEpmd
        const friend = yield* startErlang("friend@127.0.0.1", { epmdPort: port })
        const stranger = yield* startErlang("stranger@127.0.0.1", { epmdPort: port })
        const Secret = Rpc.make("effect_otp", "secret", { success: Schema.Int })
        const Job = RemoteSpawn.entry("effect_otp", "job", [Etf.Pid])
        const only = { allow: (node: string) => node === friend.name }
        yield* Rpc.provide(Secret, () => 42, only)
        yield* RemoteSpawn.provide(Job, ([owner]) => Process.send(owner, Atom.make("done")), only)
        const ask = (erl: ErlangNode, f: string) => erl.eval(`${f}('${ours}', effect_otp, secret, [])`)
        assert.strictEqual(yield* ask(friend, "erpc:call"), "42")
        assert.strictEqual(yield* ask(friend, "rpc:call"), "42")
        assert.strictEqual(
          yield* ask(stranger, "erpc:call"),
          "{caught,error,{exception,undef,[{effect_otp,secret,[],[]}]}}"
        )
        // Who sends to rex is not proven, whoever it is.
        assert.match(yield* ask(friend, "rpc:block_call"), /badrpc.*undef/)
        assert.match(
          yield* isolated(
            stranger,
            `{rex, '${ours}'} ! {erpc:call('${friend.name}', erlang, self, []), {call, effect_otp, secret, [], user}}, gen_server:call({rex, '${ours}'}, {call, effect_otp, secret, [], self()})`
          ),
          /badrpc.*undef/
        )
        const job = (erl: ErlangNode) =>
          isolated(
            erl,
            `{P, R} = spawn_monitor('${ours}', effect_otp, job, [self()]), receive done -> done; {'DOWN', R, _, P, Why} -> element(1, Why) after 3000 -> none end`
          )
        assert.strictEqual(yield* job(friend), "done")
        assert.strictEqual(yield* job(stranger), "undef")
        // This node may always.
        assert.strictEqual(yield* Rpc.call(ours, Secret, []), 42)
      }))

    it.effect.skipIf(!elixirAvailable)("Elixir calls, spawns and prints", () =>
      Effect.gen(function*() {
        const { port } = yield* ErlangEpmd
        const elixir = yield* startElixir("ex@127.0.0.1", { epmdPort: port })
        yield* provideAll
        const us = `:"${ours}"`
        assert.strictEqual(yield* elixir.eval(`:erpc.call(${us}, :effect_otp, :add, [1, 2])`), "3")
        assert.strictEqual(
          yield* elixir.eval(`:rpc.call(${us}, :effect_otp, :echo, [%{a: "b", c: 1.0}])`),
          "%{a: \"b\", c: 1.0}"
        )
        assert.strictEqual(
          yield* elixir.eval(
            `(fn -> me = self(); pid = Node.spawn(${us}, :effect_otp, :proc, [me]); receive do {:started, ^pid, ^me} -> send(pid, {me, :ref, "hi"}) end; receive do {:ref, text} -> text after 2000 -> :none end end).()`
          ),
          "\"hi\""
        )
        assert.match(
          yield* elixir.eval(
            `(fn -> {pid, ref} = Node.spawn_monitor(${us}, System, :halt, [0]); receive do {:DOWN, ^ref, _, ^pid, why} -> why after 2000 -> :none end end).()`
          ),
          /^\{:undef, \[\{System, :halt, \[0\], \[\]\}\]\}$/
        )
        const before = printed.length
        assert.strictEqual(
          yield* elixir.eval(`IO.puts(:erpc.call(${us}, :effect_otp, :user, []), "from Elixir")`),
          ":ok"
        )
        while (printed.length === before) yield* Effect.sleep(10)
        assert.strictEqual(printed[before], "from Elixir")
      }))
  })
})
