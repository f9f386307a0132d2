/**
 * The name of a message on the Erlang wire, where it is not its tag in snake_case.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Message from "../process/Message.ts"

/** The annotation of a message that holds the atom. */
const WireName: Context.Key<WireName, string> = Context.Service<WireName, string>("effect-otp/dist/WireName")

interface WireName {
  readonly "~effect-otp/dist/WireName": never
}

/**
 * A copy of the message that travels under another atom.
 *
 * @example
 * ```ts
 * import { Message } from "effect-otp"
 * import { WireName } from "effect-otp/dist"
 *
 * const Get = WireName.set(Message.Call("Get"), "read")
 * WireName.get(Get) // => "read"
 * ```
 *
 * @category annotations
 * @since 0.1.0
 */
export const set = <M extends Message.Any>(message: M, name: string): M => Message.annotate(message, WireName, name)

/**
 * The atom that a message was given, if any.
 *
 * @category annotations
 * @since 0.1.0
 */
export const get = (message: Message.Any): string | undefined =>
  // The annotations are typed as empty: what is in them is known by key alone.
  Context.getOrUndefined(message.annotations as Context.Context<WireName>, WireName)
