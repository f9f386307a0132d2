/**
 * `driver`: the client side, on demand. What may take long is done in a fiber of its own, and answered when it is done.
 */
import { Effect, Exit, Schema, Scope } from "effect"
import { type CallError, GenServer, Message, Node, Process, ProcessGroup, Protocol } from "effect-otp"
import { ExitReasonTerm, RemoteSpawn, Rpc, RpcError } from "effect-otp/dist"
import { Etf } from "effect-otp/etf"
import { Atom, type Term } from "effect-otp/term"
import { addressOf, addressTerm, Destination, tagged } from "./Terms.ts"

const Timeout = Schema.Union([Schema.Int, Schema.Literal("infinity")])

/** A function of another node with its arguments. */
const Remote = { node: Etf.AtomName, module: Etf.AtomName, name: Etf.AtomName, args: Schema.Array(Etf.Term) }

const Nodes = Schema.Array(Etf.AtomName)

export class Driver extends Protocol.make(
  "Driver",
  Message.Call("Connect", { payload: { node: Etf.AtomName }, success: Schema.Boolean }),
  Message.Call("Disconnect", { payload: { node: Etf.AtomName }, success: Schema.Boolean }),
  Message.Call("Ping", { payload: { node: Etf.AtomName }, success: Schema.Literals(["pong", "pang"]) }),
  Message.Call("Nodes", { payload: { type: Schema.Literals(["visible", "hidden", "connected"]) }, success: Nodes }),
  Message.Call("Send", { payload: { to: Destination, message: Etf.Term } }),
  Message.Call("SendAfter", { payload: { ms: Schema.Int, to: Destination, message: Etf.Term } }),
  Message.Call("Cast", { payload: { to: Destination, request: Etf.Term } }),
  Message.Call("Call", {
    payload: { to: Destination, request: Etf.Term, timeout: Timeout },
    success: Etf.Term,
    error: Etf.Term
  }),
  Message.Call("MultiCall", {
    payload: { nodes: Nodes, name: Etf.AtomName, request: Etf.Term, timeout: Timeout },
    success: Schema.Tuple([Schema.Array(Schema.Tuple([Etf.AtomName, Etf.Term])), Nodes])
  }),
  Message.Call("Erpc", { payload: { ...Remote, timeout: Timeout }, success: Etf.Term, error: Etf.Term }),
  Message.Call("Spawn", { payload: Remote, success: Etf.Pid, error: Etf.Term }),
  Message.Call("SpawnMonitor", { payload: Remote, success: Etf.Pid, error: Etf.Term }),
  Message.Call("PgJoin", { payload: { group: Etf.Term, pid: Etf.Pid }, success: Schema.Literals(["ok", "nolocal"]) }),
  Message.Call("PgLeave", {
    payload: { group: Etf.Term, pid: Etf.Pid },
    success: Schema.Literals(["ok", "not_joined"])
  }),
  Message.Call("PgMembers", { payload: { group: Etf.Term }, success: Schema.Array(Etf.Pid) }),
  Message.Call("MonitorNodes", { payload: { on: Schema.Boolean } }),
  Message.Call("GetEvents", { success: Schema.Array(Etf.Term) }),
  Message.Info("NodeUp", { payload: { node: Schema.String, hidden: Schema.Boolean } }),
  Message.Info("NodeDown", { payload: { node: Schema.String, hidden: Schema.Boolean, detail: Schema.String } })
) {}

interface State {
  /** What it was told, oldest first. */
  readonly events: ReadonlyArray<Term.Term>
  /** Open while the comings and goings of nodes are told. */
  readonly watching: Scope.Closeable | undefined
}

/** Does something beside the handling of messages; what it sends first is sent now. */
const aside = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkScoped(effect, { startImmediately: true })

const duration = (timeout: typeof Timeout.Type) => timeout === "infinity" ? "Infinity" : Math.max(0, timeout)

/** Why a call failed, in Erlang's words. */
const reasonOf = ({ reason }: CallError.CallError): Term.Term => {
  switch (reason._tag) {
    case "CallTimeout":
      return Atom.make("timeout")
    case "NoProcess":
      return Atom.make("noproc")
    case "NodeDown":
      return tagged("nodedown", Atom.make(reason.node))
    case "ProcessExit":
      return ExitReasonTerm.toTerm(reason.exitReason)
    case "CallingSelf":
      return Atom.make("calling_self")
    case "MailboxFull":
    case "MalformedReply":
      return Atom.make("system_limit")
  }
}

/** Why a process was not started, in Erlang's words. */
const refusalOf = ({ detail, reason }: RemoteSpawn.SpawnError): Term.Term =>
  detail ?? Atom.make(reason === "NoConnection" ? "noconnection" : "notsup")

