/**
 * Annotations that change how a schema looks on the Erlang wire.
 *
 * They sit under the key `etf` of any schema and under `etfName` of a key. The helpers of `EtfSchema` set them; the
 * types here are for those who write annotations by hand.
 *
 * @since 0.1.0
 */
import type * as SchemaAST from "effect/SchemaAST"

/**
 * How a schema looks on the wire, where that is not the default.
 *
 * @category models
 * @since 0.1.0
 */
export type EtfAnnotation =
  /** `Schema.String` as a list of code points. */
  | { readonly _tag: "Charlist" }
  /** `Schema.String` as an atom, whatever its text. */
  | { readonly _tag: "AtomName" }
  /** A number that is always written as a float. */
  | { readonly _tag: "Float" }
  /** Literals and enum members as binaries; the keys of a struct as binaries. */
  | { readonly _tag: "Binary" }
  /** A struct as an Erlang record: `{name, Field, ...}`; with `bare`, the atom alone when there are no fields. */
  | { readonly _tag: "Record"; readonly name: string; readonly bare?: boolean | undefined }
  /** A struct as a property list. */
  | { readonly _tag: "Proplist" }
  /** A struct as an Elixir struct of this module. */
  | { readonly _tag: "ElixirStruct"; readonly module: string }
  /** A tagged struct as a message: `{tag, Field, ...}`, or the bare atom without fields. */
  | { readonly _tag: "Message"; readonly tag?: string | undefined }
  /** Another atom for the tag of a tagged struct, or for a literal. */
  | { readonly _tag: "Name"; readonly name: string }
  /** A declaration whose values are terms themselves. */
  | { readonly _tag: "Term"; readonly expected: string; readonly guard: (value: unknown) => boolean }
  /** A declaration that travels as what the link leads to. */
  | { readonly _tag: "Link"; readonly link: () => SchemaAST.Link }

declare module "effect/Schema" {
  namespace Annotations {
    // oxlint-disable-next-line no-unused-vars -- a merged interface repeats the parameters of the original
    interface Bottom<T, TypeParameters extends ReadonlyArray<Constraint>> {
      /** How the schema looks on the Erlang wire, where that is not the default. */
      readonly etf?: EtfAnnotation | undefined
    }
    // oxlint-disable-next-line no-unused-vars -- a merged interface repeats the parameters of the original
    interface Key<T> {
      /** The key under which the field travels on the Erlang wire, instead of its own name. */
      readonly etfName?: string | undefined
    }
  }
}
