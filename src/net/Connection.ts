/**
 * Connections as programs see them: something to write frames to, from any process that holds it.
 *
 * A connection is a value that may be kept, sent to other processes of the node, and used after its end: then writing
 * fails with `ConnectionClosed`. A write completes when the frame has been handed to the host and there is room for
 * more: whoever writes to a slow peer waits, in the order of the writes, and a peer that takes nothing for longer than
 * `writeTimeout` loses its connection.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type { ExitReason } from "../process/ExitReason.ts"
import type { ConnectionClosed, FrameError, NetError } from "./NetError.ts"
import type { HostPort } from "./TcpNetwork.ts"

/**
 * A connection to which frames of type `Out` are written.
 *
 * @category models
 * @since 0.1.0
 */
export interface Connection<in Out> {
  /** Its number, from 1, among those of its server or client. */
  readonly id: number
  readonly peer: HostPort
  readonly local: HostPort
  /** The subject of the certificate that the peer has shown, when one was demanded and checked. */
  readonly peerSubject: string | undefined
  /** Whether frames can be written. */
  readonly isOpen: boolean
  /** Writes a frame, and waits until there is room for the next. An interrupted write that waits is taken back. */
  write(frame: Out): Effect.Effect<void, ConnectionClosed | FrameError>
  /** Writes frames as one. */
  writeAll(frames: ReadonlyArray<Out>): Effect.Effect<void, ConnectionClosed | FrameError>
  /**
   * Writes a frame if that needs no waiting, and says whether it was written: for whoever tells many and must not wait
   * for the slowest. What is not written is counted.
   */
  offer(frame: Out): Effect.Effect<boolean, FrameError>
  /** Ends the connection in order: what was written is sent, `disconnect` runs. It does not wait for that. */
  readonly close: Effect.Effect<void>
}

/**
 * Why a connection ended.
 *
 * - `PeerClosed`: the peer was done.
 * - `Closed`: this side was: `close`, a handler that stops, a draining server, a supervisor.
 * - `Idle`: nothing went either way for longer than `idleTimeout`.
 * - `Deadline`: a frame was begun and not completed within `frameTimeout`.
 * - `Slow`: the peer took nothing of what was written for longer than `writeTimeout`.
 * - `BadFrame`: what it sent is no frame.
 * - `Broken`: the network.
 * - `Crashed`: a handler.
 *
 * @category models
 * @since 0.1.0
 */
export type End =
  | { readonly _tag: "PeerClosed" }
  | { readonly _tag: "Closed" }
  | { readonly _tag: "Idle" }
  | { readonly _tag: "Deadline" }
  | { readonly _tag: "Slow" }
  | { readonly _tag: "BadFrame"; readonly error: FrameError }
  | { readonly _tag: "Broken"; readonly error: NetError }
  | { readonly _tag: "Crashed"; readonly reason: ExitReason }

/**
 * One line that says why a connection ended.
 *
 * @category formatting
 * @since 0.1.0
 */
export const format = (end: End): string => {
  switch (end._tag) {
    case "PeerClosed":
      return "the peer has closed it"
    case "Closed":
      return "it was closed here"
    case "Idle":
      return "nothing was sent or received for too long"
    case "Deadline":
      return "a frame was not completed in time"
    case "Slow":
      return "the peer did not take what was written in time"
    case "BadFrame":
      return end.error.message
    case "Broken":
      return end.error.message
    case "Crashed":
      return "its handler has crashed"
  }
}
