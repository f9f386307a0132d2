/**
 * What the command line prints, apart from where it comes from: tables, trees, sizes, terms as JSON, the view of `top`.
 */
import { assert, describe, it } from "@effect/vitest"
import { Atom, ErlMap, Float, Term, Tuple } from "effect-otp/term"
import type { LoadFacts } from "../../src/cli/internal/LoadFacts.ts"
import type { ProcessFacts } from "../../src/cli/internal/ProcessFacts.ts"
import * as ProcessTable from "../../src/cli/internal/ProcessTable.ts"
import { type Column, table } from "../../src/cli/internal/Table.ts"
import * as TermJson from "../../src/cli/internal/TermJson.ts"
import * as Text from "../../src/cli/internal/Text.ts"
import * as TopView from "../../src/cli/internal/TopView.ts"
import { drawn } from "../../src/cli/internal/Tree.ts"
import { draw } from "../../src/cli/internal/TreeView.ts"
import * as fc from "../dist/generate.ts"

const term = (text: string): Term.Term => Term.parseUnsafe(text)

describe("texts", () => {
  it("nothing that comes from others moves the cursor", () => {
    assert.strictEqual(Text.printable("a\u001B[2Jb\nc\u202E"), "a\\u{1b}[2Jb\\u{a}c\\u{202e}")
    assert.strictEqual(Text.printable("naïve 日本"), "naïve 日本")
    fc.check(fc.array(fc.integer({ min: 0, max: 0x2100 })), (codes) => {
      assert.notMatch(Text.printable(String.fromCodePoint(...codes)), /[\p{Cc}\u2028\u2029\u202E]/u)
    })
  })

  it("are cut by characters, never longer than allowed", () => {
    assert.strictEqual(Text.cut("abcdef", 4), "abc…")
    assert.strictEqual(Text.cut("abcd", 4), "abcd")
    assert.strictEqual(Text.cut("😀😀😀", 2), "😀…")
    assert.strictEqual(Text.cut("abc", 0), "")
  })

  it("sizes and times have the units that people use", () => {
    assert.deepStrictEqual([0, 1023, 1024, 1536, 5_368_709_120].map(Text.bytes), [
      "0 B",
      "1023 B",
      "1.0 KiB",
      "1.5 KiB",
      "5.0 GiB"
    ])
    assert.deepStrictEqual([0, 61_000, 86_400_000 + 3_723_000].map(Text.time), ["00:00:00", "00:01:01", "1d 01:02:03"])
  })
})

describe("tables", () => {
  const columns: ReadonlyArray<Column<{ readonly name: string; readonly n: number }>> = [
    { title: "NAME", of: ({ name }) => name },
    { title: "N", of: ({ n }) => String(n), align: "right" }
  ]

  it("are as wide as what they hold; numbers stand on the right; no line ends in spaces", () => {
    assert.strictEqual(
      table(columns, [{ name: "counter", n: 7 }, { name: "a", n: 1234 }]),
      "NAME        N\ncounter     7\na        1234"
    )
    assert.strictEqual(table(columns, []), "NAME  N")
  })

  it("are cut to the width of the screen", () => {
    assert.strictEqual(table(columns, [{ name: "counter", n: 7 }], 6), "NAME …\ncount…")
  })
})

