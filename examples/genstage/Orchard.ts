/**
 * An orchard that picks fruit when somebody wants some: apples and pears by turns, each kind for those who asked for it.
 */
import { Effect, Schema } from "effect"
import { GenServer } from "effect-otp"
import { Dispatcher, GenStage } from "effect-otp/stage"

export const Fruit = Schema.Struct({ kind: Schema.Literals(["apple", "pear"]), number: Schema.Int })

type Fruit = typeof Fruit.Type

const pick = (number: number): Fruit => ({ kind: number % 2 === 0 ? "apple" : "pear", number })

export const Orchard = GenStage.producer({
  event: Fruit,
  dispatcher: Dispatcher.partition<Fruit>({ partitions: ["apple", "pear"], hash: ({ kind }) => kind }),
  init: () => Effect.succeed(0),
  demand: (count, picked) =>
    GenStage.emit(Array.from({ length: count }, (_, i) => pick(picked + i)), GenServer.next(picked + count))
})
