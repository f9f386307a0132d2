/**
 * What a member finds on its disk after it was stopped at the worst moment.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, Path, PlatformError } from "effect"
import type { Persist } from "../../src/raft/RaftCore.ts"
import type { Entry } from "../../src/raft/RaftEntry.ts"
import * as RaftStorage from "../../src/raft/RaftStorage.ts"

type Step = Persist<Uint8Array, Uint8Array>

const command = (index: number, term: number, text = `${index}:${term}`): Entry<Uint8Array> => ({
  index,
  term,
  content: { _tag: "Command", size: text.length, command: new TextEncoder().encode(text) }
})

const step = (given: Partial<Step>): Step => ({
  term: 1,
  votedFor: undefined,
  truncate: undefined,
  entries: [],
  snapshot: undefined,
  first: 1,
  receipt: { _tag: "Persisted", index: 0, term: 0, votedIn: 0 },
  ...given
})

const snapshotAt = (index: number, term: number) => ({
  index,
  term,
  membership: { voters: ["a@x", "b@x"], learners: ["c@x"] },
  data: new TextEncoder().encode(`state at ${index}`)
})

/** A story of a member: terms, votes, entries, a cut, a snapshot, and more entries. */
const story: ReadonlyArray<Step> = [
  step({ term: 1, votedFor: "a@x" }),
  step({
    term: 1,
    votedFor: "a@x",
    entries: [{ index: 1, term: 1, content: { _tag: "Noop" } }, command(2, 1), command(3, 1)]
  }),
  step({ term: 2 }),
  step({ term: 2, truncate: 2, entries: [command(3, 2, "another"), command(4, 2, "")] }),
  step({
    term: 2,
    entries: [{
      index: 5,
      term: 2,
      content: { _tag: "Membership", membership: { voters: ["a@x", "é@x"], learners: [] } }
    }]
  }),
  step({ term: 2, snapshot: snapshotAt(4, 2), first: 4 }),
  step({ term: 3, votedFor: "b@x", entries: [command(6, 3)] }),
  step({ term: 3, votedFor: "b@x", entries: [command(7, 3, "the last one")] })
]

const apply = (steps: ReadonlyArray<Step>) => {
  let entries: Array<Entry<Uint8Array>> = []
  let snapshot: Step["snapshot"]
  for (const given of steps) {
    if (given.truncate !== undefined) entries = entries.filter((entry) => entry.index <= given.truncate!)
    entries = [...entries, ...given.entries]
    if (given.snapshot === undefined) continue
    snapshot = given.snapshot
    entries = entries.filter((entry) => entry.index >= given.first)
  }
  const last = steps.at(-1)
  return { term: last?.term ?? 0, votedFor: last?.votedFor, snapshot, entries }
}

const recovered = Effect.scoped(Effect.gen(function*() {
  const service = yield* RaftStorage.RaftStorage
  const storage = yield* service.open("group")
  return yield* storage.recover
}))

const write = (steps: ReadonlyArray<Step>) =>
  Effect.scoped(Effect.gen(function*() {
    const service = yield* RaftStorage.RaftStorage
    const storage = yield* service.open("group")
    yield* storage.recover
    for (const given of steps) yield* storage.persist([given])
  }))

const directory = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped())

/** The log that a member would read now. */
const logFile = (root: string) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const names = (yield* fs.readDirectory(path.join(root, "group"))).filter((name) => name.startsWith("log-")).sort()
    assert.strictEqual(names.length, 1)
    return path.join(root, "group", names[0]!)
  })

const open = (root: string) => Effect.provide(RaftStorage.file(root))

