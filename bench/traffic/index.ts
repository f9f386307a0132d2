/**
 * The group `traffic`: the application of examples/traffic under load. Erlang/OTP has no counterpart.
 *
 * @since 0.1.0
 */
import * as Http from "node:http"
import { absolute, type Benchmark, fixed, type Group, type Values } from "../harness/Benchmark.ts"
import { percentile } from "../harness/Statistics.ts"
import type { State } from "./application.ts"
import * as Gateway from "./Gateway.ts"
import { start, wait, type World } from "./World.ts"

/** Positions per second that come in while one asks, and while the processor is looked at. */
const load5000 = 5000

/** Questions per second. */
const askRate = 200

/** Throws unless so many positions more are stored than before. */
const checkStored = async (world: World, before: State, sent: number): Promise<void> => {
  const after = await world.stored(before.stored + sent)
  const stored = after.stored - before.stored
  if (stored === sent) return
  const known = after.refused - before.refused + after.duplicates - before.duplicates
  throw new Error(
    `${stored} of ${sent} positions were stored, ${known} refused, ${sent - stored - known} lost on their way`
  )
}

/** As fast as they are acknowledged; each of them has to be stored. */
const ingest = async (world: World, count: number): Promise<Values> => {
  const before = await world.settled()
  const { millis, positions } = await world.flood(count)
  await checkStored(world, before, positions)
  return { ingest_stored_per_s: positions / millis * 1000 }
}

/** The time from the request to the last byte of the answer. */
const ask = (agent: Http.Agent, port: number): Promise<number> => {
  const lat = 30.27 + (Math.random() - 0.5) * 0.4
  const lon = -97.74 + (Math.random() - 0.5) * 0.4
  const begin = performance.now()
  return new Promise((resolve, reject) => {
    const options = { agent, host: "127.0.0.1", port, path: `/api/vehicles/nearest?lat=${lat}&lon=${lon}&k=10` }
    Http.get(options, (response) => {
      const chunks: Array<Buffer> = []
      response.on("data", (chunk: Buffer) => chunks.push(chunk))
      response.once("end", () => {
        const millis = performance.now() - begin
        const body: unknown = JSON.parse(Buffer.concat(chunks).toString())
        const found = Array.isArray(body) ? body : (body as { readonly vehicles?: ReadonlyArray<unknown> }).vehicles
        if (found?.length === 10) resolve(millis)
        else reject(new Error(`no ten vehicles: ${response.statusCode} ${JSON.stringify(body).slice(0, 200)}`))
      })
      response.once("error", reject)
    }).once("error", reject)
  })
}

/** Asks at a steady rate, one after the other, while positions come in. */
const queries = async (world: World, count: number): Promise<Values> => {
  const agent = new Http.Agent({ keepAlive: true, maxSockets: 1 })
  try {
    const before = await world.settled()
    const { sent, value: millis } = await world.paced(load5000, async () => {
      await wait(1000)
      const millis: Array<number> = []
      const begin = performance.now()
      for (let i = 0; i < count; i++) {
        await wait(Math.max(0, begin + i * 1000 / askRate - performance.now()))
        millis.push(await ask(agent, world.ports.http))
      }
      return millis
    })
    await checkStored(world, before, sent.positions)
    return { query_p50_ms: percentile(0.5, millis), query_p99_ms: percentile(0.99, millis) }
  } finally {
    agent.destroy()
  }
}

/** How much of a processor it takes to store what comes in; `count` are milliseconds. */
const processor = async (world: World, count: number): Promise<Values> => {
  const before = await world.settled()
  const { sent, value } = await world.paced(load5000, async () => {
    await wait(1000)
    const first = await world.state()
    const begin = performance.now()
    await wait(count)
    const last = await world.state()
    return (last.cpuMillis - first.cpuMillis) / (performance.now() - begin) * 100
  })
  await checkStored(world, before, sent.positions)
  return { cpu_at_5000: value }
}

/** Loads the group. */
export const load = (): Group => {
  // Begun by the first that is run.
  let world: Promise<World> | undefined
  const there = (): Promise<World> => (world ??= start())
  const gateway = Gateway.load()
  const benchmarks: ReadonlyArray<Benchmark> = [
    {
      rows: [{ name: "ingest_stored_per_s", unit: "1/s", target: absolute(15_000, 30_000) }],
      count: fixed(150_000, 60_000),
      rounds: 5,
      ours: async (count) => ingest(await there(), count)
    },
    {
      rows: [
        { name: "query_p50_ms", unit: "ms", target: absolute(5, 2) },
        { name: "query_p99_ms", unit: "ms", target: absolute(20, 5) }
      ],
      // The first thousand answers compile what the others run.
      count: fixed(1000, 1000),
      rounds: 5,
      ours: async (count) => queries(await there(), count)
    },
    {
      rows: [{ name: "cpu_at_5000", unit: "%", target: absolute(145, 70) }],
      count: fixed(5000, 1000),
      rounds: 3,
      ours: async (count) => processor(await there(), count)
    },
    {
      rows: [{ name: "gateway_ratio", unit: "x", target: absolute(0.5, 0.7) }],
      count: fixed(8000, 2000),
      rounds: 3,
      ours: async (count) => ({ gateway_ratio: (await gateway.measure(count)).gateway_ratio })
    }
  ]
  return {
    name: "traffic",
    sources: new URL("../erlang/", import.meta.url),
    benchmarks,
    close: async () => {
      await gateway.close()
      await (await world)?.close()
    }
  }
}
