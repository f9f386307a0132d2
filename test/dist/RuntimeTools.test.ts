/**
 * What `observer` and `etop` call on a node, called by a real Erlang node.
 */
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer, Redacted, References, Schema } from "effect"
import { Application, GenServer, Message, Protocol, Supervisor } from "effect-otp"
import * as Node from "effect-otp/dist/Node"
import * as NodeNetwork from "effect-otp/dist/NodeNetwork"
import * as NodeRuntimeTools from "effect-otp/dist/NodeRuntimeTools"
import { erlangAvailable } from "../erlang/escript.ts"
import { cookie, ErlangEpmd, startErlang } from "./ErlangNode.ts"

const ours = "tools@127.0.0.1"

const nodeLayer = NodeRuntimeTools.layer().pipe(
  Layer.provideMerge(Layer.unwrap(
    Effect.map(ErlangEpmd, ({ port }) => Node.layer({ name: ours, cookie: Redacted.make(cookie), discovery: { port } }))
  )),
  Layer.provide(NodeNetwork.layer),
  Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "None"))
)

class Counter extends Protocol.make("Counter", Message.Call("Get", { success: Schema.Int })) {}

const CounterServer = GenServer.make(Counter, {
  init: () => Effect.succeed({ count: 7 }),
  handlers: { Get: (_, state) => GenServer.reply(state.count, state) },
  format: ({ count }) => ({ shown: count })
})

