/**
 * The group `etf`: bytes to terms and back, and bytes to values of a schema and back, beside `binary_to_term/1` and
 * `term_to_binary/1`. Binaries are copied out of the input on both sides.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { Decoder, Encoder, Etf } from "../../src/etf/index.ts"
import { Term } from "../../src/term/index.ts"
import {
  type Benchmark,
  calibrated,
  type Group,
  ratio,
  type Row,
  type Target,
  type Values
} from "../harness/Benchmark.ts"
import { type Sample, samples } from "./Terms.ts"

const nanosEach = (count: number, f: () => unknown): number => {
  let last: unknown
  const start = performance.now()
  for (let i = 0; i < count; i++) last = f()
  const total = performance.now() - start
  if (last === undefined) throw new Error("nothing came out")
  return total * 1e6 / count
}

const check = (sample: Sample): { readonly bytes: Uint8Array; readonly value: unknown } => {
  const bytes = Encoder.make().encodeUnsafe(sample.term)
  const typed = Etf.compile(sample.schema)
  const value = Result.getOrThrow(typed.decode(bytes))
  const back = Result.getOrThrow(typed.encode(value))
  if (!Term.equals(Decoder.make().decodeUnsafe(back), sample.term)) throw new Error(`${sample.name} changed on its way`)
  return { bytes, value }
}

const benchmarkOf = (sample: Sample): Benchmark => {
  const { name, schema, term } = sample
  const { bytes, value } = check(sample)
  const decoder = Decoder.make()
  const encoder = Encoder.make()
  const typed = Etf.compile(schema)
  const row = (what: string, erlang: string, target?: Target): Row => ({
    name: `etf_${name}_${what}`,
    unit: "ns",
    erlang,
    ...(target === undefined ? {} : { target })
  })
  const isCall = name === "gen_call"
  return {
    rows: [
      row("decode", "decode", isCall ? ratio(0.6, 1) : undefined),
      row("encode", "encode", isCall ? ratio(0.9, 1) : undefined),
      row("decode_typed", "decode"),
      row("encode_typed", "encode")
    ],
    module: `bench_etf_${name}`,
    count: calibrated(20, 2_000_000),
    ours: (count): Promise<Values> =>
      Promise.resolve({
        [`etf_${name}_decode`]: nanosEach(count, () => decoder.decodeUnsafe(bytes)),
        [`etf_${name}_encode`]: nanosEach(count, () => encoder.encodeUnsafe(term)),
        [`etf_${name}_decode_typed`]: nanosEach(count, () => Result.getOrThrow(typed.decode(bytes))),
        [`etf_${name}_encode_typed`]: nanosEach(count, () => Result.getOrThrow(typed.encode(value)))
      })
  }
}

/** Loads the group. */
export const load = (): Group => ({
  name: "etf",
  sources: new URL("../erlang/", import.meta.url),
  benchmarks: samples.map(benchmarkOf),
  close: () => Promise.resolve()
})
