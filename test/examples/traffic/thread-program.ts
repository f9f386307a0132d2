/**
 * The program of the threads of NodeThread.test.ts.
 */
import { workerData } from "node:worker_threads"
import { serve } from "../../../examples/traffic/ThreadProgram.ts"

interface Request {
  readonly add?: readonly [number, number]
  readonly fail?: string
  readonly sum?: Float64Array
  readonly handled?: true
  readonly wait?: true
  readonly spin?: true
  readonly crash?: true
  readonly closed?: SharedArrayBuffer
}

const crash = new Error("as it was told to")

let handled = 0
let closed: Int32Array | undefined

const handle = (request: Request): unknown => {
  handled++
  if (request.add !== undefined) return request.add[0] + request.add[1]
  if (request.fail !== undefined) throw new Error(request.fail)
  if (request.sum !== undefined) return request.sum.reduce((a, b) => a + b, 0)
  if (request.wait) {
    Atomics.wait(new Int32Array(workerData as SharedArrayBuffer), 0, 0)
    return "waited"
  }
  if (request.closed !== undefined) {
    closed = new Int32Array(request.closed)
    return "noted"
  }
  if (request.crash) throw crash
  while (request.spin) { /* until it is ended */ }
  return handled
}

serve<Request>(
  () => {
    if (workerData === "refuse") throw new Error("not today")
    return { handle, close: () => closed && Atomics.store(closed, 0, 1) }
  },
  (error) => {
    // Where nobody catches it.
    if (error === crash) throw error
    return "Known"
  }
)
