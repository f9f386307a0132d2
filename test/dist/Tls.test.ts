/**
 * Nodes of ours over TLS, among themselves and against peers whose certificates are not in order.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { GenServer, Message, Protocol } from "effect-otp"
import { Node, Tls } from "effect-otp/dist"
import { ConnectError, TlsError } from "effect-otp/dist/DistError"
import * as NodeNetwork from "effect-otp/dist/NodeNetwork"
import { Etf } from "effect-otp/etf"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import * as NodeTls from "node:tls"
import * as Certificates from "./Certificates.ts"
import { freePort } from "./ErlangNode.ts"
import { type Member, member, refusal, to } from "./Reachable.ts"

class Echo extends Protocol.make(
  "Echo",
  Message.Call("Echo", { payload: { value: Etf.Term }, success: Etf.Term })
) {}

const EchoServer = GenServer.make(Echo, {
  init: () => Effect.succeed(0),
  handlers: { Echo: ({ value }, state) => GenServer.reply(value, state) }
})

/** Two nodes of which the second knows the way to the first. */
const pair = (
  first: Tls.Options | Tls.Credentials | undefined,
  second: Tls.Options | Tls.Credentials | undefined,
  options?: Partial<Node.LayerOptions>
) =>
  Effect.gen(function*() {
    const a = yield* member("a@127.0.0.1", first, options)
    const b = yield* member("b@127.0.0.1", second, to(a))
    return { a, b }
  })

const credentialsFor = (options: Tls.Options) => Effect.provide(Tls.make(options), NodeNetwork.layer)

/** The reason of the last refusal that a node has reported. */
const reported = (member: Member): string | undefined =>
  member.logs.flat().findLast((part): part is TlsError => part instanceof TlsError)?.reason

const eventually = <A>(f: () => A | undefined, what: string): Effect.Effect<A> =>
  Effect.gen(function*() {
    for (let i = 0; i < 300; i++) {
      const value = f()
      if (value !== undefined) return value
      yield* Effect.sleep(10)
    }
    return yield* Effect.die(new Error(`never: ${what}`))
  })

/** A client of TLS that is no node. */
const client = (port: number, options: NodeTls.ConnectionOptions) =>
  Effect.acquireRelease(
    Effect.callback<NodeTls.TLSSocket | Error>((resume) => {
      const socket = NodeTls.connect({ host: "127.0.0.1", port, rejectUnauthorized: false, ...options })
      socket.once("secureConnect", () => resume(Effect.succeed(socket)))
      socket.on("error", (error) => resume(Effect.succeed(error)))
    }),
    (socket) => Effect.sync(() => socket instanceof Error || socket.destroy())
  )

const ended = (socket: Net.Socket): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (socket.destroyed) return resume(Effect.void)
    socket.once("close", () => resume(Effect.void))
    socket.resume()
  })

