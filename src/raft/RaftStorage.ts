/**
 * Where a member of a Raft group keeps what it must not forget: its term and vote, its log, its snapshot.
 *
 * `file` keeps them in a directory: one file of records to which every step is added and synced, and one for the
 * snapshot. A new snapshot begins a new file of records; both appear by renaming, so that a crash leaves either the old ones or the new
 * ones. `memory` forgets everything when the program ends, and is for tests and for groups that may forget.
 *
 * Guarantees: what `persist` was given is on disk when it has ended; what a crash tore off at the end of the file, which nobody
 * was told to be on disk, is cut off at the next start; every other flipped or missing byte is found, and the member
 * refuses to start with what is left. Steps that come while a sync is under way share the next one (the caller hands them
 * over together).
 *
 * Refuses to go on after a failed write or sync, even if the next one would succeed: the kernel may have dropped the pages.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import type * as PlatformError from "effect/PlatformError"
import * as Scope from "effect/Scope"
import * as LogFile from "./internal/LogFile.ts"
import { RecordWriter } from "./internal/Records.ts"
import type { Persist, Recovered } from "./RaftCore.ts"
import { RaftStorageError } from "./RaftError.ts"

/**
 * The storage of one member.
 *
 * @category models
 * @since 0.1.0
 */
export interface Storage {
  /** What is stored. To be asked for once, before the first `persist`. */
  readonly recover: Effect.Effect<Recovered<Uint8Array, Uint8Array>, RaftStorageError>
  /** Puts several steps on disk, in order. One call at a time. */
  readonly persist: (
    steps: ReadonlyArray<Persist<Uint8Array, Uint8Array>>
  ) => Effect.Effect<void, RaftStorageError>
}

/**
 * Opens the storage of members by name: of the group, and of the member in it.
 *
 * @category services
 * @since 0.1.0
 */
export interface Service {
  /** The storage, for as long as the surrounding scope lives. */
  readonly open: (group: string) => Effect.Effect<Storage, RaftStorageError, Scope.Scope>
}

/**
 * The key of the service.
 *
 * @category services
 * @since 0.1.0
 */
export const RaftStorage: Context.Key<RaftStorage, Service> = Context.Service<RaftStorage, Service>(
  "~effect-otp/RaftStorage"
)

/**
 * The identity of the service in types.
 *
 * @category services
 * @since 0.1.0
 */
export interface RaftStorage {
  readonly _: unique symbol
}

const nothing = (): LogFile.Stored => ({ term: 0, votedFor: undefined, snapshot: undefined, entries: [] })

/**
 * Storage in memory: it lasts as long as the layer, also when a member ends and starts again.
 *
 * @category layers
 * @since 0.1.0
 */
export const memory: Layer.Layer<RaftStorage> = Layer.sync(RaftStorage, () => {
  const groups = new Map<string, LogFile.Stored>()
  return {
    open: (group) =>
      Effect.succeed({
        recover: Effect.sync(() => {
          const stored = groups.get(group) ?? nothing()
          return { ...stored, entries: [...stored.entries] }
        }),
        persist: (steps) =>
          Effect.sync(() => {
            groups.set(group, steps.reduce(LogFile.afterStep, groups.get(group) ?? nothing()))
          })
      })
  }
})

/**
 * Storage in files: a directory for each group within the given one, which is made when it is not there.
 *
 * @category layers
 * @since 0.1.0
 */
export const file = (
  directory: string
): Layer.Layer<RaftStorage, never, FileSystem.FileSystem | Path.Path> =>
  Layer.effect(
    RaftStorage,
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      return { open: (group) => open(fs, path, path.join(directory, folderOf(group))) }
    })
  )

/** The name of a group as one of a directory: none of them is a way out of where it belongs. */
const folderOf = (group: string): string =>
  /^\.{0,2}$/.test(group) ? `%${group.replaceAll(".", "2E")}` : encodeURIComponent(group)

const logName = /^log-(\d{16})$/
const snapshotName = /^snapshot-(\d{16})$/
const numbered = (kind: "log" | "snapshot", number: number): string => `${kind}-${String(number).padStart(16, "0")}`

