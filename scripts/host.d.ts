/**
 * What the portable sources may expect of their host beyond ECMAScript itself. `tsconfig.core.json` compiles `src` with
 * this list in place of Node's types: every JavaScript runtime in use has these, and whatever else a file wants must
 * come through an Effect service or live in a file for Node (`NodeX.ts`).
 */

declare function queueMicrotask(callback: () => void): void

/** Only `process/internal/RunQueue.ts` schedules; see the lint rules. */
declare function setImmediate(callback: () => void): unknown

declare class TextEncoder {
  encode(input?: string): Uint8Array<ArrayBuffer>
  encodeInto(source: string, destination: Uint8Array): { read: number; written: number }
}

declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean })
  decode(input?: ArrayBuffer | ArrayBufferView, options?: { stream?: boolean }): string
}

/** Effect hands one to the callbacks of `Effect.callback` and `Effect.promise`. */
interface AbortSignal {
  readonly aborted: boolean
  readonly reason: unknown
  addEventListener(type: "abort", listener: () => void, options?: { once?: boolean }): void
  removeEventListener(type: "abort", listener: () => void): void
}
