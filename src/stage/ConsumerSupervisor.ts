/**
 * A consumer that starts a process for each event: demand is the bound on how many run at a time.
 *
 * An event counts as received when its process has ended. So of each subscription there are never more processes, and
 * events on their way, than its `maxDemand`; when no more than `minDemand` are left, more is asked for.
 *
 * A process that crashes is reported and not started again: its event is done. The processes are tied to the supervisor,
 * and end with it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Behaviour from "../process/Behaviour.ts"
import type { Node } from "../process/Node.ts"
import * as Process from "../process/Process.ts"
import type { Term } from "../term/Term.ts"
import { stageOf } from "./internal/Stage.ts"
import * as Stage from "./Stage.ts"
import type { SubscribeOptions } from "./Subscription.ts"

/** By the text of their monitor: to which subscription the event of a process belongs. */
type Running = Map<string, unknown>

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<Ev extends Schema.Top, E, R> {
  /** The events it consumes. */
  readonly input: Ev
  /** What the process of an event does. It is a process: `Process.self`, `Process.receive` and the like work. */
  readonly child: (event: Ev["Type"]) => Effect.Effect<unknown, E, R>
  /** Where it subscribes as soon as it has started. For supervised stages. */
  readonly subscribeTo?: () => ReadonlyArray<
    SubscribeOptions<Ev["Type"]> & { readonly to: Stage.Producer<Ev["Type"]> }
  >
}

/**
 * Makes a consumer with a process per event. Start it with `GenStage.start` or under a supervisor.
 *
 * @example
 * ```ts
 * import { Effect, Schema, Stream } from "effect"
 * import { ConsumerSupervisor, GenStage } from "effect-otp/stage"
 *
 * const Mailer = ConsumerSupervisor.make({
 *   input: Schema.String,
 *   child: (address) => Effect.log(`to ${address}`)
 * })
 *
 * const program = Effect.gen(function*() {
 *   const addresses = yield* GenStage.start(GenStage.fromStream(Schema.String, Stream.make("a@b.c", "d@e.f")))
 *   const mailer = yield* GenStage.start(Mailer)
 *   // At most 10 mails at a time.
 *   yield* GenStage.subscribe(mailer, addresses, { maxDemand: 10 })
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <Ev extends Schema.Top, E, R>(
  { child, input, subscribeTo }: Options<Ev, E, R>
): Stage.Stage<
  void,
  never,
  never,
  Exclude<R, Scope.Scope | Process.CurrentProcess> | Node,
  Ev["Type"],
  never
> => {
  const options = {
    input,
    init: () => Effect.sync((): Running => new Map()),
    events: (batch: ReadonlyArray<Ev["Type"]>, running: Running, { from }: Stage.EventsContext) =>
      Effect.forEach(
        batch,
        (event) =>
          Effect.flatMap(Process.spawn(() => child(event)), (pid) =>
            Effect.map(Process.monitor(pid), (ref) => {
              running.set(ref.toString(), from.tag)
            })),
        { discard: true }
      ),
    handlers: {
      down: ({ ref }: { readonly ref: { toString(): string } }, running: Running) =>
        Effect.map(Behaviour.current, (self) => {
          const key = ref.toString()
          if (!running.has(key)) return
          const tag = running.get(key) as Term // as `events` has put it there
          running.delete(key)
          const instance = self as Behaviour.Instance // a stage is one
          instance.system(() => stageOf(instance)!.finished(tag))
        })
    },
    format: (running: Running) => ({ children: running.size }),
    ...(subscribeTo === undefined ? {} : { subscribeTo }),
    // Known to the core alone.
    holds: true
  }
  return Stage.consumer(options as never) as never // the signature above states what it is
}
