/**
 * What the two sides of a thread (NodeThread.ts) say to each other, and how its program answers.
 *
 * The first answer says that the program is ready, then each request has one, in order. `undefined` in the place of a request
 * asks the program to end.
 */
import { parentPort } from "node:worker_threads"

/** What came of a request. */
export type Answer =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly code: string; readonly message: string }

/** What a program does once it is ready. */
export interface Program<Request> {
  readonly handle: (request: Request) => unknown
  /** Runs before it ends. */
  readonly close: () => void
}

/** Runs the program of a thread. `codeOf` has a name for each kind of failure. */
export const serve = <Request>(start: () => Program<Request>, codeOf: (error: unknown) => string): void => {
  const port = parentPort!
  const attempt = <A>(work: () => A): { readonly value: A } | undefined => {
    try {
      return { value: work() }
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      port.postMessage({ ok: false, code: codeOf(error), message } satisfies Answer)
      return undefined
    }
  }
  const started = attempt(start)
  if (started === undefined) return port.close()
  const { close, handle } = started.value
  port.postMessage({ ok: true, value: undefined } satisfies Answer)
  port.on("message", (request: Request | undefined) => {
    if (request === undefined) {
      close()
      port.close()
      return
    }
    const result = attempt(() => handle(request))
    if (result !== undefined) port.postMessage({ ok: true, value: result.value } satisfies Answer)
  })
}
