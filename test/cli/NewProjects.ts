/**
 * Projects as `effect-otp new` makes them, with what they depend on installed without a network: the packages of this
 * repository, and this one as it was built.
 */
import { Effect } from "effect"
import { execFile } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { root } from "../project/Sources.ts"
import { builtPackage, type Outcome } from "./Built.ts"

const modules = Path.join(root, "node_modules")

/** Installs what a project depends on, as its `npm install` would. */
export const install = (folder: string): Effect.Effect<void> =>
  Effect.map(builtPackage, (built) => {
    const target = Path.join(folder, "node_modules")
    Fs.mkdirSync(target)
    for (const name of Fs.readdirSync(modules)) {
      if (!name.startsWith(".") && name !== "effect-otp") {
        Fs.symlinkSync(Path.join(modules, name), Path.join(target, name))
      }
    }
    Fs.symlinkSync(built, Path.join(target, "effect-otp"))
  })

/** Runs a program of an installed package in a folder, for at most two minutes. */
export const tool = (program: string, args: ReadonlyArray<string>, folder: string): Effect.Effect<Outcome> =>
  Effect.callback((resume) => {
    const child = execFile(
      process.execPath,
      [Path.join(modules, program), ...args],
      // Not the environment of the tests that run now: the project's own must think that they are alone.
      { cwd: folder, encoding: "utf8", env: { PATH: process.env["PATH"], NO_COLOR: "1" }, timeout: 120_000 },
      (error, out, err) =>
        resume(
          Effect.succeed({ code: error === null ? 0 : typeof error.code === "number" ? error.code : -1, out, err })
        )
    )
    return Effect.sync(() => child.kill("SIGKILL"))
  })
