/**
 * Certificates for nodes: a small authority, what it issues, and certificates that sign themselves.
 *
 * The keys are new every time, of the curve P-256 or RSA with 3072 bits. The library that writes certificates,
 * `@peculiar/x509` with `reflect-metadata`, is loaded when the first one is made, and only this file knows it: a node
 * never needs it.
 *
 * Refused: lifetimes that are none, nodes without a host, an authority that may not issue or whose key is another's.
 *
 * @since 0.1.0
 */
import type * as X509 from "@peculiar/x509"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { webcrypto } from "node:crypto"
import * as Net from "node:net"
import { CertificateError } from "./CertificateError.ts"

/** A certificate and its key, as PEM texts. */
export interface Issued {
  readonly cert: string
  readonly key: Redacted.Redacted<string>
  readonly subject: string
  /** The alternative names. */
  readonly names: ReadonlyArray<string>
  readonly validFrom: Date
  readonly validTo: Date
  /** SHA-256, as `AB:CD:...`. */
  readonly fingerprint: string
}

/** The kind of a key. */
export type KeyKind = "ec" | "rsa"

const library: Effect.Effect<typeof X509, CertificateError> = Effect.map(
  Effect.tryPromise({
    // What writes certificates wants the polyfill to be there before it.
    try: () => import("reflect-metadata").then(() => import("@peculiar/x509")),
    catch: () =>
      new CertificateError({
        reason: "NoLibrary",
        detail: "certificates are made by a library that is not installed: npm install @peculiar/x509 reflect-metadata"
      })
  }),
  (x509) => {
    // The types of Node's own differ from those of browsers in nothing that matters here.
    x509.cryptoProvider.set(webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0])
    return x509
  }
)

const algorithms = {
  ec: { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
  rsa: {
    name: "RSASSA-PKCS1-v1_5",
    hash: "SHA-256",
    modulusLength: 3072,
    publicExponent: Uint8Array.of(1, 0, 1)
  }
} as const

const invalid = (what: string) => (error: unknown): CertificateError =>
  new CertificateError({ reason: "Invalid", detail: `${what}: ${(error as Error).message}` })

const attempt = <A>(what: string, f: () => PromiseLike<A>): Effect.Effect<A, CertificateError> =>
  Effect.tryPromise({ try: f, catch: invalid(what) })

const read = <A>(what: string, f: () => A): Effect.Effect<A, CertificateError> =>
  Effect.try({ try: f, catch: invalid(what) })

const dayMillis = 86_400_000

/** Clocks differ: a certificate holds from a few minutes ago on. */
const earlierMillis = 5 * 60_000

const validity = (
  days: number
): Effect.Effect<{ readonly notBefore: Date; readonly notAfter: Date }, CertificateError> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    Number.isInteger(days) && days > 0 && days <= 36_500
      ? Effect.succeed({ notBefore: new Date(now - earlierMillis), notAfter: new Date(now + days * dayMillis) })
      : Effect.fail(new CertificateError({ reason: "Invalid", detail: `${days} days: 1 to 36500 are possible` })))

/** The host of a node name, or the host that was given as such. */
export const hostOf = (node: string): string => node.slice(node.indexOf("@") + 1)

/**
 * The alternative names for hosts. An address is given twice, as an address and as a DNS name: Erlang looks for the host of
 * a node's name among the DNS names, whatever it is.
 */
const alternatives = (hosts: ReadonlyArray<string>): Array<{ readonly type: "dns" | "ip"; readonly value: string }> =>
  hosts.flatMap((host) =>
    Net.isIP(host) === 0
      ? [{ type: "dns" as const, value: host }]
      : [{ type: "ip" as const, value: host }, { type: "dns" as const, value: host }]
  )

