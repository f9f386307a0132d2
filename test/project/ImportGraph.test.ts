/**
 * Reads the import graph of `src` and holds it against the import rule; shows on small graphs that the rule can fail.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Path from "node:path"
import { type Edge, type File, loader, violationsOf } from "./ImportRule.ts"
import { computed, exists, filesBelow, importsOf, read, relative, root } from "./Sources.ts"

const stabilityOf = (specifier: string): string | undefined => {
  const source = `node_modules/effect/src/${specifier.slice("effect/".length)}`
  const file = exists(`${source}.ts`) ? `${source}.ts` : `${source}/index.ts`
  if (!exists(file)) return undefined
  // Of the first comment only: later tags belong to single symbols.
  return /@stability (\w+)/.exec(read(file).split("*/", 1)[0]!)?.[1]
}

const graphOfSources = (): Array<File> =>
  filesBelow("src", ".ts").map((path) => ({
    path,
    imports: importsOf(path, read(path)).map((item): Edge => {
      if (!item.specifier.startsWith(".")) return item
      const target = relative(Path.resolve(root, Path.dirname(path), item.specifier))
      return { ...item, target: exists(target) ? target : undefined }
    })
  }))

/** A graph in short: `{ "src/term/A.ts": ["src/term/B.ts", "type src/etf/C.ts", "effect/Effect"] }`. */
const graph = (files: Record<string, ReadonlyArray<string>>): Array<File> =>
  Object.entries(files).map(([path, imports]) => ({
    path,
    imports: imports.map((item): Edge => {
      const typeOnly = item.startsWith("type ")
      const name = typeOnly ? item.slice(5) : item
      return name.startsWith("src/") || name.startsWith("test/")
        ? { specifier: `./${name}`, target: name, typeOnly }
        : { specifier: name, typeOnly }
    })
  }))

const judge = (files: Record<string, ReadonlyArray<string>>): Array<string> =>
  violationsOf(graph(files), {
    stabilityOf: (specifier) =>
      specifier === "effect/socket/Socket" ? "unstable" : specifier === "effect/Nothing" ? undefined : "stable"
  })

const refuses = (files: Record<string, ReadonlyArray<string>>, part: string): void => {
  const violations = judge(files)
  assert.strictEqual(violations.length, 1, violations.join("\n"))
  assert.include(violations[0]!, part)
}

describe("the import graph of src", () => {
  it("keeps the import rule", () => {
    const files = graphOfSources()
    assert.isAbove(files.length, 0)
    assert.deepStrictEqual(violationsOf(files, { stabilityOf }), [])
  })

  it("reads the stability of Effect's modules from their sources", () => {
    assert.strictEqual(stabilityOf("effect/Effect"), "stable")
    assert.strictEqual(stabilityOf("effect/rpc/Rpc"), "unstable")
    assert.isUndefined(stabilityOf("effect/NoSuchModule"))
  })

  it("sees every form of import", () => {
    const found = importsOf(
      "x.ts",
      `import * as A from "./A.ts"
       import type { B } from "./B.ts"
       import { type C } from "./C.ts"
       import { type D, d } from "./D.ts"
       import "./E.ts"
       export * from "./F.ts"
       export type { G } from "./G.ts"
       export * as H from "./H.ts"
       const i = import("./I.ts")
       const k = import("." + i)
       const l = import(i)
       type J = import("./J.ts").J
       // import "./No.ts"
       const text = 'import "./No.ts"'`
    ).map((item) => (item.typeOnly ? "type " : "") + item.specifier).toSorted()
    assert.deepStrictEqual(found, [
      computed,
      computed,
      "./A.ts",
      "./D.ts",
      "./E.ts",
      "./F.ts",
      "./H.ts",
      "./I.ts",
      "type ./B.ts",
      "type ./C.ts",
      "type ./G.ts",
      "type ./J.ts"
    ])
  })
})

