/**
 * Links, monitors and exit signals between nodes, through an in-memory transport.
 */
import { assert, describe } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { ExitReason, Process } from "effect-otp"
import type { MemoryCluster } from "effect-otp/testing"
import { Probe, TestNode } from "effect-otp/testing"
import { everySeedOn } from "../../testing/EverySeed.ts"

const [A, B, C] = ["a@test", "b@test", "c@test"]

/** A probe on node a and one on node b. */
const probes = (cluster: MemoryCluster.Service) =>
  Effect.all({ here: cluster.on(A, Probe.make({ name: "here" })), there: cluster.on(B, Probe.make({ name: "there" })) })

const assertNothingKept = (cluster: MemoryCluster.Service) =>
  Effect.gen(function*() {
    yield* TestNode.settle
    for (const name of cluster.names) {
      for (const peer of cluster.node(name).runtime.remote.peers.values()) {
        const kept = [peer.calls, peer.guards, peer.links, peer.monitors, peer.watchers].map(({ size }) => size)
        assert.deepStrictEqual(kept, [0, 0, 0, 0, 0], `${name} keeps something of ${peer.name}`)
      }
    }
  })

describe("monitors of other nodes", () => {
  everySeedOn([A, B], "[S19] fire once, with the reason, by pid, name and alias", (cluster) =>
    Effect.gen(function*() {
      const { here, there } = yield* probes(cluster)
      const alias = yield* there.as(Process.alias)
      const name = { name: "there", node: B }
      const refs = [yield* here.monitor(there), yield* here.monitor(name), yield* here.monitor(alias)]
      yield* TestNode.settle
      yield* cluster.on(B, there.end(ExitReason.shutdownWith("deploy")))
      const downs = yield* Effect.forEach(refs, () => here.expectDown({ reason: ExitReason.shutdownWith("deploy") }))
      assert.sameMembers(downs.map((down) => down.ref.toString()), refs.map(String))
      for (const [index, address] of [there.pid, name, alias].entries()) {
        assert.deepStrictEqual(downs.find((down) => String(down.ref) === String(refs[index]))?.address, address)
      }
      yield* cluster.disconnect(A, B)
      yield* here.expectNoMessage()
    }))

  everySeedOn(
    [A, B],
    "[S19] fire with noproc for the dead, the unknown and old incarnations",
    (cluster) =>
      Effect.gen(function*() {
        const { here, there } = yield* probes(cluster)
        yield* cluster.on(B, there.end())
        for (const target of [there.pid, { name: "nobody", node: B }]) {
          const ref = yield* here.monitor(target)
          yield* here.expectDown({ of: target, ref, reason: "NoProc" })
        }
        yield* cluster.restart(B)
        yield* cluster.on(B, Probe.make())
        yield* here.monitor(there.pid)
        yield* here.expectDown({ of: there.pid, reason: "NoProc" })
        yield* assertNothingKept(cluster)
      })
  )

  everySeedOn(
    [A, B],
    "[S19] fire once with noconnection when the connection goes, or is not there",
    (cluster) =>
      Effect.gen(function*() {
        const { here, there } = yield* probes(cluster)
        yield* here.monitor(there)
        yield* TestNode.settle
        yield* cluster.disconnect(A, B)
        yield* here.expectDown({ of: there, reason: ExitReason.noConnection(B) })
        yield* here.monitor(there)
        yield* here.expectDown({ of: there, reason: ExitReason.noConnection(B) })
        yield* cluster.connect(A, B)
        yield* cluster.on(B, there.end())
        yield* here.expectNoMessage()
        yield* assertNothingKept(cluster)
      })
  )

  everySeedOn(
    [A, B],
    "[S19] a connection that goes while everything is under way ends each monitor once",
    (cluster, seed) =>
      Effect.gen(function*() {
        const { here, there } = yield* probes(cluster)
        const refs = yield* Effect.forEach([1, 2, 3, 4, 5], () => here.monitor(there))
        for (let i = 0; i < seed % 5; i++) yield* Effect.yieldNow
        yield* Effect.forkChild(cluster.on(B, there.end()))
        for (let i = 0; i < seed % 3; i++) yield* Effect.yieldNow
        yield* cluster.disconnect(A, B)
        yield* TestNode.settle
        const downs = yield* Effect.forEach(refs, () => here.expectDown())
        assert.sameMembers(downs.map((down) => String(down.ref)), refs.map(String))
        yield* here.expectNoMessage()
        yield* assertNothingKept(cluster)
      })
  )

  everySeedOn(
    [A, B],
    "[S19] demonitor silences them, flush takes out what has come",
    (cluster) =>
      Effect.gen(function*() {
        const { here, there } = yield* probes(cluster)
        const silenced = yield* here.monitor(there)
        const flushed = yield* here.monitor(there)
        assert.isTrue(yield* here.as(Process.demonitor(silenced)))
        yield* TestNode.settle
        yield* cluster.on(B, there.end())
        yield* TestNode.settle
        assert.strictEqual((yield* here.waiting).length, 1)
        assert.isFalse(yield* here.as(Process.demonitor(flushed, { flush: true })))
        yield* here.expectNoMessage()
        yield* assertNothingKept(cluster)
      })
  )

  everySeedOn([A, B], "[S19] a watcher that ends takes its monitors with it", (cluster) =>
    Effect.gen(function*() {
      const { here, there } = yield* probes(cluster)
      yield* here.monitor(there)
      yield* TestNode.settle
      assert.strictEqual(
        (yield* cluster.on(B, Process.info(there))).pipe((o) => o._tag === "Some" && o.value.monitoredBy),
        1
      )
      yield* cluster.on(A, here.end())
      yield* assertNothingKept(cluster)
      assert.strictEqual(
        (yield* cluster.on(B, Process.info(there))).pipe((o) => o._tag === "Some" && o.value.monitoredBy),
        0
      )
    }))

  everySeedOn([A, B, C], "[S19] only those of the node that went", (cluster) =>
    Effect.gen(function*() {
      const { here, there } = yield* probes(cluster)
      const third = yield* cluster.on(C, Probe.make())
      yield* here.monitor(there)
      yield* here.monitor(third)
      yield* TestNode.settle
      yield* cluster.kill(B)
      yield* here.expectDown({ of: there, reason: "NoConnection" })
      yield* here.expectNoMessage()
      yield* cluster.on(C, third.end())
      yield* here.expectDown({ of: third, reason: "Normal" })
    }))
})

