/**
 * Certificates of a node: what it shows, whom it trusts, and how both are changed while it runs.
 *
 * Both sides of a connection show a certificate and verify the other's; there is no way to turn that off. Verified are
 * the chain up to one of the authorities in `ca`, the dates, the usage (a node's certificate is for servers and for
 * clients, or says nothing about it), the strength of keys and signatures, and with `crl` that nothing was revoked. Names
 * are verified as {@link Policy} says. The cookie is checked as well, after that.
 *
 * A change holds for connections from then on; those that are open stay. What cannot be used is refused with a
 * `TlsError`, and what was there before stays.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { TlsError } from "./DistError.ts"
import { Network, type NetworkService } from "./Network.ts"

/**
 * A certificate with its key and the authorities, as PEM texts.
 *
 * @category models
 * @since 0.1.0
 */
export interface Pem {
  /** The certificate, followed by those between it and the authority, if there are any. */
  readonly cert: string
  /** Its private key, not encrypted. */
  readonly key: Redacted.Redacted<string>
  /**
   * The certificates that are trusted: of authorities, or of single nodes that have signed their own, which Erlang refuses
   * even when it is given them.
   */
  readonly ca: string
  /** Lists of what the authorities have revoked. With one, every authority must have one, and none may be out of date. */
  readonly crl?: string | undefined
}

/**
 * What is asked of connections.
 *
 * @category models
 * @since 0.1.0
 */
export interface Policy {
  /**
   * The oldest version that is spoken. Two nodes of this runtime speak 1.3 in any case; 1.2 is what OTP 25 to 28 speak
   * unless told otherwise. Default `TLSv1.2`, with ephemeral keys and authenticated encryption only.
   */
  readonly minVersion?: "TLSv1.2" | "TLSv1.3" | undefined
  /**
   * Whose certificate must have the host of its node's name as an alternative name (a DNS name, or an address, which may be
   * written as a DNS name because Erlang asks for that): `server`, that of a node which this one connects to; `both`, also
   * that of a node which connects to this one; `none`. Default `server`, as Erlang does it.
   */
  readonly names?: "server" | "both" | "none" | undefined
}

/**
 * The `tls` option of a node.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Pem, Policy {}

/**
 * What the host has found in a certificate.
 *
 * @category models
 * @since 0.1.0
 */
export interface Certificate {
  readonly subject: string
  readonly issuer: string
  /** The alternative names, as `DNS:host` and `IP Address:127.0.0.1`. */
  readonly names: ReadonlyArray<string>
  /** From when to when it holds, in milliseconds since 1970. */
  readonly validFrom: number
  readonly validTo: number
  /** The SHA-256 fingerprint. */
  readonly fingerprint: string
}

const TypeId = "~effect-otp/Tls" as const

/**
 * The certificates of a node, which may be changed while it runs. See {@link make} and {@link fromFiles}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Credentials {
  readonly [TypeId]: typeof TypeId
  readonly policy: Policy
  /** The certificate in use. */
  readonly certificate: () => Certificate
  /** The texts in use: the same object until they change. */
  readonly pem: () => Pem
  /** Takes others. */
  readonly update: (pem: Pem) => Effect.Effect<Certificate, TlsError>
  /** Reads the files again; what was given as text is only checked again. */
  readonly reload: Effect.Effect<Certificate, TlsError>
}

/**
 * Whether a value is {@link Credentials}.
 *
 * @category guards
 * @since 0.1.0
 */
export const isCredentials = (u: unknown): u is Credentials => typeof u === "object" && u !== null && TypeId in u

const checkWith = (network: NetworkService, pem: Pem): Effect.Effect<Certificate, TlsError> =>
  network.checkCertificate === undefined
    ? Effect.fail(
      new TlsError({ reason: "Other", subject: "this host", detail: "the network of this node has no TLS" })
    )
    : network.checkCertificate(pem)

