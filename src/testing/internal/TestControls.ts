/**
 * What the tools of a test hold in their hands: the scheduler that knows when nothing is left to do, and a test clock that
 * knows when the next sleeper wakes.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Scheduler from "effect/Scheduler"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { chance, SeededScheduler } from "../SeededScheduler.ts"

/** How many tasks may run before `settle` says that somebody never rests. */
const tasksMax = 1_000_000

/** How many tasks may run before the clock is moved all the same. */
const tasksBeforeMove = 20_000

/** @since 0.1.0 */
export interface TestControls {
  readonly seed: number | undefined
  /** To be run when everything is in place: what comes after depends on nothing but the seed. */
  readonly begin: Effect.Effect<void>
  readonly now: () => number
  /** Waits until no fiber can go on. Dies when that does not come about within a million tasks. */
  readonly settle: Effect.Effect<void>
  /** Moves the clock to the next sleeper, at most to `deadline` (milliseconds of the clock). */
  readonly step: (deadline: number) => Effect.Effect<void>
}

/** The controls of the test in which an effect runs; undefined outside of `TestNode.layer`. */
export const TestControls: Context.Reference<TestControls | undefined> = Context.Reference<TestControls | undefined>(
  "effect-otp/testing/TestControls",
  { defaultValue: () => undefined }
)

/** Waits until the scheduler has nothing to do; false when so many tasks did not bring that about. */
const settleWithin = (scheduler: SeededScheduler, tasks: number): Effect.Effect<boolean> =>
  Effect.callback<boolean>((resume) => {
    const stop = scheduler.onIdle((idle) => resume(Effect.succeed(idle)), tasks)
    return Effect.sync(stop)
  })

/** A test clock that lets everything happen that can happen now before it moves, and knows who sleeps. */
class VirtualClock implements TestClock.TestClock {
  private readonly clock: TestClock.TestClock
  private readonly scheduler: SeededScheduler
  /** When the sleepers wake, in milliseconds. */
  private readonly sleepers = new Set<{ readonly at: number }>()
  readonly currentTimeMillis: Effect.Effect<number>
  readonly currentTimeNanos: Effect.Effect<bigint>
  readonly monotonicTimeNanos: Effect.Effect<bigint>

  constructor(clock: TestClock.TestClock, scheduler: SeededScheduler) {
    this.clock = clock
    this.scheduler = scheduler
    this.currentTimeMillis = clock.currentTimeMillis
    this.currentTimeNanos = clock.currentTimeNanos
    this.monotonicTimeNanos = clock.monotonicTimeNanos
  }

  currentTimeMillisUnsafe(): number {
    return this.clock.currentTimeMillisUnsafe()
  }

  currentTimeNanosUnsafe(): bigint {
    return this.clock.currentTimeNanosUnsafe()
  }

  monotonicTimeNanosUnsafe(): bigint {
    return this.clock.monotonicTimeNanosUnsafe()
  }

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    return Effect.acquireUseRelease(
      Effect.sync(() => {
        const sleeper = { at: this.currentTimeMillisUnsafe() + Duration.toMillis(duration) }
        this.sleepers.add(sleeper)
        return sleeper
      }),
      () => this.clock.sleep(duration),
      (sleeper) => Effect.sync(() => this.sleepers.delete(sleeper))
    )
  }

  adjust(duration: Duration.Input): Effect.Effect<void> {
    return this.around(this.clock.adjust(duration))
  }

  setTime(timestamp: number): Effect.Effect<void> {
    return this.around(this.clock.setTime(timestamp))
  }

  withLive<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return this.clock.withLive(effect)
  }

  /** When the next sleeper wakes; infinity when nobody sleeps. */
  get nextWake(): number {
    let next = Infinity
    for (const { at } of this.sleepers) if (at < next) next = at
    return next
  }

  private around(move: Effect.Effect<void>): Effect.Effect<void> {
    const settle = settleWithin(this.scheduler, tasksBeforeMove)
    return Effect.andThen(Effect.andThen(settle, move), Effect.asVoid(settle))
  }
}

