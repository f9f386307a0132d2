/**
 * A line protocol: an echo that is also a room. Each connection is a process with a name of its own; what one says with
 * `all:` in front goes to everybody.
 */
import { Effect, Schema } from "effect"
import { GenServer, Message, Protocol, Supervisor } from "effect-otp"
import { type Connection, Framing, TcpServer } from "effect-otp/net"

/** Who is there. It holds the connections, and writes to them itself. */
export class Room extends Protocol.make(
  "Room",
  Message.Cast("Join", { payload: { connection: Schema.declare(isConnection) } }),
  Message.Cast("Leave", { payload: { id: Schema.Int } }),
  Message.Cast("Tell", { payload: { text: Schema.String } })
) {}

function isConnection(u: unknown): u is Connection.Connection<string> {
  return typeof u === "object" && u !== null && "offer" in u
}

export const RoomServer = GenServer.make(Room, {
  init: () => Effect.succeed<ReadonlyArray<Connection.Connection<string>>>([]),
  handlers: {
    Join: ({ connection }, members) => GenServer.next([...members, connection]),
    Leave: ({ id }, members) => GenServer.next(members.filter((member) => member.id !== id)),
    // `offer` does not wait: one slow member must not keep the others from hearing.
    Tell: ({ text }, members) =>
      Effect.as(
        Effect.forEach(members, (member) => Effect.orDie(member.offer(text)), { discard: true }),
        GenServer.next(members)
      )
  }
})

/** The server: lines in, lines out, a counter for each connection. */
export const Lines = TcpServer.make({
  framing: Framing.lines({ maxBytes: 200 }),
  idleTimeout: "1 minute",
  connect: ({ connection }) =>
    Effect.gen(function*() {
      const room = yield* GenServer.named(Room, "room")
      yield* room.Join({ connection })
      yield* connection.write(`hello, you are number ${connection.id}`)
      return { room, count: 1 }
    }),
  frame: (line, { room, count }, { connection }) => {
    if (line === "crash") throw new Error("somebody asked for it")
    if (line === "quit") return Effect.as(connection.write("bye"), GenServer.stop())
    const answer = line.startsWith("all:")
      ? room.Tell({ text: `${connection.id} says${line.slice(4)}` })
      : connection.write(`${count}: ${line}`)
    return Effect.as(answer, GenServer.next({ room, count: count + 1 }))
  },
  disconnect: (_, { room }, { connection }) => room.Leave({ id: connection.id })
})

/** The room first: connections need it. */
export const Tree = (port: number) =>
  Supervisor.make({
    strategy: "rest_for_one",
    children: [
      Supervisor.child("room", RoomServer, undefined, { name: "room" }),
      Supervisor.child("lines", Lines, { port }, { name: "lines" })
    ]
  })
