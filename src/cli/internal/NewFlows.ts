/**
 * The files of what works in company: stages, replicated state, sagas. Pure.
 *
 * @since 0.1.0
 */
import type { Component } from "./NewPlan.ts"
import { file, quoted } from "./NewSource.ts"
import { type Files, sources, suite, test, testCase } from "./NewTest.ts"

/** The stage that a component reads from, that one's, and so on: the source comes first. */
const upstream = ({ from }: Component, stages: ReadonlyArray<Component>): ReadonlyArray<Component> => {
  const next = stages.find(({ name }) => name === from)
  return next === undefined ? [] : [...upstream(next, stages), next]
}

const stageSource = ({ from, identifier, isRead }: Component, stages: ReadonlyArray<Component>): string => {
  const subscribeTo = `
  // As soon as it has started, and again after a restart. When that stage ends, so does this one: their
  // supervisor needs an intensity for both, or the strategy rest_for_one.
  subscribeTo: () => [{ to: GenStage.producerAt(Schema.String, { name: ${
    quoted(stages.find((stage) => stage.name === from)?.registered ?? "")
  } }) }],`
  if (from === undefined) {
    return `
export class ${identifier} extends Protocol.make(
  ${quoted(identifier)},
  Message.Cast("Push", { payload: { events: Schema.Array(Schema.String) } })
) {}

/** Emits what is pushed; what nobody wants yet waits in its buffer. */
export const ${identifier}Stage = GenStage.producer({
  event: Schema.String,
  protocol: ${identifier},
  init: () => Effect.succeed(0),
  handlers: {
    Push: ({ events }, pushed) => GenStage.emit(events, GenServer.next(pushed + events.length))
  }
})
`
  }
  if (isRead === true) {
    return `
/** Handles events only while somebody wants what comes of them. */
export const ${identifier}Stage = GenStage.producerConsumer({
  input: Schema.String,
  event: Schema.String,
  init: () => Effect.void,${subscribeTo}
  events: (batch) => GenStage.emit(batch.map((event) => event.toUpperCase()))
})
`
  }
  return `
export class ${identifier} extends Protocol.make(${
    quoted(identifier)
  }, Message.Call("Seen", { success: Schema.Int })) {}

/** Counts what it has seen. */
export const ${identifier}Stage = GenStage.consumer({
  input: Schema.String,
  protocol: ${identifier},
  init: () => Effect.succeed(0),${subscribeTo}
  events: (batch, seen) => GenServer.next(seen + batch.length),
  handlers: {
    Seen: (_, seen) => seen
  }
})
`
}

/** The files of a stage. `stages` has those from which it reads. */
export const stage = (component: Component, folder: string, stages: ReadonlyArray<Component>): Files => {
  const { from, identifier, isRead, name } = component
  const line = [...upstream(component, stages), component]
  const starts = line.map((one, i) => {
    const ref = one === component ? "const stage = " : i === 0 ? "const source = " : ""
    return `${ref}yield* GenStage.start(${one.identifier}Stage, undefined, { name: ${quoted(one.registered)} })`
  })
  const events = from === undefined ? ["one", "two"] : ["ONE", "TWO"]
  const outcome = from === undefined || isRead === true
    ? `const events = yield* GenStage.toStream(stage).pipe(Stream.take(2), Stream.runCollect)
assert.deepStrictEqual([...events], [${events.map(quoted).join(", ")}])`
    : `yield* Effect.repeat(stage.Seen(), { until: (seen) => seen === 2 })`
  return {
    source: file(
      from === undefined
        ? `The stage ${name}: where events come from.`
        : isRead === true
        ? `The stage ${name}: makes events from those of ${from}.`
        : `The stage ${name}: where the events of ${from} go to.`,
      stageSource(component, stages)
    ),
    test: test(
      component,
      folder,
      [`${identifier}Stage`],
      suite(
        component,
        testCase(
          isRead === true || from === undefined ? "emits what comes in" : "sees every event",
          `
${starts.join("\n")}
yield* ${from === undefined ? "stage" : "source"}.Push({ events: ["one", "two"] })
${outcome}`,
          { live: true }
        )
      ),
      line.slice(0, -1).map((one) => ({ path: sources(folder, one.identifier), names: [`${one.identifier}Stage`] }))
    )
  }
}

