/**
 * Protocols as remote procedures of Effect.
 *
 * @since 0.1.0
 */
export * as Protocol from "./Protocol.ts"
