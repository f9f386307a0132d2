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
 * Names and locks of the whole cluster.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Global from "./Global.ts"

/**
 * Who gets what a process prints.
 *
 * @category modules
 * @since 0.1.0
 */
export * as GroupLeader from "./GroupLeader.ts"

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
 * Processes that other nodes start here, and this one on others.
 *
 * @category modules
 * @since 0.1.0
 */
export * as RemoteSpawn from "./RemoteSpawn.ts"

/**
 * Calls of functions of other nodes, and functions that others may call.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Rpc from "./Rpc.ts"

/**
 * The errors of remote calls.
 *
 * @category modules
 * @since 0.1.0
 */
export * as RpcError from "./RpcError.ts"

/**
 * What the tools of Erlang ask a node.
 *
 * @category modules
 * @since 0.1.0
 */
export * as RuntimeTools from "./RuntimeTools.ts"

/**
 * Certificates of a node.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Tls from "./Tls.ts"

/**
 * The name of a message on the wire.
 *
 * @category modules
 * @since 0.1.0
 */
export * as WireName from "./WireName.ts"