describe("storage in files", () => {
  it.layer(NodeServices.layer)((it) => {
    it.effect("finds after every step what was written until then", () =>
      Effect.gen(function*() {
        for (let steps = 0; steps <= story.length; steps++) {
          const root = yield* directory
          yield* write(story.slice(0, steps)).pipe(open(root))
          assert.deepStrictEqual(yield* recovered.pipe(open(root)), apply(story.slice(0, steps)), `${steps} steps`)
        }
      }))

    it.effect("the same when each step is written by another life of the member", () =>
      Effect.gen(function*() {
        const root = yield* directory
        for (const given of story) yield* write([given]).pipe(open(root))
        assert.deepStrictEqual(yield* recovered.pipe(open(root)), apply(story))
      }))

    it.effect("and when many steps share one write", () =>
      Effect.gen(function*() {
        const root = yield* directory
        yield* Effect.scoped(Effect.gen(function*() {
          const storage = yield* (yield* RaftStorage.RaftStorage).open("group")
          yield* storage.recover
          yield* storage.persist(story)
        })).pipe(open(root))
        assert.deepStrictEqual(yield* recovered.pipe(open(root)), apply(story))
      }))

    it.effect("[S32] cut at every byte of its last record, it loses that record and nothing else", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const root = yield* directory
        yield* write(story.slice(0, -1)).pipe(open(root))
        const name = yield* logFile(root)
        const shorter = (yield* fs.readFile(name)).length
        yield* write(story.slice(-1)).pipe(open(root))
        const bytes = yield* fs.readFile(name)
        assert.isAbove(bytes.length, shorter + 20)
        for (let length = shorter; length < bytes.length; length++) {
          yield* fs.writeFile(name, bytes.subarray(0, length))
          assert.deepStrictEqual(yield* recovered.pipe(open(root)), apply(story.slice(0, -1)), `cut to ${length} bytes`)
          assert.strictEqual(Number((yield* fs.stat(name)).size), shorter)
          // What is written now must not stick to the remains.
          if (length % 7 !== 0) continue
          yield* write(story.slice(-1)).pipe(open(root))
          assert.deepStrictEqual(
            yield* recovered.pipe(open(root)),
            apply(story),
            `written anew after a cut to ${length}`
          )
        }
        // Some file systems leave zeros where the end would have been.
        const zeros = new Uint8Array(bytes.length)
        zeros.set(bytes.subarray(0, shorter))
        yield* fs.writeFile(name, zeros)
        assert.deepStrictEqual(yield* recovered.pipe(open(root)), apply(story.slice(0, -1)))
      }))

    it.effect("[S32] finds each of a thousand flipped bits", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const path = yield* Path.Path
        const root = yield* directory
        yield* write(story).pipe(open(root))
        const names = yield* fs.readDirectory(path.join(root, "group"))
        assert.strictEqual(names.length, 2)
        let seed = 1
        const below = (bound: number): number => {
          seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff
          return (seed >>> 8) % bound
        }
        for (let flip = 0; flip < 1000; flip++) {
          const name = path.join(root, "group", names[flip % 4 === 0 ? 1 : 0]!)
          const bytes = yield* fs.readFile(name)
          const damaged = Uint8Array.from(bytes)
          const at = below(bytes.length)
          damaged[at] = damaged[at]! ^ (1 << below(8))
          yield* fs.writeFile(name, damaged)
          const error = yield* Effect.flip(recovered).pipe(open(root))
          assert.strictEqual(error.reason, "Corrupt", `byte ${at} of ${name}`)
          yield* fs.writeFile(name, bytes)
        }
        assert.deepStrictEqual(yield* recovered.pipe(open(root)), apply(story))
      }), 60_000)

    it.effect("takes no notice of what an interrupted snapshot left behind", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const path = yield* Path.Path
        const root = yield* directory
        yield* write(story).pipe(open(root))
        const group = path.join(root, "group")
        yield* fs.writeFileString(path.join(group, "snapshot-0000000000000099.new"), "half of")
        yield* fs.writeFileString(path.join(group, "log-0000000000000099.new"), "half of")
        yield* fs.writeFileString(path.join(group, "snapshot-0000000000000006"), "a snapshot whose log never came")
        assert.deepStrictEqual(yield* recovered.pipe(open(root)), apply(story))
        assert.strictEqual((yield* fs.readDirectory(group)).length, 2)
      }))

    it.effect("says which snapshot is missing", () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const path = yield* Path.Path
        const root = yield* directory
        yield* write(story).pipe(open(root))
        yield* fs.remove(path.join(root, "group", "snapshot-0000000000000004"))
        const error = yield* Effect.flip(recovered).pipe(open(root))
        assert.include(error.message, "snapshot-0000000000000004")
      }))

    it.effect("[S34] a failed sync is final, even when the next one would succeed", () =>
      Effect.gen(function*() {
        const root = yield* directory
        const fs = yield* FileSystem.FileSystem
        let failing = false
        let syncs = 0
        const failed = PlatformError.systemError({
          _tag: "Unknown",
          module: "FileSystem",
          method: "sync",
          description: "the disk is on fire"
        })
        const flaky = FileSystem.FileSystem.of({
          ...fs,
          open: (name, options) =>
            Effect.map(fs.open(name, options), (file) =>
              new Proxy(file, {
                get: (target, key, receiver) => {
                  if (key !== "sync") return Reflect.get(target, key, receiver)
                  syncs++
                  return failing ? Effect.fail(failed) : target.sync
                }
              }))
        })
        yield* Effect.scoped(Effect.gen(function*() {
          const storage = yield* (yield* RaftStorage.RaftStorage).open("group")
          yield* storage.recover
          yield* storage.persist([story[0]!])
          failing = true
          const error = yield* Effect.flip(storage.persist([story[1]!]))
          assert.strictEqual(error.reason, "Io")
          assert.include(error.message, "the disk is on fire")
          failing = false
          const before = syncs
          assert.strictEqual(yield* Effect.flip(storage.persist([story[2]!])), error)
          assert.strictEqual(syncs, before)
        })).pipe(
          Effect.provide(Layer.provide(RaftStorage.file(root), Layer.succeed(FileSystem.FileSystem, flaky)))
        )
      }))

    it.effect("groups with any name keep to their own directory", () =>
      Effect.gen(function*() {
        const root = yield* directory
        const fs = yield* FileSystem.FileSystem
        yield* Effect.scoped(Effect.gen(function*() {
          const service = yield* RaftStorage.RaftStorage
          for (const group of ["../../outside", "a/b", "ü", "..", ".", ""]) {
            const storage = yield* service.open(group)
            yield* storage.recover
          }
        })).pipe(open(root))
        assert.deepStrictEqual(
          (yield* fs.readDirectory(root)).sort(),
          ["%", "%2E", "%2E2E", "%C3%BC", "..%2F..%2Foutside", "a%2Fb"].sort()
        )
      }))

    it.effect("[S32] every directory that it makes is made to last, as a name in the one above", () =>
      Effect.gen(function*() {
        const root = yield* directory
        const fs = yield* FileSystem.FileSystem
        const path = yield* Path.Path
        const synced = new Set<string>()
        const watching = FileSystem.FileSystem.of({
          ...fs,
          open: (name, options) =>
            Effect.map(fs.open(name, options), (file) =>
              new Proxy(file, {
                get: (target, key, receiver) => {
                  if (key !== "sync") return Reflect.get(target, key, receiver)
                  return Effect.tap(target.sync, () => Effect.sync(() => synced.add(name)))
                }
              }))
        })
        yield* recovered.pipe(
          Effect.provide(
            Layer.provide(RaftStorage.file(path.join(root, "x", "y")), Layer.succeed(FileSystem.FileSystem, watching))
          )
        )
        for (const name of ["", "x", "x/y", "x/y/group"]) assert.isTrue(synced.has(path.join(root, name)), name)
      }))
  })
})

describe("storage in memory", () => {
  it.effect("lasts as long as its layer", () =>
    Effect.gen(function*() {
      yield* write(story.slice(0, 3))
      assert.deepStrictEqual(yield* recovered, apply(story.slice(0, 3)))
      yield* write(story.slice(3))
      assert.deepStrictEqual(yield* recovered, apply(story))
    }).pipe(Effect.provide(RaftStorage.memory)))
})
