/**
 * Remote calls: functions of this node that others may call, and calls of functions of others, with types.
 *
 * A function is a value, made with {@link make}: its module, its name and the schemas of arguments and result. The same
 * value provides it on one node ({@link provide}, {@link layer}) and calls it from another ({@link call}, {@link cast},
 * {@link multicall}). On the wire they are what `erpc` and `rpc` of Erlang/OTP send and expect, so that either end may be
 * an Erlang or Elixir node: `erpc:call/5`, `erpc:multicall/5`, `erpc:send_request/4`, `erpc:cast/4`, `rpc:call/4`,
 * `rpc:multicall/4`, `rpc:async_call/4`, `rpc:cast/4`, `rpc:block_call/4` and `erl_call` reach what is provided here.
 *
 * | here | Erlang |
 * |---|---|
 * | arguments | the list of arguments, each by its schema |
 * | result without an error schema | the value; `ok` for `Schema.Void` |
 * | result with an error schema | `{ok, Value}` (`ok` for `Schema.Void`) or `{error, Reason}` |
 * | {@link raise}, {@link exit}, {@link throw_} | the exceptions `error`, `exit` and `throw` |
 * | a defect | an `error` with a readable reason |
 * | arguments that do not fit | the error `function_clause` |
 * | anything that was not provided | the error `undef`, with the function and its arguments on the stack |
 *
 * Each call runs in a process of its own, with the group leader of the caller: `Process.self` and `GroupLeader.print`
 * work in it. A caller that gives up leaves the function running, as in Erlang.
 *
 * Guarantees: a call ends exactly once, with the typed result or with an `RpcError` that keeps the class of Erlang.
 * Refused: everything that was not provided by name, or not to the node that asks; a refusal is answered with `undef` and
 * logged, at most once per second. Who knows the cookie of a node can call all functions that are provided on it without
 * `allow`, at any rate. There is no code loading, no `apply` and no evaluation.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Compiled } from "../etf/Compiled.ts"
import * as Etf from "../etf/EtfSchema.ts"
import * as MessageShape from "../etf/MessageShape.ts"
import * as Behaviour from "../process/Behaviour.ts"
import { Node } from "../process/Node.ts"
import type { CurrentProcess } from "../process/Process.ts"
import * as Atom from "../term/Atom.ts"
import { print, type Term } from "../term/Term.ts"
import * as Functions from "./internal/Functions.ts"
import { Raise } from "./internal/Raise.ts"
import * as RemoteCall from "./internal/RemoteCall.ts"
import * as RpcError from "./RpcError.ts"

const TypeId = "~effect-otp/Rpc"

/**
 * A function that can be called from other nodes: its name and its schemas. See {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Function<in out Args extends ReadonlyArray<unknown>, in out A, in out E> {
  readonly [TypeId]: { readonly _Args: (_: Args) => Args; readonly _A: (_: A) => A; readonly _E: (_: E) => E }
  readonly module: string
  readonly name: string
  /** The number of arguments. */
  readonly arity: number
  /** `module:name/arity`. */
  readonly target: string
  /** @internal */
  readonly args: ReadonlyArray<Compiled<unknown>>
  /** @internal */
  readonly result: MessageShape.ReplyShape<unknown, unknown>
}

/**
 * The types of the values of schemas.
 *
 * @category type-level
 * @since 0.1.0
 */
export type TypesOf<Schemas extends ReadonlyArray<Schema.Top>> = { -readonly [K in keyof Schemas]: Schemas[K]["Type"] }

// Services and effects in schemas are refused by the codecs themselves.
type Codec = Schema.Codec<any, any>

