/**
 * The commands that talk to a node and look at it, run as a user runs them, against a node of Erlang.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { freePort, startEpmd, startErlang } from "../dist/ErlangNode.ts"
import { erlangAvailable } from "../erlang/escript.ts"
import { buildFirst, run, start } from "./Built.ts"

const name = "calc@127.0.0.1"

const erlang = (args: ReadonlyArray<string> = []) =>
  Effect.gen(function*() {
    const epmdPort = yield* freePort
    yield* startEpmd(epmdPort)
    const erl = yield* startErlang(name, { epmdPort, arguments: args })
    return { erl, env: { ERL_EPMD_PORT: String(epmdPort) } }
  })

describe.skipIf(!erlangAvailable)("effect-otp, with a node of Erlang", () => {
  buildFirst()

  it.live("ping, call, cast and rpc, as a hidden node", () =>
    Effect.scoped(Effect.gen(function*() {
      const { env, erl } = yield* erlang()
      const prints = (expected: string, ...args: ReadonlyArray<string>) =>
        Effect.map(
          run(args, { env }),
          (outcome) => assert.deepStrictEqual(outcome, { code: 0, out: expected, err: "" })
        )
      assert.match((yield* run(["ping", name], { env })).out, /^pong from calc@127\.0\.0\.1/)
      yield* prints("[1,2,3]\n", "rpc", name, "lists", "seq", "1", "3")
      // What looks like a flag is an argument when it is a number.
      yield* prints("1\n", "rpc", name, "erlang", "abs", "-1")
      yield* prints("\"abc\"\n", "rpc", name, "string", "lowercase", "\"ABC\"")
      yield* prints("[]\n", "rpc", name, "erlang", "nodes")
      // It is seen by who looks for it only.
      const hidden = yield* run(["rpc", name, "erlang", "nodes", "hidden", "--json"], { env })
      assert.match((JSON.parse(hidden.out) as { value: Array<string> }).value.join(), /^effect-otp-\w+@127\.0\.0\.1$/)

      yield* erl.eval(
        "register(echo, spawn(fun F() -> receive {'$gen_call', {P, T}, M} -> P ! {T, {self(), M}}; M -> put(last, M) end, F() end))"
      )
      const reply = yield* run(["call", name, "echo", "#{a => [1.5, x]}"], { env })
      assert.match(reply.out, /^\{<0\.\d+\.0>,#\{a => \[1\.5,x\]\}\}\n$/)
      yield* prints("ok\n", "cast", name, "echo", "{hello, \"you\"}")
      assert.strictEqual(
        yield* erl.eval("process_info(whereis(echo), dictionary)"),
        `{dictionary,[{last,{'$gen_cast',{hello,"you"}}}]}`
      )
      const raised = yield* run(["rpc", name, "erlang", "error", "{oops, 1}"], { env })
      assert.strictEqual(raised.code, 1)
      assert.include(raised.err, "raised {oops,1}")
      const undefined_ = yield* run(["rpc", name, "nothing", "here"], { env })
      assert.include(undefined_.err, "has no function nothing:here/0")
    })), 120_000)

  it.live("ps, tree and top", () =>
    Effect.scoped(Effect.gen(function*() {
      const { env, erl } = yield* erlang()
      const ps = yield* run(["ps", name], { env })
      assert.strictEqual(ps.code, 0, ps.err)
      assert.match(ps.out, /\n<0\.\d+\.0> +kernel_sup +\d+ +\d+\.\d KiB +0 +gen_server:loop\/7\n/)
      const count = Number(yield* erl.eval("length(processes())"))
      assert.approximately(ps.out.split("\n").length - 2, count, 5)

      // One that is no supervisor, though its own says so, is not asked: it would never answer.
      yield* erl.eval(
        "supervisor:start_child(kernel_safe_sup, #{id => odd, type => supervisor, start => {erlang, apply, [fun() -> {ok, spawn_link(fun() -> receive stop -> ok end end)} end, []]}})"
      )
      const tree = yield* run(["tree", name], { env })
      assert.strictEqual(tree.code, 0, tree.err)
      assert.match(
        tree.out,
        /^calc@127\.0\.0\.1\n└─ application kernel <0\.\d+\.0>\n {3}└─ kernel_sup <0\.\d+\.0>\n {6}├─ code_server <0\.\d+\.0> code\n/
      )
      assert.match(tree.out, /\n {6}├─ net_sup <[^>]+> erl_distribution\n {6}│ {2}├─ erl_epmd </)
      assert.match(tree.out, /├─ kernel_safe_sup <[^>]+> kernel\n.* {2}└─ odd <0\.\d+\.0> erlang\n/)

      const top = yield* run(["top", name, "--once", "--sort", "memory"], { env })
      assert.match(
        top.out,
        /^calc@127\.0\.0\.1 {2}Erlang\/OTP \d+ {2}up 00:00:\d\d {2}\d+ processes {2}memory \d+\.\d MiB\n\nPID /
      )
      const lines = yield* start(["top", name, "--json", "--every", "0.1"], { env })
      assert.strictEqual((JSON.parse(yield* lines.line) as { processes: Array<unknown> }).processes.length, 20)
      // It ends when the node does, and says so.
      yield* erl.kill
      while (lines.child.exitCode === null) yield* Effect.sleep(20)
      assert.strictEqual(lines.child.exitCode, 1)
      assert.strictEqual((JSON.parse(lines.errors()) as { error: { reason: string } }).error.reason, "NoConnection")
    })), 120_000)

  it.live(
    "ps asks for one process after the other where runtime_tools is not installed",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const { env, erl } = yield* erlang()
        yield* erl.eval("code:del_path(runtime_tools)")
        yield* erl.eval("code:purge(observer_backend), code:delete(observer_backend)")
        assert.strictEqual(yield* erl.eval("code:which(observer_backend)"), "non_existing")
        const { code, err, out } = yield* run(["ps", name, "--json"], { env })
        assert.strictEqual(code, 0, err)
        const { processes } = JSON.parse(out) as {
          processes: Array<{ name: string | null; memory: number; pid: string }>
        }
        const kernel = processes.find(({ name }) => name === "kernel_sup")!
        assert.match(kernel.pid, /^<0\.\d+\.0>$/)
        assert.isAbove(kernel.memory, 0)
      })),
    120_000
  )
})
