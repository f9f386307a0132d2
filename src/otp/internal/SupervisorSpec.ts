/**
 * What a supervisor is told to do: its strategy and limits, and the specification of each child.
 *
 * Guarantees: a {@link SupervisorSpec} that came out of {@link validate} obeys all of OTP's rules (unique ids, sane
 * numbers, significant children only where they have a meaning), and every default is filled in. All times are numbers
 * of milliseconds.
 *
 * Refuses to know how a child is started: `start` is opaque and handed back in the action that asks for the start.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { InvalidSupervisorSpec, type Problem } from "./SupervisorError.ts"

/**
 * Who is restarted with a child that ended. `simple_one_for_one` has any number of children made from one template.
 *
 * @category models
 * @since 0.1.0
 */
export type Strategy = "one_for_one" | "one_for_all" | "rest_for_one" | "simple_one_for_one"

/**
 * When a child is restarted: always, after an abnormal end, never.
 *
 * @category models
 * @since 0.1.0
 */
export type Restart = "permanent" | "transient" | "temporary"

/**
 * How a child is stopped: at once, or with a request and this many milliseconds of patience before it is killed.
 *
 * @category models
 * @since 0.1.0
 */
export type Shutdown = number | "infinity" | "brutal_kill"

/**
 * Whether the end of significant children ends the supervisor.
 *
 * @category models
 * @since 0.1.0
 */
export type AutoShutdown = "never" | "any_significant" | "all_significant"

/**
 * The complete specification of a child.
 *
 * @category models
 * @since 0.1.0
 */
export interface ChildSpec<out S> {
  readonly id: string
  readonly start: S
  readonly restart: Restart
  readonly shutdown: Shutdown
  readonly type: "worker" | "supervisor"
  readonly significant: boolean
}

/**
 * A child as it is written down. Defaults: `permanent`, 5 s for a worker and `infinity` for a supervisor, `worker`, not
 * significant.
 *
 * @category models
 * @since 0.1.0
 */
export interface ChildOptions<out S> {
  readonly id: string
  readonly start: S
  readonly restart?: Restart | undefined
  readonly shutdown?: Shutdown | undefined
  readonly type?: "worker" | "supervisor" | undefined
  readonly significant?: boolean | undefined
}

/**
 * Delayed restarts. `resetAfterMillis` is how long a child must have run for its next restart to count as the first
 * attempt again.
 *
 * @category models
 * @since 0.1.0
 */
export interface Backoff {
  readonly resetAfterMillis: number
}

/**
 * The complete specification of a supervisor.
 *
 * @category models
 * @since 0.1.0
 */
export interface SupervisorSpec<out S> {
  readonly strategy: Strategy
  readonly intensity: number
  readonly periodMillis: number
  readonly autoShutdown: AutoShutdown
  readonly maxChildren: number
  readonly backoff: Backoff | undefined
  readonly children: ReadonlyArray<ChildSpec<S>>
}

/**
 * A supervisor as it is written down. Defaults are OTP's: `one_for_one`, one restart in five seconds, `never`; any
 * number of children; no back-off. With `backoff`, `resetAfterMillis` defaults to the period.
 *
 * @category models
 * @since 0.1.0
 */
export interface SupervisorOptions<out S> {
  readonly strategy?: Strategy | undefined
  readonly intensity?: number | undefined
  readonly periodMillis?: number | undefined
  readonly autoShutdown?: AutoShutdown | undefined
  readonly maxChildren?: number | undefined
  readonly backoff?: { readonly resetAfterMillis?: number | undefined } | undefined
  readonly children: ReadonlyArray<ChildOptions<S>>
}

/**
 * Fills in the defaults of a supervisor and checks it, its flags before its children, the children in order.
 *
 * @category constructors
 * @since 0.1.0
 */
