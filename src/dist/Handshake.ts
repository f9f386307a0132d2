/**
 * The handshake of two nodes, as a state machine without I/O: versions 6 and 5, both roles.
 *
 * Each side proves that it knows the cookie by a digest over a number that the other one chose. The initiator proves
 * itself first: an acceptor never sends a digest to somebody who has not. Names, flags and creations are exchanged on
 * the way. Whoever runs a machine gives it complete messages, sends what it returns, limits its time, and decides what
 * a name means that is already connected (see {@link Decision}).
 *
 * The older form of the first message (version 5 with the flag of the new handshake, as nodes of OTP 23 and 24 send it
 * that do not ask EPMD) is taken from initiators, and sent to nodes of which EPMD says that they know no newer one. Nodes
 * before OTP 23 are refused by their flags, in both roles.
 *
 * A node without a name may ask for one (`asks`): it sends its host, and the acceptor gives it a name and a creation.
 *
 * Refused: names that are no node name, the own name, missing flags, wrong digests, messages out of turn or malformed.
 *
 * @since 0.1.0
 */
import * as DistFlags from "./DistFlags.ts"
import * as Bytes from "./internal/Bytes.ts"

/**
 * The longest message of a handshake, in bytes.
 *
 * @category constants
 * @since 0.1.0
 */
export const maxMessageBytes = 2048

/**
 * What a node says of itself.
 *
 * @category models
 * @since 0.1.0
 */
export interface Identity {
  readonly name: string
  readonly creation: number
  readonly flags: DistFlags.DistFlags
}

/**
 * The other node, as the handshake has found it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Peer {
  readonly name: string
  readonly creation: number
  /** What both ends can do. */
  readonly flags: DistFlags.DistFlags
  /** What the peer says it can do: it is hidden when `published` is missing. */
  readonly peerFlags: DistFlags.DistFlags
}

/**
 * What a machine needs besides messages.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly self: Identity
  /** An unpredictable number of 32 bits, used for this handshake only. */
  readonly challenge: number
  /** The digest over the cookie for a peer and a number. */
  readonly digest: (peer: string, challenge: number) => Uint8Array
}

/**
 * What an acceptor says to a name.
 *
 * - `ok`: go on; `okSimultaneous`: go on, the own attempt was given up.
 * - `nok`: the own attempt goes on, this one ends.
 * - `notAllowed`: refused.
 * - `alive`: there is a connection to that node; the peer says whether it knows of it.
 *
 * @category models
 * @since 0.1.0
 */
export type Decision = "ok" | "okSimultaneous" | "nok" | "notAllowed" | "alive"

/**
 * What to do after a message. `send` is sent in every case, in order.
 *
 * - `Continue`: wait for the next message.
 * - `Established`: the handshake is over. An acceptor takes an earlier connection down before it sends.
 * - `Yield`: the peer's own attempt goes on; wait for it.
 * - `Failed`: close.
 *
 * @category models
 * @since 0.1.0
 */
export type Step =
  | { readonly _tag: "Continue"; readonly send: ReadonlyArray<Uint8Array> }
  | {
    readonly _tag: "Established"
    readonly send: ReadonlyArray<Uint8Array>
    readonly peer: Peer
    /** What an initiator that asked for a name is called from now on. */
    readonly given?: Pick<Identity, "name" | "creation">
  }
  | { readonly _tag: "Yield"; readonly send: ReadonlyArray<Uint8Array> }
  | { readonly _tag: "Failed"; readonly send: ReadonlyArray<Uint8Array>; readonly reason: FailureReason }

/**
 * Why a handshake failed.
 *
 * @category models
 * @since 0.1.0
 */
export type FailureReason =
  | { readonly _tag: "Malformed"; readonly detail: string }
  | { readonly _tag: "BadName"; readonly name: string }
  | { readonly _tag: "WrongNode"; readonly expected: string; readonly found: string }
  | { readonly _tag: "MissingFlags"; readonly flags: ReadonlyArray<DistFlags.FlagName> }
  | { readonly _tag: "BadCookie"; readonly peer: string }
  | { readonly _tag: "NotAllowed"; readonly peer: string }
  | { readonly _tag: "Alive"; readonly peer: string }
  | { readonly _tag: "Simultaneous"; readonly peer: string }

/**
 * A handshake under way.
 *
 * @category models
 * @since 0.1.0
 */
