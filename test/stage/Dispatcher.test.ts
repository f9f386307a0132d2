/**
 * Dispatchers, buffer and accounts as pure state machines: what each does, and that demand accounting holds whatever
 * happens in whatever order.
 */
import { assert, describe, it } from "@effect/vitest"
import { Dispatcher, EventBuffer, Intake, Outlet } from "effect-otp/stage"

/** Runs an outlet by hand: what went to whom, and what the producer was asked for. */
const trial = <E>(dispatcher: Dispatcher.Dispatcher<E>, options?: Partial<Outlet.OutletOptions<E>>) => {
  const outlet = new Outlet.Outlet<E, string>({ dispatcher, ...options })
  const got: Record<number, Array<E>> = {}
  const asked: Array<number> = []
  const markers: Array<string> = []
  const flush = () => {
    const work = outlet.flush()
    for (const { consumer, events } of work?.deliveries ?? []) (got[consumer] ??= []).push(...events)
    markers.push(...work?.markers ?? [])
    if (work !== undefined && work.demand > 0) asked.push(work.demand)
  }
  return {
    outlet,
    got,
    asked,
    markers,
    join: (id: number, options: Dispatcher.ConsumerOptions<E> = {}) => outlet.subscribe(id, options),
    ask: (id: number, n: number) => {
      const refused = outlet.ask(id, n)
      flush()
      return refused
    },
    emit: (...events: Array<E>) => {
      const dropped = outlet.emit(events)
      flush()
      return dropped
    },
    cancel: (id: number) => {
      outlet.cancel(id)
      flush()
    },
    mark: (marker: string) => {
      outlet.mark(marker)
      flush()
    },
    forward: (on: boolean) => {
      outlet.forward(on)
      flush()
    },
    tick: () => {
      outlet.tick()
      flush()
    }
  }
}

describe("demand of a consumer", () => {
  it("[S24] the first ask is max, later ones are max - min, in batches of that size", () => {
    const first = Intake.begin("automatic", 500, 1000)
    assert.strictEqual(first.ask, 1000)
    const { batches, intake } = Intake.receive(first.intake, 1000)
    assert.deepStrictEqual(batches, [{ size: 500, ask: 500 }, { size: 500, ask: 500 }])
    assert.strictEqual(intake.outstanding, 1000)
  })

  it("[S24] asks for nothing before what is outstanding has fallen to min", () => {
    const { intake } = Intake.begin("automatic", 2, 10)
    const seven = Intake.receive(intake, 7)
    assert.deepStrictEqual(seven.batches, [{ size: 7, ask: 0 }])
    assert.deepStrictEqual(Intake.receive(seven.intake, 1).batches, [{ size: 1, ask: 8 }])
  })

  it("manual demand is what was asked for; what would exceed max waits", () => {
    const { ask, intake } = Intake.begin("manual", 0, 10)
    assert.strictEqual(ask, 0)
    const asked = Intake.ask(intake, 25)
    assert.strictEqual(asked.ask, 10)
    const received = Intake.receive(asked.intake, 4)
    assert.deepStrictEqual(received.batches, [{ size: 4, ask: 4 }])
    assert.strictEqual(received.intake.outstanding, 10)
    assert.strictEqual(received.intake.wished, 11)
  })

  it("counts events that nobody asked for", () => {
    const { intake } = Intake.begin("automatic", 0, 10)
    assert.strictEqual(Intake.receive(intake, 13).intake.excess, 3)
  })

  it("refuses limits that cannot be", () => {
    assert.isUndefined(Intake.check(0, 1))
    assert.include(Intake.check(10, 10)!, "minimum")
    assert.include(Intake.check(0, 0)!, "maximum")
    assert.include(Intake.check(0, Number.NaN)!, "maximum")
  })
})

