/**
 * Reading this repository from its own tests: files, syntax trees, imports, and the titles of tests.
 *
 * Everything is read from the syntax tree, never by running the file, so that a broken module still gets a verdict.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { parseSync } from "vite"

/** The folder of `package.json`. */
export const root: string = Path.dirname(Path.dirname(Path.dirname(fileURLToPath(import.meta.url))))

/** A path as it is written in messages and rules: relative to the root, with forward slashes. */
export const relative = (file: string): string => Path.relative(root, file).split(Path.sep).join("/")

/** The files below a folder (relative to the root) with this ending, relative to the root, in order. */
export const filesBelow = (folder: string, ending: string): Array<string> => {
  const start = Path.join(root, folder)
  if (!Fs.existsSync(start)) return []
  return Fs.readdirSync(start, { recursive: true, withFileTypes: true })
    .filter((item) => item.isFile() && item.name.endsWith(ending))
    .map((item) => relative(Path.join(item.parentPath, item.name)))
    .filter((file) => !file.includes("node_modules/"))
    .toSorted()
}

/** The text of a file named relative to the root. */
export const read = (file: string): string => Fs.readFileSync(Path.join(root, file), "utf8")

/** Whether a file or folder named relative to the root exists. */
export const exists = (file: string): boolean => Fs.existsSync(Path.join(root, file))

/** A node of the syntax tree (ESTree with TypeScript), as loosely as the walkers below need it. */
export interface SyntaxNode {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [key: string]: unknown
}

/** A comment of a file. */
export interface Comment {
  readonly type: "Block" | "Line"
  readonly value: string
  readonly start: number
  readonly end: number
}

/** What the parser knows of a file. */
export interface Parsed {
  readonly program: SyntaxNode
  readonly comments: ReadonlyArray<Comment>
  readonly module: ReturnType<typeof parseSync>["module"]
}

/** Parses TypeScript, whatever the ending of the file; a syntax error fails with the name of the file. */
export const parse = (file: string, text: string): Parsed => {
  const result = parseSync(file, text, { lang: "ts", sourceType: "module" })
  const problem = result.errors[0]
  if (problem !== undefined) throw new Error(`${file}: ${problem.message}`)
  // The parser's own types name every node kind; the walkers here read a few fields of a few kinds.
  return result as unknown as Parsed
}

/** Whether a value is a node of the syntax tree. */
export const isNode = (u: unknown): u is SyntaxNode =>
  typeof u === "object" && u !== null && typeof (u as { readonly type?: unknown }).type === "string"

/** Calls `visit` with every node of a tree and its ancestors (outermost first), parents before children. */
export const walk = (
  node: SyntaxNode,
  visit: (node: SyntaxNode, ancestors: ReadonlyArray<SyntaxNode>) => void,
  ancestors: ReadonlyArray<SyntaxNode> = []
): void => {
  visit(node, ancestors)
  const inner = [...ancestors, node]
  for (const value of Object.values(node)) {
    if (Array.isArray(value)) {
      for (const item of value) {
        if (isNode(item)) walk(item, visit, inner)
      }
    } else if (isNode(value)) {
      walk(value, visit, inner)
    }
  }
}

/** The line number (from 1) of an offset. */
export const lineAt = (text: string, offset: number): number => text.slice(0, offset).split("\n").length

/** One import, re-export, dynamic import or `import("...")` type of a file. */
export interface Import {
  /** As written. */
  readonly specifier: string
  /** Whether nothing of it is left at run time. */
  readonly typeOnly: boolean
}

/** Stands for the specifier of a dynamic import that is computed at run time. */
export const computed = "(computed)"

