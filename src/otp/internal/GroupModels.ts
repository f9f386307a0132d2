/**
 * What users of process groups see: names of groups, changes, errors.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import type { Pid } from "../../term/Pid.ts"
import type { Reference } from "../../term/Reference.ts"
import type { Term } from "../../term/Term.ts"
import type { ErrorOf } from "./SchemaClass.ts"

/**
 * The name of a group: a string or any term. A string travels as a binary; what Erlang calls `workers` is
 * `Atom.make("workers")`.
 *
 * @category models
 * @since 0.1.0
 */
export type Group = string | Term

const NotJoinedBase: ErrorOf<
  NotJoined,
  "NotJoined",
  { readonly group: typeof Schema.Unknown; readonly scope: typeof Schema.String }
> = Schema.TaggedError<NotJoined>()("NotJoined", { group: Schema.Unknown, scope: Schema.String })

/**
 * A process was to leave a group of which it is no member.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotJoined extends NotJoinedBase {
  /** What happened, and where. */
  override get message(): string {
    return `none of the processes is a member of the group ${
      String(this.group)
    } in the scope ${this.scope} (OTP_NOT_JOINED)`
  }
}

const NotLocalBase: ErrorOf<
  NotLocal,
  "NotLocal",
  { readonly pid: Schema.instanceOf<Pid>; readonly scope: typeof Schema.String }
> = Schema.TaggedError<NotLocal>()("NotLocal", {
  // It is told to the caller on this node, and never travels.
  pid: Schema.Unknown as unknown as Schema.instanceOf<Pid>,
  scope: Schema.String
})

/**
 * A process of another node was to join a group: only the scope of its own node can make it a member.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotLocal extends NotLocalBase {
  /** What happened, and what to do. */
  override get message(): string {
    return `${this.pid} is a process of ${this.pid.node}: it joins through the scope ${this.scope} there (OTP_NOT_LOCAL)`
  }
}

/**
 * A change of a group, as its monitors receive it.
 *
 * @category models
 * @since 0.1.0
 */
export class Change {
  readonly _tag = "Change" as const
  readonly ref: Reference
  readonly kind: "join" | "leave"
  readonly group: Group
  /** Once per membership that began or ended. */
  readonly pids: ReadonlyArray<Pid>

  constructor(ref: Reference, kind: "join" | "leave", group: Group, pids: ReadonlyArray<Pid>) {
    this.ref = ref
    this.kind = kind
    this.group = group
    this.pids = pids
  }
}
