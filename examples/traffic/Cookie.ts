/**
 * The secret of the cluster: who knows it controls the node. Unless the settings have one, it is in a file of the folder
 * of the application that only its owner can read, and is made up the first time.
 */
import { Effect, FileSystem, Option, Redacted } from "effect"
import { randomBytes } from "node:crypto"
import type { Settings } from "./Settings.ts"

/** Where it is. */
export const fileOf = ({ folder }: Settings): string => `${folder}/cookie`

export const of = (settings: Settings) =>
  Effect.gen(function*() {
    if (Option.isSome(settings.cookie)) return settings.cookie.value
    const files = yield* FileSystem.FileSystem
    const file = fileOf(settings)
    if (!(yield* files.exists(file))) {
      const made = yield* Effect.sync(() => randomBytes(24).toString("base64url"))
      // Of two nodes that start at once, one makes the file.
      yield* Effect.ignore(files.writeFileString(file, made, { flag: "wx", mode: 0o600 }))
    }
    return Redacted.make((yield* files.readFileString(file)).trim())
  })

/** How a shell gets at it, without showing it. */
export const inShell = (settings: Settings): string =>
  Option.isSome(settings.cookie) ? "\"$TRAFFIC_COOKIE\"" : `"$(cat ${fileOf(settings)})"`
