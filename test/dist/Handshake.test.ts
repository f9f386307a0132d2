import { assert, describe, it } from "@effect/vitest"
import * as DistFlags from "effect-otp/dist/DistFlags"
import * as Handshake from "effect-otp/dist/Handshake"
import { createHash } from "node:crypto"
import * as fc from "./generate.ts"

const hex = (text: string): Uint8Array => Uint8Array.from(text.trim().split(/\s+/), (byte) => parseInt(byte, 16))

const digestWith = (cookie: string) => (_: string, challenge: number): Uint8Array =>
  new Uint8Array(createHash("md5").update(cookie + challenge).digest())

const self = (name: string, challenge = 1, cookie = "ck"): Handshake.Options => ({
  self: { name, creation: 7, flags: DistFlags.offer() },
  challenge,
  digest: digestWith(cookie)
})

const initiator = (
  options?: {
    readonly cookie?: string
    readonly connected?: boolean
    readonly wanted?: string
    readonly version?: 5 | 6
    readonly asks?: boolean
  }
) =>
  Handshake.initiate({
    ...self(options?.asks === true ? "h" : "a@h", 17, options?.cookie),
    wanted: options?.wanted ?? "b@h",
    connected: () => options?.connected === true,
    version: options?.version,
    asks: options?.asks
  })

const acceptor = (
  decide: Handshake.Decision = "ok",
  options?: { readonly cookie?: string; readonly name?: string; readonly give?: boolean }
) =>
  Handshake.accept({
    ...self(options?.name ?? "b@h", 99, options?.cookie),
    decide: () => decide,
    nameFor: options?.give === true ? (host) => ({ name: `GIVEN@${host}`, creation: 55 }) : undefined
  })

/** Lets two machines talk until both are at an end or nothing is said any more. */
const talk = (a: Handshake.Machine, b: Handshake.Machine) => {
  const ends: { a?: Handshake.Step; b?: Handshake.Step } = {}
  const queue: Array<readonly ["a" | "b", Uint8Array]> = a.start.map((message) => ["b", message] as const)
  while (queue.length > 0) {
    const [to, message] = queue.shift()!
    const step = (to === "a" ? a : b).receive(message)
    if (step._tag !== "Continue") ends[to] ??= step
    for (const next of step.send) queue.push([to === "a" ? "b" : "a", next])
  }
  return ends
}

