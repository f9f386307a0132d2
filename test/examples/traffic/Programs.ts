/**
 * The application as an operating-system process: `main.ts`, on free ports, in a folder of its own.
 */
import { Effect, FileSystem, type Scope } from "effect"
import { spawn } from "node:child_process"
import { root } from "../../project/Sources.ts"
import { freePort } from "./App.ts"

/** Settings; with `undefined`, one is left out. */
type Environment = { readonly [variable: string]: string | undefined }

/** The application while it runs. */
export interface Running {
  /** What it has printed. */
  readonly printed: string
  /** SIGKILL; waits for the end. */
  readonly kill: Effect.Effect<void>
  /** SIGTERM; waits for the end, and gives the exit code. */
  readonly stop: Effect.Effect<number | null>
}

/** How a program ended that was to start. */
export interface Refused {
  readonly code: number | null
  readonly errors: string
}

export interface Program {
  readonly folder: string
  readonly epmd: number
  readonly http: number
  readonly tcp: number
  readonly udp: number
  readonly environment: Environment
  /** Starts it and waits until it says that it runs. */
  readonly start: Effect.Effect<Running, Refused, Scope.Scope>
  /** All positions of `v0`, `v1` and so on, as keys in order. */
  readonly tracks: (vehicles: number) => Effect.Effect<ReadonlyArray<string>>
}

const run = (environment: Environment): Effect.Effect<Running, Refused, Scope.Scope> =>
  Effect.flatMap(
    Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, ["--conditions=effect-otp-source", "examples/traffic/main.ts"], {
          cwd: root,
          stdio: ["ignore", "pipe", "pipe"],
          env: { ...process.env, ...environment }
        })
      ),
      (child) => Effect.sync(() => void child.kill("SIGKILL"))
    ),
    (child) => {
      const ended = Effect.callback<number | null>((resume) => {
        const done = () => resume(Effect.succeed(child.exitCode))
        if (child.exitCode !== null || child.signalCode !== null) done()
        else child.once("close", done)
      })
      const signal = (name: NodeJS.Signals) => Effect.andThen(Effect.sync(() => child.kill(name)), ended)
      return Effect.callback<Running, Refused>((resume) => {
        let printed = ""
        let errors = ""
        child.stderr.setEncoding("utf8").on("data", (text: string) => errors += text)
        child.stdout.setEncoding("utf8").on("data", (text: string) => {
          printed += text
          if (printed.endsWith("\n\n") && printed.includes(" runs: ")) {
            resume(Effect.succeed({ printed, kill: Effect.asVoid(signal("SIGKILL")), stop: signal("SIGTERM") }))
          }
        })
        child.once("close", (code) => resume(Effect.fail({ code, errors })))
      })
    }
  )

/** A program with ports and a folder of its own; other settings come on top. */
export const prepare = (
  settings: Environment = {},
  shared?: { readonly epmd: number; readonly cookie: string },
  name = "data"
): Effect.Effect<Program, unknown, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const folder = `${yield* files.makeTempDirectoryScoped({ prefix: "traffic-" })}/${name}`
    const [http, tcp, udp] = [yield* freePort, yield* freePort, yield* freePort]
    const epmd = shared?.epmd ?? (yield* freePort)
    const environment = {
      ERL_EPMD_PORT: `${epmd}`,
      TRAFFIC_FOLDER: folder,
      TRAFFIC_HTTP_PORT: `${http}`,
      TRAFFIC_TCP_PORT: `${tcp}`,
      TRAFFIC_UDP_PORT: `${udp}`,
      TRAFFIC_REPLAY: "none",
      ...(shared === undefined ? {} : { TRAFFIC_COOKIE: shared.cookie }),
      ...settings
    }
    const track = (vehicle: string) =>
      Effect.promise(async () => {
        const response = await fetch(`http://127.0.0.1:${http}/api/vehicles/${vehicle}/track?limit=10000`)
        const positions = await response.json() as ReadonlyArray<{ readonly vehicle: string; readonly at: number }>
        return positions.map(({ at, vehicle }) => `${vehicle} ${at}`)
      })
    return {
      folder,
      epmd,
      http,
      tcp,
      udp,
      environment,
      start: run(environment),
      tracks: (vehicles) =>
        Effect.map(
          Effect.forEach(Array.from({ length: vehicles }, (_, n) => `v${n}`), track),
          (tracks) => tracks.flat().toSorted()
        )
    }
  })
