/**
 * What a file of the user exports, loaded by Node.js, which strips the types of TypeScript itself.
 *
 * Refused: a file that uses another copy of this library than the command line does. What it makes would be strange to the
 * node that runs it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import { createRequire } from "node:module"
import { dirname, resolve } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { CommandError } from "./CommandError.ts"

const own = fileURLToPath(import.meta.resolve(import.meta.url.endsWith(".ts") ? "../../index.ts" : "../../index.js"))

const real = (path: string): Effect.Effect<string | undefined> =>
  Effect.orElseSucceed(Effect.try(() => Fs.realpathSync(path)), () => undefined)

/** The library as a file finds it; none when it finds none, which its own import will say. */
const libraryOf = (file: string): Effect.Effect<string | undefined> =>
  Effect.flatMap(
    Effect.orElseSucceed(Effect.try(() => createRequire(file).resolve("effect-otp")), () => undefined),
    (path) => path === undefined ? Effect.undefined : real(path)
  )

/** Where in its own file an error has happened, when it says so. */
const place = (error: Error, file: string): string => {
  const at = error.stack?.split("\n").find((line) => line.includes(file) || line.includes(pathToFileURL(file).href))
  return at === undefined ? "" : ` (${at.trim().replace(/^at /, "").replace("file://", "")})`
}

const failure = (file: string, cause: unknown): CommandError => {
  const error = cause instanceof Error ? cause : new Error(String(cause))
  const { code } = error as NodeJS.ErrnoException
  const missing = code === "ERR_MODULE_NOT_FOUND" && /'([^']+)'/.exec(error.message)?.[1]
  return new CommandError({
    reason: "Module",
    detail: typeof missing === "string"
      ? `${file} cannot be loaded: ${missing} is not there. Is it installed where the file is?`
      : `${file} cannot be loaded: ${error.message}${place(error, file)}`
  })
}

/** The value of `export default`; undefined when there is none. */
export const load = (path: string): Effect.Effect<unknown, CommandError> =>
  Effect.gen(function*() {
    const file = yield* real(resolve(path))
    if (file === undefined) {
      return yield* new CommandError({ reason: "Module", detail: `${path} is not there` })
    }
    const library = yield* libraryOf(file)
    if (library !== undefined && library !== (yield* real(own))) {
      return yield* new CommandError({
        reason: "OtherCopy",
        detail: `${path} uses the effect-otp in ${dirname(library)}, this command is the one in ${dirname(own)}: ` +
          "run it with `npx effect-otp` where the file is"
      })
    }
    const module = yield* Effect.tryPromise({
      try: () => import(pathToFileURL(file).href) as Promise<{ readonly default?: unknown }>,
      catch: (cause) => failure(file, cause)
    })
    return module.default
  })
