/**
 * Calls and casts whose request and reply are any term, as they stand.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Message from "../../process/Message.ts"
import * as Protocol from "../../process/Protocol.ts"

/** A call with any term. */
export const Call: Message.Message<
  "Call",
  "Call",
  typeof Schema.Unknown,
  typeof Schema.Unknown,
  typeof Schema.Never
> = Message.Call("Call", { payload: Schema.Unknown, success: Schema.Unknown })

/** A cast with any term. */
export const Cast: Message.Message<"Cast", "Cast", typeof Schema.Unknown, typeof Schema.Void, typeof Schema.Never> =
  Message.Cast("Cast", { payload: Schema.Unknown })

const base: Protocol.Protocol<"Term", typeof Call | typeof Cast> = Protocol.make("Term", Call, Cast)

/** Whatever an Erlang process may be asked. */
export class RawTerm extends base {}
