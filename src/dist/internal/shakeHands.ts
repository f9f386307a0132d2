/**
 * Runs a handshake over a link: frames its messages, sends what the machine says, and stops at its result. The link is
 * left open, whatever the result; it is closed when the handshake is interrupted.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Handshake from "../Handshake.ts"
import type { Link } from "../Network.ts"
import { concat, readU16, readU32, u16, u32 } from "./Bytes.ts"
import { Growing } from "./Growing.ts"

/** How lengths are written: two bytes over TCP, four over TLS. */
export type LengthBytes = 2 | 4

/** How a handshake ended. */
export type Outcome =
  | {
    readonly _tag: "Established"
    readonly peer: Handshake.Peer
    /** What the peer is still to be sent, before anything else. */
    readonly last: ReadonlyArray<Uint8Array>
    /** What has arrived behind the handshake; may be taken once. */
    readonly rest: () => Uint8Array
    /** What this node is called from now on, when it asked for a name. */
    readonly given?: Pick<Handshake.Identity, "name" | "creation"> | undefined
  }
  | { readonly _tag: "Yield" }
  | { readonly _tag: "Failed"; readonly reason: Handshake.FailureReason }
  | { readonly _tag: "Closed" }

/** Bytes that may wait: those of an unfinished handshake, and what arrives behind it before the connection is taken over. */
const maxRest = 131_072

const framed = (message: Uint8Array, lengthBytes: LengthBytes): Uint8Array =>
  concat([lengthBytes === 2 ? u16(message.length) : u32(message.length), message])

/** @since 0.1.0 */
export const shakeHands = (
  link: Link,
  machine: Handshake.Machine,
  lengthBytes: LengthBytes,
  maxMessageBytes: number
): Effect.Effect<Outcome> =>
  Effect.callback<Outcome>((resume) => {
    const held = new Growing(64)
    let over = false
    const finish = (outcome: Outcome): void => {
      over = true
      resume(Effect.succeed(outcome))
    }
    const send = (messages: ReadonlyArray<Uint8Array>): void => {
      if (messages.length > 0) link.write(concat(messages.map((message) => framed(message, lengthBytes))))
    }
    const drain = (): void => {
      while (!over && held.length >= lengthBytes) {
        const length = lengthBytes === 2 ? readU16(held.bytes, 0) : readU32(held.bytes, 0)
        if (length > maxMessageBytes || length === 0) {
          return finish({ _tag: "Failed", reason: { _tag: "Malformed", detail: `a message of ${length} bytes` } })
        }
        if (held.length < lengthBytes + length) return
        const message = held.bytes.slice(lengthBytes, lengthBytes + length)
        held.drop(lengthBytes + length)
        const step = machine.receive(message)
        switch (step._tag) {
          case "Continue":
            send(step.send)
            break
          case "Established":
            return finish({
              _tag: "Established",
              peer: step.peer,
              last: step.send.map((message) => framed(message, lengthBytes)),
              rest: () => held.view().slice(),
              given: step.given
            })
          case "Yield":
            send(step.send)
            return finish({ _tag: "Yield" })
          case "Failed":
            send(step.send)
            return finish({ _tag: "Failed", reason: step.reason })
        }
      }
    }
    link.received = (bytes) => {
      if (held.length + bytes.length > maxRest) {
        if (over) return link.close()
        return finish({ _tag: "Failed", reason: { _tag: "Malformed", detail: "more bytes than a handshake has" } })
      }
      held.append(bytes)
      drain()
    }
    link.closed = () => {
      if (!over) {
        over = true
        resume(Effect.succeed({ _tag: "Closed" }))
      }
    }
    send(machine.start)
    link.start()
    return Effect.sync(() => link.close())
  })

/** Why a handshake failed, for people. */
export const explain = (reason: Handshake.FailureReason): string => {
  switch (reason._tag) {
    case "Malformed":
      return `the handshake is malformed: ${reason.detail}`
    case "BadName":
      return `${JSON.stringify(reason.name)} is not the name of another node`
    case "WrongNode":
      return `${reason.found} answered where ${reason.expected} was expected`
    case "MissingFlags":
      return `the peer is too old: it lacks ${reason.flags.join(", ")}`
    case "BadCookie":
      return "the cookies differ"
    case "NotAllowed":
      return "the connection was not allowed"
    case "Alive":
      return "there is a connection already"
    case "Simultaneous":
      return "the own attempt goes on"
  }
}
