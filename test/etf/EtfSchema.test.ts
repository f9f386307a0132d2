import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { inspect } from "node:util"
import * as Decoder from "../../src/etf/Decoder.ts"
import * as Encoder from "../../src/etf/Encoder.ts"
import { EtfSchemaError } from "../../src/etf/EtfError.ts"
import { Etf } from "../../src/etf/index.ts"
import { Atom, ErlMap, Float, Pid, Reference, Term, Tuple } from "../../src/term/index.ts"
import { makeRandom } from "../term/randomTerm.ts"

class Overflow extends Schema.TaggedError<Overflow>()("Overflow", { max: Schema.Int }) {}
class NotFound extends Schema.TaggedError<NotFound>()("NotFound", {}) {}
class HTTPError extends Schema.TaggedClass<HTTPError>()("HTTPError", { status: Schema.Int }) {}
class Ping extends Schema.TaggedClass<Ping>()("Ping", { n: Schema.Int }, { etf: { _tag: "Message" } }) {}
class User extends Schema.Class<User>("User")({
  name: Schema.String,
  age: Schema.optionalKey(Schema.Int),
  tags: Schema.Array(Schema.String)
}) {}
const Fruit = { Apple: "apple", Banana: 1 } as const
interface Tree {
  readonly value: number
  readonly children: ReadonlyArray<Tree>
}
const Tree: Schema.Codec<Tree> = Schema.Struct({
  value: Schema.Int,
  children: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
})
const pid = new Pid.Pid("a@h", 1, 0, 1)
const reference = new Reference.Reference("a@h", 1, [1, 2, 3])

// Any schema: the cases below are of many types.
type Any = Schema.Codec<any, any>
const test = (schema: Any, value: unknown, text: string) => [text, schema, value] as const
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")
const message = (schema: Any, text: string): string => {
  const exit = Schema.decodeUnknownExit(Etf.toCodecTerm(schema))(Term.parseUnsafe(text, { node: "a@h", creation: 1 }))
  assert.strictEqual(exit._tag, "Failure", text)
  return exit._tag === "Failure" && exit.cause.reasons[0]?._tag === "Fail"
    ? exit.cause.reasons[0].error.message
    : String(exit)
}

