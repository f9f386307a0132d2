/**
 * Nodes of ours and real Erlang nodes over TLS, in both directions, with certificates of our generator.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Context, Effect, Layer, Redacted, References, type Scope } from "effect"
import { GenServer, Message, Protocol } from "effect-otp"
import { Node, type Tls } from "effect-otp/dist"
import * as NodeNetwork from "effect-otp/dist/NodeNetwork"
import { Etf } from "effect-otp/etf"
import { Atom, Tuple } from "effect-otp/term"
import * as Path from "node:path"
import * as Certificates from "./Certificates.ts"
import { cookie, ErlangEpmd, startErlang } from "./ErlangNode.ts"

class Echo extends Protocol.make(
  "Echo",
  Message.Call("Echo", { payload: { value: Etf.Term }, success: Etf.Term })
) {}

const EchoServer = GenServer.make(Echo, {
  init: () => Effect.succeed(0),
  handlers: { Echo: ({ value }, state) => GenServer.reply(value, state) }
})

type Issued = Effect.Success<ReturnType<typeof Certificates.authority>>

/** An Erlang node that speaks TLS with a certificate and asks for one. */
const erlang = (
  name: string,
  certificate: Pick<Issued, "cert" | "key">,
  trusted: ReadonlyArray<Issued>,
  versions: string
) =>
  Effect.gen(function*() {
    const { port } = yield* ErlangEpmd
    const folder = yield* Certificates.folder({
      "node.pem": certificate.cert,
      "node.key": Redacted.value(certificate.key),
      "ca.pem": trusted.map(({ cert }) => cert).join("")
    })
    const file = (file: string): string => JSON.stringify(Path.join(folder, file))
    const both = `{certfile, ${file("node.pem")}}, {keyfile, ${file("node.key")}}, {cacertfile, ${file("ca.pem")}},
      {verify, verify_peer}, {versions, ${versions}}`
    const options = yield* Certificates.folder({
      "ssl_dist.conf": `[{server, [${both}, {fail_if_no_peer_cert, true}]}, {client, [${both}]}].\n`
    })
    return yield* startErlang(name, {
      epmdPort: port,
      arguments: ["-proto_dist", "inet_tls", "-ssl_dist_optfile", Path.join(options, "ssl_dist.conf")]
    })
  })

const ours = (
  name: string,
  tls: Tls.Options,
  options?: Partial<Node.LayerOptions>
): Effect.Effect<
  { readonly run: <A, E>(effect: Effect.Effect<A, E, Node.Node>) => Effect.Effect<A, E> },
  unknown,
  ErlangEpmd | Scope.Scope
> =>
  Effect.gen(function*() {
    const { port } = yield* ErlangEpmd
    const context = yield* Layer.build(
      Node.layer({ name, cookie: Redacted.make(cookie), tls, discovery: { port }, ...options }).pipe(
        Layer.provide(NodeNetwork.layer)
      )
    ).pipe(Effect.provideService(References.MinimumLogLevel, "None"))
    const run = <A, E>(effect: Effect.Effect<A, E, Node.Node>) =>
      Effect.provideContext(effect, context as Context.Context<Node.Node>)
    yield* run(GenServer.startDetached(EchoServer, undefined, { name: "echo" }))
    return { run }
  })

const both = (erlangName: string, ourName: string, versions: string) =>
  Effect.gen(function*() {
    const ca = yield* Certificates.authority()
    const erl = yield* erlang(erlangName, yield* Certificates.good(ca), [ca], versions)
    const node = yield* ours(ourName, Certificates.tlsOf(yield* Certificates.good(ca), [ca]))
    return { erl, node }
  })

const large = 3_000_000

