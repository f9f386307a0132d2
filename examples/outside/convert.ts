/**
 * A command line that starts a node, calls one of its processes and ends.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect } from "effect"
import { Argument, Command } from "effect/cli"
import { RatesClient, RatesLive } from "./Rates.ts"

const convert = Command.make("convert", {
  euros: Argument.Finite("euros"),
  to: Argument.String("currency")
}, ({ euros, to }) =>
  Effect.gen(function*() {
    const rates = yield* RatesClient
    yield* Console.log(`${euros} EUR are ${yield* rates.Convert({ euros, to })} ${to}`)
  }).pipe(
    Effect.catchTag("UnknownCurrency", ({ currency }) =>
      Effect.andThen(
        Console.error(`there is no rate for ${currency}`),
        Effect.sync(() => process.exitCode = 2)
      ))
  )).pipe(Command.provide(RatesLive))

NodeRuntime.runMain(Effect.provide(Command.run(convert, { version: "0.1.0" }), NodeServices.layer))
