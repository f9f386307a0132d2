/**
 * The commands that talk to a node and look at it, run as a user runs them, against a node of ours.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { cookie, freePort } from "../dist/ErlangNode.ts"
import { member } from "../dist/Member.ts"
import { buildFirst, run, start, temporaryFolder } from "./Built.ts"
import { shop } from "./Shop.ts"

const name = "shop@127.0.0.1"

interface Failure {
  readonly error: { readonly reason: string; readonly detail: string }
}

describe("effect-otp, with a node of ours", () => {
  buildFirst()

  it.live("ping: pong and how long it took; pang and why", () =>
    Effect.scoped(Effect.gen(function*() {
      const port = yield* freePort
      yield* shop(name, port)
      const env = { ERL_EPMD_PORT: String(port) }
      const pong = yield* run(["ping", name], { env })
      assert.strictEqual(pong.code, 0, pong.err)
      assert.match(pong.out, /^pong from shop@127\.0\.0\.1: connected in \d+\.\d ms, answered in \d+\.\d ms\n$/)
      const json = JSON.parse((yield* run(["ping", name, "--json"], { env })).out) as Record<string, unknown>
      assert.deepStrictEqual(Object.keys(json), ["node", "answer", "connectMillis", "pingMillis"])
      assert.strictEqual(json["answer"], "pong")

      const because = (args: ReadonlyArray<string>, more: { readonly [name: string]: string } = {}) =>
        Effect.map(run(["ping", ...args, "--json"], { env: { ...env, ...more } }), ({ code, err, out }) => {
          assert.deepStrictEqual([code, err], [1, ""])
          const { answer, detail, reason } = JSON.parse(out) as { answer: string; reason: string; detail: string }
          assert.strictEqual(answer, "pang")
          return [reason, detail] as const
        })
      assert.deepStrictEqual(yield* because(["other@127.0.0.1"]), [
        "NoSuchNode",
        `the EPMD at 127.0.0.1:${port} knows no node called other. Those that it knows: shop`
      ])
      const nobody = yield* freePort
      const [noEpmd, where] = yield* because([name, "--epmd-port", String(nobody)])
      assert.strictEqual(noEpmd, "NoEpmd")
      assert.include(where, `127.0.0.1:${nobody}`)
      const [wrong, whose] = yield* because([name], { EFFECT_OTP_COOKIE: "another-cookie-of-16-bytes" })
      assert.strictEqual(wrong, "Cookie")
      assert.include(whose, "EFFECT_OTP_COOKIE")
      const text = yield* run(["ping", "other@127.0.0.1"], { env })
      assert.deepStrictEqual([text.code, text.err], [1, ""])
      assert.match(text.out, /^pang: the EPMD at /)
    })), 120_000)

  it.live(
    "the cookie comes from a file that only its owner may read, or from where Erlang has it",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const port = yield* freePort
        yield* shop(name, port)
        const home = yield* temporaryFolder
        const file = Path.join(home, ".erlang.cookie")
        const env = { ERL_EPMD_PORT: String(port), EFFECT_OTP_COOKIE: undefined, HOME: home }
        const none = yield* run(["ping", name], { env })
        assert.deepStrictEqual([none.code, none.err], [1, ""])
        assert.include(none.out, "--cookie-file")
        Fs.writeFileSync(file, `${cookie}\n`, { mode: 0o644 })
        assert.include((yield* run(["ping", name], { env })).out, `chmod 400 ${file}`)
        Fs.chmodSync(file, 0o400)
        assert.strictEqual((yield* run(["ping", name], { env })).code, 0)
        const elsewhere = { ...env, HOME: "/nowhere" }
        assert.strictEqual((yield* run(["ping", name, "--cookie-file", file], { env: elsewhere })).code, 0)
        assert.include((yield* run(["ping", name, "--cookie-file", `${file}.no`], { env })).out, "is not there")
      })),
    120_000
  )

  it.live("call, cast and rpc: terms in, terms out, and why there is none", () =>
    Effect.scoped(Effect.gen(function*() {
      const port = yield* freePort
      yield* shop(name, port)
      const env = { ERL_EPMD_PORT: String(port) }
      const prints = (expected: string, ...args: ReadonlyArray<string>) =>
        Effect.map(
          run(args, { env }),
          (outcome) => assert.deepStrictEqual(outcome, { code: 0, out: expected, err: "" })
        )
      const fails = (expected: string, ...args: ReadonlyArray<string>) =>
        Effect.map(run([...args, "--json"], { env }), ({ code, err, out }) => {
          assert.deepStrictEqual([code, out], [1, ""])
          const { error } = JSON.parse(err) as Failure
          assert.strictEqual(error.reason, expected, error.detail)
          assert.include(error.detail, name)
        })
      yield* prints("42\n", "call", name, "counter", "{add, 2}")
      yield* prints("ok\n", "cast", name, "counter", "reset")
      yield* prints(
        `{"node":"${name}","process":"counter","term":"0","value":0}\n`,
        "call",
        name,
        "counter",
        "get",
        "--json"
      )
      yield* prints(
        `{"node":"${name}","process":"counter","sent":"reset"}\n`,
        "cast",
        name,
        "counter",
        "reset",
        "--json"
      )
      yield* prints("<<\"hello world\">>\n", "rpc", name, "shop", "greet", "<<\"world\">>")
      yield* prints(
        `{"node":"${name}","function":"shop:greet/1","term":"<<\\"hello you\\">>","value":"hello you"}\n`,
        "rpc",
        name,
        "shop",
        "greet",
        "<<\"you\">>",
        "--json"
      )
      // By pid as well, as `ps` shows it.
      const ps = JSON.parse((yield* run(["ps", name, "--json"], { env })).out) as {
        processes: Array<{ name: string | null; pid: string }>
      }
      const { pid } = ps.processes.find((process) => process.name === "counter")!
      yield* prints("1\n", "call", name, pid, "{add, 1}")
      yield* prints("ok\n", "cast", name, pid, "reset")
      yield* prints("0\n", "call", name, pid, "get")
      yield* fails("NoProcess", "call", name, "<0.99999.0>", "get")
      // Who asks is hidden: the node does not even see it while it answers.
      yield* prints("[]\n", "rpc", name, "erlang", "nodes")
      yield* fails("NoProcess", "call", name, "nobody", "get")
      yield* fails("CallTimeout", "call", name, "counter", "wait", "--timeout", "0.2")
      yield* fails("ProcessExit", "call", name, "counter", "stop")
      yield* fails("Undefined", "rpc", name, "os", "cmd", "\"ls\"")
      yield* fails("Raised", "rpc", name, "shop", "greet", "no_text")
    })), 120_000)

  it.live("ps, tree and top: its processes, its supervisors, its load", () =>
    Effect.scoped(Effect.gen(function*() {
      const port = yield* freePort
      yield* shop(name, port)
      const env = { ERL_EPMD_PORT: String(port) }
      yield* run(["call", name, "counter", "get"], { env })

      const ps = yield* run(["ps", name], { env })
      assert.strictEqual(ps.code, 0, ps.err)
      assert.match(ps.out, /^PID +NAME +REDUCTIONS +MEMORY +MESSAGES +CURRENT\n/)
      assert.match(ps.out, /\n<0\.\d+\.0> +counter +1 +- +0 +receive\n/)
      assert.match(ps.out, /\n<0\.\d+\.0> +Supervisor +/)
      const byWork = yield* run(["ps", name, "--sort", "name", "--limit", "2", "--json"], { env })
      const { count, processes } = JSON.parse(byWork.out) as {
        count: number
        processes: Array<{ name: string | null; initialCall: string | null }>
      }
      assert.isAbove(count, 8)
      assert.deepStrictEqual(processes.map(({ initialCall, name }) => name ?? initialCall), ["Application", "Layer"])

      const tree = yield* run(["tree", name], { env })
      assert.strictEqual(
        tree.out.replaceAll(/<0\.\d+\.0>/g, "<>"),
        [
          name,
          "├─ application shop <>",
          "│  └─ supervisor <>",
          "│     ├─ counter <> Counter",
          "│     ├─ stock <> Supervisor",
          "│     │  └─ poller <>",
          "│     └─ web <> Layer",
          "│        └─ supervisor <>",
          "│           └─ pages <>",
          "├─ supervisor <>",
          "│  ├─ net_kernel <> NetKernel",
          "│  ├─ rex <> Rex",
          "│  └─ user <> User",
          "└─ alone <>",
          ""
        ].join("\n")
      )
      const json = JSON.parse((yield* run(["tree", name, "--application", "shop", "--json"], { env })).out) as {
        trees: Array<{ type: string; id: string; children: Array<{ children: Array<{ id: string; status: string }> }> }>
      }
      assert.deepStrictEqual(json.trees.map(({ id, type }) => [type, id]), [["application", "shop"]])
      assert.deepStrictEqual(json.trees[0]!.children[0]!.children.map(({ id, status }) => [id, status]), [
        ["counter", "running"],
        ["stock", "running"],
        ["web", "running"]
      ])
      const none = yield* run(["tree", name, "--application", "bank"], { env })
      assert.strictEqual(none.code, 1)
      assert.include(none.err, "runs no application bank")

      const top = yield* run(["top", name, "--limit", "1"], { env })
      assert.strictEqual(top.code, 0, top.err)
      assert.match(
        top.out,
        /^shop@127\.0\.0\.1 {2}effect-otp {2}up 00:00:\d\d {2}\d+ processes {2}memory .*\n\nPID .*\n.*\n$/
      )
      const lines = yield* start(["top", name, "--json", "--every", "0.1", "--limit", "0"], { env })
      for (let i = 0; i < 2; i++) {
        const line = JSON.parse(yield* lines.line) as Record<string, unknown>
        assert.strictEqual(line["release"], "effect-otp")
        assert.isAbove(Number(line["memory"]), 0)
        assert.deepStrictEqual(line["processes"], [])
      }
      assert.strictEqual(yield* lines.stop("SIGINT"), 0)
    })), 120_000)

  it.live("a node that tells nothing of itself is no mystery", () =>
    Effect.scoped(Effect.gen(function*() {
      const port = yield* freePort
      yield* member("mute@127.0.0.1", port)
      const env = { ERL_EPMD_PORT: String(port) }
      for (const command of ["ps", "tree", "top"]) {
        const { code, err, out } = yield* run([command, "mute@127.0.0.1"], { env })
        assert.deepStrictEqual([code, out], [1, ""], command)
        assert.include(err, "NodeRuntimeTools.layer()")
      }
    })), 120_000)
})
