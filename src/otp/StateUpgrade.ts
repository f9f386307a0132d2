/**
 * Upgrades of state: a chain of schemas, one per version of a server, and the step from each to the next.
 *
 * @since 0.1.0
 */

/**
 * How states of earlier versions become states of the present one.
 *
 * @category models
 * @since 0.1.0
 */
export interface StateUpgrade<in out S> {
  readonly _S: (_: S) => S
}