const mapping = [
  test(Schema.String, "aé", "<<\"aÃ©\">>"),
  test(Etf.Charlist, "aж", "[97,1078]"),
  test(Etf.AtomName, "some node", "'some node'"),
  test(Schema.Literal("ok"), "ok", "ok"),
  test(Schema.Literals(["a", "b"]), "b", "b"),
  test(Schema.Literals(["a", 1, true]), 1, "1"),
  test(Schema.Literal("yes").pipe(Etf.name("true")), "yes", "true"),
  test(Schema.Literals(["a", "b"]).pipe(Etf.asBinary), "b", "<<\"b\">>"),
  test(Schema.Enum(Fruit), Fruit.Apple, "apple"),
  test(Schema.Enum(Fruit), Fruit.Banana, "'Banana'"),
  test(Schema.Boolean, true, "true"),
  test(Schema.Null, null, "nil"),
  test(Schema.Undefined, undefined, "undefined"),
  test(Schema.Void, undefined, "ok"),
  test(Schema.NullOr(Schema.String), null, "nil"),
  test(Schema.Option(Schema.Int), Option.none(), "undefined"),
  test(Schema.Option(Schema.Int), Option.some(5), "5"),
  test(Schema.Int, -5, "-5"),
  test(Schema.Number, 1.5, "1.5"),
  test(Schema.Number, -0, "-0.0"),
  test(Schema.Number, 1e300, "1.0e300"),
  test(Etf.FloatNumber, 1, "1.0"),
  test(Schema.BigInt, 2n ** 64n, "18446744073709551616"),
  test(Schema.BigInt, 5n, "5"),
  test(Schema.Struct({ b: Schema.Int, a: Schema.optionalKey(Schema.String) }), { b: 1 }, "#{b => 1}"),
  test(Schema.Struct({ a: Schema.optional(Schema.Int) }), { a: undefined }, "#{a => undefined}"),
  test(Schema.Struct({}), {}, "#{}"),
  test(Schema.Struct({ userId: Schema.Int.pipe(Etf.key("user_id")) }), { userId: 1 }, "#{user_id => 1}"),
  test(Schema.Struct({ a: Schema.Int }).pipe(Etf.asBinary), { a: 1 }, "#{<<\"a\">> => 1}"),
  test(User, new User({ name: "Ada", tags: ["x"] }), "#{name => <<\"Ada\">>,tags => [<<\"x\">>]}"),
  test(Schema.Record(Schema.String, Schema.Int), { a: 1, b: 2 }, "#{<<\"a\">> => 1,<<\"b\">> => 2}"),
  test(Schema.Record(Schema.Number, Schema.Int), { 1: 1, 2: 2 }, "#{1 => 1,2 => 2}"),
  test(Schema.StructWithRest(Schema.Struct({ a: Schema.Int }), [Schema.Record(Schema.String, Schema.Int)]), {
    a: 1,
    z: 2
  }, "#{a => 1,<<\"z\">> => 2}"),
  test(Overflow, new Overflow({ max: 100 }), "{overflow,#{max => 100}}"),
  test(NotFound, new NotFound(), "not_found"),
  test(HTTPError, new HTTPError({ status: 404 }), "{http_error,#{status => 404}}"),
  test(HTTPError.pipe(Etf.name("web")), new HTTPError({ status: 404 }), "{web,#{status => 404}}"),
  test(Schema.TaggedStruct("AddOne", { n: Schema.Int, m: Schema.optionalKey(Schema.Int) }).pipe(Etf.asMessage()), {
    _tag: "AddOne",
    n: 1
  }, "{add_one,1,undefined}"),
  test(Schema.TaggedStruct("Reset", {}).pipe(Etf.asMessage()), { _tag: "Reset" }, "reset"),
  test(
    Schema.TaggedStruct("Reset", { a: Schema.Int }).pipe(Etf.asMessage("again")),
    { _tag: "Reset", a: 1 },
    "{again,1}"
  ),
  test(Ping, new Ping({ n: 1 }), "{ping,1}"),
  test(Schema.Array(Schema.Int), [1, 2, 300], "[1,2,300]"),
  test(Schema.Array(Schema.Int), [104, 105], "\"hi\""),
  test(Schema.Array(Schema.Union([Schema.Int, Schema.Tuple([])])), [1, [], 2], "[1,{},2]"),
  test(Schema.Array(Schema.String), [], "[]"),
  test(Schema.NonEmptyArray(Schema.Int), [1], "[1]"),
  test(Schema.Tuple([Schema.Int, Schema.String]), [1, "a"], "{1,<<\"a\">>}"),
  test(Schema.Tuple([Schema.Int, Schema.optionalKey(Schema.String)]), [1], "{1}"),
  test(Schema.Tuple([]), [], "{}"),
  test(Schema.Uint8Array, Uint8Array.of(1, 2), "<<1,2>>"),
  test(Schema.Duration, Duration.seconds(2), "2000"),
  test(Schema.Duration, Duration.infinity, "infinity"),
  test(Schema.DateTimeUtc, DateTime.makeUnsafe(1234), "1234"),
  test(Schema.Date, new Date(5), "5"),
  test(Schema.DateTimeUtcFromString, DateTime.makeUnsafe(0), "<<\"1970-01-01T00:00:00.000Z\">>"),
  test(Schema.NumberFromString, 5, "<<\"5\">>"),
  test(Schema.URL, new URL("http://a.b/c"), "<<\"http://a.b/c\">>"),
  test(Schema.ReadonlyMap(Schema.Int, Schema.Boolean), new Map([[1, true]]), "#{1 => true}"),
  test(Schema.Json, { a: [1, null, "x"] }, "#{<<\"a\">> => [1,nil,<<\"x\">>]}"),
  test(Schema.TemplateLiteral(["a", Schema.Number]), "a5", "<<\"a5\">>"),
  test(Schema.Union([Schema.Int, Schema.String, Overflow]), "x", "<<\"x\">>"),
  test(Schema.Union([User, Overflow, NotFound]), new NotFound(), "not_found"),
  test(Etf.Term, Tuple.make(1, Float.make(1)), "{1,1.0}"),
  test(Schema.Unknown, Tuple.make(1, [Atom.ok]), "{1,[ok]}"),
  test(Etf.Pid, pid, "<0.1.0>"),
  test(
    Schema.Struct({ from: Etf.Pid, tag: Etf.Reference }),
    { from: pid, tag: reference },
    "#{from => <0.1.0>,tag => #Ref<0.3.2.1>}"
  ),
  test(Etf.Atom, Atom.make("x"), "x"),
  test(
    Etf.Record("user", { name: Schema.String, age: Schema.optionalKey(Schema.Int) }),
    { name: "A" },
    "{user,<<\"A\">>,undefined}"
  ),
  test(Etf.Proplist({ a: Schema.Int, b: Schema.optionalKey(Schema.Boolean) }), { a: 1, b: true }, "[{a,1},{b,true}]"),
  test(Etf.ElixirStruct("Elixir.Shop.User", { name: Schema.String, age: Schema.optionalKey(Schema.Int) }), {
    name: "A"
  }, "#{'__struct__' => 'Elixir.Shop.User',age => nil,name => <<\"A\">>}"),
  test(
    Tree,
    { value: 1, children: [{ value: 2, children: [] }] },
    "#{children => [#{children => [],value => 2}],value => 1}"
  ),
  test(
    Schema.Struct({ n: Schema.NumberFromString, u: User }),
    { n: 1, u: new User({ name: "A", tags: [] }) },
    "#{n => <<\"1\">>,u => #{name => <<\"A\">>,tags => []}}"
  )
]

