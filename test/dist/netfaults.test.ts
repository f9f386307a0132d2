/**
 * Faults of the network itself, in network namespaces of Linux: two nodes of ours and a router between them that stops to
 * forward. Needs the right to make namespaces; where that is missing the tests are skipped, loudly.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import type { Scope } from "effect"
import { spawnSync } from "node:child_process"
import type { NodeProcess } from "./hostile/NodeProcess.ts"
import { startNode } from "./hostile/NodeProcess.ts"
import { eventually } from "./Member.ts"

const ip = (...words: ReadonlyArray<string>): boolean => spawnSync("ip", words, { stdio: "ignore" }).status === 0

const probe = `eotp-probe-${process.pid}`

const available = process.platform === "linux" && ip("netns", "add", probe)
if (available) ip("netns", "del", probe)
else {console.warn(
    "\n*** SKIPPED: no right to make network namespaces, nothing is tested with dropped packets here ***\n"
  )}

interface Net {
  readonly left: NodeProcess
  readonly right: NodeProcess
  /** Whether the router between the two forwards; when not, packets vanish and nobody is told. */
  readonly forward: (yes: boolean) => Effect.Effect<void>
}

const run = (text: string): void => {
  const done = spawnSync("sh", ["-ec", text], { encoding: "utf8" })
  if (done.status !== 0) throw new Error(`${text}: ${done.stderr}`)
}

let nets = 0

/** Two nodes behind a router. */
const make = (tick: string): Effect.Effect<Net, never, Scope.Scope> =>
  Effect.gen(function*() {
    const id = `eotp${process.pid}n${nets++}`
    const [a, r, b] = [`${id}a`, `${id}r`, `${id}b`]
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        run(`
          for n in ${a} ${r} ${b}; do ip netns add $n; ip -n $n link set lo up; done
          ip -n ${a} link add eth0 type veth peer name left netns ${r}
          ip -n ${b} link add eth0 type veth peer name right netns ${r}
          ip -n ${a} addr add 10.77.1.2/24 dev eth0; ip -n ${r} addr add 10.77.1.1/24 dev left
          ip -n ${b} addr add 10.77.2.2/24 dev eth0; ip -n ${r} addr add 10.77.2.1/24 dev right
          ip -n ${a} link set eth0 up; ip -n ${b} link set eth0 up; ip -n ${r} link set left up; ip -n ${r} link set right up
          ip -n ${a} route add default via 10.77.1.1; ip -n ${b} route add default via 10.77.2.1
          ip netns exec ${r} sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
        `)
      }),
      () => Effect.sync(() => [a, r, b].forEach((name) => ip("netns", "del", name)))
    )
    const start = (namespace: string, name: string, host: string, peer: string, peerHost: string) =>
      startNode(name, {
        epmd: 4369,
        serve: true,
        command: ["ip", "netns", "exec", namespace],
        options: {
          netTickTime: tick,
          setupTime: "2 seconds",
          listen: { host, port: 4000, allowPlaintext: true },
          routes: { [peer]: { host: peerHost, port: 4000 } }
        } as never
      })
    const left = yield* start(a, "left@10.77.1.2", "10.77.1.2", "right@10.77.2.2", "10.77.2.2")
    const right = yield* start(b, "right@10.77.2.2", "10.77.2.2", "left@10.77.1.2", "10.77.1.2")
    return {
      left,
      right,
      forward: (yes) =>
        Effect.sync(() => run(`ip netns exec ${r} sh -c 'echo ${yes ? 1 : 0} > /proc/sys/net/ipv4/ip_forward'`))
    }
  })

/** After how many milliseconds a node sees no other any more. */
const lost = (node: NodeProcess): Effect.Effect<number> =>
  Effect.gen(function*() {
    const before = yield* Clock.currentTimeMillis
    while ((yield* node.ask<ReadonlyArray<string>>("nodes")).length > 0) yield* Effect.sleep(20)
    return (yield* Clock.currentTimeMillis) - before
  })

describe.skipIf(!available)("the network", () => {
  it.live(
    "[F2] drops packets: both sides know within 0.75 to 1.25 tick times, and meet again when it is back",
    () =>
      Effect.gen(function*() {
        const { forward, left, right } = yield* make("4 seconds")
        for (let round = 0; round < 2; round++) {
          assert.strictEqual(yield* left.ask("ping", right.name), "pong")
          // Idle for longer than the tick time: ticks are enough.
          yield* Effect.sleep("5 seconds")
          assert.deepStrictEqual(yield* left.ask("nodes"), [right.name])
          yield* forward(false)
          const times = yield* Effect.all([lost(left), lost(right)], { concurrency: 2 })
          for (const time of times) {
            assert.isAtLeast(time, 2900)
            assert.isBelow(time, 5200)
          }
          assert.strictEqual(yield* left.ask("ping", right.name), "pang")
          yield* forward(true)
          yield* Effect.sleep(500)
        }
        assert.strictEqual(yield* right.ask("ping", left.name), "pong")
      }),
    60_000
  )

  it.live(
    "[F2] drops packets for less than that: nothing is lost, not even what was sent meanwhile",
    () =>
      Effect.gen(function*() {
        const { forward, left, right } = yield* make("8 seconds")
        assert.strictEqual(yield* left.ask("ping", right.name), "pong")
        const before = yield* right.ask<number>("count")
        yield* forward(false)
        const sent = yield* Effect.forkChild(left.ask("traffic", right.name), { startImmediately: true })
        yield* Effect.sleep("3 seconds")
        yield* forward(true)
        yield* Effect.flatMap(Effect.sync(() => sent), (fiber) =>
          Effect.callback<void>((resume) => {
            fiber.addObserver(() => resume(Effect.void))
          }))
        assert.strictEqual(yield* eventually(right.ask<number>("count"), before + 2), before + 2)
        assert.deepStrictEqual(yield* left.ask("nodes"), [right.name])
      }),
    60_000
  )

  it.live(
    "[F3] the other host vanishes in the middle of a call: known in time, and no socket or table is left",
    () =>
      Effect.gen(function*() {
        const { forward, left, right } = yield* make("2 seconds")
        const before = yield* left.stats
        assert.strictEqual(yield* left.ask("ping", right.name), "pong")
        yield* forward(false)
        // Its end is never told: the packets that would say so are dropped as well.
        yield* right.signal("SIGKILL")
        const answer = yield* Effect.forkChild(left.ask<string>("ping", right.name), { startImmediately: true })
        const time = yield* lost(left)
        assert.isAtLeast(time, 1400)
        assert.isBelow(time, 2700)
        yield* Effect.callback<void>((resume) => {
          answer.addObserver(() => resume(Effect.void))
        })
        const pick = (stats: typeof before) => {
          const { aliases, calls, connections, fibers, pending, peers, sockets, tables, watchers } = stats
          return { aliases, calls, connections, fibers, pending, peers, sockets, tables, watchers }
        }
        assert.deepStrictEqual(yield* eventually(Effect.map(left.stats, pick), pick(before)), pick(before))
      }),
    60_000
  )
})
