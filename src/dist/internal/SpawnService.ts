/**
 * Processes that other nodes start here: spawn requests, and what `erpc` makes of them.
 *
 * A request names module, function and arguments. What was provided is started; anything else becomes a process that ends
 * at once with `undef`, as on any node that lacks the code. `erpc:execute_call/3,4` and `erpc:execute_cast/3`, by which
 * calls travel, are built in and apply provided functions only.
 *
 * Guarantees: the answer to a request precedes every other signal of the new process; a link or monitor that was asked
 * for is there before the process runs. Refused: options that nobody knows (`badopt`); a request whose arguments are no
 * list of the length it announces closes the connection.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Queue from "effect/Queue"
import * as Behaviour from "../../process/Behaviour.ts"
import * as ExitReason from "../../process/ExitReason.ts"
import * as Local from "../../process/Node.ts"
import * as Atom from "../../term/Atom.ts"
import type { Pid } from "../../term/Pid.ts"
import type { Term } from "../../term/Term.ts"
import { Tuple } from "../../term/Tuple.ts"
import * as Control from "../Control.ts"
import * as GroupLeader from "../GroupLeader.ts"
import type { Connection, SpawnHandler } from "./Connection.ts"
import type { Distribution } from "./Distribution.ts"
import * as Functions from "./Functions.ts"

type Body = (mailbox: Queue.Dequeue<unknown>) => Effect.Effect<unknown>

const badopt = Atom.make("badopt")
const systemLimit = Atom.make("system_limit")
const classes = { return: Atom.make("return"), throw: Atom.make("throw"), exit: Atom.make("exit"), error: Atom.error }

/** Options of a spawn that say how the process is run on a BEAM, and have no meaning here. */
const tuning: ReadonlySet<string> = new Set([
  "priority",
  "fullsweep_after",
  "min_heap_size",
  "min_bin_vheap_size",
  "max_heap_size",
  "message_queue_data",
  "async_dist",
  "scheduler"
])

/** Starts a process that runs a body; `onSpawn` sees it before it runs. */
export const startBody = (
  node: Local.Service,
  context: Context.Context<never>,
  leader: Pid | undefined,
  label: string,
  quiet: boolean,
  body: Body,
  onSpawn: (process: Behaviour.Process) => void
): void => {
  Effect.runForkWith(contextFor(node, context, leader))(
    Effect.ignore(
      Behaviour.spawnDetached(body, {
        label,
        onSpawn: (process) => {
          if (quiet) process.more.quiet = true
          onSpawn(process)
        }
      }) as Effect.Effect<Behaviour.Process, unknown> // its node is in the context
    )
  )
}

const contextFor = (
  node: Local.Service,
  context: Context.Context<never>,
  leader: Pid | undefined
): Context.Context<never> => GroupLeader.withLeader(Context.add(context, Local.Node, node), leader)

/** Says, now and then, that another node wanted something that it cannot have. */
export const logRefusal = (node: Local.Service, application: Functions.Application): void => {
  const { runtime } = node
  const text = Functions.functionsOf(runtime).refused(application, runtime.timers.now())
  if (text !== undefined) Effect.runForkWith(runtime.context)(Effect.logWarning(text))
}

/** Starts what an application names. `onSpawn` sees the process before it runs. */
export const start = (
  node: Local.Service,
  application: Functions.Application,
  leader: Pid | undefined,
  onSpawn: (process: Behaviour.Process) => void
): void => {
  const entry = Functions.functionsOf(node.runtime).find(application)
  const label = labelOf(application)
  if (entry === undefined) {
    logRefusal(node, application)
    const reason = Functions.exitReasonOf(Functions.undefined_(application))
    return startBody(node, node.runtime.context, leader, label, true, () => exitWith(reason), onSpawn)
  }
  if (entry._tag === "Function") {
    const body: Body = (mailbox) =>
      Effect.flatMap(Functions.runEntry(entry, application, mailbox), (outcome) => {
        const reason = Functions.exitReasonOf(outcome)
        return reason._tag === "Normal" ? Effect.void : exitWith(reason)
      })
    return startBody(node, entry.context, leader, label, false, body, onSpawn)
  }
  startServer(node, entry, application, leader, label, onSpawn)
}

/** A server: its arguments are read first, since the process that is started is the server itself. */
const startServer = (
  node: Local.Service,
  entry: Functions.ServerEntry,
  application: Functions.Application,
  leader: Pid | undefined,
  label: string,
  onSpawn: (process: Behaviour.Process) => void
): void => {
  Effect.runForkWith(contextFor(node, entry.context, leader))(
    Effect.matchCauseEffect(entry.args(application.args), {
      onSuccess: (args) =>
        Effect.exit(
          Behaviour.startDetached(entry.behaviour, args, { label, onSpawn }) as Effect.Effect<unknown, unknown>
        ),
      onFailure: (cause) =>
        Effect.sync(() => {
          const reason = Functions.exitReasonOf(Functions.outcomeOfCause(cause, application))
          startBody(node, entry.context, leader, label, true, () => exitWith(reason), onSpawn)
        })
    })
  )
}

const exitWith = (reason: ExitReason.ExitReason): Effect.Effect<never> => Effect.die(new ExitReason.ExitSelf(reason))

/** What is to be applied for `erpc`: three terms that should be module, function and arguments. */
class Target {
  readonly application: Functions.Application | undefined
  private readonly terms: readonly [Term, Term, Term]

