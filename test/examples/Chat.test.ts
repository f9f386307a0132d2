/**
 * The chat over TLS, by the commands of its README: what Anna and Ben type and see is what it says.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { execFileSync } from "node:child_process"
import * as Certificates from "../dist/Certificates.ts"
import { freePort } from "../dist/ErlangNode.ts"
import { root } from "../project/Sources.ts"
import { blocks, type Program, program } from "./Nodes.ts"

type Person = "anna" | "ben"

const commands = blocks("chat", "sh").join("\n").split("\n").filter((line) => line.startsWith("node "))

/** Who types in which order. */
const order: ReadonlyArray<Person> = [
  "anna",
  "anna",
  "ben",
  "ben",
  "anna",
  "ben",
  "ben",
  "anna",
  "ben",
  "ben",
  "ben",
  "anna"
]

/** A terminal as the README shows it: the lines that are typed, each with what was to be seen before, and the whole. */
const terminal = (person: Person) => {
  const typed: Array<{ readonly line: string; readonly seen: string }> = []
  let seen = ""
  for (const line of blocks("chat", `text ${person}`)[0]!.trimEnd().split("\n")) {
    if (line.startsWith("> ")) typed.push({ line: line.slice(2), seen })
    else seen += `${line}\n`
  }
  return { typed, seen }
}

const setUp = Effect.gen(function*() {
  const certs = yield* Certificates.folder({})
  for (const command of commands.slice(0, 3)) {
    const args = command.split(" ").slice(1).map((word) => word === "certs" ? certs : word)
    execFileSync(process.execPath, args, { cwd: root, stdio: "ignore", env: { ...process.env, NODE_OPTIONS: "" } })
  }
  const env = {
    CERTS: certs,
    COOKIE: "a-cookie-for-this-test-0123",
    ANNA_PORT: String(yield* freePort),
    BEN_PORT: String(yield* freePort),
    NODE_OPTIONS: ""
  }
  return (person: Person): Effect.Effect<Program, never, Scope.Scope> => {
    const [file, argument] = commands.find((command) => command.endsWith(person))!.split(" ").slice(-2)
    return program("chat", env, file!.slice(file!.lastIndexOf("/") + 1), [argument!])
  }
})

describe("examples/chat", () => {
  it.live("shows both what the README shows, over TLS", () =>
    Effect.scoped(Effect.gen(function*() {
      assert.lengthOf(commands, 5)
      const start = yield* setUp
      const programs = { anna: yield* start("anna"), ben: yield* start("ben") }
      const terminals = { anna: terminal("anna"), ben: terminal("ben") }
      const next = { anna: 0, ben: 0 }
      for (const person of order) {
        const { line, seen } = terminals[person].typed[next[person]++]!
        assert.strictEqual(yield* programs[person].written(seen), seen, `${person}, before: ${line}`)
        yield* programs[person].type(line)
      }
      for (const person of ["anna", "ben"] as const) {
        assert.strictEqual(next[person], terminals[person].typed.length)
        assert.strictEqual(yield* programs[person].ended, 0)
        assert.strictEqual(yield* programs[person].written(terminals[person].seen), terminals[person].seen)
      }
    })), 60_000)

  it.live("notices that a program was killed", () =>
    Effect.scoped(Effect.gen(function*() {
      const start = yield* setUp
      const anna = yield* start("anna")
      yield* anna.type("/join tea")
      yield* Effect.scoped(Effect.gen(function*() {
        const ben = yield* start("ben")
        yield* ben.type("/join tea")
        const together = "* hello anna\n* you are in tea\n* ben is here\n"
        assert.strictEqual(yield* anna.written(together), together)
        // His scope closes: SIGKILL.
      }))
      const alone = "* hello anna\n* you are in tea\n* ben is here\n* ben is gone: noconnection (ben@127.0.0.1)\n"
      assert.strictEqual(yield* anna.written(alone), alone)
    })), 60_000)
})
