/**
 * The conformance node as an operating-system process, started as whoever checks it does, and Erlang nodes beside it.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import { cookie, type ErlangNode, startErlang } from "../dist/ErlangNode.ts"
import { root } from "../project/Sources.ts"

/** A conformance node that runs, or has ended. */
export interface Target {
  readonly name: string
  readonly child: ChildProcess
  /** What it has written. */
  readonly output: () => string
  /** Waits for its end: exit status, or the signal that killed it. */
  readonly ended: Effect.Effect<number | NodeJS.Signals | null>
}

/** Runs the start command with an environment, from another working directory. */
export const run = (
  name: string,
  epmdPort: number,
  env: { readonly [variable: string]: string } = {}
): Effect.Effect<Target, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync((): Target => {
      const child = spawn(Path.join(root, "examples/conformance-node/start"), [], {
        cwd: Os.tmpdir(),
        stdio: ["ignore", "pipe", "pipe"],
        env: {
          ...process.env,
          TARGET_NAME: name,
          TARGET_COOKIE: cookie,
          TARGET_EPMD_PORT: String(epmdPort),
          ERL_EPMD_PORT: String(epmdPort),
          ...env
        }
      })
      let output = ""
      for (const stream of [child.stdout!, child.stderr!]) {
        stream.setEncoding("utf8").on("data", (text: string) => output += text)
      }
      return {
        name,
        child,
        output: () => output,
        ended: Effect.callback((resume) => {
          const done = () => resume(Effect.succeed(child.exitCode ?? child.signalCode))
          if (child.exitCode !== null || child.signalCode !== null) done()
          else child.once("exit", done)
        })
      }
    }),
    (target) => Effect.andThen(Effect.sync(() => target.child.kill("SIGKILL")), target.ended)
  )

const registered = (name: string, epmdPort: number): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const text = Buffer.from(`z${name.slice(0, name.indexOf("@"))}`)
    const socket = Net.connect(epmdPort, "127.0.0.1", () => {
      socket.write(Buffer.concat([Buffer.from([0, text.length]), text]))
    })
    socket.once("data", (bytes) => {
      socket.destroy()
      resume(Effect.succeed(bytes[1] === 0))
    })
    socket.once("error", () => resume(Effect.succeed(false)))
  })

/** Runs the start command and waits until EPMD knows the node. */
export const start = (
  name: string,
  epmdPort: number,
  env: { readonly [variable: string]: string } = {}
): Effect.Effect<Target, never, Scope.Scope> =>
  Effect.gen(function*() {
    const target = yield* run(name, epmdPort, env)
    while (!(yield* registered(name, epmdPort))) {
      if (target.child.exitCode !== null) return yield* Effect.die(new Error(`${name} has ended: ${target.output()}`))
      yield* Effect.sleep(20)
    }
    return target
  })

/** An Erlang node that has the module `conformance` and the variable `N`, the node under test. */
export const peer = (
  name: string,
  epmdPort: number,
  target: string,
  options: { readonly hidden?: boolean; readonly arguments?: ReadonlyArray<string> } = {}
): Effect.Effect<ErlangNode, never, Scope.Scope> =>
  Effect.gen(function*() {
    const erl = yield* startErlang(name, { epmdPort, ...options })
    for (const module of ["conformance", "raw_peer"]) {
      const file = JSON.stringify(Path.join(root, "test/erlang", module))
      yield* erl.eval(
        `(fun() -> {ok, M, Code} = compile:file(${file}, [binary]), {module, M} = code:load_binary(M, "", Code) end)()`
      )
    }
    yield* erl.eval(`begin N = '${target}', C = fun(S, R) -> conformance:call(N, S, R) end, self() end`)
    return erl
  })
