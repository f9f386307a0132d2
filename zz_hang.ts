import { Effect, Fiber } from "effect"
import { Application, Supervisor } from "effect-otp"
import * as TestNode from "effect-otp/testing/TestNode"
import * as Node from "effect-otp/process/Node"
const mk = (name: string, applications: any[] = []) => Application.make(name, { applications, supervisor: Supervisor.make({ children: [] }), start: () => Effect.log(name + " start") })
let node: any
const body = Effect.gen(function*() {
  node = yield* Node.Node
  yield* Node.trace((e) => console.log(e._tag, String((e as any).pid), (e as any).name, (e as any).message ?? (e as any).reason ?? ""))
  const db = mk("db")
  const a = mk("a", [db])
  yield* Application.start(a)
  console.log("started")
  yield* Application.stop(a)
  console.log("stopped")
})
for (let seed = 145; seed <= 2000; seed++) {
  const r = await Promise.race([Effect.runPromise(Effect.provide(Effect.scoped(body), TestNode.layer({ seed })) as any).then(() => "ok"), new Promise((r) => setTimeout(() => r("HANG"), 300))])
  if (r === "HANG") { console.log("SEED", seed, r); 
   for (const p of node.runtime.processes.values()) console.log(p.displayName, p.status, p.mailboxLength, p.describe())
  break } else console.log("---- seed", seed)
}
process.exit(0)