describe("the mapping", () => {
  it.each(mapping)("%s", (text, schema, value) => {
    const codec = Etf.toCodecTerm(schema)
    const term = Schema.encodeUnknownSync(codec)(value)
    assert.strictEqual(Term.print(term, { node: "a@h" }), text)
    const back = Schema.decodeUnknownSync(codec)(term)
    assert.isTrue(Equal.equals(back, value) || Object.is(back, value) || JSON.stringify(back) === JSON.stringify(value))
    assert.strictEqual(Object.getPrototypeOf(Object(back)), Object.getPrototypeOf(Object(value)))
    // Bytes, by the schema and compiled, are those of the term.
    const bytes = Encoder.make().encodeUnsafe(term)
    const compiled = Etf.compile(schema)
    assert.strictEqual(hex(Schema.encodeUnknownSync(Etf.toCodec(schema))(value)), hex(bytes))
    assert.strictEqual(hex(Result.getOrThrow(compiled.encode(value))), hex(bytes))
    for (
      const decoded of [Schema.decodeUnknownSync(Etf.toCodec(schema))(bytes), Result.getOrThrow(compiled.decode(bytes))]
    ) {
      assert.isTrue(
        Equal.equals(decoded, back) || Object.is(decoded, back) || JSON.stringify(decoded) === JSON.stringify(back)
      )
    }
  })

  const readAsWell: ReadonlyArray<readonly [text: string, schema: Any, expected: unknown]> = [
    ["#{<<\"name\">> => <<\"A\">>, tags => [], unknown => {1}}", User, new User({ name: "A", tags: [] })],
    ["#{a => 1, <<\"b\">> => 2}", Schema.Record(Schema.String, Schema.Int), { a: 1, b: 2 }],
    ["1.0", Schema.Int, 1],
    ["18446744073709551616", Schema.Number, 2 ** 64],
    ["[verbose, {a, 1}, {a, 2}, junk, {other, 3}]", Etf.Proplist({ a: Schema.Int, verbose: Schema.Boolean }), {
      a: 1,
      verbose: true
    }],
    [
      "#{'__struct__' => 'Elixir.M', a => nil, extra => 1}",
      Etf.ElixirStruct("Elixir.M", { a: Schema.optionalKey(Schema.Int) }),
      {}
    ],
    [
      "#{'__struct__' => 'Elixir.M', a => nil}",
      Etf.ElixirStruct("Elixir.M", { a: Schema.optionalKey(Schema.NullOr(Schema.Int)) }),
      { a: null }
    ],
    ["{r, undefined}", Etf.Record("r", { a: Schema.optional(Schema.Int) }), { a: undefined }],
    ["#{'__proto__' => 1}", Schema.Record(Schema.String, Schema.Int), JSON.parse("{\"__proto__\":1}")]
  ]
  it.each(readAsWell)("reads %s as well", (text, schema, expected) => {
    const term = Term.parseUnsafe(text)
    const bytes = Encoder.make().encodeUnsafe(term)
    for (
      const value of [
        Schema.decodeUnknownSync(Etf.toCodecTerm(schema))(term),
        Schema.decodeUnknownSync(Etf.toCodec(schema))(bytes),
        Result.getOrThrow(Etf.compile(schema).decode(bytes))
      ]
    ) {
      assert.isTrue(Equal.equals(value, expected), JSON.stringify(value))
      assert.deepStrictEqual(Object.keys(value), Object.keys(expected as object))
    }
    assert.strictEqual(({} as { readonly polluted?: unknown }).polluted, undefined)
  })
})

