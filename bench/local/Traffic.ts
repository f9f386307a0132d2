/**
 * Many servers that talk to one another: a token in a ring, and load over random pairs of a thousand (L1 and L2 of the
 * reliability targets).
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { GenServer, Message, Process, type ProcessRef, Protocol } from "../../src/index.ts"
import { absolute, type Benchmark, calibrated } from "../harness/Benchmark.ts"
import { benchmark, check, nanosEach } from "./Program.ts"

class Link extends Protocol.make(
  "Link",
  Message.Call("Next", { payload: { to: Schema.Any } }),
  Message.Cast("Token", { payload: { left: Schema.Int } })
) {}

type LinkRef = ProcessRef.ProcessRef<Protocol.Messages<typeof Link>>

interface LinkState {
  readonly next: LinkRef | undefined
  readonly arrived: () => void
}

const LinkServer = GenServer.make(Link, {
  init: (arrived: () => void): Effect.Effect<LinkState> => Effect.succeed({ next: undefined, arrived }),
  handlers: {
    Next: ({ to }, state) => GenServer.reply(undefined, { ...state, next: to as LinkRef }),
    Token: ({ left }, state) => {
      if (left > 1) return Effect.as(state.next!.Token({ left: left - 1 }), GenServer.next(state))
      state.arrived()
      return GenServer.next(state)
    }
  }
})

/** Runs what sends, then waits until it was told `times` times. */
const untilTold = <E, R>(
  times: number,
  run: (tell: () => void) => Effect.Effect<{ readonly go: Effect.Effect<unknown, E, R>; readonly count: number }, E, R>
): Effect.Effect<number, E, R> =>
  Effect.gen(function*() {
    let left = times
    let done: (() => void) | undefined
    const { count, go } = yield* run(() => {
      if (--left === 0) done?.()
    })
    const wait = Effect.callback<void>((resume) => {
      if (left === 0) return resume(Effect.void)
      // A turn later: what the last handler still has to do is part of the work.
      done = () => setImmediate(() => resume(Effect.void))
    })
    return yield* nanosEach(count, Effect.andThen(go, wait))
  })

const ringSize = 1000

const ring = benchmark({
  rows: [{ name: "ring_1000", unit: "ns", erlang: "ring" }],
  module: "bench_ring",
  count: calibrated(5000, 2_000_000),
  program: (count) =>
    Effect.gen(function*() {
      const links: Array<LinkRef> = []
      const each = yield* untilTold(1, (arrived) =>
        Effect.gen(function*() {
          for (let i = 0; i < ringSize; i++) links.push(yield* GenServer.startDetached(LinkServer, arrived))
          for (let i = 0; i < ringSize; i++) yield* links[i]!.Next({ to: links[(i + 1) % ringSize]! })
          return { go: links[0]!.Token({ left: count }), count }
        }))
      yield* Effect.forEach(links, (link) => Process.stop(link), { discard: true })
      return { ring_1000: each }
    })
})

class Peer extends Protocol.make(
  "Peer",
  Message.Call("Peers", { payload: { peers: Schema.Any } }),
  Message.Call("Hit"),
  Message.Call("Seen", { success: Schema.Int }),
  Message.Cast("Hop", { payload: { left: Schema.Int } })
) {}

type PeerRef = ProcessRef.ProcessRef<Protocol.Messages<typeof Peer>>

interface PeerState {
  readonly peers: ReadonlyArray<PeerRef>
  readonly seed: number
  readonly seen: number
  readonly landed: () => void
}

/** The same small generator as on the Erlang side. */
const next = (seed: number): number => (seed * 75 + 74) % 65537

const PeerServer = GenServer.make(Peer, {
  init: (args: { readonly seed: number; readonly landed: () => void }): Effect.Effect<PeerState> =>
    Effect.succeed({ peers: [], seed: args.seed, seen: 0, landed: args.landed }),
  handlers: {
    Peers: ({ peers }, state) => GenServer.reply(undefined, { ...state, peers: peers as ReadonlyArray<PeerRef> }),
    Hit: (_, state) => GenServer.reply(undefined, { ...state, seen: state.seen + 1 }),
    Seen: (_, state) => GenServer.reply(state.seen, state),
    Hop: ({ left }, state) => {
      const seen = state.seen + 1
      if (left === 1) {
        state.landed()
        return GenServer.next({ ...state, seen })
      }
      const seed = next(state.seed)
      return Effect.as(
        state.peers[seed % state.peers.length]!.Hop({ left: left - 1 }),
        GenServer.next({ ...state, seed, seen })
      )
    }
  }
})

const servers = 1000
const half = 500

const seenBy = (peers: ReadonlyArray<PeerRef>): Effect.Effect<number, unknown> =>
  Effect.map(
    Effect.forEach(peers, (peer) => peer.Seen()),
    (seen) => seen.reduce((total, n) => total + n, 0)
  )

const caller = Effect.fnUntraced(function*(peers: ReadonlyArray<PeerRef>, share: number, start: number) {
  let seed = start
  for (let i = 0; i < share; i++) {
    seed = next(seed)
    yield* peers[seed % half]!.Hit()
  }
})

const pairs = benchmark({
  rows: [
    { name: "cast_pairs_1000", unit: "ns", erlang: "cast", target: absolute(5000, 2000, 1000) },
    { name: "call_pairs_1000", unit: "ns", erlang: "call", target: absolute(10_000, 4000, 2000) }
  ],
  module: "bench_pairs",
  count: calibrated(10_000, 2_000_000),
  program: (count) =>
    Effect.gen(function*() {
      const peers: Array<PeerRef> = []
      const hops = Math.max(1, Math.floor(count / servers))
      const cast = yield* untilTold(servers, (landed) =>
        Effect.gen(function*() {
          for (let i = 1; i <= servers; i++) peers.push(yield* GenServer.startDetached(PeerServer, { seed: i, landed }))
          for (const peer of peers) yield* peer.Peers({ peers })
          const go = Effect.forEach(peers, (peer) => peer.Hop({ left: hops }), { discard: true })
          return { go, count: hops * servers }
        }))
      const seen = yield* seenBy(peers)
      yield* check("hops", seen, hops * servers)

      const share = Math.max(1, Math.floor(count / 4 / half))
      const call = yield* nanosEach(
        share * half,
        Effect.forEach(Array.from({ length: half }), (_, i) => caller(peers, share, i + 1), {
          concurrency: "unbounded",
          discard: true
        })
      )
      yield* check("hits", (yield* seenBy(peers)) - seen, share * half)
      yield* Effect.forEach(peers, (peer) => Process.stop(peer), { discard: true })
      return { cast_pairs_1000: cast, call_pairs_1000: call }
    })
})

/** What traffic among many servers costs. */
export const benchmarks: ReadonlyArray<Benchmark> = [ring, pairs]
