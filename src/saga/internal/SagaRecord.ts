/**
 * What a durable saga writes to its journal, and what can be read out of it again.
 *
 * A run begins, starts and ends steps, decides to go back, takes steps back, and ends; its last record takes the place of all
 * others.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Etf from "../../etf/EtfSchema.ts"

const Bytes = Schema.Uint8Array

/** How a run ended. */
export type Ended =
  | { readonly _tag: "Completed"; readonly value: Uint8Array }
  | { readonly _tag: "Failed"; readonly error: Uint8Array }
  | { readonly _tag: "RolledBack"; readonly detail: string }

export type Record =
  | { readonly _tag: "Begun"; readonly payload: Uint8Array }
  | { readonly _tag: "Started"; readonly step: string; readonly name: string; readonly input: Uint8Array }
  | { readonly _tag: "StepDone"; readonly step: string; readonly value: Uint8Array }
  /** The step's own word that it has done nothing. */
  | { readonly _tag: "StepFailed"; readonly step: string; readonly error: Uint8Array }
  /** From here on there is no way but back. The error is that of the saga, when it was typed. */
  | { readonly _tag: "Back"; readonly error: Uint8Array | undefined; readonly detail: string }
  | { readonly _tag: "Compensated"; readonly step: string }
  | Ended

export const Record: Schema.Codec<Record, unknown> = Schema.Union([
  Schema.TaggedStruct("Begun", { payload: Bytes }),
  Schema.TaggedStruct("Started", { step: Schema.String, name: Schema.String, input: Bytes }),
  Schema.TaggedStruct("StepDone", { step: Schema.String, value: Bytes }),
  Schema.TaggedStruct("StepFailed", { step: Schema.String, error: Bytes }),
  Schema.TaggedStruct("Back", { error: Schema.UndefinedOr(Bytes), detail: Schema.String }),
  Schema.TaggedStruct("Compensated", { step: Schema.String }),
  Schema.TaggedStruct("Completed", { value: Bytes }),
  Schema.TaggedStruct("Failed", { error: Bytes }),
  Schema.TaggedStruct("RolledBack", { detail: Schema.String })
])

/** A step as the journal knows it. */
export interface StepRecord {
  readonly step: string
  readonly name: string
  readonly input: Uint8Array
  outcome: Extract<Record, { readonly _tag: "StepDone" | "StepFailed" }> | undefined
  compensated: boolean
}

/** A run as the journal knows it. */
export interface RunRecord {
  payload: Uint8Array
  /** In the order in which they were started. */
  readonly steps: Map<string, StepRecord>
  back: Extract<Record, { readonly _tag: "Back" }> | undefined
  ended: Ended | undefined
}

/** The runs of a book, by their ids. */
export const read = (
  entries: ReadonlyArray<{ readonly key: string; readonly value: Record }>
): Map<string, RunRecord> => {
  const runs = new Map<string, RunRecord>()
  for (const { key, value } of entries) {
    let run = runs.get(key)
    if (run === undefined) {
      runs.set(key, run = { payload: new Uint8Array(), steps: new Map(), back: undefined, ended: undefined })
    }
    apply(run, value)
  }
  return runs
}

/** A record more. */
export const apply = (run: RunRecord, record: Record): void => {
  switch (record._tag) {
    case "Begun":
      run.payload = record.payload
      break
    case "Started":
      run.steps.set(record.step, { ...record, outcome: undefined, compensated: false })
      break
    case "StepDone":
    case "StepFailed":
      run.steps.get(record.step)!.outcome = record
      break
    case "Back":
      run.back = record
      break
    case "Compensated":
      run.steps.get(record.step)!.compensated = true
      break
    default:
      run.ended = record
  }
}

type Codec = ReturnType<typeof Etf.compile<unknown, unknown>>

const codecs = new WeakMap<Schema.Top, Codec>()

/** The codec of a schema, made once. */
const codecOf = (schema: Schema.Top): Codec => {
  let codec = codecs.get(schema)
  // Schemas of steps need no services: the journal has none to give.
  if (codec === undefined) codecs.set(schema, codec = Etf.compile(schema as unknown as Schema.Codec<unknown, unknown>))
  return codec
}

/** The bytes of a value. One that its schema refuses is a defect, as it is of a message. */
export const encode = (schema: Schema.Top, value: unknown): Uint8Array =>
  Result.getOrThrow(codecOf(schema).encode(value))

/** The value of bytes. A schema that does not know them any more is a defect: the definition has changed under a run. */
export const decode = (schema: Schema.Top, bytes: Uint8Array): unknown =>
  Result.getOrThrow(codecOf(schema).decode(bytes))
