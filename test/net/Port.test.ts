/**
 * Ports: external programs that end with their process, and processes that end with their program.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Logger, Schema, type Scope } from "effect"
import { GenServer, Message, Node, Process, Protocol, Supervisor } from "effect-otp"
import { Framing, type NetError, Port } from "effect-otp/net"
import { ChildProcess } from "effect/process"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import { until } from "./Until.ts"

const logged: Array<string> = []
const remember = Logger.make<unknown, void>(({ message }) => void logged.push(String(message)))

const onNode = (
  title: string,
  body: () => Effect.Effect<
    unknown,
    unknown,
    Node.Node | ChildProcessSpawner | Scope.Scope
  >
): void =>
  it.live(title, () =>
    Effect.scoped(Effect.suspend(body)).pipe(
      Effect.provide(Layer.merge(Layer.provideMerge(Node.layerLocal(), Logger.layer([remember])), NodeServices.layer))
    ))

const node = (script: string): ChildProcess.Command => ChildProcess.make(process.execPath, ["-e", script])

/** Answers each line with its length; `exit n` ends it. */
const counting = `
  require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
    if (line.startsWith("exit ")) process.exit(Number(line.slice(5)))
    console.log(line.length)
  })`

class Lengths extends Protocol.make(
  "Lengths",
  Message.Call("Of", { payload: { text: Schema.String }, success: Schema.String }),
  Message.Cast("Quit", { payload: { code: Schema.Int } }),
  Message.Call("Pid", { success: Schema.Int })
) {}

/** Calls to a program: each answer belongs to the oldest question. */
const lengths = (script = counting) =>
  Port.make(Lengths, {
    command: () => node(script),
    framing: Framing.lines(),
    init: () => Effect.succeed<ReadonlyArray<(answer: string) => Effect.Effect<void>>>([]),
    frame: (line, [first, ...rest]) => first === undefined ? undefined : Effect.as(first(line), GenServer.next(rest)),
    handlers: {
      Of: ({ text }, waiting, { from, port }) =>
        Effect.as(
          Effect.orDie(port.write(text)),
          GenServer.noReply([...waiting, (answer: string) => from.reply(answer)])
        ),
      Quit: ({ code }, _, { port }) => port.write(`exit ${code}`),
      Pid: (_, __, { port }) => port.osPid
    }
  })

const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

