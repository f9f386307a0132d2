/**
 * A ledger in a file: each booking and cancellation is a line, and what a key has booked counts once.
 */
import { Effect } from "effect"
import * as Fs from "node:fs"

interface Line {
  readonly key: string
  readonly account?: string
  readonly amount?: number
}

export class FileLedger {
  private readonly path: string

  constructor(path: string) {
    this.path = path
  }

  readonly book = (key: string, account: string, amount: number): Effect.Effect<void> =>
    Effect.sync(() => this.write({ key, account, amount }))

  readonly cancel = (key: string): Effect.Effect<void> => Effect.sync(() => this.write({ key }))

  private write(line: Line): void {
    Fs.appendFileSync(this.path, `${JSON.stringify(line)}\n`)
  }

  get lines(): ReadonlyArray<Line> {
    if (!Fs.existsSync(this.path)) return []
    return Fs.readFileSync(this.path, "utf8").split("\n").slice(0, -1).map((line) => JSON.parse(line) as Line)
  }

  /** What is booked and was not cancelled. */
  get bookings(): ReadonlyMap<string, Line> {
    const all = new Map<string, Line>()
    for (const line of this.lines) {
      if (line.account !== undefined) all.set(line.key, line)
      else for (const key of [...all.keys()]) if (key.startsWith(`${line.key}:`)) all.delete(key)
    }
    return all
  }
}
