/**
 * Random supervision trees, as declarations that hang together: for tests of plans and of what is rendered from them.
 */
import { Schema } from "effect"
import type { Declaration, Kind } from "../../src/cli/internal/NewDeclaration.ts"

/** One declaration to be: `pick` chooses its parent and its parameters among those that are possible by then. */
export const Step = Schema.Struct({
  kind: Schema.Literals([
    "app",
    "sup",
    "server",
    "pool",
    "dynamic",
    "tcp",
    "udp",
    "web",
    "stage",
    "raft",
    "saga",
    "message"
  ]),
  pick: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9999 })),
  word: Schema.Literals(["order", "stock", "till", "lamp", "desk", "river"]),
  style: Schema.Literals(["-", "_", ""])
})

/** @since 0.1.0 */
export type Step = typeof Step.Type

/** The steps of a tree. */
export const Steps = Schema.Array(Step).check(Schema.isMaxLength(14))

interface Declared {
  readonly kind: Kind
  readonly name: string
  readonly app: string
}

const parameters: { readonly [K in Kind]: ReadonlyArray<string> } = {
  app: ["type:transient", "type:temporary"],
  sup: ["strategy:one_for_all", "strategy:rest_for_one,intensity:3,period:10", "intensity:0", "restart:transient"],
  server: ["restart:transient,shutdown:2", "restart:temporary"],
  pool: ["size:2", "size:3,strategy:least_loaded"],
  dynamic: ["max:7", "restart:transient"],
  tcp: ["framing:length", "framing:lines,restart:transient"],
  udp: ["handlers:2"],
  web: ["handlers:3,restart:transient"],
  stage: ["restart:transient"],
  raft: ["restart:transient"],
  saga: ["restart:transient"],
  message: [
    "kind:cast",
    "n:int,reply:int",
    "text:string",
    "kind:info,flag:boolean",
    "reply:string",
    "x:number,reply:boolean"
  ]
}

const chosen = <A>(list: ReadonlyArray<A>, pick: number): A | undefined => list[pick % list.length]

/** Declarations that make a plan: names that are new, parents and stages that were declared before. */
export const declarations = (steps: ReadonlyArray<Step>): ReadonlyArray<Declaration> => {
  const declared: Array<Declared> = []
  return steps.flatMap(({ kind, pick, style, word }, i): ReadonlyArray<Declaration> => {
    const name = `${word}${style}${style === "" ? "Part" : "part"}${style}n${i}`
    const given = pick % 3 === 0 ? undefined : chosen(parameters[kind], pick)
    if (kind === "message") {
      const server = chosen(declared.filter(({ kind }) => ["server", "pool", "dynamic"].includes(kind)), pick)
      return server === undefined ? [] : [{ kind, text: `${server.name}:${name}{${given ?? ""}}` }]
    }
    if (kind === "app") {
      const needed = pick % 2 === 0 ? undefined : chosen(declared.filter(({ kind }) => kind === "app"), pick)
      declared.push({ kind, name, app: name })
      const all = [given, needed === undefined ? undefined : `needs:${needed.name}`].filter((one) => one !== undefined)
      return [{ kind, text: all.length === 0 ? name : `${name}{${all.join(",")}}` }]
    }
    const parent = chosen(declared.filter(({ kind }) => kind === "app" || kind === "sup"), pick)
    const app = parent?.app ?? "implied"
    // A stage reads from one that is started before it: the last one that was declared in the same supervisor.
    const place = kind === "stage" ? `${app} ${parent?.name}` : app
    const other = pick % 2 === 0 && (kind === "stage" || kind === "saga")
      ? declared.findLast((one) => one.kind === kind && one.app === place)
      : undefined
    declared.push({ kind, name, app: place })
    const all = [given, other === undefined ? undefined : `${kind === "stage" ? "from" : "next"}:${other.name}`]
      .filter((one) => one !== undefined)
    return [{
      kind,
      text: `${parent === undefined ? "" : `${parent.name}:`}${name}${all.length === 0 ? "" : `{${all.join(",")}}`}`
    }]
  })
}
