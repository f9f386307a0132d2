/**
 * Where the command line gets the cookie from: the file of `--cookie-file`, the variable `EFFECT_OTP_COOKIE`, or
 * `.erlang.cookie` in the home folder, which the nodes of Erlang use as well.
 *
 * It is never an argument: everybody on a machine can read those of all programs. A file that others may read is refused, as
 * Erlang does.
 *
 * @since 0.1.0
 */
import * as Flag from "effect/cli/Flag"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import type * as PlatformError from "effect/PlatformError"
import * as Redacted from "effect/Redacted"
import { Network } from "../../dist/Network.ts"
import { CommandError } from "./CommandError.ts"

/** The variable. */
const variable = "EFFECT_OTP_COOKIE"

/** The flag of all commands that need a cookie. */
export const file: Flag.Flag<Option.Option<string>> = Flag.String("cookie-file").pipe(
  Flag.withMetavar("FILE"),
  Flag.optional,
  Flag.withDescription(`Where the cookie is; by default in the variable ${variable}, else in ~/.erlang.cookie`)
)

/** A cookie, and where it was found. */
export interface Found {
  readonly cookie: Redacted.Redacted<string>
  readonly from: string
}

const found = (text: string, from: string): Effect.Effect<Found, CommandError> => {
  const cookie = text.trim()
  return cookie === ""
    ? Effect.fail(new CommandError({ reason: "NoCookie", detail: `the cookie in ${from} is empty` }))
    : Effect.succeed({ cookie: Redacted.make(cookie, { label: "cookie" }), from })
}

const unreadable = (path: string) => (error: PlatformError.PlatformError): CommandError =>
  new CommandError({
    reason: "NoCookie",
    detail: error.reason._tag === "NotFound"
      ? `${path} is not there: say with --cookie-file where the cookie is`
      : `${path} cannot be read: ${error.message}`
  })

const read = (path: string): Effect.Effect<Found, CommandError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const { sep } = yield* Path.Path
    const { mode } = yield* Effect.mapError(files.stat(path), unreadable(path))
    // Windows says nothing about others in the mode of a file.
    if (sep === "/" && (mode & 0o077) !== 0) {
      return yield* new CommandError({
        reason: "NoCookie",
        detail: `others may read the cookie in ${path}: chmod 400 ${path}`
      })
    }
    return yield* found(yield* Effect.mapError(files.readFileString(path), unreadable(path)), path)
  })

/** `.erlang.cookie` in the home folder, if there is such a folder. */
const standard: Effect.Effect<Option.Option<string>, never, Path.Path> = Effect.gen(function*() {
  const path = yield* Path.Path
  const home = yield* Effect.option(Config.orElse(Config.String("HOME"), () => Config.String("USERPROFILE")))
  return Option.map(home, (folder) => path.join(folder, ".erlang.cookie"))
})

/** The cookie, or none when nobody has said one and there is no `.erlang.cookie`. */
const search = (
  given: Option.Option<string>
): Effect.Effect<Option.Option<Found>, CommandError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    if (Option.isSome(given)) return Option.some(yield* read(given.value))
    const set = yield* Effect.option(Config.Redacted(variable))
    if (Option.isSome(set)) return Option.some(yield* found(Redacted.value(set.value), variable))
    const path = yield* standard
    const files = yield* FileSystem.FileSystem
    if (Option.isNone(path) || !(yield* Effect.orElseSucceed(files.exists(path.value), () => false))) {
      return Option.none()
    }
    return Option.some(yield* read(path.value))
  })

/** The cookie for a node that others have started. */
export const find = (
  given: Option.Option<string>
): Effect.Effect<Found, CommandError, FileSystem.FileSystem | Path.Path> =>
  Effect.flatMap(
    search(given),
    Option.match({
      onSome: Effect.succeed,
      onNone: () =>
        Effect.fail(
          new CommandError({
            reason: "NoCookie",
            detail:
              `no cookie: put that of the node into a file and name it with --cookie-file, or into the variable ${variable}`
          })
        )
    })
  )

/** The cookie for a node that is started here; without one, a new `.erlang.cookie`, as Erlang makes it. */
export const findOrMake = (
  given: Option.Option<string>
): Effect.Effect<Found, CommandError, FileSystem.FileSystem | Path.Path | Network> =>
  Effect.gen(function*() {
    const known = yield* search(given)
    if (Option.isSome(known)) return known.value
    const path = yield* standard
    if (Option.isNone(path)) return yield* find(given)
    const { randomUint32 } = yield* Network
    const cookie = Array.from({ length: 4 }, () => randomUint32().toString(36).padStart(7, "0")).join("").toUpperCase()
    const files = yield* FileSystem.FileSystem
    yield* Effect.mapError(
      files.writeFileString(path.value, cookie, { flag: "wx", mode: 0o400 }),
      (error) => new CommandError({ reason: "NoCookie", detail: `${path.value} cannot be written: ${error.message}` })
    )
    return { cookie: Redacted.make(cookie, { label: "cookie" }), from: path.value }
  })
