/**
 * The server that calls and casts go to, in the four ways a handler can be written. All of them do what the Erlang counter
 * does: add, and say what there is.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { GenServer, Message, Protocol } from "../../src/index.ts"

export class Counter extends Protocol.make("Counter",
  Message.Call("Add", { payload: { n: Schema.Int }, success: Schema.Int }),
  Message.Call("Get", { success: Schema.Int }),
  Message.Cast("Plus", { payload: { n: Schema.Int } })
) {}

const init = (from: number): Effect.Effect<number> => Effect.succeed(from)

/** The handler returns a plain transition. */
export const Transition = GenServer.make(Counter, {
  init,
  handlers: {
    Add: ({ n }, count) => GenServer.reply(count + n, count + n),
    Get: (_, count) => GenServer.reply(count, count),
    Plus: ({ n }, count) => GenServer.next(count + n)
  }
})

/** The handler returns an `Effect` that has yet to run. */
export const Effectful = GenServer.make(Counter, {
  init,
  handlers: {
    Add: ({ n }, count) => Effect.sync(() => GenServer.reply(count + n, count + n)),
    Get: (_, count) => GenServer.reply(count, count),
    Plus: ({ n }, count) => GenServer.next(count + n)
  }
})

const sum = (a: number, b: number): Effect.Effect<number> => Effect.sync(() => a + b)

/** The handler is a generator that is made once: how a handler of several steps should be written. */
export const Generator = GenServer.make(Counter, {
  init,
  handlers: {
    Add: Effect.fnUntraced(function*({ n }: { readonly n: number }, count: number) {
      const total = yield* sum(count, n)
      return GenServer.reply(total, total)
    }),
    Get: (_, count) => GenServer.reply(count, count),
    Plus: ({ n }, count) => GenServer.next(count + n)
  }
})

/** The handler makes a new generator for each message: how many will write it. */
export const InlineGenerator = GenServer.make(Counter, {
  init,
  handlers: {
    Add: ({ n }, count) =>
      Effect.gen(function*() {
        const total = yield* sum(count, n)
        return GenServer.reply(total, total)
      }),
    Get: (_, count) => GenServer.reply(count, count),
    Plus: ({ n }, count) => GenServer.next(count + n)
  }
})
