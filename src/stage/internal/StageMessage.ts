/**
 * The messages between stages, as Elixir's GenStage documents them: `{'$gen_producer', {ConsumerPid, Tag}, Request}` and
 * `{'$gen_consumer', {ProducerPid, Tag}, Events | {cancel, Reason}}`.
 *
 * On this node they travel as they are: options and reasons are values. On the wire options are a keyword list and
 * reasons are terms; {@link forWire} and the readers below go from one to the other.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Etf from "../../etf/EtfSchema.ts"
import * as ExitReason from "../../process/ExitReason.ts"
import * as Message from "../../process/Message.ts"
import * as Atom from "../../term/Atom.ts"
import type { Pid } from "../../term/Pid.ts"
import { isTerm, type Term } from "../../term/Term.ts"
import { Tuple } from "../../term/Tuple.ts"
import type { ConsumerOptions } from "../Dispatcher.ts"

/** The other side of a subscription and its tag: any term, chosen by the consumer. */
export type Party = readonly [pid: Pid, tag: Term]

/** What a consumer says to a producer. */
export type ProducerRequest =
  | { readonly _tag: "Subscribe"; readonly current: unknown; readonly options: unknown }
  | { readonly _tag: "Ask"; readonly count: number }
  | Cancel

/** The end of a subscription, in both directions. */
export interface Cancel {
  readonly _tag: "Cancel"
  readonly reason: unknown
}

export interface ToProducer {
  readonly from: Party
  readonly message: ProducerRequest
}

export interface ToConsumer {
  readonly from: Party
  readonly message: ReadonlyArray<unknown> | Cancel
}

const CancelSchema = Schema.TaggedStruct("Cancel", { reason: Schema.Unknown }).pipe(Etf.asMessage())
const PartySchema = Schema.Tuple([Etf.Pid, Etf.Term])

/** `{'$gen_producer', {ConsumerPid, Tag}, Request}`. */
export const toProducer: Message.Any = Message.Info("$gen_producer", {
  payload: {
    from: PartySchema,
    message: Schema.Union([
      Schema.TaggedStruct("Subscribe", { current: Schema.Unknown, options: Schema.Unknown }).pipe(Etf.asMessage()),
      Schema.TaggedStruct("Ask", { count: Schema.Int }).pipe(Etf.asMessage()),
      CancelSchema
    ])
  }
})

/** `{'$gen_consumer', {ProducerPid, Tag}, Events | {cancel, Reason}}`, with events of a schema. */
export const toConsumer = (event: Schema.Top): Message.Any =>
  Message.Info("$gen_consumer", {
    payload: { from: PartySchema, message: Schema.Union([Schema.Array(event), CancelSchema]) }
  })

// --- reasons ---------------------------------------------------------------------------------------------------------

const atoms = {
  normal: Atom.make("normal"),
  shutdown: Atom.make("shutdown"),
  kill: Atom.make("kill"),
  killed: Atom.make("killed"),
  noproc: Atom.make("noproc"),
  noconnection: Atom.make("noconnection")
}

const byName: ReadonlyMap<string, ExitReason.ExitReason> = new Map([
  ["normal", ExitReason.normal],
  ["shutdown", ExitReason.shutdown],
  ["kill", ExitReason.kill],
  ["killed", ExitReason.killed],
  ["noproc", ExitReason.noProc],
  ["noconnection", ExitReason.noConnection()]
])

/** What stages themselves answer, as GenStage spells it: atoms on the wire, text here. */
const answers: ReadonlySet<string> = new Set([
  "unknown_subscription",
  "duplicated_subscription",
  "not_a_producer",
  "malformed_message"
])

/** The reason of a cancellation, from this node or another one. */
export const readReason = (reason: unknown): ExitReason.ExitReason => {
  if (ExitReason.isExitReason(reason)) return reason
  if (reason instanceof Atom.Atom) {
    return byName.get(reason.name) ?? ExitReason.error(answers.has(reason.name) ? reason.name : reason)
  }
  if (reason instanceof Tuple && reason.arity === 2 && Atom.is(reason.elements[0], "shutdown")) {
    return ExitReason.shutdownWith(reason.elements[1])
  }
  return ExitReason.error(reason)
}

const encoder = new TextEncoder()
const termOr = (value: unknown, text: string): Term => isTerm(value) ? value : encoder.encode(text)