/**
 * Describes a function. Without `success` it gives nothing (`ok`); without `error` it cannot fail in the domain. Throws
 * `EtfSchemaError` when a schema has no form on the wire, and `InvalidTerm` when a name cannot be an atom.
 *
 * @example
 * ```ts
 * import { Schema } from "effect"
 * import { Rpc } from "effect-otp/dist"
 * import { Etf } from "effect-otp/etf"
 *
 * const Seq = Rpc.make("lists", "seq", { args: [Schema.Int, Schema.Int], success: Schema.Array(Schema.Int) })
 * const numbers = Rpc.call("calc@127.0.0.1", Seq, [1, 3])
 * const Reverse = Rpc.make("lists", "reverse", { args: [Etf.Term], success: Etf.Term })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <
  const Args extends ReadonlyArray<Schema.Top> = [],
  A extends Schema.Top = Schema.Void,
  E extends Schema.Top = Schema.Never
>(
  module: string,
  name: string,
  options?: { readonly args?: Args; readonly success?: A; readonly error?: E }
): Function<TypesOf<Args>, A["Type"], E["Type"]> => {
  const args = options?.args ?? []
  return {
    [TypeId]: undefined as never, // only a type
    module: Atom.make(module).name,
    name: Atom.make(name).name,
    arity: args.length,
    target: `${module}:${name}/${args.length}`,
    args: args.map((schema) => Etf.compile(schema as unknown as Codec)),
    result: MessageShape.makeReply<unknown, unknown, unknown, unknown>(
      (options?.success ?? Schema.Void) as unknown as Codec,
      (options?.error ?? Schema.Never) as unknown as Codec
    )
  }
}

// --- providing -------------------------------------------------------------------------------------------------------

/**
 * Options of what is provided.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProvideOptions {
  /**
   * Which other nodes may run it; all that know the cookie, by default. For the others it does not exist. What comes
   * through `rex` (`rpc:block_call/4`, `rpc:cast/4`, C nodes) does not prove who sent it and never reaches what has this
   * option; `erpc`, `rpc:call/4` and spawns do. It must not throw.
   */
  readonly allow?: ((node: string) => boolean) | undefined
}

/**
 * Has a function called by other nodes (and by this one), until the surrounding scope closes.
 *
 * The handler takes the arguments and gives the result, or an Effect of it. A typed failure is the `{error, Reason}` of
 * the function. Fails with `ProvideError` when the function is provided already.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Rpc } from "effect-otp/dist"
 *
 * const Add = Rpc.make("calc", "add", { args: [Schema.Int, Schema.Int], success: Schema.Int })
 * const program = Effect.andThen(Rpc.provide(Add, (a, b) => a + b), Effect.never)
 * ```
 *
 * @category providing
 * @since 0.1.0
 */
export const provide = <Args extends ReadonlyArray<unknown>, A, E, R = never>(
  f: Function<Args, A, E>,
  handler: (...args: Args) => NoInfer<A> | Effect.Effect<NoInfer<A>, NoInfer<E>, R>,
  options?: ProvideOptions
): Effect.Effect<void, RpcError.ProvideError, Exclude<R, Scope.Scope | CurrentProcess> | Node | Scope.Scope> =>
  provideEntry((context) => ({
    _tag: "Function",
    module: f.module,
    name: f.name,
    arity: f.arity,
    context,
    allow: options?.allow,
    run: (terms) => {
      const args = argumentsOf(f.args, terms)
      // The services of the handler are in the context of its process.
      const given = handler(...args as unknown as Args) as A | Effect.Effect<A, E>
      return Effect.isEffect(given)
        ? Effect.matchEffect(given as Effect.Effect<A, E>, {
          onSuccess: (value) => encoded(f.result.successToTerm(value)),
          onFailure: (error) => encoded(f.result.failureToTerm(error))
        })
        : encoded(f.result.successToTerm(given))
    }
  })) as Effect.Effect<
    void,
    RpcError.ProvideError,
    Exclude<R, Scope.Scope | CurrentProcess> | Node | Scope.Scope
  >

const functionClause = Atom.make("function_clause")

/** @internal */
export const argumentsOf = (codecs: ReadonlyArray<Compiled<unknown>>, terms: ReadonlyArray<Term>): Array<unknown> =>
  codecs.map((codec, i) => {
    const arg = codec.fromTerm(terms[i]!)
    // Thrown inside of an effect, where it is a defect.
    if (Result.isFailure(arg)) throw new Raise("error", functionClause, true)
    return arg.success
  })

