/**
 * One side of a transaction, and many of them as a network, under random histories.
 */
import { assert, describe, it } from "@effect/vitest"
import { SagaCore, SagaError } from "effect-otp/saga"

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
    pick: <A>(all: ReadonlyArray<A>): A => all[Math.floor(next() * all.length)]!,
    chance: (p: number): boolean => next() < p
  }
}

const requested = new SagaError.Requested({ detail: "enough" })
const terminal: ReadonlySet<string> = new Set(["TellResult", "TellFailed", "TellCancelled"])

const next = (branch: string, more?: Partial<Extract<SagaCore.Input, { readonly _tag: "Next" }>>): SagaCore.Input => ({
  _tag: "Next",
  branch,
  name: branch,
  trap: false,
  timeoutMillis: undefined,
  now: 0,
  ...more
})

const startJob = (
  job: string,
  more?: Partial<Extract<SagaCore.Input, { readonly _tag: "StartJob" }>>
): SagaCore.Input => ({
  _tag: "StartJob",
  job,
  name: job,
  trap: false,
  timeoutMillis: undefined,
  now: 0,
  ...more
})

/** The outputs of inputs, one after the other, and the side behind them. */
const run = (side: SagaCore.Side, ...inputs: ReadonlyArray<SagaCore.Input>) => {
  let current = side
  let last: ReadonlyArray<SagaCore.Output> = []
  for (const input of inputs) {
    const { outputs, side } = SagaCore.step(current, input)
    current = side
    last = outputs
  }
  return { side: current, tags: last.map(({ _tag }) => _tag), outputs: last }
}

const fresh = (hops = 3) => SagaCore.begin("trip", hops, 1000, 0)

describe("a side", () => {
  it("refuses a result while branches or jobs are under way", () => {
    assert.deepStrictEqual(run(fresh(), next("a"), { _tag: "Result", value: 1 }).outputs, [
      { _tag: "Refused", reason: "InProgress" }
    ])
    assert.deepStrictEqual(run(fresh(), startJob("a"), { _tag: "Result", value: 1 }).tags, ["Refused"])
    assert.deepStrictEqual(
      run(fresh(), next("a"), { _tag: "BranchResult", branch: "a", value: 1 }, { _tag: "Result", value: 1 }).tags,
      ["TellResult", "Over"]
    )
  })

  it("[S29] the hop limit counts depth: any number of branches, each with one hop less", () => {
    let side = fresh(1)
    for (let n = 0; n < 50; n++) {
      const { outputs, side: after } = run(side, next(`${n}`))
      assert.deepStrictEqual(outputs, [{ _tag: "Begin", branch: `${n}`, hops: 0, lifespanMillis: 1000 }])
      side = after
    }
    assert.deepStrictEqual(run(fresh(0), next("a")).outputs, [{ _tag: "Refused", reason: "HopLimit" }])
  })

  it("[S29] hands on what is left of its lifespan, and refuses more", () => {
    const begin = (timeoutMillis: number | undefined, now: number) =>
      run(fresh(), next("a", { timeoutMillis, now })).outputs[0]
    assert.deepInclude(begin(undefined, 400), { _tag: "Begin", lifespanMillis: 600 })
    assert.deepInclude(begin(200, 400), { _tag: "Begin", lifespanMillis: 200 })
    assert.deepInclude(begin(601, 400), { _tag: "Refused", reason: "TooLong" })
    assert.deepInclude(begin(undefined, 1000), { _tag: "Refused", reason: "Over" })
  })

  it("[S29] a cancellation goes to everyone once, and not to where it came from", () => {
    const busy = run(fresh(), next("a"), next("b"), startJob("c")).side
    assert.deepStrictEqual(
      run(busy, { _tag: "Cancel", reason: requested }).tags,
      ["CancelBranch", "CancelBranch", "StopJob", "TellCancelled", "OnCancelled", "Over"]
    )
    assert.deepStrictEqual(
      run(busy, { _tag: "ParentCancelled", reason: requested }).tags,
      ["CancelBranch", "CancelBranch", "StopJob", "OnCancelled", "Over"]
    )
    const { outputs } = run(busy, { _tag: "BranchCancelled", branch: "a", reason: requested })
    assert.deepStrictEqual(outputs.slice(0, 2), [
      { _tag: "CloseBranch", branch: "a" },
      { _tag: "CancelBranch", branch: "b", reason: requested }
    ])
  })

  it("a branch that is trapped does not end the transaction; its own timeout cancels it alone", () => {
    const side = run(fresh(), next("a", { trap: true, timeoutMillis: 100 }), next("b")).side
    assert.strictEqual(SagaCore.due(side), 100)
    assert.deepStrictEqual(run(side, { _tag: "Tick", now: 99 }).tags, [])
    const { side: after, tags } = run(side, { _tag: "Tick", now: 100 })
    assert.deepStrictEqual(tags, ["CancelBranch", "OnTrouble"])
    assert.deepStrictEqual([...after.branches.keys()], ["b"])
    assert.strictEqual(SagaCore.due(after), 1000)
    assert.deepStrictEqual(
      run(after, { _tag: "Tick", now: 1000 }).tags,
      ["CancelBranch", "TellCancelled", "OnCancelled", "Over"]
    )
  })

  it("a loop is refused, a second branch of a transaction that is there is not", () => {
    const arrival = { saga: "trip", onPath: false, known: false, transactions: 2, limit: 2 }
    assert.strictEqual(SagaCore.refusal({ ...arrival, limit: 3 }), undefined)
    assert.strictEqual(SagaCore.refusal({ ...arrival, known: true }), undefined)
    assert.strictEqual(SagaCore.refusal(arrival)?._tag, "Overloaded")
    assert.strictEqual(SagaCore.refusal({ ...arrival, known: true, onPath: true })?._tag, "Loop")
  })
})

