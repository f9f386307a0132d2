/**
 * Several listeners and routes to single nodes, with certificates and cookies of their own.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { Node } from "effect-otp/dist"
import * as Net from "node:net"
import * as Certificates from "./Certificates.ts"
import { freePort } from "./ErlangNode.ts"
import { member, nowhere, refusal } from "./Reachable.ts"

describe("listeners and routes", () => {
  it.live("several listeners: TLS and not, with a cookie of their own, on the first free port of a range", () =>
    Effect.scoped(Effect.gen(function*() {
      const ca = yield* Certificates.authority()
      const tls = Certificates.tlsOf(yield* Certificates.good(ca), [ca])
      const ports = [yield* freePort, yield* freePort, yield* freePort] as const
      // The first port of the range is taken.
      yield* Effect.acquireRelease(
        Effect.callback<Net.Server>((resume) => {
          const server = Net.createServer().listen(ports[2], "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const inner = Redacted.make("the-cookie-of-the-inner-side")
      const known: Array<number> = []
      const a = yield* member("a@127.0.0.1", tls, {
        listen: [
          { port: { from: ports[2], to: ports[2] + 50 } },
          { port: ports[1], tls: false, cookie: inner },
          { port: ports[0] }
        ],
        discovery: {
          ...nowhere,
          register: ({ port }) => {
            known.push(port)
            return Effect.succeed({ creation: 0 })
          }
        }
      })
      assert.isTrue(known[0]! > ports[2] && known[0]! <= ports[2] + 50)
      const via = (port: number, rest: Partial<Node.RouteOptions>) => ({
        listen: false as const,
        routes: { [a.name]: { port, ...rest } }
      })
      const outer = yield* member("outer@127.0.0.1", tls, via(ports[0], {}))
      yield* outer.run(Node.connect(a.name))
      // A node without certificates comes in where none are asked for, with the cookie of that listener.
      const plain = yield* member("plain@127.0.0.1", undefined, via(ports[1], { cookie: inner }))
      yield* plain.run(Node.connect(a.name))
      // A node with certificates does without them on the route that says so.
      const mixed = yield* member("mixed@127.0.0.1", tls, via(ports[1], { tls: false, cookie: inner }))
      yield* mixed.run(Node.connect(a.name))
      const stranger = yield* member("stranger@127.0.0.1", undefined, via(ports[1], {}))
      assert.include((yield* refusal(stranger, a)).detail, "cookie")
      // A node without certificates of its own has some for a route.
      const guest = yield* member("guest@127.0.0.1", undefined, via(ports[0], { tls }))
      yield* guest.run(Node.connect(a.name))
      const ranged = yield* member("ranged@127.0.0.1", tls, via(known[0]!, {}))
      yield* ranged.run(Node.connect(a.name))
      assert.lengthOf(yield* a.run(Node.nodes()), 5)
    })))

  it.live("the cookie of a node goes before that of a listener", () =>
    Effect.scoped(Effect.gen(function*() {
      const port = yield* freePort
      const a = yield* member("a@127.0.0.1", undefined, {
        listen: [{ port, cookie: Redacted.make("the-cookie-of-the-listener") }],
        cookies: { "b@127.0.0.1": Redacted.make("the-cookie-between-a-and-b") }
      })
      const routes = { [a.name]: { port } }
      const b = yield* member("b@127.0.0.1", undefined, {
        routes,
        cookies: { "a@127.0.0.1": Redacted.make("the-cookie-between-a-and-b") }
      })
      yield* b.run(Node.connect(a.name))
      const c = yield* member("c@127.0.0.1", undefined, { routes, cookie: Redacted.make("the-cookie-of-the-listener") })
      yield* c.run(Node.connect(a.name))
    })))

  it.live("weak cookies are refused on listeners and routes as well", () =>
    Effect.scoped(Effect.gen(function*() {
      const listener = yield* Effect.flip(
        member("a@127.0.0.1", undefined, { listen: [{ cookie: Redacted.make("secret") }] })
      )
      assert.strictEqual(listener.reason, "BadCookie")
      const route = yield* Effect.flip(
        member("a@127.0.0.1", undefined, { routes: { "b@127.0.0.1": { cookie: Redacted.make("short") } } })
      )
      assert.strictEqual(route.reason, "BadCookie")
    })))

  it.live("a range without a free port, and the first of several listeners is what is registered", () =>
    Effect.scoped(Effect.gen(function*() {
      const registered: Array<unknown> = []
      const discovery: NonNullable<Node.LayerOptions["discovery"]> = {
        ...nowhere,
        register: (endpoint) =>
          Effect.sync(() => {
            registered.push([endpoint.port, endpoint.attributes?.["tls"]])
            return { creation: 0 }
          })
      }
      const ports = [yield* freePort, yield* freePort] as const
      yield* member("a@127.0.0.1", undefined, { discovery, listen: ports.map((port) => ({ port })) })
      assert.deepStrictEqual(registered, [[ports[0], false]])
      const error = yield* Effect.flip(
        member("b@127.0.0.1", undefined, { listen: [{ port: { from: ports[0], to: ports[0] } }] })
      )
      assert.strictEqual(error.reason, "Listen")
    })))
})
