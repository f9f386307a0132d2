/**
 * The import rule of the sources, as a pure function from a graph to its violations.
 *
 * Folders are ordered, and imports point to a lower group only:
 * `term < etf < process < otp < stage, saga, raft, net < dist, cluster < testing, observer, cli`.
 * Folders of one group do not see each other, except that `cli` is the program on top and may use the other two.
 * `x/internal` belongs to `x`. Modules of Node are for files called `NodeX.ts`. The lower four folders use stable modules
 * of Effect only. No file depends on itself through others, types aside. Modules that are named at run time are loaded in one
 * place.
 */
import { computed } from "./Sources.ts"

/** Groups of folders, lowest first. */
export const groups: ReadonlyArray<ReadonlyArray<string>> = [
  ["term"],
  ["etf"],
  ["process"],
  ["otp"],
  ["stage", "saga", "raft", "net"],
  ["dist", "cluster"],
  ["testing", "observer", "cli"]
]

/** The folders that may import only modules of Effect that are tagged stable. */
export const stableFolders: ReadonlyArray<string> = ["term", "etf", "process", "otp"]

/**
 * Files of those folders that adapt to an unstable module of Effect and are the only ones to import it. Each is reached
 * by its own subpath and not through `index.ts`, so that nobody loads the unstable module unasked.
 */
export const adapters: ReadonlyArray<string> = []

/** Libraries that are optional, and the one file that knows each. */
export const libraries: { readonly [specifier: string]: string } = {
  "@peculiar/x509": "src/cli/internal/NodeCertificates.ts",
  "reflect-metadata": "src/cli/internal/NodeCertificates.ts"
}

/** The one file that loads what its user names, at run time. */
export const loader = "src/cli/internal/NodeModule.ts"

/** One edge of the graph. */
export interface Edge {
  /** As written: `./Pid.ts`, `effect/Effect`, `node:fs`. */
  readonly specifier: string
  /** For a relative import, the file it resolves to, relative to the root; `undefined` when there is none. */
  readonly target?: string | undefined
  /** Whether nothing of it is left at run time. */
  readonly typeOnly: boolean
}

/** One file of `src` with all its imports. */
export interface File {
  /** Relative to the root: `src/term/Pid.ts`. */
  readonly path: string
  readonly imports: ReadonlyArray<Edge>
}

/** What the rule must know of the world outside the graph. */
export interface Environment {
  /** The stability tag of a module of Effect, by specifier; `undefined` when there is no such module. */
  readonly stabilityOf: (specifier: string) => string | undefined
}

const folderOf = (path: string): string => {
  const parts = path.split("/")
  return parts.length > 2 ? parts[1]! : ""
}

const groupOf = (folder: string): number => groups.findIndex((group) => group.includes(folder))

const isNodeFile = (path: string): boolean => /^Node[A-Z].*\.ts$/.test(path.slice(path.lastIndexOf("/") + 1))

const isNodeModule = (specifier: string): boolean =>
  specifier.startsWith("node:") || specifier === "@effect/platform-node" ||
  specifier.startsWith("@effect/platform-node/") || specifier.startsWith("@effect/platform-node-shared")

const relativeViolation = (file: File, edge: Edge): string | undefined => {
  if (!edge.specifier.endsWith(".ts")) return `${file.path}: "${edge.specifier}" has no .ts extension`
  if (edge.target === undefined) return `${file.path}: "${edge.specifier}" names no file`
  if (!edge.target.startsWith("src/")) return `${file.path}: ${edge.target} is outside src`
  const from = folderOf(file.path)
  const to = folderOf(edge.target)
  if (edge.target.includes("/internal/") && from !== to) {
    return `${file.path}: ${edge.target} is private to src/${to}`
  }
  // The files directly in src collect what is public; they stand above every folder.
  if (from === "") return undefined
  if (to === "") return `${file.path}: ${edge.target} is the entry of the package and imported by nothing`
  if (from === to || (from === "cli" && (to === "observer" || to === "testing"))) return undefined
  if (groupOf(to) < groupOf(from)) return undefined
  return `${file.path}: ${from} may not import ${to} (${edge.target})`
}

const packageViolation = (file: File, edge: Edge, environment: Environment): string | undefined => {
  const { specifier } = edge
  if (specifier === computed) {
    return file.path === loader
      ? undefined
      : `${file.path}: loads a module that is named at run time; only ${loader} does`
  }
  if (isNodeModule(specifier)) {
    return isNodeFile(file.path)
      ? undefined
      : `${file.path}: "${specifier}" is Node's own; only files called NodeX.ts import it`
  }
  if (specifier === "effect-otp" || specifier.startsWith("effect-otp/")) {
    return `${file.path}: "${specifier}" is this package; import the file by its relative path`
  }
  if (libraries[specifier] === file.path) return undefined
  if (specifier === "effect") return `${file.path}: import the module (effect/Effect), not "effect"`
  if (!specifier.startsWith("effect/")) return `${file.path}: "${specifier}" is not a dependency of the package`
  const stability = environment.stabilityOf(specifier)
  if (stability === undefined) return `${file.path}: "${specifier}" is no module of Effect with a stability tag`
  if (stableFolders.includes(folderOf(file.path)) && stability !== "stable" && !adapters.includes(file.path)) {
    return `${file.path}: "${specifier}" is ${stability}; ${folderOf(file.path)} uses stable modules of Effect only`
  }
  return undefined
}

/** The cycles among run-time imports, each as the path that returns to its start; one per group of entangled files. */
export const cyclesOf = (files: ReadonlyArray<File>): Array<ReadonlyArray<string>> => {
  const targets = new Map(files.map((file) => [
    file.path,
    file.imports.filter((edge) => !edge.typeOnly && edge.target !== undefined).map((edge) => edge.target!)
  ]))
  const cycles: Array<ReadonlyArray<string>> = []
  const done = new Set<string>()
  for (const start of targets.keys()) {
    if (done.has(start)) continue
    const parents = new Map<string, string>()
    const seen = new Set<string>()
    const waiting = [start]
    let closing: string | undefined
    while (waiting.length > 0 && closing === undefined) {
      const current = waiting.shift()!
      for (const target of targets.get(current) ?? []) {
        if (target === start) {
          closing = current
          break
        }
        if (!seen.has(target) && targets.has(target)) {
          seen.add(target)
          parents.set(target, current)
          waiting.push(target)
        }
      }
    }
    if (closing === undefined) continue
    const path = [closing]
    while (path[0] !== start) path.unshift(parents.get(path[0]!)!)
    for (const member of path) done.add(member)
    cycles.push([...path, start])
  }
  return cycles
}

/** Every violation of the rule, as sentences that name the file. Empty when the graph is in order. */
export const violationsOf = (files: ReadonlyArray<File>, environment: Environment): Array<string> => {
  const violations: Array<string> = []
  for (const file of files) {
    const folder = folderOf(file.path)
    if (folder !== "" && groupOf(folder) === -1) {
      violations.push(`${file.path}: src/${folder} has no place in the order of the folders`)
      continue
    }
    for (const edge of file.imports) {
      const violation = edge.specifier.startsWith(".")
        ? relativeViolation(file, edge)
        : packageViolation(file, edge, environment)
      if (violation !== undefined) violations.push(violation)
    }
  }
  for (const cycle of cyclesOf(files)) violations.push(`import cycle: ${cycle.join(" -> ")}`)
  return violations
}
