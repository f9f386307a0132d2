import { assert, describe, it } from "@effect/vitest"
import * as Equal from "effect/Equal"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Decoder from "../../src/etf/Decoder.ts"
import * as Encoder from "../../src/etf/Encoder.ts"
import { EtfSchemaError } from "../../src/etf/EtfError.ts"
import { Etf, MessageShape } from "../../src/etf/index.ts"
import { Term } from "../../src/term/index.ts"

class Overflow extends Schema.TaggedError<Overflow>()("Overflow", { max: Schema.Int }) {}
class Item extends Schema.Class<Item>("Item")({ id: Schema.Int, note: Schema.optionalKey(Schema.String) }) {}

const definitions: ReadonlyArray<MessageShape.Definition> = [
  { tag: "Add", payload: Schema.Struct({ n: Schema.Int }) },
  { tag: "Reset" },
  { tag: "AddMany", payload: Schema.Array(Schema.Int) },
  { tag: "Put", payload: Item },
  { tag: "Get", payload: Schema.Void },
  { tag: "Empty", payload: Schema.Struct({}) },
  { tag: "Custom", name: "add", payload: Schema.Struct({ n: Schema.Int, m: Schema.Int }) },
  { tag: "Failed", payload: Overflow },
  { tag: "Prop", payload: Etf.Proplist({ a: Schema.Int }) }
]
const shape = MessageShape.make(definitions)
const decoder = Decoder.make()
const encoder = Encoder.make()
const at = (text: string): Decoder.Decoder => {
  const bytes = encoder.encodeUnsafe(Term.parseUnsafe(text))
  decoder.open(bytes, 1, bytes.length)
  return decoder
}

const cases: ReadonlyArray<readonly [text: string, index: number, payload: unknown]> = [
  ["{add,2}", 0, { n: 2 }],
  ["reset", 1, undefined],
  ["{add_many,[1,2]}", 2, [1, 2]],
  ["{put,7,undefined}", 3, new Item({ id: 7 })],
  ["{put,7,<<\"x\">>}", 3, new Item({ id: 7, note: "x" })],
  ["get", 4, undefined],
  ["empty", 5, {}],
  ["{add,1,2}", 6, { n: 1, m: 2 }],
  ["{failed,{overflow,#{max => 1}}}", 7, new Overflow({ max: 1 })],
  ["{prop,[{a,1}]}", 8, { a: 1 }]
]

describe("messages", () => {
  it.each(cases)("%s", (text, index, payload) => {
    const term = Result.getOrThrow(shape.toTerm(index, payload))
    assert.strictEqual(Term.print(term), text)
    encoder.begin()
    Result.getOrThrow(shape.writeTo(encoder, index, payload))
    assert.deepStrictEqual(Array.from(encoder.take()), Array.from(encoder.encodeUnsafe(term).subarray(1)))
    for (const decoded of [shape.fromTerm(term), Result.getOrThrow(shape.readFrom(at(text)))]) {
      assert.strictEqual(decoded._tag, "Message")
      if (decoded._tag === "Message") {
        assert.strictEqual(decoded.index, index)
        assert.strictEqual(decoded.tag, definitions[index]!.tag)
        assert.isTrue(
          Equal.equals(decoded.payload, payload) || JSON.stringify(decoded.payload) === JSON.stringify(payload)
        )
      }
    }
    assert.strictEqual(decoder.remaining, 0)
  })

  it("what is no message is unknown, what does not fit is malformed, and both leave the decoder behind the term", () => {
    for (
      const text of ["{add}", "{add,1,2,3}", "add", "{reset}", "{}", "[]", "5", "{1,2}", "{'Add',1}", "#{}", "<<1>>"]
    ) {
      const term = Term.parseUnsafe(text)
      for (const decoded of [shape.fromTerm(term), Result.getOrThrow(shape.readFrom(at(text)))]) {
        assert.strictEqual(decoded._tag, "Unknown", text)
        if (decoded._tag === "Unknown") assert.isTrue(Term.equals(decoded.term, term))
      }
      assert.strictEqual(decoder.remaining, 0)
    }
    for (
      const [text, part] of [["{add,x}", "[\"n\"]"], ["{add_many,[1,a]}", "got a"], [
        "{put,1,2}",
        "[\"note\"]"
      ]] as const
    ) {
      for (const decoded of [shape.fromTerm(Term.parseUnsafe(text)), Result.getOrThrow(shape.readFrom(at(text)))]) {
        assert.strictEqual(decoded._tag, "Malformed", text)
        if (decoded._tag === "Malformed") assert.include(decoded.error.message, part)
      }
      assert.strictEqual(decoder.remaining, 0)
    }
  })

  it("bytes that are no term fail and leave the decoder where it was", () => {
    for (
      const bytes of [[104, 2, 119, 3, 97, 100, 100], [104], [104, 2, 119, 3], [119, 200], [0], [
        104,
        2,
        119,
        3,
        97,
        100,
        100,
        97
      ]]
    ) {
      decoder.open(Uint8Array.from(bytes), 0, bytes.length)
      assert.isTrue(Result.isFailure(shape.readFrom(decoder)), String(bytes))
      assert.strictEqual(decoder.offset, 0)
    }
  })

  it("a payload that does not encode leaves the output as it was", () => {
    encoder.begin()
    for (const [index, payload] of [[0, { n: "x" }], [2, ["x"]], [3, {}]] as const) {
      assert.isTrue(Result.isFailure(shape.writeTo(encoder, index, payload)))
      assert.isTrue(Result.isFailure(shape.toTerm(index, payload)))
    }
    assert.strictEqual(encoder.length, 0)
  })

  it("two messages of one form, and payloads without a form, are refused when defined", () => {
    const wrong: ReadonlyArray<ReadonlyArray<MessageShape.Definition>> = [
      [{ tag: "AddOne" }, { tag: "addOne" }],
      [{ tag: "A", payload: Schema.Struct({ a: Schema.Int }) }, { tag: "A2", name: "a", payload: Schema.Int }],
      [{ tag: "A", payload: Schema.Struct({ s: Schema.Symbol }) }],
      [{ tag: "x".repeat(300) }]
    ]
    for (const set of wrong) assert.throws(() => MessageShape.make(set), EtfSchemaError)
    assert.deepStrictEqual(shape.heads.slice(0, 2), [{ name: "add", arity: 2 }, { name: "reset", arity: 0 }])
  })
})

