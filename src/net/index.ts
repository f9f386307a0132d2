/**
 * Endpoints as processes: TCP, UDP, external programs.
 *
 * What needs Node.js is reached by its own path: `effect-otp/net/NodeTcpNetwork`.
 *
 * @since 0.1.0
 */

/**
 * Connections, to write to.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Connection from "./Connection.ts"

/**
 * Messages cut out of bytes.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Framing from "./Framing.ts"

/**
 * The errors of endpoints.
 *
 * @category modules
 * @since 0.1.0
 */
export * as NetError from "./NetError.ts"

/**
 * External programs.
 *
 * @category modules
 * @since 0.1.0
 */
export * as Port from "./Port.ts"

/**
 * TCP clients that connect again.
 *
 * @category modules
 * @since 0.1.0
 */
export * as TcpClient from "./TcpClient.ts"

/**
 * What may be said to a TCP server.
 *
 * @category modules
 * @since 0.1.0
 */
export * as TcpControl from "./TcpControl.ts"

/**
 * What TCP endpoints need of their host.
 *
 * @category modules
 * @since 0.1.0
 */
export * as TcpNetwork from "./TcpNetwork.ts"

/**
 * TCP servers.
 *
 * @category modules
 * @since 0.1.0
 */
export * as TcpServer from "./TcpServer.ts"

/**
 * What may be said to a UDP server.
 *
 * @category modules
 * @since 0.1.0
 */
export * as UdpControl from "./UdpControl.ts"

/**
 * UDP servers.
 *
 * @category modules
 * @since 0.1.0
 */
export * as UdpServer from "./UdpServer.ts"

/**
 * Web servers.
 *
 * @category modules
 * @since 0.1.0
 */
export * as WebServer from "./WebServer.ts"
