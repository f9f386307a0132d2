/**
 * A load for the traffic application: so many positions a second, one in a thousand an emergency; says what was sent, and
 * what the application has counted. See README.md, or `--help`.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Clock, Console, Effect, Option, Schedule } from "effect"
import { Command, Flag } from "effect/cli"
import * as City from "./City.ts"
import * as Drive from "./Drive.ts"
import type { Report } from "./Statistics.ts"
import * as Tools from "./Tools.ts"

type Tally = Report["udp"]

const difference = (before: Tally, after: Tally): Tally => ({
  received: after.received - before.received,
  stored: after.stored - before.stored,
  duplicates: after.duplicates - before.duplicates,
  invalid: after.invalid - before.invalid,
  dropped: after.dropped - before.dropped,
  waiting: after.waiting
})

const load = Command.make("load", {
  rate: Flag.Finite("rate").pipe(
    Flag.filter((rate) => rate > 0, () => "a rate is above 0"),
    Flag.withDefault(1000),
    Flag.withDescription("Positions a second")
  ),
  seconds: Flag.Finite("seconds").pipe(Flag.withDefault(10), Flag.withDescription("For how long")),
  seed: Flag.Int("seed").pipe(Flag.withDefault(1), Flag.withDescription("Which city drives")),
  api: Flag.String("api").pipe(
    Flag.withDefault("http://127.0.0.1:9090"),
    Flag.withDescription("Where the application says what it has counted")
  ),
  ...Tools.flags
}, ({ api, rate, seconds, seed, ...target }) =>
  Effect.gen(function*() {
    const sender = yield* Tools.senderOf(target)
    const city = City.make({ seed, vehicles: Math.max(20, Math.ceil(rate)) })
    const before = yield* Tools.countsAt(api)
    const start = yield* Clock.currentTimeMillis
    const { again, emergencies, sent } = yield* Drive.load(city, sender, { rate, seconds })
    const took = ((yield* Clock.currentTimeMillis) - start) / 1000
    yield* Console.log(
      `sent     ${sent} in ${took.toFixed(1)} s, ${Math.round(sent / took)} a second; ${emergencies} emergencies` +
        (again === 0 ? "" : `; ${again} had to be sent again`)
    )
    // What was sent last may be on its way.
    const after = yield* Effect.repeat(Tools.countsAt(api), {
      until: (counts) => Option.isNone(counts) || counts.value[target.by].waiting === 0,
      schedule: Schedule.upTo(Schedule.spaced("50 millis"), { times: 200 })
    })
    if (Option.isNone(before) || Option.isNone(after)) {
      return yield* Console.log(`counted  ? (there is no API at ${api})`)
    }
    const { dropped, duplicates, invalid, received, stored } = difference(
      before.value[target.by],
      after.value[target.by]
    )
    const unread = after.value.datagrams.unread - before.value.datagrams.unread
    yield* Console.log(
      `counted  ${received}: ${stored} stored, ${duplicates} duplicates, ${invalid} invalid, ${dropped} dropped` +
        (target.by === "udp" ? `; ${unread} datagrams unread` : "")
    )
  }).pipe(Effect.scoped)).pipe(Command.withDescription("Sends positions of a simulated city at a steady rate"))

Command.run(load, { version: "0.1.0" }).pipe(Effect.provide(Tools.services), NodeRuntime.runMain)
