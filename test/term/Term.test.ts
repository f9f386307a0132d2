import { assert, describe, it } from "@effect/vitest"
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import * as Result from "effect/Result"
import {
  Atom,
  BitString,
  ErlMap,
  Float,
  Fun,
  ImproperList,
  LocalTerm,
  Pid,
  Port,
  Reference,
  Term,
  TermError,
  Tuple
} from "../../src/term/index.ts"
import { makeRandom, makeRandomTerm } from "./randomTerm.ts"

const nodes = [["a@h", 1], ["b@h", 1], ["a@h", 2]] as const
const some = (seed: number, count: number, size = 3): Array<Term.Term> => {
  const next = makeRandomTerm(makeRandom(seed), { funs: true, negativeZero: true, nodes })
  return Array.from({ length: count }, () => next(size))
}

// A structural copy that shares nothing, so that equality cannot be identity.
const copy = (term: Term.Term): Term.Term => {
  if (Atom.isAtom(term)) return new Atom.Atom(term.name)
  if (Float.isFloat(term)) return new Float.Float(term.value)
  if (term instanceof Uint8Array) return Uint8Array.from(term)
  if (Array.isArray(term)) return term.map(copy)
  if (Tuple.isTuple(term)) return new Tuple.Tuple(term.elements.map(copy))
  if (ImproperList.isImproperList(term)) return new ImproperList.ImproperList(term.elements.map(copy), copy(term.tail))
  if (ErlMap.isErlMap(term)) return ErlMap.make([...term].reverse().map(([k, v]) => [copy(k), copy(v)] as const))
  if (BitString.isBitString(term)) return new BitString.BitString(Uint8Array.from(term.bytes), term.bits)
  return term
}

const deep = (levels: number, wrap: (term: Term.Term, i: number) => Term.Term): Term.Term => {
  let term: Term.Term = 0
  for (let i = 0; i < levels; i++) term = wrap(term, i)
  return term
}

describe("Atom", () => {
  it("is interned by make, and equal by text in any case", () => {
    assert.strictEqual(Atom.make("ok"), Atom.ok)
    assert.isTrue(Atom.equals(new Atom.Atom("ok"), Atom.ok))
    assert.isTrue(Equal.equals(new Atom.Atom("x"), new Atom.Atom("x")))
    assert.isFalse(Equal.equals(new Atom.Atom("x"), new Atom.Atom("y")))
    assert.isTrue(Atom.is(Atom.true_, "true"))
    assert.isFalse(Atom.is("true", "true"))
  })

  it("has at most 255 code points and no lone surrogate", () => {
    assert.strictEqual(Atom.make("😀".repeat(255)).name.length, 510)
    assert.throws(() => Atom.make("😀".repeat(256)), TermError.InvalidTerm)
    assert.throws(() => Atom.make("a".repeat(256)), TermError.InvalidTerm)
    assert.throws(() => Atom.make("\ud800"), TermError.InvalidTerm)
    assert.throws(() => Atom.make("a\udc00b"), TermError.InvalidTerm)
  })

  it("keeps a bounded table", () => {
    for (let i = 0; i < 70_000; i++) Atom.make(`bounded_${i}`)
    assert.strictEqual(Atom.interned("bounded_69999"), undefined)
    assert.isTrue(Atom.equals(Atom.make("bounded_69999"), Atom.make("bounded_69999")))
  })
})

describe("constructors", () => {
  it("floats are boxed when integral", () => {
    assert.strictEqual(Float.term(1.5), 1.5)
    assert.isTrue(Float.isFloat(Float.term(1)))
    assert.isTrue(Float.isFloat(Float.term(-0)))
    assert.throws(() => Float.make(NaN), TermError.InvalidTerm)
    assert.throws(() => Float.term(Infinity), TermError.InvalidTerm)
  })

  it("bit strings clear unused bits, and eight bits are a binary", () => {
    const bits = BitString.make(Uint8Array.of(0xff, 0xff), 3)
    assert.isTrue(Term.equals(bits, new BitString.BitString(Uint8Array.of(0xff, 0xe0), 3)))
    assert.instanceOf(BitString.make(Uint8Array.of(1), 8), Uint8Array)
    for (const [bytes, used] of [[[], 1], [[1], 0], [[1], 9], [[1], 1.5]] as const) {
      assert.throws(() => BitString.make(Uint8Array.from(bytes), used), TermError.InvalidTerm)
    }
  })

  it("improper lists normalise", () => {
    assert.deepStrictEqual(ImproperList.make([], 1), 1)
    assert.deepStrictEqual(ImproperList.make([1], [2]), [1, 2])
    assert.isTrue(Term.equals(
      ImproperList.make([1], ImproperList.make([2], 3)),
      new ImproperList.ImproperList([1, 2], 3)
    ))
  })
})