const encoded = (result: Result.Result<Term, Schema.SchemaError>): Effect.Effect<Term> =>
  Result.isSuccess(result) ? Effect.succeed(result.success) : Effect.die(result.failure)

/** @internal */
export const provideEntry = (
  entry: (context: Functions.Entry["context"]) => Functions.Entry
): Effect.Effect<void, RpcError.ProvideError, Node | Scope.Scope> =>
  Effect.gen(function*() {
    const { runtime } = yield* Node
    const context = yield* Behaviour.services<never>()
    const made = entry(context)
    const functions = Functions.functionsOf(runtime)
    yield* Effect.acquireRelease(
      Effect.suspend(() =>
        functions.add(made)
          ? Effect.void
          : Effect.fail(new RpcError.ProvideError({ target: `${made.module}:${made.name}/${made.arity}` }))
      ),
      () => Effect.sync(() => functions.remove(made))
    )
  })

/**
 * {@link provide} as a layer.
 *
 * @category providing
 * @since 0.1.0
 */
export const layer = <Args extends ReadonlyArray<unknown>, A, E, R = never>(
  f: Function<Args, A, E>,
  handler: (...args: Args) => NoInfer<A> | Effect.Effect<NoInfer<A>, NoInfer<E>, R>,
  options?: ProvideOptions
): Layer.Layer<never, RpcError.ProvideError, Exclude<R, Scope.Scope | CurrentProcess> | Node> =>
  Layer.effectDiscard(provide(f, handler, options)) as Layer.Layer<
    never,
    RpcError.ProvideError,
    Exclude<R, Scope.Scope | CurrentProcess> | Node
  > // Exclude twice is Exclude once

/**
 * Ends a provided function with an error, as `erlang:error/1` does.
 *
 * @category exceptions
 * @since 0.1.0
 */
export const raise = (error: Term): Effect.Effect<never> => Effect.die(new Raise("error", error))

/**
 * Ends a provided function as `erlang:exit/1` does.
 *
 * @category exceptions
 * @since 0.1.0
 */
export const exit = (reason: Term): Effect.Effect<never> => Effect.die(new Raise("exit", reason))

/**
 * Ends a provided function as `erlang:throw/1` does.
 *
 * @category exceptions
 * @since 0.1.0
 */
export const throw_ = (value: Term): Effect.Effect<never> => Effect.die(new Raise("throw", value))

/**
 * The functions that are provided on this node, as `module:name/arity`, in the order in which they were.
 *
 * @category providing
 * @since 0.1.0
 */
export const provided: Effect.Effect<ReadonlyArray<string>, never, Node> = Effect.map(
  Node,
  ({ runtime }) => Functions.functionsOf(runtime).targets
)

// --- calling ---------------------------------------------------------------------------------------------------------

/**
 * Options of a remote call.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallOptions {
  /** How long to wait for the result, the connection included: 5 seconds; `"Infinity"` waits for ever. */
  readonly timeout?: Duration.Input
}

/**
 * Calls a function on a node, which may be this one, and gives its result.
 *
 * Fails with the error of the function's own schema, or with an `RpcError`. Interrupting it drops the result. Nodes that
 * cannot start processes for others are asked through their process `rex`; what a function throws is then its value, as in
 * `rpc:call/4`.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Rpc } from "effect-otp/dist"
 * import { Etf } from "effect-otp/etf"
 *
 * const ReadFile = Rpc.make("file", "read_file", {
 *   args: [Etf.Charlist],
 *   success: Schema.Uint8Array,
 *   error: Etf.AtomName
 * })
 * const hosts = Rpc.call("calc@127.0.0.1", ReadFile, ["/etc/hosts"], { timeout: "2 seconds" }).pipe(
 *   Effect.catchReason("RpcError", "Undefined", () => Effect.succeed(new Uint8Array()))
 * )
 * ```
 *
 * @category calling
 * @since 0.1.0
 */
