/**
 * Values of the Erlang wire: one module per kind of value, and `Term` for what they have in common.
 *
 * @since 0.1.0
 */

/**
 * Atoms: named constants of the Erlang world.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Atom from "./Atom.ts"

/**
 * Bit strings whose length is not a multiple of eight.
 *
 * @category modules
 * @since 0.1.0
 */
export * as BitString from "./BitString.ts"

/**
 * Maps whose keys are any terms.
 *
 * @category modules
 * @since 0.1.0
 */
export * as ErlMap from "./ErlMap.ts"

/**
 * Floats that a JavaScript number would take for an integer.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Float from "./Float.ts"

/**
 * Functions of other nodes, as data.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Fun from "./Fun.ts"

/**
 * Lists whose tail is not a list.
 *
 * @category modules
 * @since 0.1.0
 */
export * as ImproperList from "./ImproperList.ts"

/**
 * Terms that only the node that wrote them can read.
 *
 * @category modules
 * @since 0.1.0
 */
export * as LocalTerm from "./LocalTerm.ts"

/**
 * Process identifiers.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Pid from "./Pid.ts"

/**
 * Ports.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Port from "./Port.ts"

/**
 * References.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Reference from "./Reference.ts"

/**
 * Any value of the Erlang world: type, equality, order, printing, parsing.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Term from "./Term.ts"

/**
 * The errors of the term folder.
 *
 * @category modules
 * @since 0.1.0
 */
export * as TermError from "./TermError.ts"

/**
 * Terms from Erlang syntax.
 *
 * @category modules
 * @since 0.1.0
 */
export * as TermParser from "./TermParser.ts"

/**
 * Terms as Erlang prints them.
 *
 * @category modules
 * @since 0.1.0
 */
export * as TermPrinter from "./TermPrinter.ts"

/**
 * Tuples, kept apart from lists.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Tuple from "./Tuple.ts"
