/**
 * The node as the tools of Erlang show it.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type { Statistics } from "../../process/Node.ts"
import * as Atom from "../../term/Atom.ts"
import type { Term } from "../../term/Term.ts"
import { isTuple, Tuple } from "../../term/Tuple.ts"
import type { System } from "../RuntimeTools.ts"
import { atom, list } from "./shownTerms.ts"

/** What is known at one moment. `now` is the time in microseconds. */
export interface Facts {
  readonly system: System
  readonly statistics: Statistics
  readonly traffic: { readonly input: number; readonly output: number }
  readonly now: number
}

/** When the host tells nothing. */
export const defaults: System = {
  version: "0",
  architecture: "unknown",
  processors: 1,
  memory: { total: 0, processes: 0, binary: 0, code: 0 },
  load: { active: 0, total: 0 }
}

const pairs = (entries: ReadonlyArray<readonly [string, Term]>): ReadonlyArray<Tuple> =>
  entries.map(([name, value]) => new Tuple([atom(name), value]))

/** `erlang:memory/0`. */
export const memoryOf = ({ system: { memory } }: Facts): ReadonlyArray<Tuple> =>
  pairs([
    ["total", memory.total],
    ["processes", memory.processes],
    ["processes_used", memory.processes],
    ["system", Math.max(0, memory.total - memory.processes)],
    ["atom", 0],
    ["atom_used", 0],
    ["binary", memory.binary],
    ["code", memory.code],
    ["ets", 0]
  ])

/** `erlang:statistics/1`; undefined for what there is none of. */
export const statisticOf = (facts: Facts, name: string): Term | undefined => {
  const { load } = facts.system
  const uptime = Math.round(Duration.toMillis(facts.statistics.uptime))
  switch (name) {
    case "io":
      return new Tuple([
        new Tuple([atom("input"), facts.traffic.input]),
        new Tuple([atom("output"), facts.traffic.output])
      ])
    case "run_queue":
      return 0
    case "scheduler_wall_time":
      return [new Tuple([1, Math.round(load.active), Math.round(load.total)])]
    case "wall_clock":
      return new Tuple([uptime, 0])
    case "runtime":
      return new Tuple([Math.round(load.active / 1000), 0])
    default:
      return undefined
  }
}

/** The limits are those of Erlang's defaults where there is none here, so that shares of them can be shown. */
const limits = { atom: 1_048_576, process: 268_435_456, port: 65_536, ets: 8192, buffer: 8_388_608 }

/** `erlang:system_info/1`; undefined for what there is none of. */
export const systemInfoOf = (facts: Facts, item: Term): Term | undefined => {
  if (isTuple(item, 2) && Atom.is(item.elements[0], "wordsize")) return 8
  return item instanceof Atom.Atom ? values(facts).get(item.name) : undefined
}

const values = (facts: Facts): ReadonlyMap<string, Term> => {
  const { statistics, system } = facts
  return new Map<string, Term>([
    ["logical_processors", system.processors],
    ["logical_processors_online", system.processors],
    ["logical_processors_available", system.processors],
    ["schedulers", 1],
    ["schedulers_online", 1],
    ["otp_release", list("effect-otp")],
    ["version", list(system.version)],
    ["system_architecture", list(system.architecture)],
    ["kernel_poll", Atom.true_],
    ["smp_support", Atom.false_],
    ["threads", Atom.true_],
    ["thread_pool_size", 0],
    ["process_count", statistics.processes],
    ["atom_limit", limits.atom],
    ["atom_count", 0],
    ["process_limit", limits.process],
    ["port_limit", limits.port],
    ["port_count", 0],
    ["ets_limit", limits.ets],
    ["ets_count", 0],
    ["dist_buf_busy_limit", limits.buffer],
    ["wordsize", 8],
    ["multi_scheduling", atom("disabled")],
    ["machine", list("effect-otp")],
    ["creation", statistics.creation]
  ])
}

/** `observer_backend:sys_info/0`. */
export const sysInfo = (facts: Facts): Term => {
  const known = values(facts)
  const of = (name: string): readonly [string, Term] => [name, known.get(name)!]
  return pairs([
    ["uptime", Math.round(Duration.toMillis(facts.statistics.uptime))],
    ["run_queue", 0],
    ["io_input", facts.traffic.input],
    ["io_output", facts.traffic.output],
    of("logical_processors"),
    of("logical_processors_online"),
    of("logical_processors_available"),
    of("schedulers"),
    of("schedulers_online"),
    ["schedulers_available", 1],
    of("otp_release"),
    of("version"),
    of("system_architecture"),
    of("kernel_poll"),
    of("smp_support"),
    of("threads"),
    of("thread_pool_size"),
    ["wordsize_internal", 8],
    ["wordsize_external", 8],
    ["alloc_info", []],
    of("process_count"),
    of("atom_limit"),
    of("atom_count"),
    of("process_limit"),
    of("port_limit"),
    of("port_count"),
    of("ets_limit"),
    of("ets_count"),
    of("dist_buf_busy_limit")
  ]).concat(memoryOf(facts))
}