const hostsOf = (nodes: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<string>, CertificateError> => {
  const hosts = [...new Set(nodes.map(hostOf))]
  const bad = hosts.find((host) => !/^[\w.*:-]{1,253}$/.test(host))
  if (hosts.length === 0 || bad !== undefined) {
    return Effect.fail(
      new CertificateError({
        reason: "Invalid",
        detail: bad === undefined
          ? "a certificate speaks for at least one host"
          : `${JSON.stringify(bad)} is no host: give names such as shop@10.0.0.7, or hosts`
      })
    )
  }
  return Effect.succeed(hosts)
}

/** In a distinguished name, commas and the like are data. */
const commonName = (text: string): Array<{ readonly CN: Array<string> }> => [{ CN: [text] }]

const issued = (
  x509: typeof X509,
  certificate: X509.X509Certificate,
  privateKey: webcrypto.CryptoKey
): Effect.Effect<Issued, CertificateError> =>
  Effect.map(
    attempt("the key", () =>
      webcrypto.subtle.exportKey("pkcs8", privateKey).then((key) =>
        certificate.getThumbprint("SHA-256").then((print) => ({ key, print }))
      )),
    ({ key, print }) => ({
      cert: `${certificate.toString("pem").trim()}\n`,
      key: Redacted.make(`${x509.PemConverter.encode(key as ArrayBuffer, "PRIVATE KEY").trim()}\n`, {
        label: "private key"
      }),
      subject: certificate.subject,
      names: certificate.getExtension(x509.SubjectAlternativeNameExtension)?.names.items.map((name) =>
        `${name.type}:${name.value}`
      ) ?? [],
      validFrom: certificate.notBefore,
      validTo: certificate.notAfter,
      fingerprint: Buffer.from(print).toString("hex").toUpperCase().match(/../g)!.join(":")
    })
  )

const keysOf = (kind: KeyKind): Effect.Effect<webcrypto.CryptoKeyPair, CertificateError> =>
  // Both kinds make pairs.
  attempt("a new key", () =>
    webcrypto.subtle.generateKey(algorithms[kind], true, ["sign", "verify"]) as PromiseLike<webcrypto.CryptoKeyPair>)

/** What an authority is made of. */
export interface AuthorityOptions {
  readonly name: string
  readonly days: number
  readonly keyKind: KeyKind
}

/** A new authority. It issues certificates for nodes, and none for further authorities. */
export const authority: (options: AuthorityOptions) => Effect.Effect<Issued, CertificateError> = Effect.fnUntraced(
  function*(options: AuthorityOptions) {
    const x509 = yield* library
    const dates = yield* validity(options.days)
    const keys = yield* keysOf(options.keyKind)
    const identifier = yield* attempt(
      "the certificate",
      () => x509.SubjectKeyIdentifierExtension.create(keys.publicKey)
    )
    const certificate = yield* attempt("the certificate", () =>
      x509.X509CertificateGenerator.createSelfSigned({
        ...dates,
        name: commonName(options.name),
        keys,
        signingAlgorithm: algorithms[options.keyKind],
        extensions: [
          new x509.BasicConstraintsExtension(true, 0, true),
          new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
          identifier
        ]
      }))
    return yield* issued(x509, certificate, keys.privateKey)
  }
)

/** What a node's certificate is made of. */
export interface NodeOptions {
  /** Names of nodes, or hosts. */
  readonly nodes: ReadonlyArray<string>
  /** The common name. */
  readonly name: string
  readonly days: number
  readonly keyKind: KeyKind
}

const nodeExtensions = (x509: typeof X509, hosts: ReadonlyArray<string>): Array<X509.Extension> => [
  new x509.BasicConstraintsExtension(false, undefined, true),
  new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
  new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
  new x509.SubjectAlternativeNameExtension(alternatives(hosts))
]

/** A certificate for a node, issued by an authority. */
export const node: (
  options: NodeOptions & { readonly ca: { readonly cert: string; readonly key: Redacted.Redacted<string> } }
) => Effect.Effect<Issued, CertificateError> = Effect.fnUntraced(
  function*(options) {
    const x509 = yield* library
    const hosts = yield* hostsOf(options.nodes)
    const dates = yield* validity(options.days)
    const ca = yield* authorityFrom(x509, options.ca.cert, options.ca.key)
    const keys = yield* keysOf(options.keyKind)
    const own = yield* attempt(
      "the certificate",
      () => x509.SubjectKeyIdentifierExtension.create(keys.publicKey)
    )
    const above = yield* attempt(
      "the certificate of the authority",
      () => x509.AuthorityKeyIdentifierExtension.create(ca.certificate.publicKey)
    )
    const certificate = yield* attempt("the certificate", () =>
      x509.X509CertificateGenerator.create({
        notBefore: dates.notBefore,
        // What an authority has issued does not outlive it.
        notAfter: dates.notAfter > ca.certificate.notAfter ? ca.certificate.notAfter : dates.notAfter,
        subject: commonName(options.name),
        issuer: ca.certificate.subjectName,
        publicKey: keys.publicKey,
        signingKey: ca.key,
        signingAlgorithm: ca.algorithm,
        extensions: [...nodeExtensions(x509, hosts), own, above]
      }))
    return yield* issued(x509, certificate, keys.privateKey)
  }
)

/** A certificate for a node that nobody has issued: whoever is to trust it has it in `ca`. */
export const selfSigned: (options: NodeOptions) => Effect.Effect<Issued, CertificateError> = Effect.fnUntraced(
  function*(options: NodeOptions) {
    const x509 = yield* library
    const hosts = yield* hostsOf(options.nodes)
    const dates = yield* validity(options.days)
    const keys = yield* keysOf(options.keyKind)
    const certificate = yield* attempt("the certificate", () =>
      x509.X509CertificateGenerator.createSelfSigned({
        ...dates,
        name: commonName(options.name),
        keys,
        signingAlgorithm: algorithms[options.keyKind],
        extensions: nodeExtensions(x509, hosts)
      }))
    return yield* issued(x509, certificate, keys.privateKey)
  }
)

/** An authority as it was written, fit to issue. */
const authorityFrom = (
  x509: typeof X509,
  cert: string,
  key: Redacted.Redacted<string>
): Effect.Effect<
  {
    readonly certificate: X509.X509Certificate
    readonly key: webcrypto.CryptoKey
    readonly algorithm: typeof algorithms.ec | typeof algorithms.rsa
  },
  CertificateError
> =>
  Effect.gen(function*() {
    const certificate = yield* read("the certificate of the authority", () => new x509.X509Certificate(cert))
    const constraints = certificate.getExtension(x509.BasicConstraintsExtension)
    if (constraints?.ca !== true) {
      return yield* new CertificateError({
        reason: "Authority",
        detail: `${certificate.subject} is no authority: it may not issue certificates`
      })
    }
    const now = yield* Clock.currentTimeMillis
    if (certificate.notAfter.getTime() < now) {
      return yield* new CertificateError({
        reason: "Authority",
        detail: `the authority ${certificate.subject} has expired at ${certificate.notAfter.toISOString()}`
      })
    }
    const algorithm = certificate.publicKey.algorithm.name === "ECDSA" ? algorithms.ec : algorithms.rsa
    const what = "the key of the authority"
    const bytes = yield* read(what, () => x509.PemConverter.decodeFirst(Redacted.value(key)))
    const imported = yield* attempt(what, () => webcrypto.subtle.importKey("pkcs8", bytes, algorithm, false, ["sign"]))
    const publicKey = yield* attempt(what, () => certificate.publicKey.export(algorithm, ["verify"]))
    const signature = yield* attempt(what, () => webcrypto.subtle.sign(algorithm, imported, Uint8Array.of(1)))
    const fits = yield* attempt(what, () => webcrypto.subtle.verify(algorithm, publicKey, signature, Uint8Array.of(1)))
    if (!fits) {
      return yield* new CertificateError({
        reason: "Authority",
        detail: `the key is not that of the authority ${certificate.subject}`
      })
    }
    return { certificate, key: imported, algorithm }
  })
