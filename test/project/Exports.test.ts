/**
 * The exports map and the folders of `src` agree in both directions, and what is private stays closed.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { exportsOf, foldersWithoutIndex, publicFolders } from "../../scripts/exports.ts"
import { read, root } from "./Sources.ts"

const manifest = JSON.parse(read("package.json")) as { readonly exports: Record<string, unknown> }
const src = Path.join(root, "src")

/** The folders that a map opens, `""` for the entry of the package. */
const foldersOf = (map: Record<string, unknown>): Array<string> =>
  Object.keys(map)
    .filter((key) => map[key] !== null && key !== "./package.json" && !key.includes("*"))
    .map((key) => key.slice(2))
    .toSorted()

describe("the exports map", () => {
  it("has every folder of src, and every folder it has exists", () => {
    assert.deepStrictEqual(foldersOf(manifest.exports), publicFolders(src).toSorted(), "run `npm run exports`")
  })

  it("leaves no folder of src without an index.ts", () => {
    assert.deepStrictEqual(foldersWithoutIndex(src), [])
  })

  it("is exactly what `npm run exports` writes, private folders closed", () => {
    assert.deepStrictEqual(manifest.exports, exportsOf(publicFolders(src)), "run `npm run exports`")
  })

  it("resolves to src under the condition effect-otp-source, and refuses what is private", async () => {
    for (const folder of publicFolders(src)) {
      const specifier = folder === "" ? "effect-otp" : `effect-otp/${folder}`
      const module = (await import(specifier)) as object
      assert.isAbove(Object.keys(module).length, 0, `${specifier} exports nothing`)
    }
  })
})

describe("the comparison of map and folders", () => {
  const withFolders = <A>(folders: Record<string, ReadonlyArray<string>>, use: (src: string) => A): A => {
    const folder = Fs.mkdtempSync(Path.join(Fs.realpathSync(Path.join(root, "node_modules")), ".exports-"))
    try {
      for (const [name, files] of Object.entries(folders)) {
        Fs.mkdirSync(Path.join(folder, name), { recursive: true })
        for (const file of files) Fs.writeFileSync(Path.join(folder, name, file), "export {}\n")
      }
      return use(folder)
    } finally {
      Fs.rmSync(folder, { recursive: true })
    }
  }

  it("sees a folder that was added and one that went", () => {
    withFolders({ "": ["index.ts"], otp: ["index.ts", "GenServer.ts"] }, (before) => {
      const map = exportsOf(publicFolders(before))
      assert.deepStrictEqual(foldersOf(map), ["", "otp"])
      withFolders({ "": ["index.ts"], otp: ["index.ts"], stage: ["index.ts"] }, (after) => {
        assert.notDeepEqual(foldersOf(map), publicFolders(after).toSorted())
      })
      withFolders({ "": ["index.ts"] }, (after) => {
        assert.notDeepEqual(foldersOf(map), publicFolders(after).toSorted())
      })
    })
  })

  it("sees a folder without an index.ts, except the command line", () => {
    withFolders({ raft: ["Log.ts"], cli: ["main.ts"], empty: [] }, (folder) => {
      assert.deepStrictEqual(foldersWithoutIndex(folder), ["raft"])
    })
  })
})
