/**
 * What other nodes may call by `erpc`, `rpc` and `rex`, and start as processes. There is nothing else: every other name is
 * undefined.
 */
import { Effect, Layer, Result, Schema } from "effect"
import { Node, Process } from "effect-otp"
import { GroupLeader, RemoteSpawn, Rpc } from "effect-otp/dist"
import { Etf } from "effect-otp/etf"
import { Atom, Float, ImproperList, type Term } from "effect-otp/term"
import { plain } from "./Plain.ts"
import { tagged } from "./Terms.ts"

const module = "effect_otp"

const isInteger = (term: Term.Term): term is number | bigint =>
  typeof term === "bigint" || (typeof term === "number" && Number.isInteger(term))

const isNumber = (term: Term.Term): term is number | bigint | Float.Float =>
  typeof term === "number" || typeof term === "bigint" || Float.isFloat(term)

/** The sum as Erlang has it: integers stay integers of any size, and a float makes a float. */
const sum = (a: Term.Term, b: Term.Term): Effect.Effect<Term.Term> => {
  const badarith = Rpc.raise(Atom.make("badarith"))
  if (isInteger(a) && isInteger(b)) {
    const total = BigInt(a) + BigInt(b)
    return Effect.succeed(Number.isSafeInteger(Number(total)) ? Number(total) : total)
  }
  if (!isNumber(a) || !isNumber(b)) return badarith
  const total = Number(a) + Number(b)
  return Number.isFinite(total) ? Effect.succeed(Float.term(total)) : badarith
}

const utf8 = new TextDecoder("utf-8", { fatal: true })

/** The text of Erlang's `unicode:chardata()`: code points, binaries in UTF-8, and lists of these. */
const textOf = (chars: Term.Term): Result.Result<string, string> => {
  let text = ""
  const waiting: Array<Term.Term> = [chars]
  while (waiting.length > 0) {
    const next = waiting.pop()!
    if (typeof next === "number" && Number.isInteger(next) && next >= 0 && next <= 0x10ffff) {
      text += String.fromCodePoint(next)
    } else if (next instanceof Uint8Array) {
      const part = Result.try({ try: () => utf8.decode(next), catch: () => "a binary that is not UTF-8" })
      if (Result.isFailure(part)) return part
      text += part.success
    } else if (Array.isArray(next)) {
      for (let i = next.length - 1; i >= 0; i--) waiting.push(next[i])
    } else if (ImproperList.isImproperList(next)) waiting.push(next.tail, [...next.elements])
    else return Result.fail("neither a character nor a list of them")
  }
  return Result.succeed(text)
}

const badarg = Rpc.raise(Atom.make("badarg"))

const Ms = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

/** The functions: on every node on which this layer is built. */
export const FunctionsLive = Layer.mergeAll(
  Rpc.layer(Rpc.make(module, "add", { args: [Etf.Term, Etf.Term], success: Etf.Term }), sum),
  Rpc.layer(Rpc.make(module, "echo", { args: [Etf.Term], success: Etf.Term }), (term) => term),
  Rpc.layer(Rpc.make(module, "crash"), () => Rpc.raise(Atom.make("effect_otp_crash"))),
  Rpc.layer(Rpc.make(module, "throw", { args: [Etf.Term] }), (value) => Rpc.throw_(value)),
  Rpc.layer(Rpc.make(module, "exit", { args: [Etf.Term] }), (reason) => Rpc.exit(reason)),
  Rpc.layer(Rpc.make(module, "sleep", { args: [Ms] }), (ms) => Effect.sleep(ms)),
  Rpc.layer(Rpc.make(module, "print", { args: [Etf.Term] }), (chars) =>
    Result.match(textOf(chars), {
      onFailure: () => badarg,
      onSuccess: (text) => Effect.orDie(GroupLeader.print(text))
    })),
  Rpc.layer(
    Rpc.make("lists", "reverse", { args: [Schema.Array(Etf.Term)], success: Schema.Array(Etf.Term) }),
    (list) => list.toReversed()
  ),
  Rpc.layer(
    Rpc.make("net_adm", "ping", { args: [Etf.AtomName], success: Schema.Literals(["pong", "pang"]) }),
    (node) => Node.ping(node)
  ),
  Layer.effectDiscard(
    RemoteSpawn.provide(RemoteSpawn.entry(module, "proc", [Etf.Pid]), ([owner], mailbox) =>
      Effect.gen(function*() {
        yield* Process.send(owner, tagged("started", yield* Process.self, owner))
        return yield* plain(mailbox)
      }))
  )
)
