/**
 * Certificates for tests, good and bad: the good ones by the generator of the command line, the bad ones by hand.
 */
// oxlint-disable-next-line import/no-unassigned-import -- the library needs what this adds to the runtime
import "reflect-metadata"
import * as X509 from "@peculiar/x509"
import { Effect, Redacted } from "effect"
import type { Tls } from "effect-otp/dist"
import { webcrypto } from "node:crypto"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import * as Generator from "../../src/cli/internal/NodeCertificates.ts"

X509.cryptoProvider.set(webcrypto as unknown as Parameters<typeof X509.cryptoProvider.set>[0])

/** An authority for tests. */
export const authority = (name = "an authority of tests"): Effect.Effect<Generator.Issued> =>
  Effect.orDie(Generator.authority({ name, days: 30, keyKind: "ec" }))

/** A certificate in order, for nodes of this host. */
export const good = (
  ca: Generator.Issued,
  options?: Partial<Generator.NodeOptions>
): Effect.Effect<Generator.Issued> =>
  Effect.orDie(
    Generator.node({ nodes: ["x@127.0.0.1"], name: "a node of tests", days: 10, keyKind: "ec", ca, ...options })
  )

/** A certificate that nobody has issued. */
export const selfSigned = (options?: Partial<Generator.NodeOptions>): Effect.Effect<Generator.Issued> =>
  Effect.orDie(
    Generator.selfSigned({ nodes: ["x@127.0.0.1"], name: "by itself", days: 10, keyKind: "ec", ...options })
  )

/** What a node is given. */
export const tlsOf = (
  issued: Generator.Issued,
  trusted: ReadonlyArray<Generator.Issued>,
  policy?: Tls.Policy & { readonly crl?: string }
): Tls.Options => ({ cert: issued.cert, key: issued.key, ca: trusted.map(({ cert }) => cert).join(""), ...policy })

/** How a certificate differs from one that is in order. */
export interface Faults {
  readonly notBefore?: Date
  readonly notAfter?: Date
  readonly hosts?: ReadonlyArray<string>
  readonly usages?: X509.KeyUsageFlags
  readonly purposes?: Array<string>
  /** Bits of an RSA key, in place of a key of P-256. */
  readonly rsa?: number
  /** The digest of the signature, which is then of RSA. */
  readonly hash?: string
  readonly serialNumber?: string
}

const ec = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" }

const rsa = (modulusLength: number, hash = "SHA-256") => ({
  name: "RSASSA-PKCS1-v1_5",
  hash,
  modulusLength,
  publicExponent: Uint8Array.of(1, 0, 1)
})

const year = 365 * 86_400_000

/** A certificate with faults. */
export const faulty = (
  ca: Generator.Issued,
  faults: Faults,
  authorityAlgorithm: ReturnType<typeof rsa> | typeof ec = ec
): Effect.Effect<Pick<Generator.Issued, "cert" | "key">> =>
  Effect.promise(async () => {
    const issuer = new X509.X509Certificate(ca.cert)
    const signing = faults.hash === undefined ? authorityAlgorithm : { ...authorityAlgorithm, hash: faults.hash }
    const signingKey = await webcrypto.subtle.importKey(
      "pkcs8",
      X509.PemConverter.decodeFirst(Redacted.value(ca.key)),
      signing,
      false,
      ["sign"]
    )
    const keys = await webcrypto.subtle.generateKey(faults.rsa === undefined ? ec : rsa(faults.rsa), true, [
      "sign",
      "verify"
    ]) as webcrypto.CryptoKeyPair
    const hosts = faults.hosts ?? ["127.0.0.1"]
    const certificate = await X509.X509CertificateGenerator.create({
      ...(faults.serialNumber === undefined ? {} : { serialNumber: faults.serialNumber }),
      subject: "CN=faulty",
      issuer: issuer.subjectName,
      notBefore: faults.notBefore ?? new Date(Date.now() - 60_000),
      notAfter: faults.notAfter ?? new Date(Date.now() + year),
      publicKey: keys.publicKey,
      signingKey,
      signingAlgorithm: signing,
      extensions: [
        new X509.BasicConstraintsExtension(false, undefined, true),
        new X509.KeyUsagesExtension(faults.usages ?? X509.KeyUsageFlags.digitalSignature, true),
        new X509.ExtendedKeyUsageExtension(
          faults.purposes ?? [X509.ExtendedKeyUsage.serverAuth, X509.ExtendedKeyUsage.clientAuth]
        ),
        new X509.SubjectAlternativeNameExtension(hosts.map((value) => ({ type: "dns" as const, value })))
      ]
    })
    const key = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)
    return {
      cert: `${certificate.toString("pem")}\n`,
      key: Redacted.make(`${X509.PemConverter.encode(key, "PRIVATE KEY")}\n`)
    }
  })

/** An authority with an RSA key: what it signs may have a digest that can be forged. */
export const rsaAuthority: Effect.Effect<Generator.Issued> = Effect.orDie(
  Generator.authority({ name: "an authority with RSA", days: 30, keyKind: "rsa" })
)

/** How {@link rsaAuthority} signs. */
export const rsaAlgorithm: ReturnType<typeof rsa> = rsa(3072)

/** What an authority has revoked. */
export const revocations = (
  ca: Generator.Issued,
  serialNumbers: ReadonlyArray<string>,
  nextUpdate = new Date(Date.now() + year)
): Effect.Effect<string> =>
  Effect.promise(async () => {
    const issuer = new X509.X509Certificate(ca.cert)
    const signingKey = await webcrypto.subtle.importKey(
      "pkcs8",
      X509.PemConverter.decodeFirst(Redacted.value(ca.key)),
      ec,
      false,
      ["sign"]
    )
    const crl = await X509.X509CrlGenerator.create({
      issuer: issuer.subjectName,
      thisUpdate: new Date(Date.now() - 60_000),
      nextUpdate,
      signingKey,
      signingAlgorithm: ec,
      entries: serialNumbers.map((serialNumber) => ({ serialNumber, revocationDate: new Date(Date.now() - 1000) }))
    })
    return `${X509.PemConverter.encode(crl.rawData, "X509 CRL")}\n`
  })

/** A folder with files, gone with the scope. */
export const folder = (files: { readonly [name: string]: string }) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const path = Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-otp-tls-"))
      for (const [name, text] of Object.entries(files)) Fs.writeFileSync(Path.join(path, name), text, { mode: 0o600 })
      return path
    }),
    (path) => Effect.sync(() => Fs.rmSync(path, { recursive: true, force: true }))
  )