describe("nodes over TLS", () => {
  it.live("connect, call each other with types, and speak TLS 1.3", () =>
    Effect.scoped(Effect.gen(function*() {
      const ca = yield* Certificates.authority()
      const tls = Certificates.tlsOf(yield* Certificates.good(ca), [ca])
      const { a, b } = yield* pair(tls, tls)
      yield* a.run(GenServer.startDetached(EchoServer, undefined, { name: "echo" }))
      const value = yield* b.run(Effect.gen(function*() {
        const echo = yield* Node.remote(Echo, { name: "echo", node: a.name })
        return yield* echo.Echo({ value: [1, 2, 3] })
      }))
      assert.deepStrictEqual(value, [1, 2, 3])
      assert.deepStrictEqual(yield* a.run(Node.nodes()), [b.name])
      const socket = yield* client(a.port, { cert: tls.cert, key: Redacted.value(tls.key) })
      assert.instanceOf(socket, NodeTls.TLSSocket)
      assert.strictEqual((socket as NodeTls.TLSSocket).getProtocol(), "TLSv1.3")
    })))

  it.live("large and small messages arrive whole, in both directions", () =>
    Effect.scoped(Effect.gen(function*() {
      const ca = yield* Certificates.authority()
      const tls = Certificates.tlsOf(yield* Certificates.good(ca), [ca])
      const { a, b } = yield* pair(tls, tls)
      yield* a.run(GenServer.startDetached(EchoServer, undefined, { name: "echo" }))
      yield* b.run(Effect.gen(function*() {
        const echo = yield* Node.remote(Echo, { name: "echo", node: a.name })
        const large = new Uint8Array(5_000_000).map((_, i) => i * 7 + (i >> 8))
        const [back, ...small] = yield* Effect.all([
          echo.Echo({ value: large }),
          ...Array.from({ length: 200 }, (_, i) => echo.Echo({ value: [i, new Uint8Array(i * 40).fill(i)] }))
        ], { concurrency: "unbounded" })
        assert.deepStrictEqual(back, large)
        small.forEach((value, i) => assert.deepStrictEqual(value, [i, new Uint8Array(i * 40).fill(i)]))
      }))
    })))

  it.live("listen beyond this host only when they speak TLS", () =>
    Effect.scoped(Effect.gen(function*() {
      const ca = yield* Certificates.authority()
      const tls = Certificates.tlsOf(yield* Certificates.good(ca), [ca])
      const refused = yield* Effect.flip(member("a@127.0.0.1", undefined, { listen: { host: "0.0.0.0" } }))
      assert.strictEqual(refused.reason, "PublicAddress")
      const plain = yield* Effect.flip(member("a@127.0.0.1", tls, { listen: { host: "0.0.0.0", tls: false } }))
      assert.strictEqual(plain.reason, "PublicAddress")
      const port = yield* freePort
      const a = yield* member("a@127.0.0.1", tls, { listen: { host: "0.0.0.0", port } })
      const b = yield* member("b@127.0.0.1", tls, { routes: { [a.name]: { port } } })
      yield* b.run(Node.connect(a.name))
    })))

  it.live("trust certificates that sign themselves when they are given them", () =>
    Effect.scoped(Effect.gen(function*() {
      const one = yield* Certificates.selfSigned()
      const two = yield* Certificates.selfSigned({ keyKind: "rsa" })
      const { a, b } = yield* pair(Certificates.tlsOf(one, [two]), Certificates.tlsOf(two, [one]))
      yield* b.run(Node.connect(a.name))
      assert.deepStrictEqual(yield* a.run(Node.nodes()), [b.name])
    })))

  it.live("notice at once when one of them stops, and connect again when it is back", () =>
    Effect.scoped(Effect.gen(function*() {
      const ca = yield* Certificates.authority()
      const tls = Certificates.tlsOf(yield* Certificates.good(ca), [ca])
      const { a, b } = yield* pair(tls, tls)
      yield* a.run(GenServer.startDetached(EchoServer, undefined, { name: "echo" }))
      const echo = yield* b.run(Node.remote(Echo, { name: "echo", node: a.name }))
      assert.strictEqual(yield* b.run(echo.Echo({ value: 1 })), 1)
      yield* a.stop
      let nodes: ReadonlyArray<string> = []
      for (let i = 0; i < 200; i++) {
        nodes = yield* b.run(Node.nodes())
        if (nodes.length === 0) break
        yield* Effect.sleep(10)
      }
      assert.deepStrictEqual(nodes, [])
      const error = yield* Effect.flip(b.run(echo.Echo({ value: 2 })))
      assert.strictEqual((error as { readonly reason: { readonly _tag: string } }).reason._tag, "NodeDown")
      const again = yield* member(a.name, tls, { listen: { port: a.port } })
      yield* again.run(GenServer.startDetached(EchoServer, undefined, { name: "echo" }))
      assert.strictEqual(yield* b.run(echo.Echo({ value: 3 })), 3)
    })))

  it.live("still ask for the cookie", () =>
    Effect.scoped(Effect.gen(function*() {
      const ca = yield* Certificates.authority()
      const tls = Certificates.tlsOf(yield* Certificates.good(ca), [ca])
      const a = yield* member("a@127.0.0.1", tls)
      const b = yield* member("b@127.0.0.1", tls, { ...to(a), cookie: Redacted.make("another-cookie-0123456789") })
      const error = yield* refusal(b, a)
      assert.include(error.detail, "cookies")
      assert.deepStrictEqual(yield* a.run(Node.nodes()), [])
    })))

  it.live("do not fall back to what is not encrypted", () =>
    Effect.scoped(Effect.gen(function*() {
      const ca = yield* Certificates.authority()
      const tls = Certificates.tlsOf(yield* Certificates.good(ca), [ca])
      const a = yield* member("a@127.0.0.1", undefined, { setupTime: "1 second" })
      const b = yield* member("b@127.0.0.1", tls, to(a))
      const error = yield* refusal(b, a)
      assert.include(["NotTls", "Closed"], error.tls)
      assert.deepStrictEqual(yield* a.run(Node.nodes()), [])
    })))
})

