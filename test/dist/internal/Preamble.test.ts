import { assert, describe, it } from "@effect/vitest"
import { AtomCache, Decoder, Encoder } from "effect-otp/etf"
import { Atom, Term } from "effect-otp/term"
import * as Control from "../../../src/dist/Control.ts"
import { OutgoingAtoms } from "../../../src/dist/internal/OutgoingAtoms.ts"
import { writeBody, writeHead } from "../../../src/dist/internal/payload.ts"
import { Preamble } from "../../../src/dist/internal/Preamble.ts"
import * as RawTerm from "../../../src/dist/internal/RawTerm.ts"
import type { Address } from "../../../src/process/Address.ts"
import type { Outbound } from "../../../src/process/Transport.ts"
import { ImproperList } from "../../../src/term/ImproperList.ts"
import { isPid, Pid } from "../../../src/term/Pid.ts"
import { Reference } from "../../../src/term/Reference.ts"
import { Tuple } from "../../../src/term/Tuple.ts"
import * as fc from "../generate.ts"

const self = "a@127.0.0.1"
const other = "b@127.0.0.1"
const able = { sendSender: true, altactSig: false, exitPayload: true }

const senders = [1, 2].map((id) => new Pid(self, id, 0, 7))
const receivers: ReadonlyArray<Address> = [
  { name: "shop", node: other },
  { name: "till", node: other },
  new Pid(other, 9, 0, 3),
  new Reference(other, 3, [1, 2, 3])
]

/** The sending half of a connection: what it writes, and how often the beginning was a copy. */
class Sender {
  readonly atoms = new OutgoingAtoms()
  readonly preamble = new Preamble(this.atoms)
  copies = 0
  private readonly encoder = Encoder.make()

  /** A packet; undefined when it was given up. */
  send(from: Pid, to: Address, message: Outbound, fate: "sent" | "rollback" | "undo" = "sent"): Uint8Array | undefined {
    const { atoms, encoder, preamble } = this
    encoder.begin()
    atoms.begin(encoder)
    const start = encoder.output.pos
    if (preamble.write(encoder, from, to, message) >= 0) this.copies++
    else {
      Control.writeSend(encoder, able, from, "name" in to ? to.name : to)
      const payloadAt = encoder.output.pos
      writeHead(encoder, from, message)
      preamble.learn(encoder, start, payloadAt, from, to, message)
    }
    writeBody(encoder, message)
    if (fate === "rollback") {
      atoms.rollback(encoder)
      return undefined
    }
    atoms.finish(encoder)
    if (fate === "sent") return encoder.take()
    atoms.undo()
    return undefined
  }
}

const peer = () => {
  const reader = new AtomCache.AtomCacheReader()
  const decoder = Decoder.make()
  return (bytes: Uint8Array) => {
    const failure = reader.read(bytes, 0, bytes.length)
    assert.isUndefined(failure)
    decoder.open(bytes, reader.offset, bytes.length, reader.atoms)
    const control = Control.readUnsafe(decoder)
    const payload = decoder.readUnsafe()
    assert.strictEqual(decoder.remaining, 0)
    return { control, payload }
  }
}

const call = (reply: Reference, payload: Term.Term): Outbound => ({
  _tag: "Call",
  message: RawTerm.Call,
  payload,
  reply
})
const cast = (payload: Term.Term): Outbound => ({ _tag: "Cast", message: RawTerm.Cast, payload })

const payloadOf = (from: Pid, message: Outbound): Term.Term => {
  switch (message._tag) {
    case "Call":
      return new Tuple([
        Atom.make("$gen_call"),
        new Tuple([from, new ImproperList([Atom.make("alias")], message.reply)]),
        message.payload as Term.Term
      ])
    case "Cast":
      return new Tuple([Atom.make("$gen_cast"), message.payload as Term.Term])
    default:
      return (message as Outbound & { readonly _tag: "Term" }).value as Term.Term
  }
}

const check = (read: ReturnType<typeof peer>, bytes: Uint8Array, from: Pid, to: Address, message: Outbound): void => {
  const { control, payload } = read(bytes)
  assert.isTrue(Term.equals(payload, payloadOf(from, message)), "another payload")
  if (control._tag !== "Send") return assert.fail(`a ${control._tag}`)
  assert.strictEqual(String(control.from), String(from))
  assert.strictEqual(String(control.to), "name" in to ? to.name : String(to))
}