export const call = <Args extends ReadonlyArray<unknown>, A, E>(
  node: string,
  f: Function<Args, A, E>,
  args: NoInfer<Args>,
  options?: CallOptions
): Effect.Effect<A, E | RpcError.RpcError, Node> =>
  Effect.flatMap(
    termsOf(f, args),
    (terms) =>
      Effect.flatMap(
        callTerm(node, f.module, f.name, terms, options),
        (term): Effect.Effect<A, E | RpcError.RpcError> => {
          const reply = f.result.fromTerm(term)
          switch (reply._tag) {
            case "Success":
              return Effect.succeed(reply.value as A) // by its schema
            case "Failure":
              return Effect.fail(reply.error as E) // by its schema
            case "Malformed":
              return Effect.fail(
                new RpcError.RpcError({
                  node,
                  target: f.target,
                  reason: new RpcError.MalformedResult({
                    detail: `it gave ${print(term, { maxLength: 200 })}: ${reply.error.message}`
                  })
                })
              )
          }
        }
      )
  )

const termsOf = <Args extends ReadonlyArray<unknown>, A, E>(
  f: Function<Args, A, E>,
  args: Args
): Effect.Effect<ReadonlyArray<Term>> =>
  Effect.suspend(() => {
    const terms: Array<Term> = []
    for (const [i, codec] of f.args.entries()) {
      const term = codec.toTerm(args[i])
      // The types have said that it fits.
      if (Result.isFailure(term)) return Effect.die(term.failure)
      terms.push(term.success)
    }
    return Effect.succeed(terms)
  })

/**
 * Calls a function on a node with any arguments and gives the term that it returns.
 *
 * @category calling
 * @since 0.1.0
 */
export const callTerm = (
  node: string,
  module: string,
  name: string,
  args: ReadonlyArray<Term>,
  options?: CallOptions
): Effect.Effect<Term, RpcError.RpcError, Node> => {
  const timeout = Duration.toMillis(Duration.fromInputUnsafe(options?.timeout ?? "5 seconds"))
  return Effect.mapError(
    RemoteCall.call({ node, module, name, args }, timeout),
    (reason) => new RpcError.RpcError({ node, target: `${module}:${name}/${args.length}`, reason })
  )
}

/**
 * Has a function run on a node and does not wait for it: its result and its failure are lost, as is the whole call when
 * there is no connection. Waits only until the request has left, the setup of a connection included.
 *
 * @category calling
 * @since 0.1.0
 */
export const cast = <Args extends ReadonlyArray<unknown>, A, E>(
  node: string,
  f: Function<Args, A, E>,
  args: NoInfer<Args>
): Effect.Effect<void, never, Node> =>
  Effect.flatMap(termsOf(f, args), (terms) => RemoteCall.cast({ node, module: f.module, name: f.name, args: terms }))

/**
 * The results of a call on many nodes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Multicall<A, E> {
  readonly results: ReadonlyArray<readonly [node: string, result: A]>
  readonly failures: ReadonlyArray<readonly [node: string, error: E]>
}

/**
 * Calls a function on many nodes at once and gives what came back, results and failures apart, each in the order of the
 * nodes. It takes as long as the slowest, at most the timeout.
 *
 * @category calling
 * @since 0.1.0
 */
export const multicall = <Args extends ReadonlyArray<unknown>, A, E>(
  nodes: ReadonlyArray<string>,
  f: Function<Args, A, E>,
  args: NoInfer<Args>,
  options?: CallOptions
): Effect.Effect<Multicall<A, E | RpcError.RpcError>, never, Node> =>
  Effect.map(
    Effect.forEach(nodes, (node) => Effect.result(call(node, f, args, options)), { concurrency: "unbounded" }),
    (outcomes) => {
      const results: Array<readonly [string, A]> = []
      const failures: Array<readonly [string, E | RpcError.RpcError]> = []
      outcomes.forEach((outcome, i) => {
        if (Result.isSuccess(outcome)) results.push([nodes[i]!, outcome.success])
        else failures.push([nodes[i]!, outcome.failure])
      })
      return { results, failures }
    }
  )
