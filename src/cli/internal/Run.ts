/**
 * `effect-otp run FILE`: a file as a node.
 *
 * The default export of the file is what runs: an `Application`, a list of them, or a `Layer`. It may ask for the node and for
 * the services of Effect's platform. Ctrl-C and SIGTERM stop it in order: applications last started first, layers as their
 * scopes say.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Formatter from "effect/Formatter"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Epmd from "../../dist/Epmd.ts"
import { isNodeName } from "../../dist/Handshake.ts"
import type { Network } from "../../dist/Network.ts"
import * as Node from "../../dist/Node.ts"
import * as NodeRuntimeTools from "../../dist/NodeRuntimeTools.ts"
import * as Application from "../../otp/Application.ts"
import { CommandError } from "./CommandError.ts"
import * as Connect from "./Connect.ts"
import * as Cookie from "./Cookie.ts"
import * as Interruption from "./Interruption.ts"
import * as NodeModule from "./NodeModule.ts"
import * as Output from "./Output.ts"
import type { Subcommand } from "./Subcommand.ts"

const flags = {
  name: Flag.String("name").pipe(
    Flag.withMetavar("NAME@HOST"),
    Flag.filter(isNodeName, () => Connect.nodeExpected),
    Flag.optional,
    Flag.withDescription("The name of the node; by default that of the file, at 127.0.0.1")
  ),
  cookieFile: Cookie.file,
  allowWeakCookie: Flag.Boolean("allow-weak-cookie").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Accept a cookie that is short or well known")
  ),
  listen: Flag.String("listen").pipe(
    Flag.withMetavar("ADDRESS"),
    Flag.withDefault("127.0.0.1"),
    Flag.withDescription("The address to listen on; beyond this host only with TLS")
  ),
  port: Connect.portFlag("port").pipe(
    Flag.withDefault(0),
    Flag.withDescription("The port to listen on, 0 for any that is free")
  ),
  epmdPort: Connect.epmdPort,
  hidden: Flag.Boolean("hidden").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Stay out of nodes() of the others")
  ),
  tools: Flag.Boolean("tools").pipe(
    Flag.withDefault(true),
    Flag.withDescription("Answer ps, top, tree and Erlang's observer; --no-tools does not")
  ),
  tls: Connect.tlsFlags,
  json: Output.json
} as const

type Options = Command.Command.Config.Infer<typeof flags>

/** A program: what it does once there is a node. Its services are those of the command line. */
type Program = Effect.Effect<unknown, unknown, Node.Node>

// The guard of applications is the key that all of them have.
const isApplication = (u: unknown): u is Application.Any =>
  typeof u === "object" && u !== null && "~effect-otp/Application" in u

/** What the default export of a file does. */
const programOf = (file: string, exported: unknown): Effect.Effect<Program, CommandError> => {
  if (isApplication(exported)) return Effect.succeed(Application.run([exported]))
  if (Array.isArray(exported) && exported.length > 0 && exported.every(isApplication)) {
    return Effect.succeed(Application.run(exported))
  }
  // Nobody can say here what the layer of a file needs; what is missing fails when it is built.
  if (Layer.isLayer(exported)) return Effect.succeed(Layer.launch(exported as Layer.Layer<never, unknown, Node.Node>))
  return Effect.fail(
    new CommandError({
      reason: "Nothing",
      detail: `${file} exports nothing that runs: its default export must be an Application, a list of them, or a Layer`
    })
  )
}

/** `shop@127.0.0.1` for `src/shop.ts`. */
const nameOf = (given: Option.Option<string>, file: string): Effect.Effect<string, CommandError, Path.Path> =>
  Effect.flatMap(Path.Path, (path) => {
    const name = Option.getOrElse(given, () => `${path.basename(file).replace(/\..*$/, "")}@127.0.0.1`)
    return isNodeName(name)
      ? Effect.succeed(name)
      : Effect.fail(
        new CommandError({ reason: "BadName", detail: `${file} makes no name of a node: give one with --name` })
      )
  })

/** The end of a program that failed: its own words, or a crash with all that is known of it. */
const failed = (file: string, cause: Cause.Cause<unknown>): Effect.Effect<never, CommandError> => {
  if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
  const error = Cause.findErrorOption(cause)
  const detail = Option.match(error, {
    onSome: (error) => error instanceof Error && error.message !== "" ? error.message : Formatter.format(error),
    onNone: () => Cause.pretty(cause)
  })
  return Effect.fail(new CommandError({ reason: "Failed", detail: `${file} failed: ${detail}` }))
}

const runFile = (file: string, options: Options) =>
  Effect.gen(function*() {
    const name = yield* nameOf(options.name, file)
    const { cookie, from } = yield* Cookie.findOrMake(options.cookieFile)
    const tls = yield* Connect.tlsOf(options.tls)
    const epmdPort = yield* Connect.epmdPortOf(options.epmdPort)
    const program = yield* Effect.flatMap(NodeModule.load(file), (exported) => programOf(file, exported))

    const node = yield* Effect.mapError(
      Node.makeDistributed({
        name,
        cookie,
        allowWeakCookie: options.allowWeakCookie,
        hidden: options.hidden,
        listen: { host: options.listen, port: options.port },
        discovery: { port: epmdPort, serve: true },
        ...(tls === undefined ? {} : { tls })
      }),
      ({ detail, reason }) =>
        new CommandError({
          reason,
          detail: reason === "BadCookie"
            ? `the cookie in ${from} is short or well known; take a better one, or --allow-weak-cookie`
            : `the node ${name} cannot start: ${detail}`
        })
    )
    const inNode = Effect.provideService(Node.Node, node)
    if (options.tools) yield* inNode(Effect.orDie(Layer.build(NodeRuntimeTools.layer())))
    const epmd = yield* Epmd.make({ port: epmdPort })
    const { port } = yield* Effect.orElseSucceed(epmd.resolve(name), () => ({ port: options.port }))
    yield* Interruption.orderly
    yield* Output.show(
      options.json,
      { event: "listening", node: name, host: options.listen, port, epmdPort },
      `${name} listens on ${options.listen}:${port} (EPMD on port ${epmdPort}); Ctrl-C stops it`
    )
    yield* Effect.catchCause(inNode(program), (cause) => failed(file, cause))
  })

export const run: Subcommand<
  "run",
  Network | Interruption.Interruption | Command.Environment
> = Command.make("run", {
  file: Argument.String("file").pipe(
    Argument.withDescription("A module, TypeScript or JavaScript, whose default export is what runs")
  ),
  options: flags
}, ({ file, options }) => Output.reported(options.json, Effect.scoped(runFile(file, options)))).pipe(
  Command.withDescription(
    "Run a file as a node. Its default export is an Application, a list of them, or a Layer, which may ask for the node and " +
      "for the services of the platform. Where no EPMD runs, it serves one"
  ),
  Command.withShortDescription("Run a file as a node"),
  Command.withExamples([
    { command: "effect-otp run src/main.ts --name shop@127.0.0.1" },
    {
      command:
        "effect-otp run src/main.ts --name shop@10.0.0.7 --listen 10.0.0.7 --tls-cert shop.pem --tls-key shop.key --tls-ca ca.pem"
    }
  ])
)
