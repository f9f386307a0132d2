import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { AtomCache, Decoder, Encoder } from "effect-otp/etf"
import { Atom, Term } from "effect-otp/term"
import { OutgoingAtoms } from "../../../src/dist/internal/OutgoingAtoms.ts"
import * as fc from "../generate.ts"

const peer = () => {
  const reader = new AtomCache.AtomCacheReader()
  const decoder = Decoder.make()
  return (bytes: Uint8Array): Term.Term => {
    const header = Result.getOrThrow(reader.readHeader(bytes, 0, bytes.length))
    decoder.open(bytes, header.offset, bytes.length, header.atoms)
    const term = decoder.readUnsafe()
    assert.strictEqual(decoder.remaining, 0)
    return term
  }
}

const packet = (atoms: OutgoingAtoms, encoder: Encoder.Encoder, term: Term.Term): Uint8Array => {
  encoder.begin()
  atoms.begin(encoder)
  encoder.writeUnsafe(term)
  atoms.finish(encoder)
  return encoder.take()
}

describe("OutgoingAtoms", () => {
  it("whatever is sent, given up or undone, the peer reads what was meant", () => {
    const name = fc.oneof(
      fc.nat(20).map((i) => `hot${i}`),
      fc.nat(4000).map((i) => `cold${i}`),
      fc.constantFrom("", "a".repeat(255), "ä".repeat(200), "日本")
    )
    const step = fc.record({
      names: fc.array(name, { maxLength: 30 }),
      fate: fc.constantFrom("sent", "sent", "sent", "sent", "rollback", "undo")
    })
    fc.check(fc.array(step, { minLength: 20, maxLength: 150 }), (steps) => {
      const atoms = new OutgoingAtoms()
      const encoder = Encoder.make()
      const read = peer()
      for (const { fate, names } of steps) {
        const term = names.map((text) => Atom.make(text))
        if (fate === "sent") assert.isTrue(Term.equals(read(packet(atoms, encoder, term)), term))
        else if (fate === "undo") {
          packet(atoms, encoder, term)
          atoms.undo()
        } else {
          encoder.begin()
          atoms.begin(encoder)
          encoder.writeUnsafe(term)
          atoms.rollback(encoder)
        }
      }
    }, { runs: 60 })
  })

  it("more atoms than a header can name, and more than there are slots", () => {
    const atoms = new OutgoingAtoms()
    const encoder = Encoder.make()
    const read = peer()
    for (let round = 0; round < 30; round++) {
      const term = Array.from({ length: 400 }, (_, i) => Atom.make(`n${(round * 397 + i) % 6000}`))
      assert.isTrue(Term.equals(read(packet(atoms, encoder, term)), term))
    }
  })

  it("what every packet has costs a fixed header soon, and no text", () => {
    const atoms = new OutgoingAtoms()
    const encoder = Encoder.make()
    const term = [Atom.make("shop@127.0.0.1"), Atom.make("$gen_call")]
    const sizes = Array.from({ length: 10 }, () => packet(atoms, encoder, term).length)
    assert.isAbove(sizes[0]!, 30)
    // Number, flags, two references; list of two references.
    assert.strictEqual(sizes[9], 1 + 2 + 2 + 5 + 4 + 1)
  })

  it("what is no longer used leaves the fixed part", () => {
    const atoms = new OutgoingAtoms()
    const encoder = Encoder.make()
    const read = peer()
    for (let i = 0; i < 20; i++) read(packet(atoms, encoder, [Atom.make("old")]))
    for (let i = 0; i < 20_000; i++) packet(atoms, encoder, [1000])
    assert.strictEqual(packet(atoms, encoder, [1000]).length, 1 + 5 + 5 + 1)
  })
})
