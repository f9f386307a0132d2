/**
 * Contracts between sagas, and where a saga of a contract is. See `SagaServer`, which exports all of this.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import type { Address as ProcessAddress, Name } from "../process/Address.ts"
import type { Pid } from "../term/Pid.ts"
import * as SagaMessage from "./internal/SagaMessage.ts"

/**
 * What two sagas agree on: the value that one hands to the other, the result, the error and the interim results that
 * come back.
 *
 * @category models
 * @since 0.1.0
 */
export interface Contract<
  out Value extends Schema.Top,
  out Result extends Schema.Top,
  out Error extends Schema.Top,
  out Interim extends Schema.Top
> {
  readonly name: string
  readonly value: Value
  readonly result: Result
  readonly error: Error
  readonly interim: Interim
  /** @internal */
  readonly messages: SagaMessage.Messages
}

/**
 * Any contract.
 *
 * @category models
 * @since 0.1.0
 */
export interface AnyContract extends Contract<Schema.Top, Schema.Top, Schema.Top, Schema.Top> {}

/**
 * A contract. What is left out is nothing: `Schema.Void`, and for the error `Schema.Never`. The name is part of the messages between
 * nodes; contracts of one saga have different names.
 *
 * @category contracts
 * @since 0.1.0
 */
export const contract = <
  Value extends Schema.Top = Schema.Void,
  Result extends Schema.Top = Schema.Void,
  Error extends Schema.Top = Schema.Never,
  Interim extends Schema.Top = Schema.Void
>(
  name: string,
  schemas: {
    readonly value?: Value
    readonly result?: Result
    readonly error?: Error
    readonly interim?: Interim
  }
): Contract<Value, Result, Error, Interim> => {
  const all = { value: Schema.Void, result: Schema.Void, error: Schema.Never, interim: Schema.Void, ...schemas }
  return { name, ...all, messages: SagaMessage.make(name, all) } as unknown as Contract<Value, Result, Error, Interim> // defaults
}

/**
 * Where a saga of a contract is: its ref, or what {@link at} makes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Address<out C> {
  /** For the compiler alone. */
  readonly "~effect-otp/Saga": (_: never) => C
  readonly address: ProcessAddress
}

/**
 * A saga by its pid or by its name, on this node or another one.
 *
 * @category contracts
 * @since 0.1.0
 */
export const at = <C extends AnyContract>(contract: C, address: string | Name | Pid): Address<C> =>
  ({
    address: typeof address === "string" ? { name: address } : address,
    contract
  }) as unknown as Address<C> // the contract is for `begin`, the rest for the compiler alone
