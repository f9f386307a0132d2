/**
 * `effect-otp new`, run as a user runs it; what it makes is installed, checked, tested and started.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { freePort } from "../dist/ErlangNode.ts"
import { buildFirst, builtPackage, run, startProgram, temporaryFolder } from "./Built.ts"
import { install, tool } from "./NewProjects.ts"

/** What `--json` prints. */
const Made = Schema.fromJsonString(Schema.Struct({
  folder: Schema.String,
  written: Schema.Boolean,
  command: Schema.String,
  plan: Schema.Struct({
    project: Schema.String,
    applications: Schema.Array(Schema.Struct({ name: Schema.String, needs: Schema.Array(Schema.String) }))
  }),
  files: Schema.Array(Schema.String)
}))

const Refused = Schema.fromJsonString(
  Schema.Struct({ error: Schema.Struct({ reason: Schema.String, detail: Schema.String }) })
)

const make = (cwd: string, ...args: ReadonlyArray<string>) => run(["new", ...args], { cwd })

/** All files below a folder. */
const contents = (folder: string): ReadonlyArray<string> =>
  Fs.readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => Path.relative(folder, Path.join(entry.parentPath, entry.name)))
    .toSorted()

/** Projects of several shapes: how many tests each has, and which ports its program takes. */
const shapes: ReadonlyArray<{
  readonly name: string
  readonly args: ReadonlyArray<string>
  readonly tests: number
  readonly ports: ReadonlyArray<string>
}> = [
  { name: "the smallest", args: [], tests: 2, ports: [] },
  {
    name: "two applications",
    args: [
      ...["--app", "store-room{type:transient}", "--server", "store-room:shelf{shutdown:1}"],
      ...["--message", "shelf:put{item:string,count:int,reply:int}", "--message", "shelf:clear{kind:cast}"],
      ...["--app", "shop{needs:store-room}", "--sup", "shop:desk{strategy:one_for_all,intensity:3}"],
      ...["--pool", "desk:clerks{size:2,strategy:least_loaded}", "--web", "desk:api{port:18080}"]
    ],
    tests: 6,
    ports: ["API_PORT"]
  },
  {
    name: "everything at once",
    args: [
      ...["--app", "all", "--sup", "all:desk{strategy:rest_for_one,period:10}", "--sup=desk:inner{restart:transient}"],
      ...["--server", "inner:till{restart:transient,shutdown:2}", "--message", "till:total{reply:number}"],
      ...["--message", "till:note{text:string,kind:info}", "--message", "till:open{really:boolean,reply:boolean}"],
      ...["--pool", "desk:clerks", "--dynamic", "all:sessions{max:3,restart:temporary}"],
      ...[
        "--message",
        "sessions:greet{who:string,reply:string}",
        "--tcp",
        "all:lines",
        "--tcp",
        "all:frames{framing:length}"
      ],
      ...[
        "--udp",
        "all:meter{handlers:2}",
        "--web",
        "all:api",
        "--stage",
        "all:orders",
        "--stage",
        "all:loud{from:orders}"
      ],
      ...["--stage", "all:billing{from:loud}", "--raft", "all:ledger"],
      ...["--saga", "all:pricing", "--saga", "all:purchase{next:pricing}"]
    ],
    tests: 16,
    ports: ["LINES_PORT", "FRAMES_PORT", "METER_PORT", "API_PORT"]
  }
]