describe("Handshake", () => {
  it("accepts what OTP 25 says to the letter", () => {
    const machine = Handshake.accept({
      self: { name: "cap@127.0.0.1", creation: 0x55667788, flags: 0xd07df5fbcn },
      challenge: 0x11223344,
      digest: digestWith("ck"),
      decide: () => "ok"
    })
    const first = machine.receive(
      hex("4e 00 00 00 0d 07 df 7f bd 6b 00 01 66 00 0d 74 67 74 40 31 32 37 2e 30 2e 30 2e 31")
    )
    assert.deepStrictEqual(first, {
      _tag: "Continue",
      send: [
        hex("73 6f 6b"),
        hex("4e 00 00 00 0d 07 df 5f bc 11 22 33 44 55 66 77 88 00 0d 63 61 70 40 31 32 37 2e 30 2e 30 2e 31")
      ]
    })
    const second = machine.receive(hex("72 b9 cf e8 8d 52 4c 0e b8 b5 23 1a e1 29 08 be ef a9 fa e0 f3"))
    assert.strictEqual(second._tag, "Established")
    assert.deepStrictEqual(second.send, [hex("61 93 41 91 40 4d b2 92 9d 52 af 5f c1 30 dd 50 27")])
  })

  it("the two roles meet, with names, creations and common flags", () => {
    const { a, b } = talk(initiator(), acceptor())
    assert.deepStrictEqual(a, {
      _tag: "Established",
      send: [],
      peer: { name: "b@h", creation: 7, flags: DistFlags.offer(), peerFlags: DistFlags.offer() }
    })
    assert.strictEqual(b?._tag === "Established" && b.peer.name, "a@h")
  })

  it("an acceptor sends no digest to somebody who does not know the cookie", () => {
    const b = acceptor()
    const said: Array<Uint8Array> = []
    const a = initiator({ cookie: "wrong" })
    const queue = [...a.start]
    let last: Handshake.Step | undefined
    while (queue.length > 0) {
      last = b.receive(queue.shift()!)
      for (const message of last.send) {
        said.push(message)
        queue.push(...a.receive(message).send)
      }
    }
    assert.deepStrictEqual(last, { _tag: "Failed", send: [], reason: { _tag: "BadCookie", peer: "a@h" } })
    assert.isFalse(said.some((message) => message[0] === 97))
  })

  it("an initiator refuses an acceptor with another cookie, another name, or too few flags", () => {
    const a = initiator()
    a.receive(hex("73 6f 6b"))
    const challenge = (name: string, flags: bigint) => {
      const b = Handshake.accept({ ...self(name, 3), self: { name, creation: 1, flags }, decide: () => "ok" })
      return b.receive(initiator().start[0]!).send[1]!
    }
    assert.strictEqual(a.receive(challenge("b@h", DistFlags.offer()))._tag, "Continue")
    const step = a.receive(Uint8Array.of(97, ...new Uint8Array(16)))
    assert.deepStrictEqual(step._tag === "Failed" && step.reason, { _tag: "BadCookie", peer: "b@h" })
    const other = initiator()
    other.receive(hex("73 6f 6b"))
    const wrong = other.receive(challenge("c@h", DistFlags.offer()))
    assert.deepStrictEqual(wrong._tag === "Failed" && wrong.reason._tag, "WrongNode")
    const old = initiator()
    old.receive(hex("73 6f 6b"))
    const few = old.receive(challenge("b@h", 0x101DF7FBDn))
    assert.deepStrictEqual(few._tag === "Failed" && few.reason, { _tag: "MissingFlags", flags: ["unlinkId", "v4Nc"] })
  })

  it("an acceptor refuses the own name, names that are none, and missing flags", () => {
    const first = (machine: Handshake.Machine) => machine.start[0]!
    const own = acceptor("ok", { name: "a@h" }).receive(first(initiator()))
    assert.deepStrictEqual(own, {
      _tag: "Failed",
      send: [hex("73 6e 6f 6b")],
      reason: { _tag: "BadName", name: "a@h" }
    })
    for (const name of ["", "@", "a@", "@h", "a@b@c", "a b@h", "x".repeat(300) + "@h"]) {
      const start = Handshake.initiate({ ...self(name), wanted: "b@h", connected: () => false }).start[0]!
      const step = acceptor().receive(start)
      assert.strictEqual(step._tag === "Failed" && step.reason._tag, "BadName", JSON.stringify(name))
    }
    const few = Handshake.initiate({
      ...self("a@h"),
      self: { name: "a@h", creation: 1, flags: 0x101DF7FBDn },
      wanted: "b@h",
      connected: () => false
    })
    const step = acceptor().receive(few.start[0]!)
    assert.deepStrictEqual(step.send, [new TextEncoder().encode("snot_allowed")])
  })

  it("alive: the peer that has no connection goes on, the one that has one does not", () => {
    const on = talk(initiator(), acceptor("alive"))
    assert.strictEqual(on.a?._tag, "Established")
    assert.strictEqual(on.b?._tag, "Established")
    const off = talk(initiator({ connected: true }), acceptor("alive"))
    assert.deepStrictEqual(off.a?._tag === "Failed" && off.a.reason, { _tag: "Alive", peer: "b@h" })
    assert.deepStrictEqual(off.b?._tag === "Failed" && off.b.reason, { _tag: "Alive", peer: "a@h" })
  })

  it("simultaneous: nok yields, ok_simultaneous goes on, and the larger name keeps its attempt", () => {
    assert.deepStrictEqual(talk(initiator(), acceptor("nok")).a, { _tag: "Yield", send: [] })
    assert.strictEqual(talk(initiator(), acceptor("okSimultaneous")).a?._tag, "Established")
    assert.strictEqual(Handshake.settle("b@h", "a@h"), "nok")
    assert.strictEqual(Handshake.settle("a@h", "b@h"), "okSimultaneous")
    assert.strictEqual(Handshake.settle("a@h1", "a@h"), "nok")
    fc.check(fc.tuple(fc.string(), fc.string()), ([a, b]) => {
      // Exactly one of the two attempts goes on.
      if (a !== b) assert.notStrictEqual(Handshake.settle(a, b), Handshake.settle(b, a))
    })
  })

  it("not_allowed ends both", () => {
    const { a, b } = talk(initiator(), acceptor("notAllowed"))
    assert.deepStrictEqual(a?._tag === "Failed" && a.reason._tag, "NotAllowed")
    assert.deepStrictEqual(b?._tag === "Failed" && b.reason._tag, "NotAllowed")
  })

  it("gives a name to who asks for one, if it is allowed", () => {
    const flags = (DistFlags.offer({ hidden: true }) | DistFlags.flags.nameMe).toString(16).padStart(16, "0")
    const start = hex(`4e ${flags.match(/../g)!.join(" ")} 00 00 00 00 00 01 68`)
    const step = acceptor("ok", { give: true }).receive(start)
    assert.deepStrictEqual(
      step.send[0],
      Uint8Array.of(...new TextEncoder().encode("snamed:"), 0, 7, ...new TextEncoder().encode("GIVEN@h"), 0, 0, 0, 55)
    )
    // OTP 25 takes the name only when the flag comes back to it.
    const returned = new DataView(step.send[1]!.buffer, step.send[1]!.byteOffset).getBigUint64(1)
    assert.isTrue(DistFlags.has(returned, "nameMe"))
    const refused = acceptor("ok").receive(start)
    assert.deepStrictEqual(refused._tag === "Failed" && refused.reason._tag, "NotAllowed")
  })

  it("takes the old form of a name, whose flags come in two halves", () => {
    const low = Number(DistFlags.offer() & 0xffffffffn).toString(16).padStart(8, "0").match(/../g)!.join(" ")
    const high = Number(DistFlags.offer() >> 32n).toString(16).padStart(8, "0").match(/../g)!.join(" ")
    const machine = acceptor()
    const first = machine.receive(hex(`6e 00 05 ${low} 61 40 68`))
    assert.strictEqual(first.send.length, 2)
    assert.strictEqual(machine.receive(hex(`63 ${high} 00 00 00 09`))._tag, "Continue")
    const end = machine.receive(Uint8Array.of(114, 0, 0, 0, 5, ...digestWith("ck")("", 99)))
    assert.deepStrictEqual(end._tag === "Established" && [end.peer.creation, end.peer.flags], [9, DistFlags.offer()])
  })

  it("version 5: what is sent, to the letter, and both roles meet", () => {
    const a = initiator({ version: 5 })
    const low = Number(DistFlags.offer() & 0xffffffffn).toString(16).padStart(8, "0").match(/../g)!.join(" ")
    const high = Number(DistFlags.offer() >> 32n).toString(16).padStart(8, "0").match(/../g)!.join(" ")
    assert.deepStrictEqual(a.start, [hex(`6e 00 05 ${low} 61 40 68`)])
    for (const decision of ["ok", "okSimultaneous", "alive"] as const) {
      const ends = talk(initiator({ version: 5 }), acceptor(decision))
      assert.deepStrictEqual(ends.a, {
        _tag: "Established",
        send: [],
        peer: { name: "b@h", creation: 7, flags: DistFlags.offer(), peerFlags: DistFlags.offer() }
      }, decision)
      assert.deepStrictEqual(ends.b?._tag === "Established" && ends.b.peer, {
        name: "a@h",
        creation: 7,
        flags: DistFlags.offer(),
        peerFlags: DistFlags.offer()
      })
    }
    a.receive(hex("73 6f 6b"))
    const challenge = acceptor().receive(a.start[0]!).send[1]!
    const step = a.receive(challenge)
    assert.deepStrictEqual(step.send[0], hex(`63 ${high} 00 00 00 07`))
    assert.strictEqual(step.send[1]![0], 114)
    // Not with another cookie either.
    assert.strictEqual(talk(initiator({ version: 5, cookie: "wrong" }), acceptor()).b?._tag, "Failed")
  })

  it("version 5: a node that knows nothing newer is refused by its flags, in both roles", () => {
    const low = Number(
      DistFlags.offer() & 0xffffffffn & ~DistFlags.flags.handshake23 & ~DistFlags.flags.mandatory25Digest
    )
    const bytes = low.toString(16).padStart(8, "0").match(/../g)!.join(" ")
    const a = initiator({ version: 5 })
    a.receive(hex("73 6f 6b"))
    const step = a.receive(hex(`6e 00 05 ${bytes} 00 00 00 01 62 40 68`))
    assert.deepStrictEqual(step._tag === "Failed" && step.reason, {
      _tag: "MissingFlags",
      flags: ["handshake23", "v4Nc"]
    })
    const accepted = acceptor().receive(hex(`6e 00 05 ${bytes} 61 40 68`))
    assert.deepStrictEqual(accepted._tag === "Failed" && accepted.reason, {
      _tag: "MissingFlags",
      flags: ["handshake23"]
    })
    assert.deepStrictEqual(accepted.send, [new TextEncoder().encode("snot_allowed")])
  })

  it("asks for a name and takes the one that is given, if it is one of its host", () => {
    const { a, b } = talk(initiator({ asks: true }), acceptor("ok", { give: true }))
    assert.deepStrictEqual(a?._tag === "Established" && a.given, { name: "GIVEN@h", creation: 55 })
    assert.deepStrictEqual(b?._tag === "Established" && [b.peer.name, b.peer.creation], ["GIVEN@h", 55])
    assert.isFalse(b?._tag === "Established" && DistFlags.has(b.peer.peerFlags, "published"))
    const refused = talk(initiator({ asks: true }), acceptor("ok"))
    assert.deepStrictEqual(refused.a?._tag === "Failed" && refused.a.reason._tag, "NotAllowed")
    const named = (name: string) =>
      Uint8Array.of(
        ...new TextEncoder().encode("snamed:"),
        0,
        name.length,
        ...new TextEncoder().encode(name),
        0,
        0,
        0,
        9
      )
    for (const name of ["x@other", "h", "a@b@h", "@h", ""]) {
      const step = initiator({ asks: true }).receive(named(name))
      assert.strictEqual(step._tag === "Failed" && step.reason._tag, "BadName", name)
    }
    for (let end = 1; end < 15; end++) {
      assert.strictEqual(initiator({ asks: true }).receive(named("x@h").subarray(0, end))._tag, "Failed", `${end}`)
    }
    // Nobody gives a name to who did not ask.
    assert.strictEqual(initiator().receive(named("x@h"))._tag, "Failed")
    assert.strictEqual(initiator({ asks: true }).receive(hex("73 6f 6b"))._tag, "Failed")
  })

  it("anything else is a failure and never an exception", () => {
    fc.check(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 4 }), (messages) => {
      const machines = [
        initiator(),
        initiator({ version: 5 }),
        initiator({ asks: true }),
        acceptor(),
        acceptor("alive"),
        acceptor("ok", { give: true })
      ]
      for (const machine of machines) {
        for (const message of messages) assert.include(["Continue", "Failed", "Yield"], machine.receive(message)._tag)
      }
    }, { runs: 3000 })
  })

  it("says nothing after its end", () => {
    const machine = initiator()
    machine.receive(hex("73 6e 6f 6b"))
    assert.strictEqual(machine.receive(hex("73 6f 6b"))._tag, "Failed")
  })
})