describe("the outlet of a producer", () => {
  it("[S24] serves from the buffer first and asks the producer only for the rest", () => {
    const t = trial(Dispatcher.demand<number>())
    t.emit(1, 2, 3, 4)
    t.join(1)
    t.ask(1, 10)
    assert.deepStrictEqual(t.got[1], [1, 2, 3, 4])
    assert.deepStrictEqual(t.asked, [6])
  })

  it("[S24] demand that was not served is remembered, and dies with its consumer", () => {
    const t = trial(Dispatcher.demand<number>())
    t.join(1)
    t.ask(1, 5)
    assert.deepStrictEqual(t.asked, [5])
    t.cancel(1)
    t.emit(1, 2)
    assert.strictEqual(t.outlet.buffered, 2)
    t.join(2)
    t.ask(2, 10)
    // 2 come from the buffer; 3 of the first consumer's 5 are still owed.
    assert.deepStrictEqual(t.got[2], [1, 2])
    assert.deepStrictEqual(t.asked, [5, 5])
  })

  it("keeps demand back while it is not to be passed on", () => {
    const t = trial(Dispatcher.demand<number>(), { forward: false })
    t.join(1)
    t.ask(1, 3)
    t.ask(1, 4)
    assert.deepStrictEqual(t.asked, [])
    t.forward(true)
    assert.deepStrictEqual(t.asked, [7])
  })

  it("[S25] the buffer holds 10 000 events, keeps the last, and counts what it drops", () => {
    const t = trial(Dispatcher.demand<number>())
    const events = Array.from({ length: 10_003 }, (_, i) => i)
    assert.strictEqual(t.emit(...events), 3)
    assert.strictEqual(t.outlet.buffer.dropped, 3)
    t.join(1)
    t.ask(1, 2)
    assert.deepStrictEqual(t.got[1], [3, 4])
  })

  it("a buffer that keeps the first drops what comes later", () => {
    const t = trial(Dispatcher.demand<number>(), { bufferSize: 3, bufferKeep: "first" })
    assert.strictEqual(t.emit(1, 2), 0)
    assert.strictEqual(t.emit(3, 4, 5), 2)
    t.join(1)
    t.ask(1, 10)
    assert.deepStrictEqual(t.got[1], [1, 2, 3])
  })

  it("[S25] markers keep their place among the events, also when events before them are dropped", () => {
    const t = trial(Dispatcher.demand<number>(), { bufferSize: 3 })
    t.mark("now")
    assert.deepStrictEqual(t.markers, ["now"])
    t.emit(1, 2)
    t.mark("after 2")
    t.emit(3, 4)
    t.join(1)
    t.ask(1, 1)
    assert.deepStrictEqual(t.got[1], [2])
    assert.deepStrictEqual(t.markers, ["now", "after 2"])
    t.ask(1, 1)
    assert.deepStrictEqual(t.got[1], [2, 3])
  })

  it("a marker behind events that wait for demand waits with them", () => {
    const t = trial(Dispatcher.demand<number>())
    t.emit(1, 2, 3)
    t.mark("end")
    t.emit(4)
    t.join(1)
    t.ask(1, 2)
    assert.deepStrictEqual(t.markers, [])
    t.ask(1, 1)
    assert.deepStrictEqual(t.markers, ["end"])
    assert.deepStrictEqual(t.got[1], [1, 2, 3])
    t.ask(1, 1)
    assert.deepStrictEqual(t.got[1], [1, 2, 3, 4])
  })

  it("[S25] a buffer is a queue, whatever is taken and put back", () => {
    const buffer = new EventBuffer.EventBuffer<number, string>(Infinity)
    let next = 0
    let expected = 0
    for (let round = 0; round < 2000; round++) {
      const size = (round * 7) % 13
      buffer.push(Array.from({ length: size }, () => next++))
      const taken = buffer.take((round * 5) % 11)
      const back = taken.slice(taken.length >> 1)
      buffer.restore(back)
      for (const event of taken.slice(0, taken.length >> 1)) assert.strictEqual(event, expected++)
    }
    assert.strictEqual(buffer.length, next - expected)
  })
})

