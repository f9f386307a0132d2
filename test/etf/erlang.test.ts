/**
 * The codec, the printer, the parser and the order of terms against a real Erlang.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Decoder from "../../src/etf/Decoder.ts"
import * as Encoder from "../../src/etf/Encoder.ts"
import { Etf } from "../../src/etf/index.ts"
import * as NodeCompression from "../../src/etf/NodeCompression.ts"
import { Fun, Pid, Term } from "../../src/term/index.ts"
import { elixir, erlangAvailable, escript, readRecords, withDirectory, writeRecords } from "../erlang/escript.ts"
import { makeRandom, makeRandomTerm } from "../term/randomTerm.ts"

const script = "term_wire.escript"
const node = "nonode@nohost"
const decoder = Decoder.make({ inflate: NodeCompression.inflate })
const encoder = Encoder.make()
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

const describeErlang = erlangAvailable ? describe : describe.skip

describeErlang("terms against Erlang", () => {
  it("5000 terms made by Erlang: decoded, printed alike, and equal again when they come back", () => {
    withDirectory((file) => {
      escript(script, ["gen", "42", "5000", file("terms")])
      const records = readRecords(file("terms"))
      assert.strictEqual(records.length, 10_000)
      const back: Array<Uint8Array> = []
      for (let i = 0; i < records.length; i += 2) {
        const term = decoder.decodeUnsafe(records[i]!)
        assert.strictEqual(Term.print(term, { node }), text(records[i + 1]!))
        back.push(records[i]!, encoder.encodeUnsafe(term))
      }
      writeRecords(file("pairs"), back)
      assert.include(escript(script, ["same", file("pairs")]), "0 different")
    })
  }, 120_000)

  it("5000 terms made here: Erlang decodes them, prints them alike and sends equal ones back", () => {
    withDirectory((file) => {
      const next = makeRandomTerm(makeRandom(7), { negativeZero: true })
      const terms = Array.from({ length: 5000 }, () => next())
      writeRecords(file("terms"), terms.map((term) => encoder.encodeUnsafe(term)))
      escript(script, ["echo", file("terms"), file("back")])
      const records = readRecords(file("back"))
      terms.forEach((term, i) => {
        const echoed = decoder.decodeUnsafe(records[2 * i]!)
        assert.isTrue(Term.equals(echoed, term), `${Term.print(term)}\n${Term.print(echoed)}`)
        // Beyond 32 keys Erlang prints in the order of its hashes, which the echo has and ours has not.
        assert.strictEqual(Term.print(echoed, { node }), text(records[2 * i + 1]!))
      })
    })
  }, 120_000)

  it("identifiers and funs of other nodes come back bit by bit", () => {
    withDirectory((file) => {
      const nodes = [["a@host", 1], ["a@host", 2], ["b@192.168.0.1", 0xfffffff0]] as const
      const next = makeRandomTerm(makeRandom(11), { nodes, funs: true })
      const terms = Array.from({ length: 1000 }, () => next(5))
      const sent = terms.map((term) => encoder.encodeUnsafe(term))
      writeRecords(file("terms"), sent)
      escript(script, ["echo", file("terms"), file("back")])
      const records = readRecords(file("back"))
      terms.forEach((term, i) => {
        assert.isTrue(Term.equals(decoder.decodeUnsafe(records[2 * i]!), term), Term.print(term))
      })
      // The creator of a fun is not part of its equality, but must travel.
      const fun = terms.find(Fun.isFun)
      assert.isTrue(fun === undefined || Pid.isPid(fun.pid))
    })
  }, 120_000)

  it("2000 terms sort as Erlang sorts them", () => {
    withDirectory((file) => {
      const nodes = [["a@host", 1], ["a@host", 2], ["c@host", 1], ["b@host", 9]] as const
      for (const [seed, size] of [[1, 0], [2, 2], [3, 4]] as const) {
        const next = makeRandomTerm(makeRandom(seed), { nodes, funs: true })
        const terms = Array.from({ length: 2000 }, () => next(size))
        writeRecords(file("terms"), terms.map((term) => encoder.encodeUnsafe(term)))
        escript(script, ["sort", file("terms"), file("sorted")])
        const sorted = decoder.decodeUnsafe(readRecords(file("sorted"))[0]!) as ReadonlyArray<Term.Term>
        assert.strictEqual(sorted.length, 2000)
        for (let i = 1; i < sorted.length; i++) {
          assert.isAtMost(
            Term.compare(sorted[i - 1]!, sorted[i]!),
            0,
            `${Term.print(sorted[i - 1])} before ${Term.print(sorted[i])}`
          )
        }
        // And ours, sorted here, are the same up to the order of equals.
        const ours = terms.slice().sort(Term.compare)
        ours.forEach((term, i) => assert.strictEqual(Term.compare(term, sorted[i]!), 0))
      }
    })
  }, 120_000)

  it("Erlang reads back what is printed, and reads a text as the parser does", () => {
    withDirectory((file) => {
      const next = makeRandomTerm(makeRandom(5), { identifiers: false, negativeZero: true })
      const terms = Array.from({ length: 1000 }, () => next())
      const texts = [
        ...terms.map((term) => Term.print(term)),
        "16#FF",
        "-2#101",
        "36#zz",
        "1_000_000",
        "$a",
        "$\\n",
        "$\\x41",
        "$\\^a",
        "-$a",
        "\"a\" \"b\" % comment\n \"c\"",
        "'\\x{436}'",
        "<<1,2:16,3:4,-1:12>>",
        "<<\"é\"/utf8>>",
        "<<\"ab\",5:3>>",
        "<<1.5/float>>",
        "[1,2|[3]]",
        "[a|b]",
        "#{a=>1,b=>#{}}",
        "fun lists:map/2",
        "fun 'A':'b c'/0",
        "1.0e-5",
        "+5",
        "- 5",
        "\"\\s\\e\\d\\101\""
      ]
      writeRecords(file("texts"), texts.map((t) => new TextEncoder().encode(t)))
      escript(script, ["form", file("texts"), file("terms")])
      readRecords(file("terms")).forEach((record, i) => {
        const theirs = decoder.decodeUnsafe(record)
        const ours = Term.parseUnsafe(texts[i]!)
        assert.isTrue(Term.equals(ours, theirs), `${texts[i]}\nours ${Term.print(ours)}\ntheirs ${Term.print(theirs)}`)
        if (i < terms.length) assert.isTrue(Term.equals(ours, terms[i]!), texts[i]!)
      })
    })
  }, 120_000)

  it("an Elixir struct goes out as one and comes back into a class", () => {
    withDirectory((file) => {
      const fields = {
        name: Schema.String,
        age: Schema.Int,
        email: Schema.NullOr(Schema.String),
        tags: Schema.Array(Schema.String)
      }
      class User extends Schema.Class<User>("User")(Etf.ElixirStruct("Elixir.Shop.User", fields)) {}
      const user = new User({ name: "Zoë", age: 36, email: null, tags: ["a"] })
      const compiled = Etf.compile(User)
      writeRecords(file("users"), [Result.getOrThrow(compiled.encode(user))])
      if (elixir("struct.exs", [file("users"), file("answers")]) === undefined) return
      const reply = Etf.compile(Schema.Tuple([Schema.Literal("ok"), User]))
      const [ok, older] = Result.getOrThrow(reply.decode(readRecords(file("answers"))[0]!))
      assert.strictEqual(ok, "ok")
      assert.instanceOf(older, User)
      assert.deepStrictEqual({ ...older }, { ...user, age: 37 })
    })
  }, 60_000)
})