describe("ErlMap", () => {
  it("takes 1 and 1.0, atoms and binaries, 0.0 and -0.0 for different keys", () => {
    const keys: ReadonlyArray<Term.Term> = [
      1,
      Float.make(1),
      Atom.make("1"),
      Uint8Array.of(49),
      [49],
      Tuple.make(1),
      2n ** 70n,
      Float.make(0),
      Float.make(-0),
      1.5,
      ErlMap.empty,
      ErlMap.make([[1, 2]]),
      Uint8Array.from(new Array(300).fill(1)),
      Atom.make("__proto__")
    ]
    const map = ErlMap.make(keys.map((key, i) => [key, i] as const))
    assert.strictEqual(map.size, keys.length)
    keys.forEach((key, i) => assert.strictEqual(map.get(copy(key)), i))
    assert.strictEqual(map.get(3), undefined)
    assert.strictEqual(map.getAtom("__proto__"), 13)
    assert.strictEqual(({} as { readonly polluted?: unknown }).polluted, undefined)
  })

  it("the last of equal keys wins, bigints and numbers of one value are one key", () => {
    const map = ErlMap.make([[1, Atom.ok], [2, 2], [1n, Atom.error]])
    assert.strictEqual(map.size, 2)
    assert.strictEqual(map.get(1), Atom.error)
  })

  it("set and remove leave the original alone", () => {
    const map = ErlMap.make([[1, 1]])
    assert.strictEqual(ErlMap.set(map, 1, 2).get(1), 2)
    assert.strictEqual(ErlMap.set(map, [1], 2).get([1]), 2)
    assert.strictEqual(ErlMap.remove(map, 1).size, 0)
    assert.strictEqual(ErlMap.remove(map, 7), map)
    assert.strictEqual(map.get(1), 1)
  })

  it("finds every key of large maps, in any order of entries", () => {
    const terms = some(3, 400).filter((term) => !Float.isFloat(term))
    const map = ErlMap.make(terms.map((term) => [term, term] as const))
    for (const term of terms) assert.isTrue(Term.equals(map.get(copy(term))!, term), Term.print(term))
    const reversed = ErlMap.make([...map].reverse())
    assert.isTrue(Term.equals(map, reversed))
    assert.strictEqual(Term.hash(map), Term.hash(reversed))
    assert.strictEqual(Term.compareExact(map, reversed), 0)
  })
})

