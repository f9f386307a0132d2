/**
 * What the network benchmarks share: an EPMD of their own, one node of ours in this process and one in another, both
 * through the public API, and what Erlang needs to do the same.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import * as EpmdServer from "../../src/dist/EpmdServer.ts"
import * as Node from "../../src/dist/Node.ts"
import * as NodeNetwork from "../../src/dist/NodeNetwork.ts"
import * as Certificates from "./Certificates.ts"

/** The cookie of all nodes. It guards nothing: they listen on 127.0.0.1, for the length of a run. */
export const cookie = "a-cookie-for-benchmarks-0123"

export const driverName = "bench_ours@127.0.0.1"
export const peerName = "bench_ours_peer@127.0.0.1"
export const tlsDriverName = "bench_ours_tls@127.0.0.1"
export const tlsPeerName = "bench_ours_tls_peer@127.0.0.1"
export const erlangDriverName = "bench_erl@127.0.0.1"
/** Started by the Erlang side, see `bench_net.erl`. */
export const erlangPeerName = "bench_erl_peer@127.0.0.1"

const silence = Layer.succeed(References.MinimumLogLevel, "None")

/** A node of the benchmarks; with a folder of certificates, over TLS. */
export const nodeLayer = (name: string, epmdPort: number, tls?: Awaited<ReturnType<typeof Certificates.read>>) =>
  Node.layer({
    name,
    cookie: Redacted.make(cookie),
    discovery: { port: epmdPort },
    tls: tls === undefined ? undefined : { ...tls, key: Redacted.make(tls.key) }
  }).pipe(
    Layer.provide(NodeNetwork.layer),
    Layer.provideMerge(silence)
  )

/** A second process, ready to be talked to. */
export interface Peer {
  readonly stop: () => Promise<void>
}

/** Starts a script of ours as a process that says `@ready` and ends with its input. */
export const startProcess = (script: URL, args: ReadonlyArray<string>): Promise<Peer> =>
  new Promise((resolve, reject) => {
    const child: ChildProcess = spawn(process.execPath, [...process.execArgv, fileURLToPath(script), ...args], {
      stdio: ["pipe", "pipe", "inherit"]
    })
    child.once("error", reject)
    child.once("exit", (code) => reject(new Error(`${script} ended with code ${code}`)))
    const stop = (): Promise<void> =>
      new Promise((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null) return resolve()
        child.once("exit", () => resolve())
        child.stdin!.end()
      })
    createInterface({ input: child.stdout! }).on("line", (line) => {
      if (line === "@ready") resolve({ stop })
      else process.stderr.write(`peer: ${line}\n`)
    })
  })

/** The world of one run. */
export interface World {
  readonly epmdPort: number
  readonly runtime: ManagedRuntime.ManagedRuntime<Node.Node, unknown>
  /** The same over TLS, once it is asked for; undefined where there is no `openssl`. */
  readonly tls: {
    readonly folder: string
    readonly runtime: () => Promise<ManagedRuntime.ManagedRuntime<Node.Node, unknown>>
  } | undefined
  readonly close: () => Promise<void>
}

/** An EPMD on a free port, a node here and one in another process. */
export const start = async (): Promise<World> => {
  const scope = Scope.makeUnsafe()
  const { port: epmdPort } = await Effect.runPromise(
    EpmdServer.make({ port: 0 }).pipe(Scope.provide(scope), Effect.provide([NodeNetwork.layer, silence]))
  )
  const peer = await startProcess(new URL("./peer.ts", import.meta.url), [peerName, String(epmdPort)])
  const runtime = ManagedRuntime.make(nodeLayer(driverName, epmdPort))
  const certificates = await Certificates.make()
  const stops = [() => runtime.dispose(), peer.stop]
  const startTls = async (folder: string) => {
    const peer = await startProcess(new URL("./peer.ts", import.meta.url), [tlsPeerName, String(epmdPort), folder])
    const runtime = ManagedRuntime.make(nodeLayer(tlsDriverName, epmdPort, await Certificates.read(folder)))
    stops.push(() => runtime.dispose(), peer.stop)
    return runtime
  }
  let overTls: ReturnType<typeof startTls> | undefined
  return {
    epmdPort,
    runtime,
    tls: certificates === undefined
      ? undefined
      : { folder: certificates.folder, runtime: () => overTls ??= startTls(certificates.folder) },
    close: async () => {
      for (const stop of stops) await stop()
      await certificates?.remove()
      await Effect.runPromise(Scope.close(scope, Exit.void))
    }
  }
}