export const validate = <S>(
  options: SupervisorOptions<S>
): Result.Result<SupervisorSpec<S>, InvalidSupervisorSpec> => {
  const strategy = options.strategy ?? "one_for_one"
  const intensity = options.intensity ?? 1
  const periodMillis = options.periodMillis ?? 5000
  const autoShutdown = options.autoShutdown ?? "never"
  const maxChildren = options.maxChildren ?? Number.POSITIVE_INFINITY
  const resetAfterMillis = options.backoff?.resetAfterMillis ?? periodMillis
  const dynamic = strategy === "simple_one_for_one"
  if (!strategies.has(strategy)) return invalid("InvalidStrategy", undefined, strategy)
  if (!isCount(intensity)) return invalid("InvalidIntensity", undefined, intensity)
  if (!(periodMillis > 0)) return invalid("InvalidPeriod", undefined, periodMillis)
  if (!autoShutdowns.has(autoShutdown)) return invalid("InvalidAutoShutdown", undefined, autoShutdown)
  if (options.maxChildren !== undefined && !(dynamic && (isCount(maxChildren) || maxChildren === Infinity))) {
    return invalid("InvalidMaxChildren", undefined, maxChildren)
  }
  if (!(resetAfterMillis >= 0)) return invalid("InvalidResetAfter", undefined, resetAfterMillis)
  if (dynamic && options.children.length !== 1) {
    return invalid("InvalidTemplate", undefined, `${options.children.length} child specifications`)
  }
  const ids = new Set<string>()
  const children: Array<ChildSpec<S>> = []
  for (const child of options.children) {
    const checked = validateChild(child, autoShutdown)
    if (Result.isFailure(checked)) return Result.fail(checked.failure)
    if (ids.has(child.id)) return invalid("DuplicateId", child.id, child.id)
    ids.add(child.id)
    children.push(checked.success)
  }
  const backoff = options.backoff === undefined ? undefined : { resetAfterMillis }
  return Result.succeed({ strategy, intensity, periodMillis, autoShutdown, maxChildren, backoff, children })
}

/**
 * Fills in the defaults of one child and checks it. Whether its id is free is for the caller to know.
 *
 * @category constructors
 * @since 0.1.0
 */
export const validateChild = <S>(
  options: ChildOptions<S>,
  autoShutdown: AutoShutdown
): Result.Result<ChildSpec<S>, InvalidSupervisorSpec> => {
  const { id, start } = options
  const restart = options.restart ?? "permanent"
  const type = options.type ?? "worker"
  const shutdown = options.shutdown ?? (type === "supervisor" ? "infinity" : 5000)
  const significant = options.significant ?? false
  if (typeof id !== "string" || id === "") return invalid("MissingId", undefined, id)
  if (!restarts.has(restart)) return invalid("InvalidRestart", id, restart)
  if (typeof significant !== "boolean") return invalid("InvalidSignificant", id, significant)
  if (significant && autoShutdown === "never") return invalid("SignificantNever", id, autoShutdown)
  if (significant && restart === "permanent") return invalid("SignificantPermanent", id, restart)
  if (type !== "worker" && type !== "supervisor") return invalid("InvalidType", id, type)
  if (!isShutdown(shutdown)) return invalid("InvalidShutdown", id, shutdown)
  return Result.succeed({ id, start, restart, shutdown, type, significant })
}

const strategies: ReadonlySet<unknown> = new Set(["one_for_one", "one_for_all", "rest_for_one", "simple_one_for_one"])
const autoShutdowns: ReadonlySet<unknown> = new Set(["never", "any_significant", "all_significant"])
const restarts: ReadonlySet<unknown> = new Set(["permanent", "transient", "temporary"])

const isCount = (n: unknown): boolean => Number.isSafeInteger(n) && (n as number) >= 0

const isShutdown = (value: unknown): boolean =>
  value === "brutal_kill" || value === "infinity" || (typeof value === "number" && Number.isFinite(value) && value >= 0)

const invalid = (
  problem: Problem,
  child: string | undefined,
  value: unknown
): Result.Result<never, InvalidSupervisorSpec> => Result.fail(new InvalidSupervisorSpec({ problem, child, value }))
