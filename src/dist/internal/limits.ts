/**
 * What a node puts up with from others: the options, with their defaults.
 *
 * @since 0.1.0
 */
import type { LimitOptions } from "../Node.ts"
import type { Settings } from "./Distribution.ts"

const mebibyte = 1024 * 1024

/** The limits among the settings of a distribution. */
export type LimitSettings = Pick<
  Settings,
  | "maxPendingHandshakes"
  | "maxPendingPerAddress"
  | "maxConnections"
  | "maxAttempts"
  | "maxProcesses"
  | "limits"
>

/** The limits that options stand for. */
export const limitsOf = (limits: LimitOptions | undefined): LimitSettings => ({
  maxPendingHandshakes: limits?.maxPendingHandshakes ?? 1000,
  maxPendingPerAddress: limits?.maxPendingPerAddress ?? 256,
  maxConnections: limits?.maxConnections ?? 4096,
  maxAttempts: limits?.maxAttempts ?? 1000,
  maxProcesses: limits?.maxProcesses ?? 262_144,
  limits: {
    maxInflatedBytes: limits?.maxInflatedBytes ?? 64 * mebibyte,
    maxFrameBytes: limits?.maxFrameBytes ?? 128 * mebibyte,
    maxFragmentBytes: limits?.maxFragmentBytes ?? 256 * mebibyte,
    maxFragments: limits?.maxFragments ?? 1024,
    maxBegunBytes: limits?.maxBegunBytes ?? 64 * mebibyte,
    maxOutputBytes: limits?.maxOutputBytes ?? 8 * mebibyte,
    maxStalledBytes: limits?.maxStalledBytes ?? 512 * mebibyte,
    maxDepth: limits?.maxDepth ?? 1_048_576,
    maxElements: limits?.maxElements ?? 16_777_216,
    maxLinks: limits?.maxLinks ?? 1_000_000,
    maxMonitors: limits?.maxMonitors ?? 1_000_000,
    maxAtoms: limits?.maxAtoms ?? 2048,
    fragmentBytes: 65_536
  }
})
