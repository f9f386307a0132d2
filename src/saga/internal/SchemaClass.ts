/**
 * The types of the base classes of tagged classes and errors: declarations must be writable file by file
 * (`isolatedDeclarations`), so that the base of a class needs a type of its own.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import type * as Schema from "effect/Schema"

/** The base of a class made by `Schema.TaggedClass`. */
export type ClassOf<Self, Tag extends string, Fields extends Schema.Struct.Fields> = Schema.Class<
  Self,
  Schema.TaggedStruct<Tag, Fields>,
  {}
>

/** The base of a class made by `Schema.TaggedError`. */
export type ErrorOf<Self, Tag extends string, Fields extends Schema.Struct.Fields> = Schema.Class<
  Self,
  Schema.TaggedStruct<Tag, Fields>,
  Cause.YieldableError
>