const makeWith = (
  network: NetworkService,
  policy: Policy,
  read: Effect.Effect<Pem, TlsError>
): Effect.Effect<Credentials, TlsError> =>
  Effect.gen(function*() {
    let pem = yield* read
    let certificate = yield* checkWith(network, pem)
    const update = (next: Pem): Effect.Effect<Certificate, TlsError> =>
      Effect.map(checkWith(network, next), (checked) => {
        pem = next
        certificate = checked
        return checked
      })
    return {
      [TypeId]: TypeId,
      policy,
      certificate: () => certificate,
      pem: () => pem,
      update,
      reload: Effect.flatMap(read, (next) => same(next, pem) ? checkWith(network, pem) : update(next))
    }
  })

const same = (a: Pem, b: Pem): boolean =>
  a.cert === b.cert && a.ca === b.ca && a.crl === b.crl && Redacted.value(a.key) === Redacted.value(b.key)

/**
 * Credentials of PEM texts. A node makes them itself when its `tls` option is {@link Options}; make them here to change
 * them later with `update`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<Credentials, TlsError, Network> => {
  const { ca, cert, crl, key } = options
  return Effect.flatMap(Network, (network) => makeWith(network, options, Effect.succeed({ ca, cert, crl, key })))
}

/**
 * Where the certificates of a node are.
 *
 * @category models
 * @since 0.1.0
 */
export interface FileOptions extends Policy {
  /** Path of the certificate, as {@link Pem} has it. */
  readonly cert: string
  /** Path of its private key. */
  readonly key: string
  /** Path of the certificates that are trusted. */
  readonly ca: string
  /** Path of the lists of what was revoked. */
  readonly crl?: string | undefined
  /**
   * How often to look whether the files have changed. By default never: use `reload`. Files are compared by content, so that it
   * does not matter how they were replaced; a set that cannot be used is reported once in the log and tried again.
   */
  readonly reloadEvery?: Duration.Input | undefined
}

/**
 * Credentials of files.
 *
 * @example
 * ```ts
 * import { Effect, Layer, Redacted } from "effect"
 * import { Node, Tls } from "effect-otp/dist"
 *
 * const NodeLive = Layer.unwrap(Effect.map(
 *   Tls.fromFiles({ cert: "node.pem", key: "node.key", ca: "ca.pem", reloadEvery: "1 minute" }),
 *   (tls) => Node.layer({ name: "shop@10.0.0.7", cookie: Redacted.make("k6vQ0yq9c2h1uYw7"), tls })
 * ))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromFiles: (
  options: FileOptions
) => Effect.Effect<Credentials, TlsError, Network | FileSystem.FileSystem | Scope.Scope> = Effect.fnUntraced(
  function*(options: FileOptions) {
    const network = yield* Network
    const files = yield* FileSystem.FileSystem
    const text = (path: string): Effect.Effect<string, TlsError> =>
      Effect.mapError(
        files.readFileString(path),
        (error) => new TlsError({ reason: "Unreadable", subject: path, detail: error.message })
      )
    const read: Effect.Effect<Pem, TlsError> = Effect.gen(function*() {
      return {
        cert: yield* text(options.cert),
        key: Redacted.make(yield* text(options.key), { label: "private key" }),
        ca: yield* text(options.ca),
        crl: options.crl === undefined ? undefined : yield* text(options.crl)
      }
    })
    const credentials = yield* makeWith(network, options, read)
    if (options.reloadEvery !== undefined) {
      yield* Effect.forkScoped(watched(credentials, Duration.fromInputUnsafe(options.reloadEvery)))
    }
    return credentials
  }
)

const watched = (credentials: Credentials, every: Duration.Duration): Effect.Effect<unknown> => {
  let reported = ""
  const look = Effect.gen(function*() {
    const before = credentials.pem()
    const outcome = yield* Effect.result(credentials.reload)
    if (outcome._tag === "Failure") {
      const { message } = outcome.failure
      if (message !== reported) yield* Effect.logWarning(`the new certificate is not used: ${message}`)
      reported = message
    } else {
      reported = ""
      if (credentials.pem() !== before) {
        yield* Effect.logInfo(`a new certificate is in use: ${outcome.success.subject}, ${outcome.success.fingerprint}`)
      }
    }
  })
  return Effect.delay(Effect.repeat(look, Schedule.spaced(every)), every)
}
