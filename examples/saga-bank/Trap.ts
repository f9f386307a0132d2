/**
 * The points at which a program can be made to die, with no time to say goodbye. Only an example needs such a thing.
 */
import { Effect, Layer } from "effect"
import { Journal } from "effect-otp/saga"

/** `recorded`: a yes or a decision is on disk. `removed`: what was promised is done, and on disk. */
export type Point = "prepare" | "commit" | "before recorded" | "recorded" | "removed"

let trap: Point | undefined

/** Sets the trap. */
export const arm = (point: Point): void => {
  trap = point
}

/** Dies if the trap is set here. */
export const dieAt = (point: Point): void => {
  if (trap === point) process.kill(process.pid, "SIGKILL")
}

/** A transaction is written down under its number, which has a slash; the rest is the member's own. */
const isTransaction = ({ key }: Journal.Change): boolean => key.includes("/")

/** A journal with traps around its writes. */
export const layer = <E>(journal: Layer.Layer<Journal.Journal, E>): Layer.Layer<Journal.Journal, E> =>
  Layer.effect(
    Journal.Journal,
    Effect.map(Journal.Journal, (service) => ({
      open: (owner) =>
        Effect.map(service.open(owner), (book) => ({
          ...book,
          write: (changes) => {
            const transactions = changes.filter(isTransaction)
            const records = transactions.some(({ _tag }) => _tag !== "Remove")
            const removes = !records && transactions.length > 0
            return Effect.sync(() => records && dieAt("before recorded")).pipe(
              Effect.andThen(book.write(changes)),
              Effect.tap(() =>
                Effect.sync(() => {
                  if (records) dieAt("recorded")
                  if (removes) dieAt("removed")
                })
              )
            )
          }
        }))
    }))
  ).pipe(Layer.provide(journal))