describe("a side under 5000 random histories", () => {
  it("[S29] ends once, tells everyone once, and nothing that comes late has an effect", () => {
    for (let seed = 1; seed <= 5000; seed++) {
      const { below, chance, pick } = random(seed)
      let side = SagaCore.begin("trip", below(3), 1000, 0)
      let now = 0
      const open = new Set<string>()
      const begun: Array<string> = []
      const jobs = new Set<string>()
      const jobsBegun: Array<string> = []
      let answered = 0
      let ended = false
      let parentGone = false
      for (let n = 0; n < 40; n++) {
        now += below(60)
        const branch = begun.length === 0 || chance(0.1) ? "unknown" : pick(begun)
        const job = jobsBegun.length === 0 || chance(0.1) ? "unknown" : pick(jobsBegun)
        const timeoutMillis = chance(0.5) ? below(300) : undefined
        const input = pick<SagaCore.Input>([
          next(`b${n}`, { trap: chance(0.5), timeoutMillis, now }),
          next(`b${n}`, { trap: chance(0.5), timeoutMillis, now }),
          startJob(`j${n}`, { trap: chance(0.5), timeoutMillis, now }),
          { _tag: "BranchResult", branch, value: n },
          { _tag: "BranchInterim", branch, value: n },
          { _tag: "BranchFailed", branch, error: n, detail: "" },
          { _tag: "BranchCancelled", branch, reason: requested },
          { _tag: "JobResult", job, value: n },
          { _tag: "JobFailed", job, error: n, detail: "" },
          { _tag: "CancelBranch", branch, reason: requested },
          { _tag: "CancelJob", job },
          { _tag: "Result", value: n },
          { _tag: "Interim", value: n },
          { _tag: "Tick", now },
          ...(chance(0.1)
            ? [{ _tag: "Cancel", reason: requested }, { _tag: "ParentCancelled", reason: requested }] as const
            : [])
        ])
        const before = side
        const { outputs, side: after } = SagaCore.step(side, input)
        side = after
        const at = `seed ${seed}, step ${n}: ${input._tag}`
        if (input._tag === "ParentCancelled" && !ended) parentGone = true
        if (ended) {
          assert.isTrue(outputs.every(({ _tag }) => _tag === "Refused"), at)
          assert.strictEqual(side, before)
          continue
        }
        if (input._tag === "BranchResult" && !open.has(input.branch)) assert.deepStrictEqual(outputs, [], at)
        if (input._tag === "JobResult" || input._tag === "JobFailed") {
          if (!jobs.delete(input.job)) assert.deepStrictEqual(outputs, [], at)
        }
        for (const [index, output] of outputs.entries()) {
          switch (output._tag) {
            case "Begin":
              open.add(output.branch)
              begun.push(output.branch)
              assert.isAtMost(now + output.lifespanMillis, side.deadline, at)
              assert.strictEqual(output.hops, side.hops - 1)
              assert.isAtLeast(output.hops, 0)
              break
            case "CancelBranch":
            case "CloseBranch":
              assert.isTrue(open.delete(output.branch), `${at}: told twice`)
              break
            case "RunJob":
              jobs.add(output.job)
              jobsBegun.push(output.job)
              break
            case "StopJob":
              assert.isTrue(jobs.delete(output.job), `${at}: stopped twice`)
              break
            case "Over":
              ended = true
              assert.strictEqual(index, outputs.length - 1)
          }
          if (terminal.has(output._tag)) {
            answered++
            assert.isFalse(parentGone, at)
          }
        }
        assert.deepStrictEqual([...side.branches.keys()].sort(), [...open].sort(), at)
        assert.deepStrictEqual([...side.jobs.keys()].sort(), [...jobs].sort(), at)
        assert.strictEqual(side.over, ended)
        if (ended) {
          assert.strictEqual(answered, parentGone ? 0 : 1, at)
          assert.strictEqual(open.size + jobs.size, 0, at)
        } else if (input._tag === "Tick") assert.isAbove(SagaCore.due(side), now, at)
      }
    }
  })
})