describe("the import rule", () => {
  it("accepts imports that point down, within a folder, and from the entry of the package", () => {
    assert.deepStrictEqual(
      judge({
        "src/term/Pid.ts": ["effect/Equal", "src/term/internal/order.ts"],
        "src/term/internal/order.ts": ["type src/term/Pid.ts"],
        "src/process/Process.ts": ["src/term/Pid.ts", "type src/etf/Encoder.ts"],
        "src/otp/GenServer.ts": ["src/process/Process.ts", "src/term/Pid.ts"],
        "src/dist/NodeTls.ts": ["node:tls", "@effect/platform-node/NodeSocket", "src/otp/GenServer.ts"],
        "src/dist/Connection.ts": ["effect/socket/Socket"],
        "src/cli/main.ts": ["src/observer/Facts.ts", "src/testing/Probe.ts"],
        "src/index.ts": ["src/otp/GenServer.ts", "src/dist/Connection.ts"]
      }),
      []
    )
  })

  it("refuses an import that points up", () => {
    refuses({ "src/term/Pid.ts": ["src/etf/Encoder.ts"] }, "term may not import etf")
    refuses({ "src/otp/GenServer.ts": ["type src/dist/Connection.ts"] }, "otp may not import dist")
    refuses({ "src/process/Process.ts": ["src/dist/Connection.ts"] }, "process may not import dist")
    refuses({ "src/dist/Rpc.ts": ["src/testing/Probe.ts"] }, "dist may not import testing")
  })

  it("refuses an import between folders of one group", () => {
    refuses({ "src/saga/Saga.ts": ["src/raft/Log.ts"] }, "saga may not import raft")
    refuses({ "src/testing/Probe.ts": ["src/cli/main.ts"] }, "testing may not import cli")
  })

  it("refuses the private files of another folder, also from the entry of the package", () => {
    refuses({ "src/otp/GenServer.ts": ["src/process/internal/Ring.ts"] }, "private to src/process")
    refuses({ "src/index.ts": ["src/process/internal/Ring.ts"] }, "private to src/process")
  })

  it("refuses Node's modules outside the files for Node", () => {
    refuses({ "src/otp/Application.ts": ["node:process"] }, "only files called NodeX.ts")
    refuses({ "src/otp/Node.ts": ["type node:net"] }, "only files called NodeX.ts")
    refuses({ "src/net/Nodes.ts": ["@effect/platform-node"] }, "only files called NodeX.ts")
    refuses({ "src/net/TcpServer.ts": ["@effect/platform-node/NodeSocketServer"] }, "only files called NodeX.ts")
  })

  it("refuses unstable and unknown modules of Effect in the lower folders", () => {
    refuses({ "src/otp/GenServer.ts": ["effect/socket/Socket"] }, "is unstable")
    refuses({ "src/dist/Connection.ts": ["effect/Nothing"] }, "no module of Effect")
  })

  it("refuses the barrel of Effect, other packages, and this package by name", () => {
    refuses({ "src/otp/GenServer.ts": ["effect"] }, "import the module")
    refuses({ "src/dist/Tls.ts": ["node-forge"] }, "not a dependency")
    refuses({ "src/cli/internal/Cert.ts": ["@peculiar/x509"] }, "not a dependency")
    refuses({ "src/dist/Tls.ts": ["effect-otp/otp"] }, "relative path")
  })

  it("refuses what is named at run time, but in the file that loads it", () => {
    refuses({ "src/cli/internal/NodeProgram.ts": [computed] }, "named at run time")
    assert.deepStrictEqual(judge({ [loader]: [computed] }), [])
  })

  it("refuses imports that resolve to nothing, lack the extension, leave src, or name the entry", () => {
    const one = (edge: Edge): Array<string> =>
      violationsOf([{ path: "src/term/Pid.ts", imports: [edge] }], { stabilityOf: () => "stable" })
    assert.include(one({ specifier: "./Atom.ts", typeOnly: false })[0]!, "names no file")
    assert.include(one({ specifier: "./Atom", target: "src/term/Atom.ts", typeOnly: false })[0]!, "no .ts extension")
    refuses({ "src/term/Pid.ts": ["test/term/Gen.ts"] }, "outside src")
    refuses({ "src/term/Pid.ts": ["src/index.ts"] }, "imported by nothing")
  })

  it("refuses a folder without a place in the order", () => {
    refuses({ "src/utils/Strings.ts": [] }, "no place in the order")
  })

  it("refuses cycles of run-time imports and names the way round", () => {
    refuses({
      "src/otp/A.ts": ["src/otp/B.ts"],
      "src/otp/B.ts": ["src/otp/C.ts"],
      "src/otp/C.ts": ["src/otp/A.ts"],
      "src/otp/D.ts": ["src/otp/A.ts"]
    }, "src/otp/A.ts -> src/otp/B.ts -> src/otp/C.ts -> src/otp/A.ts")
    refuses({ "src/otp/A.ts": ["src/otp/A.ts"] }, "src/otp/A.ts -> src/otp/A.ts")
    assert.deepStrictEqual(
      judge({ "src/otp/A.ts": ["src/otp/B.ts"], "src/otp/B.ts": ["type src/otp/A.ts"] }),
      []
    )
  })
})
