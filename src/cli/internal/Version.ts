/**
 * The version that the command line shows: that of the package, as a test makes sure.
 *
 * @since 0.1.0
 */

/** @since 0.1.0 */
export const version = "0.1.0"
