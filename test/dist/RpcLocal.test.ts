/**
 * Remote calls and spawns without another node: on a node that knows only itself, and between two of ours.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Logger, Option, Queue, References, Schema, Scope } from "effect"
import { ExitReason, GenServer, Message, Node, Process, Protocol, Signal } from "effect-otp"
import { GroupLeader, RemoteSpawn, Rpc, RpcError } from "effect-otp/dist"
import { Etf } from "effect-otp/etf"
import { Atom, Term, Tuple } from "effect-otp/term"
import { TestClock } from "effect/testing"
import { Functions } from "../../src/dist/internal/Functions.ts"
import { serve } from "../../src/dist/internal/User.ts"

const nodeName = "alone@127.0.0.1"
const layer = Layer.merge(Node.layerLocal({ name: nodeName }), Layer.succeed(References.MinimumLogLevel, "None"))

class Odd extends Schema.TaggedError<Odd>()("Odd", { n: Schema.Int }) {}
class Factor extends Context.Service<Factor, number>()("test/Factor") {}

const Half = Rpc.make("calc", "half", { args: [Schema.Int], success: Schema.Int, error: Odd })
const Nothing = Rpc.make("calc", "nothing")
const Any = Rpc.make("calc", "any", { args: [Etf.Term], success: Etf.Term })

const reasonOf = (error: unknown): string =>
  error instanceof RpcError.RpcError ? error.reason._tag : `not an RpcError: ${String(error)}`

describe("functions of this node", () => {
  it.effect("typed arguments, results and errors; plain values and effects", () =>
    Effect.scoped(Effect.gen(function*() {
      yield* Rpc.provide(Half, (n) => n % 2 === 0 ? n / 2 : Effect.fail(new Odd({ n })))
      yield* Rpc.provide(Nothing, () => undefined)
      assert.strictEqual(yield* Rpc.call(nodeName, Half, [8]), 4)
      const error = yield* Effect.flip(Rpc.call(nodeName, Half, [7]))
      assert.instanceOf(error, Odd)
      assert.strictEqual(yield* Rpc.call(nodeName, Nothing, []), undefined)
      // The same as a term, as any caller sees it.
      const asTerm = (n: number) => Effect.map(Rpc.callTerm(nodeName, "calc", "half", [n]), (term) => Term.print(term))
      assert.strictEqual(yield* asTerm(8), "{ok,4}")
      assert.strictEqual(yield* asTerm(7), "{error,{odd,#{n => 7}}}")
      assert.deepStrictEqual(yield* Rpc.provided, ["calc:half/1", "calc:nothing/0"])
    })).pipe(Effect.provide(layer)))

  it.effect("every way in which a call can fail", () =>
    Effect.scoped(Effect.gen(function*() {
      yield* Rpc.provide(Any, (value) => {
        switch (Term.print(value)) {
          case "error":
            return Rpc.raise(Atom.make("boom"))
          case "exit":
            return Rpc.exit(Atom.make("boom"))
          case "throw":
            return Rpc.throw_(Atom.make("boom"))
          case "exit_self":
            return Process.exitSelf(ExitReason.shutdown)
          case "killed":
            return Effect.andThen(Effect.flatMap(Process.self, Process.kill), Effect.never)
          case "defect":
            return Effect.die(new Error("broken"))
          case "throws":
            throw new RangeError("outside of any effect")
          case "undef":
            return Rpc.raise(Atom.make("undef"))
          default:
            return "no term" as unknown as Term.Term
        }
      })
      const failure = (what: string) =>
        Effect.map(Effect.flip(Rpc.callTerm(nodeName, "calc", "any", [Atom.make(what)])), ({ reason }) =>
          `${reason._tag} ${Term.print(RpcError.toErlang(reason))}`)
      assert.strictEqual(yield* failure("error"), "Raised {error,{exception,boom}}")
      assert.strictEqual(yield* failure("exit"), "Exited {exit,{exception,boom}}")
      assert.strictEqual(yield* failure("throw"), "Thrown {throw,boom}")
      assert.strictEqual(yield* failure("exit_self"), "Exited {exit,{exception,shutdown}}")
      assert.strictEqual(yield* failure("killed"), "Signalled {exit,{signal,killed}}")
      assert.strictEqual(yield* failure("defect"), "Raised {error,{exception,{error,<<\"Error: broken\">>}}}")
      assert.strictEqual(
        yield* failure("throws"),
        "Raised {error,{exception,{error,<<\"RangeError: outside of any effect\">>}}}"
      )
      assert.strictEqual((yield* failure("undef")).slice(0, 9), "Undefined")
      assert.match(yield* failure("nonsense"), /^Raised \{error,\{exception,\{'?SchemaError/)
      for (
        const [module, name, args] of [["calc", "any", []], ["calc", "toString", [1]], ["constructor", "any", [
          1
        ]]] as const
      ) {
        const { reason } = yield* Effect.flip(Rpc.callTerm(nodeName, module, name, args))
        assert.strictEqual(reason._tag, "Undefined")
        assert.strictEqual(
          Term.print((reason as RpcError.Undefined).stack),
          `[{${module},${name},[${args.join()}],[]}]`.replace("[1]", "[1]")
        )
      }
      const fits = yield* Effect.flip(Rpc.callTerm(nodeName, "calc", "any", [1]))
      assert.match(fits.message, /^the call of calc:any\/1 on alone@127.0.0.1 failed: it raised /)
      // Other nodes cannot be reached from a node that knows only itself.
      assert.strictEqual(reasonOf(yield* Effect.flip(Rpc.callTerm("b@127.0.0.1", "a", "b", []))), "NotSupported")
      assert.strictEqual(
        (yield* Effect.flip(RemoteSpawn.spawn("b@127.0.0.1", { module: "a", name: "b", args: [] }))).reason,
        "NotSupported"
      )
      yield* Rpc.cast("b@127.0.0.1", Nothing, [])
    })).pipe(Effect.provide(layer)))

  it.effect("a call that takes too long, and one that is given up", () =>
    Effect.scoped(Effect.gen(function*() {
      const runs = yield* Deferred.make<void>()
      const ends = yield* Deferred.make<void>()
      yield* Rpc.provide(Nothing, () =>
        Effect.andThen(
          Deferred.succeed(runs, undefined),
          Effect.andThen(Effect.sleep("1 minute"), Effect.asVoid(Deferred.succeed(ends, undefined)))
        ))
      const fiber = yield* Effect.forkChild(Effect.flip(Rpc.call(nodeName, Nothing, [])), { startImmediately: true })
      yield* Deferred.await(runs)
      yield* TestClock.adjust("4999 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error.reason._tag, "Timeout")
      // The function runs on, as in Erlang.
      assert.isFalse(yield* Deferred.isDone(ends))
      yield* TestClock.adjust("1 minute")
      assert.isTrue(yield* Deferred.isDone(ends))
    })).pipe(Effect.provide(layer)))

  it.effect("one function, one provider; it goes with its scope; the services are those of who provided it", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const provide = Rpc.provide(Any, (value) => Effect.map(Factor, (factor) => factor * (value as number)))
      yield* Effect.provideService(provide, Factor, 3).pipe(Scope.provide(scope))
      assert.strictEqual(yield* Rpc.call(nodeName, Any, [5]), 15)
      const twice = yield* Effect.flip(Effect.scoped(Rpc.provide(Any, (value) => value)))
      assert.strictEqual(twice.target, "calc:any/1")
      // The refused one did not take the first away.
      assert.strictEqual(yield* Rpc.call(nodeName, Any, [5]), 15)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(reasonOf(yield* Effect.flip(Rpc.call(nodeName, Any, [5]))), "Undefined")
      const viaLayer = Rpc.call(nodeName, Any, [5]).pipe(Effect.provide(Rpc.layer(Any, (value) => value)))
      assert.strictEqual(yield* viaLayer, 5)
      assert.deepStrictEqual(yield* Rpc.provided, [])
    }).pipe(Effect.provide(layer)))

  it.effect("arguments by their schemas: what does not fit is a function_clause with the arguments on the stack", () =>
    Effect.scoped(Effect.gen(function*() {
      yield* Rpc.provide(Half, (n) => n)
      const { reason } = yield* Effect.flip(Rpc.callTerm(nodeName, "calc", "half", [Atom.make("eight")]))
      assert.strictEqual(Term.print((reason as RpcError.Raised).error), "function_clause")
      assert.strictEqual(Term.print((reason as RpcError.Raised).stack), "[{calc,half,[eight],[]}]")
    })).pipe(Effect.provide(layer)))

  it.effect("a schema without a form on the wire is refused where the function is described", () =>
    Effect.sync(() => {
      assert.throws(() => Rpc.make("a", "b", { args: [Schema.Symbol] }))
      assert.throws(() => Rpc.make("a".repeat(256), "b"))
    }))

  it.effect("many nodes at once", () =>
    Effect.scoped(Effect.gen(function*() {
      yield* Rpc.provide(Half, (n) => n / 2)
      const { failures, results } = yield* Rpc.multicall(["b@127.0.0.1", nodeName], Half, [4])
      assert.deepStrictEqual(results, [[nodeName, 2]])
      assert.deepStrictEqual(failures.map(([node, error]) => [node, reasonOf(error)]), [[
        "b@127.0.0.1",
        "NotSupported"
      ]])
    })).pipe(Effect.provide(layer)))
})

describe("what is logged", () => {
  it.effect("calls and unknown functions are no crashes; a body that breaks is one", () => {
    const lines: Array<string> = []
    const logs = Logger.layer([Logger.make(({ logLevel, message }) => lines.push(`${logLevel} ${String(message)}`))])
    return Effect.scoped(Effect.gen(function*() {
      yield* Rpc.provide(Any, (value) => Atom.is(value, "die") ? Effect.die(new Error("broken")) : value)
      yield* Rpc.call(nodeName, Any, [1])
      yield* Effect.flip(Rpc.call(nodeName, Any, [Atom.make("die")]))
      yield* Process.awaitExit(yield* RemoteSpawn.spawn(nodeName, { module: "no", name: "such", args: [] }))
      assert.deepStrictEqual(lines, [])
      yield* Process.awaitExit(
        yield* RemoteSpawn.spawn(nodeName, { module: "calc", name: "any", args: [Atom.make("die")] })
      )
      assert.strictEqual(lines.length, 1)
      assert.match(lines[0]!, /^Error process calc:any\/1 crashed/)
    })).pipe(Effect.provide(Layer.provideMerge(Node.layerLocal({ name: nodeName }), logs)))
  })
})

describe("refusals", () => {
  it("are logged at most once per second, and counted", () => {
    const functions = new Functions(nodeName)
    const application = { module: Atom.make("os"), name: Atom.make("Cmd\n"), args: [1], caller: "b@127.0.0.1" }
    assert.strictEqual(functions.find(application), undefined)
    assert.match(
      functions.refused(application, 0)!,
      /^b@127.0.0.1 asked for os:'Cmd\\n'\/1, which is not provided to it/
    )
    assert.isUndefined(functions.refused(application, 999))
    assert.match(functions.refused({ ...application, caller: undefined }, 1000)!, /^another node asked .*\(3 such/)
    assert.isUndefined(functions.refused({ ...application, caller: nodeName }, 9000))
  })
})

describe("processes of this node", () => {
  it.effect("linked and monitored from their first moment on", () =>
    Effect.scoped(Effect.gen(function*() {
      const Die = RemoteSpawn.entry("shop", "die", [Etf.Term])
      yield* RemoteSpawn.provide(Die, ([reason]) => Process.exitSelf(ExitReason.error(reason)))
      yield* Process.run(Effect.gen(function*() {
        yield* Process.trapExit(true)
        const { pid, ref } = yield* RemoteSpawn.spawnMonitor(nodeName, RemoteSpawn.apply(Die, 1), { link: true })
        const down = yield* Process.receive(Signal.DownSchema)
        assert.strictEqual(down.ref, ref)
        const exit = yield* Process.receive(Signal.ExitSchema)
        assert.strictEqual(exit.from, pid)
        assert.deepStrictEqual([down.reason, exit.reason], [ExitReason.error(1), ExitReason.error(1)])
      }))
    })).pipe(Effect.provide(layer)))

  it.effect("a server: its pid is known before its init is done, and a wrong argument is its end", () =>
    Effect.scoped(Effect.gen(function*() {
      class Get extends Protocol.make("Get", Message.Call("Get", { success: Schema.Int })) {}
      const server = GenServer.make(Get, {
        init: (n: number) => Effect.delay(Effect.succeed(n), "1 second"),
        handlers: { Get: (_, n) => GenServer.reply(n, n) }
      })
      const Start = RemoteSpawn.entry("shop", "get", [Schema.Int])
      yield* RemoteSpawn.provideServer(Start, server, (n) => n)
      const pid = yield* RemoteSpawn.spawn(nodeName, RemoteSpawn.apply(Start, 7))
      const ref = yield* GenServer.fromPid(Get, pid)
      const fiber = yield* Effect.forkChild(ref.Get(), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(fiber), 7)
      yield* Process.run(Effect.gen(function*() {
        yield* RemoteSpawn.spawnMonitor(nodeName, { module: "shop", name: "get", args: [Atom.make("x")] })
        const { reason } = yield* Process.receive(Signal.DownSchema)
        assert.strictEqual(
          Term.print((reason as ExitReason.Error).error),
          "{function_clause,[{shop,get,[x],[]}]}"
        )
      }))
    })).pipe(Effect.provide(layer)))
})

describe("group leaders", () => {
  it.effect("print waits for the answer and says what went wrong", () =>
    Effect.scoped(Effect.gen(function*() {
      // There is no `user` on a node that knows only itself.
      assert.match((yield* Effect.flip(GroupLeader.print("x"))).detail, /there is no process user/)
      const texts: Array<string> = []
      const leader = (answer: (as: Term.Term) => Option.Option<Term.Term>) =>
        Process.spawn((mailbox) =>
          Effect.forever(Effect.flatMap(Queue.take(mailbox), (message) => {
            if (!Tuple.isTuple(message)) return Effect.void
            const [, from, as, request] = message.elements as readonly [Term.Term, Term.Term, Term.Term, Tuple.Tuple]
            texts.push(Term.print(request, { strings: false }))
            return Option.match(answer(as), {
              onNone: () => Effect.void,
              onSome: (term) => Process.send(from as never, term)
            })
          }))
        )
      const ok = yield* leader((as) => Option.some(Tuple.make(Atom.make("io_reply"), as, Atom.ok)))
      yield* GroupLeader.print("hä\n").pipe(GroupLeader.set(ok))
      assert.deepStrictEqual(texts, ["{put_chars,unicode,<<104,195,164,10>>}"])
      const no = yield* leader((as) =>
        Option.some(Tuple.make(Atom.make("io_reply"), as, Tuple.make(Atom.error, Atom.make("terminated"))))
      )
      assert.strictEqual(
        (yield* Effect.flip(GroupLeader.print("x").pipe(GroupLeader.set(no)))).detail,
        "{error,terminated}"
      )
      const silent = yield* leader(() => Option.none())
      const fiber = yield* Effect.forkChild(Effect.flip(GroupLeader.print("x").pipe(GroupLeader.set(silent))), {
        startImmediately: true
      })
      yield* TestClock.adjust("5 seconds")
      assert.match((yield* Fiber.join(fiber)).detail, /no answer within 5000 ms/)
      // Processes inherit it.
      const seen = yield* Deferred.make<unknown>()
      yield* Process.spawn(() =>
        Process.spawn(() => Effect.flatMap(GroupLeader.get, (get) => Deferred.succeed(seen, get)))
      ).pipe(GroupLeader.set(ok))
      assert.strictEqual(yield* Deferred.await(seen), ok)
    })).pipe(Effect.provide(layer)))

  it("user answers every request of the io protocol", () => {
    const served = (request: string) => {
      const { reply, text } = serve(Term.parseUnsafe(request))
      return [text, Term.print(reply)]
    }
    assert.deepStrictEqual(served("{put_chars, unicode, [104, [228 | <<\"x\">>]]}"), ["häx", "ok"])
    assert.deepStrictEqual(served("{put_chars, latin1, <<228>>}"), ["ä", "ok"])
    assert.deepStrictEqual(served("{put_chars, unicode, <<228>>}"), ["", "{error,put_chars}"])
    assert.deepStrictEqual(served("{put_chars, <<\"old\">>}"), ["old", "ok"])
    assert.deepStrictEqual(served("{put_chars, unicode, io_lib, format, [\"~p~n\", [a]]}"), ["a\n", "ok"])
    assert.deepStrictEqual(served("{put_chars, unicode, io_lib, format, [\"~p~n\", []]}"), ["", "{error,format}"])
    assert.deepStrictEqual(served("{put_chars, unicode, os, cmd, [\"id\"]}"), ["", "{error,request}"])
    assert.deepStrictEqual(served("{get_line, unicode, \"> \"}"), ["", "{error,enotsup}"])
    assert.deepStrictEqual(served("{requests, [{put_chars, unicode, \"a\"}, {put_chars, unicode, \"b\"}]}"), [
      "ab",
      "ok"
    ])
    assert.deepStrictEqual(
      served("{requests, [{put_chars, unicode, \"a\"}, {get_line, \"\"}, {put_chars, unicode, \"b\"}]}"),
      ["a", "{error,enotsup}"]
    )
    assert.deepStrictEqual(served("{requests, [{requests, []}]}"), ["", "{error,request}"])
    assert.deepStrictEqual(served("getopts"), ["", "[{encoding,unicode}]"])
    assert.deepStrictEqual(served("{ponies}"), ["", "{error,request}"])
    assert.deepStrictEqual(served("17"), ["", "{error,request}"])
  })
})