describe("what is refused", () => {
  const cases: ReadonlyArray<readonly [text: string, schema: Any, parts: ReadonlyArray<string>]> = [
    ["#{name => 5, tags => []}", User, ["[\"name\"]", "binary in UTF-8", "got 5"]],
    ["#{name => <<\"A\">>, tags => [<<\"x\">>, foo]}", User, ["[\"tags\"][1]", "got foo"]],
    ["#{}", User, ["[\"name\"]", "Missing key name", "#{}"]],
    ["<<255>>", Schema.String, ["got <<\"ÿ\">>"]],
    ["abc", Schema.Literals(["a", "b"]), ["one of the atoms a, b", "got abc"]],
    ["{overflow, #{max => <<\"x\">>}}", Schema.Union([Overflow, NotFound]), ["[\"max\"]", "got <<\"x\">>"]],
    ["{1,2,3}", Schema.Tuple([Schema.Int, Schema.Int]), ["tuple of 2 elements", "got {1,2,3}"]],
    ["[1|2]", Schema.Array(Schema.Int), ["a list", "got [1|2]"]],
    ["18446744073709551617", Schema.Number, ["BigInt", "18446744073709551617"]],
    ["1.5", Schema.BigInt, ["an integer", "got 1.5"]],
    ["#{'__struct__' => 'Elixir.Other', name => <<>>}", Etf.ElixirStruct("Elixir.M", { name: Schema.String }), [
      "Elixir.Other"
    ]],
    ["{user, 1}", Etf.Record("user", { a: Schema.Int, b: Schema.Int }), ["{user, a, b}", "got {user,1}"]],
    ["[{b,1}]", Etf.Proplist({ a: Schema.Int }), ["[\"a\"]", "Missing key a"]],
    ["#{a => 1, <<\"a\">> => 2}", Schema.Record(Schema.String, Schema.Int), ["twice"]],
    ["1.5", Schema.Duration, ["milliseconds", "1.5"]],
    ["-1", Schema.Int.check(Schema.isGreaterThan(0)), ["greater than 0", "got -1"]],
    ["#{n => 1.5}", Schema.Struct({ n: Schema.Int }), ["[\"n\"]", "an integer", "got 1.5"]],
    ["{1,2}", Etf.Pid, ["a pid", "got {1,2}"]]
  ]
  it.each(cases)("%s", (text, schema, parts) => {
    const found = message(schema, text)
    for (const part of parts) assert.include(found, part)
    // The same from bytes, whichever way.
    const bytes = Encoder.make().encodeUnsafe(Term.parseUnsafe(text))
    const compiled = Etf.compile(schema).decode(bytes)
    assert.strictEqual(Result.getOrThrow(Result.flip(compiled)).message, found)
    const plain = Schema.decodeUnknownExit(Etf.toCodec(schema))(bytes)
    assert.include(String(plain), parts[parts.length - 1]!)
  })

  it("a value of the wrong type, NaN, and text that is not UTF-8 do not encode", () => {
    for (
      const [schema, value] of [[Schema.Number, NaN], [Schema.String, "\ud800"], [Schema.Int, "x"], [User, {}], [
        Etf.AtomName,
        "x".repeat(300)
      ], [Schema.Unknown, "x"]] as ReadonlyArray<readonly [Any, unknown]>
    ) {
      assert.isTrue(Result.isFailure(Etf.compile(schema).encode(value)))
      assert.strictEqual(Schema.encodeUnknownExit(Etf.toCodecTerm(schema))(value)._tag, "Failure")
      assert.strictEqual(Schema.encodeUnknownExit(Etf.toCodec(schema))(value)._tag, "Failure")
    }
  })

  it("a key that is there twice, known or not", () => {
    const compiled = Etf.compile(Schema.Struct({ a: Schema.optionalKey(Schema.Int) }))
    for (const name of ["a", "b"]) {
      const bytes = Encoder.make().encodeUnsafe(
        new ErlMap.ErlMap([Atom.make(name), 1, Atom.make("c"), 1, Atom.make(name), 2])
      )
      assert.include(Result.getOrThrow(Result.flip(compiled.decode(bytes))).message, "DuplicateKey")
    }
  })

  it("bytes that are no term say so", () => {
    const failure = Result.getOrThrow(Result.flip(Etf.compile(User).decode(Uint8Array.of(131, 104, 1))))
    assert.include(failure.message, "Truncated at byte 3")
  })

  const unsupported: ReadonlyArray<readonly [name: string, schema: Any, path: ReadonlyArray<string>]> = [
    ["a symbol", Schema.Struct({ a: Schema.Array(Schema.Symbol) }), ["a", "[]"]],
    ["an object of any shape", Schema.Struct({ a: Schema.ObjectKeyword }), ["a"]],
    [
      "a declared type without annotation",
      Schema.Struct({ e: Schema.declare((u): u is Map<string, string> => u instanceof Map) }),
      ["e"]
    ],
    ["two literals with one atom", Schema.Union([Schema.Null, Schema.Literal("nil")]), []],
    ["two keys with one name", Schema.Struct({ a: Schema.Int.pipe(Etf.key("b")), b: Schema.Int }), ["b"]],
    ["an option of an option", Schema.Option(Schema.Option(Schema.Int)), []],
    ["an option of undefined", Schema.Option(Schema.UndefinedOr(Schema.Int)), []],
    ["a message without a tag", Schema.Struct({ a: Schema.Int }).pipe(Etf.asMessage()), []],
    ["a literal too long for an atom", Schema.Literal("x".repeat(300)), []]
  ]
  it.each(unsupported)("%s, when the codec is made", (_, schema, path) => {
    const makers: ReadonlyArray<(schema: Any) => unknown> = [Etf.toCodecTerm, Etf.toCodec, Etf.compile]
    for (const make of makers) {
      const error = Result.getOrThrow(Result.flip(Result.try(() => make(schema))))
      assert.instanceOf(error, EtfSchemaError)
      assert.deepStrictEqual((error as EtfSchemaError).path, path)
    }
  })

  it("recursive schemas deeper than 256 levels, either way, without exhausting the stack", () => {
    const nest = (levels: number): Tree =>
      levels === 0 ? { value: 0, children: [] } : { value: levels, children: [nest(levels - 1)] }
    const compiled = Etf.compile(Tree)
    const fits = Result.getOrThrow(compiled.encode(nest(250)))
    assert.isTrue(Result.isSuccess(compiled.decode(fits)))
    assert.isTrue(Result.isSuccess(compiled.fromTerm(Decoder.make().decodeUnsafe(fits))))
    assert.isTrue(Result.isFailure(compiled.encode(nest(300))))
    let term: Term.Term = ErlMap.make([[Atom.make("value"), 1], [Atom.make("children"), []]])
    for (let i = 0; i < 100_000; i++) term = ErlMap.make([[Atom.make("value"), 1], [Atom.make("children"), [term]]])
    assert.isTrue(Result.isFailure(compiled.fromTerm(term)))
    assert.isTrue(Result.isFailure(compiled.decode(Encoder.make().encodeUnsafe(term))))
  })
})