export interface Machine {
  /** The first messages; none for an acceptor. */
  readonly start: ReadonlyArray<Uint8Array>
  /** The next message of the peer, without its length. */
  readonly receive: (message: Uint8Array) => Step
}

const failed = (reason: FailureReason, send: ReadonlyArray<Uint8Array> = []): Step => ({ _tag: "Failed", send, reason })

const malformed = (detail: string): Step => failed({ _tag: "Malformed", detail })

/**
 * Whether a text is the name of a node: `name@host`, one `@`, at most 255 characters.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isNodeName = (name: string): boolean => name.length <= 255 && /^[^@\s\p{Cc}]+@[^@\s\p{Cc}]+$/u.test(name)

const nameFrom = (bytes: Uint8Array): string =>
  Bytes.text(bytes) ?? Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")

const status = (text: string): Uint8Array => Bytes.concat([Uint8Array.of(115), Bytes.utf8(text)])

const nameMessage = (self: Identity): Uint8Array => {
  const name = Bytes.utf8(self.name)
  return Bytes.concat([
    Uint8Array.of(78),
    Bytes.u64(self.flags),
    Bytes.u32(self.creation),
    Bytes.u16(name.length),
    name
  ])
}

/** The first message of version 5: half of the flags, and no creation. */
const oldNameMessage = (self: Identity): Uint8Array =>
  Bytes.concat([
    Uint8Array.of(110),
    Bytes.u16(5),
    Bytes.u32(Number(self.flags & 0xffffffffn)),
    Bytes.utf8(self.name)
  ])

/** What follows on a first message of version 5 when the peer knows more: the other half. */
const complementMessage = (self: Identity): Uint8Array =>
  Bytes.concat([Uint8Array.of(99), Bytes.u32(Number(self.flags >> 32n)), Bytes.u32(self.creation)])

const challengeMessage = (self: Identity, challenge: number): Uint8Array => {
  const name = Bytes.utf8(self.name)
  return Bytes.concat([
    Uint8Array.of(78),
    Bytes.u64(self.flags),
    Bytes.u32(challenge),
    Bytes.u32(self.creation),
    Bytes.u16(name.length),
    name
  ])
}

const reply = (challenge: number, digest: Uint8Array): Uint8Array =>
  Bytes.concat([Uint8Array.of(114), Bytes.u32(challenge), digest])

const ack = (digest: Uint8Array): Uint8Array => Bytes.concat([Uint8Array.of(97), digest])

const agreed = (self: Identity, flags: DistFlags.DistFlags): DistFlags.DistFlags => self.flags & flags

/**
 * The side that connects.
 *
 * `wanted` is the node that it wants to reach; `connected` says whether there is a connection to it by now, which is asked
 * when the peer believes so. `version` is the form of the first message, 6 unless the peer knows only 5. With `asks`,
 * `self.name` is the host alone: the peer gives the name, and the creation.
 *
 * @category constructors
 * @since 0.1.0
 */
