/**
 * Somebody who chats: one process per person, on whatever node. A room is a process group, so that it needs no host; who is
 * in the same room monitors the others, so that nobody leaves unnoticed.
 */
import { Console, Effect, HashMap, Option, Schema } from "effect"
import { ExitReason, GenServer, Message, Node, Process, ProcessGroup, Protocol } from "effect-otp"
import { Etf } from "effect-otp/etf"
import { Pid, type Reference } from "effect-otp/term"

export class Chatter extends Protocol.make(
  "Chatter",
  /** A line from the keyboard. False when it was the last one. */
  Message.Call("Type", { payload: { line: Schema.String }, success: Schema.Boolean }),
  /** Somebody in a room says who they are, something, and goodbye. */
  Message.Cast("Greet", { payload: { from: Etf.Pid, name: Schema.String, room: Schema.String } }),
  Message.Cast("Say", { payload: { from: Etf.Pid, text: Schema.String } }),
  Message.Cast("Leave", { payload: { from: Etf.Pid } })
) {}

/** Another one in the room: the monitor, and the name when it is known. */
interface Other {
  readonly monitor: Reference.Reference
  readonly name?: string
}

interface State {
  readonly name: string
  readonly room?: { readonly name: string; readonly watch: Reference.Reference }
  readonly others: HashMap.HashMap<Pid.Pid, Other>
}

const chatter = (pid: Pid.Pid) => Node.remote(Chatter, { pid })

/** Gets to know somebody, once: watches them, and says who we are. */
const meet = (state: State, pid: Pid.Pid) =>
  Effect.gen(function*() {
    const { name, others, room } = state
    const self = yield* Process.self
    if (room === undefined || Pid.equals(pid, self) || HashMap.has(others, pid)) return state
    const monitor = yield* Process.monitor(pid)
    yield* (yield* chatter(pid)).Greet({ from: self, name, room: room.name })
    return { ...state, others: HashMap.set(others, pid, { monitor }) }
  })

const meetAll = (state: State, pids: ReadonlyArray<Pid.Pid>) => Effect.reduce(pids, () => state, meet)

const enter = (state: State, room: string) =>
  Effect.gen(function*() {
    // First the changes, then those who are there: nobody can come in between.
    const { groups, ref } = yield* ProcessGroup.monitor(Option.some(room))
    yield* ProcessGroup.join(room, yield* Process.self)
    yield* Console.log(`* you are in ${room}`)
    const entered: State = { ...state, room: { name: room, watch: ref } }
    return yield* meetAll(entered, groups.flatMap(([, members]) => members))
  })

const leave = (state: State) =>
  Effect.gen(function*() {
    const { others, room } = state
    if (room === undefined) return state
    const self = yield* Process.self
    yield* ProcessGroup.demonitor(room.watch)
    yield* ProcessGroup.leave(room.name, self)
    for (const [pid, { monitor }] of others) {
      yield* Process.demonitor(monitor)
      yield* (yield* chatter(pid)).Leave({ from: self })
    }
    yield* Console.log(`* you have left ${room.name}`)
    return { name: state.name, others: HashMap.empty<Pid.Pid, Other>() }
  })

const say = (state: State, text: string) =>
  Effect.gen(function*() {
    const self = yield* Process.self
    if (state.room === undefined) return yield* Console.log("* you are nowhere: /join ROOM")
    for (const pid of HashMap.keys(state.others)) yield* (yield* chatter(pid)).Say({ from: self, text })
  })

/** Forgets somebody who is gone, and tells it to whom it may concern. */
const forget = (state: State, pid: Pid.Pid, how: string) => {
  const other = HashMap.get(state.others, pid)
  if (Option.isNone(other)) return Effect.succeed(GenServer.next(state))
  const next = GenServer.next<State>({ ...state, others: HashMap.remove(state.others, pid) })
  return other.value.name === undefined
    ? Effect.succeed(next)
    : Effect.as(Console.log(`* ${other.value.name} ${how}`), next)
}

export const ChatterServer = GenServer.make(Chatter, {
  init: (name: string) => Effect.succeed<State>({ name, others: HashMap.empty() }),
  handlers: {
    Type: ({ line }, state) => {
      const [command, room] = line.split(" ")
      switch (command) {
        case "/quit":
          return false
        case "/leave":
          return Effect.map(Effect.orDie(leave(state)), (next) => GenServer.reply(true, next))
        case "/join":
          return room === undefined
            ? Effect.as(Console.log("* which room? /join ROOM"), true)
            : Effect.map(
              Effect.orDie(Effect.flatMap(leave(state), (left) => enter(left, room))),
              (next) => GenServer.reply(true, next)
            )
        default:
          return Effect.as(say(state, line), true)
      }
    },
    Greet: ({ from, name, room }, state) =>
      Effect.gen(function*() {
        // Who was greeted may have left meanwhile.
        if (state.room?.name !== room) return GenServer.next(state)
        // They may know us before we know them.
        const { others } = yield* meet(state, from)
        yield* Console.log(`* ${name} is here`)
        return GenServer.next<State>({
          ...state,
          others: HashMap.modify(others, from, (other) => ({ ...other, name }))
        })
      }),
    Say: ({ from, text }, { others }) => {
      const name = Option.flatMapNullishOr(HashMap.get(others, from), (other) => other.name)
      return Option.isNone(name) ? Effect.void : Console.log(`<${name.value}> ${text}`)
    },
    Leave: ({ from }, state) => forget(state, from, "has left the room"),
    /** A program has ended, or its node cannot be reached any more. */
    down: ({ address, reason }, state) =>
      Pid.isPid(address) ? forget(state, address, `is gone: ${ExitReason.format(reason)}`) : GenServer.next(state),
    /** Somebody has come into the room. Who leaves says so, or is noticed by the monitor. */
    unhandled: (term, state) =>
      term instanceof ProcessGroup.Change && term.kind === "join"
        ? Effect.map(meetAll(state, term.pids), (next) => GenServer.next(next))
        : GenServer.next(state)
  }
})