describe("Port", () => {
  onNode("asks a program, and gets its answers in order", () =>
    Effect.gen(function*() {
      const port = yield* GenServer.start(lengths())
      const answers = yield* Effect.forEach(["a", "bb", "", "dddd"], (text) => port.Of({ text }), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(answers, ["1", "2", "0", "4"])
    }))

  onNode("ends with its program: in order for the code 0, as a crash otherwise", () =>
    Effect.gen(function*() {
      const reasons: Array<unknown> = []
      for (const code of [0, 3]) {
        const port = yield* GenServer.start(lengths())
        yield* port.Quit({ code })
        reasons.push(yield* Process.awaitExit(port))
      }
      assert.deepStrictEqual(reasons[0], { _tag: "Normal" })
      const error = (reasons[1] as { readonly error: NetError.PortExit }).error
      assert.deepInclude(error, { _tag: "PortExit", code: 3 })
    }))

  onNode(
    "a program that is killed from outside ends its process, and a supervisor starts both again",
    () =>
      Effect.gen(function*() {
        yield* Supervisor.start(Supervisor.make({
          children: [Supervisor.child("port", lengths(), undefined, { name: "port" })]
        }))
        const port = yield* GenServer.named(Lengths, "port")
        const first = yield* port.Pid()
        process.kill(first, "SIGKILL")
        const second = yield* until(
          Effect.orElseSucceed(port.Pid(), () => first),
          (pid) => pid !== first
        )
        assert.isFalse(isRunning(first))
        assert.isTrue(isRunning(second))
        assert.strictEqual(yield* port.Of({ text: "again" }), "5")
      })
  )

  onNode("when its process ends, so does the program, also one that does not want to", () =>
    Effect.gen(function*() {
      const stubborn = Port.make({
        command: () => node(`process.on("SIGTERM", () => {}); setInterval(() => {}, 1000); console.log("ready")`),
        framing: Framing.lines(),
        killAfter: "100 millis",
        init: (_, { port }) => Effect.succeed(port.osPid),
        frame: (_, pid) => Effect.asVoid(Deferred.succeed(ready, pid))
      })
      const ready = yield* Deferred.make<number>()
      const port = yield* GenServer.start(stubborn)
      const pid = yield* Deferred.await(ready)
      assert.isTrue(isRunning(pid))
      yield* Process.kill(port)
      yield* until(Effect.sync(() => isRunning(pid)), (running) => !running)
      const other = yield* GenServer.start(lengths())
      const otherPid = yield* other.Pid()
      yield* Process.stop(other)
      assert.isFalse(isRunning(otherPid))
    }))

  onNode(
    "frames behind their length, as Erlang's packet 4, and what a program wrote before its end",
    () =>
      Effect.gen(function*() {
        const seen: Array<number> = []
        const exits: Array<number | undefined> = []
        const script = `
        for (let i = 0; i < 300; i++) {
          const b = Buffer.alloc(4 + i * 10, i); b.writeUInt32BE(i * 10); process.stdout.write(b)
        }`
        const port = yield* GenServer.start(
          Port.make({
            command: (text: string) => node(text),
            framing: Framing.lengthPrefix({ size: 4 }),
            init: () => Effect.succeed(0),
            frame: (frame, count) => {
              seen.push(frame.length)
              // Some handlers take their time: the program waits.
              return count % 50 === 0
                ? Effect.as(Effect.sleep("5 millis"), GenServer.next(count + 1))
                : GenServer.next(count + 1)
            },
            exited: ({ code }, count) => {
              exits.push(code, count)
              return GenServer.stop()
            }
          }),
          script
        )
        yield* Process.awaitExit(port)
        assert.deepStrictEqual(seen, Array.from({ length: 300 }, (_, i) => i * 10))
        assert.deepStrictEqual(exits, [0, 300])
      })
  )

  onNode("a program that writes nonsense is ended, and said to be wrong", () =>
    Effect.gen(function*() {
      const port = yield* GenServer.start(Port.make({
        command: () => node(`process.stdout.write(Buffer.from([0xff, 10])); setInterval(() => {}, 1000)`),
        framing: Framing.lines(),
        init: (_, { port }) => Effect.succeed(port.osPid),
        frame: () => {}
      }))
      const pid = (yield* GenServer.getState(port)) as { readonly osPid: number }
      const reason = yield* Process.awaitExit(port)
      assert.deepInclude((reason as { readonly error: unknown }).error, { _tag: "FrameError", reason: "Malformed" })
      assert.isFalse(isRunning(pid.osPid))
    }))

  onNode(
    "a program that does not read makes writers wait, and one that has gone refuses them",
    () =>
      Effect.gen(function*() {
        const held = yield* Deferred.make<Port.Program<Uint8Array>>()
        const port = yield* GenServer.start(Port.make({
          command: () => node(`setInterval(() => {}, 1000)`),
          framing: Framing.lengthPrefix(),
          init: (_, { port }) => Deferred.succeed(held, port),
          frame: () => {}
        }))
        const program = yield* Deferred.await(held)
        let written = 0
        const writing = yield* Effect.forkChild(
          Effect.exit(
            Effect.forever(Effect.tap(program.write(new Uint8Array(100_000)), () => Effect.sync(() => written++)))
          )
        )
        const before = yield* until(
          Effect.andThen(Effect.sleep("50 millis"), Effect.sync(() => written)),
          (n) => n > 0
        )
        yield* Effect.sleep("100 millis")
        assert.isBelow(before, 40)
        assert.strictEqual(written, before)
        yield* Process.kill(port)
        assert.strictEqual((yield* Fiber.join(writing))._tag, "Failure")
        assert.strictEqual((yield* Effect.flip(program.write(new Uint8Array(1))))._tag, "ConnectionClosed")
      })
  )

  onNode("logs what the program says on its standard error", () =>
    Effect.gen(function*() {
      const port = yield* GenServer.start(lengths(`console.error("mind the gap")`))
      yield* Process.awaitExit(port)
      yield* until(Effect.sync(() => logged.join("\n")), (text) => text.includes("mind the gap"))
    }))

  onNode("says which program could not be started", () =>
    Effect.gen(function*() {
      const port = Port.make({
        command: () => ChildProcess.make("no-such-program", ["--secret"]),
        framing: Framing.lines(),
        init: () => Effect.void,
        frame: () => {}
      })
      const error = yield* Effect.flip(GenServer.start(port))
      assert.deepInclude(error, { _tag: "PortError", command: "no-such-program" })
    }))
})
