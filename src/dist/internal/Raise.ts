/**
 * How a provided function ends other than by its value: an exception of one of Erlang's classes, as a defect.
 *
 * @since 0.1.0
 */
import type { Term } from "../../term/Term.ts"

/** @since 0.1.0 */
export class Raise {
  readonly _tag = "Raise" as const
  readonly class: "error" | "exit" | "throw"
  readonly value: Term
  /** Whether the stack shows the arguments: they are what was wrong. */
  readonly withArguments: boolean

  constructor(class_: "error" | "exit" | "throw", value: Term, withArguments = false) {
    this.class = class_
    this.value = value
    this.withArguments = withArguments
  }
}
