/**
 * How a coordinator or a participant is asked something: by its protocol, as a process or under its name on this node.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Behaviour from "../../process/Behaviour.ts"
import type { CallError } from "../../process/CallError.ts"
import type * as Message from "../../process/Message.ts"
import type { Node } from "../../process/Node.ts"
import type * as Process from "../../process/Process.ts"
import type * as Protocol from "../../process/Protocol.ts"

/** The message of a protocol with a tag. */
type Tagged<M, Tag> = Extract<M, { readonly _tag: Tag }>

/** What comes of asking: the errors are those of any call, since these have none of their own. */
type Asked<M extends Message.Any> = Effect.Effect<Message.Success<M>, CallError, Node>

const targetOf = (member: Process.Target | string): Process.Target =>
  typeof member === "string" ? { name: member } : member

/** Asks a member. */
// `const`: the tag of `Message.Any` is `any`, by which a literal would be taken for all tags of the protocol.
export const ask = <M extends Message.Any, const Tag extends M["_tag"]>(
  { protocol }: Protocol.Protocol<string, M>,
  member: Process.Target | string,
  tag: Tag,
  payload: Message.Payload<Tagged<M, Tag>>,
  options?: { readonly timeout?: Duration.Input }
): Asked<Tagged<M, Tag>> =>
  // As the schemas of the message say.
  Behaviour.call(protocol, targetOf(member), tag, payload, options) as Asked<Tagged<M, Tag>>