describe("the demand dispatcher", () => {
  it("serves who asked for most first", () => {
    const t = trial(Dispatcher.demand<number>())
    t.join(1)
    t.join(2)
    t.ask(1, 2)
    t.ask(2, 3)
    t.emit(1, 2, 3, 4)
    assert.deepStrictEqual(t.got, { 1: [4], 2: [1, 2, 3] })
  })

  it("refuses who announces or asks for more than it allows", () => {
    const t = trial(Dispatcher.demand<number>({ maxDemand: 10 }))
    assert.include(t.join(1, { maxDemand: 11 })!, "11 was announced")
    assert.isUndefined(t.join(2, { maxDemand: 10 }))
    assert.isUndefined(t.ask(2, 10))
    assert.include(t.ask(2, 1)!, "11 events were asked for")
    t.emit(...Array.from({ length: 20 }, (_, i) => i))
    assert.lengthOf(t.got[2]!, 10)
  })

  it("mixes its consumers by the seed, when it is told to", () => {
    const first = (seed: number) => {
      const t = trial(Dispatcher.demand<number>({ shuffle: true }), { seed })
      for (let id = 1; id <= 5; id++) t.join(id)
      for (let id = 1; id <= 5; id++) t.ask(id, 1)
      t.emit(0)
      return Object.keys(t.got)[0]
    }
    const firsts = new Set(Array.from({ length: 50 }, (_, i) => first(i * 2_654_435_761 + 1)))
    assert.isAbove(firsts.size, 2)
    assert.strictEqual(first(7), first(7))
  })
})

describe("the broadcast dispatcher", () => {
  it("[S26] moves at the slowest and asks upstream once", () => {
    const t = trial(Dispatcher.broadcast<number>())
    t.join(1)
    t.join(2)
    t.ask(1, 10)
    assert.deepStrictEqual(t.asked, [])
    t.ask(2, 4)
    assert.deepStrictEqual(t.asked, [4])
    t.emit(1, 2, 3, 4, 5)
    assert.deepStrictEqual(t.got, { 1: [1, 2, 3, 4], 2: [1, 2, 3, 4] })
    assert.strictEqual(t.outlet.buffered, 1)
  })

  it("[S26] events that a selector leaves out do not cost demand", () => {
    const t = trial(Dispatcher.broadcast<number>())
    t.join(1, { selector: (n) => n % 2 === 0 })
    t.ask(1, 2)
    t.emit(1, 3, 5, 2, 7)
    assert.deepStrictEqual(t.got[1], [2])
    t.emit(4)
    assert.deepStrictEqual(t.got[1], [2, 4])
    t.emit(6)
    assert.strictEqual(t.outlet.buffered, 1)
    assert.deepStrictEqual(
      t.asked,
      [2, 1],
      "once for both, and once when the 5 that came were too many of the wrong ones"
    )
  })

  it("[S26] who subscribes late misses the past", () => {
    const t = trial(Dispatcher.broadcast<number>())
    t.join(1)
    t.ask(1, 3)
    t.emit(1, 2)
    t.join(2)
    t.ask(2, 5)
    t.emit(3)
    assert.deepStrictEqual(t.got, { 1: [1, 2, 3], 2: [3] })
  })

  it("the others go on when the slowest has gone", () => {
    const t = trial(Dispatcher.broadcast<number>())
    t.join(1)
    t.join(2)
    t.ask(1, 3)
    t.emit(1, 2)
    assert.deepStrictEqual(t.got, {})
    t.cancel(2)
    assert.deepStrictEqual(t.got, { 1: [1, 2] })
  })
})