describe("replies", () => {
  const read = (
    reply: Pick<MessageShape.ReplyShape<unknown, unknown>, "fromTerm" | "readFrom">,
    text: string
  ): MessageShape.DecodedReply<unknown, unknown> => {
    const fromTerm = reply.fromTerm(Term.parseUnsafe(text))
    const fromBytes = Result.getOrThrow(reply.readFrom(at(text)))
    assert.strictEqual(decoder.remaining, 0)
    assert.strictEqual(fromBytes._tag, fromTerm._tag)
    return fromBytes
  }
  const print = (term: Result.Result<Term.Term, unknown>): string => Term.print(Result.getOrThrow(term))
  const written = (write: (encoder: Encoder.Encoder) => Result.Result<void, unknown>): string => {
    encoder.begin()
    Result.getOrThrow(write(encoder))
    const bytes = encoder.take()
    decoder.open(bytes, 0, bytes.length)
    return Term.print(decoder.readUnsafe())
  }

  it("of a call that cannot fail are the value, ok for void", () => {
    const int = MessageShape.makeReply(Schema.Int, Schema.Never)
    assert.isFalse(int.fallible)
    assert.strictEqual(print(int.successToTerm(5)), "5")
    assert.strictEqual(written((e) => int.writeSuccessTo(e, 5)), "5")
    assert.deepStrictEqual(read(int, "5"), { _tag: "Success", value: 5 })
    assert.strictEqual(read(int, "{ok,5}")._tag, "Malformed")
    const nothing = MessageShape.makeReply(Schema.Void, Schema.Never)
    assert.strictEqual(print(nothing.successToTerm(undefined)), "ok")
    assert.strictEqual(read(nothing, "ok")._tag, "Success")
    assert.strictEqual(read(nothing, "nope")._tag, "Malformed")
  })

  it("of a call that can are {ok, V} or {error, R}", () => {
    const reply = MessageShape.makeReply(Schema.Int, Overflow)
    assert.isTrue(reply.fallible)
    assert.strictEqual(print(reply.successToTerm(5)), "{ok,5}")
    assert.strictEqual(print(reply.failureToTerm(new Overflow({ max: 1 }))), "{error,{overflow,#{max => 1}}}")
    assert.strictEqual(written((e) => reply.writeSuccessTo(e, 5)), "{ok,5}")
    assert.strictEqual(
      written((e) => reply.writeFailureTo(e, new Overflow({ max: 1 }))),
      "{error,{overflow,#{max => 1}}}"
    )
    assert.deepStrictEqual(read(reply, "{ok,5}"), { _tag: "Success", value: 5 })
    const failure = read(reply, "{error,{overflow,#{max => 1}}}")
    assert.isTrue(failure._tag === "Failure" && failure.error instanceof Overflow)
    for (const text of ["5", "ok", "{ok,x}", "{error,x}", "{ok,1,2}", "{other,1}", "[]"]) {
      assert.strictEqual(read(reply, text)._tag, "Malformed", text)
    }
    encoder.begin()
    assert.isTrue(Result.isFailure(reply.writeSuccessTo(encoder, "x" as never)))
    assert.strictEqual(encoder.length, 0)
    decoder.open(Uint8Array.of(104, 2, 119, 2, 111, 107), 0, 6)
    assert.isTrue(Result.isFailure(reply.readFrom(decoder)))
    assert.strictEqual(decoder.offset, 0)
  })

  it("of a void call that can fail are ok or {error, R}", () => {
    const reply = MessageShape.makeReply(Schema.Void, Schema.Literals(["full", "closed"]))
    assert.strictEqual(print(reply.successToTerm(undefined)), "ok")
    assert.strictEqual(written((e) => reply.writeSuccessTo(e, undefined)), "ok")
    assert.strictEqual(print(reply.failureToTerm("full")), "{error,full}")
    assert.strictEqual(read(reply, "ok")._tag, "Success")
    assert.deepStrictEqual(read(reply, "{error,closed}"), { _tag: "Failure", error: "closed" })
    assert.strictEqual(read(reply, "{error,other}")._tag, "Malformed")
    assert.strictEqual(read(reply, "{ok,ok}")._tag, "Malformed")
  })
})
