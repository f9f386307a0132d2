/**
 * The accounts of one subscription on the side of its consumer: what it has asked for and not received.
 *
 * Automatic demand asks for `max` at first. Events are handled in batches of at most `max - min`; when, with a batch, what
 * is outstanding falls to `min`, it is filled up to `max` again. Manual demand asks when it is told to, and what would
 * exceed `max` waits until events have come.
 *
 * Guarantees: outstanding demand is never above `max`. What comes without having been asked for is handled and counted.
 *
 * @since 0.1.0
 */

/**
 * How demand arises: by itself, or when asked for.
 *
 * @category models
 * @since 0.1.0
 */
export type Mode = "automatic" | "manual"

/**
 * The accounts of a subscription: an immutable value.
 *
 * @category models
 * @since 0.1.0
 */
export interface Intake {
  readonly mode: Mode
  readonly min: number
  readonly max: number
  /** Asked for, and not received. */
  readonly outstanding: number
  /** To be asked for as soon as `max` allows. */
  readonly wished: number
  /** How many events came without having been asked for. */
  readonly excess: number
}

/**
 * The accounts that follow, and how many events to ask for now.
 *
 * @category models
 * @since 0.1.0
 */
export interface Asked {
  readonly intake: Intake
  readonly ask: number
}

/**
 * A part of what came, to be handled at once, and how many events to ask for when that is done.
 *
 * @category models
 * @since 0.1.0
 */
export interface Batch {
  readonly size: number
  readonly ask: number
}

/**
 * The largest demand unless a subscription says otherwise.
 *
 * @category models
 * @since 0.1.0
 */
export const defaultMax = 1000

/**
 * Why these limits cannot be; undefined when they can.
 *
 * @category constructors
 * @since 0.1.0
 */
export const check = (min: number, max: number): string | undefined =>
  !(Number.isSafeInteger(max) && max >= 1)
    ? `the maximum demand is a whole number from 1 on, and not ${max}`
    : !(Number.isSafeInteger(min) && min >= 0 && min < max)
    ? `the minimum demand is a whole number from 0 to below the maximum of ${max}, and not ${min}`
    : undefined

/**
 * The accounts of a new subscription, and its first demand.
 *
 * @category constructors
 * @since 0.1.0
 */
export const begin = (mode: Mode, min: number, max: number): Asked => {
  const ask = mode === "automatic" ? max : 0
  return { intake: { mode, min, max, outstanding: ask, wished: 0, excess: 0 }, ask }
}

const granted = (intake: Intake): Asked => {
  const ask = Math.min(intake.wished, intake.max - intake.outstanding)
  return ask <= 0
    ? { intake, ask: 0 }
    : { intake: { ...intake, outstanding: intake.outstanding + ask, wished: intake.wished - ask }, ask }
}

/**
 * More demand by hand. In automatic mode it changes nothing.
 *
 * @category operations
 * @since 0.1.0
 */
export const ask = (intake: Intake, count: number): Asked =>
  intake.mode === "automatic" ? { intake, ask: 0 } : granted({ ...intake, wished: intake.wished + count })

/**
 * Events have come: the batches in which they are to be handled.
 *
 * @category operations
 * @since 0.1.0
 */
export const receive = (
  intake: Intake,
  count: number
): { readonly intake: Intake; readonly batches: ReadonlyArray<Batch> } => {
  const excess = intake.excess + Math.max(0, count - intake.outstanding)
  if (intake.mode === "manual") {
    const asked = granted({ ...intake, outstanding: Math.max(0, intake.outstanding - count), excess })
    return { intake: asked.intake, batches: [{ size: count, ask: asked.ask }] }
  }
  const { max, min } = intake
  const batches: Array<Batch> = []
  let outstanding = intake.outstanding
  for (let rest = count; rest > 0;) {
    const size = Math.min(rest, max - min)
    rest -= size
    outstanding = Math.max(0, outstanding - size)
    const more = outstanding <= min ? max - outstanding : 0
    outstanding += more
    batches.push({ size, ask: more })
  }
  return { intake: { ...intake, outstanding, excess }, batches }
}
