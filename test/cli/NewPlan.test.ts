/**
 * The plan of a new project: what is understood, what is refused and why, and that every plan can be written down.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import type { Declaration, Kind } from "../../src/cli/internal/NewDeclaration.ts"
import * as Files from "../../src/cli/internal/NewFiles.ts"
import * as Plan from "../../src/cli/internal/NewPlan.ts"
import { root } from "../project/Sources.ts"
import { makeRandom } from "../term/randomTerm.ts"
import { buildFirst, temporaryFolder } from "./Built.ts"
import { install, tool } from "./NewProjects.ts"
import * as Trees from "./NewTrees.ts"

/** `--server a` as it would be typed, without a shell between. */
const typed = (...args: ReadonlyArray<string>): ReadonlyArray<Declaration> =>
  args.map((arg) => {
    const [, kind, text] = /^--(\w+) (.*)$/.exec(arg)!
    return { kind: kind as Kind, text: text! }
  })

const plan = (...args: ReadonlyArray<string>): Plan.Plan => Result.getOrThrow(Plan.make("shop", typed(...args)))

/** The lines of a tree, without the project. */
const tree = (...args: ReadonlyArray<string>): ReadonlyArray<string> => Files.tree(plan(...args)).split("\n").slice(1)

describe("the plan of a project", () => {
  it("hangs each part on its parent, in the order of the declarations", () => {
    assert.deepStrictEqual(
      tree(
        "--app database",
        "--server database:table",
        "--app shop{needs:database,type:transient}",
        "--sup shop:desk{strategy:one_for_all}",
        "--server desk:till{restart:transient}",
        "--web shop:api",
        "--pool desk:clerks{size:8}"
      ),
      [
        "├─ database (application, permanent)",
        "│  └─ table (server)",
        "└─ shop (application, transient, needs database)",
        "   ├─ desk (supervisor, one_for_all)",
        "   │  ├─ till (server, transient)",
        "   │  └─ clerks (pool, 8 workers)",
        "   └─ api (web server, port 8080)"
      ]
    )
  })

  it("has an application of its own for what has no parent", () => {
    assert.deepStrictEqual(tree("--server stock", "--sup shop:desk", "--server till"), [
      "└─ shop (application, permanent)",
      "   ├─ stock (server)",
      "   ├─ desk (supervisor, one_for_one)",
      "   └─ till (server)"
    ])
    assert.deepStrictEqual(tree("--app a", "--app b", "--server c"), [
      "├─ a (application, permanent)",
      "└─ b (application, permanent)",
      "   └─ c (server)"
    ])
    assert.deepStrictEqual(tree(), ["└─ shop (application, permanent)", "   └─ counter (server)"])
  })

  it("has the defaults of OTP, and ports that nobody else has", () => {
    const [shop] =
      plan("--sup shop:desk", "--tcp a", "--tcp b", "--tcp c{port:7002}", "--tcp d", "--udp e").applications
    assert.deepStrictEqual(shop!.children[0]!.parameters, {
      strategy: "one_for_one",
      intensity: "1",
      period: "5",
      restart: "permanent"
    })
    assert.deepStrictEqual(shop!.children.slice(1).map(({ port }) => port), [7000, 7001, 7002, 7003, 7000])
  })

  it("is called like its folder, in one way", () => {
    const made = Result.getOrThrow(Plan.make("MyShop", typed("--server my_shop:stock")))
    assert.strictEqual(Files.tree(made), "my-shop\n└─ my-shop (application, permanent)\n   └─ stock (server)")
    assert.strictEqual(Files.command(made), "npx effect-otp new my-shop --server my_shop:stock")
  })

  it("makes one name out of each way to write it", () => {
    const [shop] = plan("--server orderBook", "--server stock_room", "--server river-bank").applications
    assert.deepStrictEqual(
      shop!.children.map(({ identifier, name, registered }) => [name, identifier, registered]),
      [
        ["orderBook", "OrderBook", "order_book"],
        ["stock_room", "StockRoom", "stock_room"],
        ["river-bank", "RiverBank", "river_bank"]
      ]
    )
  })

  const refusals: ReadonlyArray<
    readonly [args: ReadonlyArray<string>, reason: string, ...says: ReadonlyArray<string>]
  > = [
    [["--server shop:stockrestart:transient"], "Syntax", "Parent:Name{parameter:value,...}", "quotes"],
    [["--server a{b"], "Syntax", "--server \"a{b\""],
    [["--server a{restart}"], "Syntax", "\"restart\" is no parameter"],
    [["--server a{restart:permanent,restart:transient}"], "Syntax", "restart is given twice"],
    [["--server 1a"], "InvalidName", "\"1a\" is no name"],
    [["--server ../a"], "InvalidName"],
    [["--server shop:"], "InvalidName", "\"\" is no name"],
    [[`--server ${"a".repeat(41)}`], "InvalidName", "at most 40"],
    [["--server rex"], "InvalidName", "of their own"],
    [["--server message"], "InvalidName", "Message is a name of the libraries"],
    [["--sup application"], "InvalidName", "Application.ts"],
    [["--server a", "--server A"], "DuplicateName", "--server A: there is a already"],
    [["--app a", "--server a:a"], "DuplicateName"],
    [["--server a", "--server a-server"], "DuplicateName", "AServer"],
    [["--server nobody:a"], "UnknownParent", "no application or supervisor nobody", "none yet"],
    [["--sup desk", "--server a", "--server a:b"], "UnknownParent", "there are: shop, desk"],
    [["--server desk:a", "--sup desk"], "UnknownParent", "before it"],
    [["--app a:b"], "UnknownParent", "{needs:a}"],
    [["--app a{needs:b}", "--app b"], "UnknownParent", "no application b"],
    [["--message put"], "UnknownParent", "--message Server:put"],
    [["--tcp lines", "--message lines:put"], "UnknownParent", "no server or pool lines"],
    [["--stage a{from:b}"], "UnknownParent", "no stage b"],
    [["--stage a", "--saga b{next:a}"], "UnknownParent", "no saga a"],
    [["--server a{size:3}"], "UnknownParameter", "\"size\"", "restart, shutdown"],
    [["--server a{constructor:3}"], "UnknownParameter"],
    [["--server a", "--message a:b{C:int}"], "UnknownParameter", "is no field"],
    [["--sup a{strategy:one_for_two}"], "InvalidValue", "it is one of one_for_one, one_for_all, rest_for_one"],
    [["--pool a{size:0}"], "InvalidValue", "from 1 to 10000"],
    [["--tcp a{port:65536}"], "InvalidValue", "from 1 to 65535"],
    [["--tcp a{port:80}", "--web b{port:80}"], "InvalidValue", "--tcp a listens on port 80"],
    [["--server a", "--message a:b{n:integer}"], "InvalidValue", "string, int, number, boolean"],
    [["--server a", "--message a:b{kind:cast,reply:int}"], "InvalidValue", "only a call has a reply"],
    [["--server a", "--message a:b", "--message a:B"], "DuplicateName", "a has a message B"],
    [["--pool a", "--message a:pool-stats"], "InvalidName", "PoolStats"],
    [["--app x", "--stage a", "--app y", "--stage y:b{from:a}"], "InvalidValue", "belongs to the application x"],
    [["--sup s", "--sup t", "--stage t:a", "--stage s:b{from:a}"], "InvalidValue", "started before a"]
  ]

  for (const [args, reason, ...says] of refusals) {
    it(`refuses ${args.join(" ")}`.slice(0, 80), () => {
      const made = Plan.make("shop", typed(...args))
      if (Result.isSuccess(made)) return assert.fail("it was planned")
      assert.strictEqual(made.failure.reason, reason, made.failure.detail)
      for (const text of says) assert.include(made.failure.detail, text)
    })
  }

  it("refuses a project without a proper name", () => {
    const made = Plan.make("my shop", [])
    assert.isTrue(
      Result.isFailure(made) && made.failure.reason === "InvalidName" && made.failure.detail.includes("--name")
    )
  })

  it.prop("names every file, process, setting and port of any tree once", [Trees.Steps], ([steps]) => {
    const declarations = Trees.declarations(steps)
    const made = Result.getOrThrow(Plan.make("shop", declarations))
    const components = made.applications.flatMap(({ children }) => Plan.flatten(children))
    const unique = (values: ReadonlyArray<string>): void => assert.strictEqual(new Set(values).size, values.length)
    unique(components.map(({ registered }) => registered))
    unique(components.flatMap(({ kind, port }) => port === undefined ? [] : [`${kind === "udp"} ${port}`]))
    const files = Files.render(made)
    unique(Object.keys(files).map((path) => path.toLowerCase()))
    // Everything that was declared is in the plan, and every part of the plan has a file.
    const parts = declarations.filter(({ kind }) => kind !== "message" && kind !== "app").length
    assert.strictEqual(components.length, declarations.length === 0 ? 1 : parts)
    assert.strictEqual(
      Object.keys(files).filter((path) => /^src\/.+\/.+\.ts$/.test(path)).length,
      components.length + made.applications.length
    )
    // The command in the README makes the same plan again.
    const again = [...Files.command(made).matchAll(/--(\w+) (?:'([^']*)'|(\S+))/g)].map(
      ([, kind, quoted, plain]): Declaration => ({ kind: kind as Kind, text: quoted ?? plain! })
    )
    assert.deepStrictEqual(again, declarations)
    assert.deepStrictEqual(Files.render(Result.getOrThrow(Plan.make("shop", again))), files)
  })
})