describe.each([["['tlsv1.3']"], ["['tlsv1.2']"]])("Erlang over TLS, versions %s", (versions) => {
  it.live("is called by us", () =>
    Effect.scoped(Effect.gen(function*() {
      const { erl, node } = yield* both("e@127.0.0.1", "n@127.0.0.1", versions)
      assert.strictEqual(yield* node.run(Node.ping("e@127.0.0.1")), "pong")
      assert.strictEqual(yield* erl.eval("nodes()"), "['n@127.0.0.1']")
      const started = yield* erl.eval(
        "register(tls_echo, spawn(fun F() -> receive {'$gen_call', {P, T}, {echo, V}} -> gen:reply({P, T}, V), F() end end))"
      )
      assert.strictEqual(started, "true")
      const bytes = new Uint8Array(large).map((_, i) => i % 251)
      const value = yield* node.run(
        Node.callTerm({ name: "tls_echo", node: "e@127.0.0.1" }, Tuple.make(Atom.make("echo"), bytes))
      )
      assert.deepStrictEqual(value, bytes)
    })).pipe(Effect.provide(ErlangEpmd.layer)), 30_000)

  it.live("calls us", () =>
    Effect.scoped(Effect.gen(function*() {
      const { erl, node } = yield* both("f@127.0.0.1", "m@127.0.0.1", versions)
      assert.strictEqual(yield* erl.eval("net_adm:ping('m@127.0.0.1')"), "pong")
      assert.strictEqual(yield* erl.eval("gen_server:call({echo, 'm@127.0.0.1'}, {echo, [1, two]})"), "[1,two]")
      assert.strictEqual(
        yield* erl.eval(
          `byte_size(gen_server:call({echo, 'm@127.0.0.1'}, {echo, binary:copy(<<"abcdef">>, ${large / 6})}))`
        ),
        String(large)
      )
      assert.deepStrictEqual(yield* node.run(Node.nodes()), ["f@127.0.0.1"])
    })).pipe(Effect.provide(ErlangEpmd.layer)), 30_000)

  it.live("refuses us with a certificate of another authority, and we it", () =>
    Effect.scoped(Effect.gen(function*() {
      const ca = yield* Certificates.authority()
      const stranger = yield* Certificates.authority("somebody else")
      const erl = yield* erlang("g@127.0.0.1", yield* Certificates.good(ca), [ca], versions)
      // It does not trust ours; we would trust its.
      const refused = yield* ours("k@127.0.0.1", Certificates.tlsOf(yield* Certificates.good(stranger), [ca]))
      const error = yield* Effect.flip(refused.run(Node.connect("g@127.0.0.1")))
      assert.strictEqual(error.tls, "Refused", error.message)
      assert.strictEqual(yield* erl.eval("net_adm:ping('k@127.0.0.1')"), "pang")
      // We do not trust its; it would trust ours.
      const refusing = yield* ours("l@127.0.0.1", Certificates.tlsOf(yield* Certificates.good(ca), [stranger]))
      const second = yield* Effect.flip(refusing.run(Node.connect("g@127.0.0.1")))
      assert.strictEqual(second.tls, "UnknownAuthority")
      assert.strictEqual(yield* erl.eval("net_adm:ping('l@127.0.0.1')"), "pang")
      assert.strictEqual(yield* erl.eval("nodes()"), "[]")
      // Both are as they were.
      const good = yield* ours("o@127.0.0.1", Certificates.tlsOf(yield* Certificates.good(ca), [ca]))
      assert.strictEqual(yield* erl.eval("net_adm:ping('o@127.0.0.1')"), "pong")
      assert.deepStrictEqual(yield* good.run(Node.nodes()), ["g@127.0.0.1"])
    })).pipe(Effect.provide(ErlangEpmd.layer)), 40_000)

  it.live(
    "is refused without its own certificate of our authority's, and with an expired one",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const ca = yield* Certificates.authority()
        const expired = yield* Certificates.faulty(ca, {
          notBefore: new Date(Date.now() - 20 * 86_400_000),
          notAfter: new Date(Date.now() - 86_400_000)
        })
        const erl = yield* erlang("h@127.0.0.1", expired, [ca], versions)
        const node = yield* ours("p@127.0.0.1", Certificates.tlsOf(yield* Certificates.good(ca), [ca]))
        const error = yield* Effect.flip(node.run(Node.connect("h@127.0.0.1")))
        assert.strictEqual(error.tls, "Expired")
        assert.strictEqual(yield* erl.eval("net_adm:ping('p@127.0.0.1')"), "pang")
        assert.deepStrictEqual(yield* node.run(Node.nodes()), [])
      })).pipe(Effect.provide(ErlangEpmd.layer)),
    30_000
  )
})

describe("Erlang over TLS", () => {
  it.live(
    "refuses certificates that sign themselves, known or not: that is for nodes of ours only",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const ca = yield* Certificates.authority()
        const own = yield* Certificates.selfSigned()
        const erl = yield* erlang("e@127.0.0.1", yield* Certificates.good(ca), [ca, own], "['tlsv1.3']")
        const node = yield* ours("n@127.0.0.1", Certificates.tlsOf(own, [ca]))
        const error = yield* Effect.flip(node.run(Node.connect("e@127.0.0.1")))
        assert.strictEqual(error.tls, "Refused")
        assert.strictEqual(yield* erl.eval("net_adm:ping('n@127.0.0.1')"), "pang")
      })).pipe(Effect.provide(ErlangEpmd.layer)),
    30_000
  )

  it.live(
    "of version 1.2 is refused by a node that wants 1.3, in both directions",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const ca = yield* Certificates.authority()
        const erl = yield* erlang("e@127.0.0.1", yield* Certificates.good(ca), [ca], "['tlsv1.2']")
        const node = yield* ours(
          "n@127.0.0.1",
          Certificates.tlsOf(yield* Certificates.good(ca), [ca], { minVersion: "TLSv1.3" })
        )
        const error = yield* Effect.flip(node.run(Node.connect("e@127.0.0.1")))
        assert.strictEqual(error.tls, "Version", error.message)
        assert.strictEqual(yield* erl.eval("net_adm:ping('n@127.0.0.1')"), "pang")
        const lenient = yield* ours("m@127.0.0.1", Certificates.tlsOf(yield* Certificates.good(ca), [ca]))
        assert.strictEqual(yield* lenient.run(Node.ping("e@127.0.0.1")), "pong")
      })).pipe(Effect.provide(ErlangEpmd.layer)),
    30_000
  )

  it.live("without TLS and we with it do not meet", () =>
    Effect.scoped(Effect.gen(function*() {
      const { port } = yield* ErlangEpmd
      const ca = yield* Certificates.authority()
      const erl = yield* startErlang("e@127.0.0.1", { epmdPort: port })
      const node = yield* ours("n@127.0.0.1", Certificates.tlsOf(yield* Certificates.good(ca), [ca]), {
        setupTime: "2 seconds"
      })
      const error = yield* Effect.flip(node.run(Node.connect("e@127.0.0.1")))
      // A node without TLS waits for the rest of what it takes for a long message.
      assert.include(error.detail, "no answer within 2000 ms")
      assert.strictEqual(yield* erl.eval("net_adm:ping('n@127.0.0.1')"), "pang")
      assert.deepStrictEqual(yield* node.run(Node.nodes()), [])
    })).pipe(Effect.provide(ErlangEpmd.layer)), 30_000)
})
