/**
 * Removes folders of the repository by name (`node scripts/clean.ts build`), on any operating system. Only what git
 * ignores may be named.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"

const root = Path.dirname(Path.dirname(fileURLToPath(import.meta.url)))
const removable = ["build", ".cache", "coverage"]

for (const name of process.argv.slice(2)) {
  if (!removable.includes(name)) throw new Error(`clean: "${name}" is not one of ${removable.join(", ")}`)
  Fs.rmSync(Path.join(root, name), { recursive: true, force: true })
}