describe("the files of a project", () => {
  buildFirst()

  it("begin with the versions of this package", () => {
    const manifest = JSON.parse(Fs.readFileSync(Path.join(root, "package.json"), "utf8")) as {
      readonly version: string
      readonly engines: unknown
      readonly devDependencies: { readonly [name: string]: string }
    }
    const { dependencies, devDependencies, engines } = Files.versions
    assert.deepStrictEqual(engines, manifest.engines)
    for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
      assert.strictEqual(version, name === "effect-otp" ? manifest.version : manifest.devDependencies[name], name)
    }
  })

  it.live(
    "pass the type check, whatever the tree, and keep to the width of a page",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const folder = yield* temporaryFolder
        yield* install(folder)
        const random = makeRandom(4711)
        const below = (n: number): number => Math.floor(random() * n)
        const kinds = Trees.Step.fields.kind.literals
        const trees = Array.from({ length: 6 }, () =>
          Array.from({ length: 14 }, (): Trees.Step => ({
            kind: kinds[below(kinds.length)]!,
            pick: below(10_000),
            word: "till",
            style: (["-", "_", ""] as const)[below(3)]!
          })))
        trees.forEach((steps, i) => {
          const made = Result.getOrThrow(Plan.make(`shop${i}`, Trees.declarations(steps)))
          for (const [name, text] of Object.entries(Files.render(made))) {
            const path = Path.join(folder, `shop${i}`, name)
            Fs.mkdirSync(Path.dirname(path), { recursive: true })
            Fs.writeFileSync(path, text)
            if (!name.endsWith(".ts")) continue
            for (const line of text.split("\n")) assert.isAtMost(line.length, 120, `${name}: ${line}`)
          }
        })
        const options = JSON.parse(Files.render(plan())["tsconfig.json"]!) as object
        Fs.writeFileSync(
          Path.join(folder, "tsconfig.json"),
          JSON.stringify({ ...options, include: ["shop*/src", "shop*/test"] })
        )
        const { code, out } = yield* tool("typescript/bin/tsc", ["-p", folder], folder)
        assert.strictEqual(out, "")
        assert.strictEqual(code, 0)
      })),
    120_000
  )
})