describe("links to other nodes", () => {
  everySeedOn(
    [A, B],
    "tell either side of the end of the other, also when both link",
    (cluster) =>
      Effect.gen(function*() {
        for (const [first, second] of [[A, B], [B, A]] as const) {
          const ending = yield* cluster.on(first, Probe.make())
          const told = yield* cluster.on(second, Probe.make())
          yield* ending.link(told)
          yield* told.link(ending)
          yield* TestNode.settle
          assert.deepStrictEqual(
            (yield* cluster.on(first, Process.info(ending))).pipe((o) => o._tag === "Some" && o.value.links),
            [told.pid]
          )
          assert.deepStrictEqual(
            (yield* cluster.on(second, Process.info(told))).pipe((o) => o._tag === "Some" && o.value.links),
            [ending.pid]
          )
          yield* cluster.on(first, ending.end(ExitReason.error("bad")))
          yield* told.expectExit({ of: ending, reason: ExitReason.error("bad") })
          yield* told.expectNoMessage()
        }
        yield* assertNothingKept(cluster)
      })
  )

  everySeedOn(
    [A, B],
    "[S18] to the dead give noproc, to the unreachable noconnection",
    (cluster) =>
      Effect.gen(function*() {
        const { here, there } = yield* probes(cluster)
        yield* cluster.on(B, there.end())
        yield* here.link(there)
        yield* here.expectExit({ of: there, reason: "NoProc" })
        const other = yield* cluster.on(B, Probe.make())
        yield* cluster.disconnect(A, B)
        yield* here.link(other)
        yield* here.expectExit({ of: other, reason: ExitReason.noConnection(B) })
        yield* here.expectNoMessage()
        yield* assertNothingKept(cluster)
      })
  )

  everySeedOn(
    [A, B],
    "[S18] unlink guarantees silence, whatever is under way",
    (cluster, seed) =>
      Effect.gen(function*() {
        const { here, there } = yield* probes(cluster)
        yield* here.link(there)
        yield* TestNode.settle
        yield* Effect.forkChild(cluster.on(B, there.end(ExitReason.error("bad"))))
        for (let i = 0; i < seed % 6; i++) yield* Effect.yieldNow
        yield* here.as(Process.unlink(there))
        const already = (yield* here.waiting).length
        yield* TestNode.settle
        assert.strictEqual((yield* here.waiting).length, already)
        yield* assertNothingKept(cluster)
      })
  )

  everySeedOn(
    [A, B],
    "kill the other side that does not trap, but not with normal",
    (cluster) =>
      Effect.gen(function*() {
        const { here } = yield* probes(cluster)
        for (const [reason, dies] of [[ExitReason.normal, false], [ExitReason.error("bad"), true]] as const) {
          const ending = yield* cluster.on(A, Probe.make())
          const peer = yield* cluster.on(B, Probe.make({ trapExit: false }))
          yield* peer.link(ending)
          yield* here.monitor(peer)
          yield* TestNode.settle
          yield* cluster.on(A, ending.end(reason))
          if (dies) yield* here.expectDown({ of: peer, reason })
          else yield* here.expectNoMessage()
        }
      })
  )

  everySeedOn(
    [A, B],
    "[S16] killed is what a link across nodes sees; kill as a reason is ordinary",
    (cluster) =>
      Effect.gen(function*() {
        const { here, there } = yield* probes(cluster)
        const victim = yield* cluster.on(B, Probe.make())
        yield* here.link(victim)
        yield* there.link(here)
        yield* TestNode.settle
        yield* cluster.on(A, Process.kill(victim))
        yield* here.expectExit({ of: victim, reason: "Killed" })
        yield* cluster.on(A, here.end(ExitReason.kill))
        yield* there.expectExit({ of: here, reason: "Kill" })
      })
  )

  everySeedOn([A, B], "end once with noconnection when the connection goes", (cluster) =>
    Effect.gen(function*() {
      const { here, there } = yield* probes(cluster)
      const untrapped = yield* cluster.on(A, Probe.make({ trapExit: false }))
      yield* here.link(there)
      yield* untrapped.link(there)
      const third = yield* cluster.on(A, Probe.make())
      yield* third.monitor(untrapped)
      yield* TestNode.settle
      yield* cluster.disconnect(A, B)
      yield* here.expectExit({ of: there, reason: ExitReason.noConnection(B) })
      const seen = yield* Effect.all([there.expectExit({ reason: ExitReason.noConnection(A) }), there.expectExit()])
      assert.sameMembers(seen.map((exit) => String(exit.from)), [here.pid, untrapped.pid].map(String))
      yield* third.expectDown({ of: untrapped, reason: "NoConnection" })
      yield* cluster.connect(A, B)
      yield* cluster.on(A, here.end(ExitReason.error("bad")))
      yield* there.expectNoMessage()
      yield* assertNothingKept(cluster)
    }))
})

