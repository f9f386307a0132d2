/**
 * The tree: the servers side by side. One that crashes is started anew at once, as often as it takes.
 */
import { Effect, Layer, Option } from "effect"
import { Process, ProcessGroup, Supervisor } from "effect-otp"
import { CounterServer } from "./Counter.ts"
import { DriverServer } from "./Driver.ts"
import { EchoServer, group } from "./Echo.ts"
import { FunctionsLive } from "./Functions.ts"
import { SlowServer } from "./Slow.ts"
import { SpawnerServer } from "./Spawner.ts"
import { unbounded } from "./Terms.ts"

/**
 * The scope `pg`; linked, so that it is missed when it ends. `echo` joins when it starts; when the scope is what starts anew, it is
 * made a member again.
 */
const ProcessGroups = Layer.effectDiscard(Effect.gen(function*() {
  yield* Process.link(yield* ProcessGroup.start())
  const echo = yield* Process.whereis("echo")
  if (Option.isSome(echo)) yield* ProcessGroup.join(group, echo.value)
}))

export const Tree = Supervisor.make({
  strategy: "one_for_one",
  intensity: 1_000_000,
  period: "1 second",
  children: [
    Supervisor.fromLayer("pg", ProcessGroups),
    Supervisor.fromLayer("functions", FunctionsLive),
    Supervisor.child("echo", EchoServer, undefined, { name: "echo", mailbox: unbounded }),
    Supervisor.child("counter", CounterServer, undefined, { name: "counter", mailbox: unbounded }),
    Supervisor.child("spawner", SpawnerServer, undefined, { name: "spawner", trapExit: true, mailbox: unbounded }),
    Supervisor.child("slow", SlowServer, undefined, { name: "slow", mailbox: unbounded }),
    Supervisor.child("driver", DriverServer, undefined, { name: "driver", mailbox: unbounded })
  ]
})
