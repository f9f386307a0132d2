/**
 * The node: started by `start`, told by the environment what it is called and how it joins. See README.md.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Config, Effect, Layer, References } from "effect"
import { Application, Node } from "effect-otp"
import { Global, Tls } from "effect-otp/dist"
import * as NodeNetwork from "effect-otp/dist/NodeNetwork"
import * as NodeApplication from "effect-otp/otp/NodeApplication"
import { Tree } from "./Tree.ts"

const flag = (name: string, otherwise: boolean) => Config.withDefault(Config.Boolean(name), otherwise)

const settings = Config.all({
  name: Config.String("TARGET_NAME"),
  cookie: Config.Redacted("TARGET_COOKIE"),
  epmdPort: Config.Port("TARGET_EPMD_PORT").pipe(Config.orElse(() => Config.Port("ERL_EPMD_PORT"))),
  embedEpmd: flag("TARGET_EMBED_EPMD", false),
  hidden: flag("TARGET_HIDDEN", false),
  global: flag("TARGET_GLOBAL", true),
  netTickSeconds: Config.withDefault(Config.Number("TARGET_NET_TICKTIME"), 60),
  tls: flag("TARGET_TLS", false),
  // It is told to crash all the time: nobody reads that.
  logLevel: Config.withDefault(Config.LogLevel("TARGET_LOG_LEVEL"), "None")
})

const files = Config.all({
  cert: Config.String("TARGET_TLS_CERT"),
  key: Config.String("TARGET_TLS_KEY"),
  ca: Config.String("TARGET_TLS_CA")
})

/** The node, and what belongs to it: a hidden one keeps out of `global`. */
const NodeLive = Layer.unwrap(Effect.gen(function*() {
  const { cookie, embedEpmd, epmdPort, global, hidden, name, netTickSeconds, tls } = yield* settings
  const node = Node.layer({
    name,
    cookie,
    // Whoever starts this node chooses the cookie.
    allowWeakCookie: true,
    hidden,
    dynamicNames: true,
    netTickTime: `${netTickSeconds} seconds`,
    discovery: { port: epmdPort, serve: embedEpmd },
    ...(tls ? { tls: yield* Tls.fromFiles(yield* files) } : {})
  })
  return global && !hidden ? Layer.provideMerge(Global.layer, node) : node
})).pipe(Layer.provide([NodeNetwork.layer, NodeFileSystem.layer]))

const Conformance = Application.make("conformance", { supervisor: Tree, startType: "permanent" })

const program = Effect.flatMap(settings, ({ logLevel }) =>
  Application.run([Conformance]).pipe(
    Effect.provide(NodeLive),
    Effect.provideService(References.MinimumLogLevel, logLevel)
  ))

NodeApplication.runMain(program)
