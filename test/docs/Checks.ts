/**
 * Turns the trailing comments `// => value` of an example into checks.
 *
 * `expression // => value`, `const name = expression // => value` and `return expression // => value` assert what the
 * expression gives, wherever they stand, also after a `yield*` or `await`; of `console.log(expression)` and Effect's
 * `Console.log(expression)` the argument is meant. The comment may also stand alone on the line below. A value that is an
 * expression is compared by structure (and with Effect's `Equal`); any other text is compared with what Node's inspector
 * prints.
 */
import { isNode, lineAt, parse, type SyntaxNode, walk } from "../project/Sources.ts"

/** An example with its checks built in. */
export interface Checked {
  /** The code; `check(line, actual, expected, text)` is expected in scope and gives `actual` back. */
  readonly text: string
  /** The lines of the comments, one for each check. */
  readonly lines: ReadonlyArray<number>
  /** Comments that no expression stands before. */
  readonly problems: ReadonlyArray<string>
}

/** The name of the function that the checks call. */
export const checkName = "__check"

const isExpression = (text: string): boolean => {
  try {
    const { program } = parse("value.ts", `(${text}\n)`)
    const body = program["body"] as ReadonlyArray<SyntaxNode>
    return body.length === 1 && body[0]!.type === "ExpressionStatement"
  } catch {
    return false
  }
}

const isLog = (node: SyntaxNode): boolean => {
  const callee = node["callee"]
  if (node.type !== "CallExpression" || !isNode(callee) || callee.type !== "MemberExpression") return false
  const { object, property } = callee
  return isNode(object) && isNode(property) && property["name"] === "log" &&
    (object["name"] === "console" || object["name"] === "Console") &&
    (node["arguments"] as ReadonlyArray<unknown>).length === 1
}

/** The expression that a statement is about. */
const subjectOf = (statement: SyntaxNode): SyntaxNode | undefined => {
  if (statement.type === "VariableDeclaration") {
    const last = (statement["declarations"] as ReadonlyArray<SyntaxNode>).at(-1)
    return isNode(last?.["init"]) ? last["init"] : undefined
  }
  const outer = statement.type === "ReturnStatement" ? statement["argument"] : statement["expression"]
  if (!isNode(outer)) return undefined
  const inner = (outer.type === "YieldExpression" || outer.type === "AwaitExpression") && isNode(outer["argument"])
    ? outer["argument"]
    : outer
  return isLog(inner) ? (inner["arguments"] as ReadonlyArray<SyntaxNode>)[0] : outer
}

/** Builds the checks into an example. */
export const withChecks = (file: string, text: string): Checked => {
  const { comments, program } = parse(file, text)
  const statements: Array<SyntaxNode> = []
  walk(program, (node) => {
    if (["ExpressionStatement", "ReturnStatement", "VariableDeclaration"].includes(node.type)) statements.push(node)
  })
  const problems: Array<string> = []
  const lines: Array<number> = []
  const edits: Array<{ readonly at: number; readonly text: string; readonly outer: number }> = []
  for (const comment of comments) {
    const value = /^\s*=>\s*(.*\S)\s*$/s.exec(comment.value)?.[1]
    if (comment.type !== "Line" || value === undefined) continue
    const line = lineAt(text, comment.start)
    const statement = statements.findLast((node) =>
      node.end <= comment.start && /^[\s;]*$/.test(text.slice(node.end, comment.start))
    )
    const subject = statement === undefined ? undefined : subjectOf(statement)
    if (subject === undefined) {
      problems.push(`line ${line}: no expression stands before \`// => ${value}\``)
      continue
    }
    const expected = isExpression(value) ? `() => (${value})` : "undefined"
    lines.push(line)
    edits.push({ at: subject.start, text: `${checkName}(${line}, (`, outer: 0 })
    edits.push({ at: subject.end, text: `), ${expected}, ${JSON.stringify(value)})`, outer: 1 })
  }
  let result = text
  for (const edit of edits.toSorted((a, b) => b.at - a.at || b.outer - a.outer)) {
    result = result.slice(0, edit.at) + edit.text + result.slice(edit.at)
  }
  return { text: result, lines, problems }
}
