/**
 * Real Erlang nodes for tests: a private EPMD on a free port, nodes that evaluate expressions, all ended with the
 * scope.
 */
import { Context, Effect, Layer, Schedule } from "effect"
import type { Scope } from "effect"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import * as Net from "node:net"
import { fileURLToPath } from "node:url"

/** The cookie of all nodes in tests. */
export const cookie = "a-cookie-for-tests-only-0123"

/** A port that is free now. */
export const freePort: Effect.Effect<number> = Effect.callback((resume) => {
  const server = Net.createServer()
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as Net.AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})

const end = (child: ChildProcess): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
    child.kill("SIGKILL")
  })

const pause = Schedule.spaced("50 millis")

const reachable = (port: number): Effect.Effect<void> =>
  Effect.callback<void, string>((resume) => {
    const socket = Net.connect(port, "127.0.0.1")
    socket.once("error", () => resume(Effect.fail("not yet")))
    socket.once("connect", () => {
      socket.destroy()
      resume(Effect.void)
    })
  }).pipe(
    Effect.retry({ times: 100, schedule: pause }),
    Effect.orDie
  )

/** A real EPMD on a port of its own. */
export class ErlangEpmd
  extends Context.Service<ErlangEpmd, { readonly port: number; readonly kill: Effect.Effect<void> }>()(
    "test/ErlangEpmd"
  )
{
  static readonly layer: Layer.Layer<ErlangEpmd> = Layer.effect(ErlangEpmd)(
    Effect.suspend(() =>
      Effect.gen(function*() {
        const port = yield* freePort
        const start = startEpmd(port)
        const child = yield* start
        return { port, kill: end(child) }
      })
    )
  )
}

/** Starts the real EPMD on a port; it ends with the scope. */
export const startEpmd = (port: number): Effect.Effect<ChildProcess, never, Scope.Scope> =>
  Effect.tap(
    Effect.acquireRelease(
      Effect.sync(() => spawn("epmd", ["-port", String(port), "-address", "127.0.0.1"], { stdio: "ignore" })),
      end
    ),
    () => reachable(port)
  )

/** Whether Elixir is installed as well. */
export const elixirAvailable: boolean = spawnSync("elixir", ["--version"]).status === 0

/** A running Erlang or Elixir node. */
export interface ErlangNode {
  readonly name: string
  /** Evaluates an expression (of Erlang: without its final dot) and gives the result as it is printed there. */
  readonly eval: (expression: string) => Effect.Effect<string>
  /** Kills the operating system's process. */
  readonly kill: Effect.Effect<void>
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
}

interface StartOptions {
  readonly epmdPort: number
  readonly cookie?: string
  readonly hidden?: boolean
  readonly arguments?: ReadonlyArray<string>
}

/** Starts a program that evaluates lines. */
const converse = (
  name: string,
  command: string,
  arguments_: ReadonlyArray<string>,
  options: StartOptions,
  end_: string
): Effect.Effect<ErlangNode, never, Scope.Scope> =>
  Effect.gen(function*() {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(command, arguments_, {
          stdio: ["pipe", "pipe", "pipe"],
          env: { ...process.env, ERL_EPMD_PORT: String(options.epmdPort) }
        })
      ),
      end
    )
    const waiting: Array<(line: string) => void> = []
    const lines: Array<string> = []
    let rest = ""
    child.stdout!.setEncoding("utf8")
    child.stdout!.on("data", (text: string) => {
      rest += text
      for (let at = rest.indexOf("\n"); at >= 0; at = rest.indexOf("\n")) {
        const line = rest.slice(0, at)
        rest = rest.slice(at + 1)
        if (!line.startsWith("=> ")) {
          if (process.env["ERLANG_NOISE"] !== undefined) console.log(`[${name}] ${line}`)
          continue
        }
        const next = waiting.shift()
        if (next === undefined) lines.push(line.slice(3))
        else next(line.slice(3))
      }
    })
    child.stderr!.on("data", (text: Buffer) => {
      if (process.env["ERLANG_NOISE"] !== undefined) console.error(`[${name}] ${text.toString()}`)
    })
    const read: Effect.Effect<string> = Effect.callback<string>((resume) => {
      const line = lines.shift()
      if (line !== undefined) return resume(Effect.succeed(line))
      waiting.push((text) => resume(Effect.succeed(text)))
    })
    const ready = yield* read
    if (ready !== "ready") return yield* Effect.die(new Error(`the node ${name} said ${ready}`))
    return {
      name,
      eval: (expression) =>
        Effect.suspend(() => {
          child.stdin!.write(`${expression.replaceAll("\n", " ")}${end_}\n`)
          return read
        }),
      kill: end(child),
      signal: (signal) => Effect.sync(() => child.kill(signal))
    }
  })

const fileOf = (name: string): string => fileURLToPath(new URL(`../erlang/${name}`, import.meta.url))

/** Starts an Erlang node that ends with the scope. */
export const startErlang = (name: string, options: StartOptions): Effect.Effect<ErlangNode, never, Scope.Scope> =>
  Effect.gen(function*() {
    const erl = yield* converse(
      name,
      "erl",
      [
        "-name",
        name,
        "-setcookie",
        options.cookie ?? cookie,
        "-noshell",
        "-kernel",
        "inet_dist_use_interface",
        "{127,0,0,1}",
        "-start_epmd",
        "false",
        ...(options.hidden === true ? ["-hidden"] : []),
        ...(options.arguments ?? []),
        "-eval",
        `file:script(${JSON.stringify(fileOf("node_loop.escript"))}, []), io:format("=> ready~n").`
      ],
      options,
      "."
    )
    const loaded = yield* erl.eval(
      `(fun() -> {ok, M, B} = compile:file(${
        JSON.stringify(fileOf("dist_server"))
      }, [binary]), code:load_binary(M, "", B) end)()`
    )
    if (!loaded.startsWith("{module,")) return yield* Effect.die(new Error(`dist_server did not load: ${loaded}`))
    return erl
  })

/** Starts an Elixir node that ends with the scope. */
export const startElixir = (name: string, options: StartOptions): Effect.Effect<ErlangNode, never, Scope.Scope> =>
  converse(
    name,
    "elixir",
    [
      "--name",
      name,
      "--cookie",
      options.cookie ?? cookie,
      "--erl",
      "-kernel inet_dist_use_interface {127,0,0,1} -start_epmd false",
      fileOf("node_loop.exs")
    ],
    options,
    ""
  )
