/**
 * How a UDP server spreads datagrams by their senders: on a socket that is not there, so that senders may have any address,
 * of IPv4 and of IPv6, without a network that knows it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Queue, type Scope } from "effect"
import { GenServer, Node } from "effect-otp"
import { UdpServer } from "effect-otp/net"
import * as NetAddress from "effect/net/NetAddress"
import * as DatagramSocket from "effect/socket/DatagramSocket"
import { until } from "./Until.ts"

/** A socket that receives what is put into a queue. */
const socketOf = (queue: Queue.Queue<DatagramSocket.Datagram>): DatagramSocket.DatagramSocket =>
  DatagramSocket.make({
    reader: Effect.succeed({
      pull: Effect.map(Queue.take(queue), (datagram) => [datagram]),
      address: NetAddress.inetAddressFromIpStringUnsafe("127.0.0.1", 5000),
      dropped: () => 0,
      joinMulticast: () => Effect.void
    }),
    writer: Effect.succeed({ write: () => Effect.void, writeAll: () => Effect.void })
  })

interface Sender {
  readonly address: string
  readonly port: number
}

/** Which handler had which datagrams, when each sender has sent some, in turns. */
const handled = (
  senders: ReadonlyArray<Sender>,
  { handlers, rounds }: { readonly handlers: number; readonly rounds: number }
): Effect.Effect<ReadonlyArray<{ readonly sender: string; readonly handler: number }>, unknown, Services> =>
  Effect.gen(function*() {
    const seen: Array<{ readonly sender: string; readonly handler: number }> = []
    const queue = yield* Queue.unbounded<DatagramSocket.Datagram>()
    const server = UdpServer.make({
      handlers,
      spread: "sender",
      capacity: handlers * senders.length * rounds,
      init: (handler) => Effect.succeed(handler),
      datagram: ({ sender }, handler) =>
        void seen.push({ sender: `${NetAddress.formatHost(sender)} ${sender.port}`, handler })
    })
    const ref = yield* Effect.provideService(GenServer.start(server), DatagramSocket.DatagramSocket, socketOf(queue))
    for (let round = 0; round < rounds; round++) {
      // Each round begins with another one, so that taking turns would not look like spreading by sender.
      for (const { address, port } of [...senders.slice(round), ...senders.slice(0, round)]) {
        // Each datagram has an address of its own, as it has from a real socket.
        const from = NetAddress.inetAddressFromIpStringUnsafe(address, port)
        Queue.offerUnsafe(queue, { payload: Uint8Array.of(round), address: from })
      }
    }
    const stats = yield* until(
      ref.Stats(),
      ({ waiting, received }) => received === senders.length * rounds && waiting === 0
    )
    assert.deepInclude(stats, { handled: senders.length * rounds, dropped: 0, lost: 0 })
    return seen
  })

type Services = Node.Node | Scope.Scope

const onNode = (title: string, body: () => Effect.Effect<unknown, unknown, Services>): void =>
  it.live(title, () =>
    Effect.scoped(Effect.suspend(body)).pipe(
      Effect.provide(Layer.provideMerge(Node.layerLocal(), Logger.layer([])))
    ))

const times = <A>(count: number, make: (n: number) => A): ReadonlyArray<A> =>
  Array.from({ length: count }, (_, n) => make(n))

const hex = (n: number): string => n.toString(16)

/** Two hundred senders each, that differ in one way only: what a weak hash would map to few handlers. */
const crowds: { readonly [what: string]: ReadonlyArray<Sender> } = {
  "ports of one host, one after the other": times(200, (n) => ({ address: "192.0.2.7", port: 40_000 + n })),
  "every fourth port of one host": times(200, (n) => ({ address: "192.0.2.7", port: 40_000 + 4 * n })),
  "every 256th port of one host": times(200, (n) => ({ address: "192.0.2.7", port: 1024 + 256 * n })),
  "hosts of one network, from one port": times(200, (n) => ({ address: `192.0.2.${n + 1}`, port: 5353 })),
  "hosts of many networks, from one port": times(200, (n) => ({ address: `10.${n}.4.8`, port: 5353 })),
  "ports of one host of IPv6": times(200, (n) => ({ address: "2001:db8::7", port: 40_000 + n })),
  "every fourth port of one host of IPv6": times(200, (n) => ({ address: "2001:db8::7", port: 40_000 + 4 * n })),
  "hosts of one network of IPv6, from one port": times(200, (n) => ({
    address: `2001:db8::${hex(n + 1)}`,
    port: 5353
  })),
  "networks of IPv6, from one port": times(200, (n) => ({ address: `2001:db8:${hex(n + 1)}::1`, port: 5353 }))
}

describe("a UDP server that spreads by sender", () => {
  for (const [what, senders] of Object.entries(crowds)) {
    onNode(
      `${what}: each sender has one handler, and every handler has its share of them`,
      () =>
        Effect.gen(function*() {
          const handlers = 4
          const seen = yield* handled(senders, { handlers, rounds: 3 })
          const handlersOf = new Map<string, Array<number>>()
          for (const { handler, sender } of seen) {
            handlersOf.set(sender, [...handlersOf.get(sender) ?? [], handler])
          }
          assert.strictEqual(handlersOf.size, senders.length)
          const load = Array.from({ length: handlers }, () => 0)
          for (const [sender, [first, ...others]] of handlersOf) {
            assert.deepStrictEqual(others, [first, first], `the handlers of the datagrams of ${sender} after the first`)
            load[first!]!++
          }
          // Where senders are spread evenly each handler has a quarter of them.
          assert.isAbove(Math.min(...load), 0.1 * senders.length, load.join())
          assert.isBelow(Math.max(...load), 0.5 * senders.length, load.join())
        })
    )
  }

  onNode("has no handler without senders, however many handlers there are", () =>
    Effect.gen(function*() {
      for (const handlers of [1, 2, 3, 7, 16]) {
        const seen = yield* handled(crowds["ports of one host, one after the other"]!, { handlers, rounds: 1 })
        assert.strictEqual(new Set(seen.map(({ handler }) => handler)).size, handlers)
      }
    }))
})
