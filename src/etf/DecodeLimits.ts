/**
 * What a decoder puts up with.
 *
 * @since 0.1.0
 */

/**
 * Limits on what comes from outside. Past one of them decoding ends with an `EtfDecodeError` of reason `Limit`.
 *
 * Independent of these, every length and count is compared with the bytes that are there before anything is
 * allocated, an atom has at most 255 code points, and an identifier at most five words.
 *
 * @category models
 * @since 0.1.0
 */
export interface DecodeLimits {
  /** Bytes of one encoded term. Default 128 MiB. */
  readonly maxBytes: number
  /** Levels of nesting. Default 1 048 576. Depth costs heap, never call stack. */
  readonly maxDepth: number
  /** Elements of all lists, tuples, maps (two per pair) and funs of one term together. Default 16 777 216. */
  readonly maxElements: number
  /** Elements of one tuple. Default 16 777 215, Erlang's own limit. */
  readonly maxTupleArity: number
  /** Pairs of one map. Default 4 194 304. */
  readonly maxMapSize: number
  /** Bytes of one integer. Default 1 MiB. */
  readonly maxIntegerBytes: number
  /** Bytes a compressed term may inflate to. Default 64 MiB. */
  readonly maxInflatedBytes: number
  /** Atoms remembered to be recognised without building their text again. Default 2048, rounded up to a power of 2. */
  readonly atomTableSize: number
}

/**
 * The default limits.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: DecodeLimits = {
  maxBytes: 128 * 1024 * 1024,
  maxDepth: 1_048_576,
  maxElements: 16_777_216,
  maxTupleArity: 16_777_215,
  maxMapSize: 4_194_304,
  maxIntegerBytes: 1024 * 1024,
  maxInflatedBytes: 64 * 1024 * 1024,
  atomTableSize: 2048
}