export const initiate = (
  options: Options & {
    readonly wanted: string
    readonly connected: () => boolean
    readonly version?: 5 | 6 | undefined
    readonly asks?: boolean | undefined
  }
): Machine => {
  const { challenge, digest, wanted } = options
  const asks = options.asks === true
  // Flags of who asks: hidden, as OTP has it, and without a creation.
  const self: Identity = asks
    ? {
      ...options.self,
      creation: 0,
      flags: (options.self.flags & ~DistFlags.flags.published) | DistFlags.flags.nameMe
    }
    : options.self
  const old = options.version === 5 && !asks
  let state: "status" | "challenge" | "ack" | "over" = "status"
  let peer: Peer | undefined
  let given: Pick<Identity, "name" | "creation"> | undefined

  const onNamed = (message: Uint8Array): Step => {
    if (message.length < 9) return malformed("the name that was asked for is cut off")
    const length = Bytes.readU16(message, 7)
    if (message.length < 13 + length) return malformed("the name that was asked for is cut off")
    const name = nameFrom(message.subarray(9, 9 + length))
    if (!isNodeName(name) || !name.endsWith(`@${self.name}`)) return failed({ _tag: "BadName", name })
    given = { name, creation: Bytes.readU32(message, 9 + length) }
    state = "challenge"
    return { _tag: "Continue", send: [] }
  }

  const onStatus = (message: Uint8Array): Step => {
    if (message[0] !== 115) return malformed("a status was due")
    const text = nameFrom(message.subarray(1))
    if (asks) {
      if (text.startsWith("named:")) return onNamed(message)
      if (text !== "not_allowed") return malformed("a name was due")
    }
    switch (text) {
      case "ok":
      case "ok_simultaneous":
        state = "challenge"
        return { _tag: "Continue", send: [] }
      case "nok":
        return { _tag: "Yield", send: [] }
      case "not_allowed":
        return failed({ _tag: "NotAllowed", peer: wanted })
      case "alive":
        if (options.connected()) return failed({ _tag: "Alive", peer: wanted }, [status("false")])
        state = "challenge"
        return { _tag: "Continue", send: [status("true")] }
      default:
        return malformed(`the status ${JSON.stringify(text.slice(0, 40))} is unknown`)
    }
  }

  const onChallenge = (message: Uint8Array): Step => {
    if (message[0] === 110 && old) {
      // A peer that does not know the new handshake cannot have what is required.
      if (message.length < 11) return malformed("a challenge was due")
      return failed({
        _tag: "MissingFlags",
        flags: DistFlags.missing(DistFlags.expand(BigInt(Bytes.readU32(message, 3))))
      })
    }
    if (message[0] !== 78 || message.length < 19) return malformed("a challenge was due")
    const nameLength = Bytes.readU16(message, 17)
    if (message.length < 19 + nameLength) return malformed("the challenge ends inside of its name")
    const name = nameFrom(message.subarray(19, 19 + nameLength))
    if (name !== wanted) return failed({ _tag: "WrongNode", expected: wanted, found: name })
    const flags = DistFlags.expand(Bytes.readU64(message, 1))
    const missing = DistFlags.missing(flags)
    if (missing.length > 0) return failed({ _tag: "MissingFlags", flags: missing })
    peer = { name, creation: Bytes.readU32(message, 13), flags: agreed(self, flags), peerFlags: flags }
    state = "ack"
    const answer = reply(challenge, digest(wanted, Bytes.readU32(message, 9)))
    return { _tag: "Continue", send: old ? [complementMessage(self), answer] : [answer] }
  }

  const onAck = (message: Uint8Array): Step => {
    if (message[0] !== 97 || message.length !== 17) return malformed("the end of the handshake was due")
    if (!Bytes.sameDigest(digest(wanted, challenge), message.subarray(1))) {
      return failed({ _tag: "BadCookie", peer: wanted })
    }
    return { _tag: "Established", send: [], peer: peer!, ...(given === undefined ? {} : { given }) }
  }

  return {
    start: [old ? oldNameMessage(self) : nameMessage(self)],
    receive: (message) => {
      const step = state === "status"
        ? onStatus(message)
        : state === "challenge"
        ? onChallenge(message)
        : state === "ack"
        ? onAck(message)
        : malformed("nothing was due")
      if (step._tag !== "Continue") state = "over"
      return step
    }
  }
}

/**
 * The side that is connected to.
 *
 * `decide` is asked once, with the name that the peer claims: not proven yet, so nothing permanent may follow from it.
 * `nameFor` gives a name to a peer that asks for one; without it such peers are refused.
 *
 * @category constructors
 * @since 0.1.0
 */
