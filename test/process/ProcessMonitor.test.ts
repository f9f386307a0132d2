import { assert, describe } from "@effect/vitest"
import { Effect, Option } from "effect"
import { ExitReason, GenServer, Node, Process, Signal } from "effect-otp"
import { Probe, TestNode } from "effect-otp/testing"
import { everySeed } from "../testing/EverySeed.ts"
import { counterServer, seen } from "./CounterServer.ts"

const infoOf = (target: Process.Target) => Effect.map(Process.info(target), Option.getOrThrow)

describe("monitors", () => {
  everySeed(
    "[S19] give one Down each, with the reason and what was monitored, by pid, name and alias",
    () =>
      Effect.gen(function*() {
        const watcher = yield* Probe.make()
        const target = yield* Probe.make({ name: "target" })
        const alias = yield* target.as(Process.alias)
        const addresses = [target.pid, target.pid, { name: "target" }, alias]
        const refs = yield* Effect.forEach(addresses, (address) => watcher.monitor(address))
        assert.strictEqual(new Set(refs.map(String)).size, 4)
        assert.deepStrictEqual([(yield* infoOf(target)).monitoredBy, (yield* infoOf(watcher)).monitors.length], [4, 4])
        yield* target.end(ExitReason.error("bad"))
        const downs = yield* Effect.forEach(refs, () => watcher.expectDown({ reason: ExitReason.error("bad") }))
        assert.sameMembers(downs.map((down) => String(down.ref)), refs.map(String))
        for (const [i, ref] of refs.entries()) {
          assert.deepStrictEqual(downs.find((down) => String(down.ref) === String(ref))?.address, addresses[i])
        }
        yield* watcher.expectNoMessage()
        assert.deepStrictEqual((yield* infoOf(watcher)).monitors, [])
      })
  )

  everySeed("[S19] of the dead, the unknown and taken-back aliases give noproc at once", () =>
    Effect.gen(function*() {
      const watcher = yield* Probe.make()
      const dead = yield* Probe.make({ name: "dead" })
      const alive = yield* Probe.make()
      const alias = yield* alive.as(Process.alias)
      yield* alive.as(Process.unalias(alias))
      yield* dead.end()
      for (const address of [dead.pid, { name: "dead" }, { name: "nobody" }, alias]) {
        const ref = yield* watcher.monitor(address)
        yield* watcher.expectDown({ of: address, ref, reason: "NoProc" })
      }
      yield* watcher.expectNoMessage()
    }))

  everySeed("[S19] by a name that was added later do as those by the first name", () =>
    Effect.gen(function*() {
      const watcher = yield* Probe.make()
      const target = yield* Probe.make({ name: "first" })
      yield* Process.register("second", target)
      const first = yield* watcher.monitor({ name: "first" })
      const second = yield* watcher.monitor({ name: "second" })
      yield* target.end(ExitReason.error("bad"))
      yield* watcher.expectDown({ of: { name: "first" }, ref: first, reason: ExitReason.error("bad") })
      yield* watcher.expectDown({ of: { name: "second" }, ref: second, reason: ExitReason.error("bad") })
      yield* watcher.expectNoMessage()
    }))

  everySeed("[S19] by name follow the process, not the name", () =>
    Effect.gen(function*() {
      const watcher = yield* Probe.make()
      const first = yield* Probe.make({ name: "name" })
      yield* watcher.monitor({ name: "name" })
      yield* Process.unregister("name")
      const second = yield* Probe.make({ name: "name" })
      yield* second.end()
      yield* watcher.expectNoMessage()
      yield* first.end(ExitReason.shutdown)
      yield* watcher.expectDown({ of: { name: "name" }, reason: "Shutdown" })
    }))

  everySeed("[S19] a Down is seen when the names and aliases of the process are free", () =>
    Effect.gen(function*() {
      const taken: Array<string> = []
      const target = yield* Process.spawnDetached(
        () => Effect.andThen(Process.alias, Effect.never),
        { name: "first" }
      )
      yield* Process.register("second", target)
      const watchers = yield* Effect.forEach([1, 2, 3, 4, 5], (n) =>
        Process.spawn(() =>
          Effect.gen(function*() {
            yield* Process.monitor(target)
            yield* Process.receive(Signal.DownSchema)
            for (const name of ["first", "second"]) {
              yield* Effect.matchEffect(Process.spawnDetached(() => Effect.never, { name: `${name} ${n}` }), {
                onFailure: () => Effect.void,
                onSuccess: () => Effect.void
              })
              const holder = yield* Process.whereis(name)
              if (Option.isSome(holder) && String(holder.value) === String(target)) taken.push(name)
            }
          })
        ))
      yield* TestNode.settle
      yield* Process.exit(target, ExitReason.error("bad"))
      yield* TestNode.settle
      assert.deepStrictEqual(taken, [])
      for (const pid of watchers) assert.isFalse(yield* Process.isAlive(pid))
      const again = yield* Process.spawnDetached(() => Effect.never, { name: "first" })
      yield* Process.register("second", again)
    }))

  everySeed("[S19] demonitor silences; what has come stays, unless it is flushed", () =>
    Effect.gen(function*() {
      const watcher = yield* Probe.make()
      const target = yield* Probe.make()
      const [silenced, kept, flushed] = yield* Effect.forEach([1, 2, 3], () => watcher.monitor(target))
      assert.isTrue(yield* watcher.as(Process.demonitor(silenced!)))
      assert.isFalse(yield* watcher.as(Process.demonitor(silenced!)))
      yield* target.end()
      yield* TestNode.settle
      assert.isFalse(yield* watcher.as(Process.demonitor(kept!)))
      assert.isFalse(yield* watcher.as(Process.demonitor(flushed!, { flush: true })))
      yield* watcher.expectDown({ ref: kept! })
      yield* watcher.expectNoMessage()
    }))

  everySeed("[S19] flush takes the Down out of the mailbox of a server, too", () =>
    Effect.gen(function*() {
      const log = seen()
      const server = yield* GenServer.start(counterServer(log), 0)
      const target = yield* Probe.make()
      const { runtime } = yield* Node.Node
      const process = runtime.resolve(server.pid)!
      const monitor = process.monitor(runtime.resolve(target.pid), target.pid)
      const busy = yield* Effect.forkChild(server.Sleep({ millis: 1000 }))
      yield* TestNode.settle
      yield* target.end()
      assert.strictEqual((yield* infoOf(server)).mailboxLength, 1)
      assert.isTrue(process.flushDown(monitor.ref))
      assert.isFalse(process.flushDown(monitor.ref))
      yield* Effect.yieldNow
      busy.interruptUnsafe()
      yield* TestNode.settle
      assert.deepStrictEqual(log.notes, [])
    }))

  everySeed("[S19] demonitor of what is not one's own does nothing", () =>
    Effect.gen(function*() {
      const a = yield* Probe.make()
      const b = yield* Probe.make()
      const target = yield* Probe.make()
      const ref = yield* a.monitor(target)
      assert.isFalse(yield* b.as(Process.demonitor(ref)))
      yield* target.end()
      yield* a.expectDown({ ref })
    }))

  everySeed("[S19] end with who holds them", () =>
    Effect.gen(function*() {
      const watcher = yield* Probe.make()
      const target = yield* Probe.make()
      for (let i = 0; i < 3; i++) yield* watcher.monitor(target)
      yield* watcher.end()
      assert.strictEqual((yield* infoOf(target)).monitoredBy, 0)
      yield* target.end()
    }))

  everySeed("[S19] of a process that is ending wait for its end", () =>
    Effect.gen(function*() {
      const watcher = yield* Probe.make()
      const pid = yield* Process.spawnDetached(() =>
        Effect.andThen(Effect.addFinalizer(() => Effect.sleep("1 second")), Effect.never)
      )
      yield* TestNode.settle
      yield* Process.exit(pid)
      yield* TestNode.settle
      yield* watcher.monitor(pid)
      yield* watcher.expectNoMessage("999 millis")
      yield* watcher.expectDown({ of: pid, reason: "Shutdown", within: 1 })
    }))

  everySeed("[S19] on oneself do no harm", () =>
    Effect.gen(function*() {
      const watcher = yield* Probe.make()
      const target = yield* Probe.make()
      yield* target.monitor(target)
      yield* watcher.monitor(target)
      yield* target.end()
      yield* watcher.expectDown({ of: target, reason: "Normal" })
    }))

  everySeed("a server gets its Downs in its down handler", () =>
    Effect.gen(function*() {
      const log = seen()
      const server = yield* GenServer.start(counterServer(log), 0)
      const target = yield* Probe.make()
      const { runtime } = yield* Node.Node
      runtime.resolve(server.pid)!.monitor(runtime.resolve(target.pid), target.pid)
      yield* target.end(ExitReason.error("bad"))
      yield* TestNode.settle
      assert.instanceOf(log.notes[0], Signal.Down)
      assert.deepStrictEqual((log.notes[0] as Signal.Down).reason, ExitReason.error("bad"))
    }))
})
