import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Compression from "../../src/etf/Compression.ts"
import * as Decoder from "../../src/etf/Decoder.ts"
import * as Encoder from "../../src/etf/Encoder.ts"
import { EtfDecodeError, EtfEncodeError } from "../../src/etf/EtfError.ts"
import * as NodeCompression from "../../src/etf/NodeCompression.ts"
import { Atom, ErlMap, Float, Fun, ImproperList, LocalTerm, Pid, Reference, Term, Tuple } from "../../src/term/index.ts"
import { makeRandom, makeRandomTerm } from "../term/randomTerm.ts"

const decoder = Decoder.make({ inflate: NodeCompression.inflate })
const encoder = Encoder.make()
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"))
const fail = (text: string, options?: Decoder.DecoderOptions): EtfDecodeError => {
  const result = (options === undefined ? decoder : Decoder.make(options)).decode(bytes(text))
  assert.isTrue(Result.isFailure(result), text)
  return Result.getOrThrow(Result.flip(result))
}
const refuse = (value: unknown): EtfEncodeError => Result.getOrThrow(Result.flip(encoder.encode(value as Term.Term)))

// From `term_to_binary(T, [{minor_version, 2}])` of Erlang/OTP 25 and the documentation of the format.
const both: ReadonlyArray<readonly [text: string, wire: string]> = [
  ["0", "83 61 00"],
  ["255", "83 61 ff"],
  ["256", "83 62 00000100"],
  ["-1", "83 62 ffffffff"],
  ["2147483647", "83 62 7fffffff"],
  ["-2147483648", "83 62 80000000"],
  ["2147483648", "83 6e 04 00 00000080"],
  ["-2147483649", "83 6e 04 01 01000080"],
  ["9007199254740991", "83 6e 07 00 ffffffffffff1f"],
  ["9007199254740992", "83 6e 07 00 00000000000020"],
  ["-18446744073709551616", "83 6e 09 01 000000000000000001"],
  ["1.5", "83 46 3ff8000000000000"],
  ["1.0", "83 46 3ff0000000000000"],
  ["-0.0", "83 46 8000000000000000"],
  ["ok", "83 77 02 6f6b"],
  ["''", "83 77 00"],
  ["'\\x{436}'", "83 77 02 d0b6"],
  ["{}", "83 68 00"],
  ["{a,1}", "83 68 02 77 01 61 61 01"],
  ["[]", "83 6a"],
  ["\"ab\"", "83 6b 0002 6162"],
  ["[a]", "83 6c 00000001 77 01 61 6a"],
  ["[a|b]", "83 6c 00000001 77 01 61 77 01 62"],
  ["[256]", "83 6c 00000001 62 00000100 6a"],
  ["<<>>", "83 6d 00000000"],
  ["<<1,2>>", "83 6d 00000002 0102"],
  ["<<1,5:3>>", "83 4d 00000002 03 01 a0"],
  ["#{}", "83 74 00000000"],
  ["#{a => 1}", "83 74 00000001 77 01 61 61 01"],
  ["<a@b.1.2>", "83 58 77 03 614062 00000001 00000002 00000000"],
  ["#Ref<a@b.3.2.1>", "83 5a 0003 77 03 614062 00000000 00000001 00000002 00000003"],
  ["#Port<a@b.5>", "83 78 77 03 614062 0000000000000005 00000000"],
  ["fun m:f/2", "83 71 77 01 6d 77 01 66 61 02"]
]