describe("equality, hash and order", () => {
  const terms = some(17, 300)

  it("a copy is equal, hashes and compares alike", () => {
    for (const term of terms) {
      const other = copy(term)
      assert.isTrue(Term.equals(term, other), Term.print(term))
      assert.strictEqual(Term.hash(term), Term.hash(other), Term.print(term))
      assert.strictEqual(Term.compareExact(term, other), 0, Term.print(term))
    }
  })

  it("is a total order: antisymmetric, transitive, and zero exactly for equals", () => {
    for (const a of terms) {
      for (const b of terms.slice(0, 100)) {
        const order = Term.compareExact(a, b)
        assert.strictEqual(order + Term.compareExact(b, a), 0)
        assert.strictEqual(order === 0, Term.equals(a, b), `${Term.print(a)} ${Term.print(b)}`)
        assert.strictEqual(Term.compare(a, b) + Term.compare(b, a), 0)
      }
    }
    const sorted = terms.slice().sort(Term.compareExact)
    for (let i = 0; i < sorted.length; i += 7) {
      for (let j = i; j < sorted.length; j += 11) assert.isAtMost(Term.compareExact(sorted[i]!, sorted[j]!), 0)
    }
  })

  it("types in Erlang's order", () => {
    const pid = new Pid.Pid("a@h", 1, 0, 1)
    const ordered: ReadonlyArray<Term.Term> = [
      -(2n ** 80n),
      -1,
      Float.make(0),
      1,
      1.5,
      2n ** 80n,
      Atom.make("a"),
      Atom.make("b"),
      new Reference.Reference("a@h", 1, [1]),
      new Fun.ExportFun(Atom.make("m"), Atom.make("f"), 1),
      new Port.Port("a@h", 1n, 1),
      pid,
      Tuple.make(),
      Tuple.make(2),
      Tuple.make(1, 1),
      ErlMap.empty,
      ErlMap.make([[1, 1]]),
      [],
      [1],
      [1, 1],
      ImproperList.make([1], Uint8Array.of(1)),
      [2],
      new Uint8Array(0),
      BitString.make(Uint8Array.of(0), 1),
      Uint8Array.of(0),
      Uint8Array.of(0, 0),
      Uint8Array.of(1)
    ]
    for (let i = 0; i < ordered.length; i++) {
      for (let j = 0; j < ordered.length; j++) {
        assert.strictEqual(
          Term.compare(ordered[i]!, ordered[j]!),
          Math.sign(i - j),
          `${Term.print(ordered[i])} ${Term.print(ordered[j])}`
        )
      }
    }
  })

  it("atoms in the order of code points, not of UTF-16 units", () => {
    const ordered = ["", "a", "aa", "b", "\u00e9", "\ud7ff", "\ue000", "\uffff", "\u{10000}", "\u{1f600}"].map(
      Atom.make
    )
    for (let i = 1; i < ordered.length; i++) assert.strictEqual(Term.compare(ordered[i - 1]!, ordered[i]!), -1)
  })

  it("1 and 1.0 are equal in order, not in value; keys of maps put integers first", () => {
    assert.strictEqual(Term.compare(1, Float.make(1)), 0)
    assert.strictEqual(Term.compareExact(1, Float.make(1)), -1)
    assert.strictEqual(Term.compareExact(7, Float.make(1)), -1)
    assert.isFalse(Term.equals(1, Float.make(1)))
    assert.isFalse(Term.equals(Float.make(0), Float.make(-0)))
    assert.strictEqual(Term.compare(9007199254740993n, Float.make(9007199254740992)), 1)
  })

  it("Equal and Hash of Effect see the same", () => {
    for (const term of terms) {
      if (typeof term !== "object" || Array.isArray(term) || term instanceof Uint8Array) continue
      assert.isTrue(Equal.equals(term, copy(term)), Term.print(term))
      assert.strictEqual(Hash.hash(term), Hash.hash(copy(term)), Term.print(term))
    }
    assert.isTrue(Equal.equals(new LocalTerm.LocalTerm(Uint8Array.of(1)), new LocalTerm.LocalTerm(Uint8Array.of(1))))
  })

  it("200 000 levels leave the call stack alone", () => {
    const wraps: ReadonlyArray<(term: Term.Term, i: number) => Term.Term> = [
      (term) => [term],
      (term) => Tuple.make(term, 1),
      (term) => ErlMap.make([[1, term]]),
      (term, i) => i % 2 === 0 ? new ErlMap.ErlMap([term, 1, 2, 3]) : ImproperList.make([term], 1)
    ]
    for (const wrap of wraps) {
      const a = deep(200_000, wrap)
      const b = deep(200_000, wrap)
      assert.isTrue(Term.equals(a, b))
      assert.strictEqual(Term.compare(a, b), 0)
      assert.strictEqual(Term.hash(a), Term.hash(b))
      const text = Term.print(a)
      assert.isTrue(Term.equals(Term.parseUnsafe(text), a))
      assert.strictEqual(Term.print(a, { maxLength: 20 }).length, 20)
    }
  }, 120_000)
})

describe("printing", () => {
  const cases: ReadonlyArray<readonly [Term.Term, string]> = [
    [1, "1"],
    [-0, "0"],
    [2n ** 64n, "18446744073709551616"],
    [1.5, "1.5"],
    [Float.make(1), "1.0"],
    [Float.make(-0), "-0.0"],
    [Float.make(1000), "1.0e3"],
    [Float.make(100), "100.0"],
    [0.0001, "0.0001"],
    [0.00001, "1.0e-5"],
    [123.456, "123.456"],
    [Float.make(9007199254740992), "9.007199254740992e15"],
    [5e-324, "5.0e-324"],
    [-1.25e300, "-1.25e300"],
    [Atom.make("ok"), "ok"],
    [Atom.make("Ok"), "'Ok'"],
    [Atom.make(""), "''"],
    [Atom.make("end"), "'end'"],
    [Atom.make("maybe"), "maybe"],
    [Atom.make("a@b_C9"), "a@b_C9"],
    [Atom.make("it's"), "'it\\'s'"],
    [Atom.make("\n"), "'\\n'"],
    [Atom.make("ж"), "'\\x{436}'"],
    [Atom.make("é"), "é"],
    [Atom.make("÷"), "'÷'"],
    [[], "[]"],
    [[97, 98], "\"ab\""],
    [[1, 97], "[1,97]"],
    [[34, 92, 10], "\"\\\"\\\\\\n\""],
    [[228], "\"ä\""],
    [[1234], "[1234]"],
    [new Uint8Array(0), "<<>>"],
    [Uint8Array.of(97, 34), "<<\"a\\\"\">>"],
    [Uint8Array.of(0, 1), "<<0,1>>"],
    [BitString.make(Uint8Array.of(1, 0xa0), 3), "<<1,5:3>>"],
    [Tuple.make(), "{}"],
    [Tuple.make(1, [2]), "{1,[2]}"],
    [ImproperList.make([1, 2], 3), "[1,2|3]"],
    [ErlMap.empty, "#{}"],
    [ErlMap.make([[Atom.make("b"), 1], [Atom.make("a"), 2]]), "#{a => 2,b => 1}"],
    [new Pid.Pid("a@h", 1, 2, 3), "<a@h.1.2>"],
    [new Pid.Pid("n@h", 1, 2, 3), "<0.1.2>"],
    [new Reference.Reference("n@h", 1, [1, 2, 3]), "#Ref<0.3.2.1>"],
    [new Port.Port("n@h", 5n, 1), "#Port<0.5>"],
    [new Fun.ExportFun(Atom.make("m"), Atom.make("f g"), 2), "fun m:'f g'/2"]
  ]
  it.each(cases.map(([term, text]) => [text, term] as const))("%s", (text, term) => {
    assert.strictEqual(Term.print(term, { node: "n@h" }), text)
  })

  it("never fails on what is no term", () => {
    for (const value of ["text", null, undefined, true, {}, () => 1, NaN, Symbol("x")]) {
      assert.include(Term.print([value]), "#NotATerm<")
    }
  })

  it("cuts long output without making all of it", () => {
    const text = Term.print(new Array(1_000_000).fill(12345), { maxLength: 50 })
    assert.strictEqual(text.length, 50)
    assert.isTrue(text.endsWith("..."))
    assert.isAtMost(Term.print(new Uint8Array(1 << 24), { maxLength: 50 }).length, 50)
  })

  it("in unicode mode keeps characters", () => {
    assert.strictEqual(Term.print(Atom.make("ж\u0001"), { unicode: true }), "'ж\\001'")
  })
})

