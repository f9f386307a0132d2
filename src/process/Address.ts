/**
 * Where a message can be sent: a pid, a name (here or on another node) or an alias.
 *
 * @since 0.1.0
 */
import { isPid, type Pid } from "../term/Pid.ts"
import { isReference, type Reference } from "../term/Reference.ts"

/**
 * A registered name. Without `node` it is looked up on the node of the sender, anew for each message.
 *
 * @category models
 * @since 0.1.0
 */
export interface Name {
  readonly name: string
  readonly node?: string
  /** Who knows the name when the node itself does not (OTP's `{via, Module, Name}`). For names of the sender's node. */
  readonly via?: Via
}

/**
 * Another registry of names, as an address uses it: asked anew for each message, about the one name of the address.
 *
 * @category models
 * @since 0.1.0
 */
export interface Via {
  readonly whereis: () => Pid | undefined
}

/**
 * Where a message can be sent. A `Reference` is the address of the process that owns the alias.
 *
 * @category models
 * @since 0.1.0
 */
export type Address = Pid | Name | Reference

/**
 * Whether a value is an address.
 *
 * @category guards
 * @since 0.1.0
 */
export const isAddress = (u: unknown): u is Address =>
  isPid(u) || isReference(u) || (typeof u === "object" && u !== null && "name" in u && typeof u.name === "string")

/**
 * The address as it should appear in a message to a person.
 *
 * @category formatting
 * @since 0.1.0
 */
export const format = (address: Address): string =>
  isPid(address) || isReference(address)
    ? address.toString()
    : address.node === undefined
    ? address.name
    : `${address.name} on ${address.node}`