describe.skipIf(!erlangAvailable)("the tools of Erlang", () => {
  layer(Layer.provideMerge(nodeLayer, ErlangEpmd.layer), { timeout: "30 seconds", excludeTestServices: true })((it) => {
    it.effect("observer: what it asks when it connects, and its tabs", () =>
      Effect.gen(function*() {
        const { port } = yield* ErlangEpmd
        const erl = yield* startErlang("observer@127.0.0.1", { epmdPort: port })
        yield* GenServer.start(CounterServer, undefined, { name: "counter" })
        yield* erl.eval("application:load(runtime_tools)")
        const rpc = (module: string, name: string, args = "[]") =>
          erl.eval(`rpc:call('${ours}', ${module}, ${name}, ${args})`)
        assert.strictEqual(yield* erl.eval(`net_adm:ping('${ours}')`), "pong")
        // The same keys, in the same order, as a node of Erlang gives; integers where it has integers.
        assert.strictEqual(
          yield* erl.eval(
            `(fun() -> O = rpc:call('${ours}', observer_backend, sys_info, []), E = observer_backend:sys_info(), Kind = fun({K, V}) -> {K, is_integer(V), is_list(V), is_atom(V)} end, Mine = [Kind(X) || X <- lists:usort(O)], Its = [Kind(X) || X <- lists:usort(E)], {length(Mine -- Its), [K || {K, _, _, _} <- Its -- Mine]} end)()`
          ),
          "{0,[]}"
        )
        assert.strictEqual(
          yield* erl.eval(
            `(fun() -> [T] = [V || {total, V} <- rpc:call('${ours}', observer_backend, sys_info, [])], T > 1000000 end)()`
          ),
          "true"
        )
        // Load charts.
        assert.match(
          yield* erl.eval(
            `(fun() -> P = spawn_link('${ours}', observer_backend, fetch_stats, [self(), 50]), R = receive {stats, 1, [{1, A, T}], {{input, I}, {output, O}}, M} when A =< T, I > 0, O > 0 -> length(M); X -> X after 3000 -> none end, monitor(process, P), P ! stop, receive {'DOWN', _, _, P, Why} -> {R, Why} after 3000 -> hangs end end)()`
          ),
          /^\{9,normal\}$/
        )
        // Processes.
        assert.strictEqual(yield* rpc("code", "ensure_loaded", "[observer_backend]"), "{module,observer_backend}")
        assert.strictEqual(yield* rpc("erlang", "function_exported", "[observer_backend, procs_info, 1]"), "true")
        assert.strictEqual(yield* rpc("erlang", "function_exported", "[os, cmd, 1]"), "false")
        assert.strictEqual(
          yield* erl.eval(
            `(fun() -> P = spawn_link('${ours}', observer_backend, procs_info, [self()]), receive {procs_info, P, L} -> [N || {etop_proc_info, Q, 0, R, N, 0, {effect_otp, _, 0}, 0} <- L, is_pid(Q), is_integer(R), is_atom(N)] after 3000 -> none end end)()`
          ),
          "[net_kernel,rex,user,counter]"
        )
        // The window of a process: every item that observer_procinfo asks for.
        assert.strictEqual(
          yield* erl.eval(
            `(fun() -> P = rpc:call('${ours}', erlang, whereis, [counter]), Is = [binary,catchlevel,current_function,error_handler,garbage_collection,group_leader,heap_size,initial_call,last_calls,links,memory,message_queue_len,monitored_by,monitors,priority,reductions,registered_name,sequential_trace_token,stack_size,status,suspending,total_heap_size,trace,trap_exit], L = rpc:call('${ours}', erlang, process_info, [P, Is]), {Is =:= [K || {K, _} <- L], proplists:get_value(registered_name, L), proplists:get_value(initial_call, L), [rpc:call('${ours}', erlang, process_info, [P, I]) || I <- [messages, dictionary, registered_name]]} end)()`
          ),
          "{true,counter,{effect_otp,'Counter',0},[{messages,[]},{dictionary,[]},{registered_name,counter}]}"
        )
        assert.strictEqual(
          yield* rpc("proc_lib", "translate_initial_call", `[rpc:call('${ours}', erlang, whereis, [counter])]`),
          "{effect_otp,'Counter',0}"
        )
        assert.strictEqual(yield* rpc("effect_otp", "module_info", "[attributes]"), "[{behaviour,[gen_server]}]")
        assert.match(
          yield* rpc("sys", "get_status", `[rpc:call('${ours}', erlang, whereis, [counter]), 200]`),
          /^\{status,<.*>,\{module,gen_server\},\[\[\],running,undefined,\[\],\[\{"header","Status for Counter counter"\},\{data,\[.*\]\},\{data,\[\{"State",".*shown.*7.*"\}\]\}\]\]\}$/
        )
        assert.strictEqual(
          yield* rpc("erlang", "process_info", "[self(), links]"),
          "{badrpc,{'EXIT',{badarg,[{erlang,process_info,2,[]}]}}}"
        )
        // Ports, sockets, tables: there are none.
        assert.strictEqual(yield* rpc("observer_backend", "get_port_list"), "[]")
        assert.strictEqual(yield* rpc("observer_backend", "get_socket_list"), "[]")
        assert.strictEqual(yield* rpc("observer_backend", "get_table_list", "[ets, [{sys_hidden, true}]]"), "[]")
        // Applications: an empty list, until whoever asked is gone.
        assert.strictEqual(
          yield* erl.eval(
            `(fun() -> S = self(), C = spawn(fun() -> {ok, P} = rpc:call('${ours}', appmon_info, start_link2, [node(), self(), []]), gen_server:cast(P, {self(), app_ctrl, node(), true, []}), receive {delivery, P, app_ctrl, _, L} -> S ! {L, P} after 3000 -> S ! none end, receive stop -> ok end end), receive {L, P} -> ok end, monitor(process, P), C ! stop, receive {'DOWN', _, _, P, W} -> {L, W} after 3000 -> lives end end)()`
          ),
          "{[],normal}"
        )
        // What would steer the node is not there.
        for (
          const [module, name, args] of [
            ["dbg", "tracer", "[]"],
            ["erlang", "halt", "[]"],
            ["erlang", "exit", "[a, b]"],
            ["os", "cmd", "[\"id\"]"]
          ]
        ) {
          assert.match(yield* rpc(module!, name!, args), /^\{badrpc,\{'EXIT',\{undef,/)
        }
      }))

    it.effect("trees: the applications and supervisors, as Erlang's own answer about theirs", () =>
      Effect.gen(function*() {
        const { port } = yield* ErlangEpmd
        const erl = yield* startErlang("trees@127.0.0.1", { epmdPort: port })
        const rpc = (module: string, name: string, args = "[]") =>
          erl.eval(`rpc:call('${ours}', ${module}, ${name}, ${args})`)
        assert.strictEqual(yield* rpc("application", "which_applications"), "[]")
        assert.strictEqual(yield* rpc("application_controller", "get_master", "[shop]"), "undefined")
        yield* Application.start(Application.make("shop", {
          description: "sells things",
          version: "1.2.0",
          supervisor: Supervisor.make({
            children: [
              Supervisor.child("counter", CounterServer, undefined),
              Supervisor.nested("stock", Supervisor.make({ children: [Supervisor.worker("poller", Effect.never)] }))
            ]
          })
        }))
        assert.strictEqual(yield* rpc("application", "which_applications"), `[{shop,"sells things","1.2.0"}]`)
        // The way of observer: the master, the top of its tree, its children, newest first.
        const down = `rpc:call('${ours}', application_controller, get_master, [shop])`
        const top =
          `(fun() -> M = ${down}, {T, shop} = rpc:call('${ours}', application_master, get_child, [M]), T end)()`
        const children = (pid: string) =>
          erl.eval(
            `[{I, is_pid(C), T, M} || {I, C, T, M} <- rpc:call('${ours}', supervisor, which_children, [${pid}])]`
          )
        assert.strictEqual(
          yield* children(top),
          "[{stock,true,supervisor,['Supervisor']},{counter,true,worker,['Counter']}]"
        )
        assert.strictEqual(
          yield* erl.eval(`rpc:call('${ours}', supervisor, count_children, [${top}])`),
          "[{specs,2},{active,2},{supervisors,1},{workers,1}]"
        )
        // One that ended and is not started again, one under a name, and processes that are no supervisors.
        yield* Supervisor.start(
          Supervisor.make({ children: [Supervisor.worker("once", Effect.void, { restart: "transient" })] }),
          { name: "alone" }
        )
        assert.match(
          yield* erl.eval(
            `(fun F(0) -> pending; F(N) -> case rpc:call('${ours}', supervisor, which_children, [alone]) of [{once, undefined, worker, []}] = L -> L; _ -> timer:sleep(10), F(N - 1) end end)(200)`
          ),
          /^\[\{once,undefined,worker,\[\]\}\]$/
        )
        for (const target of ["nobody", `rpc:call('${ours}', erlang, whereis, [rex])`, "self()"]) {
          assert.match(yield* rpc("supervisor", "which_children", `[${target}]`), /^\{badrpc,\{'EXIT',\{badarg,/)
        }
        assert.match(yield* rpc("application_master", "get_child", "[self()]"), /^\{badrpc,\{'EXIT',\{badarg,/)
        // Those that no application leads to: the node's own, and the one that this test has started.
        assert.strictEqual(
          yield* erl.eval(
            `(fun() -> L = rpc:call('${ours}', effect_otp, supervisors, []), A = rpc:call('${ours}', erlang, whereis, [alone]), {length(L), lists:keymember(A, 1, L), lists:keymember(${top}, 1, L)} end)()`
          ),
          "{2,true,false}"
        )
        yield* Application.stop("shop")
      }))

    it.effect("etop: version and collected processes", () =>
      Effect.gen(function*() {
        const { port } = yield* ErlangEpmd
        const erl = yield* startErlang("etop@127.0.0.1", { epmdPort: port })
        assert.match(yield* erl.eval(`rpc:call('${ours}', observer_backend, vsn, [])`), /^\{ok,"[0-9.]+"\}$/)
        assert.strictEqual(
          yield* erl.eval(
            `(fun() -> P = spawn_link('${ours}', observer_backend, etop_collect, [self()]), receive {P, {etop_info, {Me, S, Mi}, N, _, [{1, A, T}], 0, _, M, L}} when length(L) =:= N, A =< T -> {is_integer(Me + S + Mi), proplists:get_value(total, M) > 0, abs(Me * 1000000 + S - erlang:system_time(second)) < 5} after 3000 -> none end end)()`
          ),
          "{true,true,true}"
        )
        assert.strictEqual(yield* erl.eval(`rpc:call('${ours}', net_adm, localhost, [])`), "\"127.0.0.1\"")
        assert.strictEqual(yield* erl.eval(`rpc:call('${ours}', erlang, whereis, [dbg])`), "undefined")
      }))

    it.effect("a shell that looks around", () =>
      Effect.gen(function*() {
        const { port } = yield* ErlangEpmd
        const erl = yield* startErlang("shell@127.0.0.1", { epmdPort: port })
        const rpc = (module: string, name: string, args = "[]") =>
          erl.eval(`rpc:call('${ours}', ${module}, ${name}, ${args})`)
        assert.strictEqual(yield* rpc("net_adm", "ping", "[node()]"), "pong")
        assert.strictEqual(yield* rpc("net_adm", "ping", "['nobody@127.0.0.1']"), "pang")
        assert.strictEqual(yield* rpc("erlang", "node"), `'${ours}'`)
        assert.strictEqual(yield* rpc("erlang", "nodes"), `['${erl.name}']`)
        assert.match(yield* rpc("erlang", "registered"), /^\[net_kernel,rex,user/)
        assert.strictEqual(
          yield* erl.eval(
            `(fun() -> [P | _] = rpc:call('${ours}', erlang, processes, []), rpc:call('${ours}', erlang, is_process_alive, [P]) end)()`
          ),
          "true"
        )
        assert.match(yield* rpc("erlang", "memory", "[total]"), /^[0-9]{7,}$/)
        assert.match(yield* rpc("erlang", "memory", "[[total, ets]]"), /^\[\{total,[0-9]+\},\{ets,0\}\]$/)
        assert.strictEqual(yield* rpc("erlang", "system_info", "[wordsize]"), "8")
        assert.match(yield* rpc("erlang", "system_info", "[nothing]"), /badarg/)
        assert.match(yield* rpc("erlang", "statistics", "[wall_clock]"), /^\{[0-9]+,0\}$/)
      }))
  })
})
