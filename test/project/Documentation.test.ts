/**
 * Every file of `src` opens with its contract, and every public symbol says what it is: a JSDoc block with a summary, a
 * category and the version it came with.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Comment, filesBelow, isNode, lineAt, parse, read, type SyntaxNode } from "./Sources.ts"

const isDoc = (comment: Comment): boolean => comment.type === "Block" && comment.value.startsWith("*")

/** The text of a JSDoc block without its stars. */
const textOf = (comment: Comment): string =>
  comment.value.split("\n").map((line) => line.replace(/^\s*\*+ ?/, "")).join("\n").trim()

const namesOf = (declaration: SyntaxNode): Array<string> => {
  const nodes = declaration.type === "VariableDeclaration"
    ? (declaration["declarations"] as ReadonlyArray<SyntaxNode>)
    : [declaration]
  return nodes.flatMap((node) => isNode(node["id"]) ? [String(node["id"]["name"])] : [])
}

const isPrivate = (file: string): boolean => file.includes("/internal/") || file.startsWith("src/cli/")

/** What is missing in the documentation of a file. */
const documentationProblems = (file: string, text: string): Array<string> => {
  const { comments, program } = parse(file, text)
  const problems: Array<string> = []
  const first = comments[0]
  if (first === undefined || !isDoc(first) || text.slice(0, first.start).replace(/^#!.*/, "").trim() !== "") {
    problems.push(`${file}: does not open with a JSDoc block`)
  } else if (!/^@since \d+\.\d+\.\d+$/m.test(textOf(first))) {
    problems.push(`${file}: the block that opens the file has no @since`)
  }
  if (isPrivate(file)) return problems
  for (const node of program["body"] as ReadonlyArray<SyntaxNode>) {
    if (node.type !== "ExportNamedDeclaration" || !isNode(node["declaration"])) continue
    const name = namesOf(node["declaration"]).join(", ")
    const at = `${file}:${lineAt(text, node.start)}: ${name}`
    const doc = comments.findLast((comment) => comment.end <= node.start)
    const isOwn = doc !== undefined && isDoc(doc) && text.slice(doc.end, node.start).trim() === "" &&
      (doc !== first || /@category/.test(doc.value))
    if (!isOwn) {
      // An overload or the value of a documented type of the same name goes without one.
      const isRepeated = node["declaration"].type === "TSDeclareFunction" ||
        node["declaration"].type === "FunctionDeclaration"
      if (!(isRepeated && new RegExp(`export function ${name}\\b`).test(text.slice(0, node.start)))) {
        problems.push(`${at} has no JSDoc`)
      }
      continue
    }
    const words = textOf(doc)
    // Stripped from the declarations that are published.
    if (/^@internal$/m.test(words)) continue
    if (words.startsWith("@")) problems.push(`${at} has no summary`)
    if (!/^@category \S/m.test(words)) problems.push(`${at} has no @category`)
    if (!/^@since \d+\.\d+\.\d+$/m.test(words)) problems.push(`${at} has no @since`)
  }
  return problems
}

describe("the documentation of src", () => {
  it("is complete", () => {
    assert.deepStrictEqual(filesBelow("src", ".ts").flatMap((file) => documentationProblems(file, read(file))), [])
  })

  it("is refused without contract, summary, category or version", () => {
    const file = "/**\n * Rings.\n *\n * @since 0.1.0\n */\n"
    const symbol = "/**\n * One.\n *\n * @category models\n * @since 0.1.0\n */\nexport const one = 1\n"
    const judge = (text: string): string => documentationProblems("src/otp/Ring.ts", text).join("\n")
    assert.strictEqual(judge(file + symbol), "")
    assert.strictEqual(judge(`${file}const hidden = 1\n${symbol}`), "")
    assert.include(judge(`// Rings.\n${symbol}`), "does not open with a JSDoc block")
    assert.include(judge(`const a = 1\n${symbol}`), "does not open with a JSDoc block")
    assert.include(judge(`/** Rings. */\n${symbol}`), "no @since")
    assert.include(judge(`${file}export const one = 1\n`), "one has no JSDoc")
    assert.include(judge(`${file}${symbol}export const two = 2\n`), "two has no JSDoc")
    assert.include(judge(file + symbol.replace(" * One.\n *\n", "")), "no summary")
    assert.include(judge(file + symbol.replace(" * @category models\n", "")), "no @category")
    assert.include(judge(file + symbol.replace(" * @since 0.1.0\n", "")), "no @since")
  })

  it("is not asked of what is marked @internal", () => {
    const text = "/**\n * Rings.\n *\n * @since 0.1.0\n */\n/** @internal */\nexport const one = 1\n"
    assert.deepStrictEqual(documentationProblems("src/otp/Ring.ts", text), [])
  })

  it("is asked of private files for their contract only", () => {
    const text = "/**\n * Rings.\n *\n * @since 0.1.0\n */\nexport const one = 1\n"
    assert.deepStrictEqual(documentationProblems("src/otp/internal/Ring.ts", text), [])
  })
})