describe("compiled", () => {
  it("plain schemas take the direct way, others the other", () => {
    for (
      const schema of [
        User,
        Overflow,
        Tree,
        Schema.NumberFromString,
        Schema.Option(User),
        Schema.Record(Schema.String, Schema.Int)
      ] as ReadonlyArray<Any>
    ) {
      assert.isTrue(Etf.compile(schema).direct)
    }
    for (
      const schema of [
        Schema.DateTimeUtcFromString,
        Schema.Union([Schema.Int, Schema.String], { mode: "oneOf" }),
        Schema.Struct({ a: Schema.String.pipe(Schema.withDecodingDefaultKey(Effect.succeed("x"))) })
      ] as ReadonlyArray<Any>
    ) {
      assert.isFalse(Etf.compile(schema).direct)
    }
  })

  it("writes into an encoder and reads from a decoder, in the middle of other terms", () => {
    const compiled = Etf.compile(User)
    const encoder = Encoder.make()
    encoder.begin()
    encoder.writeUnsafe(1)
    assert.isTrue(Result.isFailure(compiled.writeTo(encoder, { name: 1 } as never)))
    assert.isTrue(Result.isSuccess(compiled.writeTo(encoder, new User({ name: "A", tags: ["t"] }))))
    encoder.writeUnsafe(2)
    const bytes = encoder.take()
    const decoder = Decoder.make()
    decoder.open(bytes, 0, bytes.length)
    assert.strictEqual(decoder.readUnsafe(), 1)
    assert.instanceOf(Result.getOrThrow(compiled.readFrom(decoder)), User)
    assert.isTrue(Result.isFailure(compiled.readFrom(decoder)))
    assert.strictEqual(decoder.remaining, 0)
    assert.isTrue(Result.isFailure(compiled.readFrom(decoder)))
  })

  it("atoms from and for the cache of a packet", () => {
    const compiled = Etf.compile(User)
    const names = ["name", "tags"]
    const encoder = Encoder.make()
    encoder.begin({ reference: (name) => names.indexOf(name) })
    Result.getOrThrow(compiled.writeTo(encoder, new User({ name: "A", tags: [] })))
    const bytes = encoder.take()
    assert.strictEqual(hex(bytes), "740000000252006d000000014152016a")
    const decoder = Decoder.make()
    decoder.open(bytes, 0, bytes.length, names.map(Atom.make))
    assert.isTrue(Equal.equals(Result.getOrThrow(compiled.readFrom(decoder)), new User({ name: "A", tags: [] })))
  })

  it("a transformation that codes something itself does not disturb the coding around it", () => {
    const Inner = Etf.compile(Schema.Struct({ a: Schema.String }))
    const Nested = Schema.Uint8Array.pipe(Schema.decodeTo(
      Schema.String,
      SchemaTransformation.transform({
        decode: (bytes) => Result.getOrThrow(Inner.decode(bytes)).a,
        encode: (a) => Result.getOrThrow(Inner.encode({ a }))
      })
    ))
    const compiled = Etf.compile(Schema.Struct({ before: Schema.String, nested: Nested, after: Schema.Array(Nested) }))
    assert.isTrue(compiled.direct)
    const value = { before: "b", nested: "n", after: ["x", "y"] }
    assert.deepStrictEqual(Result.getOrThrow(compiled.decode(Result.getOrThrow(compiled.encode(value)))), value)
  })

  // Values of many schemas: whichever way they go, bytes and values are the same.
  const schemas: ReadonlyArray<readonly [string, Any]> = [
    // What \`Unknown\` generates is mostly no term.
    ...mapping.filter(([, schema]) => schema !== Schema.Unknown).map(([text, schema]) => [text, schema] as const),
    [
      "a struct of everything",
      Schema.Struct({
        s: Schema.String,
        n: Schema.Number,
        i: Schema.Int,
        b: Schema.Boolean,
        l: Schema.Literals(["x", "y", "z"]),
        o: Schema.optionalKey(Schema.Option(Schema.String)),
        u: Schema.optional(Schema.NullOr(Schema.Finite)),
        list: Schema.Array(Schema.Union([Schema.Int, Schema.String, Schema.Null])),
        bytes: Schema.Uint8Array,
        big: Schema.BigInt,
        nested: Schema.Struct({ t: Schema.Tuple([Schema.Int, Schema.Array(Schema.Boolean)]), d: Schema.Duration }),
        user: User
      })
    ],
    [
      "a union of messages",
      Schema.Union([
        Schema.TaggedStruct("Add", { n: Schema.Int }).pipe(Etf.asMessage()),
        Schema.TaggedStruct("Get", {}).pipe(Etf.asMessage()),
        Schema.TaggedStruct("Set", { key: Schema.String, value: Schema.optionalKey(Schema.Json) }),
        Overflow,
        NotFound
      ])
    ],
    [
      "a check over transformed elements",
      Schema.Array(Schema.FiniteFromString).check(Schema.makeFilter((ns) => ns.every((n) => typeof n === "number")))
    ],
    ["records of records", Schema.Record(Schema.String, Schema.Record(Schema.String, Schema.Array(Schema.Number)))]
  ]
  it.effect.each(schemas)("agrees with the way through terms: %s", ([text, schema]) =>
    Effect.gen(function*() {
      const codec = Etf.toCodecTerm(schema)
      const compiled = Etf.compile(schema)
      const encoder = Encoder.make()
      const random = makeRandom(5)
      // Terms, bytes and references themselves have no generator; their cases above stand for them.
      const arbitrary = Result.try(() => Arbitrary.schema(schema))
      if (Result.isFailure(arbitrary)) {
        assert.match(text, /^[<{x"#]/)
        return
      }
      const values = yield* Arbitrary.sampleEffect(arbitrary.success, { count: 150, seed: text })
      for (const value of values) {
        const term = Schema.encodeUnknownExit(codec)(value)
        const direct = compiled.encode(value)
        assert.strictEqual(Result.isSuccess(direct), term._tag === "Success")
        if (term._tag === "Failure" || Result.isFailure(direct)) continue
        assert.strictEqual(hex(direct.success), hex(encoder.encodeUnsafe(term.value)))
        assert.strictEqual(hex(Schema.encodeUnknownSync(Etf.toCodec(schema))(value)), hex(direct.success))
        const back = Schema.decodeUnknownSync(codec)(term.value)
        same(Result.getOrThrow(compiled.decode(direct.success)), back)
        same(Schema.decodeUnknownSync(Etf.toCodec(schema))(direct.success), back)
        // And on bytes that are not quite right: refused or read alike.
        for (let i = 0; i < 5; i++) {
          const mutant = Uint8Array.from(direct.success)
          mutant.set([Math.floor(random() * 256)], 1 + Math.floor(random() * (mutant.length - 1)))
          const viaTerm = Result.flatMap(
            Result.mapError(Decoder.make().decode(mutant), String),
            (mutated) => Result.mapError(compiled.fromTerm(mutated), String)
          )
          const viaBytes = compiled.decode(mutant)
          assert.strictEqual(
            Result.isSuccess(viaBytes),
            Result.isSuccess(viaTerm),
            `${hex(mutant)} ${inspect(viaTerm)} ${inspect(viaBytes)}`
          )
          if (Result.isSuccess(viaBytes) && Result.isSuccess(viaTerm)) same(viaBytes.success, viaTerm.success)
        }
      }
    }), 60_000)
})

// Equal as values, and for what Effect does not compare (errors, dates) as they show themselves.
const same = (a: unknown, b: unknown): void => {
  assert.isTrue(
    Equal.equals(a, b) || Object.is(a, b) || Term.equals(a as Term.Term, b as Term.Term) || inspect(a) === inspect(b),
    `${inspect(a)} ${inspect(b)}`
  )
}
