/**
 * The pieces of a supervision tree as they are written on the command line: `Parent:Child{param:value,...}`.
 *
 * A declaration is read here and its own words are checked: the syntax, the name, which parameters its kind has and what
 * their values are. What it has to do with other declarations is the business of the plan.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { NewError } from "./NewError.ts"

/** What can be declared. */
export type Kind =
  | "app"
  | "sup"
  | "server"
  | "pool"
  | "dynamic"
  | "tcp"
  | "udp"
  | "web"
  | "stage"
  | "raft"
  | "saga"
  | "message"

/** All kinds, in the order in which the help shows them. */
export const kinds: ReadonlyArray<Kind> = [
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
]

/** A flag and its text, as it was written. */
export interface Declaration {
  readonly kind: Kind
  readonly text: string
}

/** A declaration that was read. `parameters` has those that were given, and the standards of the others. */
export interface Read {
  readonly kind: Kind
  readonly parent: string | undefined
  readonly name: string
  readonly parameters: { readonly [name: string]: string }
  /** What to call it in errors: `--server shop:stock`. */
  readonly written: string
}

// --- names -----------------------------------------------------------------------------------------------------------

const namePattern = /^[A-Za-z][A-Za-z0-9]*([-_][A-Za-z0-9]+)*$/
const longestName = 40

/** `order-book`, `order_book` and `orderBook` in words. */
const words = (name: string): ReadonlyArray<string> =>
  name.replace(/([a-z0-9])([A-Z])/g, "$1-$2").split(/[-_]/).map((word) => word.toLowerCase())

const capitalized = (word: string): string => word.slice(0, 1).toUpperCase() + word.slice(1)

/** `OrderBook`: classes, constants and files. */
export const pascal = (name: string): string => words(name).map(capitalized).join("")

/** `orderBook`: keys. */
export const camel = (name: string): string => {
  const all = pascal(name)
  return all.slice(0, 1).toLowerCase() + all.slice(1)
}

/** `order_book`: what a process is registered as. */
export const snake = (name: string): string => words(name).join("_")

/** `order-book`: folders. */
export const kebab = (name: string): string => words(name).join("-")

/** What is wrong with a name; undefined when nothing is. */
export const nameProblem = (name: string): string | undefined =>
  !namePattern.test(name)
    ? `${
      JSON.stringify(name)
    } is no name: letters and digits, beginning with a letter, with single - or _ between words`
    : name.length > longestName
    ? `${name} is too long for a name: at most ${longestName} characters`
    : undefined

// --- parameters ------------------------------------------------------------------------------------------------------

interface Parameter {
  /** For errors: what values there are. */
  readonly values: string
  readonly standard?: string
  readonly isValid: (text: string) => boolean
}

const choice = (...values: readonly [standard: string, ...ReadonlyArray<string>]): Parameter => ({
  values: `it is one of ${values.join(", ")}`,
  standard: values[0],
  isValid: (text) => values.includes(text)
})

const integer = (from: number, to: number, standard?: number): Parameter => ({
  values: `it is an integer from ${from} to ${to}`,
  isValid: (text) => /^\d{1,9}$/.test(text) && Number(text) >= from && Number(text) <= to,
  ...(standard === undefined ? {} : { standard: String(standard) })
})

const name: Parameter = { values: "it is a name", isValid: (text) => nameProblem(text) === undefined }

const names: Parameter = {
  values: "it is one name, or more with + between them",
  isValid: (text) => text.split("+").every((part) => nameProblem(part) === undefined)
}

const restart = choice("permanent", "transient", "temporary")
const shutdown = integer(1, 3600, 5)
const port = integer(1, 65_535)

/** The parameters of each kind. Those of OTP have its standards. */
const parameters: { readonly [K in Exclude<Kind, "message">]: { readonly [name: string]: Parameter } } = {
  app: { type: choice("permanent", "transient", "temporary"), needs: names },
  sup: {
    strategy: choice("one_for_one", "one_for_all", "rest_for_one"),
    intensity: integer(0, 1_000_000, 1),
    period: integer(1, 86_400, 5),
    restart
  },
  server: { restart, shutdown },
  pool: { size: integer(1, 10_000, 4), strategy: choice("round_robin", "least_loaded"), restart },
  dynamic: { max: integer(1, 1_000_000), restart: choice("permanent", "transient", "temporary") },
  tcp: { port, framing: choice("lines", "length"), restart },
  udp: { port, handlers: integer(1, 1000, 4), restart },
  web: { port, handlers: integer(1, 10_000, 8), restart },
  stage: { from: name, restart },
  raft: { restart },
  saga: { next: name, restart }
}