describe("parsing", () => {
  it("reads back what is printed", () => {
    const next = makeRandomTerm(makeRandom(99), { negativeZero: true, nodes: [["n@1.2.h", 0]] })
    for (let i = 0; i < 3000; i++) {
      const term = next(5)
      const text = Term.print(term)
      assert.isTrue(Term.equals(Term.parseUnsafe(text), term), text)
      assert.isTrue(
        Term.equals(Term.parseUnsafe(Term.print(term, { node: "n@1.2.h" }), { node: "n@1.2.h" }), term),
        text
      )
    }
  })

  it("knows comments, character literals, bases, adjacent strings and the full stop", () => {
    const term = Term.parseUnsafe(`% head
      [ $a, $\\n, 16#ff, 2#1010, 1_000, -5, "a" % in between
        "b", 'q\\x{41}' | {} ] .`)
    assert.strictEqual(Term.print(term), "[97,10,255,10,1000,-5,\"ab\",qA|{}]")
  })

  it("says where it stumbles", () => {
    const cases: ReadonlyArray<readonly [text: string, line: number, column: number]> = [
      ["", 1, 1],
      ["[1,", 1, 4],
      ["{1 2}", 1, 4],
      ["[1\n,X]", 2, 2],
      ["#{a}", 1, 4],
      ["#{a => 1, b}", 1, 12],
      ["\"abc", 1, 1],
      ["<<256:300000>>", 1, 3],
      ["ok ok", 1, 4],
      ["[1|2,3]", 1, 5],
      ["1.0e999", 1, 1],
      ["37#1", 1, 1],
      ["2#3", 1, 1],
      ["#Fun<a.1.2>", 1, 1],
      ["<123.4.5>", 1, 2],
      ["\"\\x{d800}\"", 1, 2],
      ["fun a:b/300", 1, 12],
      ["{,}", 1, 2],
      ["]", 1, 1]
    ]
    for (const [text, line, column] of cases) {
      const result = Term.parse(text)
      assert.isTrue(Result.isFailure(result), text)
      if (Result.isFailure(result)) {
        assert.deepStrictEqual(
          [result.failure.line, result.failure.column],
          [line, column],
          `${text}: ${result.failure.message}`
        )
      }
    }
  })

  it("only ever fails with TermParseError", () => {
    const random = makeRandom(4)
    const alphabet = "[]{}<>#|,.:=/'\"\\$%&-+0123456789abcXYZ_@ \n\u00e9\ud800😀funRefPort"
    for (let i = 0; i < 30_000; i++) {
      let text = ""
      for (let n = Math.floor(random() * 24); n > 0; n--) text += alphabet[Math.floor(random() * alphabet.length)]
      const result = Term.parse(text)
      if (Result.isSuccess(result)) {
        assert.isTrue(Term.equals(Term.parseUnsafe(Term.print(result.success)), result.success), text)
      }
    }
  })
})
