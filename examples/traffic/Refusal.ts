/**
 * Why the application does not start, said to whoever started it: what is wrong, and which setting helps.
 */
import { Cause, Logger, Option } from "effect"

type Facts = { readonly [key: string]: unknown }

const isFacts = (u: unknown): u is Facts => typeof u === "object" && u !== null

/** An error and what it was made of, from the outside in. */
const chainOf = (error: unknown): ReadonlyArray<Facts> => {
  const chain: Array<Facts> = []
  for (let at = error; isFacts(at) && chain.length < 20; at = at["error"] ?? at["reason"] ?? at["cause"]) chain.push(at)
  return chain
}

const find = (chain: ReadonlyArray<Facts>, key: string): string | undefined => {
  const found = chain.findLast((facts) => typeof facts[key] === "string")
  return found === undefined ? undefined : String(found[key])
}

/** The settings of what cannot listen, by the child of the tree that tried. */
const ports: { readonly [child: string]: readonly [what: string, setting: string] } = {
  web: ["the page", "TRAFFIC_HTTP_PORT"],
  tcp_receiver: ["the feed by TCP", "TRAFFIC_TCP_PORT"],
  udp_receiver: ["the feed by UDP", "TRAFFIC_UDP_PORT"]
}

const ofNode: { readonly [reason: string]: string } = {
  NameTaken: "Is the application running already? TRAFFIC_NODE gives this one another name",
  BadName: "TRAFFIC_NODE is a name like traffic@127.0.0.1",
  BadCookie: "TRAFFIC_COOKIE has at least 16 bytes; without it, a cookie is made",
  Discovery: "Another program may have the port of EPMD: ERL_EPMD_PORT names another one"
}

const ofStorage: { readonly [reason: string]: string } = {
  NotADatabase: "it is no database of this application",
  NotAccessible: "it cannot be opened",
  DiskFull: "there is no room on the disk"
}

/** One or two lines that say what to do; none for what is not expected. */
export const explain = (cause: Cause.Cause<unknown>): Option.Option<string> => {
  const failure = Option.getOrUndefined(Cause.findErrorOption(cause))
  const chain = chainOf(failure)
  const tags = new Set(chain.map((facts) => facts["_tag"]))
  const message = failure instanceof Error ? failure.message : String(find(chain, "message") ?? failure)
  if (tags.has("ConfigError")) return Option.some(`A setting is wrong: ${message}`)
  if (tags.has("Misfit")) return Option.some(message)
  if (tags.has("NodeStartError")) {
    const reason = chain.find((facts) => facts["_tag"] === "NodeStartError")?.["reason"]
    return Option.some([message, ofNode[String(reason)]].filter((line) => line !== undefined).join(".\n"))
  }
  const code = find(chain, "code")
  const known = ports[find(chain, "child")?.split(".")[0] ?? ""]
  if (known !== undefined && (code === "EADDRINUSE" || code === "EACCES" || code === "EADDRNOTAVAIL")) {
    const [what, setting] = known
    const port = [...chain].reverse().find((facts) => facts["port"] !== undefined)?.["port"] ??
      find(chain, "address")?.split(":").at(-1)
    return Option.some(
      code === "EADDRNOTAVAIL"
        ? `The address for ${what} is none of this machine: set TRAFFIC_HOST to one that is.`
        : code === "EACCES"
        ? `The port ${port} for ${what} is not for everybody: set ${setting} to one above 1023.`
        : `The port ${port} for ${what} is taken by another program.\nStop that, or set ${setting} to another port (0 for any).`
    )
  }
  const storage = chain.find((facts) => facts["_tag"] === "StorageError")?.["reason"]
  if (isFacts(storage) && typeof storage["path"] === "string") {
    const detail = ofStorage[String(storage["_tag"])] ?? String(storage["_tag"])
    const more = typeof storage["message"] === "string" ? ` (${storage["message"]})` : ""
    return Option.some(
      `The database ${storage["path"]} is of no use: ${detail}${more}.\nSet TRAFFIC_DATABASE to another file.`
    )
  }
  return Option.none()
}

/** Holds the log back until it is known whether the start has succeeded: if not, one line says more. */
export class StartLog {
  private held: Array<Logger.Options<unknown>> | undefined = []

  readonly logger: Logger.Logger<unknown, void> = Logger.make((options: Logger.Options<unknown>) => {
    if (this.held === undefined) Logger.defaultLogger.log(options)
    else this.held.push(options)
  })

  release(): void {
    const held = this.held ?? []
    this.held = undefined
    for (const options of held) Logger.defaultLogger.log(options)
  }
}
