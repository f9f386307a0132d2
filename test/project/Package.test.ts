/**
 * What the package promises about itself: dependencies, lockfile, the Node that runs the tests.
 */
import { assert, describe, it } from "@effect/vitest"
import { exists, filesBelow, read } from "./Sources.ts"

interface Locked {
  readonly integrity?: string
  readonly resolved?: string
  readonly link?: boolean
}

const manifest = JSON.parse(read("package.json")) as {
  readonly version: string
  readonly engines: { readonly node: string }
  readonly scripts: Record<string, string>
  readonly dependencies?: Record<string, string>
  readonly peerDependencies: Record<string, string>
  readonly peerDependenciesMeta: Record<string, { readonly optional?: boolean }>
  readonly devDependencies: Record<string, string>
}

/** Entries of a lockfile that cannot be verified, or that name a place to download from. */
const lockProblems = (packages: Record<string, Locked>): Array<string> =>
  Object.entries(packages).flatMap(([name, item]) => {
    if (name === "") return []
    if (item.resolved !== undefined || item.link === true) return [`${name}: names an address`]
    return item.integrity?.startsWith("sha512-") === true ? [] : [`${name}: has no integrity hash`]
  })

describe("package.json", () => {
  it("has no dependency but the peer effect, and platform-node where it is wanted", () => {
    assert.isUndefined(manifest.dependencies)
    const required = Object.keys(manifest.peerDependencies)
      .filter((name) => manifest.peerDependenciesMeta[name]?.optional !== true)
    assert.deepStrictEqual(required, ["effect"])
  })

  it("pins its tools to exact versions", () => {
    for (const [name, version] of Object.entries(manifest.devDependencies)) {
      assert.match(version, /^\d+\.\d+\.\d+(-[\w.]+)?$/, name)
    }
  })

  it("runs nothing on install", () => {
    for (const name of ["preinstall", "install", "postinstall", "prepare", "prepublish"]) {
      assert.notProperty(manifest.scripts, name)
    }
  })

  it("names in its scripts only files that exist", () => {
    for (const [name, command] of Object.entries(manifest.scripts)) {
      for (const file of command.match(/\b(?:scripts|examples|bench)\/[\w/.-]+\.ts\b/g) ?? []) {
        assert.isTrue(exists(file), `npm run ${name}: ${file}`)
      }
    }
  })

  it("has the version that the changelog speaks of", () => {
    assert.match(read("CHANGELOG.md"), /^## \[?Unreleased\]?$/m)
    if (manifest.version !== "0.1.0") assert.include(read("CHANGELOG.md"), `## [${manifest.version}]`)
  })
})

describe("package-lock.json", () => {
  it("has an integrity hash in every entry and no address", () => {
    const lock = JSON.parse(read("package-lock.json")) as { readonly packages: Record<string, Locked> }
    assert.deepStrictEqual(lockProblems(lock.packages), [])
  })

  it("holds an entry for every optional package of an entry, so that `npm ci` accepts it on any machine", () => {
    const lock = JSON.parse(read("package-lock.json")) as {
      readonly packages: Record<string, { readonly optionalDependencies?: Record<string, string> }>
    }
    const missing = Object.entries(lock.packages).flatMap(([name, item]) =>
      Object.keys(item.optionalDependencies ?? {}).filter((dependency) =>
        lock.packages[`node_modules/${dependency}`] === undefined &&
        lock.packages[`${name}/node_modules/${dependency}`] === undefined
      )
    )
    assert.deepStrictEqual(missing, [])
  })

  it("is refused with an address, without a hash, or with a weak one", () => {
    assert.lengthOf(lockProblems({ "": {}, a: { integrity: "sha512-x", resolved: "https://x" } }), 1)
    assert.lengthOf(lockProblems({ a: {} }), 1)
    assert.lengthOf(lockProblems({ a: { integrity: "sha1-x" } }), 1)
    assert.lengthOf(lockProblems({ a: { integrity: "sha512-x" } }), 0)
  })
})

describe("the tests", () => {
  it("run on a Node that the package supports", () => {
    const [major, minor] = process.versions.node.split(".").map(Number) as [number, number]
    assert.strictEqual(manifest.engines.node, ">=22.19.0")
    assert.isTrue(major > 22 || (major === 22 && minor >= 19), process.version)
  })

  it("are all found: no file of tests has another name", () => {
    const strays = filesBelow("test", ".ts").filter((file) => {
      const text = read(file)
      return !file.endsWith(".test.ts") && /^\s*(?:it|test)(?:\.\w+)*\(\s*["'`]/m.test(text) &&
        /from "(?:@effect\/)?vitest"/.test(text) && !/^export /m.test(text)
    })
    assert.deepStrictEqual(strays, [])
  })
})
