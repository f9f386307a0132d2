/**
 * The processes of a node. One answer tells of all (`observer_backend:procs_info/1`); a node of Erlang without
 * `runtime_tools`, or an old one, is asked for each of them.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Node } from "../../dist/Node.ts"
import * as RemoteSpawn from "../../dist/RemoteSpawn.ts"
import * as Process from "../../process/Process.ts"
import { Down } from "../../process/Signal.ts"
import * as Atom from "../../term/Atom.ts"
import { isPid, type Pid } from "../../term/Pid.ts"
import { print, type Term } from "../../term/Term.ts"
import { isTuple } from "../../term/Tuple.ts"
import * as Asking from "./Asking.ts"
import { CommandError } from "./CommandError.ts"

/** A process as `ps` and `top` show it. */
export interface ProcessFacts {
  /** As the node itself prints it. */
  readonly pid: string
  /** The name under which it is registered. */
  readonly name: string | null
  /** What it runs; not told of processes with a name. */
  readonly initialCall: string | null
  readonly currentFunction: string
  /** Work done: of a node of ours, messages handled. */
  readonly reductions: number
  /** Bytes; 0 when the node does not know. */
  readonly memory: number
  /** Messages that wait. */
  readonly messages: number
}

/** `{etop_proc_info, Pid, Memory, Reductions, NameOrInitialCall, Runtime, CurrentFunction, MessageQueueLength}`. */
const fromRecord = (term: Term): ProcessFacts | undefined => {
  if (!isTuple(term, 8)) return undefined
  const [, pid, memory, reductions, named, , current, messages] = term.elements
  if (!isPid(pid)) return undefined
  const initialCall = Asking.callText(named)
  return {
    pid: Asking.pidText(pid),
    name: initialCall === undefined ? Asking.nameText(named!) : null,
    initialCall: initialCall ?? null,
    currentFunction: Asking.callText(current) ?? print(current),
    reductions: Asking.count(reductions),
    memory: Asking.count(memory),
    messages: Asking.count(messages)
  }
}

const anything = Schema.Unknown

/** Has the node tell of all its processes; none when it lacks the function. To be run in a process of this side. */
const collected = ({ node, timeout }: Asking.Source) =>
  Effect.gen(function*() {
    const self = yield* Process.self
    const spawned = yield* Effect.result(
      RemoteSpawn.spawnMonitor(node, { module: "observer_backend", name: "procs_info", args: [self] })
    )
    if (Result.isFailure(spawned)) {
      const { message, reason } = spawned.failure
      // Old nodes start nothing for others, but answer calls.
      return reason === "NotSupported" ? Option.none() : yield* new CommandError({ reason, detail: message })
    }
    const { pid } = spawned.success
    const found: Array<ProcessFacts> = []
    while (true) {
      const message = yield* Process.receive(anything, { timeout })
      if (Option.isNone(message)) {
        return yield* new CommandError({ reason: "Timeout", detail: `${node} did not tell of its processes in time` })
      }
      const { value } = message
      if (value instanceof Down) return value.reason._tag === "Normal" ? Option.some(found) : Option.none()
      if (!isTuple(value, 3) || !Array.isArray(value.elements[2])) continue
      for (const record of value.elements[2] as ReadonlyArray<Term>) {
        const facts = fromRecord(record)
        // The one that tells is gone when it has told.
        if (facts !== undefined && facts.pid !== Asking.pidText(pid)) found.push(facts)
      }
    }
  })

const items = ["registered_name", "initial_call", "current_function", "reductions", "memory", "message_queue_len"]

/** `erlang:process_info/2` with {@link items}; undefined when the process has gone meanwhile. */
const fromItems = (pid: Pid, info: Term): ProcessFacts | undefined => {
  if (!Array.isArray(info)) return undefined
  const values = (info as ReadonlyArray<Term>).map((item) => isTuple(item, 2) ? item.elements[1] : undefined)
  const [name, initial, current, reductions, memory, messages] = values
  return {
    pid: Asking.pidText(pid),
    name: name instanceof Atom.Atom ? name.name : null,
    initialCall: Asking.callText(initial) ?? null,
    currentFunction: Asking.callText(current) ?? "undefined",
    reductions: Asking.count(reductions),
    memory: Asking.count(memory),
    messages: Asking.count(messages)
  }
}

const oneByOne = (source: Asking.Source): Effect.Effect<ReadonlyArray<ProcessFacts>, CommandError, Node> =>
  Effect.gen(function*() {
    const wanted = items.map(Atom.make)
    const infos = yield* Effect.forEach(
      yield* Asking.pids(source),
      (pid) => Effect.map(Asking.ask(source, "erlang", "process_info", pid, wanted), (info) => fromItems(pid, info)),
      { concurrency: 64 }
    )
    return infos.filter((facts) => facts !== undefined)
  })

/** The processes of a node. */
export const processes = (source: Asking.Source): Effect.Effect<ReadonlyArray<ProcessFacts>, CommandError, Node> =>
  Process.run(collected(source)).pipe(
    Effect.catchTag("StartError", Effect.die), // it has no name that could be taken
    Effect.flatMap(Option.match({ onSome: (all) => Effect.succeed(all), onNone: () => oneByOne(source) }))
  )
