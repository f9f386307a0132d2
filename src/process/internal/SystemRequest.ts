/**
 * Requests of the runtime to a server: an effect that runs inside the process, between two of its messages, for somebody
 * who waits for the result. What OTP calls a system message.
 *
 * Guarantees: it stands in the mailbox behind what was sent before, whatever the bound; the process handles nothing
 * while it runs; it is left out when nobody waits for it any more. Whoever waits learns when the process ends first.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { format as formatAddress } from "../Address.ts"
import * as CallError from "../CallError.ts"
import { defaultLimitMillis, type RefBase } from "./Client.ts"
import { observe } from "./Lifecycle.ts"
import { EXITING } from "./LocalProcess.ts"
import { ServerProcess } from "./ServerProcess.ts"
import { Timer } from "./Timers.ts"

class Limit extends Timer {
  readonly fire: () => void

  constructor(fire: () => void) {
    super()
    this.fire = fire
  }
}

/** Runs an effect inside the server of a ref. `request` is what errors call it. */
export const systemRequest = <A, E>(
  ref: RefBase,
  request: string,
  run: (process: ServerProcess) => Effect.Effect<A, E>,
  timeout: Duration.Input | undefined
): Effect.Effect<A, E | CallError.CallError> =>
  Effect.withFiber((fiber) => {
    const process = ref.resolve()
    const failure = (reason: CallError.CallErrorReason): Exit.Exit<never, CallError.CallError> =>
      Exit.fail(
        new CallError.CallError({
          target: process?.displayName ?? formatAddress(ref.address),
          protocol: ref.core.name,
          request,
          reason
        })
      )
    if (!(process instanceof ServerProcess) || process.status >= EXITING) {
      return failure(new CallError.NoProcess({}))
    }
    if (process.fiber === fiber) return failure(new CallError.CallingSelf({}))
    const { runQueue, timers } = process.node
    const timeoutMillis = timeout === undefined
      ? defaultLimitMillis
      : Duration.toMillis(Duration.fromInputUnsafe(timeout))
    return Effect.callback<A, E | CallError.CallError>((resume) => {
      let waiting = true
      const leave = (): void => {
        waiting = false
        unobserve()
        timers.cancel(limit)
      }
      const finish = (exit: Exit.Exit<A, E | CallError.CallError>): void => {
        if (!waiting) return
        leave()
        // In its turn: the process must not run the code of those who wait on its own stack.
        runQueue.push({ run: () => resume(exit) })
      }
      const unobserve = observe(process, (exitReason) => finish(failure(new CallError.ProcessExit({ exitReason }))))
      const limit = new Limit(() => finish(failure(new CallError.CallTimeout({ timeoutMillis }))))
      timers.arm(limit, timeoutMillis)
      process.system(() => waiting ? Effect.map(Effect.exit(Effect.suspend(() => run(process))), finish) : undefined)
      return Effect.sync(leave)
    })
  })
