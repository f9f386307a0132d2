/**
 * The terms of the benchmarks and the schemas of their typed forms, the same ones as in `bench_etf.erl`.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Etf } from "../../src/etf/index.ts"
import { Atom, ErlMap, ImproperList, Pid, Reference, type Term, Tuple } from "../../src/term/index.ts"

const atom = (name: string): Atom.Atom => Atom.make(name)
const tuple = (...elements: Array<Term.Term>): Tuple.Tuple => Tuple.make(...elements)
const binary = (text: string): Uint8Array => new TextEncoder().encode(text)
const numbers = (count: number): Array<number> => Array.from({ length: count }, (_, i) => i + 1)

const name = "shop@127.0.0.1"
const pid = new Pid.Pid(name, 1234, 0, 1_700_000_000)
const ref = new Reference.Reference(name, 1_700_000_000, [262_143, 12_345_678, 87_654_321])

/** `{'$gen_call', {Pid, [alias | Ref]}, {add, 1}}`: what every call sends. */
const genCall = tuple(atom("$gen_call"), tuple(pid, ImproperList.make([atom("alias")], ref)), tuple(atom("add"), 1))

/** Twenty keys, a quarter of the values each of integers, floats, binaries and atoms. */
const map20 = ErlMap.make(
  numbers(20).map((i): [Term.Term, Term.Term] => [
    atom(`key_${i}`),
    [i * 1000, i + 0.5, binary(`the value ${i}`), atom(i % 8 === 3 ? "true" : "false")][i % 4]!
  ])
)

const fieldOf = (i: number) => [Schema.Int, Schema.Number, Schema.String, Schema.Boolean][i % 4]!

class Map20 extends Schema.Class<Map20>("Map20")(
  Object.fromEntries(numbers(20).map((i) => [`key_${i}`, fieldOf(i)]))
) {}

/** The typed form of a call: who calls, and the request as a record. */
class GenCall extends Schema.Class<GenCall>("GenCall")({
  from: Schema.Tuple([Etf.Pid, Etf.Term]),
  request: Etf.Record("add", { n: Schema.Int })
}, { etf: { _tag: "Record", name: "$gen_call" } }) {}

const Proplist100 = Etf.Proplist(Object.fromEntries(numbers(100).map((i) => [`key_${i}`, Schema.Int])))

/** One term: its name in the rows, and the schema of its typed form. */
export interface Sample {
  readonly name: string
  readonly term: Term.Term
  readonly schema: Schema.Codec<unknown, unknown>
}

const sample = <A, I>(name: string, term: Term.Term, schema: Schema.Codec<A, I>): Sample => ({
  name,
  term,
  schema: schema as unknown as Schema.Codec<unknown, unknown> // what is decoded is what is encoded again
})

/** All of them. */
export const samples: ReadonlyArray<Sample> = [
  sample("gen_call", genCall, GenCall),
  sample("map20", map20, Map20),
  sample("list1000", numbers(1000).map((i) => i * 7), Schema.Array(Schema.Int)),
  sample("proplist100", numbers(100).map((i) => tuple(atom(`key_${i}`), i * 7)), Proplist100),
  sample("binary64k", new Uint8Array(65_536).fill(7), Schema.Uint8Array)
]
