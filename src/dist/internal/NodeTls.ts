/**
 * TLS on Node.js: contexts of PEM texts, what OpenSSL finds fault with in one word, whose certificate it is.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Crypto from "node:crypto"
import * as Net from "node:net"
import * as NodeTls from "node:tls"
import { TlsError, type TlsReason } from "../DistError.ts"
import type * as Tls from "../Tls.ts"

/** Ephemeral keys and authenticated encryption only; keys and signatures of 112 bits and more. */
const ciphers = [
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "TLS_AES_128_GCM_SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "@SECLEVEL=2"
].join(":")

/** The options of a context. Without tickets nobody returns without showing a certificate. */
export const contextOptions = (pem: Tls.Pem, policy: Tls.Policy): NodeTls.SecureContextOptions => ({
  cert: pem.cert,
  key: Redacted.value(pem.key),
  ca: pem.ca,
  ...(pem.crl === undefined ? {} : { crl: pem.crl }),
  ciphers,
  honorCipherOrder: true,
  minVersion: policy.minVersion ?? "TLSv1.2",
  secureOptions: Crypto.constants.SSL_OP_NO_TICKET | Crypto.constants.SSL_OP_NO_RENEGOTIATION
})

const contexts = new WeakMap<Tls.Pem, NodeTls.SecureContext>()

/** The context of credentials for connections to others. They were checked: it can be made. */
export const contextOf = (credentials: Tls.Credentials): NodeTls.SecureContext => {
  const pem = credentials.pem()
  let context = contexts.get(pem)
  if (context === undefined) {
    context = NodeTls.createSecureContext(contextOptions(pem, credentials.policy))
    contexts.set(pem, context)
  }
  return context
}

// --- what is wrong ---------------------------------------------------------------------------------------------------

const words: { readonly [code: string]: readonly [TlsReason, string] } = {
  CERT_HAS_EXPIRED: ["Expired", "the certificate has expired"],
  CERT_NOT_YET_VALID: ["NotYetValid", "the certificate is not valid yet"],
  DEPTH_ZERO_SELF_SIGNED_CERT: [
    "SelfSigned",
    "the certificate is signed by itself and not among those that are trusted"
  ],
  SELF_SIGNED_CERT_IN_CHAIN: ["UnknownAuthority", "the authority of the certificate is not trusted"],
  UNABLE_TO_GET_ISSUER_CERT: ["UnknownAuthority", "the authority of the certificate is not trusted"],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ["UnknownAuthority", "the authority of the certificate is not trusted"],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ["UnknownAuthority", "the authority of the certificate is not trusted"],
  CERT_UNTRUSTED: ["UnknownAuthority", "the authority of the certificate is not trusted for this"],
  CERT_REJECTED: ["WrongUsage", "the authority of the certificate rejects this use"],
  INVALID_PURPOSE: ["WrongUsage", "the certificate is not for this side of a connection"],
  INVALID_CA: ["WrongUsage", "the certificate was issued by one that may not issue any"],
  PATH_LENGTH_EXCEEDED: ["WrongUsage", "the chain of the certificate is longer than its authority allows"],
  CERT_REVOKED: ["Revoked", "the certificate was revoked"],
  UNABLE_TO_GET_CRL: ["RevocationUnknown", "there is no list of what the authority of the certificate has revoked"],
  CRL_HAS_EXPIRED: ["RevocationUnknown", "the list of what was revoked is out of date"],
  CRL_NOT_YET_VALID: ["RevocationUnknown", "the list of what was revoked is not valid yet"],
  CRL_SIGNATURE_FAILURE: ["RevocationUnknown", "the list of what was revoked is not signed by the authority"],
  CERT_SIGNATURE_FAILURE: ["BadSignature", "the signature of the certificate is wrong"],
  ERR_SSL_BAD_SIGNATURE: ["BadSignature", "the peer has not the key of its certificate"],
  ERR_TLS_CERT_ALTNAME_INVALID: ["WrongName", "the certificate is that of another host"],
  ERR_SSL_EE_KEY_TOO_SMALL: ["Weak", "the key of the certificate is too short"],
  ERR_SSL_CA_KEY_TOO_SMALL: ["Weak", "the key of the authority is too short"],
  ERR_SSL_CA_MD_TOO_WEAK: ["Weak", "the digest in a signature can be forged"],
  ERR_SSL_UNSUPPORTED_PROTOCOL: ["Version", "the peer speaks other versions of TLS only"],
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: ["Version", "the peer speaks other versions of TLS only"],
  ERR_SSL_WRONG_VERSION_NUMBER: ["NotTls", "the peer does not speak TLS"],
  ERR_SSL_HTTP_REQUEST: ["NotTls", "the peer speaks HTTP"],
  ERR_SSL_HTTPS_PROXY_REQUEST: ["NotTls", "the peer speaks HTTP"],
  ERR_SSL_PACKET_LENGTH_TOO_LONG: ["NotTls", "the peer does not speak TLS"],
  ERR_SSL_BAD_RECORD_TYPE: ["NotTls", "the peer does not speak TLS"],
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: ["NoCertificate", "the peer has sent no certificate"],
  ECONNRESET: ["Closed", "the connection was closed during the handshake of TLS"],
  EPIPE: ["Closed", "the connection was closed during the handshake of TLS"],
  ERR_SSL_UNEXPECTED_EOF_WHILE_READING: ["Closed", "the connection was closed during the handshake of TLS"]
}