export const DriverServer = GenServer.make(Driver, {
  init: () => Effect.succeed<State>({ events: [], watching: undefined }),
  handlers: {
    Connect: ({ node }, state, { from }) =>
      Effect.as(
        aside(Effect.flatMap(Effect.exit(Node.connect(node)), (exit) => from.reply(Exit.isSuccess(exit)))),
        GenServer.noReply(state)
      ),
    Disconnect: ({ node }) => Node.disconnect(node),
    Ping: ({ node }, state, { from }) =>
      Effect.as(aside(Effect.flatMap(Node.ping(node), (answer) => from.reply(answer))), GenServer.noReply(state)),
    Nodes: ({ type }) => Node.nodes(type === "connected" ? "all" : type),
    Send: ({ message, to }) => Effect.asVoid(aside(Process.send(addressOf(to), message))),
    SendAfter: ({ message, ms, to }) => Effect.asVoid(Process.sendAfter(addressOf(to), message, ms)),
    Cast: ({ request, to }) => Effect.asVoid(aside(Node.castTerm(addressOf(to), request))),
    Call: ({ request, timeout, to }, state, { from }) =>
      Node.callTerm(addressOf(to), request, { timeout: duration(timeout) }).pipe(
        Effect.matchEffect({
          onSuccess: (reply) => from.reply(reply),
          onFailure: (error) => from.fail(reasonOf(error))
        }),
        aside,
        Effect.as(GenServer.noReply(state))
      ),
    MultiCall: ({ name, nodes, request, timeout }, state, { from }) =>
      GenServer.multiCall(
        nodes,
        (node) => Node.callTerm({ name, node }, request, { timeout: duration(timeout) })
      ).pipe(
        Effect.flatMap(({ failures, replies }) => from.reply([replies, failures.map(([node]) => node)])),
        aside,
        Effect.as(GenServer.noReply(state))
      ),
    Erpc: ({ args, module, name, node, timeout }, state, { from }) =>
      Rpc.callTerm(node, module, name, args, { timeout: duration(timeout) }).pipe(
        Effect.matchEffect({
          onSuccess: (value) => from.reply(value),
          onFailure: ({ reason }) => from.fail(RpcError.toErlang(reason))
        }),
        aside,
        Effect.as(GenServer.noReply(state))
      ),
    Spawn: ({ node, ...application }, state, { from }) =>
      RemoteSpawn.spawn(node, application).pipe(
        Effect.matchEffect({
          onSuccess: (pid) => from.reply(pid),
          onFailure: (error) => from.fail(refusalOf(error))
        }),
        aside,
        Effect.as(GenServer.noReply(state))
      ),
    SpawnMonitor: ({ node, ...application }, state, { from }) =>
      RemoteSpawn.spawnMonitor(node, application).pipe(
        Effect.matchEffect({
          onSuccess: ({ pid }) => from.reply(pid),
          onFailure: (error) => from.fail(refusalOf(error))
        }),
        aside,
        Effect.as(GenServer.noReply(state))
      ),
    PgJoin: ({ group, pid }) =>
      ProcessGroup.join(group, pid).pipe(
        Effect.as("ok" as const),
        Effect.catchTag("NotLocal", () => Effect.succeed("nolocal" as const)),
        Effect.orDie
      ),
    PgLeave: ({ group, pid }) =>
      ProcessGroup.leave(group, pid).pipe(
        Effect.as("ok" as const),
        Effect.catchTag("NotJoined", () => Effect.succeed("not_joined" as const)),
        Effect.orDie
      ),
    PgMembers: ({ group }) => Effect.orDie(ProcessGroup.members(group)),
    MonitorNodes: ({ on }, state) =>
      Effect.gen(function*() {
        if (state.watching !== undefined) yield* Scope.close(state.watching, Exit.void)
        if (!on) return GenServer.reply(undefined, { ...state, watching: undefined })
        const watching = yield* Scope.fork(yield* Effect.scope)
        yield* Scope.provide(Node.monitorNodes, watching)
        return GenServer.reply(undefined, { ...state, watching })
      }),
    GetEvents: (_, state) => GenServer.reply(state.events, { ...state, events: [] }),
    NodeUp: ({ node }, state) =>
      GenServer.next({ ...state, events: [...state.events, tagged("nodeup", Atom.make(node))] }),
    NodeDown: ({ node }, state) =>
      GenServer.next({ ...state, events: [...state.events, tagged("nodedown", Atom.make(node))] }),
    down: ({ address, reason, ref }, state, { node }) =>
      GenServer.next({
        ...state,
        events: [
          ...state.events,
          tagged("DOWN", ref, Atom.make("process"), addressTerm(address, node), ExitReasonTerm.toTerm(reason))
        ]
      }),
    unhandled: () => {}
  }
})
