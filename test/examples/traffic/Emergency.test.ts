import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Queue, Schedule } from "effect"
import { GenServer, Node, Process, Supervisor } from "effect-otp"
import { FetchHttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { type Alarm, Alarms, maxWaiting } from "../../../examples/traffic/Alarms.ts"
import { Emergency, EmergencyApi, EmergencyMachine, NotDelivered } from "../../../examples/traffic/Emergency.ts"
import * as Ingest from "../../../examples/traffic/Ingest.ts"
import { Position } from "../../../examples/traffic/Position.ts"

const emergency = (n: number): Position =>
  new Position({ vehicle: `v${n}`, route: "1", lat: 30, lon: -97, speed: 0, at: 1000 + n, emergency: true })

/** An API whose answers are given by hand. */
const manualApi = Effect.map(
  Queue.unbounded<
    { readonly key: string; readonly answer: (ok: boolean, isFinal?: boolean) => Effect.Effect<boolean> }
  >(),
  (asked) => ({
    asked,
    layer: Layer.succeed(EmergencyApi, {
      deliver: ({ key }: Alarm) =>
        Effect.gen(function*() {
          const answers = yield* Queue.unbounded<readonly [boolean, boolean]>()
          yield* Queue.offer(asked, { key, answer: (ok, isFinal = false) => Queue.offer(answers, [ok, isFinal]) })
          const [ok, isFinal] = yield* Queue.take(answers)
          if (!ok) return yield* new NotDelivered({ key, isFinal, detail: "no" })
        })
    })
  })
)

const beside = Layer.mergeAll(Alarms.layer, Ingest.topic, Ingest.Intake.layer).pipe(
  Layer.provideMerge(Layer.merge(Node.layerLocal(), Logger.layer([])))
)

const started = (api: Layer.Layer<EmergencyApi>) =>
  Effect.as(
    Effect.provide(
      Supervisor.start(Supervisor.make({
        intensity: 10,
        children: [Supervisor.child("emergency", EmergencyMachine, { pause: "10 seconds" }, { name: "emergency" })]
      })),
      api
    ),
    GenServer.named(Emergency, "emergency")
  ).pipe(Effect.flatten)

const status = Effect.flatMap(GenServer.named(Emergency, "emergency"), (machine) => machine.Status())

/** Waits for a status without letting time pass. */
const statusWhen = (isRight: (now: Effect.Success<typeof status>) => boolean) =>
  Effect.repeat(status, { until: isRight, times: 10_000 })

describe("the emergency process", () => {
  it.effect("tells of each emergency once, one after the other, and of nothing else", () =>
    Effect.gen(function*() {
      const { asked, layer } = yield* manualApi
      yield* started(layer)
      const calm = new Position({ ...emergency(9), emergency: false })
      yield* Ingest.submit("udp", [calm, emergency(1), emergency(2)])
      // The same again, as after a crash.
      yield* Ingest.submit("tcp", [emergency(1), calm, emergency(3)])
      const keys = []
      for (let n = 0; n < 3; n++) {
        const { answer, key } = yield* Queue.take(asked)
        assert.strictEqual(yield* Queue.size(asked), 0)
        keys.push(key)
        yield* answer(true)
      }
      assert.deepStrictEqual(keys, ["v1-1001", "v2-1002", "v3-1003"])
      assert.deepStrictEqual(
        { ...yield* statusWhen(({ delivered }) => delivered === 3) },
        { circuit: "Closed", raised: 3, delivered: 3, dropped: 0, waiting: 0 }
      )
    }).pipe(Effect.provide(beside)))

  it.effect("opens the circuit after a failure, tries one alarm after the pause, and closes it when that is taken", () =>
    Effect.gen(function*() {
      const { asked, layer } = yield* manualApi
      yield* started(layer)
      yield* Ingest.submit("udp", [emergency(1), emergency(2)])
      yield* Effect.flatMap(Queue.take(asked), ({ answer }) => answer(false))
      assert.deepInclude(yield* statusWhen(({ circuit }) => circuit === "Open"), { waiting: 2 })
      // It answers, it listens, and it sends nothing.
      yield* Ingest.submit("udp", [emergency(3)])
      yield* TestClock.adjust("9 seconds")
      assert.deepInclude(yield* status, { circuit: "Open", waiting: 3 })
      assert.strictEqual(yield* Queue.size(asked), 0)

      yield* TestClock.adjust("1 second")
      const probe = yield* Queue.take(asked)
      assert.strictEqual(probe.key, "v1-1001")
      assert.deepInclude(yield* status, { circuit: "HalfOpen", waiting: 3 })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* Queue.size(asked), 0)
      yield* probe.answer(false)
      yield* statusWhen(({ circuit }) => circuit === "Open")

      yield* TestClock.adjust("10 seconds")
      for (const key of ["v1-1001", "v2-1002", "v3-1003"]) {
        const next = yield* Queue.take(asked)
        assert.strictEqual(next.key, key)
        yield* next.answer(true)
      }
      assert.deepInclude(yield* statusWhen(({ delivered }) => delivered === 3), { circuit: "Closed", waiting: 0 })
    }).pipe(Effect.provide(beside)))

  it.effect("gives up an alarm that nobody will ever take, without opening the circuit", () =>
    Effect.gen(function*() {
      const { asked, layer } = yield* manualApi
      yield* started(layer)
      yield* Ingest.submit("udp", [emergency(1), emergency(2)])
      yield* Effect.flatMap(Queue.take(asked), ({ answer }) => answer(false, true))
      const { answer, key } = yield* Queue.take(asked)
      assert.strictEqual(key, "v2-1002")
      yield* answer(true)
      assert.deepInclude(yield* statusWhen(({ delivered }) => delivered === 1), { circuit: "Closed", dropped: 1 })
    }).pipe(Effect.provide(beside)))

  it.effect("delivers what it had not when it was killed, and what came while it was gone", () =>
    Effect.gen(function*() {
      const { asked, layer } = yield* manualApi
      yield* started(layer)
      yield* Ingest.submit("udp", [emergency(1), emergency(2)])
      yield* Effect.flatMap(Queue.take(asked), ({ answer }) => answer(true))
      yield* Queue.take(asked)
      yield* Process.kill({ name: "emergency" })
      yield* Ingest.submit("udp", [emergency(3)])
      for (const key of ["v2-1002", "v3-1003"]) {
        const next = yield* Queue.take(asked)
        assert.strictEqual(next.key, key)
        yield* next.answer(true)
      }
      yield* statusWhen(({ delivered }) => delivered === 3)
      assert.strictEqual(yield* Queue.size(asked), 0)
    }).pipe(Effect.provide(beside)))

  it.effect("keeps so many alarms and no more: the oldest are given up, and counted", () =>
    Effect.gen(function*() {
      const { asked, layer } = yield* manualApi
      yield* started(layer)
      yield* Ingest.submit("udp", Array.from({ length: maxWaiting + 10 }, (_, n) => emergency(n)))
      yield* Queue.take(asked)
      assert.deepInclude(yield* status, { raised: maxWaiting + 10, waiting: maxWaiting, dropped: 10 })
    }).pipe(Effect.provide(beside)))

  it.live("posts to an API with the key of the alarm, and tries again what failed for the moment", () =>
    Effect.gen(function*() {
      const requests: Array<{ readonly key: unknown; readonly body: unknown }> = []
      const answers = [503, 429, 204, 400]
      const server = yield* Effect.acquireRelease(
        Effect.callback<Http.Server>((resume) => {
          const server = Http.createServer((request, response) => {
            let body = ""
            request.setEncoding("utf8").on("data", (text: string) => body += text).on("end", () => {
              requests.push({ key: request.headers["idempotency-key"], body: JSON.parse(body) })
              response.writeHead(answers.shift() ?? 500).end()
            })
          }).listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) =>
          Effect.sync(() => {
            server.closeAllConnections()
            server.close()
          })
      )
      const { port } = server.address() as AddressInfo
      const url = new URL(`http://127.0.0.1:${port}/alarms`)
      yield* started(Layer.provide(EmergencyApi.layerHttp(url, "1 millis"), FetchHttpClient.layer))
      yield* Ingest.submit("udp", [emergency(1), emergency(2)])
      const end = yield* Effect.repeat(status, {
        until: ({ delivered, dropped }) => delivered + dropped === 2,
        schedule: Schedule.spaced("5 millis")
      }).pipe(Effect.timeout("10 seconds"))
      assert.deepInclude(end, { circuit: "Closed", delivered: 1, dropped: 1 })
      assert.deepStrictEqual(requests.map(({ key }) => key), ["v1-1001", "v1-1001", "v1-1001", "v2-1002"])
      assert.deepStrictEqual(requests[0]!.body, {
        vehicle: "v1",
        route: "1",
        lat: 30,
        lon: -97,
        speed: 0,
        at: "1970-01-01T00:00:01.001Z",
        emergency: true
      })
    }).pipe(Effect.provide(beside)))
})