describe("the partition dispatcher", () => {
  const parity = Dispatcher.partition<number>({
    partitions: ["even", "odd"],
    hash: (n) => n < 0 ? undefined : n === 99 ? "none" : n % 2 === 0 ? "even" : "odd"
  })

  it("[S26] keeps events for a consumer that is absent, and pauses when all demand is answered with them", () => {
    const t = trial(parity)
    t.join(1, { partition: "even" })
    t.ask(1, 4)
    assert.deepStrictEqual(t.asked, [4])
    t.emit(1, 2, 3, 4)
    assert.deepStrictEqual(t.got, { 1: [2, 4] })
    assert.deepStrictEqual(t.asked, [4], "2 are still wanted, and 2 wait for the absent: nothing more is asked for")
    t.join(2, { partition: "odd" })
    t.ask(2, 5)
    assert.deepStrictEqual(t.got[2], [1, 3])
    assert.deepStrictEqual(t.asked, [4, 5])
  })

  it("[S26] a partition that there is not is a crash; undefined discards and is counted", () => {
    const t = trial(parity)
    t.join(1, { partition: "even" })
    t.ask(1, 4)
    t.emit(-1, 2, -3)
    assert.deepStrictEqual(t.got, { 1: [2] })
    assert.strictEqual(t.outlet.discarded, 2)
    assert.throws(() => t.emit(99), "there are only even, odd")
  })

  it("refuses a subscription to a partition that there is not, or to none", () => {
    const t = trial(parity)
    assert.include(t.join(1, { partition: "prime" })!, "there is no partition \"prime\"")
    assert.include(t.join(1)!, "must say which partition")
  })

  it("keeps what waits for a partition when its consumer goes", () => {
    const t = trial(parity)
    t.join(1, { partition: "even" })
    t.join(2, { partition: "odd" })
    t.ask(1, 4)
    t.emit(1, 3)
    t.cancel(2)
    t.join(3, { partition: "odd" })
    t.ask(3, 2)
    assert.deepStrictEqual(t.got, { 3: [1, 3] })
  })

  it("a marker waits for what is kept inside", () => {
    const t = trial(parity)
    t.join(1, { partition: "even" })
    t.ask(1, 4)
    t.emit(1)
    t.mark("end")
    assert.deepStrictEqual(t.markers, [])
    t.join(2, { partition: "odd" })
    t.ask(2, 1)
    assert.deepStrictEqual(t.markers, ["end"])
  })

  it("spreads events by their structural hash when it is given none, over every partition", () => {
    const t = trial(Dispatcher.partition<{ readonly n: number }>({ partitions: 3 }))
    for (let id = 0; id < 3; id++) {
      t.join(id, { partition: id })
      t.ask(id, 1000)
    }
    for (let n = 0; n < 300; n++) t.emit({ n })
    const sizes = [0, 1, 2].map((id) => t.got[id]?.length ?? 0)
    assert.strictEqual(sizes.reduce((a, b) => a + b, 0), 300)
    for (const size of sizes) assert.isAbove(size, 30)
  })
})

describe("the fair dispatcher", () => {
  it("shares by weight among those that have demand", () => {
    const t = trial(Dispatcher.fair<number>())
    t.join(1, { weight: 3 })
    t.join(2)
    t.ask(1, 1000)
    t.ask(2, 1000)
    t.emit(...Array.from({ length: 400 }, (_, i) => i))
    assert.strictEqual(t.got[1]!.length, 300)
    assert.strictEqual(t.got[2]!.length, 100)
  })

  it("who had no demand for a while does not catch up", () => {
    const t = trial(Dispatcher.fair<number>())
    t.join(1)
    t.join(2)
    t.ask(1, 1000)
    t.emit(...Array.from({ length: 500 }, (_, i) => i))
    t.ask(2, 1000)
    t.emit(...Array.from({ length: 100 }, (_, i) => i))
    assert.strictEqual(t.got[2]!.length, 50)
  })

  it("refuses a weight that is none", () => {
    assert.include(trial(Dispatcher.fair<number>()).join(1, { weight: 0 })!, "above 0")
  })
})

describe("the rate limited dispatcher", () => {
  it("lets so many events through per interval, and asks upstream for no more", () => {
    const t = trial(Dispatcher.rateLimited(Dispatcher.demand<number>(), { limit: 3, everyMillis: 100 }))
    t.join(1)
    t.ask(1, 10)
    assert.deepStrictEqual(t.asked, [3])
    assert.isUndefined(t.outlet.tickAfterMillis)
    t.emit(1, 2, 3, 4)
    assert.deepStrictEqual(t.got[1], [1, 2, 3])
    assert.strictEqual(t.outlet.tickAfterMillis, 100)
    t.tick()
    assert.deepStrictEqual(t.got[1], [1, 2, 3, 4])
    assert.deepStrictEqual(t.asked, [3, 2])
  })
})

// --- the law of accounts ---------------------------------------------------------------------------------------------

