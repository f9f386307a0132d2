/**
 * Bytes, terms and schemas: the External Term Format.
 *
 * @since 0.1.0
 */

/**
 * The atom cache of a connection.
 *
 * @category modules
 * @since 0.1.0
 */
export * as AtomCache from "./AtomCache.ts"

/**
 * The types of codecs.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Compiled from "./Compiled.ts"

/**
 * Compressed terms, without a library that compresses.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Compression from "./Compression.ts"

/**
 * What a decoder puts up with.
 *
 * @category modules
 * @since 0.1.0
 */
export * as DecodeLimits from "./DecodeLimits.ts"

/**
 * Bytes to terms.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Decoder from "./Decoder.ts"

/**
 * Terms to bytes.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Encoder from "./Encoder.ts"

/**
 * Schemas on the Erlang wire.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Etf from "./EtfSchema.ts"

/**
 * Annotations that change how a schema looks on the wire.
 *
 * @category modules
 * @since 0.1.0
 */
export * as EtfAnnotation from "./EtfAnnotation.ts"

/**
 * The errors of the codec.
 *
 * @category modules
 * @since 0.1.0
 */
export * as EtfError from "./EtfError.ts"

/**
 * Messages and replies as Erlang programmers write them.
 *
 * @category modules
 * @since 0.1.0
 */
export * as MessageShape from "./MessageShape.ts"

/**
 * The tags of the External Term Format.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Tag from "./Tag.ts"
