/**
 * Trees drawn with lines.
 *
 * @since 0.1.0
 */

/** What is drawn: a line, and what hangs on it. */
export interface Tree {
  readonly text: string
  readonly children: ReadonlyArray<Tree>
}

const below = (children: ReadonlyArray<Tree>, indent: string): ReadonlyArray<string> =>
  children.flatMap(({ children: own, text }, i) => {
    const last = i === children.length - 1
    return [`${indent}${last ? "└─ " : "├─ "}${text}`, ...below(own, `${indent}${last ? "   " : "│  "}`)]
  })

/** The lines of a tree, the top first, without a line break at the end. */
export const draw = ({ children, text }: Tree): string => [text, ...below(children, "")].join("\n")