// Forms that are only read: old ones, and ones that nobody writes but that are legal.
const readOnly: ReadonlyArray<readonly [text: string, wire: string]> = [
  ["ok", "83 64 0002 6f6b"],
  ["ok", "83 73 02 6f6b"],
  ["'\\x{e4}b'", "83 64 0002 e462"],
  ["ok", "83 76 0002 6f6b"],
  ["1.5", `83 63 ${Buffer.from("1.50000000000000000000e+00").toString("hex")}0000000000`],
  ["1", "83 62 00000001"],
  ["1", "83 6e 01 00 01"],
  ["0", "83 6e 00 00"],
  ["0", "83 6e 02 01 0000"],
  ["1", "83 6f 00000003 00 010000"],
  ["18446744073709551615", "83 6e 08 00 ffffffffffffffff"],
  ["<a@b.1.2>", "83 67 77 03 614062 00000001 00000002 00"],
  ["#Ref<a@b.7>", "83 65 77 03 614062 00000007 00"],
  ["#Ref<a@b.2.1>", "83 72 0002 77 03 614062 00 00000001 00000002"],
  ["#Port<a@b.5>", "83 66 77 03 614062 00000005 00"],
  ["#Port<a@b.5>", "83 59 77 03 614062 00000005 00000000"],
  ["{a,1}", "83 69 00000002 77 01 61 61 01"],
  ["[1]", "83 6c 00000001 61 01 6a"],
  ["a", "83 6c 00000000 77 01 61"],
  ["[]", "83 6c 00000000 6a"],
  ["[a,1,2]", "83 6c 00000001 77 01 61 6b 0002 01 02"],
  ["[a,b|c]", "83 6c 00000001 77 01 61 6c 00000001 77 01 62 77 01 63"],
  ["[]", "83 6b 0000"],
  ["<<1,5:3>>", "83 4d 00000002 03 01 bf"],
  ["<<1>>", "83 4d 00000001 08 01"]
]

describe("bytes", () => {
  it.each(both)("%s is read and written", (text, wire) => {
    const term = Term.parseUnsafe(text)
    assert.strictEqual(hex(encoder.encodeUnsafe(term)), hex(bytes(wire)))
    assert.strictEqual(Term.print(decoder.decodeUnsafe(bytes(wire))), Term.print(term))
    assert.isTrue(Term.equals(decoder.decodeUnsafe(bytes(wire)), term))
  })

  it.each(readOnly)("%s is read from %s", (text, wire) => {
    assert.isTrue(
      Term.equals(decoder.decodeUnsafe(bytes(wire)), Term.parseUnsafe(text)),
      Term.print(decoder.decodeUnsafe(bytes(wire)))
    )
  })

  it("the canonical form of numbers: safe integers are numbers, integral floats are boxed", () => {
    assert.strictEqual(decoder.decodeUnsafe(bytes("83 6e 07 00 ffffffffffff1f")), Number.MAX_SAFE_INTEGER)
    assert.strictEqual(decoder.decodeUnsafe(bytes("83 6e 07 00 00000000000020")), 9007199254740992n)
    assert.strictEqual(decoder.decodeUnsafe(bytes("83 46 3ff8000000000000")), 1.5)
    assert.instanceOf(decoder.decodeUnsafe(bytes("83 46 3ff0000000000000")), Float.Float)
  })

  it("an atom of 255 characters beyond ASCII takes the long form", () => {
    const atom = Atom.make("ж".repeat(255))
    const wire = encoder.encodeUnsafe(atom)
    assert.strictEqual(hex(wire.subarray(0, 4)), "837601fe")
    assert.isTrue(Term.equals(decoder.decodeUnsafe(wire), atom))
  })

  it("a fun keeps everything and its size is right", () => {
    const fun = new Fun.Fun({
      arity: 2,
      uniq: Uint8Array.from({ length: 16 }, (_, i) => i),
      index: 3,
      module: Atom.make("m"),
      oldIndex: 4,
      oldUniq: 5_000_000,
      pid: new Pid.Pid("a@b", 1, 2, 3),
      free: [Tuple.make(1), "x".charCodeAt(0)]
    })
    const wire = encoder.encodeUnsafe(fun)
    assert.strictEqual(new DataView(wire.buffer, wire.byteOffset).getUint32(2), wire.length - 2)
    const back = decoder.decodeUnsafe(wire) as Fun.Fun
    assert.deepStrictEqual(hex(encoder.encodeUnsafe(back)), hex(wire))
    assert.isTrue(Term.equals(back, fun))
  })

  it("a local term is kept whole, alone only", () => {
    const wire = bytes("83 79 0102030405")
    const term = decoder.decodeUnsafe(wire)
    assert.isTrue(LocalTerm.isLocalTerm(term))
    assert.strictEqual(hex(encoder.encodeUnsafe(term)), hex(wire))
    assert.strictEqual(fail("83 68 01 79 01").reason, "UnsupportedTag")
    assert.strictEqual(refuse([new LocalTerm.LocalTerm(Uint8Array.of(1))]).reason, "NotATerm")
  })

  it("compressed terms are read with an inflate, written by compress, and never nested", () => {
    const term = new Array(10_000).fill(Atom.make("again"))
    const plain = encoder.encodeUnsafe(term)
    const packed = Compression.compress(plain, NodeCompression.deflate)
    assert.isBelow(packed.length, 300)
    assert.isTrue(Term.equals(decoder.decodeUnsafe(packed), term))
    assert.strictEqual(Compression.compress(bytes("83 61 01"), NodeCompression.deflate).length, 3)
    assert.strictEqual(Result.getOrThrow(Result.flip(Decoder.make().decode(packed))).reason, "Compressed")
    const twice = Compression.compress(
      Buffer.concat([bytes("83"), packed.subarray(1), new Uint8Array(500)]),
      NodeCompression.deflate
    )
    assert.strictEqual(Result.getOrThrow(Result.flip(decoder.decode(twice))).reason, "Compressed")
    const lying = Uint8Array.from(packed)
    lying[5]!++
    assert.strictEqual(Result.getOrThrow(Result.flip(decoder.decode(lying))).reason, "Compressed")
    assert.strictEqual(fail("83 50 00000005 0102").reason, "Compressed")
    assert.strictEqual(fail("83 68 01 50 00000005 0102").reason, "UnsupportedTag")
    assert.strictEqual(fail("83 50 ffffffff 0102").reason, "Limit")
  })
})

