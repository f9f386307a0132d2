/**
 * Sagas on several nodes of a cluster in memory, under the test clock: deadlines without a wait, lost nodes, cut connections.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { Process } from "effect-otp"
import { SagaError, SagaServer } from "effect-otp/saga"
import { MemoryCluster } from "effect-otp/testing"
import { TestClock } from "effect/testing"

const Work = SagaServer.contract("Work", {
  value: Schema.String,
  result: Schema.String,
  error: Schema.String,
  interim: Schema.Int
})

interface Plan {
  readonly to?: ReadonlyArray<{ readonly name: string; readonly node: string }>
  readonly hold?: boolean
  /** Where work goes when a branch is lost. */
  readonly spare?: { readonly name: string; readonly node: string }
}

const names = ["a@test", "b@test", "c@test", "d@test"] as const

/** A saga of a chain, with a job that lasts as long as its transaction. */
const link = (name: string, lines: Array<string>, { hold = false, spare, to = [] }: Plan) =>
  SagaServer.make(Work, {
    next: { work: Work },
    jobs: {
      watch: SagaServer.job(() =>
        Effect.onInterrupt(Effect.never, () => Effect.sync(() => lines.push(`${name}: job interrupted`)))
      )
    },
    begin: (value, transaction) =>
      Effect.gen(function*() {
        lines.push(`${name}: begins`)
        if (hold) yield* transaction.job("watch", undefined)
        for (const target of to) {
          yield* transaction.next("work", SagaServer.at(Work, target), `${value}>${name}`, {
            trap: spare !== undefined
          })
        }
        if (to.length === 0 && !hold) yield* transaction.result(`${value}>${name}`)
      }),
    result: ({ value }, _, transaction) => transaction.result(value),
    trouble: (event, _, transaction) => {
      lines.push(`${name}: trouble ${event._tag === "Cancelled" ? event.reason._tag : event._tag}`)
      return Effect.asVoid(transaction.next("work", SagaServer.at(Work, spare!), "again"))
    },
    jobResult: () => Effect.void,
    cancelled: (reason) => Effect.sync(() => void lines.push(`${name}: ${reason._tag}`))
  })

/** a > b > c, one node each, the last of them busy. */
const chain = Effect.gen(function*() {
  const cluster = yield* MemoryCluster.MemoryCluster
  const lines: Array<string> = []
  const start = (node: string, plan: Plan) =>
    cluster.on(node, SagaServer.startDetached(link(node[0]!, lines, plan), undefined, { name: "saga" }))
  yield* start("c@test", { hold: true })
  yield* start("b@test", { to: [{ name: "saga", node: "c@test" }] })
  yield* start("d@test", {})
  const origin = yield* start("a@test", {
    to: [{ name: "saga", node: "b@test" }],
    spare: { name: "saga", node: "d@test" }
  })
  const counts = Effect.forEach(
    names,
    (node) => Effect.map(cluster.on(node, SagaServer.status({ name: "saga" })), ({ transactions }) => transactions)
  )
  return { cluster, counts, lines, origin }
})

const reasonOf = (error: unknown): SagaError.CancelReason => {
  assert.instanceOf(error, SagaError.SagaCancelled)
  return (error as SagaError.SagaCancelled).reason
}

const soon = TestClock.adjust("1 millis")

const test = (title: string, body: () => Effect.Effect<void, unknown, MemoryCluster.MemoryCluster>) => {
  it.effect(title, () => Effect.provide(body(), MemoryCluster.layer(names)))
  for (const seed of [1, 2, 3]) {
    it.effect(`${title} (seed ${seed})`, () => Effect.provide(body(), MemoryCluster.layer(names, { seed })))
  }
}

