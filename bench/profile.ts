/**
 * Prints where the time of a CPU profile went: the functions with the most time of their own, and the files.
 *
 * ```
 * node --cpu-prof --cpu-prof-dir=DIR --expose-gc bench/main.ts local --only cast --no-erlang
 * npm run bench -- profile DIR/CPU.*.cpuprofile [--top 25]
 * ```
 *
 * @since 0.1.0
 */
import { readFile } from "node:fs/promises"
import { parseArgs } from "node:util"

interface CpuProfile {
  readonly nodes: ReadonlyArray<{
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }>
  readonly samples: ReadonlyArray<number>
  readonly timeDeltas: ReadonlyArray<number>
}

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { top: { type: "string", default: "25" } }
})

const shorten = (url: string): string => {
  const path = url.replace(/^file:\/\//, "")
  const at = Math.max(...["/node_modules/", "/src/", "/bench/"].map((folder) => path.lastIndexOf(folder)))
  return at < 0 ? path : path.slice(at + 1).replace("node_modules/", "")
}

const print = (title: string, times: ReadonlyMap<string, number>, total: number, top: number): void => {
  process.stdout.write(`\n${title}\n`)
  for (const [name, micros] of [...times].sort((a, b) => b[1] - a[1]).slice(0, top)) {
    process.stdout.write(`${(micros / total * 100).toFixed(1).padStart(6)} %  ${name}\n`)
  }
}

process.stdout.on("error", () => process.exit()) // the reader (head, less) has seen enough

for (const file of positionals) {
  const profile = JSON.parse(await readFile(file, "utf8")) as CpuProfile
  const frames = new Map(profile.nodes.map((node) => [node.id, node.callFrame]))
  const byFunction = new Map<string, number>()
  const byFile = new Map<string, number>()
  let total = 0
  profile.samples.forEach((id, i) => {
    const micros = profile.timeDeltas[i] ?? 0
    const frame = frames.get(id)
    if (frame === undefined || frame.functionName === "(idle)") return
    total += micros
    const where = frame.url === "" ? "(native)" : shorten(frame.url)
    const name = `${frame.functionName || "(anonymous)"}  ${where}:${frame.lineNumber + 1}`
    byFunction.set(name, (byFunction.get(name) ?? 0) + micros)
    byFile.set(where, (byFile.get(where) ?? 0) + micros)
  })
  process.stdout.write(`${file}: ${(total / 1000).toFixed(0)} ms busy\n`)
  print("functions, self time", byFunction, total, Number(values.top))
  print("files, self time", byFile, total, 12)
}