describe("round trip", () => {
  it("20 000 random terms", () => {
    const next = makeRandomTerm(makeRandom(123), {
      funs: true,
      negativeZero: true,
      nodes: [["a@b", 7], ["ä@ж", 0xffffffff]]
    })
    for (let i = 0; i < 20_000; i++) {
      const term = next(1 + (i % 6))
      const wire = encoder.encodeUnsafe(term)
      const back = decoder.decodeUnsafe(wire)
      assert.isTrue(Term.equals(back, term), Term.print(term))
      assert.strictEqual(hex(encoder.encodeUnsafe(back)), hex(wire))
    }
  })

  it("several terms in one packet, from a Buffer in the middle of another, with cached atoms", () => {
    const packet = Buffer.concat([
      Buffer.from("xx"),
      bytes("68 02 52 00 52 01"),
      bytes("6d 00000002 0102"),
      Buffer.from("yy")
    ])
    const atoms = [Atom.make("first"), Atom.make("second")]
    decoder.open(packet, 2, packet.length - 2, atoms)
    assert.strictEqual(Term.print(decoder.readUnsafe()), "{first,second}")
    assert.strictEqual(decoder.offset, 8)
    const binary = decoder.readUnsafe() as Uint8Array
    assert.strictEqual(decoder.remaining, 0)
    assert.strictEqual(binary.constructor, Uint8Array)
    packet.fill(0)
    assert.deepStrictEqual(Array.from(binary), [1, 2])
    assert.throws(() => decoder.readUnsafe(), EtfDecodeError)
    assert.strictEqual(fail("83 52 00").reason, "AtomCache")
    decoder.open(bytes("52 02"), 0, 2, atoms)
    assert.throws(() => decoder.readUnsafe(), EtfDecodeError)
  })

  it("binaries are copied unless sharing is asked for", () => {
    for (const size of [3, 100]) {
      const wire = encoder.encodeUnsafe(new Uint8Array(size).fill(7))
      const shared = Decoder.make({ binaries: "share" }).decodeUnsafe(wire) as Uint8Array
      const copied = decoder.decodeUnsafe(wire) as Uint8Array
      wire.fill(9)
      assert.strictEqual(copied[0], 7)
      assert.strictEqual(shared[0], 9)
    }
  })

  it("an encoder's outputs are apart, and a failure leaves the output as it was", () => {
    const one = encoder.encodeUnsafe(1)
    const two = encoder.encodeUnsafe(2)
    assert.strictEqual(hex(one) + hex(two), "836101836102")
    encoder.begin()
    encoder.writeUnsafe(1)
    assert.throws(() => encoder.writeUnsafe([1, "no" as never]), EtfEncodeError)
    encoder.writeUnsafe(2)
    assert.strictEqual(hex(encoder.view()), "61016102")
    assert.strictEqual(encoder.length, 4)
  })

  it("atoms become references where the header has them", () => {
    encoder.begin({ reference: (name) => name === "known" ? 3 : -1 })
    encoder.writeUnsafe(Tuple.make(Atom.make("known"), Atom.make("new"), new Pid.Pid("known", 1, 0, 1)))
    assert.strictEqual(hex(encoder.view()), "6803520377036e6577585203000000010000000000000001")
    encoder.begin()
  })
})