/** Every module that a file refers to. */
export const importsOf = (file: string, text: string): Array<Import> => {
  const { module, program } = parse(file, text)
  const imports: Array<Import> = []
  for (const item of module.staticImports) {
    imports.push({
      specifier: item.moduleRequest.value,
      typeOnly: item.entries.length > 0 && item.entries.every((entry) => entry.isType)
    })
  }
  for (const item of module.staticExports) {
    const first = item.entries.find((entry) => entry.moduleRequest !== null)
    if (first?.moduleRequest) {
      imports.push({ specifier: first.moduleRequest.value, typeOnly: item.entries.every((entry) => entry.isType) })
    }
  }
  for (const item of module.dynamicImports) {
    const request = text.slice(item.moduleRequest.start, item.moduleRequest.end)
    const literal = /^(["'`])([^"'`$]*)\1$/.exec(request)
    imports.push({ specifier: literal === null ? computed : literal[2]!, typeOnly: false })
  }
  walk(program, (node) => {
    const source = node["source"] ?? node["argument"]
    if (node.type === "TSImportType" && isNode(source)) {
      const literal = isNode(source["literal"]) ? source["literal"] : source
      imports.push({ specifier: String(literal["value"]), typeOnly: true })
    }
  })
  return imports
}

/** A test or a group of tests, as written. */
export interface TestTitle {
  /** The title; a placeholder of a template is `${}`. */
  readonly title: string
  readonly line: number
  /** Whether it, or a group around it, is skipped. */
  readonly skipped: boolean
}

/** `it.effect.each(cases)` -> `["it", "effect", "each"]`; anything that is not a plain chain gives `[]`. */
const chainOf = (node: unknown): Array<string> => {
  if (!isNode(node)) return []
  if (node.type === "Identifier") return [String(node["name"])]
  if (node.type === "CallExpression") return chainOf(node["callee"])
  if (node.type === "TaggedTemplateExpression") return chainOf(node["tag"])
  if (node.type === "MemberExpression") {
    const object = chainOf(node["object"])
    const property = node["property"]
    return object.length === 0 || !isNode(property) ? [] : [...object, String(property["name"] ?? property["value"])]
  }
  return []
}

const textOf = (node: unknown): string | undefined => {
  if (!isNode(node)) return undefined
  if (node.type === "Literal" && typeof node["value"] === "string") return node["value"]
  if (node.type === "TemplateLiteral") {
    const quasis = node["quasis"] as ReadonlyArray<{ readonly value: { readonly cooked: string } }>
    return quasis.map((quasi) => quasi.value.cooked).join("${}")
  }
  if (node.type === "BinaryExpression" && node["operator"] === "+") {
    const left = textOf(node["left"]) ?? "${}"
    const right = textOf(node["right"]) ?? "${}"
    return left === "${}" && right === "${}" ? undefined : left + right
  }
  return undefined
}

const skips = new Set(["skip", "todo"])

const starts = new Set(["it", "test", "describe"])

/** Which argument of a call is the title, by the first name of its callee. */
type Wrappers = Map<string, number>

/**
 * The functions of a file that hand one of their parameters on as the title of a test:
 * `const scenario = (title, text) => it(title, ...)`.
 */
const wrappersIn = (program: SyntaxNode): Wrappers => {
  const wrappers: Wrappers = new Map()
  walk(program, (node, ancestors) => {
    if (node.type !== "CallExpression" || !starts.has(chainOf(node["callee"])[0] ?? "")) return
    const title = (node["arguments"] as ReadonlyArray<unknown>)[0]
    if (!isNode(title) || title.type !== "Identifier") return
    for (const [index, above] of ancestors.entries()) {
      if (!["ArrowFunctionExpression", "FunctionExpression", "FunctionDeclaration"].includes(above.type)) continue
      const position = (above["params"] as ReadonlyArray<SyntaxNode>)
        .findIndex((parameter) => parameter["name"] === title["name"])
      const owner = above.type === "FunctionDeclaration" ? above : ancestors[index - 1]
      const name = isNode(owner?.["id"]) ? owner["id"]["name"] : undefined
      if (position >= 0 && typeof name === "string") wrappers.set(name, position)
    }
  })
  return wrappers
}

/** The wrappers that a file imports from files beside it. */
const wrappersImported = (file: string, parsed: Parsed): Wrappers => {
  const wrappers: Wrappers = new Map()
  for (const item of parsed.module.staticImports) {
    const path = relative(Path.resolve(root, Path.dirname(file), item.moduleRequest.value))
    if (!item.moduleRequest.value.startsWith(".") || !path.startsWith("test/") || !exists(path)) continue
    const found = wrappersIn(parse(path, read(path)).program)
    for (const entry of item.entries) {
      const position = found.get(entry.importName.name ?? "")
      if (position !== undefined) wrappers.set(entry.localName.value, position)
    }
  }
  return wrappers
}

/**
 * The titles of the tests in a file: every call whose callee starts at `it`, `test` or `describe` (`it.effect`,
 * `it.effect.prop`, `it.each(...)`, ...) and whose first argument is text; and every call of a function, of this file or
 * imported from one below `test`, that hands the text on as a title. What only `skipIf` or `runIf` decides when it runs is
 * taken as running.
 */
export const testTitlesOf = (file: string, text: string): Array<TestTitle> => {
  const titles: Array<TestTitle> = []
  const parsed = parse(file, text)
  const wrappers: Wrappers = new Map([...wrappersImported(file, parsed), ...wrappersIn(parsed.program)])
  const isSkipped = (chain: ReadonlyArray<string>): boolean => chain.some((name) => skips.has(name))
  walk(parsed.program, (node, ancestors) => {
    if (node.type !== "CallExpression") return
    const chain = chainOf(node["callee"])
    const position = starts.has(chain[0] ?? "") ? 0 : wrappers.get(chain[0] ?? "")
    const args = node["arguments"] as ReadonlyArray<unknown>
    const title = position === undefined ? undefined : textOf(args[position])
    if (title === undefined || args.length < 2) return
    const skipped = isSkipped(chain) ||
      ancestors.some((above) => above.type === "CallExpression" && isSkipped(chainOf(above["callee"])))
    titles.push({ title, line: lineAt(text, node.start), skipped })
  })
  return titles
}
