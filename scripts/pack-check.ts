/**
 * Looks at the package as users get it: packs it, and unpacks it into a project outside the repository that has `effect` and
 * nothing else. Run by `npm run pack:check` after a build. Refuses
 *
 * - files that are none of a user's business (tests, benchmarks, fixtures) and source maps over 1 MiB;
 * - entries of the exports map that do not load or do not compile there, and private files that do;
 * - declarations that need Node's types, except in files for Node;
 * - a build that gives other bytes when it is done again.
 */
import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"

const root = Path.dirname(Path.dirname(fileURLToPath(import.meta.url)))
const problems: Array<string> = []
const manifest = JSON.parse(Fs.readFileSync(Path.join(root, "package.json"), "utf8")) as {
  readonly name: string
  readonly exports: Record<string, Record<string, string> | string | null>
}

const run = (command: string, args: ReadonlyArray<string>, cwd: string): { ok: boolean; out: string } => {
  const result = spawnSync(command, args, { cwd, encoding: "utf8", maxBuffer: 1 << 28 })
  return { ok: result.status === 0, out: `${result.stdout}${result.stderr}` }
}

const tsc = Path.join(root, "node_modules/typescript/bin/tsc")
const must = (what: string, result: { ok: boolean; out: string }): void => {
  if (!result.ok) throw new Error(`${what}:\n${result.out}`)
}

const filesIn = (folder: string): Array<string> =>
  Fs.readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((item) => item.isFile())
    .map((item) => Path.relative(folder, Path.join(item.parentPath, item.name)).split(Path.sep).join("/"))
    .toSorted()

const isForNode = (file: string): boolean => /^Node[A-Z]/.test(Path.basename(file))

const checkContents = (folder: string): void => {
  const allowed = /^(?:src\/|build\/|package\.json$|README\.md$|LICENSE$|AGENTS\.md$|CHANGELOG\.md$)/
  const files = filesIn(folder)
  for (const file of files) {
    if (!allowed.test(file)) problems.push(`${file} does not belong in the package`)
    if (/\.(?:test|fixture|bench)\.|\.tsbuildinfo$/.test(file)) problems.push(`${file} is not for users`)
    const path = Path.join(folder, file)
    if (file.endsWith(".map") && Fs.statSync(path).size > 1 << 20) problems.push(`${file} is larger than 1 MiB`)
    if (file.endsWith(".d.ts") && !isForNode(file) && !file.startsWith("build/cli/")) {
      const text = Fs.readFileSync(path, "utf8")
      if (/types="node"|from "node:|import\("node:|\bNodeJS\./.test(text.replaceAll(/\/\*[\s\S]*?\*\//g, ""))) {
        problems.push(`${file} needs Node's types`)
      }
    }
  }
  for (const required of ["package.json", "README.md", "LICENSE", "AGENTS.md", "CHANGELOG.md"]) {
    if (!files.includes(required)) problems.push(`${required} is missing`)
  }
}

const checkConsumer = (folder: string): void => {
  const specifiers = Object.entries(manifest.exports)
    .filter(([key, target]) => target !== null && typeof target === "object" && !key.includes("*"))
    .map(([key]) => manifest.name + key.slice(1))
  const closed = filesIn(Path.join(root, "src"))
    .filter((file) => file.includes("internal/") && file.endsWith(".ts"))
    .map((file) => `${manifest.name}/${file.slice(0, -".ts".length)}`)
  Fs.writeFileSync(Path.join(folder, "package.json"), JSON.stringify({ type: "module", private: true }))
  Fs.writeFileSync(
    Path.join(folder, "main.ts"),
    specifiers.map((name, index) => `import * as M${index} from "${name}"; export { M${index} }\n`).join("")
  )
  Fs.writeFileSync(
    Path.join(folder, "tsconfig.json"),
    JSON.stringify({
      compilerOptions: {
        strict: true,
        module: "NodeNext",
        target: "ES2022",
        lib: ["ES2023", "DOM", "DOM.Iterable"],
        types: [],
        noEmit: true
      },
      files: ["main.ts"]
    })
  )
  const compiled = run(process.execPath, [tsc, "-p", folder, "--pretty", "false"], folder)
  if (!compiled.ok) problems.push(`the package does not compile in a project of its own:\n${compiled.out}`)
  Fs.writeFileSync(
    Path.join(folder, "main.mjs"),
    `let failed = false
const fail = (text) => { failed = true; console.log(text) }
for (const name of ${JSON.stringify(specifiers)}) {
  const keys = await import(name).then((module) => Object.keys(module), (cause) => fail(name + " does not load: " + cause))
  if (keys?.length === 0) fail(name + " exports nothing")
}
for (const name of ${JSON.stringify(closed)}) {
  await import(name).then(
    () => fail(name + " is private and can be imported"),
    (cause) => cause.code === "ERR_PACKAGE_PATH_NOT_EXPORTED" || fail(name + ": " + cause)
  )
}
process.exit(failed ? 1 : 0)
`
  )
  const ran = run(process.execPath, ["main.mjs"], folder)
  if (!ran.ok) problems.push(ran.out.trim())
  console.log(`pack-check: ${specifiers.length} entries load and compile, ${closed.length} private files are closed`)
}

const checkReproducible = (folder: string): void => {
  const again = Path.join(folder, "build-again")
  must("second build", run(process.execPath, [tsc, "-p", "tsconfig.build.json", "--outDir", again], root))
  const first = filesIn(Path.join(root, "build"))
  const second = filesIn(again)
  if (first.join() !== second.join()) problems.push("a second build has other files")
  for (const file of first.filter((item) => second.includes(item))) {
    // A source map names its sources relative to where it lies.
    if (file.endsWith(".map")) continue
    if (!Fs.readFileSync(Path.join(root, "build", file)).equals(Fs.readFileSync(Path.join(again, file)))) {
      problems.push(`a second build gives another ${file}`)
    }
  }
}

const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-otp-pack-"))
try {
  must("npm pack", run("npm", ["pack", "--silent", "--ignore-scripts", "--pack-destination", folder], root))
  const tarball = Fs.readdirSync(folder).find((file) => file.endsWith(".tgz"))
  if (tarball === undefined) throw new Error("npm pack left no tarball")
  const modules = Path.join(folder, "node_modules")
  Fs.mkdirSync(Path.join(modules, manifest.name), { recursive: true })
  const installed = Path.join(modules, manifest.name)
  must("tar", run("tar", ["-xzf", Path.join(folder, tarball), "--strip-components=1", "-C", installed], folder))
  Fs.symlinkSync(Fs.realpathSync(Path.join(root, "node_modules/effect")), Path.join(modules, "effect"), "dir")
  checkContents(installed)
  checkConsumer(folder)
  checkReproducible(folder)
} finally {
  Fs.rmSync(folder, { recursive: true, force: true })
}

for (const problem of problems) console.error(`pack-check: ${problem}`)
if (problems.length > 0) process.exit(1)
