/**
 * Sagas as processes of one node: results, jobs, interim results, cancellation, limits, time.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Schema, Stream } from "effect"
import type { Scope } from "effect"
import { ExitReason, GenServer, Message, Node, Process, Protocol, Supervisor } from "effect-otp"
import { SagaError, SagaServer } from "effect-otp/saga"
import { TestClock } from "effect/testing"

const Length = SagaServer.contract("Length", { value: Schema.String, result: Schema.Int })
const Total = SagaServer.contract("Total", { value: Schema.Array(Schema.String), result: Schema.Int })

const LengthSaga = SagaServer.make(Length, { begin: (text, transaction) => transaction.result(text.length) })

const TotalSaga = SagaServer.make(Total, {
  next: { length: Length },
  init: (lengths: SagaServer.Address<typeof Length>) => Effect.succeed(lengths),
  begin: (texts, transaction) =>
    Effect.as(
      Effect.forEach(texts, (text) => transaction.next("length", transaction.process, text)),
      { left: texts.length, sum: 0 }
    ),
  result: ({ value }, { left, sum }, transaction) =>
    Effect.as(
      left === 1 ? transaction.result(sum + value) : Effect.void,
      { left: left - 1, sum: sum + value }
    )
})

/** What sagas and jobs have seen. */
const journal = () => {
  const lines: Array<string> = []
  return { lines, note: (line: string) => Effect.sync(() => void lines.push(line)) }
}

const Work = SagaServer.contract("Work", {
  value: Schema.String,
  result: Schema.String,
  error: Schema.String,
  interim: Schema.Int
})
type Work = SagaServer.Address<typeof Work>

/** A saga that hands its value on to the others, waits for all, and tells what it sees. */
const relay = (
  name: string,
  note: (line: string) => Effect.Effect<void>,
  to: ReadonlyArray<Work>,
  options?: SagaServer.NextOptions & { readonly hold?: boolean }
) =>
  SagaServer.make(Work, {
    next: { work: Work },
    begin: (value, transaction) =>
      Effect.gen(function*() {
        yield* note(`${name} begins`)
        for (const target of to) yield* transaction.next("work", target, `${value}>${name}`, options)
        if (to.length === 0 && options?.hold !== true) yield* transaction.result(`${value}>${name}`)
        return { left: to.length, parts: new Array<string>() }
      }),
    result: ({ value }, { left, parts }, transaction) =>
      Effect.as(
        left === 1 ? transaction.result([...parts, value].join(" ")) : Effect.void,
        { left: left - 1, parts: [...parts, value] }
      ),
    cancelled: (reason, state) => Effect.as(note(`${name} cancelled: ${reason._tag}`), state)
  })

const settle = Effect.forEach(Array.from({ length: 40 }), () => Effect.yieldNow, { discard: true })

const reasonOf = (error: unknown): SagaError.CancelReason => {
  assert.instanceOf(error, SagaError.SagaCancelled)
  return (error as SagaError.SagaCancelled).reason
}

const test = (title: string, body: () => Effect.Effect<void, unknown, Node.Node | Scope.Scope>) =>
  it.effect(title, () => Effect.scoped(body()).pipe(Effect.provide(Node.layerLocal())))

