/**
 * The registered process `emergency`: tells an outside API of each emergency, and spares the API when it does not answer.
 *
 * It is a circuit breaker, a state machine of three states. `Closed`: alarms are delivered one after the other; each may be
 * tried a few times. When one fails all the same, the circuit opens. `Open`: nothing is sent for a while, alarms wait.
 * `HalfOpen`: one alarm is tried; when it is delivered the circuit closes again, else it opens again.
 *
 * The process itself never waits: a delivery runs beside it, and its outcome is a message.
 */
import { Context, type Duration, Effect, Layer, Schedule, Schema } from "effect"
import { Events, GenServer, Message, Process, Protocol, StateMachine } from "effect-otp"
import { HttpClient, HttpClientRequest } from "effect/http"
import { type Alarm, type AlarmBook, Alarms } from "./Alarms.ts"
import { Positions } from "./Ingest.ts"
import { Alerts } from "./Statistics.ts"

/** The API did not take an alarm. `isFinal`: it will not take it the next time either. */
export class NotDelivered extends Schema.TaggedError<NotDelivered>()("NotDelivered", {
  key: Schema.String,
  isFinal: Schema.Boolean,
  detail: Schema.String
}) {
  override get message(): string {
    return `the alarm ${this.key} was not delivered: ${this.detail}`
  }
}

// --- the API ---------------------------------------------------------------------------------------------------------

/** Who is told of an emergency. */
export class EmergencyApi extends Context.Service<EmergencyApi, {
  readonly deliver: (alarm: Alarm) => Effect.Effect<void, NotDelivered>
}>()("traffic/EmergencyApi") {
  /** Says it in the log. */
  static readonly layerLog = Layer.succeed(EmergencyApi, {
    deliver: ({ position: { lat, lon, vehicle } }) => Effect.logInfo(`emergency: vehicle ${vehicle} at ${lat}, ${lon}`)
  })

  /**
   * Posts it to a URL, as JSON with the key of the alarm in the header `Idempotency-Key`. What may be better the next time
   * is tried three times more.
   */
  static readonly layerHttp = (url: URL, backoff: Duration.Input = "200 millis") =>
    Layer.effect(
      EmergencyApi,
      Effect.map(HttpClient.HttpClient, (client) => {
        const api = client.pipe(
          HttpClient.filterStatusOk,
          HttpClient.transformResponse(Effect.timeout("5 seconds")),
          HttpClient.retryTransient({ schedule: Schedule.jittered(Schedule.exponential(backoff)), times: 3 })
        )
        return {
          deliver: ({ key, position }) =>
            HttpClientRequest.post(url, { headers: { "idempotency-key": key } }).pipe(
              HttpClientRequest.bodyJsonUnsafe({ ...position, at: new Date(position.at).toISOString() }),
              api.execute,
              Effect.matchEffect({
                onSuccess: () => Effect.void,
                onFailure: (error) => {
                  const status = "response" in error ? error.response?.status ?? 0 : 0
                  // What the API does not understand now it never will; the others are its troubles.
                  const isFinal = status >= 400 && status < 500 && status !== 408 && status !== 429
                  return Effect.fail(new NotDelivered({ key, isFinal, detail: error.message }))
                }
              })
            )
        }
      })
    )
}

// --- the process -----------------------------------------------------------------------------------------------------

export const Status = Schema.Struct({
  circuit: Schema.Literals(["Closed", "Open", "HalfOpen"]),
  ...Alerts.fields
})

/** What may be said to the process: by receivers that there are positions, by its own deliveries how they went. */
export class Emergency extends Protocol.make(
  "Emergency",
  Positions.message,
  Message.Call("Status", { success: Status }),
  Message.Cast("Delivered"),
  Message.Cast("Refused", { payload: { isFinal: Schema.Boolean } })
) {}

interface Data {
  readonly book: AlarmBook
  /** The alarm that is being delivered. */
  readonly current: Alarm | undefined
  readonly pause: Duration.Input
}

/** Begins to deliver the next alarm, unless one is under way. */
const proceed = Effect.fnUntraced(function*(data: Data) {
  const alarm = data.book.next
  if (data.current !== undefined || alarm === undefined) return StateMachine.keep()
  const { deliver } = yield* EmergencyApi
  const machine = yield* GenServer.fromPid(Emergency, yield* Process.self)
  yield* deliver(alarm).pipe(
    Effect.matchCauseEffect({
      onSuccess: () => machine.Delivered(),
      onFailure: (cause) =>
        Effect.andThen(
          Effect.logWarning("an alarm was not delivered", cause),
          machine.Refused({ isFinal: cause.reasons.some((reason) => reason._tag === "Fail" && reason.error.isFinal) })
        )
    }),
    Effect.forkScoped
  )
  const delivering: Data = { ...data, current: alarm }
  return StateMachine.keepState(delivering)
})

/** The alarm is dealt with. */
const finished = (data: Data, end: "done" | "refused"): Data => {
  if (data.current !== undefined) data.book[end](data.current)
  return { ...data, current: undefined }
}

export interface Options {
  /** How long nothing is sent after a failure. */
  readonly pause: Duration.Input
}

export const EmergencyMachine = StateMachine.make(Emergency, {
  init: ({ pause }: Options) =>
    Effect.gen(function*() {
      const book = yield* Alarms
      // The last batches come first: what the one before has not seen.
      yield* Events.subscribe(Positions)
      return StateMachine.started("Closed", { book, current: undefined, pause } as Data)
    }),
  states: {
    Closed: {
      enter: (_, data) => proceed(data),
      Positions: ({ positions }, data) => {
        data.book.raise(positions)
        return data.book.next === undefined ? undefined : proceed(data)
      },
      Delivered: (_, data) => proceed(finished(data, "done")),
      Refused: ({ isFinal }, data) =>
        isFinal
          ? proceed(finished(data, "refused"))
          : StateMachine.nextState("Open", { ...data, current: undefined })
    },
    Open: {
      enter: (_, { pause }) => StateMachine.keep(StateMachine.stateTimeout(pause)),
      stateTimeout: () => StateMachine.nextState("HalfOpen")
    },
    HalfOpen: {
      enter: (_, data) => proceed(data)
    }
  },
  any: {
    Positions: ({ positions }, { book }) => book.raise(positions),
    Status: (_, { book }, { state }) => ({ circuit: state, ...book.counts() }),
    Delivered: (_, data) => StateMachine.nextState("Closed", finished(data, "done")),
    Refused: ({ isFinal }, data) =>
      isFinal
        ? StateMachine.nextState("Closed", finished(data, "refused"))
        : StateMachine.nextState("Open", { ...data, current: undefined })
  }
})
