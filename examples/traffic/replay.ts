/**
 * Plays recorded positions: `replay.ts FILE`, a CSV that may be compressed with gzip. See README.md, or `--help`.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Clock, Console, Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Day from "./Day.ts"
import { play } from "./Drive.ts"
import * as Tools from "./Tools.ts"

const replay = Command.make("replay", {
  file: Argument.File("file", { mustExist: true }).pipe(Argument.withDescription("Positions in CSV; .gz is unpacked")),
  speed: Flag.Finite("speed").pipe(
    Flag.filter((speed) => speed >= 0, () => "a speed is 0 or more"),
    Flag.withDefault(1),
    Flag.withDescription("How many times faster than it was; 0 is as fast as the application takes them")
  ),
  loop: Flag.Boolean("loop").pipe(Flag.withDefault(false), Flag.withDescription("Begins again at the end")),
  arrival: Flag.Boolean("arrival").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Sends no times: it counts when the positions arrive")
  ),
  ...Tools.flags
}, ({ arrival, file, loop, speed, ...target }) =>
  Effect.gen(function*() {
    const { invalid, positions } = yield* Day.read(file)
    const vehicles = new Set(positions.map(({ vehicle }) => vehicle)).size
    yield* Console.log(`${positions.length} positions of ${vehicles} vehicles; ${invalid} rows are no positions`)
    const sender = yield* Tools.senderOf(target)
    const round = Effect.gen(function*() {
      const start = yield* Clock.currentTimeMillis
      const { again, dropped, kept } = yield* play(positions, sender, {
        speed: speed === 0 ? Infinity : speed,
        untimed: arrival
      })
      const seconds = ((yield* Clock.currentTimeMillis) - start) / 1000
      const answered = target.by === "udp" && target.unanswered
        ? "no answers"
        : `${kept} kept, ${dropped} dropped, ${again} sent again`
      yield* Console.log(`${positions.length} sent in ${seconds.toFixed(1)} s: ${answered}`)
    })
    yield* loop ? Effect.forever(round) : round
  }).pipe(Effect.scoped)).pipe(Command.withDescription("Plays recorded positions to the traffic application"))

Command.run(replay, { version: "0.1.0" }).pipe(Effect.provide(Tools.services), NodeRuntime.runMain)
