import { assert, describe, it } from "@effect/vitest"
import * as Epmd from "effect-otp/dist/EpmdProtocol"
import * as fc from "./generate.ts"

const hex = (text: string): Uint8Array => Uint8Array.from(text.trim().split(/\s+/), (byte) => parseInt(byte, 16))

describe("EpmdProtocol", () => {
  it("a registration is byte for byte that of a BEAM, with the lowest version of ours", () => {
    const node = Epmd.registration({ name: "t", port: 0xABCD, lowest: 6 })
    assert.deepStrictEqual(
      Epmd.encodeRequest({ _tag: "Alive", node }),
      hex("00 0e 78 ab cd 4d 00 00 06 00 06 00 01 74 00 00")
    )
    const hidden = Epmd.encodeRequest({ _tag: "Alive", node: { ...node, hidden: true } })
    assert.strictEqual(hidden[5], 72)
  })

  it("every request comes back, in pieces of any size", () => {
    const name = fc.string({ minLength: 1, maxLength: 20 }).filter((text) => Epmd.isValidName(text))
    const node = fc.record({
      name,
      port: fc.nat(65535),
      hidden: fc.boolean(),
      highest: fc.nat(65535),
      lowest: fc.nat(65535),
      extra: fc.uint8Array({ maxLength: 30 })
    })
    const request: fc.Arbitrary<Epmd.Request> = fc.oneof(
      node.map((node) => ({ _tag: "Alive", node }) as const),
      name.map((name) => ({ _tag: "Port", name }) as const),
      name.map((name) => ({ _tag: "Stop", name }) as const),
      fc.constantFrom<Epmd.Request>({ _tag: "Names" }, { _tag: "Dump" }, { _tag: "Kill" })
    )
    fc.check(fc.tuple(request, fc.integer({ min: 1, max: 9 })), ([request, size]) => {
      const bytes = Epmd.encodeRequest(request)
      const parser = Epmd.makeParser()
      for (let at = 0; at < bytes.length; at += size) {
        const result = parser.feed(bytes.subarray(at, at + size))
        if (at + size < bytes.length) assert.isUndefined(result)
        else assert.deepStrictEqual(result, request)
      }
    })
  })

  it("refuses what a real one refuses", () => {
    const refuse = (text: string): unknown => Epmd.makeParser().feed(hex(text))
    assert.strictEqual(refuse("00 00"), "empty")
    assert.strictEqual(refuse("ff ff 78"), "too long")
    assert.strictEqual(refuse("00 01 42"), "unknown request")
    assert.strictEqual(refuse("00 02 6e 00"), "malformed")
    assert.strictEqual(refuse("00 01 6e 00"), "more than one request")
    assert.strictEqual(refuse("00 02 7a 00"), "bad name")
    assert.strictEqual(refuse("00 03 7a c3 28"), "bad name")
    assert.strictEqual(refuse("00 05 78 00 01 4d 00"), "malformed")
    // A trailing NUL of a look-up is put up with.
    assert.deepStrictEqual(refuse("00 03 7a 61 00"), { _tag: "Port", name: "a" })
    const parser = Epmd.makeParser()
    parser.feed(hex("00 01 6e"))
    assert.strictEqual(parser.feed(hex("00")), "more than one request")
  })

  it("holds no more than a request is allowed to have", () => {
    const parser = Epmd.makeParser()
    assert.isUndefined(parser.feed(hex("0b f4")))
    assert.strictEqual(parser.feed(new Uint8Array(4000)), "too long")
  })

  it("understands the answers of a real one, and waits for the rest of them", () => {
    assert.strictEqual(Epmd.decodeAlive(hex("76 00 00 00 01 02")), 258)
    assert.strictEqual(Epmd.decodeAlive(hex("79 00 00 03")), 3)
    assert.strictEqual(Epmd.decodeAlive(hex("76 01 00 00 00 63")), "taken")
    assert.isUndefined(Epmd.decodeAlive(hex("76 00 00")))
    assert.strictEqual(Epmd.decodeAlive(hex("aa")), "malformed")
    assert.strictEqual(Epmd.decodePort(hex("77 01")), "unknown")
    const node = Epmd.registration({ name: "shop", port: 4711 })
    const bytes = Epmd.encodePort(node)
    for (let end = 0; end < bytes.length; end++) assert.isUndefined(Epmd.decodePort(bytes.subarray(0, end)))
    assert.deepStrictEqual(Epmd.decodePort(bytes), node)
    assert.deepStrictEqual(Epmd.decodeNames(Epmd.encodeNames(4369, [node])), [{ name: "shop", port: 4711 }])
  })

  it("random bytes are an answer, too little, or malformed, and never an exception", () => {
    fc.check(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      Epmd.decodeAlive(bytes)
      Epmd.decodePort(bytes)
      Epmd.decodeNames(bytes)
      Epmd.makeParser().feed(bytes)
    }, { runs: 5000 })
  })
})