const reasonTerm = (reason: ExitReason.ExitReason): Term => {
  switch (reason._tag) {
    case "Normal":
      return atoms.normal
    case "Shutdown":
      return reason.detail === undefined
        ? atoms.shutdown
        : new Tuple([atoms.shutdown, termOr(reason.detail, ExitReason.format(reason))])
    case "Kill":
      return atoms.kill
    case "Killed":
      return atoms.killed
    case "NoProc":
      return atoms.noproc
    case "NoConnection":
      return atoms.noconnection
    case "Error":
      if (typeof reason.error === "string" && answers.has(reason.error)) return Atom.make(reason.error)
      return termOr(reason.error, ExitReason.format(reason))
  }
}

// --- options ---------------------------------------------------------------------------------------------------------

/** What of a subscription concerns the producer. */
export interface WireOptions extends ConsumerOptions<never> {
  readonly minDemand?: number | undefined
  readonly cancel?: string | undefined
}

const pair = (name: string, value: Term): Tuple => new Tuple([Atom.make(name), value])

const optionsTerm = (options: WireOptions): Term => {
  const list: Array<Term> = []
  if (options.maxDemand !== undefined) list.push(pair("max_demand", options.maxDemand))
  if (options.minDemand !== undefined) list.push(pair("min_demand", options.minDemand))
  if (options.cancel !== undefined) list.push(pair("cancel", Atom.make(options.cancel)))
  if (options.partition !== undefined) {
    list.push(
      pair("partition", typeof options.partition === "number" ? options.partition : Atom.make(options.partition))
    )
  }
  if (options.weight !== undefined) list.push(pair("weight", options.weight))
  return list
}

const decoder = new TextDecoder()

/** The options of a subscription: of this node as they are, of another one from its keyword list. */
export const readOptions = (options: unknown): ConsumerOptions<unknown> => {
  if (!Array.isArray(options)) return options instanceof Object && !isTerm(options) ? options : {}
  const known: { maxDemand?: number; partition?: number | string; weight?: number } = {}
  for (const item of options as ReadonlyArray<unknown>) {
    if (!(item instanceof Tuple) || item.arity !== 2 || !(item.elements[0] instanceof Atom.Atom)) continue
    const value = item.elements[1]
    switch (item.elements[0].name) {
      case "max_demand":
        if (typeof value === "number") known.maxDemand = value
        break
      case "weight":
        if (typeof value === "number") known.weight = value
        break
      case "partition":
        if (typeof value === "number") known.partition = value
        else if (value instanceof Atom.Atom) known.partition = value.name
        else if (value instanceof Uint8Array) known.partition = decoder.decode(value)
    }
  }
  return known
}

/** The subscription that a new one takes the place of: its tag, and why it ends. */
export interface Current {
  readonly tag: Term
  readonly reason: ExitReason.ExitReason
}

/** The subscription that is to end first, if any: a value of this node, or `nil` or `{Tag, Reason}`. */
export const readCurrent = (current: unknown): Current | undefined => {
  if (current instanceof Tuple) {
    return current.arity === 2 ? { tag: current.elements[0]!, reason: readReason(current.elements[1]) } : undefined
  }
  return current === undefined || isTerm(current) ? undefined : current as Current // there is no third form
}

/** A message in the form in which it leaves the node. */
export const forWire = <P extends ToProducer | ToConsumer>(payload: P): P => {
  const { message } = payload
  if (!("_tag" in message)) return payload
  switch (message._tag) {
    case "Cancel":
      return { ...payload, message: { _tag: "Cancel", reason: reasonTerm(readReason(message.reason)) } }
    case "Subscribe": {
      const current = readCurrent(message.current)
      return {
        ...payload,
        message: {
          _tag: "Subscribe",
          current: current === undefined ? Atom.nil : new Tuple([current.tag, reasonTerm(current.reason)]),
          options: optionsTerm(message.options as WireOptions) // made by this node
        }
      }
    }
    default:
      return payload
  }
}

/** A term that is one of these messages by its head, and was not understood: from whom it is. */
export const malformedFrom = (term: unknown): { readonly party: Party; readonly toConsumer: boolean } | undefined => {
  if (!(term instanceof Tuple) || term.arity !== 3) return undefined
  const [head, from] = term.elements
  const toConsumer = Atom.is(head, "$gen_consumer")
  if (!toConsumer && !Atom.is(head, "$gen_producer")) return undefined
  if (!(from instanceof Tuple) || from.arity !== 2 || !Schema.is(Etf.Pid)(from.elements[0])) return undefined
  return { party: [from.elements[0], from.elements[1]!], toConsumer }
}
