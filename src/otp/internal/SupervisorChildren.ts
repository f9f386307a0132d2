/**
 * The children of one supervisor, found by id, by process and by number.
 *
 * Guarantees: static children keep their place in start order over any number of restarts; finding, attaching, marking
 * and removing a child are O(1); the number of significant children that are not down is always at hand. A dynamic
 * child that waits for its restart stays known under its last process, as in OTP.
 *
 * The arguments of a temporary child are let go once it runs.
 *
 * Refuses to decide anything: when a child is started, stopped or forgotten is for the core.
 *
 * @since 0.1.0
 */
import type { ChildInfo, ChildStatus, Counts, ExitClass, Offender, Types } from "./SupervisorProtocol.ts"
import type { ChildSpec } from "./SupervisorSpec.ts"

/**
 * One child. `exit` is set between the arrival of its exit signal and its handling; `attempt` is the number of the
 * restart attempt that is under way or comes next, 0 before the first; `why` is the reason of that attempt, set while it
 * is awaited.
 *
 * @since 0.1.0
 */
export interface Child<T extends Types> {
  readonly number: number
  readonly spec: ChildSpec<T["Start"]>
  args: T["Args"] | undefined
  status: ChildStatus
  key: T["Key"] | undefined
  exit: { readonly exitClass: ExitClass; readonly reason: T["Reason"] } | undefined
  attempt: number
  why: T["Reason"] | undefined
  upSince: number
}

/** @since 0.1.0 */
export class Children<T extends Types> {
  /** How many significant children run or wait for their restart. */
  significant = 0
  private readonly dynamic: boolean
  private readonly byId = new Map<string, Child<T>>()
  private readonly byKey = new Map<T["Key"], Child<T>>()
  private readonly waiting = new Map<number, Child<T>>()
  private numbers = 0

  constructor(dynamic: boolean) {
    this.dynamic = dynamic
  }

  /** A child that is not in the table yet. */
  make(spec: ChildSpec<T["Start"]>, args: T["Args"] | undefined): Child<T> {
    return {
      number: ++this.numbers,
      spec,
      args,
      status: "down",
      key: undefined,
      exit: undefined,
      attempt: 0,
      why: undefined,
      upSince: 0
    }
  }

  /** Puts a static child behind all others. A dynamic one appears when it is attached to its process. */
  insert(child: Child<T>): void {
    if (!this.dynamic) this.byId.set(child.spec.id, child)
  }

  /** The child runs as this process. */
  attach(child: Child<T>, key: T["Key"], nowMillis: number): void {
    this.leave(child)
    child.status = "running"
    child.key = key
    child.exit = undefined
    child.why = undefined
    child.upSince = nowMillis
    // Never started again: its arguments, and what they hold on to, are not needed any more.
    if (child.spec.restart === "temporary") child.args = undefined
    this.byKey.set(key, child)
    if (child.spec.significant) this.significant++
  }

  /** The child has no process and waits for its next restart attempt, for this reason. */
  restarting(child: Child<T>, why: T["Reason"]): void {
    this.leave(child)
    child.status = "restarting"
    child.exit = undefined
    child.why = why
    this.waiting.set(child.number, child)
    if (this.dynamic) this.byKey.set(child.key, child)
    if (child.spec.significant) this.significant++
  }

  /** The child has no process. A temporary or dynamic one is forgotten with it. */
  down(child: Child<T>): void {
    this.leave(child)
    child.status = "down"
    child.exit = undefined
    child.why = undefined
    child.key = undefined
    if (child.spec.restart === "temporary") this.byId.delete(child.spec.id)
  }

  /** Forgets a static child that is down. */
  remove(child: Child<T>): void {
    this.byId.delete(child.spec.id)
  }

  has(child: Child<T>): boolean {
    return this.byId.get(child.spec.id) === child
  }

  find(id: string): Child<T> | undefined {
    return this.byId.get(id)
  }

  /** The child that is, or while it waits for its restart was, this process. */
  findProcess(key: T["Key"]): Child<T> | undefined {
    return this.byKey.get(key)
  }

  findWaiting(number: number): Child<T> | undefined {
    return this.waiting.get(number)
  }

  /** How many children there are: specifications, or dynamic children with those that wait for their restart. */
  get size(): number {
    return this.dynamic ? this.byKey.size : this.byId.size
  }

  /** All children in start order. */
  all(): Array<Child<T>> {
    return Array.from(this.dynamic ? this.byKey.values() : this.byId.values())
  }

  /** The static children from this one on, in start order. */
  from(child: Child<T>): Array<Child<T>> {
    const found: Array<Child<T>> = []
    for (const other of this.byId.values()) {
      if (other === child || found.length > 0) found.push(other)
    }
    return found
  }

  /** All children, the newest first. */
  which(): Array<ChildInfo<T>> {
    return this.all().reverse().map((child) => ({
      id: this.dynamic ? undefined : child.spec.id,
      key: child.status === "running" ? child.key : undefined,
      status: child.status,
      type: child.spec.type
    }))
  }

  /** OTP's counts; `template` is the specification of a dynamic supervisor's children. */
  counts(template: ChildSpec<T["Start"]> | undefined): Counts {
    if (template !== undefined) {
      const size = this.byKey.size
      const supervisors = template.type === "supervisor" ? size : 0
      return { specs: 1, active: size - this.waiting.size, supervisors, workers: size - supervisors }
    }
    let active = 0
    let supervisors = 0
    for (const child of this.byId.values()) {
      if (child.status === "running" && child.exit === undefined) active++
      if (child.spec.type === "supervisor") supervisors++
    }
    return { specs: this.byId.size, active, supervisors, workers: this.byId.size - supervisors }
  }

  private leave(child: Child<T>): void {
    if (child.status === "down") return
    if (child.spec.significant) this.significant--
    if (child.status === "restarting") this.waiting.delete(child.number)
    if (child.status === "running" || this.dynamic) this.byKey.delete(child.key)
  }
}

/**
 * The child as a report shows it.
 *
 * @since 0.1.0
 */
export const offender = <T extends Types>(child: Child<T>): Offender<T> => ({
  spec: child.spec,
  args: child.args,
  key: child.key
})

/**
 * Whether a child that was told to stop ended as it should. A permanent child must do exactly what it was told; others
 * may also end by themselves in an orderly way.
 *
 * @since 0.1.0
 */
export const stoppedAsTold = (spec: ChildSpec<unknown>, exitClass: ExitClass): boolean => {
  if (exitClass === (spec.shutdown === "brutal_kill" ? "killed" : "shutdown")) return true
  return spec.restart !== "permanent" &&
    (exitClass === "normal" || exitClass === "shutdown" || exitClass === "shutdownDetail")
}