/** A message under way: messages of one sender to one receiver stay in order. */
interface Envelope {
  readonly to: string
  readonly run: () => void
}

/** Sides in a network: each delivery and each wish in an order of the seed's choice. */
const network = (seed: number) => {
  const { below, chance, pick } = random(seed)
  const sides = new Map<
    string,
    {
      side: SagaCore.Side
      readonly parent: string | undefined
      readonly saga: number
      readonly path: ReadonlyArray<number>
    }
  >()
  const lanes = new Map<string, Array<Envelope>>()
  const outcomes: Array<string> = []
  const ends = new Map<string, number>()
  let now = 0
  let ids = 0
  const post = (from: string, to: string, run: () => void) => {
    const lane = `${from}>${to}`
    lanes.set(lane, [...lanes.get(lane) ?? [], { to, run }])
  }
  const input = (id: string, what: SagaCore.Input) => {
    const record = sides.get(id)
    if (record === undefined) return
    const { outputs, side } = SagaCore.step(record.side, what)
    record.side = side
    const { parent } = record
    const up = (input: SagaCore.Input) =>
      parent === undefined ? outcomes.push(input._tag) : post(id, parent, () => input_(parent, input))
    for (const output of outputs) {
      switch (output._tag) {
        case "Begin": {
          const saga = below(6)
          const path = [...record.path, record.saga]
          post(id, output.branch, () => {
            const refusal = SagaCore.refusal({
              saga: `${saga}`,
              onPath: path.includes(saga),
              known: true,
              transactions: 0,
              limit: Infinity
            })
            if (refusal !== undefined) {
              post(
                output.branch,
                id,
                () => input_(id, { _tag: "BranchCancelled", branch: output.branch, reason: refusal })
              )
              return
            }
            assert.isAtMost(path.length, 4)
            sides.set(output.branch, {
              side: SagaCore.begin(`${saga}`, output.hops, output.lifespanMillis, now),
              parent: id,
              saga,
              path
            })
          })
          break
        }
        case "CancelBranch":
          post(id, output.branch, () => input_(output.branch, { _tag: "ParentCancelled", reason: output.reason }))
          break
        case "TellResult":
          up({ _tag: "BranchResult", branch: id, value: output.value })
          break
        case "TellFailed":
          up({ _tag: "BranchFailed", branch: id, error: output.error, detail: "" })
          break
        case "TellCancelled":
          up({ _tag: "BranchCancelled", branch: id, reason: output.reason })
          break
        case "Over":
          ends.set(id, (ends.get(id) ?? 0) + 1)
          sides.delete(id)
      }
    }
  }
  const input_ = input
  const deliver = () => {
    const busy = [...lanes].filter(([, lane]) => lane.length > 0)
    if (busy.length === 0) return false
    const [key, [first, ...rest]] = pick(busy)
    lanes.set(key, rest)
    first!.run()
    return true
  }
  sides.set("origin", { side: SagaCore.begin("0", 4, 10_000, 0), parent: undefined, saga: 0, path: [] })
  for (let n = 0; n < 60; n++) {
    now += below(20)
    if (chance(0.6)) deliver()
    else if (sides.size > 0) {
      const id = pick([...sides.keys()])
      input(
        id,
        pick<SagaCore.Input>([
          next(`${++ids}`, { trap: chance(0.3), now }),
          next(`${++ids}`, { trap: chance(0.3), now, timeoutMillis: chance(0.3) ? below(200) : undefined }),
          { _tag: "Result", value: n },
          { _tag: "Tick", now },
          ...(chance(0.15)
            ? [{ _tag: "Cancel", reason: requested }, { _tag: "Fail", error: 1, detail: "" }] as const
            : [])
        ])
      )
    }
  }
  // No more wishes: what is under way arrives, then time passes.
  while (deliver());
  now += 10_000
  for (const id of [...sides.keys()]) input(id, { _tag: "Tick", now })
  while (deliver());
  return { ends, left: [...sides.keys()], outcomes }
}

describe("sides in a network, 2000 seeds", () => {
  it("[S29] whatever the order, every side ends once, none is left, and the starter has one outcome", () => {
    let results = 0
    for (let seed = 1; seed <= 2000; seed++) {
      const { ends, left, outcomes } = network(seed)
      assert.deepStrictEqual(left, [], `seed ${seed}`)
      assert.isTrue([...ends.values()].every((times) => times === 1), `seed ${seed}`)
      assert.strictEqual(outcomes.length, 1, `seed ${seed}`)
      if (outcomes[0] === "BranchResult") results++
    }
    // Both outcomes occur.
    assert.isAbove(results, 100)
    assert.isBelow(results, 1900)
  })
})
