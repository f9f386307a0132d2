/**
 * Where a node listens and how it reaches others, as its options say: with the cookie and the certificates of each.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { NodeStartError } from "../DistError.ts"
import type { Link, Network, NetworkError, NetworkService } from "../Network.ts"
import type * as Node from "../Node.ts"
import * as Tls from "../Tls.ts"

/** The way to a node that was given. */
export interface Route {
  /** Where it listens; without a port it is looked up. */
  readonly host: string | undefined
  readonly port: number | undefined
  readonly cookie: string | undefined
  /** What is shown and asked there; undefined when nothing is encrypted. */
  readonly tls: Tls.Credentials | undefined
}

/** What a listener means for who comes in through it. */
export interface Listener {
  readonly host: string
  readonly from: number
  readonly to: number
  readonly cookie: string | undefined
  readonly tls: Tls.Credentials | undefined
}

/** The ways in and out of a node. */
export interface Ways {
  readonly tls: Tls.Credentials | undefined
  readonly routes: ReadonlyMap<string, Route>
  readonly listeners: ReadonlyArray<Listener>
}

const isLoopback = (host: string): boolean => /^(?:127\.|::1$|localhost$)/.test(host)

const isSeveral = (listen: Node.LayerOptions["listen"]): listen is ReadonlyArray<Node.ListenOptions> =>
  Array.isArray(listen)

const listenOptions = (options: Node.LayerOptions): ReadonlyArray<Node.ListenOptions> =>
  options.listen === false ? [] : isSeveral(options.listen) ? options.listen : [options.listen ?? {}]

/** The cookies of single listeners and routes. */
export const furtherCookies = (options: Node.LayerOptions): ReadonlyArray<string> =>
  [...listenOptions(options), ...Object.values(options.routes ?? {})].flatMap(({ cookie }) =>
    cookie === undefined ? [] : [Redacted.value(cookie)]
  )

const secret = (cookie: Redacted.Redacted<string> | undefined): string | undefined =>
  cookie === undefined ? undefined : Redacted.value(cookie)

/** The ways in and out that the options say, with their certificates checked. */
export const prepare: (options: Node.LayerOptions) => Effect.Effect<Ways, NodeStartError, Network> = Effect.fnUntraced(
  function*(options: Node.LayerOptions) {
    const node = options.name
    const made = new Map<Tls.Options, Tls.Credentials>()
    // The same options, given twice, are one set of credentials.
    const credentials = (given: Tls.Options | Tls.Credentials) =>
      Effect.suspend(() => {
        if (Tls.isCredentials(given)) return Effect.succeed(given)
        const known = made.get(given)
        if (known !== undefined) return Effect.succeed(known)
        return Effect.tap(
          Effect.mapError(
            Tls.make(given),
            ({ message }) => new NodeStartError({ node, reason: "Certificate", detail: message })
          ),
          (credentials) => Effect.sync(() => made.set(given, credentials))
        )
      })
    const tls = options.tls === undefined ? undefined : yield* credentials(options.tls)
    const own = (given: Tls.Options | Tls.Credentials | false | undefined) =>
      given === undefined ? Effect.succeed(tls) : given === false ? Effect.undefined : credentials(given)

    const listeners: Array<Listener> = []
    for (const { allowPlaintext, cookie, host = "127.0.0.1", port = 0, tls } of listenOptions(options)) {
      const encrypted = yield* own(tls)
      if (encrypted === undefined && allowPlaintext !== true && !isLoopback(host)) {
        return yield* new NodeStartError({
          node,
          reason: "PublicAddress",
          detail:
            `${host} can be reached from other hosts and nothing is encrypted; give the node certificates (tls), ` +
            "or set listen.allowPlaintext if the network is trusted"
        })
      }
      const range = typeof port === "number" ? { from: port, to: port } : port
      listeners.push({ host, ...range, cookie: secret(cookie), tls: encrypted })
    }
    const routes = new Map<string, Route>()
    for (const [name, route] of Object.entries(options.routes ?? {})) {
      routes.set(name, {
        host: route.host,
        port: route.port,
        cookie: secret(route.cookie),
        tls: yield* own(route.tls)
      })
    }
    return { tls, routes, listeners }
  }
)

/** Listens on the first free port of the range, and gives it. */
export const open = (
  network: NetworkService,
  { from, host, tls, to }: Listener,
  onLink: (link: Link) => void
): Effect.Effect<number, NetworkError, Scope.Scope> => {
  const tryFrom = (port: number): Effect.Effect<number, NetworkError, Scope.Scope> =>
    network.listen({ host, port, ...(tls === undefined ? {} : { tls: { credentials: tls } }) }, onLink).pipe(
      Effect.map((opened) => opened.port),
      Effect.catch((error) => error.code === "EADDRINUSE" && port < to ? tryFrom(port + 1) : Effect.fail(error))
    )
  return tryFrom(from)
}