describe("trees", () => {
  it("are drawn with lines that go on where something follows", () => {
    const leaf = (text: string) => ({ text, children: [] })
    assert.strictEqual(
      draw({
        text: "top",
        children: [{ text: "a", children: [leaf("b"), leaf("c")] }, { text: "d", children: [leaf("e")] }]
      }),
      ["top", "├─ a", "│  ├─ b", "│  └─ c", "└─ d", "   └─ e"].join("\n")
    )
  })

  it("say what stands in them, and what does not run", () => {
    const child = {
      type: "worker" as const,
      id: "counter",
      pid: "<0.8.0>",
      name: "counter",
      module: "Counter",
      status: "running" as const,
      children: []
    }
    const lines = draw(drawn({
      ...child,
      type: "application",
      id: "shop",
      pid: "<0.6.0>",
      name: null,
      module: null,
      children: [
        {
          ...child,
          type: "supervisor",
          id: null,
          pid: "<0.7.0>",
          name: null,
          module: null,
          children: [
            child,
            { ...child, name: "other", module: "counter" },
            { ...child, pid: null, name: null, module: null, status: "restarting" },
            { ...child, pid: null, name: null, module: null, status: "down" },
            { ...child, name: null, module: null, status: "silent", id: "\u001B[2J" }
          ]
        }
      ]
    }))
    assert.strictEqual(
      lines,
      [
        "application shop <0.6.0>",
        "└─ supervisor <0.7.0>",
        "   ├─ counter <0.8.0> Counter",
        "   ├─ counter <0.8.0> registered as other",
        "   ├─ counter (restarting)",
        "   ├─ counter (not running)",
        "   └─ \\u{1b}[2J <0.8.0> (does not answer)"
      ].join("\n")
    )
  })
})

describe("terms as JSON", () => {
  it("keep what JSON has a form for", () => {
    assert.deepStrictEqual(
      TermJson.fromTerm(term(`{ok, [1, 2.5, true, undefined], #{name => <<"x">>, <<"k">> => {}, 3 => [a]}}`)),
      ["ok", [1, 2.5, true, "undefined"], { name: "x", k: [], 3: ["a"] }]
    )
    assert.strictEqual(TermJson.fromTerm(Float.make(3)), 3)
  })

  it("show the rest as text, without loss for who reads it", () => {
    assert.strictEqual(TermJson.fromTerm(term("123456789012345678901234567890")), "123456789012345678901234567890")
    assert.deepStrictEqual(TermJson.fromTerm(term("<<255, 0>>")), { base64: "/wA=" })
    assert.strictEqual(TermJson.fromTerm(term("[a|b]")), "[a|b]")
    // However deep it is, there is an answer.
    const deep = JSON.stringify(TermJson.fromTerm(term(`${"[".repeat(100_000)}${"]".repeat(100_000)}`)))
    assert.match(deep, /^\[{100}"\[+\]+"\]{100}$/)
    const pid = Term.parseUnsafe("<0.42.0>", { node: "a@h" })
    assert.strictEqual(TermJson.fromTerm(pid, { node: "a@h" }), "<0.42.0>")
    assert.deepStrictEqual(TermJson.fromTerm(ErlMap.make([[Tuple.make(Atom.ok, 1), 2]])), { "{ok,1}": 2 })
  })
})

const processes: ReadonlyArray<ProcessFacts> = ["a", "b", "c", "d", "e", "f"].map((name, i) => ({
  pid: `<0.${i}.0>`,
  name,
  initialCall: null,
  currentFunction: "receive",
  reductions: [5, 50, 1, 4, 3, 2][i]!,
  memory: i * 1024,
  messages: i === 4 ? 9 : 0
}))

const facts: LoadFacts = {
  release: "effect-otp",
  uptimeMillis: 61_000,
  busyMillis: 1000,
  memory: 2048,
  input: 0,
  output: 0
}

const first: TopView.Snapshot = { node: "shop@127.0.0.1", at: 1000, facts, processes }

const second: TopView.Snapshot = {
  node: "shop@127.0.0.1",
  at: 3000,
  facts: { ...facts, busyMillis: 1500, input: 4096 },
  processes: processes.map((process) => process.name === "c" ? { ...process, reductions: 201 } : process)
}

const after = (...events: ReadonlyArray<TopView.Event>): TopView.View =>
  [sized(120, 24), ...events].reduce((view, event) => TopView.update(view, event)!, TopView.initial("reductions"))

