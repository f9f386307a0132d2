/**
 * Starting an application on behalf of whoever asks: with the services that are there, and typed as it says.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Behaviour from "../../process/Behaviour.ts"
import type { Node } from "../../process/Node.ts"
import type { Any, Application } from "../Application.ts"
import { controllerOf, type Entry } from "./ApplicationController.ts"
import type { ApplicationError, ApplicationStartError } from "./ApplicationError.ts"
import type { StartType } from "./ApplicationRules.ts"

/** How the start of some applications can fail. */
export type ErrorsOf<Dependencies> = Dependencies extends ReadonlyArray<infer D>
  ? D extends Application<string, infer E, infer _R> ? E : never
  : never

/** What some applications need. */
export type ServicesOf<Dependencies> = Dependencies extends ReadonlyArray<infer D>
  ? D extends Application<string, infer _E, infer R> ? R : never
  : never

/** The services of an application, without those of the process that asks. */
export const servicesOf = <R>(): Effect.Effect<Context.Context<never>, never, R | Node> =>
  // What is in the context is for the application to know, whose type asks for it.
  Effect.map(Behaviour.services<R | Node>(), (context) => context as Context.Context<never>)

/** Starts an application after what it needs, and gives those that were started. */
export const startWith = (
  application: Any | string,
  startType: StartType | undefined,
  ensure: boolean
): Effect.Effect<ReadonlyArray<Entry>, ApplicationError | ApplicationStartError<unknown>, Node> =>
  Effect.flatMap(controllerOf, (controller) =>
    Effect.flatMap(servicesOf<never>(), (services) =>
      controller.start(
        typeof application === "string" ? application : application.definition,
        { startType, ensure },
        services
      )))