describe("a transaction", () => {
  test("fans out to other sagas, and their results come back", () =>
    Effect.gen(function*() {
      const lengths = yield* SagaServer.start(LengthSaga)
      const total = yield* SagaServer.start(TotalSaga, lengths)
      assert.strictEqual(yield* SagaServer.run(total, ["one", "three", "five"]), 12)
    }))

  test("a thousand at once, each with its own state", () =>
    Effect.gen(function*() {
      const lengths = yield* SagaServer.start(LengthSaga)
      const total = yield* SagaServer.start(TotalSaga, lengths)
      const sums = yield* Effect.forEach(
        Array.from({ length: 1000 }, (_, i) => i),
        (i) => SagaServer.run(total, Array.from({ length: 1 + i % 5 }, () => "x".repeat(i))),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(sums, Array.from({ length: 1000 }, (_, i) => i * (1 + i % 5)))
      // [S29] What is over is forgotten.
      assert.deepStrictEqual(yield* SagaServer.status(total), { transactions: 0, limit: 0 })
      assert.deepStrictEqual(yield* SagaServer.status(lengths), { transactions: 0, limit: 0 })
    }))

  test("has one id on all sides, which can be printed, and is done at its origin only", () =>
    Effect.gen(function*() {
      const ids: Array<string> = []
      const leaf = yield* SagaServer.start(SagaServer.make(Work, {
        begin: (value, transaction) =>
          Effect.andThen(
            Effect.sync(() => ids.push(`${transaction.depth} ${transaction.id}`)),
            transaction.result(value)
          ),
        done: () => Effect.succeed("never here")
      }))
      const origin = yield* SagaServer.start(SagaServer.make(Work, {
        next: { work: Work },
        begin: (value, transaction) =>
          Effect.andThen(
            Effect.sync(() => ids.push(`${transaction.depth} ${transaction.id}`)),
            Effect.asVoid(transaction.next("work", leaf, value))
          ),
        result: ({ value }, _, transaction) => transaction.result(value),
        done: (result) => Effect.succeed(`done ${result}`)
      }))
      const running = yield* SagaServer.begin(origin, "it")
      assert.strictEqual(yield* running.await, "done it")
      assert.deepStrictEqual(ids, [`0 ${running.id}`, `1 ${running.id}`])
      assert.match(String(running.id), /^#Ref</)
    }))

  test("a typed failure of a callback is the typed failure of the transaction", () =>
    Effect.gen(function*() {
      const { lines, note } = journal()
      const saga = yield* SagaServer.start(SagaServer.make(Work, {
        begin: (value) => value === "bad" ? Effect.fail("bad value") : Effect.succeed(value),
        cancelled: (reason, state) => Effect.as(note(reason._tag), state),
        done: () => Effect.fail("no end")
      }))
      assert.strictEqual(yield* Effect.flip(SagaServer.run(saga, "bad")), "bad value")
      // What failed to begin has taken back itself what it had done.
      assert.deepStrictEqual(lines, [])
      const ending = yield* SagaServer.start(SagaServer.make(Work, {
        begin: (value, transaction) => transaction.result(value),
        done: () => Effect.fail("no end")
      }))
      assert.strictEqual(yield* Effect.flip(SagaServer.run(ending, "good")), "no end")
    }))

  test("interim results go to the parent, from the origin to whoever has started it", () =>
    Effect.gen(function*() {
      const leaf = yield* SagaServer.start(SagaServer.make(Work, {
        begin: (value, transaction) =>
          Effect.forEach([1, 2, 3], (n) => transaction.interim(n)).pipe(
            Effect.andThen(transaction.result(value))
          )
      }))
      const origin = yield* SagaServer.start(SagaServer.make(Work, {
        next: { work: Work },
        begin: (value, transaction) => Effect.asVoid(transaction.next("work", leaf, value)),
        interim: ({ value }, _, transaction) => transaction.interim(value * 10),
        result: ({ value }, _, transaction) => transaction.result(value)
      }))
      const running = yield* SagaServer.begin(origin, "it")
      assert.deepStrictEqual(yield* Stream.runCollect(running.interims), [10, 20, 30])
      assert.strictEqual(yield* running.await, "it")
    }))

  test("a result while branches or jobs are under way is refused, and so is a second one", () =>
    Effect.gen(function*() {
      const refusals: Array<string> = []
      const flip = <A>(effect: Effect.Effect<A, SagaError.SagaRefused>) =>
        Effect.map(Effect.orDie(Effect.flip(effect)), ({ action, reason }) => void refusals.push(`${action} ${reason}`))
      const leaf = yield* SagaServer.start(relay("leaf", () => Effect.void, []))
      const saga = yield* SagaServer.start(SagaServer.make(Work, {
        next: { work: Work },
        jobs: { nap: SagaServer.job(() => Effect.never) },
        begin: (value, transaction) =>
          Effect.gen(function*() {
            const job = yield* transaction.job("nap", undefined)
            yield* flip(transaction.result("too early"))
            yield* transaction.cancelJob(job)
            yield* transaction.next("work", leaf, value)
            yield* flip(transaction.result("too early"))
            yield* flip(transaction.next("work", leaf, value, { timeout: "1 hour" }))
            yield* flip(transaction.job("nap", undefined, { timeout: "1 hour" }))
          }),
        result: ({ value }, _, transaction) =>
          Effect.gen(function*() {
            yield* transaction.result(value)
            yield* flip(transaction.result("again"))
            yield* flip(transaction.interim(1))
            yield* flip(transaction.next("work", leaf, value))
          }),
        jobResult: () => Effect.void
      }))
      assert.strictEqual(yield* SagaServer.run(saga, "it"), "it>leaf")
      yield* settle
      assert.deepStrictEqual(refusals, [
        "result InProgress",
        "result InProgress",
        "next TooLong",
        "job TooLong",
        "result Over",
        "interim Over",
        "next Over"
      ])
    }))

  test("a refusal that a callback does not handle cancels the transaction and says why", () =>
    Effect.gen(function*() {
      const leaf = yield* SagaServer.start(relay("leaf", () => Effect.void, []))
      const saga = yield* SagaServer.start(relay("root", () => Effect.void, [leaf], { timeout: "1 hour" }))
      const reason = reasonOf(yield* Effect.flip(SagaServer.run(saga, "it")))
      assert.isTrue(reason._tag === "Requested" && reason.detail.includes("longer than what is left"))
    }))
})

describe("the way of a transaction", () => {
  test("[S29] may meet in one saga (a diamond), and a loop is found by its path", () =>
    Effect.gen(function*() {
      const { lines, note } = journal()
      const bottom = yield* SagaServer.start(relay("bottom", note, []))
      const left = yield* SagaServer.start(relay("left", note, [bottom]))
      const right = yield* SagaServer.start(relay("right", note, [bottom]))
      const top = yield* SagaServer.start(relay("top", note, [left, right]))
      assert.strictEqual(yield* SagaServer.run(top, ""), ">top>left>bottom >top>right>bottom")
      assert.strictEqual(lines.filter((line) => line === "bottom begins").length, 2)

      lines.length = 0
      const a = yield* SagaServer.start(relay("a", note, [SagaServer.at(Work, "b")]), undefined, { name: "a" })
      yield* SagaServer.start(relay("b", note, [SagaServer.at(Work, "a")]), undefined, { name: "b" })
      assert.strictEqual(reasonOf(yield* Effect.flip(SagaServer.run(a, "")))._tag, "Loop")
      assert.deepStrictEqual(lines, ["a begins", "b begins", "b cancelled: Loop", "a cancelled: Loop"])
    }))

  test("[S29] the hop limit counts how deep it goes, not how wide", () =>
    Effect.gen(function*() {
      const { note } = journal()
      const bottom = yield* SagaServer.start(relay("3", note, []))
      const middle = yield* SagaServer.start(relay("2", note, [bottom, bottom, bottom]))
      const top = yield* SagaServer.start(relay("1", note, [middle, middle, middle]))
      assert.strictEqual((yield* SagaServer.run(top, "", { hopLimit: 2 })).split(" ").length, 9)
      const reason = reasonOf(yield* Effect.flip(SagaServer.run(top, "", { hopLimit: 1 })))
      assert.isTrue(reason._tag === "Requested" && reason.detail.includes("hop limit"))
    }))

  test("goes to pids, to names, and to whoever has the name", () =>
    Effect.gen(function*() {
      const { note } = journal()
      const leaf = yield* SagaServer.start(relay("leaf", note, []), undefined, { name: "leaf" })
      const top = yield* SagaServer.start(
        relay("top", note, [leaf, SagaServer.at(Work, leaf.pid), SagaServer.at(Work, "leaf")])
      )
      assert.strictEqual(yield* SagaServer.run(top, ""), Array.from({ length: 3 }, () => ">top>leaf").join(" "))
      const lost = yield* SagaServer.start(relay("top", note, [SagaServer.at(Work, "nobody")]))
      const reason = reasonOf(yield* Effect.flip(SagaServer.run(lost, "")))
      assert.isTrue(reason._tag === "Lost" && reason.process === "nobody")
    }))

  test("a branch that fails ends the transaction, or is trapped with its typed error and goes another way", () =>
    Effect.gen(function*() {
      const { lines, note } = journal()
      const bad = yield* SagaServer.start(SagaServer.make(Work, { begin: () => Effect.fail("no room") }))
      const good = yield* SagaServer.start(relay("good", note, []))
      const strict = yield* SagaServer.start(relay("strict", note, [good, bad]))
      const reason = reasonOf(yield* Effect.flip(SagaServer.run(strict, "")))
      assert.deepStrictEqual(reason, new SagaError.BranchFailed({ branch: "work", detail: "no room" }))
      assert.deepStrictEqual(lines.at(-1), "strict cancelled: BranchFailed")
      const flexible = yield* SagaServer.start(SagaServer.make(Work, {
        next: { work: Work },
        begin: (value, transaction) => Effect.asVoid(transaction.next("work", bad, value, { trap: true })),
        result: ({ value }, _, transaction) => transaction.result(value),
        trouble: (event, _, transaction) => {
          assert.deepStrictEqual(event, { from: "work", _tag: "Failed", error: "no room" })
          return Effect.asVoid(transaction.next("work", good, "again"))
        }
      }))
      assert.strictEqual(yield* SagaServer.run(flexible, ""), "again>good")
    }))
})

describe("a cancellation", () => {
  /** origin > middle > end, all waiting. */
  const chain = Effect.gen(function*() {
    const { lines, note } = journal()
    const end = yield* SagaServer.start(relay("end", note, [], { hold: true }))
    const middle = yield* SagaServer.start(relay("middle", note, [end]))
    const origin = yield* SagaServer.start(relay("origin", note, [middle]))
    const running = yield* SagaServer.begin(origin, "")
    yield* settle
    assert.deepStrictEqual(lines.splice(0), ["origin begins", "middle begins", "end begins"])
    return { end, lines, middle, origin, running }
  })

  for (const where of ["origin", "middle", "end"] as const) {
    test(`[S29] at the ${where} travels in both directions, once`, () =>
      Effect.gen(function*() {
        const { lines, running, ...sagas } = yield* chain
        assert.isTrue(yield* SagaServer.cancel(sagas[where], running.id, "changed my mind"))
        assert.deepStrictEqual(
          reasonOf(yield* Effect.flip(running.await)),
          new SagaError.Requested({ detail: "changed my mind" })
        )
        yield* settle
        assert.deepStrictEqual(lines.toSorted(), [
          "end cancelled: Requested",
          "middle cancelled: Requested",
          "origin cancelled: Requested"
        ])
        // It is forgotten: a second one finds nothing.
        assert.isFalse(yield* SagaServer.cancel(sagas[where], running.id))
        for (const saga of [sagas.origin, sagas.middle, sagas.end]) {
          assert.strictEqual((yield* SagaServer.status(saga)).transactions, 0)
        }
      }))
  }

  test("by whoever has started it, by its interruption, and by the end of its scope", () =>
    Effect.gen(function*() {
      const { lines, note } = journal()
      const saga = yield* SagaServer.start(relay("saga", note, [], { hold: true }))
      const running = yield* SagaServer.begin(saga, "")
      yield* settle
      yield* running.cancel("enough")
      assert.deepStrictEqual(reasonOf(yield* Effect.flip(running.await)), new SagaError.Requested({ detail: "enough" }))
      const fiber = yield* Effect.forkChild(SagaServer.run(saga, ""))
      yield* settle
      yield* Fiber.interrupt(fiber)
      yield* Effect.scoped(Effect.andThen(SagaServer.begin(saga, ""), settle))
      yield* settle
      assert.deepStrictEqual(
        lines,
        Array.from({ length: 3 }, () => ["saga begins", "saga cancelled: Requested"]).flat()
      )
    }))

  test("of one branch leaves the others alone", () =>
    Effect.gen(function*() {
      const { lines, note } = journal()
      const slow = yield* SagaServer.start(relay("slow", note, [], { hold: true }))
      const fast = yield* SagaServer.start(relay("fast", note, []))
      const saga = yield* SagaServer.start(SagaServer.make(Work, {
        next: { work: Work },
        begin: (value, transaction) =>
          Effect.andThen(transaction.next("work", fast, value), transaction.next("work", slow, value)),
        result: ({ value }, other, transaction) =>
          Effect.andThen(transaction.cancelNext(other, "not needed"), Effect.as(transaction.result(value), other))
      }))
      assert.strictEqual(yield* SagaServer.run(saga, ""), ">fast")
      yield* settle
      assert.deepStrictEqual(lines.at(-1), "slow cancelled: Requested")
    }))
})

describe("time", () => {
  test("[S29] the lifespan ends every side by its own timer, without a wait", () =>
    Effect.gen(function*() {
      const { lines, note } = journal()
      const end = yield* SagaServer.start(relay("end", note, [], { hold: true }))
      const origin = yield* SagaServer.start(relay("origin", note, [end]))
      const running = yield* SagaServer.begin(origin, "", { lifespan: "2 seconds" })
      yield* TestClock.adjust("1999 millis")
      assert.deepStrictEqual(lines.splice(0), ["origin begins", "end begins"])
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(reasonOf(yield* Effect.flip(running.await))._tag, "Lifespan")
      yield* settle
      assert.deepStrictEqual(lines.toSorted(), ["end cancelled: Lifespan", "origin cancelled: Lifespan"])
    }))

  test("[S29] a branch has what was left when it was handed on; it is 60 seconds unless said otherwise", () =>
    Effect.gen(function*() {
      const left: Array<string> = []
      const note = (transaction: { readonly remaining: Effect.Effect<unknown> }) =>
        Effect.map(transaction.remaining, (remaining) => void left.push(String(remaining)))
      const leaf = yield* SagaServer.start(SagaServer.make(Work, {
        begin: (value, transaction) => Effect.andThen(note(transaction), transaction.result(value))
      }))
      const origin = yield* SagaServer.start(SagaServer.make(Work, {
        next: { work: Work },
        begin: (value, transaction) =>
          Effect.gen(function*() {
            yield* note(transaction)
            yield* Effect.sleep("20 seconds")
            yield* transaction.next("work", leaf, value)
            yield* transaction.next("work", leaf, value, { timeout: "3 seconds" })
            return 2
          }),
        result: ({ value }, count, transaction) =>
          Effect.as(count === 1 ? transaction.result(value) : Effect.void, count - 1)
      }))
      const fiber = yield* Effect.forkChild(SagaServer.run(origin, ""))
      yield* TestClock.adjust("20 seconds")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(left.map((text) => /\d+/.exec(text)?.[0]), ["60000", "40000", "3000"])
    }))

  test("a timeout of a branch is trapped and another saga does the work", () =>
    Effect.gen(function*() {
      const { lines, note } = journal()
      const slow = yield* SagaServer.start(relay("slow", note, [], { hold: true }))
      const fast = yield* SagaServer.start(relay("fast", note, []))
      const saga = yield* SagaServer.start(SagaServer.make(Work, {
        next: { work: Work },
        begin: (value, transaction) =>
          Effect.asVoid(transaction.next("work", slow, value, { trap: true, timeout: "5 seconds" })),
        result: ({ value }, _, transaction) => transaction.result(value),
        trouble: (event, _, transaction) => {
          assert.deepStrictEqual(event, {
            from: "work",
            _tag: "Cancelled",
            reason: new SagaError.Timeout({ timeoutMillis: 5000 })
          })
          return Effect.asVoid(transaction.next("work", fast, "again"))
        }
      }))
      const fiber = yield* Effect.forkChild(SagaServer.run(saga, ""))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* Fiber.join(fiber), "again>fast")
      // It was told, or its own timer came first: its lifespan was that of the branch.
      assert.match(lines.join(), /^slow begins,slow cancelled: (Timeout|Lifespan),fast begins$/)
    }))
})

describe("jobs", () => {
  interface Seen {
    readonly note: (line: string) => Effect.Effect<void>
  }
  type Job = SagaServer.Job<string, unknown, unknown, Node.Node | Process.CurrentProcess, number>

  /** A saga that runs one job and answers with what it hears of it. */
  const single = ({ note }: Seen, job: Job) =>
    SagaServer.make(Work, {
      jobs: { work: job },
      begin: (value, transaction) => transaction.job("work", value),
      jobResult: ({ job, value }, state, transaction) => Effect.as(transaction.result(`${job}: ${value}`), state),
      jobInterim: ({ value }, state) => Effect.as(note(`interim ${value}`), state),
      cancelled: (reason, state) => Effect.as(note(`cancelled: ${reason._tag}`), state)
    })

  /** One that takes the failure of its job as a result. */
  const forgiving = (job: Job, options?: SagaServer.JobOptions) =>
    SagaServer.make(Work, {
      jobs: { work: job },
      begin: (value, transaction) => Effect.asVoid(transaction.job("work", value, options)),
      jobResult: ({ value }, _, transaction) => transaction.result(String(value)),
      jobFailed: (event, _, transaction) =>
        transaction.result(`failed: ${event._tag === "Failed" ? event.error : event.reason._tag}`)
    })

  test("run in a linked process each, with interim results and one result", () =>
    Effect.gen(function*() {
      const seen = journal()
      const pids = new Set<string>()
      const job = SagaServer.job((value: string, context: SagaServer.JobContext<number>) =>
        Effect.gen(function*() {
          pids.add(String(yield* Process.self))
          yield* context.interim(1)
          yield* context.interim(2)
          return value.length
        })
      )
      const saga = yield* SagaServer.start(single(seen, job))
      assert.strictEqual(yield* SagaServer.run(saga, "four"), "work: 4")
      assert.strictEqual(yield* SagaServer.run(saga, "four"), "work: 4")
      assert.strictEqual(pids.size, 2)
      assert.isFalse(pids.has(String(saga.pid)))
      assert.deepStrictEqual(seen.lines, ["interim 1", "interim 2", "interim 1", "interim 2"])
    }))

  test("one that fails, dies or is killed cancels the transaction, or is told to jobFailed", () =>
    Effect.gen(function*() {
      const seen = journal()
      const job = SagaServer.job((value: string) =>
        value === "fail" ? Effect.fail("failed") : value === "die" ? Effect.die("died") : Effect.flatMap(
          Process.self,
          (pid) => Effect.andThen(Process.kill(pid), Effect.never)
        )
      )
      const strict = yield* SagaServer.start(single(seen, job))
      const mild = yield* SagaServer.start(forgiving(job))
      for (const [value, detail] of [["fail", "failed"], ["die", "died"], ["kill", "killed"]] as const) {
        const reason = reasonOf(yield* Effect.flip(SagaServer.run(strict, value)))
        assert.deepStrictEqual(reason, new SagaError.JobFailed({ job: "work", detail }))
        assert.match(yield* SagaServer.run(mild, value), /^failed: /)
      }
      assert.deepStrictEqual(seen.lines, Array.from({ length: 3 }, () => "cancelled: JobFailed"))
    }))

  test("one that takes too long is interrupted", () =>
    Effect.gen(function*() {
      const seen = journal()
      const job = SagaServer.job(() => Effect.onInterrupt(Effect.never, () => seen.note("interrupted")))
      const saga = yield* SagaServer.start(forgiving(job, { timeout: "1 second" }))
      const fiber = yield* Effect.forkChild(SagaServer.run(saga, ""))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(fiber), "failed: Timeout")
      yield* settle
      assert.deepStrictEqual(seen.lines, ["interrupted"])
    }))

  test("[S29] a cancelled job is interrupted, and what it says later has no effect", () =>
    Effect.gen(function*() {
      const seen = journal()
      const late = yield* Deferred.make<void>()
      const saga = yield* SagaServer.start(SagaServer.make(Work, {
        jobs: {
          stubborn: SagaServer.job(() => Effect.uninterruptible(Effect.as(Deferred.await(late), "late"))),
          polite: SagaServer.job(() => Effect.onInterrupt(Effect.never, () => seen.note("interrupted")))
        },
        begin: (_, transaction) =>
          Effect.gen(function*() {
            const stubborn = yield* transaction.job("stubborn", undefined)
            const polite = yield* transaction.job("polite", undefined)
            yield* Effect.yieldNow
            yield* transaction.cancelJob(stubborn)
            yield* transaction.cancelJob(polite)
            yield* transaction.job("polite", undefined, { timeout: "1 second" })
          }),
        jobResult: ({ job }) => seen.note(`result of ${job}`),
        jobFailed: ({ job }, _, transaction) => Effect.andThen(seen.note(`end of ${job}`), transaction.result("done"))
      }))
      const fiber = yield* Effect.forkChild(SagaServer.run(saga, ""))
      yield* settle
      yield* Deferred.succeed(late, undefined)
      yield* settle
      assert.deepStrictEqual(seen.lines, ["interrupted"])
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(fiber), "done")
      yield* settle
      assert.deepStrictEqual(seen.lines, ["interrupted", "end of polite", "interrupted"])
    }))

  test("end with their transaction and with their saga", () =>
    Effect.gen(function*() {
      const seen = journal()
      const job = SagaServer.job(() => Effect.onInterrupt(Effect.never, () => seen.note("interrupted")))
      const saga = yield* SagaServer.start(single(seen, job))
      const running = yield* SagaServer.begin(saga, "")
      yield* settle
      yield* running.cancel()
      yield* settle
      assert.deepStrictEqual(seen.lines.splice(0).toSorted(), ["cancelled: Requested", "interrupted"])
      for (const end of [Process.stop, Process.kill] as const) {
        const other = yield* SagaServer.startDetached(single(seen, job))
        const lost = yield* SagaServer.begin(other, "")
        yield* settle
        yield* end(other)
        assert.strictEqual(reasonOf(yield* Effect.flip(lost.await))._tag, "Lost")
        yield* settle
        assert.deepStrictEqual(seen.lines.splice(0), ["interrupted"])
      }
    }))
})

