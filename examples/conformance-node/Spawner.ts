/**
 * `spawner`: starts plain processes, and links, monitors and ends processes in its own name.
 */
import { Effect, Schema } from "effect"
import { GenServer, Message, Process, Protocol, Signal } from "effect-otp"
import { ExitReasonTerm, WireName } from "effect-otp/dist"
import { Etf } from "effect-otp/etf"
import { Atom, Reference, type Term, Tuple } from "effect-otp/term"
import { spawnPlain } from "./Plain.ts"
import { addressOf, addressTerm, Destination, fromTag, tagged } from "./Terms.ts"

/** An option of `spawn_echo`: `{link, Pid}` or `trap_exit`. */
const SpawnOption = Schema.Union([
  Schema.Tuple([Schema.Literal("link"), Etf.Pid]),
  Schema.Literal("trap_exit")
])

export class Spawner extends Protocol.make(
  "Spawner",
  WireName.set(
    Message.Call("SpawnEchoWith", { payload: { options: Schema.Array(SpawnOption) }, success: Etf.Pid }),
    "spawn_echo"
  ),
  Message.Call("Link", { payload: { pid: Etf.Pid }, success: Schema.Boolean }),
  Message.Call("Unlink", { payload: { pid: Etf.Pid }, success: Schema.Boolean }),
  Message.Call("Monitor", { payload: { target: Destination }, success: Etf.Reference }),
  Message.Call("Demonitor", { payload: { ref: Etf.Reference }, success: Schema.Boolean }),
  Message.Call("Exit", { payload: { pid: Etf.Pid, reason: Etf.Term }, success: Schema.Boolean }),
  Message.Call("Send", { payload: { to: Destination, message: Etf.Term } }),
  Message.Call("GetDowns", { success: Schema.Array(Etf.Term) }),
  Message.Call("Reset")
) {}

/** What it was told, oldest first. */
type Events = ReadonlyArray<Term.Term>

const isDownOf = (ref: Reference.Reference) => (event: Term.Term): boolean => {
  const down = fromTag(event, "DOWN", 5)
  return down !== undefined && Reference.isReference(down[1]) && Reference.equals(down[1], ref)
}

export const SpawnerServer = GenServer.make(Spawner, {
  init: () => Effect.succeed<Events>([]),
  handlers: {
    SpawnEchoWith: ({ options }) =>
      spawnPlain({
        links: options.flatMap((option) => option === "trap_exit" ? [] : [option[1]]),
        trapExit: options.includes("trap_exit")
      }),
    Link: ({ pid }) => Effect.as(Process.link(pid), true),
    Unlink: ({ pid }) => Effect.as(Process.unlink(pid), true),
    Monitor: ({ target }) => Process.monitor(addressOf(target)),
    Demonitor: ({ ref }, events) =>
      Effect.as(
        Process.demonitor(ref, { flush: true }),
        GenServer.reply(true, events.filter((event) => !isDownOf(ref)(event)))
      ),
    Exit: ({ pid, reason }) => Effect.as(Process.exit(pid, ExitReasonTerm.fromTerm(reason)), true),
    // Sent now; who waits for a connection is not the server.
    Send: ({ message, to }) =>
      Effect.asVoid(Effect.forkScoped(Process.send(addressOf(to), message), { startImmediately: true })),
    GetDowns: (_, events) => events,
    Reset: () => GenServer.reply(undefined, []),
    exit: ({ from, reason }, events) =>
      GenServer.next([...events, tagged("EXIT", from, ExitReasonTerm.toTerm(reason))]),
    down: ({ address, reason, ref }, events, { node }) =>
      GenServer.next([
        ...events,
        tagged("DOWN", ref, Atom.make("process"), addressTerm(address, node), ExitReasonTerm.toTerm(reason))
      ]),
    // `{spawn_echo}` is no message: one without fields is the bare atom.
    unhandled: (message) =>
      message instanceof Signal.Request && Tuple.isTuple(message.payload, 1) &&
        Atom.is(message.payload.elements[0], "spawn_echo")
        ? Effect.asVoid(Effect.flatMap(spawnPlain({ links: [], trapExit: false }), (pid) => message.from.reply(pid)))
        : undefined
  }
})
