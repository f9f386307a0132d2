/**
 * A case of supervision: a tree, and what is done to it; and the trace of what then happened.
 *
 * The same case can be run by the model, by the pure core in a simulated tree, by the real runtime and by Erlang's own
 * `supervisor`. Each gives a trace in the same words, so that traces are compared line by line.
 */

/**
 * How a process ended. `detail` is `{shutdown, detail}`, `failed:<id>` that a supervisor could not start this child.
 */
export type Reason = "normal" | "shutdown" | "detail" | "error" | "killed" | `failed:${string}`

export type Restart = "permanent" | "transient" | "temporary"
export type Shutdown = number | "infinity" | "brutal_kill"

/** What a worker does when it is told to shut down; `refuse` waits to be killed. */
export type OnShutdown = "obey" | "normal" | "detail" | "crash" | "refuse"

export interface WorkerNode {
  readonly kind: "worker"
  readonly id: string
  readonly restart: Restart
  readonly shutdown: Shutdown
  readonly significant: boolean
  readonly onShutdown: OnShutdown
}

/**
 * A supervisor. With `simple_one_for_one` its only child is the template, and instances are named by `startDynamic`.
 */
export interface SupervisorNode {
  readonly kind: "supervisor"
  readonly id: string
  readonly restart: Restart
  readonly shutdown: Shutdown
  readonly significant: boolean
  readonly strategy: "one_for_one" | "one_for_all" | "rest_for_one" | "simple_one_for_one"
  readonly intensity: number
  readonly periodMillis: number
  readonly autoShutdown: "never" | "any_significant" | "all_significant"
  readonly children: ReadonlyArray<Node>
}

export type Node = WorkerNode | SupervisorNode

/** The next `count` starts of a worker fail, or are ignored. A later plan for the same worker replaces this one. */
export interface Plan {
  readonly kind: "plan"
  readonly target: string
  readonly outcome: "error" | "ignore"
  readonly count: number
}

/**
 * One thing done to the tree, at rest; then the tree comes to rest again.
 *
 * - `crash`: these workers of one supervisor end with this reason, in this order, before their supervisor notices any.
 * - `kill`: a supervisor is killed.
 * - `advance`: time passes.
 * - `plan`: see {@link Plan}.
 * - `stranger`: a supervisor gets an exit signal from a process that is not its parent.
 * - `stop`: the parent of the root exits.
 * - the rest: administration calls to a supervisor.
 *
 * A fault whose target does not live is skipped.
 */
export type Fault =
  | { readonly kind: "crash"; readonly targets: ReadonlyArray<string>; readonly reason: Reason }
  | { readonly kind: "kill"; readonly target: string }
  | { readonly kind: "advance"; readonly millis: number }
  | Plan
  | { readonly kind: "stranger"; readonly target: string; readonly reason: Reason }
  | { readonly kind: "stop"; readonly reason: Reason }
  | { readonly kind: "terminate" | "restart" | "delete"; readonly parent: string; readonly target: string }
  | { readonly kind: "start"; readonly parent: string; readonly child: WorkerNode }
  | { readonly kind: "startDynamic"; readonly parent: string; readonly name: string }

export interface Case {
  readonly seed: number
  readonly root: SupervisorNode
  /** What the starts of workers do from the beginning, before the tree is started. */
  readonly plans: ReadonlyArray<Plan>
  readonly faults: ReadonlyArray<Fault>
}

/**
 * What happened in one step: in order what started, stopped, was reported and answered; then, in alphabetical order
 * because nobody promises an order, what happened to the processes below a killed supervisor; then the tree at rest.
 */
export interface Step {
  readonly fault: string
  readonly lines: ReadonlyArray<string>
  readonly orphans: ReadonlyArray<string>
  readonly tree: ReadonlyArray<string>
}

/** The first step is the start of the tree. `end` is how the root ended, if it did; later faults are not done. */
export interface Trace {
  readonly steps: ReadonlyArray<Step>
  readonly end: Reason | undefined
}

/** The words of a fault, for the reader and as the head of its step. */
export const showFault = (fault: Fault): string => {
  switch (fault.kind) {
    case "crash":
      return `crash ${fault.targets.join(",")} ${fault.reason}`
    case "kill":
      return `kill ${fault.target}`
    case "advance":
      return `advance ${fault.millis}`
    case "plan":
      return `plan ${fault.target} ${fault.outcome} ${fault.count}`
    case "stranger":
      return `stranger ${fault.target} ${fault.reason}`
    case "stop":
      return `stop ${fault.reason}`
    case "start":
      return `start ${fault.parent} ${fault.child.id}`
    case "startDynamic":
      return `start ${fault.parent} ${fault.name}`
    default:
      return `${fault.kind} ${fault.parent} ${fault.target}`
  }
}

/**
 * Children of a `simple_one_for_one` supervisor stop all at once, in no promised order: runs of lines about them are
 * sorted. Applied by every runner to the lines of a step.
 */
export const sortTogether = (lines: ReadonlyArray<string>): Array<string> => {
  const kind = (line: string): string | undefined =>
    /^stop (\S+)\.\d+ /.exec(line)?.[1] ?? /^(report \S+ shutdown_error) \S+ \S+\*/.exec(line)?.[1]
  const sorted: Array<string> = []
  let run: Array<string> = []
  let running: string | undefined
  const flush = () => sorted.push(...run.splice(0).sort())
  for (const line of lines) {
    const next = kind(line)
    if (next !== running || next === undefined) flush()
    running = next
    run.push(line)
  }
  flush()
  return sorted
}

/** A trace as text, for failure messages. */
export const showTrace = (trace: Trace): string =>
  trace.steps.flatMap((step) => [
    `> ${step.fault}`,
    ...step.lines.map((line) => `    ${line}`),
    ...step.orphans.map((line) => `    (orphan) ${line}`),
    ...step.tree.map((line) => `  = ${line}`)
  ]).concat(trace.end === undefined ? [] : [`end ${trace.end}`]).join("\n")