const key = (name: string): TopView.Event => ({ _tag: "Key", name })
const sized = (columns: number, rows: number): TopView.Event => ({ _tag: "Resized", size: { columns, rows } })
const shot = (snapshot: TopView.Snapshot): TopView.Event => ({ _tag: "Snapshot", snapshot })

const names = (view: TopView.View): string => TopView.render(view).slice(4).map((line) => line.split(/ +/)[1]).join("")

describe("the view of top", () => {
  it("waits for the first answer, then shows totals, then what was done since", () => {
    assert.include(TopView.render(after())[0], "waiting")
    const one = TopView.render(after(shot(first)))
    assert.strictEqual(one[0], "shop@127.0.0.1  effect-otp  up 00:01:01  6 processes  memory 2.0 KiB")
    const two = TopView.render(after(shot(first), shot(second)))
    assert.include(two[0], "busy 25 %  in 2.0 KiB/s  out 0 B/s")
    assert.match(two[4]!, /^<0\.2\.0> +c +201 +100 /)
  })

  it("sorts by what a key says: work, memory, messages, name", () => {
    const view = after(shot(first))
    assert.strictEqual(names(view), "badefc")
    assert.strictEqual(names(after(shot(first), shot(second))), "cbadef")
    assert.strictEqual(names(TopView.update(view, key("m"))!), "fedcba")
    assert.strictEqual(names(TopView.update(view, key("w"))!)[0], "e")
    assert.strictEqual(names(TopView.update(view, key("n"))!), "abcdef")
  })

  it("scrolls within what there is, and ends with q", () => {
    const sorted = after(shot(first), key("n"))
    const short = TopView.update(sorted, sized(120, 7))!
    const down = TopView.update(sorted, key("down"))!
    assert.strictEqual(names(down), "bcdef")
    assert.strictEqual(names(TopView.update(down, key("up"))!), "abcdef")
    assert.strictEqual(names(TopView.update(short, key("pagedown"))!), "def")
    assert.strictEqual(names(TopView.update(TopView.update(short, key("pagedown"))!, key("pageup"))!), "abc")
    assert.strictEqual(names(TopView.update(sorted, key("up"))!), "abcdef")
    assert.strictEqual(names([1, 2, 3].reduce((view) => TopView.update(view, key("pagedown"))!, short)), "f")
    assert.strictEqual(names(TopView.update(down, key("home"))!), "abcdef")
    assert.strictEqual(names(TopView.update(down, key("x"))!), "bcdef")
    // Fewer processes than were scrolled over.
    const fewer = { ...first, processes: processes.slice(0, 1) }
    assert.strictEqual(names(TopView.update(TopView.update(short, key("pagedown"))!, shot(fewer))!), "a")
    assert.isUndefined(TopView.update(sorted, key("q")))
    // A terminal that does not know its size.
    assert.deepStrictEqual(TopView.update(sorted, sized(0, 0))!.size, { columns: 80, rows: 24 })
  })

  it("never has more lines or longer ones than the screen", () => {
    fc.check(fc.tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 150 })), ([rows, columns]) => {
      const lines = TopView.render(after(sized(columns, rows), shot(first), shot(second)))
      assert.isAtMost(lines.length, rows)
      for (const line of lines) assert.isAtMost(Array.from(line).length, columns)
    })
  })

  it("is one text without a terminal", () => {
    const lines = TopView.still(first, "messages", 2).split("\n")
    assert.lengthOf(lines, 5)
    assert.match(lines[3]!, /^<0\.4\.0> +e +3 /)
  })
})

describe("processes", () => {
  it("without a name are called by what they run; unknown memory is no zero", () => {
    const [process] = processes
    const anonymous = { ...process!, name: null, initialCall: "Counter" }
    assert.strictEqual(ProcessTable.nameOf(anonymous), "Counter")
    assert.match(ProcessTable.text([anonymous]), /Counter +5 +- +0 +receive$/)
  })
})