describe("a transaction over four nodes", () => {
  test("[S29] its lifespan drives every node by its own timer: an hour under the test clock, without a wait", () =>
    Effect.gen(function*() {
      const { cluster, counts, lines, origin } = yield* chain
      const fiber = yield* Effect.forkChild(
        cluster.on("a@test", Effect.flip(SagaServer.run(origin, "", { lifespan: "1 hour" })))
      )
      yield* TestClock.adjust("3599 seconds")
      assert.deepStrictEqual(lines.splice(0), ["a: begins", "b: begins", "c: begins"])
      assert.deepStrictEqual(yield* counts, [1, 1, 1, 0])
      yield* TestClock.adjust("1 second")
      assert.strictEqual(reasonOf(yield* Fiber.join(fiber))._tag, "Lifespan")
      yield* soon
      assert.deepStrictEqual(lines.toSorted(), ["a: Lifespan", "b: Lifespan", "c: Lifespan", "c: job interrupted"])
      assert.deepStrictEqual(yield* counts, [0, 0, 0, 0])
    }))

  test("[S29] cut off from its parent, a side does not wait for the lifespan: both ends learn of it", () =>
    Effect.gen(function*() {
      const { cluster, lines, origin } = yield* chain
      const fiber = yield* Effect.forkChild(cluster.on("a@test", SagaServer.run(origin, "")))
      yield* soon
      assert.deepStrictEqual(lines.splice(0), ["a: begins", "b: begins", "c: begins"])
      yield* cluster.disconnect("a@test", "b@test")
      yield* soon
      // The origin has trapped it and gone another way; b and c have learnt from their own monitors.
      assert.strictEqual(yield* Fiber.join(fiber), "again>d")
      assert.deepStrictEqual(lines.toSorted(), [
        "a: trouble Lost",
        "b: Lost",
        "c: Lost",
        "c: job interrupted",
        "d: begins"
      ])
    }))

  test("[S29] the death of a node in the middle re-routes the transaction, and cancels what was behind it", () =>
    Effect.gen(function*() {
      const { cluster, lines, origin } = yield* chain
      const fiber = yield* Effect.forkChild(cluster.on("a@test", SagaServer.run(origin, "")))
      yield* soon
      lines.length = 0
      yield* cluster.kill("b@test")
      yield* soon
      assert.strictEqual(yield* Fiber.join(fiber), "again>d")
      assert.deepStrictEqual(lines.toSorted(), ["a: trouble Lost", "c: Lost", "c: job interrupted", "d: begins"])
    }))

  test("[S29] a cancellation at the far end comes back to where it began", () =>
    Effect.gen(function*() {
      const { cluster, counts, lines, origin } = yield* chain
      const running = yield* Effect.scoped(Effect.gen(function*() {
        const running = yield* cluster.on("a@test", SagaServer.begin(origin, ""))
        yield* soon
        lines.length = 0
        assert.isTrue(yield* cluster.on("d@test", SagaServer.cancel({ name: "saga", node: "c@test" }, running.id)))
        yield* soon
        // The origin traps: it goes another way, and has a result.
        assert.strictEqual(yield* running.await, "again>d")
        return running
      }))
      assert.match(String(running.id), /^#Ref<a@test/)
      assert.deepStrictEqual(lines.toSorted(), [
        "a: trouble Requested",
        "b: Requested",
        "c: Requested",
        "c: job interrupted",
        "d: begins"
      ])
      assert.deepStrictEqual(yield* counts, [0, 0, 0, 0])
    }))

  test("[S29] whoever has started it dies with its node: all sides learn of it", () =>
    Effect.gen(function*() {
      const { cluster, lines } = yield* chain
      const starter = yield* cluster.on(
        "d@test",
        Process.spawnDetached(() =>
          Effect.ignore(SagaServer.run(SagaServer.at(Work, { name: "saga", node: "a@test" }), ""))
        )
      )
      yield* soon
      assert.deepStrictEqual(lines.splice(0), ["a: begins", "b: begins", "c: begins"])
      assert.strictEqual(starter.node, "d@test")
      yield* cluster.kill("d@test")
      yield* soon
      assert.deepStrictEqual(lines.toSorted(), ["a: Lost", "b: Lost", "c: Lost", "c: job interrupted"])
    }))
})

/** Numbers from a seed. */
const random = (seed: number) => {
  let state = (seed * 2654435761) >>> 0 || 1
  const next = (): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
  return {
    below: (n: number): number => Math.floor(next() * n),
    chance: (p: number): boolean => next() < p,
    pick: <A>(all: ReadonlyArray<A>): A => all[Math.floor(next() * all.length)]!
  }
}

/** Sagas that hand work on at random, while connections are cut and nodes die: what is left when their time is over. */
const chaos = (seed: number) =>
  Effect.gen(function*() {
    const cluster = yield* MemoryCluster.MemoryCluster
    const { below, chance, pick } = random(seed)
    /** How each side that has begun on a node that is alive has ended. */
    const sides = new Map<string, Array<string>>()
    let count = 0
    const saga = (node: string) => {
      const note = (side: string, end: string) => Effect.sync(() => void sides.get(side)?.push(end))
      return SagaServer.make(Work, {
        next: { work: Work },
        jobs: { nap: SagaServer.job((millis: number) => Effect.as(Effect.sleep(millis), "rested")) },
        begin: (value, transaction) =>
          Effect.gen(function*() {
            const side = `${node} ${++count}`
            sides.set(side, [])
            const hand = Effect.gen(function*() {
              if (chance(0.05)) return yield* Effect.fail("no")
              const work = transaction.depth >= 4 ? 0 : below(3)
              for (let n = 0; n < work; n++) {
                const to = SagaServer.at(Work, { name: "saga", node: pick(names) })
                yield* transaction.next("work", to, value, {
                  trap: chance(0.5),
                  ...(chance(0.3) ? { timeout: 1 + below(50) } : {})
                })
              }
              yield* transaction.job("nap", below(200))
              return { side, left: work + 1 }
            })
            // What fails to begin, also by a refusal, has ended.
            return yield* Effect.tapError(hand, () => note(side, "failed"))
          }),
        result: (_, state, transaction) => finish(state, transaction),
        trouble: (_, state, transaction) => finish(state, transaction),
        jobResult: (_, state, transaction) => finish(state, transaction),
        cancelled: (_, state) => Effect.as(note(state.side, "cancelled"), state)
      })
      function finish<S extends { readonly side: string; readonly left: number }>(
        state: S,
        transaction: { readonly result: (value: string) => Effect.Effect<void, SagaError.SagaRefused> }
      ): Effect.Effect<S, SagaError.SagaRefused> {
        return Effect.as(
          state.left === 1 ? Effect.andThen(transaction.result("done"), note(state.side, "result")) : Effect.void,
          { ...state, left: state.left - 1 }
        )
      }
    }
    const start = (node: string) => cluster.on(node, SagaServer.startDetached(saga(node), undefined, { name: "saga" }))
    yield* Effect.forEach(names, start)
    const outcomes: Array<string> = []
    for (let n = 0; n < 30; n++) {
      yield* Effect.forkChild(cluster.on(
        "a@test", // it stays
        Effect.matchEffect(
          SagaServer.run(SagaServer.at(Work, { name: "saga", node: pick(names) }), "", { lifespan: 300 }),
          {
            onSuccess: (value) => Effect.sync(() => outcomes.push(value)),
            onFailure: (error) => Effect.sync(() => outcomes.push(String(error)))
          }
        )
      ))
      yield* TestClock.adjust(below(20))
      if (chance(0.2)) {
        const [one, other] = [pick(names), pick(names)]
        if (one !== other) yield* chance(0.5) ? cluster.disconnect(one, other) : cluster.connect(one, other)
      } else if (chance(0.1)) {
        const node = pick(names.slice(1))
        yield* cluster.kill(node)
        for (const side of [...sides.keys()]) if (side.startsWith(node)) sides.delete(side)
        yield* cluster.restart(node)
        yield* start(node)
      }
    }
    yield* TestClock.adjust(1000)
    assert.strictEqual(outcomes.length, 30, `seed ${seed}`)
    for (const node of names) {
      const { transactions } = yield* cluster.on(node, SagaServer.status({ name: "saga" }))
      assert.strictEqual(transactions, 0, `seed ${seed}: ${node}`)
    }
    for (const [side, ends] of sides) assert.strictEqual(ends.length, 1, `seed ${seed}: ${side}: ${ends.join()}`)
    return { sides: sides.size, results: outcomes.filter((outcome) => outcome === "done").length }
  }).pipe(Effect.provide(MemoryCluster.layer(names, { seed })))

describe("sagas under random cuts and deaths", () => {
  it.effect(
    "[S29] in 100 seeds every side ends once, nothing is left when the lifespan is over, and nobody waits",
    () =>
      Effect.gen(function*() {
        let results = 0
        let sides = 0
        for (let seed = 1; seed <= 100; seed++) {
          const found = yield* chaos(seed)
          results += found.results
          sides += found.sides
        }
        // Both ends are common, or the test would show little.
        assert.isAbove(results, 300)
        assert.isBelow(results, 2700)
        assert.isAbove(sides, 3000)
      }),
    120_000
  )
})
