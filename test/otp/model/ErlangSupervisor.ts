/**
 * Runs cases of supervision with Erlang's own `supervisor`, in one Erlang node for all of them.
 *
 * The cases go in as Erlang terms, the traces come back as lines: `C seed`, `> step`, then `L`, `O` and `T` lines of
 * the step, and `E reason` when the root ended.
 */
import { execFileSync, spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import {
  type Case,
  type Fault,
  type Node,
  type Reason,
  showFault,
  sortTogether,
  type Step,
  type Trace
} from "./SupervisionCase.ts"

const source = fileURLToPath(new URL("./erlang/supervision_cases.erl", import.meta.url))

/** Whether Erlang and its compiler are installed. */
export const hasErlang = (): boolean =>
  spawnSync("erl", ["-noshell", "-eval", "halt(0)."], { stdio: "ignore" }).status === 0 &&
  spawnSync("erlc", [], { stdio: "ignore" }).error === undefined

const atom = (name: string): string => `'${name}'`

const showNode = (node: Node): string => {
  const common = `${node.kind}, ${atom(node.id)}, ${node.restart}, ${node.shutdown}, ${node.significant}`
  if (node.kind === "worker") return `{${common}, ${node.onShutdown}}`
  const children = node.children.map(showNode).join(", ")
  return `{${common}, ${node.strategy}, ${node.intensity}, ${
    node.periodMillis / 1000
  }, ${node.autoShutdown}, [${children}]}`
}

const showTerm = (fault: Fault): string => {
  switch (fault.kind) {
    case "crash":
      return `{crash, [${fault.targets.map(atom).join(", ")}], ${fault.reason}}`
    case "kill":
      return `{kill, ${atom(fault.target)}}`
    case "advance":
      return `{advance, ${fault.millis / 1000}}`
    case "plan":
      return `{plan, ${atom(fault.target)}, ${fault.outcome}, ${fault.count}}`
    case "stranger":
      return `{stranger, ${atom(fault.target)}, ${fault.reason}}`
    case "stop":
      return `{stop, ${fault.reason}}`
    case "start":
      return `{start, ${atom(fault.parent)}, ${showNode(fault.child)}}`
    case "startDynamic":
      return `{start_dynamic, ${atom(fault.parent)}, ${atom(fault.name)}}`
    default:
      return `{${fault.kind}, ${atom(fault.parent)}, ${atom(fault.target)}}`
  }
}

const showCase = (input: Case): string =>
  `{'case', ${input.seed}, ${showNode(input.root)}, [${input.plans.map(showTerm).join(", ")}], [${
    input.faults.map(showTerm).join(", ")
  }]}.\n`

const parse = (input: Case, text: ReadonlyArray<string>): Trace => {
  const steps: Array<{ fault: string; lines: Array<string>; orphans: Array<string>; tree: Array<string> }> = []
  let end: Reason | undefined
  for (const line of text) {
    const rest = line.slice(2)
    const step = steps.at(-1)
    switch (line[0]) {
      case ">": {
        const at = Number(rest)
        steps.push({ fault: at === 0 ? "start" : showFault(input.faults[at - 1]!), lines: [], orphans: [], tree: [] })
        break
      }
      case "L":
        step!.lines.push(rest)
        break
      case "O":
        step!.orphans.push(rest)
        break
      case "T":
        step!.tree.push(rest)
        break
      case "E":
        end = rest as Reason
    }
  }
  const sorted = steps.map((step): Step => ({ ...step, lines: sortTogether(step.lines), orphans: step.orphans.sort() }))
  return { steps: sorted, end }
}

/** The traces of these cases, in their order. Periods and delays must be whole seconds. */
export const runErlang = (cases: ReadonlyArray<Case>): Array<Trace> => {
  const directory = mkdtempSync(join(tmpdir(), "effect-otp-supervision-"))
  try {
    const input = join(directory, "cases")
    const output = join(directory, "traces")
    writeFileSync(input, cases.map(showCase).join(""))
    execFileSync("erlc", ["-o", directory, source], { stdio: "inherit" })
    const args = ["+S", "1:1", "-noshell", "-pa", directory, "-run", "supervision_cases", "main", input, output]
    // `-run` passes strings to main/1 as one list.
    execFileSync("erl", args, { stdio: "inherit", cwd: directory, timeout: 120_000 })
    const chunks = readFileSync(output, "utf8").split(/^C .*\n/m).slice(1)
    return cases.map((item, index) => parse(item, (chunks[index] ?? "").split("\n").filter((line) => line !== "")))
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
