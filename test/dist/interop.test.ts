/**
 * What else must hold between our nodes and those of Erlang and Elixir: terms of either side's making, races, losses.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Option, Queue, Schema } from "effect"
import { ExitReason, GenServer, Message, Process, Protocol, Signal } from "effect-otp"
import * as Node from "effect-otp/dist/Node"
import { Etf } from "effect-otp/etf"
import { Atom, Pid, Term, Tuple } from "effect-otp/term"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { erlangAvailable } from "../erlang/escript.ts"
import { makeRandom, makeRandomTerm } from "../term/randomTerm.ts"
import {
  cookie,
  elixirAvailable,
  type ErlangNode,
  freePort,
  startElixir,
  startEpmd,
  startErlang
} from "./ErlangNode.ts"
import { startNode } from "./hostile/NodeProcess.ts"
import { eventually, type Member, member } from "./Member.ts"

const reasonOf = (error: unknown): string =>
  (error as { readonly reason?: { readonly _tag: string } }).reason?._tag ?? String(error)

/** Answers each call with what it was asked, and gives what else it gets to whom it knows. */
const startEcho = (node: Member, name = "echo") =>
  node.run(Process.spawnDetached(
    (mailbox) =>
      Effect.forever(Effect.flatMap(Queue.take(mailbox), (message) =>
        message instanceof Signal.Request ? message.from.reply(message.payload) : Effect.void)),
    { name }
  ))

const load = (erl: ErlangNode, module: string) =>
  Effect.gen(function*() {
    const file = fileURLToPath(new URL(`../erlang/${module}`, import.meta.url))
    const loaded = yield* erl.eval(
      `(fun() -> {ok, M, B} = compile:file(${JSON.stringify(file)}, [binary]), code:load_binary(M, "", B) end)()`
    )
    assert.strictEqual(loaded, `{module,${module}}`)
  })

/** A real EPMD, and a node of ours. */
const scene = (options?: Partial<Node.LayerOptions>) =>
  Effect.gen(function*() {
    const epmd = yield* freePort
    yield* startEpmd(epmd)
    const ours = yield* member("ours@127.0.0.1", epmd, { discovery: { port: epmd }, ...options })
    return { epmd, ours }
  })

if (!erlangAvailable) console.warn("\n*** SKIPPED: Erlang is not installed, nothing is tested against it here ***\n")

