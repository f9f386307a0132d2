/**
 * Assertions about types, for fixtures and for ordinary tests. They do nothing at run time.
 */

/** `true` when both types are the same, down to optionality, `readonly` and `any`; else `false`. */
export type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** Compiles only for `true`: `assertType<Equal<typeof total, number>>()`. */
export const assertType = <_Holds extends true>(): void => {}
