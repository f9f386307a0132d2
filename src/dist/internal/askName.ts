/**
 * How a node without a name gets one: it connects to another node, which gives it a name of the asking host and a creation.
 * The connection is the first one of the node.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { DiscoveryService, NodeEndpoint } from "../../process/Transport.ts"
import type { TlsError } from "../DistError.ts"
import * as DistFlags from "../DistFlags.ts"
import * as Handshake from "../Handshake.ts"
import type { Link, NetworkService } from "../Network.ts"
import { utf8 } from "./Bytes.ts"
import type { Settings } from "./Distribution.ts"
import { explain, type Outcome, shakeHands } from "./shakeHands.ts"

/** A connection to another node, before the handshake. */
export interface Opened {
  readonly link: Link
  readonly endpoint: Pick<NodeEndpoint, "host" | "port" | "attributes">
  /** The cookie of the way there, if it has one of its own. */
  readonly cookie: string | undefined
}

/** Opens the connection to a node: by its route, or to where the discovery says that it listens. */
export const openLink = (
  name: string,
  settings: Settings,
  network: NetworkService,
  discovery: DiscoveryService
): Effect.Effect<Opened, string | TlsError> =>
  Effect.gen(function*() {
    const route = settings.routes.get(name)
    const endpoint: Opened["endpoint"] = route?.port === undefined
      ? yield* Effect.mapError(discovery.resolve(name), (error) => error.message)
      : { host: route.host ?? name.slice(name.indexOf("@") + 1), port: route.port }
    const credentials = route === undefined ? settings.tls : route.tls
    const link = yield* Effect.mapError(
      network.connect(credentials === undefined ? endpoint : { ...endpoint, tls: { credentials, node: name } }),
      (error) => error._tag === "TlsError" ? error : error.message
    )
    return { link, endpoint, cookie: route?.cookie }
  })

/** How lengths are written on a link. */
export const lengthBytesOf = (link: Link): 2 | 4 => link.encrypted === true ? 4 : 2

/** A name, and the connection on which it was given. */
export interface Asked {
  readonly name: string
  readonly creation: number
  readonly link: Link
  readonly outcome: Outcome & { readonly _tag: "Established" }
}

/** Asks a node for a name. `host` is what stands behind the `@`. */
export const askName = (
  from: string,
  host: string,
  settings: Settings,
  network: NetworkService,
  discovery: DiscoveryService
): Effect.Effect<Asked, string> =>
  Effect.gen(function*() {
    const { cookie, link } = yield* Effect.mapError(
      openLink(from, settings, network, discovery),
      (error) => typeof error === "string" ? error : error.message
    )
    const machine = Handshake.initiate({
      self: {
        name: host,
        creation: 0,
        flags: DistFlags.offer({ hidden: true, compression: network.zlib !== undefined })
      },
      challenge: network.randomUint32(),
      digest: (peer, challenge) => network.md5(utf8(settings.cookieOf(peer, cookie) + String(challenge))),
      wanted: from,
      connected: () => false,
      asks: true
    })
    const outcome = yield* shakeHands(link, machine, lengthBytesOf(link), Handshake.maxMessageBytes)
    if (outcome._tag === "Established" && outcome.given !== undefined) return { ...outcome.given, link, outcome }
    link.close()
    return yield* Effect.fail(
      outcome._tag === "Failed" ? explain(outcome.reason) : "it closed the connection during the handshake"
    )
  }).pipe(Effect.timeoutOrElse({
    duration: settings.setupMillis,
    orElse: () => Effect.fail(`no answer within ${settings.setupMillis} ms`)
  }))