describe("a certificate that is not in order", () => {
  const day = 86_400_000

  /** A node meets a peer with a faulty certificate, once as the one that is connected to and once as the one that connects. */
  const meets = (
    faults: Certificates.Faults,
    expected: { readonly accepting: ReadonlyArray<string>; readonly connecting: ReadonlyArray<string> },
    policy?: (ca: Awaited<ReturnType<typeof makeAuthority>>) => Effect.Effect<Tls.Policy & { readonly crl?: string }>
  ) =>
    Effect.scoped(Effect.gen(function*() {
      const ca = yield* Certificates.authority()
      const bad = yield* Certificates.faulty(ca, faults)
      const own = Certificates.tlsOf(
        yield* Certificates.good(ca),
        [ca],
        policy === undefined ? undefined : yield* policy(ca)
      )
      const a = yield* member("a@127.0.0.1", own)

      // The peer connects: whatever it believes, it gets no answer.
      const socket = yield* client(a.port, { cert: bad.cert, key: Redacted.value(bad.key), ciphers: "ALL:@SECLEVEL=0" })
      assert.instanceOf(socket, NodeTls.TLSSocket)
      yield* ended(socket as NodeTls.TLSSocket)
      assert.include(expected.accepting, yield* eventually(() => reported(a), "a report"))

      // The node connects to the peer.
      const server = yield* Effect.acquireRelease(
        Effect.callback<Net.Server>((resume) => {
          const server = NodeTls.createServer({
            cert: bad.cert,
            key: Redacted.value(bad.key),
            ca: ca.cert,
            requestCert: true,
            ciphers: "ALL:@SECLEVEL=0"
          })
          server.on("tlsClientError", () => {})
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const { port } = server.address() as Net.AddressInfo
      const b = yield* member("b@127.0.0.1", own, { routes: { "bad@127.0.0.1": { port } } })
      const error = yield* Effect.flip(b.run(Node.connect("bad@127.0.0.1")))
      assert.instanceOf(error, ConnectError)
      assert.include(expected.connecting, error.tls)

      // Both nodes are as they were: somebody in order is welcome.
      const c = yield* member("c@127.0.0.1", own, to(a))
      yield* c.run(Node.connect(a.name))
      assert.deepStrictEqual(yield* a.run(Node.nodes()), [c.name])
    }))
  const makeAuthority = () => Effect.runPromise(Certificates.authority())

  it.live("has expired", () =>
    meets(
      { notBefore: new Date(Date.now() - 10 * day), notAfter: new Date(Date.now() - day) },
      { accepting: ["Expired"], connecting: ["Expired"] }
    ))

  it.live("is not valid yet", () =>
    meets({ notBefore: new Date(Date.now() + day) }, { accepting: ["NotYetValid"], connecting: ["NotYetValid"] }))

  it.live("is that of another host, for those that connect to it", () =>
    Effect.scoped(Effect.gen(function*() {
      const ca = yield* Certificates.authority()
      const own = Certificates.tlsOf(yield* Certificates.good(ca), [ca])
      const other = Certificates.tlsOf(yield* Certificates.good(ca, { nodes: ["x@10.9.8.7", "y@elsewhere"] }), [ca])
      const { a, b } = yield* pair(other, own)
      const error = yield* refusal(b, a)
      assert.strictEqual(error.tls, "WrongName")
      assert.include(error.message, "10.9.8.7")
      assert.deepStrictEqual(yield* b.run(Node.nodes()), [])
      // Names are compared by those that connect, and by nobody when that is said.
      const lenient = yield* member("l@127.0.0.1", { ...own, names: "none" }, to(a))
      yield* lenient.run(Node.connect(a.name))
    })))

  it.live("is that of another host, for those that it connects to, when both are compared", () =>
    Effect.scoped(Effect.gen(function*() {
      const ca = yield* Certificates.authority()
      const own = Certificates.tlsOf(yield* Certificates.good(ca), [ca])
      const other = Certificates.tlsOf(yield* Certificates.good(ca, { nodes: ["x@elsewhere"] }), [ca])
      const { a, b } = yield* pair({ ...own, names: "both" }, other)
      const error = yield* refusal(b, a)
      assert.strictEqual(error.tls, "Closed")
      assert.strictEqual(yield* eventually(() => reported(a), "a report"), "WrongName")
      assert.deepStrictEqual(yield* a.run(Node.nodes()), [])
      const c = yield* member("c@127.0.0.1", own, to(a))
      yield* c.run(Node.connect(a.name))
    })))

  it.live("is for servers only: it connects to nobody", () =>
    Effect.scoped(Effect.gen(function*() {
      const ca = yield* Certificates.authority()
      const own = Certificates.tlsOf(yield* Certificates.good(ca), [ca])
      const bad = yield* Certificates.faulty(ca, { purposes: ["1.3.6.1.5.5.7.3.1"] })
      const { a, b } = yield* pair(own, { ...bad, ca: ca.cert })
      const error = yield* refusal(b, a)
      assert.strictEqual(error.tls, "Closed")
      assert.strictEqual(yield* eventually(() => reported(a), "a report"), "WrongUsage")
    })))

  it.live("is for clients only: nobody connects to it", () =>
    Effect.scoped(Effect.gen(function*() {
      const ca = yield* Certificates.authority()
      const own = Certificates.tlsOf(yield* Certificates.good(ca), [ca])
      const bad = yield* Certificates.faulty(ca, { purposes: ["1.3.6.1.5.5.7.3.2"] })
      const { a, b } = yield* pair({ ...bad, ca: ca.cert }, own)
      const error = yield* refusal(b, a)
      assert.strictEqual(error.tls, "WrongUsage")
    })))

  it.live("is for issuing others only", () =>
    meets({ usages: 32 }, { accepting: ["WrongUsage"], connecting: ["WrongUsage"] }))

  it.live("is from another authority", () =>
    Effect.scoped(Effect.gen(function*() {
      const ca = yield* Certificates.authority()
      const stranger = yield* Certificates.authority("somebody else")
      const own = Certificates.tlsOf(yield* Certificates.good(ca), [ca])
      const other = Certificates.tlsOf(yield* Certificates.good(stranger), [ca])
      const { a, b } = yield* pair(own, other)
      assert.strictEqual((yield* refusal(b, a)).tls, "Closed")
      assert.strictEqual(yield* eventually(() => reported(a), "a report"), "UnknownAuthority")
      const c = yield* member("c@127.0.0.1", own, { routes: { [b.name]: { port: b.port } } })
      assert.strictEqual((yield* refusal(c, b)).tls, "UnknownAuthority")
    })))

  it.live("is signed by itself and not trusted", () =>
    Effect.scoped(Effect.gen(function*() {
      const ca = yield* Certificates.authority()
      const own = Certificates.tlsOf(yield* Certificates.good(ca), [ca])
      const other = Certificates.tlsOf(yield* Certificates.selfSigned(), [ca])
      const { a, b } = yield* pair(own, other)
      assert.strictEqual((yield* refusal(b, a)).tls, "Closed")
      assert.strictEqual(yield* eventually(() => reported(a), "a report"), "SelfSigned")
      const c = yield* member("c@127.0.0.1", own, { routes: { [b.name]: { port: b.port } } })
      assert.strictEqual((yield* refusal(c, b)).tls, "SelfSigned")
    })))

  it.live("was revoked", () =>
    meets(
      { serialNumber: "0badc0de" },
      { accepting: ["Revoked"], connecting: ["Revoked"] },
      (ca) => Effect.map(Certificates.revocations(ca, ["0badc0de"]), (crl) => ({ crl }))
    ))

  it.live("may have been revoked: the list is out of date", () =>
    Effect.scoped(Effect.gen(function*() {
      const ca = yield* Certificates.authority()
      const tls = Certificates.tlsOf(yield* Certificates.good(ca), [ca])
      const crl = yield* Certificates.revocations(ca, [], new Date(Date.now() - 1000))
      const { a, b } = yield* pair(tls, { ...tls, crl })
      assert.strictEqual((yield* refusal(b, a)).tls, "RevocationUnknown")
    })))

  it.live("has a short key", () => meets({ rsa: 1024 }, { accepting: ["Weak"], connecting: ["Weak"] }))

  it.live("has a signature that can be forged", () =>
    Effect.scoped(Effect.gen(function*() {
      const ca = yield* Certificates.rsaAuthority
      const own = Certificates.tlsOf(yield* Certificates.good(ca), [ca])
      const bad = yield* Certificates.faulty(ca, { hash: "SHA-1" }, Certificates.rsaAlgorithm)
      const a = yield* member("a@127.0.0.1", own)
      const socket = yield* client(a.port, { cert: bad.cert, key: Redacted.value(bad.key), ciphers: "ALL:@SECLEVEL=0" })
      yield* ended(socket as NodeTls.TLSSocket)
      assert.strictEqual(yield* eventually(() => reported(a), "a report"), "Weak")
    })))

  it.live("is missing", () =>
    Effect.scoped(Effect.gen(function*() {
      const ca = yield* Certificates.authority()
      const own = Certificates.tlsOf(yield* Certificates.good(ca), [ca])
      const a = yield* member("a@127.0.0.1", own)
      const socket = yield* client(a.port, {})
      yield* ended(socket as NodeTls.TLSSocket)
      assert.strictEqual(yield* eventually(() => reported(a), "a report"), "NoCertificate")
    })))

  it.live("is missing, but there is a session from before", () =>
    Effect.scoped(Effect.gen(function*() {
      const ca = yield* Certificates.authority()
      const own = Certificates.tlsOf(yield* Certificates.good(ca), [ca])
      const a = yield* member("a@127.0.0.1", own)
      for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
        const first = yield* client(a.port, { cert: own.cert, key: Redacted.value(own.key), maxVersion })
        assert.instanceOf(first, NodeTls.TLSSocket)
        yield* Effect.sleep(100)
        const session = (first as NodeTls.TLSSocket).getSession()
        const socket = yield* client(a.port, { maxVersion, ...(session === undefined ? {} : { session }) })
        if (socket instanceof NodeTls.TLSSocket) yield* ended(socket)
      }
      assert.strictEqual(yield* eventually(() => reported(a), "a report"), "NoCertificate")
      assert.deepStrictEqual(yield* a.run(Node.nodes("all")), [])
    })))

  it.live("has a name that looks like several", () =>
    Effect.scoped(Effect.gen(function*() {
      const ca = yield* Certificates.authority()
      const own = Certificates.tlsOf(yield* Certificates.good(ca), [ca])
      for (const host of ["x, DNS:127.0.0.1", "x, DNS:127.0.0.1, y", "x\", DNS:127.0.0.1, \"y", "DNS:127.0.0.1"]) {
        const bad = yield* Certificates.faulty(ca, { hosts: [host] })
        const a = yield* member("a@127.0.0.1", { ...bad, ca: ca.cert })
        const b = yield* member("b@127.0.0.1", own, to(a))
        assert.strictEqual((yield* refusal(b, a)).tls, "WrongName", host)
        yield* a.stop
      }
    })))

  it.live("has another key: the node does not start with it", () =>
    Effect.scoped(Effect.gen(function*() {
      const ca = yield* Certificates.authority()
      const one = yield* Certificates.good(ca)
      const two = yield* Certificates.good(ca)
      const error = yield* Effect.flip(member("a@127.0.0.1", { cert: one.cert, key: two.key, ca: ca.cert }))
      assert.strictEqual(error.reason, "Certificate")
      assert.include(error.detail, "KeyMismatch")
    })))

  it.live("is the node's own: expired, weak, no PEM, no authority", () =>
    Effect.scoped(Effect.gen(function*() {
      const ca = yield* Certificates.authority()
      const fine = Certificates.tlsOf(yield* Certificates.good(ca), [ca])
      const expired = yield* Certificates.faulty(ca, {
        notBefore: new Date(Date.now() - 9 * day),
        notAfter: new Date(Date.now() - day)
      })
      const weak = yield* Certificates.faulty(ca, { rsa: 1024 })
      const early = yield* Certificates.faulty(ca, { notBefore: new Date(Date.now() + day) })
      const cases: ReadonlyArray<readonly [Partial<Tls.Options>, string]> = [
        [expired, "Expired"],
        [early, "NotYetValid"],
        [weak, "Weak"],
        [{ cert: "no certificate" }, "Malformed"],
        [{ key: Redacted.make("no key") }, "Malformed"],
        [{ ca: "" }, "Malformed"]
      ]
      for (const [difference, reason] of cases) {
        const error = yield* Effect.flip(credentialsFor({ ...fine, ...difference }))
        assert.instanceOf(error, TlsError)
        assert.strictEqual(error.reason, reason)
        assert.notInclude(JSON.stringify(error) + error.message, "PRIVATE KEY")
      }
    })))
})

describe("a peer that does not speak TLS as it is asked to", () => {
  it.live("speaks an older version only", () =>
    Effect.scoped(Effect.gen(function*() {
      const ca = yield* Certificates.authority()
      const own = Certificates.tlsOf(yield* Certificates.good(ca), [ca], { minVersion: "TLSv1.3" })
      const a = yield* member("a@127.0.0.1", own)
      const failed = yield* client(a.port, { cert: own.cert, key: Redacted.value(own.key), maxVersion: "TLSv1.2" })
      assert.instanceOf(failed, Error)
      assert.strictEqual(yield* eventually(() => reported(a), "a report"), "Version")
      const lenient = yield* member("b@127.0.0.1", { ...own, minVersion: undefined })
      const socket = yield* client(lenient.port, {
        cert: own.cert,
        key: Redacted.value(own.key),
        maxVersion: "TLSv1.2"
      })
      assert.strictEqual((socket as NodeTls.TLSSocket).getProtocol(), "TLSv1.2")
      const old = yield* client(lenient.port, {
        cert: own.cert,
        key: Redacted.value(own.key),
        minVersion: "TLSv1",
        maxVersion: "TLSv1.1",
        ciphers: "ALL:@SECLEVEL=0"
      })
      assert.instanceOf(old, Error)
    })))

  it.live("is a node without TLS, a browser, noise", () =>
    Effect.scoped(Effect.gen(function*() {
      const ca = yield* Certificates.authority()
      const tls = Certificates.tlsOf(yield* Certificates.good(ca), [ca])
      const a = yield* member("a@127.0.0.1", tls)
      const plain = yield* member("p@127.0.0.1", undefined, to(a))
      const error = yield* refusal(plain, a)
      assert.isUndefined(error.tls)
      assert.strictEqual(yield* eventually(() => reported(a), "a report"), "NotTls")
      for (const text of ["GET / HTTP/1.1\r\n\r\n", "\0\0\0\0\0\0\0\0\0\0\0\0", "\x16\x03\x01\xff\xffnonsense", ""]) {
        const socket = yield* Effect.callback<Net.Socket>((resume) => {
          const socket = Net.connect(a.port, "127.0.0.1", () => {
            socket.end(text, "latin1")
            resume(Effect.succeed(socket))
          })
          socket.on("error", () => {})
        })
        yield* ended(socket)
      }
      const good = yield* member("g@127.0.0.1", tls, to(a))
      yield* good.run(Node.connect(a.name))
    })))

  it.live("is slow, hundreds of times: good peers come in meanwhile, and none of the slow ones stays", () =>
    Effect.scoped(Effect.gen(function*() {
      const ca = yield* Certificates.authority()
      const tls = Certificates.tlsOf(yield* Certificates.good(ca), [ca])
      const a = yield* member("a@127.0.0.1", tls, {
        setupTime: "2 seconds",
        limits: { maxPendingPerAddress: 1000 }
      })
      // Half of a first record each.
      const sockets = yield* Effect.forEach(Array.from({ length: 300 }), (_, i) =>
        Effect.acquireRelease(
          Effect.callback<Net.Socket>((resume) => {
            const socket = Net.connect(a.port, "127.0.0.1", () => {
              socket.write(i % 2 === 0 ? "\x16\x03\x01\x02\x00\x01" : "\x16", "latin1")
              resume(Effect.succeed(socket))
            })
            socket.on("error", () => {})
          }),
          (socket) => Effect.sync(() => socket.destroy())
        ), { concurrency: 50 })
      const good = yield* member("g@127.0.0.1", tls, to(a))
      yield* Effect.timeout(good.run(Node.connect(a.name)), 1500)
      yield* Effect.timeout(Effect.forEach(sockets, ended, { concurrency: "unbounded" }), 6000)
      assert.deepStrictEqual(yield* a.run(Node.nodes()), [good.name])
    })))
})

describe("many at once", () => {
  it.live("a hundred nodes come in over TLS at the same time", () =>
    Effect.scoped(Effect.gen(function*() {
      const ca = yield* Certificates.authority()
      const credentials = yield* credentialsFor(Certificates.tlsOf(yield* Certificates.good(ca), [ca]))
      const a = yield* member("a@127.0.0.1", credentials)
      const others = yield* Effect.forEach(
        Array.from({ length: 100 }),
        (_, i) => member(`n${i}@127.0.0.1`, credentials, { ...to(a), listen: false }),
        { concurrency: 20 }
      )
      yield* Effect.forEach(others, (other) => other.run(Node.connect(a.name)), { concurrency: "unbounded" })
      assert.lengthOf(yield* a.run(Node.nodes()), 100)
    })), 60_000)
})

describe("nodes over TLS that connect to each other at the same moment", () => {
  it.live("end up with one connection, every time", () =>
    Effect.scoped(Effect.gen(function*() {
      const ca = yield* Certificates.authority()
      const credentials = yield* credentialsFor(Certificates.tlsOf(yield* Certificates.good(ca), [ca]))
      for (let round = 0; round < 15; round++) {
        yield* Effect.scoped(Effect.gen(function*() {
          const [one, two] = [yield* freePort, yield* freePort] as const
          const a = yield* member("a@127.0.0.1", credentials, {
            listen: { port: one },
            routes: { "b@127.0.0.1": { port: two } }
          })
          const b = yield* member("b@127.0.0.1", credentials, {
            listen: { port: two },
            routes: { "a@127.0.0.1": { port: one } }
          })
          yield* b.run(GenServer.startDetached(EchoServer, undefined, { name: "echo" }))
          yield* Effect.all([a.run(Node.connect(b.name)), b.run(Node.connect(a.name))], { concurrency: "unbounded" })
          assert.deepStrictEqual(yield* a.run(Node.nodes()), [b.name])
          assert.deepStrictEqual(yield* b.run(Node.nodes()), [a.name])
          const echo = yield* a.run(Node.remote(Echo, { name: "echo", node: b.name }))
          assert.strictEqual(yield* a.run(echo.Echo({ value: round })), round)
        }))
      }
    })), 30_000)
})

describe("certificates change while a node runs", () => {
  it.live("new connections use the new one, those that are open stay, and a bad one is not taken", () =>
    Effect.scoped(Effect.gen(function*() {
      const ca = yield* Certificates.authority()
      const first = Certificates.tlsOf(yield* Certificates.good(ca), [ca])
      const credentials = yield* credentialsFor(first)
      const a = yield* member("a@127.0.0.1", credentials)
      const b = yield* member("b@127.0.0.1", first, to(a))
      yield* b.run(Node.connect(a.name))

      const other = yield* Certificates.authority("the next one")
      const next = Certificates.tlsOf(yield* Certificates.good(other), [other])
      const wrong = yield* Effect.flip(credentials.update({ ...next, key: first.key }))
      assert.strictEqual(wrong.reason, "KeyMismatch")
      assert.strictEqual(credentials.pem().cert, first.cert)

      yield* credentials.update(next)
      assert.deepStrictEqual(yield* a.run(Node.nodes()), [b.name])
      // Who knows the new authority is let in, and who knows the old one is not.
      const c = yield* member("c@127.0.0.1", next, to(a))
      yield* c.run(Node.connect(a.name))
      const late = yield* member("d@127.0.0.1", first, to(a))
      assert.strictEqual((yield* refusal(late, a)).tls, "UnknownAuthority")
      assert.sameMembers([...(yield* a.run(Node.nodes()))], [b.name, c.name])
    })))

  it.live("files are read, read again when asked to, and watched", () =>
    Effect.scoped(Effect.gen(function*() {
      const ca = yield* Certificates.authority()
      const one = yield* Certificates.good(ca)
      const two = yield* Certificates.good(ca)
      const path = yield* Certificates.folder({
        "node.pem": one.cert,
        "node.key": Redacted.value(one.key),
        "ca.pem": ca.cert
      })
      const files = {
        cert: Path.join(path, "node.pem"),
        key: Path.join(path, "node.key"),
        ca: Path.join(path, "ca.pem")
      }
      const provide = Effect.provide(Layer.merge(NodeServices.layer, NodeNetwork.layer))
      const asked = yield* provide(Tls.fromFiles(files))
      const watching = yield* provide(Tls.fromFiles({ ...files, reloadEvery: "30 millis" }))
      const a = yield* member("a@127.0.0.1", watching)
      const fingerprintShown = Effect.gen(function*() {
        const socket = yield* client(a.port, { cert: one.cert, key: Redacted.value(one.key) })
        return (socket as NodeTls.TLSSocket).getPeerX509Certificate()!.fingerprint256
      })
      assert.strictEqual(yield* fingerprintShown, one.fingerprint)

      // Half of a change cannot be used, and nothing happens.
      Fs.writeFileSync(files.cert, two.cert)
      const half = yield* Effect.flip(asked.reload)
      assert.strictEqual(half.reason, "KeyMismatch")
      assert.strictEqual(asked.certificate().fingerprint, one.fingerprint)
      Fs.writeFileSync(files.key, Redacted.value(two.key))
      assert.strictEqual((yield* asked.reload).fingerprint, two.fingerprint)
      assert.strictEqual(asked.certificate().fingerprint, two.fingerprint)
      yield* eventually(() => watching.certificate().fingerprint === two.fingerprint || undefined, "the watched one")
      assert.strictEqual(yield* fingerprintShown, two.fingerprint)

      Fs.rmSync(files.key)
      assert.strictEqual((yield* Effect.flip(asked.reload)).reason, "Unreadable")
      assert.strictEqual(asked.certificate().fingerprint, two.fingerprint)
    })))
})