/** The types of fields. */
export type FieldType = "string" | "int" | "number" | "boolean"

/** The schemas of the types. */
export const fieldTypes: { readonly [T in FieldType]: string } = {
  string: "String",
  int: "Int",
  number: "Finite",
  boolean: "Boolean"
}

const fieldType: Parameter = {
  values: `it is one of ${Object.keys(fieldTypes).join(", ")}`,
  isValid: (text) => Object.hasOwn(fieldTypes, text)
}

const messageParameters: { readonly [name: string]: Parameter } = {
  kind: choice("call", "cast", "info"),
  reply: fieldType
}

/** Of a message, every other parameter is a field. */
const parameterOf = (kind: Kind, name: string): Parameter | undefined =>
  kind !== "message"
    ? Object.hasOwn(parameters[kind], name) ? parameters[kind][name] : undefined
    : Object.hasOwn(messageParameters, name)
    ? messageParameters[name]
    : /^[a-z][A-Za-z0-9]*$/.test(name)
    ? fieldType
    : undefined

const parametersOf = (kind: Kind): { readonly [name: string]: Parameter } =>
  kind === "message" ? messageParameters : parameters[kind]

// --- reading ---------------------------------------------------------------------------------------------------------

const failed = (reason: NewError["reason"], detail: string): Result.Result<never, NewError> =>
  Result.fail(new NewError({ reason, detail }))

const pattern = /^(?:([^:{}]*):)?([^:{}]*)(?:\{([^{}]*)\})?$/

const syntax = (kind: Kind): string =>
  kind === "message"
    ? "Server:Message{field:type,...}"
    : kind === "app"
    ? "Name{parameter:value,...}"
    : "Parent:Name{parameter:value,...}"

const readParameters = (
  kind: Kind,
  text: string,
  written: string
): Result.Result<Read["parameters"], NewError> => {
  const given = new Map<string, string>()
  for (const part of text.split(",").map((part) => part.trim()).filter((part) => part !== "")) {
    const colon = part.indexOf(":")
    const key = part.slice(0, colon).trim()
    const value = part.slice(colon + 1).trim()
    if (colon < 1 || value === "") {
      return failed("Syntax", `${written}: ${JSON.stringify(part)} is no parameter: write parameter:value`)
    }
    const parameter = parameterOf(kind, key)
    if (parameter === undefined) {
      const known = Object.keys(parametersOf(kind)).join(", ")
      return failed(
        "UnknownParameter",
        kind === "message"
          ? `${written}: ${
            JSON.stringify(key)
          } is no field: a letter in lower case, then letters and digits (or: ${known})`
          : `${written}: there is no parameter ${JSON.stringify(key)}; there are: ${known}`
      )
    }
    if (given.has(key)) return failed("Syntax", `${written}: ${key} is given twice`)
    if (!parameter.isValid(value)) {
      return failed("InvalidValue", `${written}: ${key} cannot be ${JSON.stringify(value)}: ${parameter.values}`)
    }
    given.set(key, value)
  }
  for (const [key, { standard }] of Object.entries(parametersOf(kind))) {
    if (standard !== undefined && !given.has(key)) given.set(key, standard)
  }
  return Result.succeed(Object.fromEntries(given))
}

/** Reads a declaration. */
export const read = ({ kind, text }: Declaration): Result.Result<Read, NewError> => {
  const match = pattern.exec(text.trim())
  if (match === null) {
    return failed(
      "Syntax",
      `--${kind} ${JSON.stringify(text)} is not ${
        syntax(kind)
      }. Put quotes around it: shells have their own ideas about braces`
    )
  }
  const [, before, own = "", inside = ""] = match
  const parent = before?.trim()
  const name = own.trim()
  const written = `--${kind} ${parent === undefined ? "" : `${parent}:`}${name}`
  const problem = nameProblem(name) ?? (parent === undefined ? undefined : nameProblem(parent))
  if (problem !== undefined) return failed("InvalidName", `${written}: ${problem}`)
  if (parent !== undefined && kind === "app") {
    return failed(
      "UnknownParent",
      `${written}: an application has no parent; what it needs is said with {needs:${parent}}`
    )
  }
  if (parent === undefined && kind === "message") {
    return failed("UnknownParent", `${written}: a message belongs to a server or a pool: --message Server:${name}`)
  }
  return Result.map(
    readParameters(kind, inside, written),
    (parameters): Read => ({ kind, parent, name, parameters, written })
  )
}
