/**
 * Nodes of ours in operating-system processes of their own, see `victim.ts`.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import type * as Node from "effect-otp/dist/Node"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { cookie } from "../ErlangNode.ts"

/** What a node has, after a collection of garbage. Sizes in bytes. */
export interface Stats {
  readonly heap: number
  readonly arrayBuffers: number
  readonly rss: number
  readonly sockets: number
  readonly servers: number
  readonly timers: number
  readonly fibers: number
  readonly peers: number
  readonly pending: number
  readonly attempts: number
  readonly connections: number
  readonly tables: number
  readonly links: number
  readonly watchers: number
  readonly calls: number
  readonly processes: number
  readonly names: number
  readonly aliases: number
}

/** How another node was answered meanwhile. Times in milliseconds. */
export interface Watched {
  readonly worst: number
  readonly failures: number
  readonly pings: number
}

export interface NodeProcess {
  readonly name: string
  readonly creation: number
  readonly pid: number
  readonly ask: <A>(command: string, argument?: unknown) => Effect.Effect<A>
  readonly stats: Effect.Effect<Stats>
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
}

export interface StartOptions {
  readonly epmd: number
  readonly serve?: boolean
  readonly cookie?: string
  readonly options?: Partial<Omit<Node.LayerOptions, "cookie" | "cookies" | "allow" | "discovery">>
  /** A command in front: `ip netns exec name`, say. */
  readonly command?: ReadonlyArray<string>
}

/** Starts a node that ends with the scope. */
export const startNode = (name: string, options: StartOptions): Effect.Effect<NodeProcess, never, Scope.Scope> =>
  Effect.gen(function*() {
    const [command, ...arguments_] = [
      ...options.command ?? [],
      process.execPath,
      "--expose-gc",
      "--conditions=effect-otp-source",
      "--disable-warning=ExperimentalWarning",
      fileURLToPath(new URL("victim.ts", import.meta.url)),
      JSON.stringify({
        name,
        cookie: options.cookie ?? cookie,
        epmd: options.epmd,
        serve: options.serve === true,
        options: options.options
      })
    ]
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(command!, arguments_, { stdio: ["pipe", "pipe", "inherit"] })),
      (child) =>
        Effect.callback<void>((resume) => {
          if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
          child.once("exit", () => resume(Effect.void))
          child.kill("SIGKILL")
        })
    )
    const waiting = new Map<number, (answer: { readonly value?: unknown; readonly error?: string }) => void>()
    let tellReady: ((answer: { readonly ready?: number; readonly failed?: string }) => void) | undefined
    let ended = false
    let rest = ""
    child.stdout.setEncoding("utf8")
    child.stdout.on("data", (text: string) => {
      rest += text
      for (let at = rest.indexOf("\n"); at >= 0; at = rest.indexOf("\n")) {
        const line = rest.slice(0, at)
        rest = rest.slice(at + 1)
        if (!line.startsWith("{")) {
          console.log(`[${name}] ${line}`)
          continue
        }
        const answer = JSON.parse(line)
        if ("id" in answer) {
          waiting.get(answer.id)?.(answer)
          waiting.delete(answer.id)
        } else tellReady?.(answer)
      }
    })
    child.once("exit", () => {
      ended = true
      for (const tell of waiting.values()) tell({ error: "the node has ended" })
      tellReady?.({ failed: "the node has ended" })
    })
    const ready = yield* Effect.callback<{ readonly ready?: number; readonly failed?: string }>((resume) => {
      tellReady = (answer) => resume(Effect.succeed(answer))
    })
    if (ready.ready === undefined) return yield* Effect.die(new Error(`${name} did not start: ${ready.failed}`))
    let ids = 0
    const ask = <A>(command: string, argument?: unknown): Effect.Effect<A> =>
      Effect.callback<A>((resume) => {
        if (ended) return resume(Effect.die(new Error(`${name} has ended`)))
        const id = ++ids
        waiting.set(id, ({ error, value }) =>
          resume(error === undefined ? Effect.succeed(value as A) : Effect.die(new Error(`${name}: ${error}`))))
        child.stdin.write(JSON.stringify({ id, command, argument }) + "\n")
      })
    return {
      name,
      creation: ready.ready,
      pid: child.pid!,
      ask,
      stats: ask<Stats>("stats"),
      signal: (signal) => Effect.sync(() => void child.kill(signal))
    }
  })