describe("Preamble", () => {
  it("whoever sends what to whom, the peer reads what was sent", () => {
    const reference = fc.array(fc.nat(2 ** 18 - 1), { minLength: 3, maxLength: 5 }).map((ids) =>
      new Reference(self, 7, ids)
    )
    const body: fc.Arbitrary<Term.Term> = fc.oneof(
      fc.nat(1000),
      fc.nat(5).map((i) => Atom.make(`hot${i}`)),
      fc.nat(3000).map((i) => Atom.make(`cold${i}`))
    )
    const message: fc.Arbitrary<Outbound> = fc.oneof(
      fc.tuple(reference, body).map(([reply, payload]) => call(reply, payload)),
      body.map(cast),
      body.map((value): Outbound => ({ _tag: "Term", value }))
    )
    const step = fc.record({
      from: fc.nat(senders.length - 1),
      to: fc.nat(receivers.length - 1),
      message,
      // Runs of equal ones are what is learnt from.
      times: fc.nat(12),
      fate: fc.constantFrom<"sent" | "rollback" | "undo">("sent", "sent", "sent", "sent", "rollback", "undo")
    })
    let copies = 0
    fc.check(fc.array(step, { minLength: 5, maxLength: 60 }), (steps) => {
      const sender = new Sender()
      const read = peer()
      for (const { fate, from, message, times, to } of steps) {
        for (let i = 0; i <= times; i++) {
          const bytes = sender.send(senders[from]!, receivers[to]!, message, fate)
          if (bytes !== undefined) check(read, bytes, senders[from]!, receivers[to]!, message)
        }
      }
      copies += sender.copies
    }, { runs: 100 })
    assert.isAbove(copies, 1000)
  })

  it("is learnt from the second packet that is alike, once its atoms stand in every header", () => {
    const sender = new Sender()
    const [from, to] = [senders[0]!, receivers[0]!]
    for (let i = 0; i < 100; i++) sender.send(from, to, call(new Reference(self, 7, [i, 0, 0]), i))
    assert.isAtLeast(sender.copies, 90)
  })

  it("is written anew when its atoms have left the fixed part of the header, which copies do not count for", () => {
    const sender = new Sender()
    const read = peer()
    const [from, to] = [senders[0]!, receivers[0]!]
    for (let i = 0; i < 20_000; i++) check(read, sender.send(from, to, cast(i))!, from, to, cast(i))
    assert.isAtLeast(sender.copies, 19_900)
  })

  it("is not used for another sender, receiver, kind or incarnation", () => {
    const sender = new Sender()
    const read = peer()
    const [from, to] = [senders[0]!, receivers[0]!]
    const reply = new Reference(self, 7, [1, 0, 0])
    const others: ReadonlyArray<readonly [Pid, Address, Outbound]> = [
      [senders[1]!, to, call(reply, 1)],
      [from, receivers[1]!, call(reply, 1)],
      [from, receivers[2]!, call(reply, 1)],
      [from, to, cast(1)],
      [from, to, call(new Reference(self, 8, [1, 0, 0]), 1)],
      [from, to, call(new Reference(other, 7, [1, 0, 0]), 1)],
      [from, to, call(new Reference(self, 7, [1, 0, 0, 0]), 1)]
    ]
    for (const [otherFrom, otherTo, message] of others) {
      for (let i = 0; i < 20; i++) check(read, sender.send(from, to, call(reply, i))!, from, to, call(reply, i))
      const { copies } = sender
      assert.isAbove(copies, 0)
      check(read, sender.send(otherFrom, otherTo, message)!, otherFrom, otherTo, message)
      assert.strictEqual(sender.copies, copies)
    }
  })

  it("a receiver of the same name at the other node's next incarnation is written by its own address", () => {
    const sender = new Sender()
    const read = peer()
    const from = senders[0]!
    const before = new Pid(other, 9, 0, 3)
    const after = new Pid(other, 9, 0, 4)
    for (let i = 0; i < 20; i++) check(read, sender.send(from, before, cast(i))!, from, before, cast(i))
    const { control } = read(sender.send(from, after, cast(1))!)
    assert.isTrue(control._tag === "Send" && isPid(control.to) && control.to.creation === 4)
  })
})
