/**
 * Calls of functions of a node: by `erpc` where the peer can start processes for others, else through its `rex`; of this
 * node directly.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Behaviour from "../../process/Behaviour.ts"
import type * as CallError from "../../process/CallError.ts"
import type * as ExitReason from "../../process/ExitReason.ts"
import { Node, type Service } from "../../process/Node.ts"
import * as ProcessRef from "../../process/ProcessRef.ts"
import * as Atom from "../../term/Atom.ts"
import type { Pid } from "../../term/Pid.ts"
import { equals, type Term } from "../../term/Term.ts"
import { isTuple, Tuple } from "../../term/Tuple.ts"
import * as ExitReasonTerm from "../ExitReasonTerm.ts"
import * as GroupLeader from "../GroupLeader.ts"
import * as RpcError from "../RpcError.ts"
import * as Functions from "./Functions.ts"
import { RawTerm } from "./RawTerm.ts"
import { clientOf } from "./Services.ts"
import type { Refusal, SpawnClient } from "./SpawnClient.ts"
import * as SpawnService from "./SpawnService.ts"

/** A function with arguments, on a node. */
export interface Target {
  readonly node: string
  readonly module: string
  readonly name: string
  readonly args: ReadonlyArray<Term>
}

type Reason = RpcError.RpcErrorReason

/** The group leader that goes with a request: that of what runs, or the node's. */
export const leaderOf = (node: Service): Effect.Effect<Pid> =>
  Effect.withFiber((fiber) =>
    Effect.succeed(GroupLeader.leaderIn(fiber.context) ?? node.runtime.names.get("user")?.pid ?? node.runtime.pid)
  )

/** Calls a function and gives its value. */
export const call = (target: Target, timeoutMillis: number): Effect.Effect<Term, Reason, Node> =>
  Effect.flatMap(Node, (node) =>
    Effect.timeoutOrElse(attempt(node, target, timeoutMillis), {
      duration: timeoutMillis,
      orElse: () => Effect.fail<Reason>(new RpcError.Timeout({ timeoutMillis }))
    }))

const attempt = (node: Service, target: Target, timeoutMillis: number): Effect.Effect<Term, Reason> => {
  if (target.node === node.name) return callHere(node, target)
  const client = clientOf(node)
  if (client === undefined) return Effect.fail<Reason>(new RpcError.NotSupported())
  return Effect.catchIf(
    callByErpc(node, client, target),
    (reason) => reason._tag === "NotSupported",
    () => callByRex(node, target, timeoutMillis)
  )
}

// --- this node -------------------------------------------------------------------------------------------------------

const callHere = (node: Service, target: Target): Effect.Effect<Term, Reason> =>
  Effect.flatMap(leaderOf(node), (leader) =>
    Effect.callback<Term, Reason>((resume) => {
      const functions = Functions.functionsOf(node.runtime)
      const application = applicationOf(target)
      let outcome: Functions.Outcome | undefined
      SpawnService.startBody(
        node,
        functions.find(application)?.context ?? node.runtime.context,
        leader,
        `${target.module}:${target.name}/${target.args.length}`,
        true,
        (mailbox) =>
          Effect.map(functions.apply(application, mailbox), (given) => {
            outcome = given
          }),
        (process) => {
          Behaviour.watch(process, (reason) => {
            const result = outcome === undefined
              ? Effect.fail<Reason>(new RpcError.Signalled({ signal: ExitReasonTerm.toTerm(reason) }))
              : resultOf(outcome, target)
            Behaviour.defer(node, () => resume(result))
          })
        }
      )
    }))

const applicationOf = (target: Target): Functions.Application => ({
  caller: target.node,
  module: Atom.make(target.module),
  name: Atom.make(target.name),
  args: target.args
})

const resultOf = (outcome: Functions.Outcome, target: Target): Effect.Effect<Term, Reason> => {
  switch (outcome._tag) {
    case "Return":
      return Effect.succeed(outcome.value)
    case "Throw":
      return Effect.fail(new RpcError.Thrown({ value: outcome.value }))
    case "Exit":
      return Effect.fail(new RpcError.Exited({ exit: outcome.reason }))
    case "Error":
      return Effect.fail(raised(outcome.error, outcome.stack, target))
  }
}

/** An error; `undef` of the very function that was called is a case of its own. */
const raised = (error: Term, stack: Term, target: Target): Reason => {
  if (Atom.is(error, "undef") && Array.isArray(stack)) {
    const top = (stack as ReadonlyArray<Term>)[0]
    if (isTuple(top) && top.arity >= 3) {
      const [module, name, args] = top.elements
      const same = args === target.args.length || (Array.isArray(args) && args.length === target.args.length)
      if (Atom.is(module, target.module) && Atom.is(name, target.name) && same) return new RpcError.Undefined({ stack })
    }
  }
  return new RpcError.Raised({ error, stack })
}

// --- erpc ------------------------------------------------------------------------------------------------------------

const callByErpc = (node: Service, client: SpawnClient, target: Target): Effect.Effect<Term, Reason> =>
  Effect.gen(function*() {
    const leader = yield* leaderOf(node)
    const process = yield* Behaviour.current
    const result = node.runtime.makeReference()
    const reason = yield* Effect.catch(
      client.run({
        node: target.node,
        leader,
        module: "erpc",
        name: "execute_call",
        args: [result, Atom.make(target.module), Atom.make(target.name), target.args],
        process: process?.node === node.runtime ? process : undefined
      }),
      reasonOfRefusal
    )
    return yield* outcomeOf(reason, result, target)
  })