  constructor(module: Term, name: Term, args: Term, caller: string) {
    this.terms = [module, name, args]
    this.application = Functions.applicationOf(module, name, args, caller)
  }

  get label(): string {
    return this.application === undefined ? "erpc" : labelOf(this.application)
  }

  apply(functions: Functions.Functions, mailbox: Queue.Dequeue<unknown>): Effect.Effect<Functions.Outcome> {
    return this.application === undefined
      ? Effect.succeed(Functions.badApplication(...this.terms))
      : functions.apply(this.application, mailbox)
  }
}

const labelOf = ({ args, module, name }: Functions.Application): string => `${module.name}:${name.name}/${args.length}`

/** The body of a process that makes a call for `erpc`, and ends with its result as reason. */
const call = (functions: Functions.Functions, result: Term, target: Target): Body => (mailbox) =>
  Effect.flatMap(
    target.apply(functions, mailbox),
    (outcome) => exitWith(ExitReason.error(reply(result, outcome)))
  )

/** The result of a call in the form in which it travels. */
export const reply = (result: Term, outcome: Functions.Outcome): Tuple => {
  switch (outcome._tag) {
    case "Return":
      return new Tuple([result, classes.return, outcome.value])
    case "Throw":
      return new Tuple([result, classes.throw, outcome.value])
    case "Exit":
      return new Tuple([result, classes.exit, outcome.reason])
    case "Error":
      return new Tuple([result, classes.error, outcome.error, outcome.stack])
  }
}

/** The body of a process that runs a function for its effects: what it gives is dropped, a failure ends it. */
const discarding = (functions: Functions.Functions, target: Target): Body => (mailbox) =>
  Effect.flatMap(target.apply(functions, mailbox), (outcome) => exitWith(Functions.exitReasonOf(outcome)))

interface Options {
  readonly link: boolean
  readonly monitor: boolean
}

const optionsOf = (term: Term): Options | undefined => {
  if (!Array.isArray(term)) return undefined
  let link = false
  let monitor = false
  for (const option of term as ReadonlyArray<Term>) {
    const name = option instanceof Tuple && option.arity === 2 ? option.elements[0] : option
    if (!(name instanceof Atom.Atom)) return undefined
    if (name.name === "link" && name === option) link = true
    else if (name.name === "monitor") monitor = true
    else if (name === option || !tuning.has(name.name)) return undefined
  }
  return { link, monitor }
}

type Request = Control.Control & { readonly _tag: "SpawnRequest" }

/** The handler of spawn requests of a node. */
export const handler = (node: Local.Service, distribution: Distribution): SpawnHandler => {
  const functions = Functions.functionsOf(node.runtime)
  return (connection, request, args) => {
    if (!Array.isArray(args) || args.length !== request.arity) {
      throw new Control.ControlError("the arguments of a spawn request are not a list of the length it announces")
    }
    const options = optionsOf(request.options)
    if (options === undefined) return refuse(node, connection, request, badopt)
    if (node.runtime.closing || node.runtime.processes.size >= functions.maxProcesses) {
      return refuse(node, connection, request, systemLimit)
    }
    const given = args as ReadonlyArray<Term>
    const caller = connection.peer.name
    let links = 0
    let monitors = 0
    const onSpawn = (process: Behaviour.Process): void => {
      const { pid } = process
      const flags = (options.link ? 1 : 0) | (options.monitor ? 2 : 0)
      connection.control({ _tag: "SpawnReply", ref: request.ref, to: request.from, flags, result: pid }, pid)
      if (options.link) links = distribution.inbound.link(request.from, pid)
      if (options.monitor) monitors = distribution.inbound.monitor(request.from, pid, request.ref)
    }
    const built = request.module === "erpc" ? builtIn(functions, request.name, given, caller) : undefined
    if (built === undefined) {
      const module = new Atom.Atom(request.module)
      start(node, { module, name: new Atom.Atom(request.name), args: given, caller }, request.leader, onSpawn)
    } else {
      const { application } = built.target
      const entry = application === undefined ? undefined : functions.find(application)
      if (entry === undefined && application !== undefined) logRefusal(node, application)
      const context = entry?.context ?? node.runtime.context
      startBody(node, context, request.leader, built.target.label, true, built.body, onSpawn)
    }
    const { maxLinks, maxMonitors } = distribution.settings.limits
    if (links > maxLinks) throw new Control.ControlError(`more than ${maxLinks} links`)
    if (monitors > maxMonitors) throw new Control.ControlError(`more than ${maxMonitors} monitors`)
  }
}

/** The functions by which calls travel. */
const builtIn = (
  functions: Functions.Functions,
  name: string,
  args: ReadonlyArray<Term>,
  caller: string
): { readonly target: Target; readonly body: Body } | undefined => {
  if (name === "execute_call" && args.length === 4) {
    const target = new Target(args[1]!, args[2]!, args[3]!, caller)
    return { target, body: call(functions, args[0]!, target) }
  }
  if ((name === "execute_call" || name === "execute_cast") && args.length === 3) {
    const target = new Target(args[0]!, args[1]!, args[2]!, caller)
    return { target, body: discarding(functions, target) }
  }
  return undefined
}

const refuse = (node: Local.Service, connection: Connection, request: Request, why: Atom.Atom): void =>
  connection.control(
    { _tag: "SpawnReply", ref: request.ref, to: request.from, flags: 0, result: why },
    node.runtime.pid
  )