export const accept = (
  options: Options & {
    readonly decide: (name: string) => Decision
    readonly nameFor?: ((host: string) => { readonly name: string; readonly creation: number } | undefined) | undefined
  }
): Machine => {
  const { challenge, digest, self } = options
  let state: "name" | "alive" | "complement" | "reply" | "over" = "name"
  let name = ""
  let creation = 0
  let flags: DistFlags.DistFlags = 0n

  const challenged = (before: ReadonlyArray<Uint8Array>): Step => {
    state = "reply"
    return { _tag: "Continue", send: [...before, challengeMessage(self, challenge)] }
  }

  const named = (old: boolean): Step => {
    flags = DistFlags.expand(flags)
    const asks = !name.includes("@") && DistFlags.has(flags, "nameMe")
    if (!asks && (!isNodeName(name) || name === self.name)) {
      return failed({ _tag: "BadName", name: name.slice(0, 255) }, name === self.name ? [status("nok")] : [])
    }
    // With the old message half of the flags are still to come.
    const missing = DistFlags.missing(old ? flags | (DistFlags.required & ~0xffffffffn) : flags)
    if (missing.length > 0) return failed({ _tag: "MissingFlags", flags: missing }, [status("not_allowed")])
    if (asks) {
      const given = options.nameFor?.(name)
      if (given === undefined) return failed({ _tag: "NotAllowed", peer: name }, [status("not_allowed")])
      name = given.name
      creation = given.creation
      const text = Bytes.utf8(name)
      const answer = [status("named:"), Bytes.u16(text.length), text, Bytes.u32(creation)]
      state = "reply"
      // Erlang takes its new name only when the flag comes back to it.
      const flagged = { ...self, flags: self.flags | DistFlags.flags.nameMe }
      return { _tag: "Continue", send: [Bytes.concat(answer), challengeMessage(flagged, challenge)] }
    }
    switch (options.decide(name)) {
      case "ok":
        if (old) return complement(status("ok"))
        return challenged([status("ok")])
      case "okSimultaneous":
        if (old) return complement(status("ok_simultaneous"))
        return challenged([status("ok_simultaneous")])
      case "nok":
        return failed({ _tag: "Simultaneous", peer: name }, [status("nok")])
      case "notAllowed":
        return failed({ _tag: "NotAllowed", peer: name }, [status("not_allowed")])
      case "alive":
        state = "alive"
        oldMessage = old
        return { _tag: "Continue", send: [status("alive")] }
    }
  }

  let oldMessage = false

  const complement = (before: Uint8Array | undefined): Step => {
    state = "complement"
    return {
      _tag: "Continue",
      send: [...before === undefined ? [] : [before], challengeMessage(self, challenge)]
    }
  }

  const onName = (message: Uint8Array): Step => {
    if (message[0] === 78) {
      if (message.length < 15) return malformed("the name is cut off")
      const length = Bytes.readU16(message, 13)
      if (message.length < 15 + length) return malformed("the name is cut off")
      flags = Bytes.readU64(message, 1)
      creation = Bytes.readU32(message, 9)
      name = nameFrom(message.subarray(15, 15 + length))
      return named(false)
    }
    if (message[0] === 110) {
      if (message.length < 8 || Bytes.readU16(message, 1) !== 5) return malformed("the old form of a name, version 5")
      flags = BigInt(Bytes.readU32(message, 3))
      name = nameFrom(message.subarray(7))
      return named(true)
    }
    return malformed("a name was due")
  }

  const onAlive = (message: Uint8Array): Step => {
    const text = message[0] === 115 ? nameFrom(message.subarray(1)) : ""
    if (text === "true") return oldMessage ? complement(undefined) : challenged([])
    return text === "false" ? failed({ _tag: "Alive", peer: name }) : malformed("an answer to alive was due")
  }

  const onComplement = (message: Uint8Array): Step => {
    if (message[0] !== 99 || message.length !== 9) return malformed("the rest of the flags was due")
    flags = DistFlags.expand((BigInt(Bytes.readU32(message, 1)) << 32n) | flags)
    creation = Bytes.readU32(message, 5)
    const missing = DistFlags.missing(flags)
    if (missing.length > 0) return failed({ _tag: "MissingFlags", flags: missing })
    state = "reply"
    return { _tag: "Continue", send: [] }
  }

  const onReply = (message: Uint8Array): Step => {
    if (message[0] !== 114 || message.length !== 21) return malformed("a reply was due")
    if (!Bytes.sameDigest(digest(name, challenge), message.subarray(5))) {
      return failed({ _tag: "BadCookie", peer: name })
    }
    return {
      _tag: "Established",
      send: [ack(digest(name, Bytes.readU32(message, 1)))],
      peer: { name, creation, flags: agreed(self, flags), peerFlags: flags }
    }
  }

  return {
    start: [],
    receive: (message) => {
      const step = state === "name"
        ? onName(message)
        : state === "alive"
        ? onAlive(message)
        : state === "complement"
        ? onComplement(message)
        : state === "reply"
        ? onReply(message)
        : malformed("nothing was due")
      if (step._tag !== "Continue") state = "over"
      return step
    }
  }
}

/**
 * What two nodes do that connect to each other at once: the one with the larger name keeps its attempt.
 *
 * `self` has an attempt to `peer` under way, whose name has come in; the decision is that of `self`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const settle = (self: string, peer: string): "nok" | "okSimultaneous" => {
  const a = [...self]
  const b = [...peer]
  for (let i = 0; i < a.length && i < b.length; i++) {
    const difference = a[i]!.codePointAt(0)! - b[i]!.codePointAt(0)!
    if (difference !== 0) return difference > 0 ? "nok" : "okSimultaneous"
  }
  return a.length > b.length ? "nok" : "okSimultaneous"
}
