/**
 * A socket of Node.js as a link. Over TLS, the link of an incoming connection is there before its socket: what it does
 * until then is done to the connection beneath.
 *
 * @since 0.1.0
 */
import type * as Net from "node:net"
import { setImmediate } from "node:timers"
import type { TlsError } from "../DistError.ts"
import type { Link } from "../Network.ts"

const nothing = (): void => {}

/** Over TLS, pieces up to this size are copied, so that their buffer can be used again at once. */
const copyMax = 256 * 1024

/** @since 0.1.0 */
export class SocketLink implements Link {
  readonly remoteAddress: string
  readonly localAddress: string
  readonly encrypted: boolean
  objection: ((node: string) => TlsError | undefined) | undefined = undefined
  failure: TlsError | undefined = undefined
  received: (bytes: Uint8Array) => void = nothing
  drained: () => void = nothing
  closed: () => void = nothing
  private socket: Net.Socket
  private adopted: boolean
  private started = false
  private over = false
  private told = false

  /** With `pending`, `socket` is only what lies beneath; the one to read and write is given to `adopt`. */
  constructor(socket: Net.Socket, encrypted: boolean, pending: boolean) {
    this.socket = socket
    this.encrypted = encrypted
    this.adopted = !pending
    this.remoteAddress = socket.remoteAddress ?? ""
    this.localAddress = socket.localAddress ?? ""
    socket.setNoDelay(true)
    // Errors are followed by `close`, which is what counts.
    socket.on("error", nothing)
    socket.once("close", this.onClose)
    if (!pending) this.attach()
  }

  /** The handshake of TLS is over: this is the socket from now on. */
  adopt(socket: Net.Socket): void {
    this.socket.off("close", this.onClose)
    this.socket = socket
    this.adopted = true
    socket.on("error", nothing)
    socket.once("close", this.onClose)
    this.attach()
    if (this.started) this.read()
  }

  private attach(): void {
    this.socket.pause()
    this.socket.on("drain", () => this.drained())
  }

  private readonly onClose = (): void => {
    if (this.over) return
    this.over = true
    // A reason that is still on its way comes first.
    if (this.started) setImmediate(this.tell)
  }

  private readonly tell = (): void => {
    if (this.told) return
    this.told = true
    const { closed } = this
    this.received = this.drained = this.closed = nothing
    closed()
  }

  start(): void {
    this.started = true
    if (this.over) setImmediate(this.tell)
    else if (this.adopted) this.read()
  }

  private read(): void {
    this.socket.on("data", (chunk: Uint8Array) => this.received(chunk))
    // The other end has finished: nodes do not speak half of a connection.
    this.socket.on("end", () => this.socket.destroy())
    this.socket.resume()
  }

  write(bytes: Uint8Array): boolean {
    if (this.socket.destroyed || !this.adopted) return true
    if (this.encrypted && bytes.length <= copyMax) {
      const copy = new Uint8Array(bytes.length)
      copy.set(bytes)
      this.socket.write(copy)
      return true
    }
    this.socket.write(bytes)
    return this.socket.writableLength === 0
  }

  writeAll(parts: ReadonlyArray<Uint8Array>): void {
    if (this.socket.destroyed || !this.adopted) return
    this.socket.cork()
    for (const part of parts) this.socket.write(part)
    this.socket.uncork()
  }

  get pending(): number {
    return this.socket.writableLength
  }

  end(): void {
    if (this.adopted) this.socket.end(() => this.socket.destroy())
    else this.socket.destroy()
  }

  close(): void {
    this.socket.destroy()
  }
}