describe("effect-otp new", () => {
  buildFirst()

  for (const { args, name, ports, tests } of shapes) {
    it.live(`makes a project that passes its own checks and runs: ${name}`, () =>
      Effect.scoped(Effect.gen(function*() {
        const cwd = yield* temporaryFolder
        const folder = Path.join(cwd, "all")
        const made = yield* make(cwd, "all", ...args)
        assert.strictEqual(made.code, 0, made.err)
        assert.include(made.out, "cd all\n")
        yield* install(folder)

        const checked = yield* tool("typescript/bin/tsc", [], folder)
        assert.strictEqual(checked.out, "")
        assert.strictEqual(checked.code, 0)

        const tested = yield* tool("vitest/vitest.mjs", ["run", "--no-isolate", "--maxWorkers=1"], folder)
        assert.strictEqual(tested.code, 0, tested.out + tested.err)
        assert.match(tested.out, new RegExp(`Tests +${tests} passed \\(${tests}\\)`))

        const settings: Record<string, string> = {}
        for (const port of ports) settings[port] = String(yield* freePort)
        const program = yield* startProgram(process.execPath, ["src/main.ts"], {
          cwd: folder,
          env: { ...settings, EFFECT_OTP_COOKIE: undefined }
        })
        const started = `${name === "two applications" ? "shop" : "all"} has started`
        while (!program.errors().includes(started)) {
          assert.isNull(program.child.exitCode, program.errors())
          yield* Effect.sleep(20)
        }
        assert.strictEqual(yield* program.stop("SIGTERM"), 0, program.errors())
      })), 180_000)
  }

  it.live("says what it would do, and does nothing", () =>
    Effect.scoped(Effect.gen(function*() {
      const cwd = yield* temporaryFolder
      const { code, out } = yield* make(cwd, "shop", "--server", "stock", "--dry-run")
      assert.strictEqual(code, 0)
      assert.include(out, "└─ shop (application, permanent)\n   └─ stock (server)\n")
      assert.include(out, "  src/shop/Stock.ts\n")
      assert.include(out, "Nothing was written")
      assert.deepStrictEqual(contents(cwd), [])
    })), 60_000)

  it.live(
    "prints its plan as JSON, with a command that makes the same again",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const cwd = yield* temporaryFolder
        // The order counts: a parent comes before its children, whatever flags stand between them.
        const { code, err, out } = yield* make(
          cwd,
          ...["shop", "--app=a", "--server", "a:one", "--app=b{needs:a}", "--server", "b:two", "--json"]
        )
        assert.strictEqual(code, 0, err)
        const made = yield* Schema.decodeEffect(Made)(out)
        assert.deepInclude(made, {
          folder: "shop",
          written: true,
          command: "npx effect-otp new shop --app a --server a:one --app 'b{needs:a}' --server b:two",
          plan: { project: "shop", applications: [{ name: "a", needs: [] }, { name: "b", needs: ["a"] }] }
        })
        assert.deepStrictEqual(made.files.toSorted(), contents(Path.join(cwd, "shop")))
      })),
    60_000
  )

  it.live(
    "leaves a folder alone that is not empty, unless it is told to, and then what is not its own",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const cwd = yield* temporaryFolder
        Fs.writeFileSync(Path.join(cwd, "README.md"), "mine")
        Fs.writeFileSync(Path.join(cwd, "notes.txt"), "mine as well")
        const refused = yield* make(cwd, ".", "--name", "shop")
        assert.strictEqual(refused.code, 1)
        assert.include(refused.err, "is not empty")
        assert.include(refused.err, "--force")
        assert.deepStrictEqual(contents(cwd), ["README.md", "notes.txt"])
        assert.strictEqual(Fs.readFileSync(Path.join(cwd, "README.md"), "utf8"), "mine")

        const forced = yield* make(cwd, ".", "--name", "shop", "--force")
        assert.strictEqual(forced.code, 0, forced.err)
        assert.match(Fs.readFileSync(Path.join(cwd, "README.md"), "utf8"), /^# shop\n/)
        assert.strictEqual(Fs.readFileSync(Path.join(cwd, "notes.txt"), "utf8"), "mine as well")
      })),
    60_000
  )

  it.live(
    "refuses kindly what does not hang together, and makes nothing of it",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const cwd = yield* temporaryFolder
        Fs.writeFileSync(Path.join(cwd, "file"), "no folder")
        const wrong: ReadonlyArray<readonly [args: ReadonlyArray<string>, reason: string, says: string]> = [
          [["shop", "--server", "nobody:stock"], "UnknownParent", "no application or supervisor nobody"],
          [["shop", "--server", "a:b:c"], "Syntax", "Parent:Name{parameter:value,...}"],
          [["my shop"], "InvalidName", "--name"],
          [["file/shop"], "Unwritable", "cannot be written"],
          [[], "NoFolder", "effect-otp new FOLDER"]
        ]
        for (const [args, reason, says] of wrong) {
          const told = yield* make(cwd, ...args, "--json")
          assert.strictEqual(told.code, 1, args.join(" "))
          assert.strictEqual(told.out, "")
          const { error } = yield* Schema.decodeEffect(Refused)(told.err)
          assert.strictEqual(error.reason, reason, error.detail)
          assert.include(error.detail, says)
        }
        const text = yield* make(cwd, "shop", "--server", "a{size:3}")
        assert.strictEqual(text.code, 1)
        assert.include(text.err, "there is no parameter \"size\"")
        assert.notMatch(text.err, /\n\s+at /, "a stack trace is not kind")
        assert.deepStrictEqual(contents(cwd), ["file"])
      })),
    120_000
  )
})

describe.skipIf(spawnSync("script", ["--version"]).status !== 0)("effect-otp new at a terminal", () => {
  buildFirst()

  /** Answers each question when it is there. */
  const answering = (cwd: string, answers: ReadonlyArray<readonly [question: string, keys: string]>) =>
    Effect.gen(function*() {
      const folder = yield* builtPackage
      const program = yield* startProgram("script", ["-qfec", `"$NODE" "$MAIN" new; echo "code $?"`, "/dev/null"], {
        cwd,
        env: { NODE: process.execPath, MAIN: `${folder}/build/cli/NodeMain.js`, SHELL: "/bin/sh" }
      })
      let screen = ""
      program.child.stdout.on("data", (text: string) => screen += text)
      const waitFor = (what: string) =>
        Effect.gen(function*() {
          while (!screen.includes(what)) {
            if (program.child.exitCode !== null) return yield* Effect.die(new Error(`it has ended: ${screen}`))
            yield* Effect.sleep(20)
          }
          screen = screen.slice(screen.indexOf(what) + what.length)
        })
      for (const [question, keys] of answers) {
        yield* waitFor(question)
        program.child.stdin.write(keys)
      }
      return { waitFor }
    })

  it.live("asks, and makes what it was told", () =>
    Effect.scoped(Effect.gen(function*() {
      const cwd = yield* temporaryFolder
      const { waitFor } = yield* answering(cwd, [
        ["What is the project called?", "corner-shop\r"],
        ["What is in it?", "\r"],
        ["A supervisor of its own", "y"],
        ["What does it start again", "\r"],
        ["What is a server called?", "till\r"]
      ])
      yield* waitFor("└─ till (server)")
      yield* waitFor("code 0")
      const readme = Fs.readFileSync(Path.join(cwd, "corner-shop/README.md"), "utf8")
      assert.include(
        readme,
        "npx effect-otp new corner-shop --app corner-shop --sup 'corner-shop:corner-shop-parts{strategy:one_for_one}' " +
          "--server corner-shop-parts:till\n"
      )
    })), 60_000)

  it.live("makes nothing when whoever was asked leaves", () =>
    Effect.scoped(Effect.gen(function*() {
      const cwd = yield* temporaryFolder
      const { waitFor } = yield* answering(cwd, [["What is the project called?", "\u0003"]])
      yield* waitFor("nothing was made")
      yield* waitFor("code 130")
      assert.deepStrictEqual(contents(cwd), [])
    })), 60_000)
})