describe("what is refused", () => {
  const cases: ReadonlyArray<readonly [wire: string, reason: EtfDecodeError["reason"], offset: number, path: string]> =
    [
      ["", "Truncated", 0, ""],
      ["82 61 01", "Version", 0, ""],
      ["83", "Truncated", 1, ""],
      ["83 61 01 00", "TrailingBytes", 3, ""],
      ["83 00", "UnknownTag", 1, ""],
      ["83 75 00", "UnsupportedTag", 1, ""],
      ["83 43 00", "UnsupportedTag", 1, ""],
      ["83 46 7ff0000000000000", "InvalidFloat", 1, ""],
      ["83 68 01 46 7ff8000000000001", "InvalidFloat", 3, "{1}"],
      [`83 63 ${"61".repeat(31)}`, "InvalidFloat", 1, ""],
      ["83 77 02 c080", "InvalidAtom", 1, ""],
      ["83 77 03 eda080", "InvalidAtom", 1, ""],
      [`83 76 0100 ${"61".repeat(256)}`, "InvalidAtom", 1, ""],
      [`83 64 0100 ${"61".repeat(256)}`, "InvalidAtom", 1, ""],
      ["83 76 ffff 61", "Truncated", 4, ""],
      ["83 4d 00000000 01", "InvalidBits", 1, ""],
      ["83 4d 00000001 00 ff", "InvalidBits", 1, ""],
      ["83 4d 00000001 09 ff", "InvalidBits", 1, ""],
      ["83 6c ffffffff 61", "Truncated", 6, ""],
      ["83 74 7fffffff 61", "Limit", 6, ""],
      ["83 69 01000000 61", "Limit", 6, ""],
      ["83 6d ffffffff", "Truncated", 6, ""],
      ["83 6f ffffffff 00", "Limit", 6, ""],
      ["83 6e ff 00", "Truncated", 3, ""],
      ["83 5a 0006 77 01 61", "InvalidIdentifier", 1, ""],
      ["83 5a 0000 77 01 61", "InvalidIdentifier", 1, ""],
      ["83 58 61 01", "InvalidIdentifier", 2, ""],
      ["83 71 77 01 61 77 01 61 62 00000100", "InvalidFun", 1, ""],
      ["83 71 77 01 61 77 01 61 68 00", "InvalidFun", 1, ""],
      ["83 74 00000002 77 01 61 61 01 77 01 61 61 02", "DuplicateKey", 1, ""],
      ["83 68 01 74 00000002 61 01 61 01 62 00000001 61 02", "DuplicateKey", 3, "{1}"],
      ["83 74 00000003 68 01 61 01 6a 77 01 61 6a 68 01 61 01 6a", "DuplicateKey", 1, ""],
      ["83 68 02 61 01 6c 00000002 61 01 74 00000001 77 01 6b 00", "UnknownTag", 20, "{2}[1]#{k}"],
      ["83 6c 00000001 61 01 00", "UnknownTag", 8, "|"],
      ["83 74 00000001 00", "Truncated", 6, ""],
      ["83 74 00000001 00 00", "UnknownTag", 6, "#key(0)"]
    ]
  it.each(cases)("%s: %s at %i %s", (wire, reason, offset, path) => {
    const error = fail(wire)
    assert.strictEqual(error.reason, reason, error.message)
    assert.strictEqual(error.offset, offset, error.message)
    assert.strictEqual(error.path.join(""), path)
  })

  it("limits are limits", () => {
    const nested = (levels: number): string => `83${"6801".repeat(levels)}6100`
    assert.strictEqual(fail(nested(11), { maxDepth: 10 }).reason, "Limit")
    assert.isTrue(Result.isSuccess(Decoder.make({ maxDepth: 10 }).decode(bytes(nested(10)))))
    assert.strictEqual(fail(nested(501), { maxDepth: 500 }).reason, "Limit")
    assert.isTrue(Result.isSuccess(Decoder.make({ maxDepth: 500 }).decode(bytes(nested(500)))))
    assert.strictEqual(fail("83 6b 0003 010203", { maxElements: 2 }).reason, "Limit")
    assert.strictEqual(fail("83 68 02 68 01 61 01 68 01 61 01", { maxElements: 3 }).reason, "Limit")
    assert.strictEqual(fail("83 61 01", { maxBytes: 2 }).reason, "Limit")
    assert.strictEqual(fail("83 6e 09 00 010101010101010101", { maxIntegerBytes: 8 }).reason, "Limit")
    assert.strictEqual(fail("83 74 00000002 61 01 61 01 61 02 61 01", { maxMapSize: 1 }).reason, "Limit")
    assert.strictEqual(fail("83 69 00000002 61 01 61 01", { maxTupleArity: 1 }).reason, "Limit")
  })

  it("duplicates are found however the atoms are written and whatever the table forgets", () => {
    // A table of 16 slots forgets all the time; atoms the program does not know have no identity beyond it.
    const small = Decoder.make({ atomTableSize: 1 })
    const names = Array.from({ length: 100 }, (_, i) => new Atom.Atom(`forgotten_${i}`))
    const map = (atoms: ReadonlyArray<Atom.Atom>): Uint8Array =>
      encoder.encodeUnsafe(new ErlMap.ErlMap(atoms.flatMap((atom) => [atom, 1])))
    assert.isTrue(Result.isSuccess(small.decode(map(names))))
    for (let i = 0; i < 100; i++) {
      assert.isTrue(Result.isFailure(small.decode(map([...names, names[i]!]))), `forgotten_${i}`)
    }
    // The same atom in Latin-1 and in UTF-8, and from the cache of a packet and in full.
    assert.strictEqual(fail("83 74 00000002 64 0001 e4 61 01 77 02 c3a4 61 01").reason, "DuplicateKey")
    const packet = bytes("74 00000002 52 00 61 01 77 09 756e6b6e6f776e5f61 61 01")
    const fresh = Decoder.make()
    fresh.open(packet, 0, packet.length, [new Atom.Atom("unknown_a")])
    assert.throws(() => fresh.readUnsafe(), EtfDecodeError)
  })

  it("an atom in UTF-8 is not mistaken for one in Latin-1 with the same bytes", () => {
    assert.strictEqual((decoder.decodeUnsafe(bytes("83 77 02 c3a4")) as Atom.Atom).name, "ä")
    assert.strictEqual((decoder.decodeUnsafe(bytes("83 64 0002 c3a4")) as Atom.Atom).name, "Ã¤")
    assert.strictEqual((decoder.decodeUnsafe(bytes("83 77 02 c3a4")) as Atom.Atom).name, "ä")
  })

  it("a small integer with leading zeros is a number all the same", () => {
    assert.strictEqual(decoder.decodeUnsafe(bytes(`83 6e 0c 00 05 ${"00".repeat(11)}`)), 5)
    assert.strictEqual(decoder.decodeUnsafe(bytes(`83 6f 0000000c 01 05 ${"00".repeat(11)}`)), -5)
    assert.strictEqual(Object.is(decoder.decodeUnsafe(bytes("83 6e 01 01 00")), 0), true)
  })

  it("values that are no terms, with the path", () => {
    assert.strictEqual(refuse("text").reason, "NotATerm")
    assert.strictEqual(refuse(NaN).reason, "NotFinite")
    assert.strictEqual(refuse(Infinity).reason, "NotFinite")
    const error = refuse([1, Tuple.make(ErlMap.make([[Atom.ok, [null as never]]]))])
    assert.strictEqual(error.path.join(""), "[1]{1}#{ok}[0]")
    assert.strictEqual(refuse(new Atom.Atom("x".repeat(256))).reason, "InvalidAtom")
    assert.strictEqual(refuse(new Pid.Pid("a@b", -1, 0, 0)).reason, "InvalidIdentifier")
    assert.strictEqual(refuse(new Reference.Reference("a@b", 0, [])).reason, "InvalidIdentifier")
    assert.strictEqual(refuse(new ImproperList.ImproperList([], 1)).reason, "NotATerm")
    for (const value of [undefined, true, () => 1, Symbol("x"), {}, new Date(0)]) {
      assert.strictEqual(refuse([value]).reason, "NotATerm")
    }
  })

  it("a value that contains itself, and one that is too large", () => {
    const cycle: Array<Term.Term> = [Atom.ok]
    cycle.push(cycle)
    assert.strictEqual(Result.getOrThrow(Result.flip(Encoder.make({ maxDepth: 10_000 }).encode(cycle))).reason, "Limit")
    assert.strictEqual(
      Result.getOrThrow(Result.flip(Encoder.make({ maxBytes: 1000 }).encode(new Uint8Array(2000)))).reason,
      "Limit"
    )
  })
})