/** The error for what Node reports by a code. */
export const errorOf = (subject: string, error: unknown): TlsError => {
  const { code = "", message } = error as NodeJS.ErrnoException
  const known = words[code]
  if (known !== undefined) return new TlsError({ reason: known[0], subject, detail: known[1] })
  const make = (reason: TlsReason, detail: string): TlsError => new TlsError({ reason, subject, detail })
  const alert = /ALERT_(\w+)$/.exec(code)?.[1]
  if (alert !== undefined && /CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED/.test(alert)) {
    return make("Refused", `the peer refuses this node's certificate: ${alert.toLowerCase().replaceAll("_", " ")}`)
  }
  if (/too (?:small|weak)|key too/i.test(message)) return make("Weak", message)
  if (/key values mismatch/i.test(message)) return make("KeyMismatch", "the key is not that of the certificate")
  return make("Other", code === "" ? message : `${message} (${code})`)
}

/** What speaks against a verified certificate being that of a node. */
export const objectionTo = (
  certificate: Crypto.X509Certificate,
  node: string,
  subject: string
): TlsError | undefined => {
  const host = node.slice(node.indexOf("@") + 1)
  const isAddress = Net.isIP(host) !== 0
  const fits = isAddress
    ? certificate.checkIP(host) !== undefined || namesOf(certificate).includes(`DNS:${host}`)
    : certificate.checkHost(host, { subject: "never", partialWildcards: false }) !== undefined
  if (fits) return undefined
  const names = namesOf(certificate)
  return new TlsError({
    reason: "WrongName",
    subject,
    detail: `the certificate is not that of ${host}: it names ${names.length === 0 ? "no host" : names.join(", ")}`
  })
}

/** The alternative names; what stands in quotes cannot pretend to be several. */
export const namesOf = (certificate: Crypto.X509Certificate): ReadonlyArray<string> =>
  certificate.subjectAltName?.match(/[^,"]+:(?:"(?:[^"\\]|\\.)*"|[^,]*)(?=, |$)/g)?.map((name) => name.trim()) ?? []

/** The certificate of a peer whose handshake is over, or why it is refused. To be asked once: Node hands it out once. */
export const verified = (socket: NodeTls.TLSSocket, subject: string): TlsError | Crypto.X509Certificate => {
  const make = (reason: TlsReason, detail: string): TlsError => new TlsError({ reason, subject, detail })
  const certificate = socket.getPeerX509Certificate()
  if (socket.isSessionReused() || certificate === undefined) {
    return make("NoCertificate", "the peer has sent no certificate")
  }
  if (socket.authorized) return certificate
  // An error, or on the side that accepts only its code.
  const fault: unknown = socket.authorizationError
  const code = typeof fault === "string" ? fault : (fault as NodeJS.ErrnoException | undefined)?.code ?? ""
  if (words[code] !== undefined) return errorOf(subject, { code, message: code })
  const { modulusLength = 4096 } = certificate.publicKey.asymmetricKeyDetails ?? {}
  return modulusLength < 2048 || code === "UNSPECIFIED" || code === ""
    ? make("Weak", "a key in the chain of the certificate is too short, or a signature can be forged")
    : make("Other", `the certificate is refused: ${code}`)
}

// --- the own certificate ---------------------------------------------------------------------------------------------

const certificateIn = (what: string, pem: string): Effect.Effect<Crypto.X509Certificate, TlsError> =>
  Effect.try({
    try: () => new Crypto.X509Certificate(pem),
    catch: (error) =>
      new TlsError({ reason: "Malformed", subject: what, detail: `no certificate in PEM: ${(error as Error).message}` })
  })

const blocks = (pem: string): ReadonlyArray<string> =>
  pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? []

/** Whether a certificate, its key and its authorities can be used now. */
export const checkCertificate = (pem: Tls.Pem): Effect.Effect<Tls.Certificate, TlsError> =>
  Effect.gen(function*() {
    const certificate = yield* certificateIn("the certificate", pem.cert)
    const authorities = blocks(pem.ca)
    if (authorities.length === 0) yield* certificateIn("the trusted certificates", pem.ca)
    for (const authority of authorities) yield* certificateIn("the trusted certificates", authority)
    const key = yield* Effect.try({
      try: () => Crypto.createPrivateKey(Redacted.value(pem.key)),
      catch: (error) =>
        new TlsError({ reason: "Malformed", subject: "the key", detail: `no key in PEM: ${(error as Error).message}` })
    })
    const subject = "the certificate"
    if (!certificate.checkPrivateKey(key)) {
      return yield* new TlsError({ reason: "KeyMismatch", subject, detail: "the key is not that of the certificate" })
    }
    const validFrom = Date.parse(certificate.validFrom)
    const validTo = Date.parse(certificate.validTo)
    const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
    if (now > validTo) {
      return yield* new TlsError({ reason: "Expired", subject, detail: `it has expired at ${certificate.validTo}` })
    }
    if (now < validFrom) {
      return yield* new TlsError({
        reason: "NotYetValid",
        subject,
        detail: `it is valid from ${certificate.validFrom}`
      })
    }
    yield* Effect.try({
      try: () => NodeTls.createSecureContext(contextOptions(pem, {})),
      catch: (error) => errorOf(subject, error)
    })
    return {
      subject: certificate.subject.replaceAll("\n", ", "),
      issuer: certificate.issuer.replaceAll("\n", ", "),
      names: namesOf(certificate),
      validFrom,
      validTo,
      fingerprint: certificate.fingerprint256
    }
  })
