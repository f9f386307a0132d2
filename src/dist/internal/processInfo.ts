/**
 * Processes as the tools of Erlang show them.
 *
 * @since 0.1.0
 */
import * as Option from "effect/Option"
import { Instance, type Process } from "../../process/Behaviour.ts"
import * as ExitReason from "../../process/ExitReason.ts"
import type { Service } from "../../process/Node.ts"
import type { Info } from "../../process/Process.ts"
import * as Atom from "../../term/Atom.ts"
import { isPid, type Pid } from "../../term/Pid.ts"
import { isReference } from "../../term/Reference.ts"
import { isTerm, print, type Term } from "../../term/Term.ts"
import { isTuple, Tuple } from "../../term/Tuple.ts"
import { atom, atomOrText, function_, list } from "./shownTerms.ts"
import { type Facts, memoryOf, statisticOf } from "./systemInfo.ts"

/**
 * What a process runs. Behaviours and tags of messages are atoms here: a program has a limited number of them, while its
 * labels and names may come from anywhere and would fill the atom table of the node that looks.
 */
export const initialCall = (info: Info): Tuple => callOf(info.behaviour)

const callOf = (behaviour: string): Tuple =>
  behaviour === "process" ? function_("proc_lib", "init_p", 5) : function_("effect_otp", behaviour, 0)

const receiving = function_("effect_otp", "receive", 0)

const currentFunction = (info: Info): Tuple =>
  Option.match(info.currentMessage, {
    onNone: () => receiving,
    onSome: (message) => function_("effect_otp", message, 0)
  })

const nameOf = (info: Info): Term | undefined => info.names[0] === undefined ? undefined : atomOrText(info.names[0])

/**
 * `#etop_proc_info{}` of every process but one. There may be very many, so that nothing of users is run for it, as their
 * `format` would be, and what they handle just now is left out.
 */
export const infosOf = (node: Service, except: Pid): ReadonlyArray<Term> => {
  const infos: Array<Term> = []
  for (const process of node.runtime.processes.values()) {
    if (process.pid === except) continue
    const name = process.name ?? process.extra?.names?.values().next().value
    const behaviour = process instanceof Instance ? process.behaviour.name : "process"
    infos.push(
      new Tuple([
        atom("etop_proc_info"),
        process.pid,
        0,
        handledBy(process),
        name === undefined ? callOf(behaviour) : atomOrText(name),
        0,
        receiving,
        process.mailboxLength
      ])
    )
  }
  return infos
}

/** How many messages a process has handled; only servers count. */
const handledBy = (process: Process | undefined): number => process instanceof Instance ? process.handled : 0

/** `#etop_info{}`. */
export const etopInfo = (facts: Facts, infos: ReadonlyArray<Term>): Term => {
  const micros = facts.now
  return new Tuple([
    atom("etop_info"),
    new Tuple([Math.floor(micros / 1e12), Math.floor(micros / 1e6) % 1_000_000, micros % 1_000_000]),
    infos.length,
    Atom.undefined_,
    statisticOf(facts, "scheduler_wall_time")!,
    0,
    [],
    memoryOf(facts),
    infos
  ])
}

/** `erlang:process_info/2`: one item or a list of them; undefined when one is unknown. */
export const itemsOf = (node: Service, info: Info, items: Term): Term | undefined => {
  if (items instanceof Atom.Atom) {
    const value = itemOf(node, info, items.name)
    // As in Erlang: a process without a name has no such item.
    if (items.name === "registered_name" && info.names.length === 0) return []
    return value === undefined ? undefined : new Tuple([items, value])
  }
  if (!Array.isArray(items)) return undefined
  const out: Array<Term> = []
  for (const item of items as ReadonlyArray<Term>) {
    const value = item instanceof Atom.Atom ? itemOf(node, info, item.name) : undefined
    if (value === undefined) return undefined
    out.push(new Tuple([item, value]))
  }
  return out
}

const itemOf = (node: Service, info: Info, item: string): Term | undefined => {
  switch (item) {
    case "binary":
    case "dictionary":
    case "messages":
    case "monitored_by":
    case "sequential_trace_token":
    case "suspending":
      return []
    case "catchlevel":
    case "heap_size":
    case "memory":
    case "stack_size":
    case "total_heap_size":
    case "trace":
      return 0
    case "current_function":
      return currentFunction(info)
    case "current_location":
      return new Tuple([...currentFunction(info).elements, []])
    case "current_stacktrace":
      return [new Tuple([...currentFunction(info).elements, []])]
    case "error_handler":
      return atom("error_handler")
    case "garbage_collection":
      return [new Tuple([atom("min_heap_size"), 0]), new Tuple([atom("fullsweep_after"), 0])]
    case "group_leader":
      return node.runtime.names.get("user")?.pid ?? node.runtime.pid
    case "initial_call":
      return initialCall(info)
    case "last_calls":
      return Atom.false_
    case "links":
      return info.links
    case "message_queue_len":
      return info.mailboxLength
    case "monitors":
      return info.monitors.flatMap((address): ReadonlyArray<Term> =>
        isReference(address) ? [] : [
          new Tuple([
            atom("process"),
            isPid(address) ? address : new Tuple([atomOrText(address.name), atom(address.node ?? node.name)])
          ])
        ]
      )
    case "parent":
      return Option.getOrElse(info.parent, (): Term => Atom.undefined_)
    case "priority":
      return atom("normal")
    case "reductions":
      return handledBy(node.runtime.resolve(info.pid))
    case "registered_name":
      return nameOf(info) ?? []
    case "status":
      return atom(info.status === "exiting" ? "exiting" : Option.isSome(info.currentMessage) ? "running" : "waiting")
    case "trap_exit":
      return Atom.fromBoolean(info.trapExit)
    default:
      return undefined
  }
}

/** What `sys:get_status/2` gives for a generic server; the state is text, unless it is a term. */
export const statusOf = (info: Info): Term => {
  const parent = Option.getOrElse(info.parent, (): Term => Atom.undefined_)
  const shown: Term = isTerm(info.state) && !isTuple(info.state) && !Array.isArray(info.state)
    ? list(print(info.state, { maxLength: 2000 }))
    : list(ExitReason.format(ExitReason.error(info.state)))
  const header = new Tuple([
    list("header"),
    list(`Status for ${info.behaviour} ${info.names[0] ?? info.pid.toString()}`)
  ])
  const data = (entries: ReadonlyArray<readonly [string, Term]>): Tuple =>
    new Tuple([atom("data"), entries.map(([name, value]) => new Tuple([list(name), value]))])
  return new Tuple([
    atom("status"),
    info.pid,
    new Tuple([atom("module"), atom("gen_server")]),
    [
      [],
      atom("running"),
      parent,
      [],
      [
        header,
        data([["Status", atom(info.status)], ["Parent", parent], ["Logged events", []]]),
        data([["State", shown]])
      ]
    ]
  ])
}
