import { assert, describe, it } from "@effect/vitest"
import * as Control from "effect-otp/dist/Control"
import * as DistFlags from "effect-otp/dist/DistFlags"
import { Decoder, Encoder } from "effect-otp/etf"
import { Atom, Pid, Reference, Term } from "effect-otp/term"
import * as fc from "./generate.ts"

const word = fc.integer({ min: 0, max: 0xffffffff })
const pid = fc.tuple(word, word, word).map(([id, serial, creation]) => new Pid.Pid("a@h", id, serial, creation))
const ref = fc.tuple(word, fc.array(word, { minLength: 1, maxLength: 5 })).map(([c, ids]) =>
  new Reference.Reference("a@h", c, ids)
)
const name = fc.string({ maxLength: 20 }).filter((text) => Atom.isValidName(text))
const reason = fc.constantFrom(Atom.make("normal"), Atom.make("killed"), Term.parseUnsafe("{shutdown, [1, 2]}"))
const id = fc.bigInt({ min: 1n, max: 0xffffffffffffffffn }).map((n) => n <= 9007199254740991n ? Number(n) : n)
const kind = fc.constantFrom("link" as const, "signal" as const)

const any: fc.Arbitrary<Control.Control> = fc.oneof(
  fc.record({ _tag: fc.constant("Send" as const), from: pid, to: fc.oneof(pid, ref, name) }),
  fc.record({ _tag: fc.constant("Link" as const), from: pid, to: pid }),
  fc.record({ _tag: fc.constant("Exit" as const), kind, from: pid, to: pid, reason }),
  fc.record({ _tag: fc.constant("Unlink" as const), id, from: pid, to: pid }),
  fc.record({ _tag: fc.constant("UnlinkAck" as const), id, from: pid, to: pid }),
  fc.record({ _tag: fc.constant("Monitor" as const), from: pid, to: fc.oneof(pid, name), ref }),
  fc.record({ _tag: fc.constant("Demonitor" as const), from: pid, to: fc.oneof(pid, name), ref }),
  fc.record({ _tag: fc.constant("Down" as const), from: fc.oneof(pid, name), to: pid, ref, reason }),
  fc.record({
    _tag: fc.constant("SpawnRequest" as const),
    ref,
    from: pid,
    leader: pid,
    module: name,
    name,
    arity: fc.nat(255),
    options: fc.constant(Term.parseUnsafe("[monitor]"))
  }),
  fc.record({ _tag: fc.constant("SpawnReply" as const), ref, to: pid, flags: fc.nat(3), result: pid }),
  fc.record({ _tag: fc.constant("GroupLeader" as const), leader: pid, to: pid })
)

const encoded = (control: Control.Control, flags: DistFlags.DistFlags): Uint8Array => {
  const encoder = Encoder.make()
  encoder.begin()
  Control.write(encoder, Control.abilities(flags), control)
  return encoder.take()
}

const decoded = (bytes: Uint8Array): { readonly control: Control.Control; readonly rest: Decoder.Decoder } => {
  const decoder = Decoder.make()
  decoder.open(bytes, 0, bytes.length)
  return { control: Control.readUnsafe(decoder), rest: decoder }
}

const without = DistFlags.flags.sendSender | DistFlags.flags.exitPayload | DistFlags.flags.altactSig

