/**
 * The exports map of `package.json`, derived from the folders of `src`.
 *
 * `npm run exports` writes it; `test/project/Exports.test.ts` fails when it was forgotten. One entry per folder that has
 * an `index.ts`, one pattern for single modules, and `null` for everything that is private: two stars in a key mean
 * nothing to Node, hence a line per folder for its internals.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"

/** The conditions of one public entry. */
export interface Entry {
  readonly "effect-otp-source": string
  readonly types: string
  readonly default: string
}

/** An exports map: public entries, the package file, and `null` for what is closed. */
export type ExportsMap = Record<string, Entry | string | null>

const entry = (module: string): Entry => ({
  "effect-otp-source": `./src/${module}.ts`,
  types: `./build/${module}.d.ts`,
  default: `./build/${module}.js`
})

/** The map for these top-level folders of `src`, in the order given; `""` stands for `src/index.ts`. */
export const exportsOf = (folders: ReadonlyArray<string>): ExportsMap => {
  const map: ExportsMap = { "./package.json": "./package.json" }
  for (const folder of folders) {
    map[folder === "" ? "." : `./${folder}`] = entry(folder === "" ? "index" : `${folder}/index`)
  }
  map["./*"] = entry("*")
  map["./index"] = null
  map["./*/index"] = null
  map["./internal/*"] = null
  // The command line is a program: it is run, not imported.
  map["./cli/*"] = null
  for (const folder of folders) {
    if (folder !== "") map[`./${folder}/internal/*`] = null
  }
  return map
}

/** What a key of the map would expose from `src`: folders with an `index.ts`, `""` first, then by name. */
export const publicFolders = (src: string): Array<string> => {
  const folders = Fs.readdirSync(src, { withFileTypes: true })
    .filter((item) => item.isDirectory() && Fs.existsSync(Path.join(src, item.name, "index.ts")))
    .map((item) => item.name)
    .toSorted()
  return Fs.existsSync(Path.join(src, "index.ts")) ? ["", ...folders] : folders
}

/** Folders of `src` that hold sources but no `index.ts`; only `cli`, which is a program, may be one. */
export const foldersWithoutIndex = (src: string): Array<string> =>
  Fs.readdirSync(src, { withFileTypes: true })
    .filter((item) =>
      item.isDirectory() && item.name !== "cli" && item.name !== "internal" &&
      !Fs.existsSync(Path.join(src, item.name, "index.ts")) &&
      Fs.readdirSync(Path.join(src, item.name), { recursive: true }).some((file) => String(file).endsWith(".ts"))
    )
    .map((item) => item.name)
    .toSorted()

if (import.meta.main) {
  const root = Path.dirname(Path.dirname(fileURLToPath(import.meta.url)))
  const file = Path.join(root, "package.json")
  const manifest = JSON.parse(Fs.readFileSync(file, "utf8")) as Record<string, unknown>
  const missing = foldersWithoutIndex(Path.join(root, "src"))
  if (missing.length > 0) {
    console.error(`These folders of src have no index.ts and are left out of the exports map: ${missing.join(", ")}`)
  }
  manifest["exports"] = exportsOf(publicFolders(Path.join(root, "src")))
  Fs.writeFileSync(file, `${JSON.stringify(manifest, undefined, 2)}\n`)
}
