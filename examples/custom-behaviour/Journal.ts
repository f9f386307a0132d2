/**
 * A journal that is written in batches: what the behaviour is used for. Nothing here knows how it works.
 */
import { Console, Context, Effect, Schema } from "effect"
import { Supervisor } from "effect-otp"
import * as Batch from "./Batch.ts"

/** Where the journal is written to. */
export class Disk extends Context.Service<Disk, {
  readonly append: (lines: ReadonlyArray<string>) => Effect.Effect<void>
}>()("journal/Disk") {
  static readonly printing = Disk.of({ append: (lines) => Console.log(`  disk: ${lines.join(", ")}`) })
}

export class Illegible extends Schema.TaggedError<Illegible>()("Illegible", { line: Schema.String }) {}

const journal = Batch.make("Journal", {
  item: Schema.String,
  failure: Illegible,
  size: 3,
  within: "20 millis",
  write: (lines) =>
    Effect.gen(function*() {
      const illegible = lines.find((line) => line.includes("?"))
      if (illegible !== undefined) return yield* new Illegible({ line: illegible })
      if (lines.includes("coffee")) return yield* Effect.die(new Error("coffee on the keyboard"))
      yield* (yield* Disk).append(lines)
    })
})

export const Journal = journal.protocol

/** Its types are those of any child: the tree needs a disk, because the journal does. */
export const Tree = Supervisor.make({
  children: [Supervisor.child("journal", journal.server, undefined, { name: "journal", trapExit: true })]
})
