/**
 * Fenced code blocks of Markdown pages and of JSDoc comments, and which of them run.
 *
 * The words after the three backticks decide:
 *
 * | fence | meaning |
 * |---|---|
 * | `ts` | must compile; in JSDoc it also runs when it has a `// =>` |
 * | `ts run` | is run as a module of its own; every `// => value` in it is asserted |
 * | `ts continues`, `ts run continues` | goes on with the module of the block before it on the page |
 * | `ts ignore: reason` | is not looked at; the reason says why it cannot compile |
 * | `text output` | what the module of the block before it prints with `console.log`, line by line |
 *
 * Other languages are left alone. Blocks that go on with each other are one module, whose lines keep their numbers, so that
 * an error names the line of the page.
 */

/** A fenced block. */
export interface Block {
  /** The page, relative to the root. */
  readonly file: string
  /** The number of the first line of code, from 1. */
  readonly line: number
  /** The words after the backticks. */
  readonly info: string
  readonly code: string
}

/** Blocks that form one module. */
export interface Module {
  readonly file: string
  /** The number of its first line of code. */
  readonly line: number
  /** The code at its own line numbers: blank lines stand for everything that is not code. */
  readonly text: string
  readonly runs: boolean
  /** What it must print, when the page says so. */
  readonly output: string | undefined
}

/** The modules of a page, and what is wrong with its fences. */
export interface Page {
  readonly modules: ReadonlyArray<Module>
  readonly problems: ReadonlyArray<string>
}

/** The fenced blocks in lines of Markdown; `offset` is the number of the line before the first. */
const blocksIn = (file: string, lines: ReadonlyArray<string>, offset: number): Array<Block> => {
  const blocks: Array<Block> = []
  let open: { fence: string; indent: number; info: string; line: number; code: Array<string> } | undefined
  for (const [index, line] of lines.entries()) {
    const match = /^(\s*)(`{3,})(.*)$/.exec(line)
    if (open === undefined) {
      if (match === null) continue
      open = {
        fence: match[2]!,
        indent: match[1]!.length,
        info: match[3]!.trim(),
        line: offset + index + 2,
        code: []
      }
    } else if (match !== null && match[2]!.length >= open.fence.length && match[3]!.trim() === "") {
      blocks.push({ file, line: open.line, info: open.info, code: open.code.join("\n") })
      open = undefined
    } else {
      open.code.push(line.slice(0, open.indent).trim() === "" ? line.slice(open.indent) : line)
    }
  }
  if (open !== undefined) blocks.push({ file, line: open.line, info: "unclosed", code: "" })
  return blocks
}

/** The fenced blocks of a Markdown page. */
export const blocksOfPage = (file: string, text: string): Array<Block> => blocksIn(file, text.split("\n"), 0)

/** The fenced blocks of the JSDoc comments of a file; `comments` are the comments that its parser found. */
export const blocksOfComments = (
  file: string,
  text: string,
  comments: ReadonlyArray<{ readonly type: string; readonly value: string; readonly start: number }>
): Array<Block> =>
  comments
    .filter((comment) => comment.type === "Block" && comment.value.startsWith("*"))
    .flatMap((comment) =>
      blocksIn(
        file,
        comment.value.split("\n").map((line) => line.replace(/^\s*\* ?/, "")),
        text.slice(0, comment.start).split("\n").length - 1
      )
    )

const marker = /\/\/ *=>/

/** What the words of a fence ask for, or what is wrong with them. */
const readInfo = (
  info: string
):
  | { readonly kind: "code"; readonly runs: boolean; readonly continues: boolean }
  | "output"
  | "other"
  | Array<string> =>
{
  const [language = "", ...words] = info.split(/\s+/)
  if (language === "unclosed") return ["this fence is never closed"]
  if (language === "text" && words.join(" ") === "output") return "output"
  if (["typescript", "tsx", "js", "javascript"].includes(language)) return [`write \`ts\` instead of \`${language}\``]
  if (language !== "ts") return "other"
  if (/^ignore\b/.test(words[0] ?? "")) {
    return /^ts\s+ignore:\s+\S.{9,}/.test(info) ? "other" : ["`ts ignore: reason` needs a reason"]
  }
  const unknown = words.filter((word) => word !== "run" && word !== "continues")
  if (unknown.length > 0) return [`unknown words after \`ts\`: ${unknown.join(" ")}`]
  return { kind: "code", runs: words.includes("run"), continues: words.includes("continues") }
}

/** Joins the blocks of one page into modules. `inCode` is whether the page is a source file. */
export const pageOf = (blocks: ReadonlyArray<Block>, inCode: boolean): Page => {
  const problems: Array<string> = []
  const modules: Array<{ file: string; blocks: Array<Block>; runs: boolean; output: string | undefined }> = []
  // The module that a `continues` or an output may follow.
  let last: (typeof modules)[number] | undefined
  for (const block of blocks) {
    const info = readInfo(block.info)
    const at = `${block.file}:${block.line - 1}`
    if (info === "other") continue
    if (Array.isArray(info)) {
      problems.push(`${at}: ${info[0]!}`)
    } else if (info === "output") {
      if (last === undefined || !last.runs) problems.push(`${at}: no block that runs stands before this output`)
      else last.output = (last.output === undefined ? "" : `${last.output}\n`) + block.code
    } else if (typeof info === "object") {
      if (info.continues && last === undefined) {
        problems.push(`${at}: there is no block to go on with`)
        continue
      }
      if (!info.continues || last === undefined) {
        last = { file: block.file, blocks: [], runs: false, output: undefined }
        modules.push(last)
      }
      last.blocks.push(block)
      last.runs ||= info.runs || (inCode && marker.test(block.code))
    }
  }
  for (const module of modules) {
    const block = module.blocks.find((item) => marker.test(item.code))
    if (block !== undefined && !module.runs) {
      problems.push(`${block.file}:${block.line - 1}: \`// =>\` is asserted only in a block marked \`ts run\``)
    }
  }
  return {
    problems,
    modules: modules.map((module) => {
      const lines: Array<string> = []
      for (const block of module.blocks) {
        while (lines.length < block.line - 1) lines.push("")
        lines.push(...block.code.split("\n"))
      }
      return {
        file: module.file,
        line: module.blocks[0]!.line,
        text: `${lines.join("\n")}\n`,
        runs: module.runs,
        output: module.output
      }
    })
  }
}
