/**
 * The process called `rex`, which runs functions for nodes that do not use `erpc`: C nodes, `erl_call`, `rpc:block_call/4`,
 * and what asks a node for its features.
 *
 * Who sends a message is what the message says. Functions that are provided to some nodes only are therefore none to be
 * called this way.
 *
 * It applies provided functions only, each in a process of its own, so that none holds up another; block calls wait for
 * one another, as their caller expects.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import * as GenServer from "../../otp/GenServer.ts"
import * as Behaviour from "../../process/Behaviour.ts"
import type { From } from "../../process/Handler.ts"
import * as Local from "../../process/Node.ts"
import * as Process from "../../process/Process.ts"
import * as Protocol from "../../process/Protocol.ts"
import { Request } from "../../process/Signal.ts"
import * as Atom from "../../term/Atom.ts"
import { isPid, type Pid } from "../../term/Pid.ts"
import type { Term } from "../../term/Term.ts"
import { isTuple, Tuple } from "../../term/Tuple.ts"
import * as ExitReasonTerm from "../ExitReasonTerm.ts"
import * as Functions from "./Functions.ts"
import * as SpawnService from "./SpawnService.ts"

const base: Protocol.Protocol<"Rex", never> = Protocol.make("Rex")

/** Everything it is asked is an ordinary term. */
export class Rex extends base {}

const atoms = {
  badrpc: Atom.make("badrpc"),
  exit: Atom.make("EXIT"),
  erpc: Atom.make("erpc"),
  featuresReply: Atom.make("features_reply"),
  nonexistingName: Atom.make("nonexisting_name"),
  rex: Atom.make("rex")
}

/** The value of a call in the form of `rpc`, where thrown terms are values and everything else is a `badrpc`. */
export const valueOf = (outcome: Functions.Outcome): Term => {
  switch (outcome._tag) {
    case "Return":
    case "Throw":
      return outcome.value
    case "Exit":
      return badrpc(outcome.reason)
    case "Error":
      return badrpc(new Tuple([outcome.error, outcome.stack]))
  }
}

const systemLimit = Atom.make("system_limit")

const badrpc = (reason: Term): Term => new Tuple([atoms.badrpc, new Tuple([atoms.exit, reason])])

/** The server for a node. */
export const make = (node: Local.Service): GenServer.GenServer<void, never, never, Local.Node> => {
  const functions = Functions.functionsOf(node.runtime)
  const turns = Semaphore.makeUnsafe(1)
  const crowded = (): boolean => node.runtime.processes.size >= functions.maxProcesses

  /** Runs a call in a process of its own; `done` is told once, whatever ends it. */
  const run = (call: Call, done: (value: Term) => Effect.Effect<void>): void => {
    let value: Term | undefined
    const { target } = call
    if (target === undefined) {
      Effect.runForkWith(node.runtime.context)(done(valueOf(Functions.badApplication(...call.terms))))
      return
    }
    if (crowded()) {
      Effect.runForkWith(node.runtime.context)(done(badrpc(systemLimit)))
      return
    }
    const label = `rex ${target.module.name}:${target.name.name}/${target.args.length}`
    const entry = functions.find(target)
    if (entry === undefined) SpawnService.logRefusal(node, target)
    SpawnService.startBody(
      node,
      entry?.context ?? node.runtime.context,
      call.leader,
      label,
      true,
      (mailbox) => {
        const apply = Effect.flatMap(
          functions.apply(target, mailbox),
          (outcome) => Effect.suspend(() => done(value = valueOf(outcome)))
        )
        return call.block ? turns.withPermits(1)(apply) : apply
      },
      (process) => {
        // Somebody has ended it.
        Behaviour.watch(process, (reason) => {
          if (value !== undefined) return
          const answer = done(badrpc(ExitReasonTerm.toTerm(reason)))
          Behaviour.defer(node, () => void Effect.runForkWith(node.runtime.context)(answer))
        })
      }
    )
  }

  const send = (to: Pid, message: Term): Effect.Effect<void, never, Local.Node> => Process.send(to, message)
  const provided = <A>(effect: Effect.Effect<A, never, Local.Node>): Effect.Effect<A> =>
    Effect.provideService(effect, Local.Node, node)

  const call = (request: Request): void => {
    const from = request.from as From<unknown, unknown>
    const call = callOf(request.payload)
    if (call !== undefined) run(call, (value) => from.reply(value))
  }

  const info = (from: Pid, what: Term): Effect.Effect<void, never, Local.Node> => {
    if (Atom.is(what, "features_request")) {
      return send(from, new Tuple([atoms.featuresReply, Atom.make(node.name), [atoms.erpc]]))
    }
    if (!isTuple(what)) return Effect.void
    const call = callOf(what)
    if (call !== undefined) {
      run(call, (value) => provided(send(from, new Tuple([atoms.rex, value]))))
      return Effect.void
    }
    const [operation, name, message] = what.elements
    if (!Atom.is(operation, "sbcast") || what.arity !== 3 || !(name instanceof Atom.Atom)) return Effect.void
    const there = node.runtime.names.has(name.name)
    const self = Atom.make(node.name)
    const answer = there ? self : new Tuple([atoms.nonexistingName, name])
    return Effect.andThen(
      there ? Process.send({ name: name.name }, message) : Effect.void,
      send(from, new Tuple([atoms.rex, self, answer]))
    )
  }

  return GenServer.make(Rex, {
    init: () => Effect.succeed(0),
    handlers: {
      unhandled: (message, state) => {
        if (message instanceof Request) {
          call(message)
          return GenServer.next(state)
        }
        if (!isTuple(message, 2)) return GenServer.next(state)
        const [first, second] = message.elements as readonly [Term, Term]
        if (isPid(first)) return Effect.as(info(first, second), GenServer.next(state))
        if (Atom.is(first, "$gen_cast") && isTuple(second, 5) && Atom.is(second.elements[0], "cast")) {
          const [, module, name, args, leader] = second.elements
          const target = Functions.applicationOf(module, name, args, undefined)
          if (target !== undefined && !crowded()) {
            SpawnService.start(node, target, isPid(leader) ? leader : undefined, () => {})
          }
        }
        return GenServer.next(state)
      }
    }
  })
}

interface Call {
  readonly block: boolean
  /** Undefined when module, function and arguments are no such. */
  readonly target: Functions.Application | undefined
  readonly terms: readonly [Term, Term, Term]
  readonly leader: Pid | undefined
}

/** `{call, M, F, A, GroupLeader}` or `{block_call, ...}`. */
const callOf = (term: unknown): Call | undefined => {
  if (!isTuple(term, 5)) return undefined
  const [operation, module, name, args, leader] = term.elements as readonly [Term, Term, Term, Term, Term]
  const block = Atom.is(operation, "block_call")
  if (!block && !Atom.is(operation, "call")) return undefined
  return {
    block,
    target: Functions.applicationOf(module, name, args, undefined),
    terms: [module, name, args],
    leader: isPid(leader) ? leader : undefined
  }
}
