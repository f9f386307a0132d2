/**
 * Lint rules of this repository that have no stock counterpart. They are switched on for `src` in `.oxlintrc.json`;
 * `test/project/Lint.test.ts` shows each of them fail.
 */

/** The little of oxlint's syntax tree that the rules look at. */
interface Node {
  readonly type: string
  readonly name?: string
  readonly callee?: Node
  readonly object?: Node
  readonly property?: Node
  readonly computed?: boolean
  readonly arguments?: ReadonlyArray<Node>
}

interface Context {
  report(problem: { readonly node: Node; readonly message: string }): void
}

type Visitor = Record<string, (node: Node) => void>

/** `Date` for `Date` and for `globalThis.Date`. */
const globalName = (node: Node | undefined): string | undefined => {
  if (node === undefined) return undefined
  if (node.type === "Identifier") return node.name
  if (node.type === "MemberExpression" && node.computed !== true && globalName(node.object) === "globalThis") {
    return node.property?.name
  }
  return undefined
}

interface Rule {
  create(context: Context): Visitor
}

const noTry: Rule = {
  create: (context: Context): Visitor => ({
    TryStatement: (node) =>
      context.report({
        node,
        message:
          "No `try` in src: use Effect.try, Effect.catch or Effect.exit. A hot path that must catch a synchronous throw of user code may disable this rule for one line, with the reason."
      })
  })
}

const noHostClock: Rule = {
  create: (context: Context): Visitor => ({
    NewExpression: (node) => {
      if (globalName(node.callee) === "Date" && node.arguments?.length === 0) {
        context.report({ node, message: "No `new Date()` in src: the time comes from Effect's Clock." })
      }
    },
    CallExpression: (node) => {
      const callee = node.callee
      if (globalName(callee) === "Date") {
        context.report({ node, message: "No `Date()` in src: the time comes from Effect's Clock." })
      }
      if (
        callee?.type === "MemberExpression" && callee.object?.type === "MemberExpression" &&
        (globalName(callee.object) === "Date" && callee.property?.name === "now" ||
          globalName(callee.object) === "Math" && callee.property?.name === "random")
      ) {
        context.report({ node, message: "No host time or chance in src: use Effect's Clock and Random." })
      }
    }
  })
}

const plugin: { readonly meta: { readonly name: string }; readonly rules: Record<string, Rule> } = {
  meta: { name: "effect-otp" },
  rules: {
    "no-host-clock": noHostClock,
    "no-try": noTry
  }
}

export default plugin
