/**
 * When to say something again.
 *
 * @since 0.1.0
 */
import type { Options } from "../CommitCore.ts"

/** After so many tries: each wait is twice the one before. */
export const after = (now: number, tries: number, { retry, retryAtMost }: Options): number =>
  now + Math.min(retry * 2 ** Math.min(tries, 30), retryAtMost)
