/**
 * How the commands that look at a node get there: a short-lived hidden node of their own, which does not listen, and which
 * `nodes()` of the others does not show.
 *
 * When there is no way, the error says how far it came: no EPMD, no such name, nobody at the port, another cookie, a
 * certificate.
 *
 * @since 0.1.0
 */
import * as Argument from "effect/cli/Argument"
import type * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as Path from "effect/Path"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import type { ConnectError } from "../../dist/DistError.ts"
import * as Epmd from "../../dist/Epmd.ts"
import { defaultPort } from "../../dist/EpmdProtocol.ts"
import { isNodeName } from "../../dist/Handshake.ts"
import { Network } from "../../dist/Network.ts"
import * as Node from "../../dist/Node.ts"
import * as Tls from "../../dist/Tls.ts"
import { CommandError } from "./CommandError.ts"
import * as Cookie from "./Cookie.ts"
import { printable } from "./Text.ts"

// --- flags -----------------------------------------------------------------------------------------------------------

const isPort = (port: number): boolean => port >= 0 && port <= 65_535

/** A flag for a port. */
export const portFlag = (name: string): Flag.Flag<number> =>
  Flag.Int(name).pipe(
    Flag.withMetavar("PORT"),
    Flag.filter(isPort, () => "a number from 0 to 65535")
  )

/** Where EPMD is. */
export const epmdPort: Flag.Flag<Option.Option<number>> = portFlag("epmd-port").pipe(
  Flag.optional,
  Flag.withDescription("The port of EPMD; by default that of the variable ERL_EPMD_PORT, else 4369")
)

const file = (name: string, description: string): Flag.Flag<Option.Option<string>> =>
  Flag.String(name).pipe(Flag.withMetavar("FILE"), Flag.optional, Flag.withDescription(description))

type OptionalText = Flag.Flag<Option.Option<string>>

/** The certificates of a node. */
export const tlsFlags: { readonly cert: OptionalText; readonly key: OptionalText; readonly ca: OptionalText } = {
  cert: file("tls-cert", "The certificate of this side: with it, everything is encrypted"),
  key: file("tls-key", "Its private key"),
  ca: file("tls-ca", "The certificates that are trusted")
}

/** For how long to wait. */
export const timeout: Flag.Flag<number> = Flag.Finite("timeout").pipe(
  Flag.withMetavar("SECONDS"),
  Flag.withDefault(5),
  Flag.filter((seconds) => seconds > 0, () => "a number above 0"),
  Flag.withDescription("How long to wait for an answer, in seconds")
)

/** What a node is called. */
export const nodeExpected = "name@host, such as shop@127.0.0.1"

/** What all commands that talk to a node take. */
export const flags: {
  readonly cookieFile: OptionalText
  readonly epmdPort: Flag.Flag<Option.Option<number>>
  readonly timeout: Flag.Flag<number>
  readonly name: OptionalText
  readonly tls: typeof tlsFlags
} = {
  cookieFile: Cookie.file,
  epmdPort,
  timeout,
  name: Flag.String("name").pipe(
    Flag.withMetavar("NAME@HOST"),
    Flag.filter(isNodeName, () => nodeExpected),
    Flag.optional,
    Flag.withDescription("The name of this side; by default a new one each time. It is hidden in any case")
  ),
  tls: tlsFlags
}

/** What was given for {@link flags}. */
export type Options = Command.Command.Config.Infer<typeof flags>

/** The node that a command is about. */
export const node: Argument.Argument<string> = Argument.String("node").pipe(
  Argument.filter(isNodeName, () => nodeExpected),
  Argument.withDescription("The node, such as shop@127.0.0.1")
)

// --- what the flags mean ---------------------------------------------------------------------------------------------

/** The port of EPMD. */
export const epmdPortOf = (given: Option.Option<number>): Effect.Effect<number> =>
  Option.match(given, {
    onSome: Effect.succeed,
    onNone: () => Effect.orElseSucceed(Config.Port("ERL_EPMD_PORT"), () => defaultPort)
  })

/** The certificates; all three files, or none. */
export const tlsOf = (
  { ca, cert, key }: Options["tls"]
): Effect.Effect<Tls.Credentials | undefined, CommandError, Network | FileSystem.FileSystem | Scope.Scope> => {
  if (Option.isNone(cert) && Option.isNone(key) && Option.isNone(ca)) return Effect.undefined
  if (Option.isNone(cert) || Option.isNone(key) || Option.isNone(ca)) {
    return Effect.fail(
      new CommandError({ reason: "Tls", detail: "TLS needs all of --tls-cert, --tls-key and --tls-ca" })
    )
  }
  return Effect.mapError(
    Tls.fromFiles({ cert: cert.value, key: key.value, ca: ca.value }),
    ({ message }) => new CommandError({ reason: "Tls", detail: message })
  )
}