/** Numbers from a seed. */
const random = (seed: number) => {
  let state = (seed * 2_654_435_761) >>> 0 || 1
  return (below: number): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

interface Subscriber {
  readonly options: Dispatcher.ConsumerOptions<number>
  readonly max: number
  intake: Intake.Intake
  /** What the producer knows that was asked for and it has not delivered. */
  asked: number
  /** Deliveries on their way. */
  readonly way: Array<ReadonlyArray<number>>
  last: number
}

/** How a dispatcher is tried: with which partitions or selectors, and how often an event is delivered. */
interface Kind {
  readonly make: () => Dispatcher.Dispatcher<number>
  readonly options: (draw: (below: number) => number) => Dispatcher.ConsumerOptions<number>
  readonly broadcast?: boolean
}

const kinds: Record<string, Kind> = {
  demand: { make: () => Dispatcher.demand({ shuffle: true }), options: () => ({}) },
  broadcast: {
    make: () => Dispatcher.broadcast(),
    options: (draw) => draw(2) === 0 ? {} : { selector: (n) => n % 3 !== 0 },
    broadcast: true
  },
  partition: {
    make: () => Dispatcher.partition({ partitions: 3, hash: (n) => n % 10 === 0 ? undefined : n % 3 }),
    options: (draw) => ({ partition: draw(3) })
  },
  fair: { make: () => Dispatcher.fair(), options: (draw) => ({ weight: 1 + draw(4) }) },
  rateLimited: {
    make: () => Dispatcher.rateLimited(Dispatcher.demand<number>(), { limit: 5 }),
    options: () => ({})
  }
}

/** One random schedule of subscribe, ask, dispatch, cancel and crash, with the law checked after every step. */
const schedule = (kind: Kind, seed: number): void => {
  const draw = random(seed)
  const bufferSize = 1 + draw(40)
  const outlet = new Outlet.Outlet<number, never>({
    dispatcher: kind.make(),
    bufferSize,
    bufferKeep: draw(2) === 0 ? "first" : "last",
    seed
  })
  const subscribers = new Map<number, Subscriber>()
  let ids = 0
  let emitted = 0
  let requested = 0
  /** How often each event went out. */
  const delivered = new Map<number, number>()
  const fail = (law: string): never => assert.fail(`seed ${seed}: ${law}`)

  const flush = (): void => {
    const work = outlet.flush()
    if (work === undefined) return
    requested += work.demand
    for (const { consumer, events } of work.deliveries) {
      const subscriber = subscribers.get(consumer) ?? fail(`events for ${consumer}, which is gone`)
      if (events.length > subscriber.asked) {
        fail(`${events.length} events for ${consumer}, which asked ${subscriber.asked}`)
      }
      subscriber.asked -= events.length
      for (const event of events) {
        if (event <= subscriber.last) fail(`event ${event} after ${subscriber.last} for ${consumer}`)
        subscriber.last = event
        delivered.set(event, (delivered.get(event) ?? 0) + 1)
      }
      subscriber.way.push(events)
    }
  }
  const ask = (id: number, subscriber: Subscriber, count: number): void => {
    if (count === 0) return
    subscriber.asked += count
    if (subscriber.asked > subscriber.max) fail(`outstanding demand ${subscriber.asked} above ${subscriber.max}`)
    outlet.ask(id, count)
  }
  const some = (): [number, Subscriber] | undefined => {
    const all = [...subscribers]
    return all.length === 0 ? undefined : all[draw(all.length)]
  }

  const steps = 20 + draw(60)
  for (let step = 0; step < steps; step++) {
    switch (draw(8)) {
      case 0: {
        const max = 1 + draw(20)
        const begun = Intake.begin(draw(3) === 0 ? "manual" : "automatic", draw(max), max)
        const id = ids++
        const options = { ...kind.options(draw), maxDemand: max }
        const subscriber: Subscriber = { options, max, intake: begun.intake, asked: 0, way: [], last: -1 }
        if (outlet.subscribe(id, options) !== undefined) fail("a subscription was refused")
        subscribers.set(id, subscriber)
        ask(id, subscriber, begun.ask)
        break
      }
      case 1: {
        const chosen = some()
        if (chosen === undefined) break
        const asked = Intake.ask(chosen[1].intake, 1 + draw(30))
        chosen[1].intake = asked.intake
        ask(chosen[0], chosen[1], asked.ask)
        break
      }
      case 2:
      case 3: {
        const size = draw(15)
        outlet.emit(Array.from({ length: size }, () => emitted++))
        break
      }
      case 4: {
        // Exactly what was asked for.
        const size = outlet.owed
        outlet.emit(Array.from({ length: size }, () => emitted++))
        break
      }
      case 5: {
        // A consumer handles what is on its way, batch by batch.
        const chosen = some()
        const events = chosen?.[1].way.shift()
        if (chosen === undefined || events === undefined) break
        const received = Intake.receive(chosen[1].intake, events.length)
        chosen[1].intake = received.intake
        if (received.intake.excess > 0) fail("a consumer got more than it asked for")
        for (const batch of received.batches) ask(chosen[0], chosen[1], batch.ask)
        break
      }
      case 6: {
        // Cancelled or crashed: to the producer it is the same, to the consumer what is on its way is lost with it.
        const chosen = some()
        if (chosen === undefined) break
        subscribers.delete(chosen[0])
        outlet.cancel(chosen[0])
        break
      }
      default:
        outlet.tick()
    }
    flush()
    // Nothing is lost that was not counted.
    const once = kind.broadcast === true
    const kept = outlet.buffered + outlet.buffer.dropped + outlet.discarded
    if (!once && emitted !== delivered.size + kept) {
      fail(`${emitted} events, of which ${delivered.size} delivered, ${kept} kept or counted`)
    }
    if (!once) {
      for (const [event, times] of delivered) if (times !== 1) fail(`event ${event} went out ${times} times`)
    }
    if (outlet.buffer.length > bufferSize) fail("the buffer is larger than allowed")
    // The producer is asked for exactly what can be delivered, and not twice.
    if (outlet.owed > requested) fail("more owed than was ever asked for")
    const demand = [...subscribers.values()].map(({ asked }) => asked)
    const most = demand.length === 0 ? 0 : once ? Math.max(...demand) : demand.reduce((a, b) => a + b, 0)
    if (outlet.hungry && most === 0) fail("it wants events, and nobody has asked")
    if (once) {
      const least = demand.length === 0 ? 0 : Math.min(...demand)
      if (outlet.buffer.length > 0 && least > 0) fail("events wait although everybody has asked")
    }
  }
}

describe("the law of accounts [S24]", () => {
  for (const [name, kind] of Object.entries(kinds)) {
    it(`5000 schedules of subscribe, ask, dispatch, cancel and crash: ${name}`, { timeout: 60_000 }, () => {
      for (let seed = 1; seed <= 5000; seed++) schedule(kind, seed)
    })
  }

  it("finds what it looks for: an outlet that forgets an event", () => {
    const dispatcher = Dispatcher.demand<number>()
    const broken: Dispatcher.Dispatcher<number> = {
      name: "broken",
      begin: (seed) => {
        const forget = (inner: Dispatcher.Dispatching<number>): Dispatcher.Dispatching<number> => ({
          wanted: inner.wanted,
          held: 0,
          tickAfterMillis: undefined,
          subscribe: (id, options) => forget(inner.subscribe(id, options) as Dispatcher.Dispatching<number>),
          ask: (id, n) => {
            const step = inner.ask(id, n) as Dispatcher.Step<number>
            return { ...step, next: forget(step.next) }
          },
          cancel: (id) => forget(inner.cancel(id)),
          dispatch: (events) => {
            const out = inner.dispatch(events)
            return { ...out, next: forget(out.next), leftover: out.leftover.slice(1) }
          },
          tick: () => forget(inner)
        })
        return forget(dispatcher.begin(seed))
      }
    }
    assert.throws(() => {
      for (let seed = 1; seed <= 100; seed++) schedule({ make: () => broken, options: () => ({}) }, seed)
    }, "kept or counted")
  })
})
