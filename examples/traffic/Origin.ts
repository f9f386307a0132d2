/**
 * Who asks: a request may change something when it comes from this host, and not from the page of somebody else that
 * happens to be open in a browser here.
 */
import { Option } from "effect"
import type { HttpServerRequest } from "effect/http"

const loopback = /^(127\.\d+\.\d+\.\d+|::1|::ffff:127\.\d+\.\d+\.\d+)$/
const loopbackName = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/i

/** Whether the client is a program on this host, and calls the server by a name of this host. */
export const isLocal = ({ headers, peerAddress }: HttpServerRequest.HttpServerRequest): boolean =>
  // The name as well: any name can be made to lead here, and then its pages count as those of this server.
  Option.exists(peerAddress, (address) => loopback.test(address)) && loopbackName.test(headers["host"] ?? "")

/** Whether no page of another server has sent it. Programs that are no browsers do not say from where they ask. */
export const isOwn = ({ headers }: HttpServerRequest.HttpServerRequest): boolean => {
  const { host, origin } = headers
  if (origin === undefined) return (headers["sec-fetch-site"] ?? "none").match(/^(none|same-origin)$/) !== null
  return URL.canParse(origin) && new URL(origin).host === host
}
