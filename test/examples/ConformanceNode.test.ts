/**
 * The conformance node against its contract: each clause, quoted in a title, driven from real Erlang nodes.
 */
import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Layer, Redacted } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Certificates from "../dist/Certificates.ts"
import { ErlangEpmd, type ErlangNode, freePort } from "../dist/ErlangNode.ts"
import { erlangAvailable } from "../erlang/escript.ts"
import { peer, run, start, type Target } from "./ConformanceTarget.ts"
import { blocks, session } from "./Nodes.ts"

/** A node under test, an Erlang node that drives it, and their EPMD, for all clauses that need nothing special. */
class Pair extends Context.Service<Pair, {
  readonly epmdPort: number
  readonly target: Target
  readonly erl: ErlangNode
}>()("test/Pair") {
  static readonly layer = Layer.effect(Pair)(
    Effect.gen(function*() {
      const { port: epmdPort } = yield* ErlangEpmd
      const target = yield* start("t1@127.0.0.1", epmdPort)
      return { epmdPort, target, erl: yield* peer("e1@127.0.0.1", epmdPort, target.name) }
    })
  ).pipe(Layer.provide(ErlangEpmd.layer))
}

const erl = Effect.map(Pair, ({ erl }) => erl)

/** Checks what expressions give on the Erlang node, as it prints them. */
const gives = (...expectations: ReadonlyArray<readonly [expression: string, result: string | RegExp]>) =>
  Effect.gen(function*() {
    const node = yield* erl
    for (const [expression, result] of expectations) {
      const got = yield* node.eval(expression)
      if (typeof result === "string") assert.strictEqual(got, result, expression)
      else assert.match(got, result, expression)
    }
  })

/** One eval per line before, for what is to be remembered. */
const steps = (...expressions: ReadonlyArray<string>) =>
  Effect.flatMap(erl, (node) => Effect.forEach(expressions, node.eval))

const options = { timeout: "60 seconds", excludeTestServices: true } as const