describe.skipIf(!erlangAvailable)("against Erlang", () => {
  it.live(
    "10 000 random terms of Erlang's making come back equal, funs, ports and aliases among them",
    () =>
      Effect.gen(function*() {
        const { epmd, ours } = yield* scene()
        const erl = yield* startErlang("terms@127.0.0.1", { epmdPort: epmd })
        yield* load(erl, "random_term")
        yield* startEcho(ours)
        for (const [seed, size] of [[1, 2], [2, 4], [3, 6], [4, 8]]) {
          assert.strictEqual(
            yield* erl.eval(`random_term:check({echo, 'ours@127.0.0.1'}, ${seed}, 2500, ${size})`),
            "ok"
          )
        }
        // A fun that went and came back is still one that can be called.
        assert.strictEqual(
          yield* erl.eval(
            "(fun() -> X = 5, [F] = gen_server:call({echo, 'ours@127.0.0.1'}, [fun(Y) -> X + Y end]), F(3) end)()"
          ),
          "8"
        )
      }),
    120_000
  )

  it.live("10 000 random terms of our making come back equal", () =>
    Effect.gen(function*() {
      const { epmd, ours } = yield* scene()
      const erl = yield* startErlang("terms@127.0.0.1", { epmdPort: epmd })
      yield* erl.eval("dist_server:start(counter)")
      const random = makeRandom(2026)
      const next = makeRandomTerm(random, { negativeZero: false, funs: false, nodes: [["x@y", 3], [erl.name, 1]] })
      yield* ours.run(Effect.gen(function*() {
        for (let batch = 0; batch < 100; batch++) {
          const sent = Array.from({ length: 100 }, () => next(1 + batch % 7))
          const back = yield* Node.callTerm(
            { name: "counter", node: erl.name },
            Tuple.make(...[Atom.make("echo"), sent]),
            { timeout: "20 seconds" }
          ) as Effect.Effect<ReadonlyArray<Term.Term>, unknown, Node.Node>
          assert.strictEqual(back.length, 100)
          for (let i = 0; i < 100; i++) {
            if (Term.equals(back[i]!, sent[i]!)) continue
            assert.fail(`${batch}, ${i}: ${Term.print(sent[i]!)} came back as ${Term.print(back[i]!)}`)
          }
        }
      }))
    }), 120_000)

  it.live(
    "unlink races: once unlinked no end is seen, whoever else links and unlinks meanwhile",
    () =>
      Effect.gen(function*() {
        const { epmd, ours } = yield* scene()
        const erl = yield* startErlang("links@127.0.0.1", { epmdPort: epmd })
        yield* erl.eval(
          "register(maker, spawn(fun L() -> receive {'$gen_call', F, _} -> gen_server:reply(F, spawn(fun dist_server:trapper/0)), L() end end))"
        )
        const make = Effect.map(
          Node.callTerm({ name: "maker", node: erl.name }, Atom.make("make")),
          (pid) => pid as Pid.Pid
        )
        yield* ours.run(Process.run(
          Effect.gen(function*() {
            yield* Process.trapExit(true)
            const self = yield* Process.self
            const tell = (to: Pid.Pid, what: string) => Process.send(to, Tuple.make(...[Atom.make(what), self]))
            const peers: Array<Pid.Pid> = []
            for (let round = 0; round < 300; round++) {
              const peer = yield* make
              peers.push(peer)
              // Their link and ours cross each other, and so do the unlinks.
              yield* tell(peer, "link")
              yield* Process.link(peer)
              if (round % 3 === 0) yield* tell(peer, "unlink")
              if (round % 5 === 0) yield* Process.link(peer)
              yield* Process.unlink(peer)
              if (round % 2 === 0) yield* Process.exit(peer, ExitReason.kill)
            }
            // Their links that came after our unlinks stand, on both sides: of each one end is seen.
            const linked = (yield* Process.info(self)).pipe(Option.getOrThrow).links.filter((link) =>
              Pid.isPid(link) && link.node === erl.name
            ).length
            for (const peer of peers) {
              yield* Process.exit(peer, ExitReason.kill)
            }
            const ping = yield* make
            yield* Process.monitor(ping)
            yield* Process.exit(ping, ExitReason.kill)
            yield* Process.receive(Signal.DownSchema)
            const seen = new Set<string>()
            for (;;) {
              const exit = yield* Process.receive(Signal.ExitSchema, { timeout: 200 })
              if (Option.isNone(exit)) {
                break
              }
              assert.isFalse(seen.has(String(exit.value.from)))
              seen.add(String(exit.value.from))
            }
            assert.isAtLeast(seen.size, linked)
            // Links that only we made leave nothing at all.
            for (let round = 0; round < 300; round++) {
              const peer = yield* make
              yield* Process.link(peer)
              yield* Process.unlink(peer)
              if (round % 2 === 0) {
                yield* Process.link(peer)
                yield* Process.unlink(peer)
              }
              yield* Process.exit(peer, ExitReason.kill)
            }
            const last = yield* make
            yield* Process.link(last)
            yield* Process.exit(last, ExitReason.kill)
            const exit = yield* Process.receive(Signal.ExitSchema)
            assert.strictEqual(String(exit.from), String(last))
            assert.strictEqual(exit.reason._tag, "Killed")
            assert.deepStrictEqual(
              Option.getOrThrow(yield* Process.info(self)).links.filter((link) =>
                Pid.isPid(link) && link.node === erl.name
              ),
              []
            )
          }),
          { mailbox: { capacity: 10_000 } }
        ))
        // From Erlang: after unlink/1 there is no exit signal of that process, also when it ends at that moment.
        yield* ours.run(Process.spawnDetached(
          (mailbox) =>
            Effect.forever(Effect.flatMap(Queue.take(mailbox), (message) =>
              message instanceof Signal.Request
                ? Effect.flatMap(
                  Process.spawnDetached((inbox) => Queue.take(inbox)),
                  (pid) => message.from.reply(pid)
                )
                : Effect.void)),
          { name: "maker" }
        ))
        assert.strictEqual(
          yield* erl.eval(
            "(fun() -> process_flag(trap_exit, true), R = [(fun() -> P = gen_server:call({maker, 'ours@127.0.0.1'}, make), link(P), P ! stop, case N rem 2 of 0 -> erlang:yield(); 1 -> ok end, unlink(P), receive {'EXIT', P, W} -> {early, W} after 0 -> M = monitor(process, P), receive {'DOWN', M, _, _, _} -> ok end, receive {'EXIT', P, W} -> {late, W} after 0 -> none end end end)() || N <- lists:seq(1, 300)], process_flag(trap_exit, false), [X || X = {late, _} <- R] end)()"
          ),
          "[]"
        )
      }),
    60_000
  )

  it.live("a call of Erlang's that timed out: the late reply is dropped", () =>
    Effect.gen(function*() {
      const { epmd, ours } = yield* scene()
      const erl = yield* startErlang("late@127.0.0.1", { epmdPort: epmd })
      class Slow extends Protocol.make(
        "Slow",
        Message.Call("Wait", { payload: { ms: Schema.Int }, success: Schema.Int })
      ) {}
      const SlowServer = GenServer.make(Slow, {
        init: () => Effect.succeed(0),
        handlers: { Wait: ({ ms }, state) => Effect.as(Effect.sleep(ms), GenServer.reply(ms, state)) }
      })
      yield* ours.run(GenServer.startDetached(SlowServer, undefined, { name: "slow" }))
      assert.strictEqual(
        yield* erl.eval(
          "(fun() -> {'EXIT', {timeout, _}} = (catch gen_server:call({slow, 'ours@127.0.0.1'}, {wait, 300}, 50)), 1 = gen_server:call({slow, 'ours@127.0.0.1'}, {wait, 1}), receive X -> {late, X} after 300 -> nothing end end)()"
        ),
        "nothing"
      )
    }), 30_000)

  it.live(
    "a node of ours that is killed and returns: its old pids are dead for Erlang, its name lives again",
    () =>
      Effect.gen(function*() {
        const epmd = yield* freePort
        yield* startEpmd(epmd)
        const erl = yield* startErlang("watcher@127.0.0.1", { epmdPort: epmd })
        const first = yield* Effect.gen(function*() {
          const node = yield* startNode("phoenix@127.0.0.1", { epmd })
          assert.strictEqual(yield* erl.eval(`net_adm:ping('${node.name}')`), "pong")
          assert.strictEqual(yield* erl.eval("gen_server:call({worker, 'phoenix@127.0.0.1'}, count)"), "0")
          yield* erl.eval(
            "begin monitor_node('phoenix@127.0.0.1', true), Ref = monitor(process, {worker, 'phoenix@127.0.0.1'}) end"
          )
          yield* node.signal("SIGKILL")
          return node
        }).pipe(Effect.scoped)
        assert.match(
          yield* erl.eval(
            "receive {'DOWN', Ref, process, _, Why} -> receive {nodedown, N} -> {Why, N} after 5000 -> none end after 5000 -> none end"
          ),
          /^\{noconnection,'phoenix@127.0.0.1'\}$/
        )
        const again = yield* startNode("phoenix@127.0.0.1", { epmd })
        assert.notStrictEqual(again.creation, first.creation)
        assert.strictEqual(yield* erl.eval("gen_server:call({worker, 'phoenix@127.0.0.1'}, count)"), "0")
        // The first pid of a node of ours is that of its first process, in this life and in the one before.
        const pid = (creation: number) =>
          `binary_to_term(<<131, 88, 119, 17, "phoenix@127.0.0.1", 0:24, 2, 0:32, ${creation}:32>>)`
        const dead = yield* erl.eval(
          `begin M_ = monitor(process, ${
            pid(first.creation)
          }), receive {'DOWN', M_, _, _, W_} -> W_ after 3000 -> alive end end`
        )
        assert.strictEqual(dead, "noproc")
        const alive = yield* erl.eval(
          `begin M2_ = monitor(process, ${
            pid(again.creation)
          }), receive {'DOWN', M2_, _, _, W2_} -> W2_ after 300 -> alive end end`
        )
        assert.strictEqual(alive, "alive")
      }),
    60_000
  )

  it.live(
    "[F2] a frozen node of ours is dropped by Erlang within 0.75 to 1.25 tick times, an idle one is not",
    () =>
      Effect.gen(function*() {
        const epmd = yield* freePort
        yield* startEpmd(epmd)
        const erl = yield* startErlang("watcher@127.0.0.1", {
          epmdPort: epmd,
          arguments: ["-kernel", "net_ticktime", "4"]
        })
        const node = yield* startNode("frozen@127.0.0.1", { epmd, options: { netTickTime: "4 seconds" } })
        assert.strictEqual(yield* erl.eval(`net_adm:ping('${node.name}')`), "pong")
        yield* Effect.sleep("9 seconds")
        assert.strictEqual(yield* erl.eval("length(nodes())"), "1")
        yield* erl.eval("monitor_node('frozen@127.0.0.1', true)")
        const before = yield* Clock.currentTimeMillis
        yield* node.signal("SIGSTOP")
        assert.strictEqual(yield* erl.eval("receive {nodedown, _} -> down after 20000 -> none end"), "down")
        const after = (yield* Clock.currentTimeMillis) - before
        yield* node.signal("SIGCONT")
        assert.isAtLeast(after, 2900)
        assert.isBelow(after, 5300)
        // It wakes, learns of it, and comes back.
        yield* eventually(node.ask<ReadonlyArray<string>>("nodes"), [])
        assert.strictEqual(yield* node.ask("ping", erl.name), "pong")
      }),
    60_000
  )

  it.live("a nameless Erlang node asks ours for a name, and calls", () =>
    Effect.gen(function*() {
      const epmd = yield* freePort
      yield* startEpmd(epmd)
      const ours = yield* member("naming@localhost", epmd, { discovery: { port: epmd }, dynamicNames: true })
      yield* startEcho(ours)
      const answer = yield* Effect.callback<string>((resume) => {
        const child = spawn("erl", [
          "-sname",
          "undefined",
          "-setcookie",
          cookie,
          "-noshell",
          "-start_epmd",
          "false",
          "-eval",
          "true = net_kernel:connect_node('naming@localhost'), io:format(\"~p ~p~n\", [node(), gen_server:call({echo, 'naming@localhost'}, {self_is, hello})]), halt()."
        ], { env: { ...process.env, ERL_EPMD_PORT: String(epmd) }, stdio: ["ignore", "pipe", "ignore"] })
        let out = ""
        child.stdout.on("data", (data: Buffer) => {
          out += data.toString()
        })
        child.on("close", () => resume(Effect.succeed(out)))
        return Effect.sync(() => child.kill("SIGKILL"))
      })
      assert.match(answer, /^'?[0-9A-Z]+@[^ ]+'? \{self_is,hello\}\n$/)
      assert.deepStrictEqual(yield* eventually(ours.run(Node.nodes("all")), []), [])
    }), 30_000)

  it.live("a nameless node of ours asks Erlang, or one of ours, for a name", () =>
    Effect.gen(function*() {
      const { epmd, ours } = yield* scene({ dynamicNames: true })
      const erl = yield* startErlang("giver@127.0.0.1", { epmdPort: epmd })
      for (const giver of [erl.name, ours.name]) {
        const nameless = yield* member("undefined@127.0.0.1", epmd, { discovery: { port: epmd }, nameFrom: giver })
        const node = yield* nameless.run(Effect.map(Node.Node, (node) => node))
        assert.match(node.name, /^[0-9A-Z]+@127\.0\.0\.1$/)
        assert.isAtLeast(node.creation, 4)
        assert.deepStrictEqual(yield* nameless.run(Node.nodes("all")), [giver])
        yield* startEcho(nameless)
        const call = `gen_server:call({echo, '${node.name}'}, hello)`
        if (giver === erl.name) {
          assert.strictEqual(yield* erl.eval("nodes(hidden)"), `['${node.name}']`)
          assert.strictEqual(yield* erl.eval(call), "hello")
        } else {
          assert.deepStrictEqual(yield* ours.run(Node.nodes("hidden")), [node.name])
          assert.isTrue(Atom.is(
            yield* ours.run(Node.callTerm({ name: "echo", node: node.name }, Atom.make("hello"))),
            "hello"
          ))
        }
        // The name stays when the connection is lost, and when others are made.
        yield* nameless.run(Node.disconnect(giver))
        assert.strictEqual(yield* nameless.run(Node.ping(giver)), "pong")
        assert.strictEqual(yield* nameless.run(Node.ping(erl.name)), "pong")
        assert.strictEqual(yield* erl.eval(call), "hello")
        yield* nameless.stop
      }
      // Who gives no names.
      const strict = yield* member("strict@127.0.0.1", epmd, { discovery: { port: epmd } })
      const error = yield* Effect.flip(
        Effect.scoped(member("undefined@127.0.0.1", epmd, { discovery: { port: epmd }, nameFrom: strict.name }))
      )
      assert.strictEqual((error as { readonly reason: string }).reason, "NoName")
      const nobody = yield* Effect.flip(
        Effect.scoped(member("undefined@127.0.0.1", epmd, { discovery: { port: epmd }, nameFrom: "nobody@127.0.0.1" }))
      )
      assert.match(String(nobody), /nobody@127.0.0.1 gave none: EPMD .* knows no node/)
    }), 30_000)

  it.live(
    "100 connects of ours and theirs at once, each ending in one connection that is used",
    () =>
      Effect.gen(function*() {
        const { epmd, ours } = yield* scene()
        yield* startEcho(ours)
        for (const name of ["a_sim@127.0.0.1", "z_sim@127.0.0.1"]) {
          const erl = yield* startErlang(name, { epmdPort: epmd })
          yield* erl.eval("dist_server:start(counter)")
          for (let round = 0; round < 50; round++) {
            // Not only connects: what is sent meanwhile arrives, over whichever connection wins.
            const [theirs, answer] = yield* Effect.all([
              erl.eval(`gen_server:call({echo, 'ours@127.0.0.1'}, ${round})`),
              ours.run(Node.callTerm({ name: "counter", node: name }, Tuple.make(Atom.make("echo"), round)))
            ], { concurrency: 2 })
            assert.strictEqual(theirs, String(round))
            assert.strictEqual(answer, round)
            assert.strictEqual(yield* erl.eval("length(nodes())"), "1")
            assert.deepStrictEqual(yield* ours.run(Node.nodes()), [name])
            yield* ours.run(Node.disconnect(name))
            while ((yield* erl.eval("nodes()")) !== "[]") yield* Effect.sleep(5)
          }
          yield* erl.kill
        }
      }),
    90_000
  )
})

