/**
 * Payloads in compressed form, between nodes that both know it.
 *
 * Erlang refuses compressed terms inside of a packet. Between two nodes that have said so (the flag `compression`), the
 * payload of a packet may be one all the same: tag 80, its size, and a zlib stream of what would stand there otherwise,
 * references to the packet's atoms included. It is compressed before it is cut into fragments.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type { Deflate, Inflate } from "../../etf/Compression.ts"
import type { Pid } from "../../term/Pid.ts"
import * as Control from "../Control.ts"
import { readU32, u32 } from "./Bytes.ts"

/** What is compressed, and how much. */
export interface Compression {
  /** 1, fast, to 9, small. */
  readonly level: number
  /** Bytes of a payload from which on it is compressed. */
  readonly threshold: number
}

/** The smallest threshold: below it there is nothing to gain. */
export const thresholdMin = 1024

/** Larger payloads are sent as they are: the node does nothing else while it compresses. */
export const compressMax: number = 4 * 1024 * 1024

/** No zlib stream is further than this from what it holds. */
const ratioMax = 1032

/** The setting of a node, and those of single processes. */
export class Compressions {
  private readonly standard: Compression | undefined
  private readonly processes: Map<string, Compression | undefined> = new Map()

  constructor(standard: Compression | undefined) {
    this.standard = standard
  }

  /** Sets it for a process; the way to take that back is returned. */
  set(pid: Pid, compression: Compression | undefined): () => void {
    const key = keyOf(pid)
    this.processes.set(key, compression)
    return () => {
      this.processes.delete(key)
    }
  }

  of(pid: Pid): Compression | undefined {
    if (this.processes.size === 0) return this.standard
    const key = keyOf(pid)
    return this.processes.has(key) ? this.processes.get(key) : this.standard
  }
}

const keyOf = (pid: Pid): string => `${pid.id}.${pid.serial}`

/** How the payload of a sender is compressed; gives undefined when it stays as it is. */
export type Compress = (sender: Pid, payload: Uint8Array) => Uint8Array | undefined

/** @since 0.1.0 */
export const compressor = (compressions: Compressions, deflate: Deflate): Compress => (sender, payload) => {
  const setting = compressions.of(sender)
  if (setting === undefined || payload.length < setting.threshold || payload.length > compressMax) return undefined
  const packed = deflate(payload, setting.level)
  if (packed.length + 5 >= payload.length) return undefined
  const out = new Uint8Array(packed.length + 5)
  out[0] = 80
  out.set(u32(payload.length), 1)
  out.set(packed, 5)
  return out
}

/** The payload of a packet, from its tag 80 on, as it was. Throws when it is malformed or larger than allowed. */
export const decompress = (packed: Uint8Array, inflate: Inflate, maxBytes: number): Uint8Array => {
  const size = packed.length < 5 ? 0 : readU32(packed, 1)
  if (size > maxBytes) {
    throw new Control.ControlError(`a payload of ${size} bytes when it is inflated, the limit is ${maxBytes}`)
  }
  // What is claimed is allocated: it must be possible.
  if (size === 0 || size > (packed.length - 5) * ratioMax) {
    throw new Control.ControlError(`${packed.length} bytes that claim to hold ${size}`)
  }
  const inflated = inflate(packed.subarray(5), size)
  if (Result.isFailure(inflated) || inflated.success.length !== size) {
    throw new Control.ControlError(`a compressed payload that is not a zlib stream of ${size} bytes`)
  }
  return inflated.success
}
