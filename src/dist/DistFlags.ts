/**
 * What two nodes tell each other that they can do: the capability flags of the handshake.
 *
 * Guarantees: what is offered is implemented; what is required is what terms of this runtime need (big creations, UTF-8
 * atoms, funs, maps, exports, bit strings) and what every release from OTP 24 on has. Unknown flags are ignored.
 *
 * @since 0.1.0
 */

/**
 * A set of flags, 64 bits.
 *
 * @category models
 * @since 0.1.0
 */
export type DistFlags = bigint

/**
 * The name of a flag.
 *
 * @category models
 * @since 0.1.0
 */
export type FlagName =
  | "published"
  | "extendedReferences"
  | "distMonitor"
  | "funTags"
  | "distMonitorName"
  | "newFunTags"
  | "extendedPidsPorts"
  | "exportPtrTag"
  | "bitBinaries"
  | "newFloats"
  | "unicodeIo"
  | "distHeaderAtomCache"
  | "smallAtomTags"
  | "utf8Atoms"
  | "mapTag"
  | "bigCreation"
  | "sendSender"
  | "bigSeqtraceLabels"
  | "exitPayload"
  | "fragments"
  | "handshake23"
  | "unlinkId"
  | "mandatory25Digest"
  | "spawn"
  | "nameMe"
  | "v4Nc"
  | "alias"
  | "altactSig"
  | "compression"

/**
 * The flags by name.
 *
 * @category constants
 * @since 0.1.0
 */
export const flags: { readonly [Name in FlagName]: DistFlags } = {
  published: 0x1n,
  extendedReferences: 0x4n,
  distMonitor: 0x8n,
  funTags: 0x10n,
  distMonitorName: 0x20n,
  newFunTags: 0x80n,
  extendedPidsPorts: 0x100n,
  exportPtrTag: 0x200n,
  bitBinaries: 0x400n,
  newFloats: 0x800n,
  unicodeIo: 0x1000n,
  distHeaderAtomCache: 0x2000n,
  smallAtomTags: 0x4000n,
  utf8Atoms: 0x10000n,
  mapTag: 0x20000n,
  bigCreation: 0x40000n,
  sendSender: 0x80000n,
  bigSeqtraceLabels: 0x100000n,
  exitPayload: 0x400000n,
  fragments: 0x800000n,
  handshake23: 0x1000000n,
  unlinkId: 0x2000000n,
  mandatory25Digest: 0x4000000n,
  spawn: 1n << 32n,
  nameMe: 1n << 33n,
  v4Nc: 1n << 34n,
  alias: 1n << 35n,
  altactSig: 1n << 37n,
  // Of this runtime: compressed payloads are understood. Erlang ignores flags that it does not know.
  compression: 1n << 56n
}

const union = (names: ReadonlyArray<FlagName>): DistFlags => names.reduce((sum, name) => sum | flags[name], 0n)

/**
 * What `mandatory25Digest` stands for.
 *
 * @category constants
 * @since 0.1.0
 */
export const mandatory25: DistFlags = union([
  "extendedReferences",
  "funTags",
  "newFunTags",
  "extendedPidsPorts",
  "exportPtrTag",
  "bitBinaries",
  "newFloats",
  "utf8Atoms",
  "mapTag",
  "bigCreation",
  "handshake23"
])

/**
 * Without these a peer is refused.
 *
 * @category constants
 * @since 0.1.0
 */
export const required: DistFlags = mandatory25 | flags.unlinkId | flags.v4Nc

/**
 * What this node offers: everything that a visible node of OTP 25 to 27 does, and the alternative action signals of
 * OTP 28.
 *
 * @category constants
 * @since 0.1.0
 */
export const offered: DistFlags = mandatory25 | union([
  "published",
  "distMonitor",
  "distMonitorName",
  "unicodeIo",
  "distHeaderAtomCache",
  "smallAtomTags",
  "sendSender",
  "bigSeqtraceLabels",
  "exitPayload",
  "fragments",
  "unlinkId",
  "mandatory25Digest",
  "spawn",
  "v4Nc",
  "alias",
  "altactSig"
])

/**
 * The flags to send: those {@link offered}, without `published` for a hidden node, and with `compression` for one that
 * understands compressed payloads.
 *
 * @category constructors
 * @since 0.1.0
 */
export const offer = (
  options?: { readonly hidden?: boolean | undefined; readonly compression?: boolean | undefined }
): DistFlags =>
  (options?.hidden === true ? offered & ~flags.published : offered) |
  (options?.compression === true ? flags.compression : 0n)

/**
 * The flags of a peer with what one of them stands for.
 *
 * @category combinators
 * @since 0.1.0
 */
export const expand = (peer: DistFlags): DistFlags =>
  (peer & flags.mandatory25Digest) === 0n ? peer : peer | mandatory25

/**
 * Whether a set has a flag.
 *
 * @category predicates
 * @since 0.1.0
 */
export const has = (set: DistFlags, name: FlagName): boolean => (set & flags[name]) !== 0n

/**
 * The names of the required flags that an expanded set lacks.
 *
 * @category predicates
 * @since 0.1.0
 */
export const missing = (peer: DistFlags): ReadonlyArray<FlagName> =>
  (Object.keys(flags) as Array<FlagName>).filter((name) => (required & flags[name]) !== 0n && !has(peer, name))
