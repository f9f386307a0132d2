/**
 * A peer that knows the cookie and is none of ours: a connection on which the handshake is done, for tests that say what no
 * node would.
 */
import { Effect, type Scope } from "effect"
import * as DistFlags from "effect-otp/dist/DistFlags"
import * as Handshake from "effect-otp/dist/Handshake"
import { createHash } from "node:crypto"
import * as Net from "node:net"
import { cookie } from "./ErlangNode.ts"

/** A peer that knows the cookie and says what it likes. */
export const evil = (
  port: number,
  name: string,
  wanted: string,
  flags: DistFlags.DistFlags = DistFlags.offer()
): Effect.Effect<Net.Socket, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Net.Socket>((resume) => {
      const machine = Handshake.initiate({
        self: { name, creation: 77, flags },
        challenge: 5,
        digest: (_, challenge) => new Uint8Array(createHash("md5").update(cookie + challenge).digest()),
        wanted,
        connected: () => false
      })
      const socket = Net.connect(port, "127.0.0.1")
      socket.on("error", () => {})
      const send = (messages: ReadonlyArray<Uint8Array>): void => {
        for (const message of messages) {
          socket.write(Buffer.from([message.length >> 8, message.length & 255, ...message]))
        }
      }
      let held = Buffer.alloc(0)
      const onData = (data: Buffer): void => {
        held = Buffer.concat([held, data])
        while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
          const message = held.subarray(2, 2 + held.readUInt16BE(0))
          held = held.subarray(2 + message.length)
          const step = machine.receive(new Uint8Array(message))
          send(step.send)
          if (step._tag === "Established") {
            socket.off("data", onData)
            resume(Effect.succeed(socket))
          } else if (step._tag !== "Continue") resume(Effect.die(new Error(JSON.stringify(step))))
        }
      }
      socket.on("data", onData)
      send(machine.start)
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

/** Waits until the other side has ended a connection. */
export const closed = (socket: Net.Socket): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (socket.destroyed) return resume(Effect.void)
    socket.once("close", () => resume(Effect.void))
    socket.resume()
  })