describe("failures of processes", () => {
  test("[S29] the end of a branch cancels its parent, which may trap it and go another way", () =>
    Effect.gen(function*() {
      const { lines, note } = journal()
      const end = yield* SagaServer.start(relay("end", note, [], { hold: true }))
      const middle = yield* SagaServer.startDetached(relay("middle", note, [end]))
      const spare = yield* SagaServer.start(relay("spare", note, []))
      const origin = yield* SagaServer.start(SagaServer.make(Work, {
        next: { work: Work },
        begin: (value, transaction) => Effect.asVoid(transaction.next("work", middle, value, { trap: true })),
        result: ({ value }, _, transaction) => transaction.result(value),
        trouble: (event, _, transaction) =>
          Effect.andThen(
            note(event._tag === "Cancelled" ? event.reason._tag : event._tag),
            Effect.asVoid(transaction.next("work", spare, "again"))
          )
      }))
      const running = yield* SagaServer.begin(origin, "")
      yield* settle
      yield* Process.kill(middle.pid)
      assert.strictEqual(yield* running.await, "again>spare")
      yield* settle
      // The saga behind the one that died learns of it by its own monitor.
      assert.deepStrictEqual(lines.toSorted(), [
        "Lost",
        "end begins",
        "end cancelled: Lost",
        "middle begins",
        "spare begins"
      ])
    }))

  test("a defect of a callback ends the saga, and all its transactions with it", () =>
    Effect.gen(function*() {
      const saga = yield* SagaServer.startDetached(SagaServer.make(Work, {
        begin: (value) => value === "bug" ? Effect.die(new Error("bug")) : Effect.void
      }))
      const other = yield* SagaServer.begin(saga, "")
      const reason = reasonOf(yield* Effect.flip(SagaServer.run(saga, "bug")))
      assert.isTrue(reason._tag === "Lost" && reason.detail.includes("bug"))
      assert.strictEqual(reasonOf(yield* Effect.flip(other.await))._tag, "Lost")
    }))
})