/** The files of replicated state. */
export const raft = (component: Component, folder: string): Files => {
  const { identifier, name, registered } = component
  return {
    source: file(
      `The state ${name}, which several nodes keep in common: what a majority has on disk is never lost.`,
      `
export class ${identifier} extends Protocol.make(
  ${quoted(identifier)},
  Message.Call("Put", { payload: { key: Schema.String, value: Schema.Int } }),
  Message.Call("Get", { payload: { key: Schema.String }, success: Schema.NullOr(Schema.Int) })
) {}

/** The functions run on every member and must come to the same on each: no clock, no chance, no services. */
export const ${identifier}Raft = Raft.make(${identifier}, {
  state: Schema.Record(Schema.String, Schema.Int),
  initial: {},
  reads: ["Get"],
  apply: {
    Put: ({ key, value }, state) => Raft.reply(undefined, { ...state, [key]: value }),
    Get: ({ key }, state) => state[key] ?? null
  }
})
`
    ),
    test: test(
      component,
      folder,
      [`${identifier}Raft`],
      suite(
        component,
        testCase(
          "keeps what was put, as a group of one",
          `
const { name } = yield* Node.Node
const options = { electionTimeout: 100, heartbeat: 20 }
const store = yield* GenServer.start(${identifier}Raft, { group: ${quoted(registered)}, members: [name], options })
yield* store.Put({ key: "apples", value: 3 })
assert.strictEqual(yield* store.Get({ key: "apples" }), 3)
assert.isNull(yield* store.Get({ key: "pears" }))`,
          { live: true, layers: ["Node.layerLocal()", "RaftStorage.memory"] }
        )
      )
    )
  }
}

const sagaSource = ({ identifier, next }: Component, sagas: ReadonlyArray<Component>): string => {
  const contract = `
/** What it is given, and what comes of it. */
export const ${identifier} = SagaServer.contract(${quoted(identifier)}, { value: Schema.String, result: Schema.Int })
`
  const other = sagas.find(({ name }) => name === next)
  return other === undefined
    ? `${contract}
/** The work is a job, a process of its own: when it fails the transaction is cancelled, wherever it came from. */
export const ${identifier}Saga = SagaServer.make(${identifier}, {
  jobs: { count: SagaServer.job((text: string) => Effect.succeed(text.length)) },
  begin: (text, transaction) => transaction.job("count", text),
  jobResult: ({ value }, state, transaction) => Effect.as(transaction.result(value), state)
})
`
    : `${contract}
/** Hands its work on, here or to another node: the address says where. */
export const ${identifier}Saga = SagaServer.make(${identifier}, {
  next: { part: ${other.identifier} },
  begin: (text, transaction) =>
    transaction.next("part", SagaServer.at(${other.identifier}, ${quoted(other.registered)}), text),
  result: ({ value }, state, transaction) => Effect.as(transaction.result(value), state)
})
`
}

/** The sagas to which one hands its work on, the last one first. */
const downstream = ({ next }: Component, sagas: ReadonlyArray<Component>): ReadonlyArray<Component> => {
  const other = sagas.find(({ name }) => name === next)
  return other === undefined ? [] : [...downstream(other, sagas), other]
}

/** The files of a saga. `sagas` has those to which it hands its work on. */
export const saga = (component: Component, folder: string, sagas: ReadonlyArray<Component>): Files => {
  const { identifier, name, next, registered } = component
  const others = downstream(component, sagas)
  const starts = others.map((other) =>
    `yield* SagaServer.start(${other.identifier}Saga, undefined, { name: ${quoted(other.registered)} })`
  )
  return {
    source: file(
      `The saga ${name}: its part of transactions${next === undefined ? "" : `, which it hands on to ${next}`}.`,
      sagaSource(component, sagas),
      others.slice(-1).map((other) => ({ path: `./${other.identifier}.ts`, names: [other.identifier] }))
    ),
    test: test(
      component,
      folder,
      [`${identifier}Saga`],
      suite(
        component,
        testCase(
          "has a result",
          `
${
            starts.map((start) => `${start}\n`).join("")
          }const saga = yield* SagaServer.start(${identifier}Saga, undefined, { name: ${quoted(registered)} })
assert.strictEqual(yield* SagaServer.run(saga, "four"), 4)`,
          { live: true }
        )
      ),
      others.map((other) => ({ path: sources(folder, other.identifier), names: [`${other.identifier}Saga`] }))
    )
  }
}