/** A text for an error of EPMD at an address. */
export const noEpmd = (host: string, port: number, message: string): CommandError =>
  new CommandError({
    reason: "NoEpmd",
    detail: `no EPMD answers at ${printable(host)}:${port}: is a node running there? ` +
      `Say with --epmd-port, or ERL_EPMD_PORT, where else it is (${message})`
  })

// --- connecting ------------------------------------------------------------------------------------------------------

/** Why there is no connection, found out from the beginning of the way to its end. */
const diagnosis = (
  target: string,
  port: number,
  cookie: Cookie.Found,
  error: ConnectError
): Effect.Effect<CommandError, never, Network> =>
  Effect.gen(function*() {
    const at = target.indexOf("@")
    const [name, host] = [target.slice(0, at), target.slice(at + 1)]
    const because = (reason: string, detail: string) => new CommandError({ reason, detail })
    const asked = yield* Effect.result(Effect.flatMap(Epmd.make({ port }), (epmd) => epmd.names(host)))
    if (asked._tag === "Failure") return noEpmd(host, port, asked.failure.message)
    const names = asked.success.map((endpoint) => endpoint.name.slice(0, -host.length - 1))
    if (!names.includes(name)) {
      const others = names.length === 0 ? "none" : names.map(printable).join(", ")
      return because(
        "NoSuchNode",
        `the EPMD at ${host}:${port} knows no node called ${name}. Those that it knows: ${others}`
      )
    }
    if (error.tls !== undefined) return because("Tls", error.message)
    if (/cookie/.test(error.detail)) {
      return because(
        "Cookie",
        `${target} closed the connection during the handshake. Most likely it has another cookie than the one in ` +
          `${cookie.from}; name the file of its cookie with --cookie-file. A node that speaks TLS may do so too: ` +
          "see --tls-cert"
      )
    }
    return because("NotConnected", `${error.message}. If the node speaks TLS, give certificates with --tls-cert`)
  })

/** A name that nobody else has. */
const ownName = Effect.map(
  Network,
  ({ randomUint32 }) => `effect-otp-${randomUint32().toString(36)}${randomUint32().toString(36)}@127.0.0.1`
)

/** Only what was asked for is logged: a command has one thing to say. */
const quietly = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(
    Effect.serviceOption(GlobalFlag.LogLevel),
    (asked) =>
      Option.isSome(Option.flatten(asked)) ? effect : Effect.provideService(effect, References.MinimumLogLevel, "None")
  )

/** What is known of a connection to a node. */
export interface Connected {
  /** How long it took to connect. */
  readonly millis: number
  /** How long to wait for an answer. */
  readonly timeout: Duration.Duration
}

/** Connects to a node and uses the connection. */
export const withNode = <A, E, R>(
  options: Options,
  target: string,
  use: (connected: Connected) => Effect.Effect<A, E, R | Node.Node>
): Effect.Effect<
  A,
  E | CommandError,
  Exclude<R, Node.Node> | Network | FileSystem.FileSystem | Path.Path
> =>
  quietly(Effect.scoped(Effect.gen(function*() {
    const cookie = yield* Cookie.find(options.cookieFile)
    const tls = yield* tlsOf(options.tls)
    const port = yield* epmdPortOf(options.epmdPort)
    const name = Option.isSome(options.name) ? options.name.value : yield* ownName
    const timeout = Duration.seconds(options.timeout)
    const node = yield* Effect.mapError(
      Node.makeDistributed({
        name,
        cookie: cookie.cookie,
        hidden: true,
        listen: false,
        // Nobody can connect to this side, so that a cookie that can be guessed endangers the other one only.
        allowWeakCookie: true,
        discovery: { port },
        setupTime: timeout,
        ...(tls === undefined ? {} : { tls })
      }),
      ({ message, reason }) => new CommandError({ reason, detail: message })
    )
    const inNode = Effect.provideService(Node.Node, node)
    const [took] = yield* inNode(Effect.timed(Node.connect(target))).pipe(
      Effect.catch((error) => Effect.flatMap(diagnosis(target, port, cookie, error), Effect.fail))
    )
    return yield* inNode(use({ millis: Duration.toMillis(took), timeout }))
  }))) as Effect.Effect<
    A,
    E | CommandError,
    Exclude<R, Node.Node> | Network | FileSystem.FileSystem | Path.Path
  > // Exclude<R, Scope> is R: nothing that is done over the connection asks for a scope of the caller
