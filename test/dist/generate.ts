/**
 * Values from a seed, and properties over them. A failure names the seed that repeats it.
 */
import { makeRandom } from "../term/randomTerm.ts"

/** Makes a value out of chance. */
export class Arbitrary<out A> {
  readonly make: (random: () => number) => A

  constructor(make: (random: () => number) => A) {
    this.make = make
  }

  map<B>(f: (a: A) => B): Arbitrary<B> {
    return new Arbitrary((random) => f(this.make(random)))
  }

  filter(predicate: (a: A) => boolean): Arbitrary<A> {
    return new Arbitrary((random) => {
      for (let i = 0; i < 1000; i++) {
        const value = this.make(random)
        if (predicate(value)) return value
      }
      throw new Error("a filter that nothing passes")
    })
  }
}

type ValueOf<T> = T extends Arbitrary<infer A> ? A : never

export const integer = (options: { readonly min: number; readonly max: number }): Arbitrary<number> =>
  new Arbitrary((random) => {
    const { max, min } = options
    // The ends come often.
    const pick = random()
    return pick < 0.1 ? min : pick < 0.2 ? max : min + Math.floor(random() * (max - min + 1))
  })

export const nat = (max: number): Arbitrary<number> => new Arbitrary((random) => Math.floor(random() * (max + 1)))

export const bigInt = (options: { readonly min: bigint; readonly max: bigint }): Arbitrary<bigint> =>
  new Arbitrary((random) => {
    const { max, min } = options
    const pick = random()
    if (pick < 0.1) return min
    if (pick < 0.2) return max
    let value = 0n
    const bits = Math.floor(random() * 66)
    for (let i = 0; i < bits; i++) value = value * 2n + (random() < 0.5 ? 1n : 0n)
    return min + value % (max - min + 1n)
  })

export const boolean = (): Arbitrary<boolean> => new Arbitrary((random) => random() < 0.5)

export const constant = <const A>(value: A): Arbitrary<A> => new Arbitrary(() => value)

export const constantFrom = <const A>(...values: ReadonlyArray<A>): Arbitrary<A> =>
  new Arbitrary((random) => values[Math.floor(random() * values.length)]!)

export const oneof = <const Members extends ReadonlyArray<Arbitrary<unknown>>>(
  ...members: Members
): Arbitrary<ValueOf<Members[number]>> =>
  new Arbitrary((random) => members[Math.floor(random() * members.length)]!.make(random) as ValueOf<Members[number]>)

export const array = <A>(
  item: Arbitrary<A>,
  options?: { readonly minLength?: number; readonly maxLength?: number }
): Arbitrary<Array<A>> =>
  new Arbitrary((random) => {
    const min = options?.minLength ?? 0
    const length = min + Math.floor(random() * ((options?.maxLength ?? 10) - min + 1))
    return Array.from({ length }, () => item.make(random))
  })

export const uint8Array = (
  options?: { readonly minLength?: number; readonly maxLength?: number }
): Arbitrary<Uint8Array> => array(nat(255), options).map((bytes) => Uint8Array.from(bytes))

const characters = ["a", "b", "Z", "0", "_", " ", "'", "@", "é", "ß", "日", "🙂", "\n"]

export const string = (options?: { readonly minLength?: number; readonly maxLength?: number }): Arbitrary<string> =>
  array(constantFrom(...characters), options).map((parts) => parts.join(""))

export const record = <const Fields extends { readonly [key: string]: Arbitrary<unknown> }>(
  fields: Fields
): Arbitrary<{ readonly [K in keyof Fields]: ValueOf<Fields[K]> }> =>
  new Arbitrary((random) =>
    Object.fromEntries(Object.entries(fields).map(([key, field]) => [key, field.make(random)])) as {
      readonly [K in keyof Fields]: ValueOf<Fields[K]>
    }
  )

export const tuple = <const Items extends ReadonlyArray<Arbitrary<unknown>>>(
  ...items: Items
): Arbitrary<{ readonly [K in keyof Items]: ValueOf<Items[K]> }> =>
  new Arbitrary((random) =>
    items.map((item) => item.make(random)) as unknown as { readonly [K in keyof Items]: ValueOf<Items[K]> }
  )

/** Checks a property for many values. `EFFECT_OTP_SEED` repeats one run. */
export const check = <A>(
  arbitrary: Arbitrary<A>,
  property: (value: A) => void,
  options?: { readonly runs?: number }
): void => {
  const given = process.env["EFFECT_OTP_SEED"]
  const first = given === undefined ? 1 : Number(given)
  const runs = given === undefined ? options?.runs ?? 200 : 1
  for (let seed = first; seed < first + runs; seed++) {
    try {
      property(arbitrary.make(makeRandom(seed)))
    } catch (error) {
      throw new Error(`fails with EFFECT_OTP_SEED=${seed}`, { cause: error })
    }
  }
}
