/**
 * How the application does, twice a second: counts and rates of positions, what is stored, the tree of processes.
 *
 * The process `observer` finds out, and publishes. It watches the processes of the tree, so that it looks again at once
 * when one of them has ended.
 */
import { Clock, Effect, Option, Schema } from "effect"
import { Events, GenServer, Process, Signal } from "effect-otp"
import type { Pid } from "effect-otp/term"
import { QueryClient } from "./Clients.ts"
import { Report, Statistics } from "./Statistics.ts"
import { Statistics as Stored } from "./Store.ts"
import * as Tree from "./Tree.ts"

/** Positions per second, of all ways in. */
export class Rates extends Schema.Class<Rates>("Rates")({
  received: Schema.Finite,
  stored: Schema.Finite,
  invalid: Schema.Finite,
  dropped: Schema.Finite
}) {}

/** Bytes of this operating-system process. */
export class Memory extends Schema.Class<Memory>("Memory")({ heap: Schema.Int, resident: Schema.Int }) {}

export class Facts extends Schema.Class<Facts>("Facts")({
  /** Milliseconds since 1970. */
  at: Schema.Finite,
  /** Null while the process `statistics` does not answer: it is being restarted, or lives elsewhere. */
  counts: Schema.NullOr(Report),
  perSecond: Rates,
  /** Null while the storage does not answer. */
  storage: Schema.NullOr(Stored),
  memory: Memory,
  tree: Tree.TreeNode
}) {}

/** Facts as they are sent to clients: encoded once for all of them. */
export const Published = Events.topic("Facts", { json: Schema.String })

const encode = Schema.encodeSync(Schema.fromJsonString(Facts))

/** How often facts are published, and over how long rates are taken: milliseconds. */
const interval = 500
const span = 2000

/** What is counted for {@link Rates}. */
type Counts = { readonly [K in keyof Rates]: number }

interface Sample extends Counts {
  readonly at: number
}

/** What has come in by all ways; where nothing does, what others have stored is what there is to see. */
const countsOf = (report: Report | null, storage: Stored | null): Counts | undefined => {
  if (report === null) {
    return storage === null
      ? undefined
      : { received: 0, stored: storage.stored, invalid: 0, dropped: 0 }
  }
  const sum = (key: keyof Rates): number => report.udp[key] + report.tcp[key]
  return { received: sum("received"), stored: sum("stored"), invalid: sum("invalid"), dropped: sum("dropped") }
}

const ratesBetween = (before: Sample, now: Sample): Rates => {
  const seconds = (now.at - before.at) / 1000
  const rate = (key: keyof Rates): number => seconds <= 0 ? 0 : Math.max(0, (now[key] - before[key]) / seconds)
  return new Rates({
    received: rate("received"),
    stored: rate("stored"),
    invalid: rate("invalid"),
    dropped: rate("dropped")
  })
}

const idle = new Rates({ received: 0, stored: 0, invalid: 0, dropped: 0 })

/** Rates over the last {@link span}. */
class Window {
  private readonly samples: Array<Sample> = []

  rates(at: number, counts: Counts | undefined): Rates {
    if (counts !== undefined) this.samples.push({ at, ...counts })
    while (this.samples.length > 2 && this.samples[1]!.at <= at - span) this.samples.shift()
    return this.samples.length < 2 ? idle : ratesBetween(this.samples[0]!, this.samples.at(-1)!)
  }
}

/** Watches every process of a tree that is not watched yet. */
const watch = (pids: ReadonlyMap<string, Pid.Pid>, watched: Set<string>) =>
  Effect.gen(function*() {
    for (const [name, pid] of pids) {
      if (watched.has(name)) continue
      watched.add(name)
      yield* Process.monitor(pid)
    }
    for (const name of watched) if (!pids.has(name)) watched.delete(name)
  })

/** What is counted, by the process that says it. */
export const counts = Effect.flatMap(GenServer.named(Statistics, "statistics"), (statistics) => statistics.Get())

/** The bytes that this operating-system process has. */
export const memory = Effect.sync(() => {
  const { heapUsed, rss } = process.memoryUsage()
  return new Memory({ heap: heapUsed, resident: rss })
})

/** The body of the process `observer`. */
export const observe = Effect.gen(function*() {
  const self = yield* Process.self
  const queries = yield* QueryClient
  const watched = new Set<string>()
  const window = new Window()
  for (;;) {
    const at = yield* Clock.currentTimeMillis
    const [report, storage] = yield* Effect.all([
      orNull(counts),
      orNull(queries.Statistics())
    ], { concurrency: 2 })
    const tree = yield* Tree.of(self)
    yield* watch(tree.pids, watched)
    const facts = new Facts({
      at,
      counts: report,
      perSecond: window.rates(at, countsOf(report, storage)),
      storage,
      memory: yield* memory,
      tree: tree.root
    })
    yield* Effect.orDie(Events.publish(Published, { json: encode(facts) }))
    yield* nextLook
  }
})

/** Until it is time to look again: at the latest after the interval. */
const nextLook = Effect.gen(function*() {
  const down = yield* Process.receive(Signal.DownSchema, { timeout: interval })
  if (Option.isNone(down)) return
  // Whoever ended is replaced by now, or about to be, and others may have ended with it.
  yield* Effect.sleep("20 millis")
  while (Option.isSome(yield* Process.receive(Signal.DownSchema, { timeout: 0 })));
})

/** Who does not answer soon has nothing to say. */
const orNull = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A | null, never, R> =>
  Effect.orElseSucceed(Effect.timeout(effect, interval / 2), () => null)
