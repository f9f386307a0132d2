/**
 * The errors of Raft.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Schema from "effect/Schema"

// Explicit types of the base classes: declarations must be writable file by file (`isolatedDeclarations`).
type ErrorOf<Self, Tag extends string, Fields extends Schema.Struct.Fields> = Schema.Class<
  Self,
  Schema.TaggedStruct<Tag, Fields>,
  Cause.YieldableError
>

const RaftStorageErrorBase: ErrorOf<RaftStorageError, "RaftStorageError", {
  readonly path: typeof Schema.String
  readonly reason: Schema.Literals<readonly ["Corrupt", "Io"]>
  readonly detail: typeof Schema.String
}> = Schema.TaggedError<RaftStorageError>()("RaftStorageError", {
  path: Schema.String,
  reason: Schema.Literals(["Corrupt", "Io"]),
  detail: Schema.String
})

/**
 * A member's log could not be read or written.
 *
 * `Corrupt`: what is on disk is not what was written. The member must not go on with a part of it, because it may have promised
 * the rest; remove its files and let it join anew. `Io`: the disk refused. A failed write or sync is final: what is on disk
 * is unknown until the member is started again.
 *
 * @category errors
 * @since 0.1.0
 */
export class RaftStorageError extends RaftStorageErrorBase {
  override get message(): string {
    return this.reason === "Corrupt"
      ? `${this.path} is damaged: ${this.detail}. The member cannot trust it; remove its files and add it to the group anew`
      : `${this.path} cannot be read or written: ${this.detail}. The member stops; it may be started again when the disk works`
  }
}

const NoSerialBase: ErrorOf<NoSerial, "NoSerial", {
  readonly serial: typeof Schema.Int
  readonly first: typeof Schema.Int
  readonly last: typeof Schema.Int
}> = Schema.TaggedError<NoSerial>()("NoSerial", { serial: Schema.Int, first: Schema.Int, last: Schema.Int })

/**
 * A record that is not there: it has not been appended yet, or is too old. `first` to `last` are there; `last` is smaller
 * than `first` when there are none.
 *
 * @category errors
 * @since 0.1.0
 */
export class NoSerial extends NoSerialBase {
  override get message(): string {
    const there = this.last < this.first ? "there is none yet" : `there are ${this.first} to ${this.last}`
    return `there is no record ${this.serial}: ${there}`
  }
}
