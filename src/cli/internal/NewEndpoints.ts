/**
 * The files of endpoints: TCP, UDP and web servers, and tests that connect to them. Pure.
 *
 * @since 0.1.0
 */
import type { Component } from "./NewPlan.ts"
import { file, quoted } from "./NewSource.ts"
import { type Files, suite, test, testCase } from "./NewTest.ts"

const framings: {
  readonly [framing: string]: { readonly make: string; readonly text: string; readonly reply: string }
} = {
  lines: {
    make: "Framing.lines({ maxBytes: 65_536 })",
    text: "lines of text",
    reply: "connection.write(`${count + 1}: ${frame}`)"
  },
  length: { make: "Framing.lengthPrefix()", text: "bytes with their length in front", reply: "connection.write(frame)" }
}

/** The files of a TCP server. */
export const tcp = (component: Component, folder: string): Files => {
  const { identifier, name, parameters } = component
  const framing = framings[parameters["framing"]!]!
  const isText = parameters["framing"] === "lines"
  const [question, expected] = isText
    ? [quoted("hello"), quoted("1: hello")]
    : ["Uint8Array.of(1, 2, 3)", "Uint8Array.of(1, 2, 3)"]
  return {
    source: file(
      `The TCP server ${name}: a process for each connection, which gets ${framing.text}.`,
      `
/** The state of a connection is how many frames have come. */
export const ${identifier}Server = TcpServer.make({
  framing: ${framing.make},
  idleTimeout: "5 minutes",
  connect: () => Effect.succeed(0),
  frame: (frame, count, { connection }) =>
    Effect.as(${framing.reply}, GenServer.next(count + 1))
})
`
    ),
    test: test(
      component,
      folder,
      [`${identifier}Server`],
      suite(
        component,
        testCase(
          "answers whoever connects",
          `
const server = yield* GenServer.start(${identifier}Server, { port: 0 })
const { port } = yield* server.Address()
const answers = yield* Queue.unbounded<${isText ? "string" : "Uint8Array"}>()
const client = TcpClient.make({
  framing: ${framing.make},
  init: () => Effect.void,
  connected: (_, { connection }) => connection.write(${question}),
  frame: (frame) => Effect.asVoid(Queue.offer(answers, frame))
})
yield* GenServer.start(client, { host: "127.0.0.1", port })
assert.deepStrictEqual(yield* Queue.take(answers), ${expected})`,
          { live: true, layers: ["Node.layerLocal()", "NodeTcpNetwork.layer"] }
        )
      )
    )
  }
}

/** The files of a UDP server. */
export const udp = (component: Component, folder: string): Files => {
  const { identifier, name, parameters, registered } = component
  return {
    source: file(
      `The UDP server ${name}: datagrams of text, each sender with one of the handlers.`,
      `
/** The state of a handler is how many datagrams it has had. */
export const ${identifier}Server = UdpServer.make({
  schema: UdpServer.Text,
  handlers: ${parameters["handlers"]},
  spread: "sender",
  init: () => Effect.succeed(0),
  datagram: ({ payload, reply }, count) =>
    Effect.as(reply(\`\${count + 1}: \${payload}\`), GenServer.next(count + 1))
})

/** The server on a socket of its own. */
export const ${identifier}Live = (port: number) =>
  Layer.effectDiscard(GenServer.start(${identifier}Server, undefined, { name: ${
        quoted(registered)
      }, link: true })).pipe(
    Layer.provide(NodeDatagramSocket.layer({ bind: { address: "127.0.0.1", port } }))
  )
`
    ),
    test: test(
      component,
      folder,
      [`${identifier}Live`],
      suite(
        component,
        testCase(
          "answers whoever sends",
          `
yield* Layer.build(${identifier}Live(0))
const server = yield* GenServer.named(UdpServer.Control, ${quoted(registered)})
const { port } = yield* server.Address()
const socket = yield* NodeDatagramSocket.make({ peer: { address: "127.0.0.1", port } })
const reader = yield* socket.reader
const writer = yield* socket.writer
yield* writer.write({ payload: "hello" })
const [answer] = yield* reader.pull
assert.strictEqual(new TextDecoder().decode(answer.payload), "1: hello")`,
          { live: true }
        )
      )
    )
  }
}

/** The files of a web server. */
export const web = (component: Component, folder: string): Files => {
  const { identifier, name, parameters } = component
  return {
    source: file(
      `The web server ${name}: its routes, which run in processes.`,
      `
/** ${
        parameters["handlers"]
      } processes: a crash is a 500 for one client, no room a 503, an answer that is late a 504. */
export const ${identifier}Routes = HttpRouter.add(
  "GET",
  "/hello/:name",
  Effect.map(HttpRouter.params, ({ name }) => HttpServerResponse.jsonUnsafe({ hello: name }))
).pipe(
  Layer.provide(WebServer.handlers({ size: ${parameters["handlers"]}, timeout: "10 seconds" }))
)

/** The server on a port of this host. */
export const ${identifier}Live = (port: number) =>
  HttpRouter.serve(${identifier}Routes, { disableListenLog: true }).pipe(Layer.provide(NodeWebServer.layer({ port })))
`
    ),
    test: test(
      component,
      folder,
      [`${identifier}Routes`],
      `
const Live = HttpRouter.serve(${identifier}Routes, { disableListenLog: true, disableLogger: true }).pipe(
  Layer.provideMerge(NodeWebServer.layer({ port: 0 })),
  Layer.provide(Node.layerLocal())
)

${
        suite(
          component,
          testCase(
            "says hello",
            `
const { address } = yield* HttpServer.HttpServer
const port = "port" in address ? address.port : 0
const answer = yield* Effect.promise(() => fetch(\`http://127.0.0.1:\${port}/hello/world\`))
assert.strictEqual(answer.status, 200)
assert.deepStrictEqual(yield* Effect.promise(() => answer.json()), { hello: "world" })`,
            { live: true, layers: ["Live"] }
          )
        )
      }`
    )
  }
}