if (!elixirAvailable) console.warn("\n*** SKIPPED: Elixir is not installed, nothing is tested against it here ***\n")

class User extends Schema.Class<User>("User")(
  Etf.ElixirStruct("Elixir.Shop.User", { name: Schema.String, age: Schema.Int })
) {
  get greeting(): string {
    return `${this.name}, ${this.age}`
  }
}

class Users extends Protocol.make(
  "Users",
  Message.Call("Older", { payload: { user: User }, success: User }),
  Message.Call("Greet", { payload: { user: User }, success: Schema.String })
) {}

describe.skipIf(!elixirAvailable)("against Elixir", () => {
  it.live(
    "a struct decodes into a class and goes back as the struct, in both directions",
    () =>
      Effect.gen(function*() {
        const { epmd, ours } = yield* scene()
        const elixir = yield* startElixir("ex@127.0.0.1", { epmdPort: epmd })
        const UsersServer = GenServer.make(Users, {
          init: () => Effect.succeed(0),
          handlers: {
            Older: ({ user }, state) => {
              assert.instanceOf(user, User)
              return GenServer.reply(new User({ name: user.name, age: user.age + 1 }), state)
            },
            Greet: ({ user }, state) => GenServer.reply(user.greeting, state)
          }
        })
        yield* ours.run(GenServer.startDetached(UsersServer, undefined, { name: "users" }))
        const call = (request: string) => elixir.eval(`GenServer.call({:users, :"ours@127.0.0.1"}, ${request})`)
        assert.strictEqual(
          yield* call("{:older, %Shop.User{name: \"Ada\", age: 36}}"),
          "%Shop.User{name: \"Ada\", age: 37}"
        )
        assert.strictEqual(yield* call("{:greet, %Shop.User{name: \"Bo\", age: 1}}"), "\"Bo, 1\"")
        yield* elixir.eval("GenServer.start(DistServer, 0, name: :counter)")
        yield* ours.run(Effect.gen(function*() {
          const users = yield* Node.remote(Users, { name: "counter", node: elixir.name })
          const older = yield* users.Older({ user: new User({ name: "Cy", age: 4 }) })
          assert.instanceOf(older, User)
          assert.strictEqual(older.greeting, "Cy, 5")
        }))
      }),
    30_000
  )

  it.live(
    "10 000 random terms, calls that time out, a kill and a return, from and to Elixir",
    () =>
      Effect.gen(function*() {
        const { epmd, ours } = yield* scene()
        yield* startEcho(ours)
        const elixir = yield* startElixir("ex@127.0.0.1", { epmdPort: epmd })
        // Erlang's generator, in Elixir's node.
        const file = fileURLToPath(new URL("../erlang/random_term", import.meta.url))
        assert.match(
          yield* elixir.eval(
            `({:ok, m, b} = :compile.file(~c"${file}", [:binary]); :code.load_binary(m, ~c"", b))`
          ),
          /module/
        )
        assert.strictEqual(
          yield* elixir.eval(":random_term.check({:echo, :\"ours@127.0.0.1\"}, 7, 10000, 5)"),
          ":ok"
        )
        yield* elixir.eval("GenServer.start(DistServer, 0, name: :counter)")
        yield* elixir.eval("Process.register(spawn(fn -> Process.sleep(:infinity) end), :deaf)")
        yield* ours.run(Process.run(
          Effect.gen(function*() {
            const users = yield* Node.remote(Users, { name: "counter", node: elixir.name })
            const user = new User({ name: "D", age: 1 })
            assert.strictEqual((yield* users.Older({ user })).age, 2)
            const deaf = yield* Node.remote(Users, { name: "deaf", node: elixir.name })
            assert.strictEqual(reasonOf(yield* Effect.flip(deaf.Older({ user }, { timeout: 50 }))), "CallTimeout")
            const pending = yield* Effect.forkChild(Effect.flip(deaf.Older({ user }, { timeout: 20_000 })), {
              startImmediately: true
            })
            yield* Process.monitor({ name: "counter", node: elixir.name })
            assert.strictEqual((yield* users.Older({ user })).age, 2)
            yield* elixir.kill
            assert.strictEqual(reasonOf(yield* Fiber.join(pending)), "NodeDown")
            assert.strictEqual((yield* Process.receive(Signal.DownSchema)).reason._tag, "NoConnection")
            const again = yield* startElixir("ex@127.0.0.1", { epmdPort: epmd })
            yield* again.eval("GenServer.start(DistServer, 0, name: :counter)")
            assert.strictEqual((yield* users.Older({ user })).age, 2)
          }).pipe(Effect.scoped)
        ))
      }),
    90_000
  )
})
