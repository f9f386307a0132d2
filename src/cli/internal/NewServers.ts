/**
 * The files of servers, pools and dynamic servers: their protocols, what each message does, and tests. Pure.
 *
 * @since 0.1.0
 */
import { type FieldType, fieldTypes } from "./NewDeclaration.ts"
import type { Component, Field, Message } from "./NewPlan.ts"
import { file, quoted, record } from "./NewSource.ts"
import { type Files, suite, test, testCase } from "./NewTest.ts"

/** What a server understands for which no message was declared. */
const counting: ReadonlyArray<Message> = [
  { name: "Get", kind: "call", fields: [], reply: "int" },
  { name: "Add", kind: "cast", fields: [{ name: "n", type: "int" }] }
]

const schema = (type: FieldType): string => `Schema.${fieldTypes[type]}`

const kindOf = { call: "Call", cast: "Cast", info: "Info" } as const

const declared = ({ fields, kind, name, reply }: Message): string => {
  const options = record([
    [
      "payload",
      fields.length === 0 ? undefined : record(fields.map((field) => [field.name, schema(field.type)]), "  ")
    ],
    ["success", reply === undefined ? undefined : schema(reply)]
  ], "  ")
  return `Message.${kindOf[kind]}(${quoted(name)}${options === "{}" ? "" : `, ${options}`})`
}

/** The field that a call answers with. */
const echoed = ({ fields, reply }: Message): Field | undefined => fields.find(({ type }) => type === reply)

/** What a call answers that has nothing to give back. */
const answer = ({ name, reply }: Message, count: string): string =>
  reply === undefined ? "undefined" : reply === "string" ? quoted(name) : reply === "boolean" ? "true" : count

const handler = (message: Message): string => {
  const { kind, name } = message
  if (kind !== "call") return `${name}: (_, handled) => GenServer.next(handled + 1)`
  const echo = echoed(message)
  return echo === undefined
    ? `${name}: (_, handled) => GenServer.reply(${answer(message, "handled + 1")}, handled + 1)`
    : `${name}: (payload, handled) => GenServer.reply(payload.${echo.name}, handled + 1)`
}

const protocolAndServer = ({ identifier, messages }: Component): string => {
  const isCounting = messages.length === 0
  const handlers = isCounting
    ? ["Get: (_, count) => count", "Add: ({ n }, count) => GenServer.next(count + n)"]
    : messages.map(handler)
  return `
/** What may be said to it. */
export class ${identifier} extends Protocol.make(
  ${[quoted(identifier), ...(isCounting ? counting : messages).map(declared)].join(",\n  ")}
) {}

/** ${
    isCounting
      ? "Its state is a sum."
      : "Its state is how many messages it has handled. Yours goes here, and what the messages do."
  } */
export const ${identifier}Server = GenServer.make(${identifier}, {
  init: () => Effect.succeed(0),
  handlers: {
    ${handlers.join(",\n    ")}
  }
})
`
}

const examples: { readonly [T in FieldType]: string } = {
  string: quoted("text"),
  int: "2",
  number: "2.5",
  boolean: "false"
}

const said = ({ fields, name }: Message): string =>
  `${name}(${fields.length === 0 ? "" : record(fields.map((field) => [field.name, examples[field.type]]), "      ")})`

const serverTest = ({ identifier, messages }: Component): string => {
  if (messages.length === 0) {
    return `
const server = yield* GenServer.start(${identifier}Server)
yield* server.Add({ n: 2 })
yield* server.Add({ n: 3 })
assert.strictEqual(yield* server.Get(), 5)`
  }
  const steps = messages.map((message, i) => {
    if (message.kind !== "call") return `yield* server.${said(message)}`
    const echo = echoed(message)
    const expected = echo === undefined ? answer(message, String(i + 1)) : examples[echo.type]
    return `assert.strictEqual(yield* server.${said(message)}, ${expected})`
  })
  return [
    `const server = yield* GenServer.start(${identifier}Server)`,
    ...steps,
    `assert.strictEqual(yield* GenServer.getState(server), ${messages.length})`
  ].join("\n")
}

/** The files of a server. */
export const server = (component: Component, folder: string): Files => ({
  source: file(`The server ${component.name}: what may be said to it, and what it does.`, protocolAndServer(component)),
  test: test(
    component,
    folder,
    [`${component.identifier}Server`],
    suite(component, testCase("does what it is told", serverTest(component)))
  )
})

/** The files of a pool. */
export const pool = (component: Component, folder: string): Files => {
  const { identifier, messages, name, parameters } = component
  const { size, strategy } = parameters
  const calls = (messages.length === 0 ? counting : messages).map((message) => `yield* pool.${said(message)}`)
  return {
    source: file(
      `The pool ${name}: what may be said to it, what each of its workers does, and how many there are.`,
      `${protocolAndServer(component)}
/** ${size} of them; ${
        strategy === "least_loaded" ? "the one with the least to do gets a message" : "they take turns"
      }. */
export const ${identifier}Pool = Pool.make(${identifier}Server, { size: ${size}, strategy: ${quoted(strategy!)} })
`
    ),
    test: test(
      component,
      folder,
      [`${identifier}Pool`, `${identifier}Server`],
      suite(
        component,
        testCase("has workers that do what they are told", serverTest(component)),
        testCase(
          "shares the work",
          `
const pool = yield* Pool.start(${identifier}Pool)
${calls.join("\n")}
// What was sent without an answer may still wait.
yield* Effect.repeat(Pool.stats(pool), { until: ({ handled }) => handled === ${calls.length} })
assert.strictEqual((yield* Pool.stats(pool)).size, ${size})`
        )
      )
    )
  }
}

/** The files of servers that are started while the program runs. */
export const dynamic = (component: Component, folder: string): Files => {
  const { identifier, name, parameters } = component
  const { max, restart } = parameters
  const options = record([
    ["restart", restart === "permanent" ? undefined : quoted(restart!)],
    ["maxChildren", max]
  ])
  return {
    source: file(
      `The servers ${name}, which are started while the program runs: what may be said to each, and their supervisor.`,
      `${protocolAndServer(component)}
/** As many as there have to be${max === undefined ? "" : `, at most ${max}`}. */
export const ${identifier}Supervisor = DynamicSupervisor.make(${identifier}Server${
        options === "{}" ? "" : `, ${options}`
      })
`
    ),
    test: test(
      component,
      folder,
      [`${identifier}Server`, `${identifier}Supervisor`],
      suite(
        component,
        testCase("do what they are told", serverTest(component)),
        testCase(
          "are started and stopped while it runs",
          `
const supervisor = yield* DynamicSupervisor.start(${identifier}Supervisor)
const child = yield* DynamicSupervisor.startChild(supervisor)
assert.strictEqual((yield* DynamicSupervisor.countChildren(supervisor)).active, 1)
yield* DynamicSupervisor.terminateChild(supervisor, child)
assert.strictEqual((yield* DynamicSupervisor.countChildren(supervisor)).active, 0)`
        )
      )
    )
  }
}