describe("exit signals to other nodes", () => {
  everySeedOn(
    [A, B],
    "[S17] normal is ignored by who does not trap, a message for who does",
    (cluster) =>
      Effect.gen(function*() {
        const { here, there } = yield* probes(cluster)
        const untrapped = yield* cluster.on(B, Probe.make({ trapExit: false }))
        yield* here.as(cluster.on(A, Process.exit(untrapped, ExitReason.normal)))
        yield* here.as(cluster.on(A, Process.exit(there, ExitReason.normal)))
        yield* there.expectExit({ of: here, reason: "Normal" })
        yield* TestNode.settle
        assert.isTrue(yield* cluster.on(B, Process.isAlive(untrapped)))
        yield* cluster.on(A, Process.exit(untrapped, ExitReason.error("bad")))
        yield* TestNode.settle
        assert.isFalse(yield* cluster.on(B, Process.isAlive(untrapped)))
      })
  )

  everySeedOn([A, B], "[S16] kill cannot be trapped", (cluster) =>
    Effect.gen(function*() {
      const { here, there } = yield* probes(cluster)
      yield* here.monitor(there)
      yield* cluster.on(A, Process.kill(there))
      yield* here.expectDown({ of: there, reason: "Killed" })
    }))
})

describe("order between nodes", () => {
  everySeedOn(
    [A, B],
    "[S20] messages, exit signals, the EXIT of a link and the DOWN of a monitor keep the order of their sender",
    (cluster) =>
      Effect.gen(function*() {
        const { here, there } = yield* probes(cluster)
        yield* there.link(here)
        const ref = yield* there.monitor(here)
        yield* TestNode.settle
        const asHere = <A, E, R>(effect: Effect.Effect<A, E, R>) => here.as(cluster.on(A, effect))
        yield* asHere(Process.send(there, 1))
        yield* asHere(Process.exit(there, ExitReason.error("signal")))
        yield* asHere(Process.send(there, 2))
        yield* cluster.on(A, here.end(ExitReason.error("over")))
        yield* there.expectMessage(Schema.Literal(1))
        yield* there.expectExit({ of: here, reason: ExitReason.error("signal") })
        yield* there.expectMessage(Schema.Literal(2))
        const last = [yield* there.expectMessage(Schema.Unknown), yield* there.expectMessage(Schema.Unknown)]
        assert.sameMembers(last.map((value) => (value as { readonly _tag: string })._tag), ["Exit", "Down"])
        assert.isTrue(
          last.some((value) =>
            "ref" in (value as object) && String((value as { readonly ref: unknown }).ref) === String(ref)
          )
        )
        yield* there.expectNoMessage()
      })
  )

  everySeedOn(
    [A, B],
    "[S20] a deadly signal lets in what its sender sent before, and nothing after",
    (cluster) =>
      Effect.gen(function*() {
        const { here } = yield* probes(cluster)
        const got: Array<unknown> = []
        const pid = yield* cluster.on(
          B,
          Process.spawnDetached(() =>
            Effect.forever(Effect.tap(Process.receive(Schema.Unknown), (value) => Effect.sync(() => got.push(value))))
          )
        )
        yield* here.monitor(pid)
        yield* cluster.on(A, Process.send(pid, 1))
        yield* TestNode.settle
        yield* cluster.on(A, Process.exit(pid, ExitReason.error("over")))
        yield* cluster.on(A, Process.send(pid, 2))
        yield* here.expectDown({ of: pid, reason: ExitReason.error("over") })
        assert.deepStrictEqual(got, [1])
      })
  )
})
