/**
 * What the benchmarks of the traffic application share: the application, and the vehicles that feed it, each a process of
 * its own. The database is a file on the disk under the repository.
 *
 * @since 0.1.0
 */
import { type ChildProcess, spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import type * as FlatHeap from "../soak/FlatHeap.ts"
import type { Ports, Question, State } from "./application.ts"
import type { Order, Sent } from "./feeder.ts"

const cache = fileURLToPath(new URL("../../.cache/", import.meta.url))

/**
 * Lets time pass.
 *
 * @category timing
 * @since 0.1.0
 */
export const wait = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis))

/** A process that answers in the order in which it is asked. */
class Answering {
  private readonly child: ChildProcess
  private readonly waiting: Array<{ readonly resolve: (answer: never) => void; readonly reject: (e: Error) => void }> =
    []

  constructor(script: string, args: ReadonlyArray<string>) {
    const path = fileURLToPath(new URL(script, import.meta.url))
    const flags = [...process.execArgv, "--disable-warning=ExperimentalWarning"]
    this.child = spawn(process.execPath, [...flags, path, ...args], { stdio: ["ignore", "inherit", "inherit", "ipc"] })
    this.child.on("message", (answer) => this.waiting.shift()?.resolve(answer as never))
    this.child.once("exit", (code) => {
      for (const { reject } of this.waiting.splice(0)) reject(new Error(`${script} ended with code ${code}`))
    })
  }

  /** The next answer. */
  answer<A>(): Promise<A> {
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }))
  }

  tell(message: Order | Question): void {
    this.child.send(message)
  }

  stop(): Promise<void> {
    return new Promise((resolve) => {
      if (this.child.exitCode !== null || this.child.signalCode !== null) return resolve()
      this.child.once("exit", () => resolve())
      this.child.disconnect()
    })
  }
}

/**
 * The application and its vehicles.
 *
 * @category models
 * @since 0.1.0
 */
export interface World {
  readonly ports: Ports
  readonly state: () => Promise<State>
  /** The state when nothing waits any more. */
  readonly settled: () => Promise<State>
  /**
   * The state when so many positions are stored, of all that were ever sent; or after a while without news, since datagrams may
   * also be lost.
   */
  readonly stored: (positions: number) => Promise<State>
  readonly memory: (minute: number) => Promise<FlatHeap.Sample>
  /** Sends so many positions as fast as they are acknowledged. */
  readonly flood: (positions: number) => Promise<Sent>
  /** Sends at a rate while something is done. */
  readonly paced: <A>(perSecond: number, work: () => Promise<A>) => Promise<{ readonly value: A; readonly sent: Sent }>
  readonly close: () => Promise<void>
}

/**
 * Starts both.
 *
 * @category constructors
 * @since 0.1.0
 */
export const start = async (): Promise<World> => {
  mkdirSync(cache, { recursive: true })
  const folder = mkdtempSync(join(cache, "bench-traffic-"))
  const application = new Answering("./application.ts", [folder])
  const feeder = new Answering("./feeder.ts", [])
  const close = async (): Promise<void> => {
    await feeder.stop()
    await application.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    const [ports] = await Promise.all([application.answer<Ports>(), feeder.answer()])
    const ask = <A>(question: Question): Promise<A> => {
      application.tell(question)
      return application.answer<A>()
    }
    const order = (order: Order): Promise<Sent> => {
      feeder.tell(order)
      return feeder.answer<Sent>()
    }
    const state = () => ask<State>("state")
    const settled = async (): Promise<State> => {
      for (;;) {
        const now = await state()
        if (now.waiting === 0) return now
        await wait(20)
      }
    }
    return {
      ports,
      state,
      settled,
      stored: async (positions) => {
        let quiet = 0
        let now = await settled()
        while (now.stored < positions && quiet++ < 200) {
          await wait(50)
          const { stored } = now
          now = await settled()
          if (now.stored > stored) quiet = 0
        }
        return now
      },
      memory: (memoryAt) => ask<FlatHeap.Sample>({ memoryAt }),
      flood: (positions) => order({ _tag: "flood", port: ports.tcp, positions }),
      paced: async (perSecond, work) => {
        const sending = order({ _tag: "pace", port: ports.udp, perSecond })
        let value
        try {
          value = await work()
        } finally {
          feeder.tell({ _tag: "halt" })
        }
        return { value, sent: await sending }
      },
      close
    }
  } catch (error) {
    await close()
    throw error
  }
}