/** Why no process was started, as a reason of a call. */
const reasonOfRefusal = (refusal: Refusal): Effect.Effect<never, Reason> => {
  switch (refusal._tag) {
    case "NoConnection":
      return Effect.fail(new RpcError.NoConnection())
    case "NotSupported":
      return Effect.fail(new RpcError.NotSupported())
    case "Refused":
      return Effect.fail(new RpcError.Refused({ detail: refusal.detail }))
    case "NotATerm":
      return Effect.die(refusal.error)
  }
}

/** What the end of the calling process says. */
const outcomeOf = (reason: ExitReason.ExitReason, result: Term, target: Target): Effect.Effect<Term, Reason> => {
  if (reason._tag === "NoConnection") return Effect.fail(new RpcError.NoConnection())
  const term = ExitReasonTerm.toTerm(reason)
  if (!isTuple(term) || term.arity < 3 || !equals(term.elements[0]!, result)) {
    return Effect.fail(new RpcError.Signalled({ signal: term }))
  }
  const [, class_, first, second] = term.elements as readonly [Term, Term, Term, Term | undefined]
  if (Atom.is(class_, "return")) return Effect.succeed(first)
  if (Atom.is(class_, "throw")) return Effect.fail(new RpcError.Thrown({ value: first }))
  if (Atom.is(class_, "exit")) return Effect.fail(new RpcError.Exited({ exit: first }))
  if (second !== undefined) return Effect.fail(raised(first, second, target))
  const detail = isTuple(first, 2) && Atom.is(first.elements[0], "erpc") ? first.elements[1]! : first
  return Effect.fail(new RpcError.Refused({ detail }))
}

// --- rex -------------------------------------------------------------------------------------------------------------

interface RawClient {
  Call(request: unknown, options?: ProcessRef.CallOptions): Effect.Effect<Term, CallError.CallError>
}

const callByRex = (node: Service, target: Target, timeoutMillis: number): Effect.Effect<Term, Reason> =>
  Effect.gen(function*() {
    const leader = yield* leaderOf(node)
    const rex = (yield* ProcessRef.named(RawTerm, { name: "rex", node: target.node })) as unknown as RawClient
    const request = new Tuple([
      Atom.make("call"),
      Atom.make(target.module),
      Atom.make(target.name),
      target.args,
      leader
    ])
    const reply = yield* Effect.mapError(
      rex.Call(request, { timeout: timeoutMillis }),
      (error) => reasonOfCall(error.reason)
    )
    if (!isTuple(reply, 2) || !Atom.is(reply.elements[0], "badrpc")) return reply
    const why = reply.elements[1]!
    if (!isTuple(why, 2) || !Atom.is(why.elements[0], "EXIT")) {
      return yield* Effect.fail<Reason>(new RpcError.Refused({ detail: why }))
    }
    const exit = why.elements[1]!
    return yield* Effect.fail<Reason>(
      isTuple(exit, 2) && Array.isArray(exit.elements[1])
        ? raised(exit.elements[0]!, exit.elements[1] as Term, target)
        : new RpcError.Exited({ exit })
    )
  }).pipe(Effect.provideService(Node, node))

const reasonOfCall = (reason: CallError.CallErrorReason): Reason => {
  switch (reason._tag) {
    case "NodeDown":
      return new RpcError.NoConnection()
    case "CallTimeout":
      return new RpcError.Timeout({ timeoutMillis: reason.timeoutMillis })
    case "NoProcess":
      return new RpcError.NotSupported()
    case "ProcessExit":
      return new RpcError.Signalled({ signal: ExitReasonTerm.toTerm(reason.exitReason) })
    default:
      return new RpcError.Refused({ detail: Atom.make(reason._tag) })
  }
}

// --- cast ------------------------------------------------------------------------------------------------------------

/** Has a function run and forgets it. */
export const cast = (target: Target): Effect.Effect<void, never, Node> =>
  Effect.gen(function*() {
    const node = yield* Node
    const leader = yield* leaderOf(node)
    if (target.node === node.name) return SpawnService.start(node, applicationOf(target), leader, () => {})
    const client = clientOf(node)
    if (client === undefined) return
    const process = yield* Behaviour.current
    yield* Effect.catch(
      client.cast({
        node: target.node,
        leader,
        module: "erpc",
        name: "execute_cast",
        args: [Atom.make(target.module), Atom.make(target.name), target.args],
        process: process?.node === node.runtime ? process : undefined
      }),
      (refusal) =>
        refusal._tag === "NotATerm"
          ? Effect.die(refusal.error)
          : refusal._tag === "NotSupported"
          ? castByRex(target, leader)
          : Effect.void
    )
  })

const castByRex = (target: Target, leader: Pid): Effect.Effect<void, never, Node> =>
  Effect.flatMap(ProcessRef.named(RawTerm, { name: "rex", node: target.node }), (rex) =>
    rex.Cast(
      new Tuple([Atom.make("cast"), Atom.make(target.module), Atom.make(target.name), target.args, leader])
    ))
