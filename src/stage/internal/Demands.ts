/**
 * Consumers and what each has asked for: what the dispatchers have in common.
 *
 * @since 0.1.0
 */
import type { ConsumerId, Delivery, Dispatching, Refused, Step } from "../Dispatcher.ts"

/** A consumer with its demand. */
export interface Demand {
  readonly id: ConsumerId
  readonly demand: number
}

/** No events for anybody. */
export const none: ReadonlyArray<never> = []

export const refused = (reason: string): Refused => ({ _tag: "Refused", reason })

export const isRefused = <E>(answer: Dispatching<E> | Step<E> | Refused): answer is Refused =>
  "_tag" in answer && answer._tag === "Refused"

export const step = <E>(next: Step<E>["next"], deliveries: ReadonlyArray<Delivery<E>> = none): Step<E> => ({
  _tag: "Step",
  next,
  deliveries
})

/** The demand of all. */
export const total = (consumers: ReadonlyArray<Demand>): number => {
  let sum = 0
  for (const { demand } of consumers) sum += demand
  return sum
}

/** The smallest demand; none of nobody. */
export const smallest = (consumers: ReadonlyArray<Demand>): number => {
  if (consumers.length === 0) return 0
  let min = Infinity
  for (const { demand } of consumers) if (demand < min) min = demand
  return min
}

/** The consumers with more demand of one of them. */
export const add = <C extends Demand>(consumers: ReadonlyArray<C>, id: ConsumerId, count: number): Array<C> =>
  consumers.map((consumer) => consumer.id === id ? { ...consumer, demand: consumer.demand + count } : consumer)

/** The consumers without one of them. */
export const without = <C extends Demand>(consumers: ReadonlyArray<C>, id: ConsumerId): Array<C> =>
  consumers.filter((consumer) => consumer.id !== id)

/** Serves who asked for most first, as many as it asked for, then the next. */
export const serve = <C extends Demand, E>(
  consumers: ReadonlyArray<C>,
  events: ReadonlyArray<E>
): {
  readonly consumers: ReadonlyArray<C>
  readonly deliveries: ReadonlyArray<Delivery<E>>
  readonly leftover: ReadonlyArray<E>
} => {
  if (events.length === 0) return { consumers, deliveries: none, leftover: none }
  const next = [...consumers]
  const order = consumers.map((_, index) => index)
  if (order.length > 1) order.sort((a, b) => consumers[b]!.demand - consumers[a]!.demand)
  const deliveries: Array<Delivery<E>> = []
  let at = 0
  for (const index of order) {
    const consumer = consumers[index]!
    const count = Math.min(consumer.demand, events.length - at)
    if (count === 0) break
    const whole = at === 0 && count === events.length
    deliveries.push({ consumer: consumer.id, events: whole ? events : events.slice(at, at + count) })
    next[index] = { ...consumer, demand: consumer.demand - count }
    at += count
  }
  return { consumers: next, deliveries, leftover: at === events.length ? none : events.slice(at) }
}
