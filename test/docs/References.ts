/**
 * What pages refer to: files, declarations in files, other pages, and tests.
 *
 * - Anywhere: `[text](path)` and a path in back quotes that starts with `src/`, `test/`, `bench/`, `examples/`, `docs/` or
 *   `scripts/` name a file or folder that exists.
 * - Anywhere: `src/path/File.ts#symbol` names a declaration of that file. `A.b` is a member of `A`: of a class, an interface,
 *   an object, or something declared inside a function `A`.
 * - In `docs/guarantees.md`: the guarantees are numbered from 1 (`## 1. Title` or `1. Text`), and each has at least one link
 *   `[title of a test](../test/path/File.test.ts)`; the test has exactly that title and is not skipped.
 */
import * as Path from "node:path"
import { exists, isNode, lineAt, parse, read, type SyntaxNode, testTitlesOf } from "../project/Sources.ts"

const nameOf = (node: unknown): string | undefined => {
  if (!isNode(node)) return undefined
  if (node.type === "Identifier" || node.type === "PrivateIdentifier") return String(node["name"])
  return node.type === "Literal" ? String(node["value"]) : undefined
}

const declarations = new Set([
  "FunctionDeclaration",
  "ClassDeclaration",
  "TSInterfaceDeclaration",
  "TSTypeAliasDeclaration",
  "VariableDeclarator"
])

const members = new Set([
  "MethodDefinition",
  "PropertyDefinition",
  "AccessorProperty",
  "Property",
  "TSPropertySignature",
  "TSMethodSignature",
  "TSAbstractMethodDefinition",
  "TSAbstractPropertyDefinition"
])

/** The names of everything that a file declares: `make`, `Ring.push`, `make.loop`. */
export const symbolsOf = (file: string, text: string): Set<string> => {
  const symbols = new Set<string>()
  const visit = (node: SyntaxNode, prefix: string): void => {
    const name = declarations.has(node.type)
      ? nameOf(node["id"])
      : members.has(node.type)
      ? nameOf(node["key"])
      : undefined
    const inner = name === undefined ? prefix : prefix === "" ? name : `${prefix}.${name}`
    if (name !== undefined) symbols.add(inner)
    for (const value of Object.values(node)) {
      for (const item of Array.isArray(value) ? value : [value]) {
        if (isNode(item)) visit(item, inner)
      }
    }
  }
  const { module, program } = parse(file, text)
  visit(program, "")
  for (const item of module.staticExports.flatMap((exported) => exported.entries)) {
    if (item.exportName.name !== null) symbols.add(item.exportName.name)
  }
  return symbols
}

/** How the checks see the repository; paths are relative to its root. */
export interface Repository {
  readonly exists: (path: string) => boolean
  readonly read: (path: string) => string
}

/** The repository that this file belongs to. */
export const repository: Repository = { exists, read }

/** The text without its fenced blocks, of which only the line breaks stay. */
const prose = (text: string): string =>
  text.replaceAll(/^([ \t]*)(`{3,})[^\n]*\n[\s\S]*?^[ \t]*\2`*[ \t]*$/gm, (block) => block.replaceAll(/[^\n]/g, ""))

/** References of a page to what does not exist. */
export const brokenReferences = (page: string, text: string, files: Repository): Array<string> => {
  const problems: Array<string> = []
  const body = prose(text)
  for (const match of body.matchAll(/\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g)) {
    const target = match[1]!
    if (/^(?:[a-z]+:|#)/.test(target)) continue
    const path = Path.posix.join(Path.posix.dirname(page), target.split("#", 1)[0]!)
    if (!files.exists(path)) problems.push(`${page}:${lineAt(body, match.index)}: ${target} does not exist`)
  }
  for (const match of body.matchAll(/`((?:src|test|bench|examples|docs|scripts)\/[\w./-]*)(?:#([\w.]+))?`/g)) {
    const [, path = "", symbol] = match
    const at = `${page}:${lineAt(body, match.index)}`
    if (!files.exists(path)) problems.push(`${at}: ${path} does not exist`)
    else if (symbol !== undefined && !symbolsOf(path, files.read(path)).has(symbol)) {
      problems.push(`${at}: ${path} declares no ${symbol}`)
    }
  }
  return problems
}

/** The places that a page names as `src/path/File.ts#symbol`. */
export const namedPlaces = (text: string): Array<string> =>
  [...prose(text).matchAll(/`(src\/[\w./-]+\.ts#[\w.]+)`/g)].map((match) => match[1]!)

/** The links `[text](target)` of a text, whose text may contain brackets in pairs. */
const linksIn = (text: string): Array<{ readonly text: string; readonly target: string }> =>
  [...text.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => {
    let depth = 1
    let start = match.index
    while (start > 0 && depth > 0) {
      start--
      if (text[start] === "]") depth++
      else if (text[start] === "[") depth--
    }
    return { text: text.slice(start + 1, match.index).replaceAll(/\s+/g, " "), target: match[1]! }
  })

/** Whether a title as written, with `${}` for what is filled in, gives this text. */
export const titleMatches = (title: string, text: string): boolean => {
  if (title === text) return true
  if (!title.includes("${}")) return false
  const pattern = title.split("${}").map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")).join(".*")
  return new RegExp(`^${pattern}$`).test(text)
}

/** What is wrong with a page of numbered guarantees. */
export const guaranteeProblems = (page: string, text: string, files: Repository): Array<string> => {
  const problems: Array<string> = []
  const body = prose(text)
  const items = [...body.matchAll(/^(?:#{2,6} +)?(\d+)\. /gm)]
  if (items.length === 0) return [`${page}: has no numbered guarantee`]
  for (const [index, item] of items.entries()) {
    const number = Number(item[1])
    const at = `${page}:${lineAt(body, item.index)}: guarantee ${number}`
    if (number !== index + 1) problems.push(`${at} should be number ${index + 1}`)
    const links = linksIn(body.slice(item.index, items[index + 1]?.index ?? body.length))
      .filter((link) => link.target.endsWith(".test.ts"))
    if (links.length === 0) problems.push(`${at} has no link to a test`)
    for (const link of links) {
      const path = Path.posix.join(Path.posix.dirname(page), link.target)
      if (!files.exists(path)) {
        problems.push(`${at}: ${path} does not exist`)
        continue
      }
      const titles = testTitlesOf(path, files.read(path)).filter((title) => titleMatches(title.title, link.text))
      if (titles.length === 0) problems.push(`${at}: ${path} has no test "${link.text}"`)
      else if (titles.every((title) => title.skipped)) problems.push(`${at}: "${link.text}" is skipped`)
    }
  }
  return problems
}