describe("Control", () => {
  it("what is written is what is read, whatever the peer can do", () => {
    fc.check(fc.tuple(any, fc.boolean()), ([control, old]) => {
      const flags = old ? DistFlags.offered & ~without : DistFlags.offered
      const { control: back, rest } = decoded(encoded(control, flags))
      const { reason: expected, ...fields } = { reason: undefined, ...control }
      const { reason: inside, ...found } = { reason: undefined, ...back }
      if (control._tag === "Send" && old && Pid.isPid(control.to)) {
        // The oldest form does not tell the sender.
        assert.deepStrictEqual(back, { _tag: "Send", from: undefined, to: control.to })
      } else assert.deepStrictEqual(found, fields)
      if (expected !== undefined) {
        assert.isTrue(Term.equals(inside ?? rest.readUnsafe(), expected))
        assert.strictEqual(inside === undefined, !old)
      }
      assert.strictEqual(rest.remaining, 0)
    }, { runs: 2000 })
  })

  it("an alias is reached by operation 37 where the peer knows it, else by 33", () => {
    const control: Control.Control = {
      _tag: "Send",
      from: new Pid.Pid("a@h", 1, 0, 1),
      to: new Reference.Reference("a@h", 1, [1])
    }
    assert.deepStrictEqual([...encoded(control, DistFlags.offered).subarray(0, 6)], [104, 4, 97, 37, 97, 4])
    assert.deepStrictEqual([...encoded(control, DistFlags.offered & ~without).subarray(0, 4)], [104, 3, 97, 33])
  })

  it("trace tokens are put up with", () => {
    const p = "<0.1.0>"
    const cases: ReadonlyArray<readonly [string, string]> = [
      [`{12, '', P, TOKEN}`, "Send"],
      [`{16, P, '', name, TOKEN}`, "Send"],
      [`{23, P, P, TOKEN}`, "Send"],
      [`{13, P, P, TOKEN, normal}`, "Exit"],
      [`{18, P, P, TOKEN, normal}`, "Exit"],
      [`{25, P, P, TOKEN}`, "Exit"],
      [`{27, P, P, TOKEN}`, "Exit"]
    ]
    for (const [text, tag] of cases) {
      for (const token of ["[]", "{0, 1, 2, P, 3}"]) {
        const term = Term.parseUnsafe(text.replace("TOKEN", token).replaceAll("P", p))
        assert.strictEqual(decoded(Encoder.make().encodeUnsafe(term).slice(1)).control._tag, tag, text)
      }
    }
  })

  it("an old unlink has no number and needs no answer", () => {
    const term = Term.parseUnsafe("{4, <0.1.0>, <0.2.0>}")
    assert.strictEqual((decoded(Encoder.make().encodeUnsafe(term).slice(1)).control as { readonly id: unknown }).id, 0)
  })

  it("wrong arity, wrong types and unknown operations are refused", () => {
    for (
      const text of [
        "ok",
        "{}",
        "{22}",
        "{22, <0.1.0>}",
        "{22, <0.1.0>, name}",
        "{5, a}",
        "{255, a}",
        "{1000, a}",
        "{-1, a}",
        "{19, <0.1.0>, 5, x}",
        "{35, 0, <0.1.0>, <0.1.0>}",
        "{35, 18446744073709551616, <0.1.0>, <0.1.0>}",
        "{37, 12, <0.1.0>, x}",
        "{37, -1, <0.1.0>, x}",
        "{29, x, <0.1.0>, <0.1.0>, {a, b, 1}, []}"
      ]
    ) {
      const bytes = Encoder.make().encodeUnsafe(Term.parseUnsafe(text)).slice(1)
      assert.throws(() => decoded(bytes), undefined, undefined, text)
    }
  })

  it("priority signals are understood, unknown flags ignored, longer tuples taken", () => {
    const bits = (text: string) => decoded(Encoder.make().encodeUnsafe(Term.parseUnsafe(text)).slice(1)).control
    assert.strictEqual(bits("{37, 1, <0.1.0>, <0.2.0>}")._tag, "Send")
    assert.strictEqual(bits("{37, 17, <0.1.0>, <0.2.0>}")._tag, "Exit")
    assert.strictEqual((bits("{37, 8, <0.1.0>, name}") as { readonly to: unknown }).to, "name")
    assert.strictEqual(bits("{37, 36893488147419103232, <0.1.0>, <0.2.0>}")._tag, "Send")
    assert.strictEqual(bits("{37, 2, <0.1.0>, <0.2.0>, [], more}")._tag, "Send")
  })
})
