/**
 * The process called `net_kernel`, which other nodes ask whether they are welcome (`net_adm:ping/1`).
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { AtomName } from "../../etf/EtfSchema.ts"
import * as GenServer from "../../otp/GenServer.ts"
import * as Message from "../../process/Message.ts"
import * as Protocol from "../../process/Protocol.ts"

const IsAuth: Message.Message<
  "is_auth",
  "Call",
  Schema.Struct<{ readonly node: typeof AtomName }>,
  Schema.Literal<"yes">,
  typeof Schema.Never
> = Message.Call("is_auth", { payload: { node: AtomName }, success: Schema.Literal("yes") })

const base: Protocol.Protocol<"NetKernel", typeof IsAuth> = Protocol.make("NetKernel", IsAuth)

/** Who gets through to this process has proven the cookie. */
export class NetKernel extends base {}

/** @since 0.1.0 */
export const server: GenServer.GenServer<void, typeof IsAuth, never, never> = GenServer.make(NetKernel, {
  init: () => Effect.succeed(0),
  handlers: {
    is_auth: (_, state) => GenServer.reply("yes" as const, state),
    unhandled: (_, state) => GenServer.next(state)
  }
})
