/**
 * Random terms from a seed, for tests. The same seed gives the same terms on every machine.
 */
import {
  Atom,
  BitString,
  ErlMap,
  Float,
  Fun,
  ImproperList,
  Pid,
  Port,
  Reference,
  type Term,
  Tuple
} from "../../src/term/index.ts"

/** A small deterministic generator of numbers in [0, 1). */
export const makeRandom = (seed: number): () => number => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

export interface RandomTermOptions {
  /** Node and creation of identifiers; one of these is chosen each time. */
  readonly nodes?: ReadonlyArray<readonly [node: string, creation: number]>
  /** Whether pids, ports, references and funs may appear. Default true. */
  readonly identifiers?: boolean
  /** Whether closures may appear. */
  readonly funs?: boolean
  /** Whether -0.0 may appear: Erlang before 27 takes it for 0.0. */
  readonly negativeZero?: boolean
}

const boundaries: ReadonlyArray<bigint> = [27n, 28n, 31n, 32n, 53n, 59n, 60n, 63n, 64n, 128n, 2040n].flatMap((bits) => {
  const power = 1n << bits
  return [power - 1n, power, power + 1n]
})

const atomNames = [
  "ok",
  "error",
  "true",
  "false",
  "nil",
  "undefined",
  "",
  "Hello",
  "hello world",
  "a@b",
  "$gen_call",
  "it's",
  "back\\slash",
  "é",
  "ß",
  "÷",
  "ÿ",
  "жук",
  "日本",
  "😀",
  "line\nbreak",
  "after",
  "maybe",
  "fun",
  "x1",
  "X",
  "_",
  "9",
  "a.b",
  "\u007f",
  "\u00a0"
]

/** A generator of terms. */
export const makeRandomTerm = (random: () => number, options: RandomTermOptions = {}): (size?: number) => Term.Term => {
  const nodes = options.nodes ?? [["nonode@nohost", 0]]
  const int = (n: number): number => Math.floor(random() * n)
  const pick = <A>(items: ReadonlyArray<A>): A => items[int(items.length)]!
  const many = <A>(n: number, f: () => A): Array<A> => Array.from({ length: n }, f)
  const bytes = (n: number): Uint8Array => Uint8Array.from(many(n, () => int(256)))
  const text = (n: number): Array<number> => many(n, () => 32 + int(95))
  const atom = (): Atom.Atom =>
    random() < 0.7 ? Atom.make(pick(atomNames)) : Atom.make(String.fromCharCode(...text(int(12))))
  const integer = (): number | bigint => {
    switch (int(6)) {
      case 0:
        return int(256)
      case 1:
        return int(0x100000000) - 0x80000000
      case 2:
        return (random() < 0.5 ? -1 : 1) * Math.floor(random() * Number.MAX_SAFE_INTEGER)
      case 3: {
        const value = random() < 0.5 ? pick(boundaries) : -pick(boundaries)
        return BigInt.asIntN(53, value) === value ? Number(value) : value
      }
      case 4: {
        const digits = many(17 + int(40), () => int(16).toString(16)).join("")
        return (random() < 0.5 ? -1n : 1n) * BigInt(`0x1${digits}`)
      }
      default:
        return int(10)
    }
  }
  const float = (): number | Float.Float => {
    const view = new DataView(new ArrayBuffer(8))
    for (;;) {
      let value: number
      switch (int(4)) {
        case 0:
          value = int(1000) / pick([1, 2, 4, 8, 10, 100, 1000])
          break
        case 1:
          value = pick([0, 1, -1, 0.1, 1e22, 1e23, 9007199254740992, 9007199254740991, 5e-324, 1.7976931348623157e308])
          break
        case 2:
          value = (random() - 0.5) * 10 ** (int(40) - 20)
          break
        default:
          for (let i = 0; i < 8; i++) view.setUint8(i, int(256))
          value = view.getFloat64(0)
      }
      if (Number.isFinite(value) && (options.negativeZero === true || !Object.is(value, -0))) return Float.term(value)
    }
  }
  const term = (size: number): Term.Term => {
    const leaf = size <= 0
    switch (int(leaf ? 11 : 18)) {
      case 0:
      case 1:
        return integer()
      case 2:
        return float()
      case 3:
      case 4:
        return atom()
      case 5:
        return random() < 0.5 ? bytes(int(12)) : Uint8Array.from(text(int(12)))
      case 6:
        return BitString.make(bytes(1 + int(4)), 1 + int(8))
      case 7:
        return random() < 0.5 ? text(int(10)) : many(int(10), () => int(256))
      case 8: {
        if (options.identifiers === false) return integer()
        const [node, creation] = pick(nodes)
        switch (int(3)) {
          case 0:
            return new Pid.Pid(node, int(32768), int(8), creation)
          case 1:
            return new Port.Port(node, BigInt(int(0xfffff)), creation)
          default:
            return new Reference.Reference(node, creation, [1 + int(0x3ffff), 1 + int(0xffffffff), 1 + int(0xffffffff)])
        }
      }
      case 9:
        if (options.identifiers === false) return atom()
        return new Fun.ExportFun(
          Atom.make(pick(["lists", "A b", "fun", "x@y"])),
          Atom.make(pick(["map", "it's", "try"])),
          int(256)
        )
      case 10:
        return pick<() => Term.Term>([() => [], () => Tuple.make(), () => ErlMap.empty, () => new Uint8Array(0)])()
      case 11:
      case 12:
        return Tuple.fromArray(many(int(5), () => term(size - 1 - int(2))))
      case 13:
      case 14:
        return many(int(6), () => term(size - 1 - int(2)))
      case 15:
        return ImproperList.make(many(int(4), () => term(size - 2)), term(size - 2))
      case 16:
        return ErlMap.make(many(int(random() < 0.1 ? 60 : 6), () => [term(size - 2), term(size - 2)] as const))
      default:
        if (options.funs !== true) return ErlMap.make(many(int(40), () => [integer(), term(size - 2)] as const))
        return new Fun.Fun({
          arity: int(4),
          uniq: bytes(16),
          index: int(100),
          module: atom(),
          oldIndex: int(100),
          oldUniq: int(0x7ffffff),
          pid: new Pid.Pid("other@host", int(100), 0, 7),
          free: many(int(3), () => term(size - 2))
        })
    }
  }
  return (size = 4) => term(size)
}
