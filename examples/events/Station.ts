/**
 * A railway station: a dispatcher announces departures, and whoever is interested subscribes. Nobody has a reference of
 * anybody: they have the topic.
 */
import { Effect, Schema } from "effect"
import { Events, ExitReason, GenServer, Message, Protocol, Supervisor } from "effect-otp"

/** What is announced: a topic is a name and a schema. */
export const Departures = Events.topic("Departures", { train: Schema.String, platform: Schema.Int })

export type Departure = Events.Event<typeof Departures>

export class Dispatcher extends Protocol.make(
  "Dispatcher",
  Message.Call("Announce", { payload: { train: Schema.String, platform: Schema.Int }, success: Schema.Void }),
  Message.Cast("Leave")
) {}

/** The owner of the topic: it is open for as long as this process lives, and keeps the last two events. */
export const DispatcherServer = GenServer.make(Dispatcher, {
  init: () => Events.open(Departures, { replay: 2 }),
  handlers: {
    Announce: (departure) => Effect.orDie(Events.publish(Departures, departure)),
    Leave: () => GenServer.stop(ExitReason.shutdownWith("end of the shift"))
  }
})

export class Board extends Protocol.make(
  "Board",
  Message.Call("Read", { success: Schema.Array(Schema.String) }),
  /** Events arrive as the message of the topic. */
  Departures.message
) {}

export const BoardServer = GenServer.make(Board, {
  init: () => Effect.as(Events.subscribe(Departures), [] as ReadonlyArray<string>),
  handlers: {
    Read: (_, lines) => lines,
    Departures: ({ platform, train }, lines) => GenServer.next([...lines, `${train} from ${platform}`]),
    // The topic has ended with its owner: one Down, behind all events.
    down: ({ reason }, lines) => GenServer.next([...lines, `no more news: ${ExitReason.format(reason)}`])
  }
})

const Walk = Message.Info("Walk", { payload: { metres: Schema.Int } })

export class Porter extends Protocol.make(
  "Porter",
  Message.Call("Tired", { success: Schema.Int }),
  Walk
) {}

/** A process that knows nothing of departures: they are made into a message of its own. */
export const PorterServer = GenServer.make(Porter, {
  init: () =>
    Effect.as(
      Events.subscribe(Departures, {
        as: Walk,
        map: ({ platform }) => ({ metres: platform * 50 })
      }),
      0
    ),
  handlers: {
    Tired: (_, metres) => metres,
    Walk: ({ metres }, walked) => GenServer.next(walked + metres),
    down: () => {}
  }
})

export const Tree = Supervisor.make({
  children: [
    Supervisor.child("dispatcher", DispatcherServer, undefined, { name: "dispatcher", restart: "transient" }),
    Supervisor.child("board", BoardServer, undefined, { name: "board" }),
    Supervisor.child("porter", PorterServer, undefined, { name: "porter" })
  ]
})
