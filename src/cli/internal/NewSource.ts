/**
 * Small pieces of TypeScript: the files of a project are put together from them.
 *
 * @since 0.1.0
 */

/** What files import, by module. */
const modules: ReadonlyArray<readonly [module: string, names: ReadonlyArray<string>]> = [
  ["@effect/platform-node", ["NodeDatagramSocket"]],
  ["@effect/vitest", ["assert", "describe", "it"]],
  ["effect", ["Config", "Effect", "Layer", "Logger", "Option", "Queue", "Redacted", "Schema", "Stream"]],
  [
    "effect-otp",
    ["Application", "DynamicSupervisor", "GenServer", "Message", "Node", "Pool", "Process", "Protocol", "Supervisor"]
  ],
  ["effect-otp/net", ["Framing", "TcpClient", "TcpServer", "UdpServer", "WebServer"]],
  ["effect-otp/raft", ["Raft", "RaftStorage"]],
  ["effect-otp/saga", ["SagaServer"]],
  ["effect-otp/stage", ["GenStage"]],
  ["effect/http", ["HttpRouter", "HttpServer", "HttpServerResponse"]]
]

/** Modules that are imported as a whole, by the name that they are given. */
const namespaces: ReadonlyArray<readonly [module: string, name: string]> = [
  ["@effect/platform-node/NodeServices", "NodeServices"],
  ["effect-otp/dist/NodeNetwork", "NodeNetwork"],
  ["effect-otp/dist/NodeRuntimeTools", "NodeRuntimeTools"],
  ["effect-otp/net/NodeTcpNetwork", "NodeTcpNetwork"],
  ["effect-otp/net/NodeWebServer", "NodeWebServer"],
  ["effect-otp/otp/NodeApplication", "NodeApplication"]
]

/** The constants that a file takes from another file of the project. */
export interface Import {
  readonly path: string
  readonly names: ReadonlyArray<string>
}

/** How long a line may be, before it is moved to the right by what is around it. */
const width = 100

/** Items on one line when there is room, else each on a line of its own. `indent` is that of the line with the opening. */
export const wrapped = (open: string, items: ReadonlyArray<string>, close: string, indent = ""): string => {
  const line = `${open}${items.join(", ")}${close}`
  return items.length === 0 || (!line.includes("\n") && line.length <= width)
    ? line
    : `${open.trimEnd()}\n${indent}  ${items.join(`,\n${indent}  `)}\n${indent}${close.trimStart()}`
}

const comments = /\/\*\*[^]*?\*\/|^\s*\/\/.*$/gm

/** Whether a body uses a name that is imported: as what something is taken from, or as what is called. */
const uses = (body: string, name: string): boolean =>
  new RegExp(`(?<![\\w.])${name}[.(]`).test(body.replaceAll(comments, ""))

const byPath = (a: Import, b: Import): number => a.path.toLowerCase() < b.path.toLowerCase() ? -1 : 1

/** A file: what it is, its imports, which are found in its body, and the body. */
export const file = (about: string, body: string, own: ReadonlyArray<Import> = []): string => {
  const foreign: ReadonlyArray<Import> = [
    ...namespaces.flatMap(([path, name]) => uses(body, name) ? [{ path, names: [`* as ${name}`] }] : []),
    ...modules.flatMap(([path, all]) => {
      const names = all.filter((name) => uses(body, name))
      return names.length === 0 ? [] : [{ path, names }]
    })
  ]
  const imports = [...foreign.toSorted(byPath), ...own.toSorted(byPath)].map(({ names, path }) =>
    names[0]!.startsWith("*")
      ? `import ${names[0]} from ${quoted(path)}`
      : wrapped("import { ", names.toSorted(), ` } from ${quoted(path)}`)
  )
  return [`/**\n * ${about}\n */`, `${imports.join("\n")}\n`, `${body.trim()}\n`].join("\n")
}

/** A text within quotes. */
export const quoted = (text: string): string => JSON.stringify(text)

/** A record. Values that are undefined are left out. */
export const record = (
  fields: ReadonlyArray<readonly [key: string, value: string | undefined]>,
  indent = ""
): string => {
  const parts = fields.flatMap(([key, value]) => value === undefined ? [] : [`${key}: ${value}`])
  return parts.length === 0 ? "{}" : wrapped("{ ", parts, " }", indent)
}

/** A call, or the construction of a value: what is called, and its arguments. Those that are undefined are left out. */
export const invocation = (
  callee: string,
  args: ReadonlyArray<string | undefined>,
  indent = ""
): string => wrapped(`${callee}(`, args.filter((arg) => arg !== undefined), ")", indent)

/** The layers that a program or a test is provided with. */
export const provided = (layers: ReadonlyArray<string>, indent = ""): string =>
  layers.length === 1 ? `Effect.provide(${layers[0]})` : `Effect.provide(${wrapped("[", layers, "]", indent)})`

/** A text with every line but the first moved to the right. */
export const indented = (text: string, indent: string): string => text.replaceAll("\n", `\n${indent}`)