/** The clock's scheduler with what the run queue of a node asks of one for tests. */
class HintingScheduler implements Scheduler.Scheduler {
  readonly executionMode: "sync" | "async"
  readonly maxInlineDepth: number | undefined
  readonly permutes: boolean
  private readonly scheduler: Scheduler.Scheduler

  constructor(scheduler: Scheduler.Scheduler, seeded: SeededScheduler) {
    this.scheduler = scheduler
    this.executionMode = scheduler.executionMode
    this.maxInlineDepth = seeded.maxInlineDepth
    this.permutes = seeded.permutes
  }

  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    return this.scheduler.shouldYield(fiber)
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    return this.scheduler.makeDispatcher()
  }
}

/** Numbers for `Random`, apart from those that order the tasks. */
const randomOf = (seed: number): typeof Random.Random.Service => {
  const draw = chance(seed ^ 0x51ed270b)
  return {
    nextDoubleUnsafe: draw,
    nextIntUnsafe: () =>
      Math.floor(draw() * (Number.MAX_SAFE_INTEGER - Number.MIN_SAFE_INTEGER + 1)) + Number.MIN_SAFE_INTEGER
  }
}

/** Clock, scheduler and chance of a test, all of them by the seed. */
export const make = (seed: number | undefined): Effect.Effect<Context.Context<never>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const seeded = new SeededScheduler(seed)
    // The clock counts the tasks that a wake-up causes, by a scheduler of its own around the seeded one.
    const context = yield* Effect.provideService(Layer.build(TestClock.layer()), Scheduler.Scheduler, seeded)
    const tracking = Context.get(context as Context.Context<never>, Scheduler.Scheduler)
    const clock = new VirtualClock(
      Context.get(context as Context.Context<never>, Clock.Clock) as TestClock.TestClock,
      seeded
    )
    // A clock that was moved does not warn of tests that never move it. Its warning is started by the first sleep, and that
    // interrupts a sleep in a finalizer of an interrupted fiber.
    yield* clock.adjust(0)
    const controls: TestControls = {
      seed,
      begin: seeded.begin,
      now: () => clock.currentTimeMillisUnsafe(),
      settle: Effect.flatMap(settleWithin(seeded, tasksMax), (idle) =>
        idle ? Effect.void : Effect.die(
          new Error(`a fiber never rests: after ${tasksMax} tasks there are still more; settle cannot come about`)
        )),
      step: (deadline) =>
        Effect.suspend(() => {
          const until = Math.min(deadline, clock.nextWake) - clock.currentTimeMillisUnsafe()
          return clock.adjust(Number.isFinite(until) ? Math.max(0, until) : 0)
        })
    }
    return Context.make(Clock.Clock, clock as Clock.Clock).pipe(
      Context.add(Scheduler.Scheduler, new HintingScheduler(tracking, seeded)),
      Context.add(Random.Random, randomOf(seed ?? 0)),
      Context.add(TestControls, controls)
    ) as Context.Context<never>
  })

/** Lets the clock jump to the next sleeper. */
const passTime: Effect.Effect<void> = Effect.withFiber((fiber) => fiber.getRef(TestControls)!.step(Infinity))

/**
 * Acquires something in the context of a test, and lets time pass by itself while it is released: a process that ignores
 * `shutdown` is killed after its 5 seconds and does not hang the test.
 */
export const whileTimePasses = <A>(
  acquire: Effect.Effect<A, never, Scope.Scope>,
  context: Context.Context<never>
): Effect.Effect<A, never, Scope.Scope> =>
  Effect.provideContext(
    Effect.gen(function*() {
      let passing: Fiber.Fiber<never> | undefined
      // Finalizers run in reverse.
      yield* Effect.addFinalizer(() => passing === undefined ? Effect.void : Fiber.interrupt(passing))
      const acquired = yield* acquire
      yield* Effect.addFinalizer(() =>
        Effect.map(Effect.forkDetach(Effect.forever(passTime)), (fiber) => {
          passing = fiber
        })
      )
      yield* Context.get(context, TestControls)!.begin
      return acquired
    }),
    context
  )