describe.skipIf(!erlangAvailable)("examples/conformance-node", () => {
  layer(Pair.layer, options)("with one Erlang node", (it) => {
    describe("0. Starting", () => {
      it.effect("registers with the EPMD with node type 77, protocol 0, highest version 6", () =>
        Effect.gen(function*() {
          const { epmdPort } = yield* Pair
          yield* gives([`conformance:epmd(${epmdPort}, "t1")`, /^\{\d+,77,0,6\}$/])
        }))

      it.effect("72 when hidden, and keeps the registration as long as it lives", () =>
        Effect.gen(function*() {
          const { epmdPort } = yield* Pair
          const hidden = yield* start("h1@127.0.0.1", epmdPort, { TARGET_HIDDEN: "1" })
          yield* gives(
            [`conformance:epmd(${epmdPort}, "h1")`, /^\{\d+,72,0,6\}$/],
            ["net_adm:ping('h1@127.0.0.1')", "pong"],
            ["{lists:member('h1@127.0.0.1', nodes()), lists:member('h1@127.0.0.1', nodes(hidden))}", "{false,true}"],
            ["conformance:call('h1@127.0.0.1', driver, {nodes, visible})", "['e1@127.0.0.1']"]
          )
          hidden.child.kill("SIGKILL")
          assert.strictEqual(yield* hidden.ended, "SIGKILL")
          yield* gives([`conformance:until(unknown, fun() -> conformance:epmd(${epmdPort}, "h1") end)`, "unknown"])
        }))

      it.effect("If the name is taken the process ends with a non-zero exit status", () =>
        Effect.gen(function*() {
          const { epmdPort } = yield* Pair
          const second = yield* run("t1@127.0.0.1", epmdPort)
          assert.strictEqual(yield* second.ended, 1)
          assert.include(second.output(), "another node is registered under this name")
          yield* gives(["C(echo, still)", "still"])
        }))

      it.effect("the start command stays in the foreground, is a single process", () =>
        Effect.gen(function*() {
          const { target } = yield* Pair
          const pid = target.child.pid!
          assert.match(Fs.readFileSync(`/proc/${pid}/cmdline`, "utf8"), /node.*conformance-node\/main\.ts/)
          const children = Fs.readdirSync(`/proc/${pid}/task`).map((thread) =>
            Fs.readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8")
          )
          assert.deepStrictEqual(children.filter((list) => list !== ""), [])
        }))

      it.effect("SIGTERM ends it in an orderly way", () =>
        Effect.gen(function*() {
          const { epmdPort } = yield* Pair
          const node = yield* start("s1@127.0.0.1", epmdPort)
          yield* gives(["net_adm:ping('s1@127.0.0.1')", "pong"])
          node.child.kill("SIGTERM")
          assert.strictEqual(yield* node.ended, 0)
          yield* gives(["conformance:until(false, fun() -> lists:member('s1@127.0.0.1', nodes()) end)", "false"])
        }))

      it.effect("registers with the EPMD or runs that EPMD itself", () =>
        Effect.gen(function*() {
          const port = yield* freePort
          yield* start("m1@127.0.0.1", port, { TARGET_EMBED_EPMD: "1" })
          const other = yield* peer("o1@127.0.0.1", port, "m1@127.0.0.1")
          assert.strictEqual(yield* other.eval("net_adm:ping(N)"), "pong")
          assert.strictEqual(
            yield* other.eval("{ok, Names} = net_adm:names(), lists:sort([A || {A, _} <- Names])"),
            "[\"m1\",\"o1\"]"
          )
          assert.strictEqual(yield* other.eval("C(driver, {ping, node()})"), "pong")
        }))

      it.effect("net tick time in seconds (60 and 4 are used)", () =>
        Effect.gen(function*() {
          const { epmdPort } = yield* Pair
          const node = yield* start("k1@127.0.0.1", epmdPort, { TARGET_NET_TICKTIME: "4" })
          const other = yield* peer("k2@127.0.0.1", epmdPort, node.name, {
            arguments: ["-kernel", "net_ticktime", "4"]
          })
          // Both are silent for longer than the tick time, and still there.
          yield* other.eval(
            "begin C(driver, {monitor_nodes, true}), true = monitor_node(N, true), timer:sleep(6000) end"
          )
          assert.strictEqual(yield* other.eval("C(driver, get_events)"), "[]")
          assert.strictEqual(yield* other.eval("receive {nodedown, N} -> down after 0 -> up end"), "up")
          // One that does not run is missed within 0.75 to 1.25 tick times.
          yield* other.signal("SIGSTOP")
          const took = Number(
            yield* (yield* erl).eval("conformance:event('k1@127.0.0.1', {nodedown, 'k2@127.0.0.1'}, 9000)")
          )
          // It may have been silent for a quarter already.
          assert.isAbove(took, 1900)
          assert.isBelow(took, 5200)
        }), 30_000)

      it.effect("handshake (setup) time-out 7 s", () =>
        Effect.gen(function*() {
          const { epmdPort } = yield* Pair
          const node = yield* erl
          const time = Number(
            yield* node.eval(
              `begin {At, _, _, _} = conformance:epmd(${epmdPort}, "t1"), conformance:silent(At) end`
            )
          )
          assert.isAbove(time, 6500)
          assert.isBelow(time, 8500)
        }), 30_000)
    })

    describe("1. Generic server behaviour", () => {
      it.effect("call R -> V: the message {'$gen_call', From, R} is answered with V", () =>
        gives(["gen_server:call({echo, N}, {some, request})", "{some,request}"]))

      it.effect("if Tag is [alias | A] or [[alias | A] | _] with a reference A, it is sent to the alias A", () =>
        gives(
          ["conformance:alias_call(N, echo, fun(A) -> [alias | A] end, x)", "{{replied,x},none}"],
          ["conformance:alias_call(N, echo, fun(A) -> [[alias | A] | make_ref()] end, x)", "{{replied,x},none}"],
          ["conformance:alias_call(N, echo, fun(A) -> [[alias | A]] end, x)", "{{replied,x},none}"],
          ["conformance:alias_call(N, echo, fun(A) -> [[alias | A], more] end, x)", "{{replied,x},none}"]
        ))

      it.effect("for any other Tag it is sent to Pid", () =>
        gives(
          ...[
            "make_ref()",
            "tag",
            "{make_ref(), node()}",
            "[alias, foo]",
            "[alias | foo]",
            "\"text\"",
            "[[alias | 1]]",
            "[]",
            "1.0",
            "{'$gen_request_id', make_ref()}"
          ]
            .map((tag) => [`conformance:raw_call(N, echo, ${tag}, x)`, "{replied,x}"] as const)
        ))

      it.effect("Unknown casts and infos are ignored", () =>
        Effect.gen(function*() {
          const names = ["echo", "counter", "spawner", "slow", "driver", "net_kernel"]
          yield* steps("C(counter, {add, 3})")
          for (const name of names) {
            yield* steps(
              `gen_server:cast({${name}, N}, {nobody, knows, this})`,
              `{${name}, N} ! {nobody, knows, this}`,
              `{${name}, N} ! "text"`,
              `{${name}, N} ! #{a => 1}`,
              `{${name}, N} ! {system, {self(), make_ref()}, get_state}`
            )
          }
          yield* gives(
            ["C(counter, get)", "3"],
            ["C(echo, x)", "x"],
            ["C(slow, {sleep, 0})", "{slept,0}"],
            ["C(spawner, get_downs)", "[]"],
            ["C(driver, get_events)", "[]"],
            ["C(net_kernel, {is_auth, node()})", "yes"]
          )
          yield* steps("gen_server:cast({counter, N}, reset)")
        }))

      it.effect("Malformed $gen_* messages must not take the node down", () =>
        Effect.gen(function*() {
          const malformed = [
            "'$gen_call'",
            "{'$gen_call'}",
            "{'$gen_call', foo, bar}",
            "{'$gen_call', {self()}, get}",
            "{'$gen_call', {foo, bar}, get}",
            "{'$gen_call', {self(), make_ref(), x}, get}",
            "{'$gen_call', {self(), [alias | x]}, get, more}",
            "{'$gen_cast'}",
            "{'$gen_cast', reset, more}",
            "{'$gen_call', [self() | x], get}",
            "{'$gen_call', {self(), [[alias | self()]]}, {}}",
            "{'$gen_all_state_event', x}"
          ]
          for (const name of ["echo", "counter", "spawner", "slow", "driver", "net_kernel"]) {
            for (const message of malformed) yield* steps(`{${name}, N} ! ${message}`)
          }
          for (
            const request of [
              "{add, foo}",
              "{add}",
              "{sleep, x}",
              "{sleep, -1}",
              "{link, foo}",
              "{nodes, 1}",
              "{call, x, y}"
            ]
          ) {
            for (const name of ["counter", "spawner", "slow", "driver"]) {
              yield* steps(`{${name}, N} ! {'$gen_call', {self(), make_ref()}, ${request}}`)
            }
          }
          yield* gives(
            ["conformance:until(0, fun() -> C(counter, get) end)", "0"],
            ["C(echo, x)", "x"],
            ["C(slow, {sleep, 0})", "{slept,0}"],
            ["is_list(C(spawner, get_downs))", "true"],
            ["is_list(C(driver, get_events))", "true"],
            ["net_adm:ping(N)", "pong"]
          )
        }))

      it.effect("a crashed one is restarted under the same registered name within one second", () =>
        gives(
          ["conformance:back(N, spawner, get_downs)", "{killed,[],true}"],
          ["conformance:back(N, driver, get_events)", "{killed,[],true}"]
        ))

      it.effect("a crashed one is restarted: net_kernel, rex and pg as well", () =>
        Effect.gen(function*() {
          const { epmdPort } = yield* Pair
          yield* steps(
            `{Port30, _, _, _} = conformance:epmd(${epmdPort}, "t1")`,
            "P30 = raw_peer:connect(Port30, <<\"raw30@127.0.0.1\">>, erlang:get_cookie(), 0)",
            "S30 = raw_peer:pid(P30, 1)",
            "Auth30 = fun() -> raw_peer:send(P30, {6, S30, '', net_kernel}, {'$gen_call', {S30, tag}, {is_auth, me}}), {{22, NK, S30}, {tag, yes}} = raw_peer:recv(P30), NK end",
            "Rex30 = fun() -> raw_peer:send(P30, {6, S30, '', rex}, {S30, features_request}), {{22, Rex, S30}, {features_reply, _, _}} = raw_peer:recv(P30), Rex end",
            "Pg30 = fun() -> conformance:flush(), {pg, N} ! {discover, self()}, receive {'$gen_cast', {sync, Pg, Groups}} -> {Pg, proplists:is_defined(effect_otp_group, Groups)} after 500 -> none end end",
            "Kill30 = fun(Pid) -> M = monitor(process, Pid), exit(Pid, kill), receive {'DOWN', M, _, _, killed} -> timer:sleep(300) end end"
          )
          yield* gives(
            ["begin NK1 = Auth30(), Kill30(NK1), NK2 = Auth30(), {is_pid(NK2), NK1 =:= NK2} end", "{true,false}"],
            ["begin Rex1 = Rex30(), Kill30(Rex1), Rex2 = Rex30(), {is_pid(Rex2), Rex1 =:= Rex2} end", "{true,false}"],
            [
              "begin {Pg1, true} = Pg30(), Kill30(Pg1), {Pg2, Member} = Pg30(), {is_pid(Pg2), Pg1 =:= Pg2, Member} end",
              "{true,false,true}"
            ],
            ["net_adm:ping(N)", "pong"],
            ["begin raw_peer:close(P30), conformance:flush() end", "ok"]
          )
        }))

      it.effect("it crashes counter a few dozen times, and the others keep running", () =>
        Effect.gen(function*() {
          yield* steps("C(driver, {monitor_nodes, true})", "Spawner = conformance:spawner_pid(N)")
          yield* gives(
            ["conformance:crash_counter(N, 60)", "[{boom,1}]"],
            ["conformance:until(0, fun() -> C(counter, get) end)", "0"],
            ["conformance:spawner_pid(N) =:= Spawner", "true"]
          )
          yield* steps("C(driver, {monitor_nodes, false})")
        }))
    })

    describe("2. Servers", () => {
      it.effect("echo: call T -> T for every term, unchanged in type and value", () =>
        gives(["conformance:echoed(N, conformance:terms())", "[]"]))

      it.effect("echo: identifiers of any node come back equal, funs come back as funs that a BEAM can call", () =>
        Effect.gen(function*() {
          const { epmdPort } = yield* Pair
          yield* peer("e2@127.0.0.1", epmdPort, "t1@127.0.0.1")
          yield* steps(
            "pong = net_adm:ping('e2@127.0.0.1')",
            "Theirs = erpc:call('e2@127.0.0.1', erlang, make_ref, [])",
            "TheirPid = erpc:call('e2@127.0.0.1', erlang, whereis, [kernel_sup])",
            "TheirPort = hd(erpc:call('e2@127.0.0.1', erlang, ports, []))",
            "Y = 5"
          )
          yield* gives(
            ["C(echo, [Theirs, TheirPid, TheirPort]) =:= [Theirs, TheirPid, TheirPort]", "true"],
            ["(C(echo, fun(X) -> X * Y end))(4)", "20"],
            ["(C(echo, fun lists:reverse/1))([1, 2])", "[2,1]"],
            ["F = fun erlang:node/0, C(echo, F) =:= F", "true"],
            // The pid that comes back is the process itself.
            ["P = conformance:collector(), C(echo, P) ! hello, conformance:counted(P, 1)", "[hello]"]
          )
        }))

      it.effect("echo: cast {send, Pid, T}: sends T to Pid", () =>
        gives(
          [
            "begin gen_server:cast({echo, N}, {send, self(), {a, \"b\"}}), receive {a, B} -> B after 2000 -> none end end",
            "\"b\""
          ],
          // A spent reference and a dead pid cost nothing.
          ["begin gen_server:cast({echo, N}, {send, spawn(fun() -> ok end), x}), C(echo, y) end", "y"]
        ))

      it.effect("echo: info {Pid, Ref, T}: sends {Ref, T} to Pid", () =>
        gives(
          ["begin R1 = make_ref(), conformance:ask({echo, N}, R1, [1.0]) end", "[1.0]"],
          ["conformance:ask({echo, N}, no_reference, t)", "t"]
        ))

      it.effect("counter: call {add, N} -> S (the new value), call get -> S, cast {add, N}, cast reset", () =>
        Effect.gen(function*() {
          yield* steps("gen_server:cast({counter, N}, reset)")
          yield* gives(
            ["C(counter, get)", "0"],
            ["C(counter, {add, 5})", "5"],
            ["C(counter, {add, -7})", "-2"],
            ["begin gen_server:cast({counter, N}, {add, 10}), C(counter, get) end", "8"],
            ["C(counter, {add, 1 bsl 70}) =:= (1 bsl 70) + 8", "true"],
            ["C(counter, {add, -(1 bsl 70)})", "8"],
            ["begin gen_server:cast({counter, N}, reset), C(counter, get) end", "0"]
          )
        }))

      it.effect("counter: call crash: the server exits with reason {boom, S}; no reply is sent. It comes back with value 0", () =>
        Effect.gen(function*() {
          yield* steps("C(counter, {add, 42})", "M = monitor(process, {counter, N})")
          yield* gives(
            ["catch C(counter, crash)", /^\{'EXIT',\{\{boom,42\},/],
            ["receive {'DOWN', M, process, {counter, N}, Why} -> Why after 2000 -> none end", "{boom,42}"],
            ["conformance:until(0, fun() -> C(counter, get) end)", "0"],
            ["conformance:raw_call(N, counter, tag, crash)", "none"],
            ["conformance:until(0, fun() -> C(counter, get) end)", "0"]
          )
        }))

      it.effect("slow: call {sleep, Ms} -> {slept, Ms} after Ms milliseconds", () =>
        gives(
          [
            "begin {T1, A1} = timer:tc(fun() -> C(slow, {sleep, 120}) end), {A1, T1 >= 120000, T1 < 400000} end",
            "{{slept,120},true,true}"
          ],
          // A caller that does not wait so long; what comes later is not for it.
          ["catch gen_server:call({slow, N}, {sleep, 200}, 50)", /timeout/],
          ["begin conformance:flush(), timer:sleep(250), receive Any -> Any after 0 -> nothing end end", "nothing"],
          ["C(slow, {sleep, 0})", "{slept,0}"]
        ))

      it.effect("spawner: call {spawn_echo} -> Pid: a new plain process", () =>
        gives(
          ["begin E = C(spawner, {spawn_echo}), {node(E) =:= N, conformance:ask(E, r, x)} end", "{true,x}"],
          ["C(spawner, {spawn_echo}) =:= E", "false"]
        ))

      it.effect("spawner: {spawn_echo, Opts}: the new process has linked itself to Pid2 before the call returns", () =>
        gives(
          [
            "begin T = conformance:trapper(), L = C(spawner, {spawn_echo, [{link, T}]}), exit(L, gone), conformance:counted(T, 1) =:= [{'EXIT', L, gone}] end",
            "true"
          ],
          [
            "begin T2 = conformance:trapper(), L2 = C(spawner, {spawn_echo, [{link, T2}]}), exit(T2, kill), conformance:until(false, fun() -> conformance:ask(L2, r, x) =:= x end) end",
            "false"
          ],
          [
            "begin L3 = C(spawner, {spawn_echo, [trap_exit]}), exit(L3, gone), conformance:ask(L3, r, still) end",
            "still"
          ],
          [
            "begin T4 = conformance:trapper(), L4 = C(spawner, {spawn_echo, [trap_exit, {link, T4}]}), exit(T4, kill), timer:sleep(50), conformance:ask(L4, r, still) end",
            "still"
          ],
          ["conformance:ask(C(spawner, {spawn_echo, []}), r, x)", "x"]
        ))

      it.effect("spawner: call {link, P} -> true, {unlink, P} -> true", () =>
        gives(
          ["C(spawner, reset)", "ok"],
          ["begin K = conformance:collector(), C(spawner, {link, K}) end", "true"],
          [
            "begin exit(K, {my, reason}), conformance:until([{'EXIT', K, {my, reason}}], fun() -> C(spawner, get_downs) end) =:= [{'EXIT', K, {my, reason}}] end",
            "true"
          ],
          ["begin K2 = conformance:collector(), C(spawner, {link, K2}), C(spawner, {unlink, K2}) end", "true"],
          ["begin exit(K2, kill), timer:sleep(50), length(C(spawner, get_downs)) end", "1"],
          // To one that is gone, and of a node that is not there.
          [
            "begin D = spawn(fun() -> ok end), timer:sleep(20), C(spawner, reset), C(spawner, {link, D}), conformance:until([{'EXIT', D, noproc}], fun() -> C(spawner, get_downs) end) =:= [{'EXIT', D, noproc}] end",
            "true"
          ],
          ["C(spawner, reset)", "ok"]
        ))

      it.effect("spawner: call {monitor, P} -> Ref with P a pid or {Name, Node}", () =>
        gives(
          ["begin K3 = conformance:collector(), R3 = C(spawner, {monitor, K3}), is_reference(R3) end", "true"],
          [
            "begin exit(K3, why), conformance:until([{'DOWN', R3, process, K3, why}], fun() -> C(spawner, get_downs) end) =:= [{'DOWN', R3, process, K3, why}] end",
            "true"
          ],
          [
            "begin C(spawner, reset), register(named, conformance:collector()), R4 = C(spawner, {monitor, {named, node()}}), exit(whereis(named), bye) end",
            "true"
          ],
          [
            "begin W4 = [{'DOWN', R4, process, {named, node()}, bye}], conformance:until(W4, fun() -> C(spawner, get_downs) end) =:= W4 end",
            "true"
          ],
          [
            "begin C(spawner, reset), R5 = C(spawner, {monitor, {nobody, node()}}), W5 = [{'DOWN', R5, process, {nobody, node()}, noproc}], conformance:until(W5, fun() -> C(spawner, get_downs) end) =:= W5 end",
            "true"
          ],
          [
            "begin C(spawner, reset), R6 = C(spawner, {monitor, {nobody, 'absent@127.0.0.1'}}), W6 = [{'DOWN', R6, process, {nobody, 'absent@127.0.0.1'}, noconnection}], conformance:until(W6, fun() -> C(spawner, get_downs) end) =:= W6 end",
            "true"
          ],
          [
            "begin C(spawner, reset), R7 = C(spawner, {monitor, {counter, N}}), catch C(counter, crash), W7 = [{'DOWN', R7, process, {counter, N}, {boom, 0}}], conformance:until(W7, fun() -> C(spawner, get_downs) end) =:= W7 end",
            "true"
          ]
        ))

      it.effect("spawner: call {demonitor, Ref} -> true (and a 'DOWN' that is already there is removed)", () =>
        gives(
          [
            "begin C(spawner, reset), K8 = conformance:collector(), R8 = C(spawner, {monitor, K8}), C(spawner, {demonitor, R8}) end",
            "true"
          ],
          ["begin exit(K8, kill), timer:sleep(50), C(spawner, get_downs) end", "[]"],
          [
            "begin K9 = conformance:collector(), R9 = C(spawner, {monitor, K9}), exit(K9, kill), conformance:until(1, fun() -> length(C(spawner, get_downs)) end) end",
            "1"
          ],
          ["begin true = C(spawner, {demonitor, R9}), C(spawner, get_downs) end", "[]"],
          ["C(spawner, {demonitor, make_ref()})", "true"]
        ))

      it.effect("spawner: call {exit, P, Reason} -> true: exit(P, Reason) in the name of the spawner", () =>
        gives(
          ["begin X = conformance:trapper(), C(spawner, {exit, X, {some, \"reason\"}}) end", "true"],
          ["conformance:counted(X, 1) =:= [{'EXIT', conformance:spawner_pid(N), {some, \"reason\"}}]", "true"],
          [
            "begin true = C(spawner, {exit, X, normal}), conformance:counted(X, 2), M9 = monitor(process, X), true = C(spawner, {exit, X, kill}), receive {'DOWN', M9, _, _, R10} -> R10 after 2000 -> none end end",
            "killed"
          ],
          // A process that does not trap exits does not mind `normal`.
          [
            "begin X2 = conformance:collector(), true = C(spawner, {exit, X2, normal}), timer:sleep(30), is_process_alive(X2) end",
            "true"
          ],
          [
            "begin X3 = C(spawner, {spawn_echo}), M3 = monitor(process, X3), true = C(spawner, {exit, X3, {shutdown, 1}}), receive {'DOWN', M3, _, _, R11} -> R11 after 2000 -> none end end",
            "{shutdown,1}"
          ]
        ))

      it.effect("spawner: call {send, P, M} -> ok", () =>
        gives([
          "begin S = conformance:collector(), ok = C(spawner, {send, S, [m]}), conformance:counted(S, 1) end",
          "[[m]]"
        ]))

      it.effect("spawner: call get_downs -> [Event] oldest first, call reset -> ok: forgets the events", () =>
        gives(
          ["C(spawner, reset)", "ok"],
          [
            "begin Ks = [conformance:collector() || _ <- lists:seq(1, 20)], [begin C(spawner, {link, K10}), exit(K10, K10), conformance:until(true, fun() -> length(C(spawner, get_downs)) >= I end) end || {K10, I} <- lists:zip(Ks, lists:seq(1, 20))], C(spawner, get_downs) =:= [{'EXIT', K12, K12} || K12 <- Ks] end",
            "true"
          ],
          ["begin ok = C(spawner, reset), C(spawner, get_downs) end", "[]"]
        ))
    })

    describe("2. Servers: driver", () => {
      it.effect("{connect, Node}: true, false; {disconnect, Node}: true, false; {ping, Node}: pong, pang", () =>
        Effect.gen(function*() {
          const { epmdPort } = yield* Pair
          yield* peer("d1@127.0.0.1", epmdPort, "t1@127.0.0.1")
          yield* gives(
            ["C(driver, {connect, 'd1@127.0.0.1'})", "true"],
            ["C(driver, {connect, 'd1@127.0.0.1'})", "true"],
            ["lists:member('d1@127.0.0.1', C(driver, {nodes, visible}))", "true"],
            ["C(driver, {disconnect, 'd1@127.0.0.1'})", "true"],
            ["C(driver, {disconnect, 'd1@127.0.0.1'})", "false"],
            ["lists:member('d1@127.0.0.1', C(driver, {nodes, connected}))", "false"],
            ["C(driver, {ping, 'd1@127.0.0.1'})", "pong"],
            ["C(driver, {ping, node()})", "pong"],
            ["C(driver, {ping, N})", "pong"],
            ["C(driver, {connect, 'absent@127.0.0.1'})", "false"],
            ["C(driver, {ping, 'absent@127.0.0.1'})", "pang"],
            ["C(driver, {ping, nonsense})", "pang"]
          )
        }))

      it.effect("{nodes, Type}: list of nodes; Type is visible, hidden or connected", () =>
        Effect.gen(function*() {
          const { epmdPort } = yield* Pair
          yield* peer("d2@127.0.0.1", epmdPort, "t1@127.0.0.1", { hidden: true })
          yield* gives(
            ["C(driver, {ping, 'd2@127.0.0.1'})", "pong"],
            ["C(driver, {nodes, hidden})", "['d2@127.0.0.1']"],
            [
              "{lists:member(node(), C(driver, {nodes, visible})), lists:member('d2@127.0.0.1', C(driver, {nodes, visible}))}",
              "{true,false}"
            ],
            ["[] =:= [node(), 'd2@127.0.0.1'] -- C(driver, {nodes, connected})", "true"]
          )
        }))

      it.effect("{send, D, M}: ok at once; a connection is set up when necessary, what is sent meanwhile is queued in order", () =>
        Effect.gen(function*() {
          const { epmdPort } = yield* Pair
          const other = yield* peer("d3@127.0.0.1", epmdPort, "t1@127.0.0.1")
          yield* other.eval("register(box, conformance:collector())")
          yield* gives(
            [
              "[C(driver, {send, {box, 'd3@127.0.0.1'}, I}) || I <- lists:seq(1, 50)] =:= lists:duplicate(50, ok)",
              "true"
            ]
          )
          assert.strictEqual(yield* other.eval("conformance:counted(whereis(box), 50) =:= lists:seq(1, 50)"), "true")
          yield* gives(
            // By pid as well, and to whom nobody can reach.
            [
              "begin Box = conformance:collector(), ok = C(driver, {send, Box, by_pid}), conformance:counted(Box, 1) end",
              "[by_pid]"
            ],
            [
              "begin {T7, ok} = timer:tc(fun() -> C(driver, {send, {box, 'absent@127.0.0.1'}, x}) end), T7 < 500000 end",
              "true"
            ],
            ["begin C(driver, {send, {echo, N}, {Box, r, x}}), conformance:counted(Box, 2) end", "[by_pid,{r,x}]"]
          )
        }))

      it.effect("{send_after, Ms, D, M}: ok at once; M is sent after Ms ms", () =>
        gives(
          [
            "begin conformance:flush(), {T8, ok} = timer:tc(fun() -> C(driver, {send_after, 150, self(), later}) end), {T8 < 100000, receive later -> early after 100 -> receive later -> right after 2000 -> none end end} end",
            "{true,right}"
          ]
        ))

      it.effect("{cast, D, R}: ok", () =>
        Effect.gen(function*() {
          yield* steps("gen_server:cast({counter, N}, reset)", "dist_server:start(theirs)")
          yield* gives(
            [
              "begin Box2 = conformance:collector(), ok = C(driver, {cast, Box2, {a, 1}}), conformance:counted(Box2, 1) end",
              "[{'$gen_cast',{a,1}}]"
            ],
            ["begin ok = C(driver, {cast, {counter, N}, {add, 4}}), C(counter, get) end", "4"],
            [
              "begin ok = C(driver, {cast, {nobody, node()}, x}), ok = C(driver, {cast, {nobody, 'absent@127.0.0.1'}, x}) end",
              "ok"
            ]
          )
        }))

      it.effect("{call, D, R, Tmo}: {ok, V}, {error, timeout}, {error, noproc}, {error, {nodedown, Node}}, or {error, Reason}", () =>
        Effect.gen(function*() {
          yield* steps("dist_server:start(theirs)", "gen_server:cast({counter, N}, reset)")
          yield* gives(
            ["C(driver, {call, {theirs, node()}, {echo, [1.0 | x]}, 2000})", "{ok,[1.0|x]}"],
            ["C(driver, {call, whereis(theirs), get, infinity})", "{ok,0}"],
            ["C(driver, {call, {theirs, node()}, {sleep, 200}, 50})", "{error,timeout}"],
            ["C(driver, {call, {nobody, node()}, x, 2000})", "{error,noproc}"],
            ["C(driver, {call, {nobody, 'absent@127.0.0.1'}, x, 2000})", "{error,{nodedown,'absent@127.0.0.1'}}"],
            ["C(driver, {call, {theirs, node()}, crash, 2000})", /^\{error,\{boom,0\}\}$/],
            // Servers of its own node.
            ["C(driver, {call, {counter, N}, {add, 3}, 2000})", "{ok,3}"],
            ["C(driver, {call, {echo, N}, {add, 3}, 2000})", "{ok,{add,3}}"],
            ["C(driver, {call, {nobody, N}, x, 2000})", "{error,noproc}"],
            ["C(driver, {call, {counter, N}, crash, 2000})", "{error,{boom,3}}"]
          )
        }))

      it.effect("Calls use the protocol of section 1 with a monitor and an alias; a reply after the time-out is dropped", () =>
        Effect.gen(function*() {
          yield* steps("dist_server:start(tardy)")
          yield* gives(
            // The first element of the message is the alias of a monitor.
            [
              "begin Me = self(), Spy = spawn(fun() -> receive {'$gen_call', {P4, Tag4}, who} -> Me ! {spied, Tag4, erlang:process_info(self(), monitored_by), P4}, P4 ! {Tag4, ok}, P4 ! {Tag4, again} end end), {ok, ok} = C(driver, {call, Spy, who, 2000}), receive {spied, [alias | A4], {monitored_by, By}, P4} -> {is_reference(A4), By =:= [P4]} after 0 -> none end end",
              "{true,true}"
            ],
            ["C(driver, {call, {tardy, node()}, {sleep, 100}, 20})", "{error,timeout}"],
            ["begin timer:sleep(150), C(driver, {call, {tardy, node()}, {sleep, 0}, 2000}) end", "{ok,{slept,0}}"],
            ["C(driver, get_events)", "[]"]
          )
        }))

      it.effect("Requests that may take long do not block the server: it answers each when it is done", () =>
        gives(
          [
            "begin R20 = [gen_server:send_request({driver, N}, {call, {slow, N}, {sleep, Ms}, 5000}) || Ms <- [400, 200, 0]], {T9, _} = timer:tc(fun() -> C(driver, {nodes, visible}) end), {T9 < 150000, [gen_server:receive_response(Q, 5000) || Q <- lists:reverse(R20)]} end",
            "{true,[{reply,{ok,{slept,0}}},{reply,{ok,{slept,200}}},{reply,{ok,{slept,400}}}]}"
          ]
        ))

      it.effect("{multi_call, Nodes, Name, R, Tmo}: {[{Node, V}], [BadNode]}", () =>
        Effect.gen(function*() {
          const { epmdPort } = yield* Pair
          const other = yield* peer("d4@127.0.0.1", epmdPort, "t1@127.0.0.1")
          yield* other.eval("dist_server:start(echo)")
          yield* gives(
            [
              "C(driver, {multi_call, ['d4@127.0.0.1', 'absent@127.0.0.1', N, node()], echo, {echo, 1}, 2000})",
              "{[{'d4@127.0.0.1',1},{'t1@127.0.0.1',{echo,1}}],['absent@127.0.0.1','e1@127.0.0.1']}"
            ],
            [
              "gen_server:multi_call([N, 'd4@127.0.0.1', 'absent@127.0.0.1'], echo, {echo, 1}, 2000)",
              "{[{'t1@127.0.0.1',{echo,1}},{'d4@127.0.0.1',1}],['absent@127.0.0.1']}"
            ],
            ["gen_server:multi_call([N], nobody, x, 2000)", "{[],['t1@127.0.0.1']}"]
          )
        }))

      it.effect("{monitor_nodes, Bool}: ok; while on, {nodeup, Node} and {nodedown, Node} for nodes of all types become events", () =>
        Effect.gen(function*() {
          const { epmdPort } = yield* Pair
          yield* gives(["begin C(driver, get_events), C(driver, {monitor_nodes, true}) end", "ok"])
          yield* Effect.scoped(Effect.gen(function*() {
            for (const hidden of [false, true]) {
              const other = yield* peer(`d5${hidden}@127.0.0.1`, epmdPort, "t1@127.0.0.1", { hidden })
              yield* other.eval("net_adm:ping(N)")
            }
          }))
          yield* gives(
            [
              "begin Seen = [E1 || _ <- lists:seq(1, 30), E1 <- begin timer:sleep(20), C(driver, get_events) end], length(Seen) end",
              "4"
            ],
            [
              "lists:sort(Seen)",
              "[{nodedown,d5false@127.0.0.1},{nodedown,d5true@127.0.0.1},{nodeup,d5false@127.0.0.1},{nodeup,d5true@127.0.0.1}]"
                .replaceAll(/d5\w+@127.0.0.1/g, "'$&'")
            ],
            ["C(driver, {monitor_nodes, false})", "ok"]
          )
          yield* Effect.scoped(Effect.gen(function*() {
            const other = yield* peer("d6@127.0.0.1", epmdPort, "t1@127.0.0.1")
            yield* other.eval("net_adm:ping(N)")
          }))
          yield* gives(["begin timer:sleep(100), C(driver, get_events) end", "[]"])
        }))
    })

    describe("3. Plain process", () => {
      it.effect("It does not trap exits unless asked to", () =>
        gives([
          "begin P1 = C(spawner, {spawn_echo}), Q1 = monitor(process, P1), exit(P1, foo), receive {'DOWN', Q1, _, _, Z1} -> Z1 after 2000 -> none end end",
          "foo"
        ]))

      it.effect("{die, Reason}: exits with Reason", () =>
        gives(
          ...[
            "normal",
            "{a, 1.0}",
            "shutdown",
            "{shutdown, \"x\"}",
            "killed",
            "kill",
            "noproc",
            "noconnection",
            "#{a => []}",
            "1.0",
            "<<\"x\">>"
          ].map((reason) =>
            [
              `(fun() -> P2 = C(spawner, {spawn_echo}), Q2 = monitor(process, P2), P2 ! {die, ${reason}}, receive {'DOWN', Q2, _, _, Z2} -> Z2 =:= ${reason} after 2000 -> none end end)()`,
              "true"
            ] as const
          )
        ))

      it.effect("anything else is ignored", () =>
        gives([
          "begin P3 = C(spawner, {spawn_echo}), [P3 ! M3x || M3x <- [die, {die}, {die, 1, 2}, {a, b, c}, \"text\", 1.0, #{}, {'$gen_call', {self(), r}, x}, {'$gen_cast', x}, {'EXIT', self(), kill}]], conformance:ask(P3, r, still) end",
          "still"
        ]))
    })

    describe("4. net_kernel, rex", () => {
      it.effect("net_kernel: call {is_auth, Node} -> yes", () => gives(["C(net_kernel, {is_auth, node()})", "yes"]))

      it.effect("rex: info {Pid, features_request}: sends {features_reply, ThisNode, [erpc]} to Pid", () =>
        gives(
          [
            "begin conformance:flush(), {rex, N} ! {self(), features_request}, receive {features_reply, N, Features} -> lists:member(erpc, Features) after 2000 -> none end end",
            "true"
          ]
        ))

      it.effect("rex: call {call, M, F, A, GroupLeader} -> V, call {block_call, M, F, A, GroupLeader} -> V", () =>
        gives(
          ...["call", "block_call"].flatMap((kind) =>
            [
              [`C(rex, {${kind}, effect_otp, add, [1, 2], group_leader()})`, "3"],
              [`C(rex, {${kind}, effect_otp, throw, [ball], group_leader()})`, "ball"],
              [`C(rex, {${kind}, effect_otp, exit, [{bye, 1}], group_leader()})`, "{badrpc,{'EXIT',{bye,1}}}"],
              [`C(rex, {${kind}, effect_otp, crash, [], group_leader()})`, /^\{badrpc,\{'EXIT',\{effect_otp_crash,\[/],
              [
                `C(rex, {${kind}, effect_otp, absent, [x], group_leader()})`,
                /^\{badrpc,\{'EXIT',\{undef,\[\{effect_otp,absent,\[x\],/
              ]
            ] as const
          ),
          ["rpc:block_call(N, effect_otp, add, [1, 2])", "3"]
        ))

      it.effect("rex: info {Pid, {call, M, F, A, user}}: the same, answered with {rex, V} to Pid", () =>
        gives(
          [
            "begin conformance:flush(), {rex, N} ! {self(), {call, effect_otp, add, [2, 2], user}}, receive {rex, V1} -> V1 after 2000 -> none end end",
            "4"
          ],
          [
            "begin {rex, N} ! {self(), {call, effect_otp, exit, [x], user}}, receive {rex, V2} -> V2 after 2000 -> none end end",
            "{badrpc,{'EXIT',x}}"
          ]
        ))

      it.effect("a name that is not registered: messages to it are dropped, a monitor on it reports noproc at once", () =>
        gives(
          ["begin {nobody, N} ! hello, gen_server:cast({nobody, N}, x), C(echo, x) end", "x"],
          [
            "begin V = monitor(process, {nobody, N}), receive {'DOWN', V, process, {nobody, N}, Z3} -> Z3 after 1000 -> none end end",
            "noproc"
          ],
          ["catch gen_server:call({nobody, N}, x)", /noproc/],
          ["global:set_lock({some, self()}, [N, node()], 0)", "true"],
          ["global:del_lock({some, self()})", "true"],
          [
            "begin {T6, _} = timer:tc(fun() -> global:trans({other, self()}, fun() -> ok end) end), T6 < 1000000 end",
            "true"
          ]
        ))
    })

    describe("5. Remote functions", () => {
      it.effect("effect_otp:add/2: sum (integers of any size, floats)", () =>
        gives(
          ["erpc:call(N, effect_otp, add, [2, 3])", "5"],
          ["erpc:call(N, effect_otp, add, [1 bsl 80, 1]) =:= (1 bsl 80) + 1", "true"],
          ["erpc:call(N, effect_otp, add, [1 bsl 80, -(1 bsl 80)])", "0"],
          ["erpc:call(N, effect_otp, add, [1.5, 1.5])", "3.0"],
          ["erpc:call(N, effect_otp, add, [1, 1.0])", "2.0"],
          ["conformance:catcher(fun() -> erpc:call(N, effect_otp, add, [a, 1]) end)", "{error,{exception,badarith}}"]
        ))

      it.effect("effect_otp:echo/1: its argument", () =>
        gives(
          ["[T || T <- conformance:terms(), erpc:call(N, effect_otp, echo, [T]) =/= T]", "[]"],
          ["erpc:call(N, effect_otp, echo, [binary:copy(<<1>>, 300000)]) =:= binary:copy(<<1>>, 300000)", "true"]
        ))

      it.effect("effect_otp:crash/0: error effect_otp_crash; throw/1, exit/1: throws / exits with the argument", () =>
        gives(
          [
            "conformance:catcher(fun() -> erpc:call(N, effect_otp, crash, []) end)",
            "{error,{exception,effect_otp_crash}}"
          ],
          ["conformance:catcher(fun() -> erpc:call(N, effect_otp, throw, [{ball, 1.0}]) end)", "{throw,{ball,1.0}}"],
          [
            "conformance:catcher(fun() -> erpc:call(N, effect_otp, exit, [{bye, \"x\"}]) end)",
            "{exit,{exception,{bye,\"x\"}}}"
          ],
          ["conformance:catcher(fun() -> erpc:call(N, effect_otp, exit, [normal]) end)", "{exit,{exception,normal}}"],
          ["rpc:call(N, effect_otp, throw, [ball])", "ball"],
          ["rpc:call(N, effect_otp, exit, [bye])", "{badrpc,{'EXIT',bye}}"],
          ["rpc:call(N, effect_otp, crash, [])", /^\{badrpc,\{'EXIT',\{effect_otp_crash,\[\{effect_otp,crash,/]
        ))

      it.effect("effect_otp:sleep/1: ok after so many milliseconds", () =>
        gives(
          [
            "begin {T10, A10} = timer:tc(fun() -> erpc:call(N, effect_otp, sleep, [100]) end), {A10, T10 >= 100000} end",
            "{ok,true}"
          ],
          ["conformance:catcher(fun() -> erpc:call(N, effect_otp, sleep, [500], 50) end)", "{error,{erpc,timeout}}"],
          ["begin timer:sleep(600), receive M10 -> M10 after 0 -> nothing end end", "nothing"]
        ))

      it.effect("effect_otp:print/1: writes the characters to its group leader by the io protocol, returns ok", () =>
        gives(
          [
            "begin G = conformance:leader(), GL = group_leader(), group_leader(G, self()), O = erpc:call(N, effect_otp, print, [[\"h\\x{e4}llo \", <<\"w\\x{f6}rld\"/utf8>>, [8364 | <<\"!\">>]]]), group_leader(GL, self()), {O, conformance:printed(G) =:= \"h\\x{e4}llo w\\x{f6}rld\\x{20ac}!\"} end",
            "{ok,true}"
          ],
          [
            "begin G2 = conformance:leader(), group_leader(G2, self()), O2 = rpc:call(N, effect_otp, print, [\"rpc\"]), group_leader(GL, self()), {O2, conformance:printed(G2)} end",
            "{ok,\"rpc\"}"
          ],
          [
            "begin G3 = conformance:leader(), {C(rex, {call, effect_otp, print, [\"rex\"], G3}), conformance:printed(G3)} end",
            "{ok,\"rex\"}"
          ]
        ))

      it.effect("effect_otp:proc/1: for spawn: sends {started, self(), Owner} to Owner, then behaves as a plain process", () =>
        gives(
          [
            "begin conformance:flush(), S1 = spawn(N, effect_otp, proc, [self()]), receive {started, S1, Owner} -> Owner =:= self() after 2000 -> none end end",
            "true"
          ],
          ["{node(S1) =:= N, conformance:ask(S1, r, x)}", "{true,x}"],
          [
            "begin Ms1 = monitor(process, S1), S1 ! {die, done}, receive {'DOWN', Ms1, process, S1, W1} -> W1 after 2000 -> none end end",
            "done"
          ]
        ))

      it.effect("lists:reverse/1: as in Erlang", () =>
        gives(
          ["erpc:call(N, lists, reverse, [[1, 2, 3]])", "[3,2,1]"],
          ["erpc:call(N, lists, reverse, [\"abc\"])", "\"cba\""],
          ["erpc:call(N, lists, reverse, [[]])", "[]"],
          ["conformance:catcher(fun() -> erpc:call(N, lists, reverse, [x]) end)", "{error,{exception,function_clause}}"]
        ))

      it.effect("as entry points of spawn, spawn_link, spawn_monitor, spawn_request from another node", () =>
        gives(
          [
            "begin {S2, Ms2} = spawn_monitor(N, effect_otp, exit, [why]), receive {'DOWN', Ms2, process, S2, W2} -> W2 after 2000 -> none end end",
            "why"
          ],
          [
            "begin {S3, Ms3} = spawn_monitor(N, effect_otp, add, [1, 2]), receive {'DOWN', Ms3, process, S3, W3} -> W3 after 2000 -> none end end",
            "normal"
          ],
          [
            "begin {S4, Ms4} = spawn_monitor(N, effect_otp, crash, []), receive {'DOWN', Ms4, process, S4, {W4c, [{M4, F4, _, _} | _]}} -> {W4c, M4, F4} after 2000 -> none end end",
            "{effect_otp_crash,effect_otp,crash}"
          ],
          [
            "begin {S5, Ms5} = spawn_monitor(N, effect_otp, throw, [ball]), receive {'DOWN', Ms5, process, S5, {W5c, St5}} when is_list(St5) -> W5c after 2000 -> none end end",
            "{nocatch,ball}"
          ],
          [
            "begin process_flag(trap_exit, true), S6 = spawn_link(N, effect_otp, proc, [self()]), receive {started, S6, _} -> ok end, S6 ! {die, linked}, receive {'EXIT', S6, W6e} -> W6e after 2000 -> none end end",
            "linked"
          ],
          [
            "begin Q7 = spawn_request(N, effect_otp, proc, [self()], [monitor, link]), receive {spawn_reply, Q7, ok, S7} -> exit(S7, both) end, {receive {'EXIT', S7, W7e} -> W7e after 2000 -> none end, receive {'DOWN', Q7, process, S7, W7d} -> W7d after 2000 -> none end} end",
            "{both,both}"
          ],
          [
            "begin Q8 = spawn_request(N, effect_otp, proc, [self()], [{reply, yes}, {reply_tag, mine}]), receive {mine, Q8, ok, S8} -> is_pid(S8) after 2000 -> none end end",
            "true"
          ],
          // The end of who asked for a link is the end of the process.
          [
            "begin B9 = conformance:collector(), B9 ! {do, self(), fun() -> spawn_link(N, effect_otp, proc, [B9]) end}, S9 = receive {B9, P9} -> P9 end, Ms9 = monitor(process, S9), exit(B9, gone), receive {'DOWN', Ms9, _, _, W9} -> W9 after 2000 -> none end end",
            "gone"
          ],
          ["begin process_flag(trap_exit, false), conformance:flush() end", "ok"]
        ))

      it.effect("erpc:execute_cast/3: erpc:cast", () =>
        gives(
          [
            "begin conformance:flush(), ok = erpc:cast(N, effect_otp, proc, [self()]), receive {started, Sc, _} -> node(Sc) =:= N after 2000 -> none end end",
            "true"
          ],
          [
            "begin true = rpc:cast(N, effect_otp, proc, [self()]), receive {started, Sd, _} -> node(Sd) =:= N after 2000 -> none end end",
            "true"
          ]
        ))

      it.effect("Everything else is undefined: a call ends with error undef and a stack whose first element is {M, F, Args, Extra}", () =>
        gives(
          ...[
            ["effect_otp", "absent", "[]"],
            ["effect_otp", "add", "[1]"],
            ["effect_otp", "toString", "[]"],
            ["toString", "call", "[]"],
            ["constructor", "constructor", "[x]"],
            ["'__proto__'", "hasOwnProperty", "[x]"],
            ["erlang", "halt", "[]"],
            ["os", "cmd", "[\"true\"]"],
            ["lists", "map", "[x, y]"],
            ["effect_otp", "constructor", "[]"]
          ].flatMap(([m, f, a]) =>
            [
              [
                `(fun() -> try erpc:call(N, ${m}, ${f}, ${a}) catch error:{exception, undef, [{M11, F11, A11, X11} | _]} -> {M11, F11, A11, is_list(X11)} =:= {${m}, ${f}, ${a}, true} end end)()`,
                "true"
              ],
              [
                `(fun() -> {P12, R12} = spawn_monitor(N, ${m}, ${f}, ${a}), receive {'DOWN', R12, _, P12, {undef, [{M12, F12, A12, _} | _]}} -> {M12, F12, A12} =:= {${m}, ${f}, ${a}} after 2000 -> none end end)()`,
                "true"
              ]
            ] as const
          ),
          // More than one stack of it is seen by rpc.
          ["rpc:call(N, effect_otp, absent, [])", /^\{badrpc,\{'EXIT',\{undef,\[\{effect_otp,absent,\[\],/]
        ))

      it.effect("driver: {erpc, Node, M, F, A, Tmo}", () =>
        gives(
          ["C(driver, {erpc, node(), erlang, '+', [1, 2], 2000})", "{ok,3}"],
          ["C(driver, {erpc, node(), erlang, throw, [x], 2000})", "{error,{throw,x}}"],
          ["C(driver, {erpc, node(), erlang, exit, [x], 2000})", "{error,{exit,{exception,x}}}"],
          ["C(driver, {erpc, node(), erlang, error, [x], 2000})", "{error,{error,{exception,x}}}"],
          [
            "C(driver, {erpc, node(), erlang, apply, [fun() -> exit(self(), kill), timer:sleep(1000) end, []], 2000})",
            "{error,{exit,{signal,killed}}}"
          ],
          ["C(driver, {erpc, node(), no, such, [], 2000})", "{error,{error,{exception,undef}}}"],
          ["C(driver, {erpc, node(), timer, sleep, [500], 50})", "{error,{error,{erpc,timeout}}}"],
          ["C(driver, {erpc, 'absent@127.0.0.1', a, b, [], 2000})", "{error,{error,{erpc,noconnection}}}"],
          ["C(driver, {erpc, N, effect_otp, add, [1, 2], 2000})", "{ok,3}"],
          ["C(driver, {erpc, N, effect_otp, exit, [x], 2000})", "{error,{exit,{exception,x}}}"],
          ["C(driver, {erpc, node(), erlang, node, [], infinity}) =:= {ok, node()}", "true"]
        ))

      it.effect("driver: {spawn, Node, M, F, A}, {spawn_monitor, Node, M, F, A}: {ok, Pid}; the 'DOWN' becomes an event", () =>
        gives(
          [
            "begin Box13 = conformance:collector(), {ok, P13} = C(driver, {spawn, node(), erlang, send, [Box13, from_there]}), {node(P13) =:= node(), conformance:counted(Box13, 1)} end",
            "{true,[from_there]}"
          ],
          ["C(driver, {spawn, 'absent@127.0.0.1', a, b, []})", "{error,noconnection}"],
          [
            "begin C(driver, get_events), {ok, P14} = C(driver, {spawn_monitor, node(), erlang, exit, [bye]}), true end",
            "true"
          ],
          [
            "begin timer:sleep(50), [{'DOWN', R14, process, P14, W14}] = C(driver, get_events), {is_reference(R14), W14} end",
            "{true,bye}"
          ],
          [
            "begin {ok, P15} = C(driver, {spawn_monitor, N, effect_otp, exit, [here]}), timer:sleep(50), [{'DOWN', _, process, P15, W15}] = C(driver, get_events), W15 end",
            "here"
          ]
        ))
    })

    describe("6. Features", () => {
      it.effect("pg: the scope pg runs, echo is a member of group effect_otp_group, the driver operations", () =>
        Effect.gen(function*() {
          yield* steps("net_adm:ping(N)", "pg:start(pg)")
          yield* gives(
            ["conformance:until(1, fun() -> length(pg:get_members(effect_otp_group)) end)", "1"],
            ["begin [E16] = pg:get_members(effect_otp_group), conformance:ask(E16, r, in_group) end", "in_group"],
            ["C(driver, {pg_members, effect_otp_group}) =:= [E16]", "true"],
            ["begin P16 = C(spawner, {spawn_echo}), C(driver, {pg_join, {a, group}, P16}) end", "ok"],
            ["conformance:until([P16], fun() -> pg:get_members({a, group}) end) =:= [P16]", "true"],
            [
              "begin L16 = conformance:collector(), ok = pg:join({a, group}, L16), W16 = lists:sort([P16, L16]), conformance:until(W16, fun() -> lists:sort(C(driver, {pg_members, {a, group}})) end) =:= W16 end",
              "true"
            ],
            ["C(driver, {pg_leave, {a, group}, P16})", "ok"],
            ["conformance:until([L16], fun() -> pg:get_members({a, group}) end) =:= [L16]", "true"],
            [
              "begin exit(L16, kill), conformance:until([], fun() -> C(driver, {pg_members, {a, group}}) end) end",
              "[]"
            ],
            // A crashed member is out, its successor is in.
            [
              "begin exit(E16, kill), conformance:until(true, fun() -> [E17] = pg:get_members(effect_otp_group), E17 =/= E16 end) end",
              "true"
            ],
            ["C(echo, again)", "again"]
          )
        }))

      it.effect("net_adm:ping/1 by rpc", () =>
        gives(
          ["rpc:call(N, net_adm, ping, [node()])", "pong"],
          ["rpc:call(N, net_adm, ping, ['absent@127.0.0.1'])", "pang"],
          ["rpc:call(N, net_adm, ping, [N])", "pong"]
        ))

      it.effect("name_me: a peer may ask for a dynamic node name", () =>
        Effect.gen(function*() {
          const { epmdPort } = yield* Pair
          yield* gives(
            [
              `begin {Port20, _, _, _} = conformance:epmd(${epmdPort}, "t1"), P20 = raw_peer:connect(Port20, <<"127.0.0.1">>, erlang:get_cookie(), raw_peer:name_me()), re:run(raw_peer:name(P20), "^[0-9A-Z]+@127.0.0.1$", [{capture, none}]) end`,
              "match"
            ],
            ["raw_peer:creation(P20) >= 4", "true"],
            // It is a node like any other, and another one has another name.
            [
              "begin S20 = raw_peer:pid(P20, 1), raw_peer:send(P20, {6, S20, '', echo}, {S20, r, hello}), {{22, _, S20}, {r, Hello}} = raw_peer:recv(P20), Hello end",
              "hello"
            ],
            ["lists:member(binary_to_atom(raw_peer:name(P20)), C(driver, {nodes, hidden}))", "true"],
            [
              `begin P21 = raw_peer:connect(Port20, <<"127.0.0.1">>, erlang:get_cookie(), raw_peer:name_me()), raw_peer:name(P21) =/= raw_peer:name(P20) end`,
              "true"
            ],
            ["begin raw_peer:close(P20), raw_peer:close(P21) end", "ok"]
          )
        }))

      it.effect("ALTACT_SIG: control message 37, OTP 28", () =>
        Effect.gen(function*() {
          const { epmdPort } = yield* Pair
          yield* steps(
            `{Port22, _, _, _} = conformance:epmd(${epmdPort}, "t1")`,
            "P22 = raw_peer:connect(Port22, <<\"raw28@127.0.0.1\">>, erlang:get_cookie(), raw_peer:altact())",
            "S22 = raw_peer:pid(P22, 1)"
          )
          yield* gives(
            ["raw_peer:flags(P22) band raw_peer:altact() =/= 0", "true"],
            // To a registered name (8), also with priority (1) and bits that nobody knows.
            [
              "begin raw_peer:send(P22, {37, 8, S22, echo}, {S22, r, one}), {{22, _, S22}, {r, One}} = raw_peer:recv(P22), One end",
              "one"
            ],
            [
              "begin raw_peer:send(P22, {37, 8 bor 1 bor (1 bsl 70), S22, echo, more}, {S22, r, two}), {{22, _, S22}, {r, Two}} = raw_peer:recv(P22), Two end",
              "two"
            ],
            // The answer to an alias comes in it (4).
            [
              "begin A22 = raw_peer:ref(P22, 7), raw_peer:send(P22, {6, S22, '', echo}, {'$gen_call', {S22, [alias | A22]}, question}), {{37, Flags22, _, A22}, {[alias | A22], Answer22}} = raw_peer:recv(P22), {Flags22, Answer22} end",
              "{4,question}"
            ],
            // An exit signal (16) to a process.
            [
              "begin E22 = C(spawner, {spawn_echo}), M22 = monitor(process, E22), C(echo, sync), raw_peer:send(P22, {37, 16, S22, E22}, {alt, exit}), receive {'DOWN', M22, _, _, W22} -> W22 after 2000 -> none end end",
              "{alt,exit}"
            ],
            // Messages to a pid.
            [
              "begin E23 = C(spawner, {spawn_echo}), raw_peer:send(P22, {37, 0, S22, E23}, {S22, r, three}), {{22, E23, S22}, {r, Three}} = raw_peer:recv(P22), Three end",
              "three"
            ],
            // To a name and an alias at once there is no way: the connection may end, the node does not.
            ["begin raw_peer:send(P22, {37, 12, S22, echo}, x), raw_peer:close(P22), C(echo, still) end", "still"]
          )
        }))

      it.effect("global: the node takes part in global", () =>
        Effect.gen(function*() {
          const { epmdPort } = yield* Pair
          const other = yield* peer("g2@127.0.0.1", epmdPort, "t1@127.0.0.1")
          yield* gives(["net_adm:ping(N)", "pong"], ["global:sync()", "ok"])
          yield* other.eval("net_adm:ping(N)")
          // Through the node under test the two know each other.
          yield* gives(
            ["conformance:until(true, fun() -> lists:member('g2@127.0.0.1', nodes()) end)", "true"],
            ["global:sync()", "ok"],
            ["begin G25 = C(spawner, {spawn_echo}), global:register_name(one_of_theirs, G25) end", "yes"]
          )
          assert.strictEqual(yield* other.eval("conformance:ask(global:whereis_name(one_of_theirs), r, x)"), "x")
          // The name is gone with its process, and the lock with its holder's node.
          yield* gives([
            "begin exit(G25, kill), conformance:until(undefined, fun() -> global:whereis_name(one_of_theirs) end) end",
            "undefined"
          ])
          assert.strictEqual(yield* other.eval("global:set_lock({res, me})"), "true")
          yield* gives(
            ["gen_server:call({global_name_server, N}, {set_lock, {res, somebody_else}})", "false"],
            ["gen_server:call({global_name_server, N}, {set_lock, {another, somebody_else}})", "true"],
            ["gen_server:call({global_name_server, N}, {del_lock, {another, somebody_else}})", "true"]
          )
          yield* other.kill
          yield* gives(["conformance:until(true, fun() -> global:set_lock({res, mine}, [N], 0) end)", "true"], [
            "global:del_lock({res, mine}, [N])",
            "true"
          ])
        }))

      it.effect("a monitor reports noproc: this includes global_name_server when the node does not take part in global", () =>
        Effect.gen(function*() {
          const { epmdPort } = yield* Pair
          yield* start("out@127.0.0.1", epmdPort, { TARGET_GLOBAL: "0" })
          yield* gives(
            [
              "begin M26 = monitor(process, {global_name_server, 'out@127.0.0.1'}), receive {'DOWN', M26, _, _, W26} -> W26 after 1000 -> none end end",
              "noproc"
            ],
            ["global:trans({trans, self()}, fun() -> done end)", "done"]
          )
        }))
    })
  })

  layer(ErlangEpmd.layer, options)("with a fresh Erlang node", (it) => {
    it.effect("does what its README says", () =>
      Effect.gen(function*() {
        const { port } = yield* ErlangEpmd
        const target = yield* start("t1@127.0.0.1", port)
        const node = yield* peer("readme@127.0.0.1", port, target.name)
        const [shell] = blocks("conformance-node", "erlang")
        for (const { input, output } of session(shell!, /^\d+> /)) {
          assert.strictEqual(yield* node.eval(input.replace(/\.$/, "")), output, input)
        }
      }))
  })

  layer(ErlangEpmd.layer, options)("over TLS", (it) => {
    it.effect(
      "TARGET_TLS: one certificate serves as server and as client certificate; peers must present one signed by the CA (in both directions)",
      () =>
        Effect.gen(function*() {
          const { port } = yield* ErlangEpmd
          const ca = yield* Certificates.authority()
          const stranger = yield* Certificates.authority("somebody else")
          const files = (issued: Effect.Success<ReturnType<typeof Certificates.good>>, trusted: string) =>
            Certificates.folder({ "node.pem": issued.cert, "node.key": Redacted.value(issued.key), "ca.pem": trusted })
          const mine = yield* files(yield* Certificates.good(ca), ca.cert)
          const target = yield* start("t1@127.0.0.1", port, {
            TARGET_TLS: "1",
            TARGET_TLS_CERT: Path.join(mine, "node.pem"),
            TARGET_TLS_KEY: Path.join(mine, "node.key"),
            TARGET_TLS_CA: Path.join(mine, "ca.pem")
          })
          const overTls = (name: string, folder: string) =>
            Effect.gen(function*() {
              const file = (name: string) => JSON.stringify(Path.join(folder, name))
              const both = `{certfile, ${file("node.pem")}}, {keyfile, ${file("node.key")}}, {cacertfile, ${
                file("ca.pem")
              }}, {verify, verify_peer}`
              const conf = yield* Certificates.folder({
                "ssl.conf": `[{server, [${both}, {fail_if_no_peer_cert, true}]}, {client, [${both}]}].\n`
              })
              return yield* peer(name, port, target.name, {
                arguments: ["-proto_dist", "inet_tls", "-ssl_dist_optfile", Path.join(conf, "ssl.conf")]
              })
            })
          const good = yield* overTls("tls1@127.0.0.1", mine)
          assert.strictEqual(yield* good.eval("net_adm:ping(N)"), "pong")
          assert.strictEqual(yield* good.eval("C(echo, {over, tls})"), "{over,tls}")
          assert.strictEqual(
            yield* good.eval("C(echo, binary:copy(<<7>>, 1000000)) =:= binary:copy(<<7>>, 1000000)"),
            "true"
          )
          const second = yield* overTls("tls2@127.0.0.1", yield* files(yield* Certificates.good(ca), ca.cert))
          assert.strictEqual(yield* good.eval("C(driver, {ping, 'tls2@127.0.0.1'})"), "pong")
          assert.strictEqual(yield* second.eval("lists:member(N, nodes())"), "true")
          // Of another authority, and without encryption.
          const bad = yield* overTls("tls3@127.0.0.1", yield* files(yield* Certificates.good(stranger), ca.cert))
          assert.strictEqual(yield* bad.eval("net_adm:ping(N)"), "pang")
          assert.strictEqual(yield* good.eval("C(driver, {ping, 'tls3@127.0.0.1'})"), "pang")
          const plain = yield* peer("tls4@127.0.0.1", port, target.name)
          assert.strictEqual(yield* plain.eval("net_adm:ping(N)"), "pang")
          assert.strictEqual(yield* good.eval("C(echo, still)"), "still")
        }),
      60_000
    )
  })
})