const open = (
  fs: FileSystem.FileSystem,
  path: Path.Path,
  directory: string
): Effect.Effect<Storage, RaftStorageError, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const io = <A, R>(effect: Effect.Effect<A, PlatformError.PlatformError, R>, name: string) =>
      Effect.mapError(effect, (error) =>
        new RaftStorageError({ path: path.join(directory, name), reason: "Io", detail: error.message }))
    const corrupt = (name: string, detail: string) =>
      new RaftStorageError({ path: path.join(directory, name), reason: "Corrupt", detail })

    /** Makes the names in a directory last. */
    const sync = (name: string) =>
      io(
        Effect.scoped(Effect.flatMap(fs.open(name, { flag: "r" }), (handle) =>
          handle.sync)),
        "."
      )
    const syncDirectory = sync(directory)

    /** The directory, and those above it that are not there: each is a name in another, which must last as well. */
    const makeDirectory = Effect.gen(function*() {
      const missing: Array<string> = []
      for (let at = path.resolve(directory); !(yield* io(fs.exists(at), ".")); at = path.dirname(at)) missing.push(at)
      yield* io(fs.makeDirectory(directory, { recursive: true }), ".")
      for (const made of missing) yield* sync(path.dirname(made))
    })

    /** A file that is there whole or not at all. */
    const writeWhole = (name: string, bytes: Uint8Array): Effect.Effect<void, RaftStorageError> =>
      Effect.andThen(
        io(
          Effect.scoped(Effect.gen(function*() {
            const handle = yield* fs.open(path.join(directory, `${name}.new`), { flag: "w" })
            yield* handle.writeAll(bytes)
            yield* handle.sync
          })).pipe(
            Effect.andThen(fs.rename(path.join(directory, `${name}.new`), path.join(directory, name)))
          ),
          name
        ),
        syncDirectory
      )

    let stored = nothing()
    let current = 0
    let handle: FileSystem.File | undefined
    let handleScope: Scope.Closeable | undefined
    let broken: RaftStorageError | undefined

    const append = Effect.gen(function*() {
      if (handleScope !== undefined) yield* Scope.close(handleScope, Exit.void)
      handleScope = yield* Scope.fork(scope)
      handle = yield* io(
        Scope.provide(fs.open(path.join(directory, numbered("log", current)), { flag: "a" }), handleScope),
        numbered("log", current)
      )
    })

    /** Begins a new file with all that is stored, and forgets the old ones. */
    const renew = Effect.gen(function*() {
      const { snapshot } = stored
      if (snapshot !== undefined) {
        yield* writeWhole(numbered("snapshot", snapshot.index), LogFile.writeSnapshot(snapshot))
      }
      current += 1
      yield* writeWhole(numbered("log", current), LogFile.writeFile(stored))
      yield* append
      yield* clean
    })

    const clean = Effect.gen(function*() {
      const keep = new Set([numbered("log", current), numbered("snapshot", stored.snapshot?.index ?? 0)])
      for (const name of yield* io(fs.readDirectory(directory), ".")) {
        const ours = logName.test(name) || snapshotName.test(name) || name.endsWith(".new")
        if (ours && !keep.has(name)) yield* io(fs.remove(path.join(directory, name)), name)
      }
    })

    const recover = Effect.gen(function*() {
      yield* makeDirectory
      const names = yield* io(fs.readDirectory(directory), ".")
      current = Math.max(0, ...names.map((name) => Number(logName.exec(name)?.[1] ?? 0)))
      if (current === 0) {
        yield* renew
        return { ...stored, entries: [...stored.entries] }
      }
      const name = numbered("log", current)
      const bytes = yield* io(fs.readFile(path.join(directory, name)), name)
      const { entries, snapshot: index, term, verdict, votedFor } = LogFile.readFile(bytes)
      if (verdict._tag === "Damaged") return yield* corrupt(name, `${verdict.what}, at byte ${verdict.offset}`)
      if (index === undefined) return yield* corrupt(name, "it does not say on which snapshot it builds")
      if (verdict._tag === "Torn") {
        yield* io(
          Effect.scoped(Effect.gen(function*() {
            const file = yield* fs.open(path.join(directory, name), { flag: "r+" })
            yield* file.truncate(verdict.length)
            yield* file.sync
          })),
          name
        )
      }
      const snapshotFile = numbered("snapshot", index)
      const snapshot = index === 0
        ? undefined
        : LogFile.readSnapshot(yield* io(fs.readFile(path.join(directory, snapshotFile)), snapshotFile))
      if (index !== 0 && snapshot?.index !== index) {
        return yield* corrupt(snapshotFile, "it is not the snapshot that was written")
      }
      stored = { term, votedFor, snapshot, entries }
      yield* append
      yield* clean
      return { ...stored, entries: [...entries] }
    })

    const write = (bytes: Uint8Array) =>
      bytes.length === 0 || handle === undefined
        ? Effect.void
        : io(Effect.andThen(handle.writeAll(bytes), handle.sync), numbered("log", current))

    const persist = (steps: ReadonlyArray<Persist<Uint8Array, Uint8Array>>) =>
      Effect.gen(function*() {
        let writer = new RecordWriter()
        for (const step of steps) {
          LogFile.writeStep(writer, stored, step)
          stored = LogFile.afterStep(stored, step)
          if (step.snapshot === undefined) continue
          yield* write(writer.take())
          writer = new RecordWriter()
          yield* renew
        }
        yield* write(writer.take())
      })

    return {
      recover,
      persist: (steps) =>
        Effect.suspend(() =>
          broken === undefined
            ? Effect.tapError(Effect.uninterruptible(persist(steps)), (error) =>
              Effect.sync(() => {
                broken = error
              }))
            : Effect.fail(broken)
        )
    }
  })