describe("a saga as a server", () => {
  test("has a limit of transactions that can be changed at run time; above it is a typed refusal", () =>
    Effect.gen(function*() {
      const { note } = journal()
      const hold = SagaServer.make(Work, { maxTransactions: 2, begin: () => Effect.void })
      const saga = yield* SagaServer.start(hold, undefined, { name: "small" })
      const first = yield* SagaServer.begin(saga, "")
      yield* SagaServer.begin(saga, "")
      assert.deepStrictEqual(
        reasonOf(yield* Effect.flip(SagaServer.run(saga, ""))),
        new SagaError.Overloaded({ saga: "Work", limit: 2 })
      )
      const top = yield* SagaServer.start(relay("top", note, [saga]))
      assert.strictEqual(reasonOf(yield* Effect.flip(SagaServer.run(top, "")))._tag, "Overloaded")
      yield* SagaServer.setMaxTransactions(saga, 3)
      yield* SagaServer.begin(saga, "")
      assert.deepStrictEqual(yield* SagaServer.status({ name: "small" }), { transactions: 3, limit: 3 })
      yield* SagaServer.setMaxTransactions(saga, 1)
      assert.strictEqual((yield* SagaServer.status(saga)).transactions, 3)
      yield* first.cancel()
      yield* settle
      assert.strictEqual(reasonOf(yield* Effect.flip(SagaServer.run(saga, "")))._tag, "Overloaded")
      yield* SagaServer.setMaxTransactions(saga, 0)
      yield* SagaServer.begin(saga, "")
      yield* settle
      assert.deepStrictEqual(yield* SagaServer.status(saga), { transactions: 3, limit: 0 })
    }))

  class Prices extends Protocol.make(
    "Prices",
    Message.Call("Raise", { payload: { by: Schema.Int }, success: Schema.Int }),
    Message.Cast("Reset")
  ) {}

  const Shop = SagaServer.make(Work, {
    protocol: Prices,
    init: (price: number) => Effect.succeed(price),
    begin: (value, transaction) => transaction.result(`${value} for ${transaction.process}`),
    handlers: {
      Raise: ({ by }, price) => GenServer.reply(price + by, price + by),
      Reset: () => GenServer.next(0),
      unhandled: (_, price) => GenServer.stop(ExitReason.error("unhandled"), price)
    }
  })

  test("has messages of its own, whose state its callbacks see", () =>
    Effect.gen(function*() {
      const shop = yield* SagaServer.start(Shop, 10)
      assert.strictEqual(yield* SagaServer.run(shop, "tea"), "tea for 10")
      assert.strictEqual(yield* shop.Raise({ by: 5 }), 15)
      assert.strictEqual(yield* SagaServer.run(shop, "tea"), "tea for 15")
      yield* shop.Reset()
      assert.strictEqual(yield* SagaServer.run(shop, "tea"), "tea for 0")
      yield* Process.send(shop, "what")
      assert.deepStrictEqual(yield* Process.awaitExit(shop), ExitReason.error("unhandled"))
    }))

  test("can be supervised, found by its name, and is there again after a crash", () =>
    Effect.gen(function*() {
      yield* Supervisor.start(Supervisor.make({
        strategy: "one_for_one",
        children: [Supervisor.child("shop", Shop, 3, { name: "shop" })]
      }))
      const shop = SagaServer.at(Work, "shop")
      assert.strictEqual(yield* SagaServer.run(shop, "tea"), "tea for 3")
      yield* Process.send({ name: "shop" }, "what")
      yield* settle
      assert.strictEqual(yield* SagaServer.run(shop, "tea"), "tea for 3")
    }))

  test("of another contract than was thought cancels the branch, on one node as well", () =>
    Effect.gen(function*() {
      const { note } = journal()
      yield* SagaServer.start(LengthSaga, undefined, { name: "lengths" })
      const error = yield* Effect.flip(SagaServer.run(SagaServer.at(Work, "lengths"), "text"))
      assert.strictEqual(reasonOf(error)._tag, "Malformed")
      const top = yield* SagaServer.start(relay("top", note, [SagaServer.at(Work, "lengths")]))
      assert.strictEqual(reasonOf(yield* Effect.flip(SagaServer.run(top, "")))._tag, "Malformed")
      assert.strictEqual((yield* SagaServer.status({ name: "lengths" })).transactions, 0)
    }))

  it("says what is missing when it is made", () => {
    assert.throws(() => SagaServer.make(Work, { next: { work: Work }, begin: () => Effect.void }), /no result callback/)
    assert.throws(
      () => SagaServer.make(Work, { jobs: { a: SagaServer.job(() => Effect.void) }, begin: () => Effect.void }),
      /no jobResult callback/
    )
  })
})
