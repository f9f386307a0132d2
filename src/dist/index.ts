/**
 * Other nodes: the distribution protocol of Erlang.
 *
 * `Node` is what programs use. The rest is its parts, for those who build something else of them. What needs Node.js is
 * reached by its own path: `effect-otp/dist/NodeNetwork`.
 *
 * @since 0.1.0
 */

/**
 * The control messages of the protocol.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Control from "./Control.ts"

/**
 * The errors of the distribution.
 *
 * @category modules
 * @since 0.1.0
 */
export * as DistError from "./DistError.ts"

/**
 * What two nodes tell each other that they can do.
 *
 * @category modules
 * @since 0.1.0
 */
export * as DistFlags from "./DistFlags.ts"

/**
 * EPMD as a client.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Epmd from "./Epmd.ts"

/**
 * The messages of EPMD.
 *
 * @category modules
 * @since 0.1.0
 */
export * as EpmdProtocol from "./EpmdProtocol.ts"

/**
 * An EPMD of our own.
 *
 * @category modules
 * @since 0.1.0
 */
export * as EpmdServer from "./EpmdServer.ts"

/**
 * Exit reasons as terms.
 *
 * @category modules
 * @since 0.1.0
 */
export * as ExitReasonTerm from "./ExitReasonTerm.ts"

/**
 * Assembly of fragmented messages.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Fragments from "./Fragments.ts"

/**
 * The handshake of two nodes.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Handshake from "./Handshake.ts"

/**
 * What the distribution needs of its host.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Network from "./Network.ts"

/**
 * The node as a member of a cluster.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Node from "./Node.ts"

/**
 * The name of a message on the wire.
 *
 * @category modules
 * @since 0.1.0
 */
export * as WireName from "./WireName.ts"
