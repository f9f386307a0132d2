/**
 * The other end of the open connections: a process that opens them, says a line a second on each, and checks every answer.
 *
 * It prints one JSON object per line: `{ open }` when all are open, then the counts at the end. It ends with its input.
 *
 * @since 0.1.0
 */
import { connect, type Socket } from "node:net"
import { clearInterval, setInterval } from "node:timers"

const [kind, portText, countText] = process.argv.slice(2)
const port = Number(portText)
const count = Number(countText)

interface Connection {
  readonly say: (text: string) => void
}

let open = 0
let closed = 0
let sent = 0
let answered = 0
let wrong = 0
const delays: Array<number> = []

/** What a connection has said and not had back yet. */
class Client {
  private readonly waiting: Array<{ readonly text: string; readonly since: number }> = []
  private n = 0
  connection: Connection | undefined

  say(): void {
    const text = `line ${this.n++}`
    this.waiting.push({ text, since: performance.now() })
    sent++
    this.connection?.say(text)
  }

  heard(text: string): void {
    const first = this.waiting.shift()
    if (first?.text !== text) {
      wrong++
      return
    }
    answered++
    delays.push(performance.now() - first.since)
  }
}

const tcp = (client: Client): void => {
  let rest = ""
  const socket: Socket = connect({ port, host: "127.0.0.1" }, () => {
    client.connection = { say: (text) => socket.write(text + "\n") }
    open++
  })
  socket.setEncoding("latin1").on("data", (text) => {
    const lines = (rest + text).split("\n")
    rest = lines.pop()!
    for (const line of lines) client.heard(line)
  }).on("close", () => closed++).on("error", () => {})
}

/**
 * A WebSocket as far as short texts need it (RFC 6455): the upgrade, frames of up to 125 bytes, masked with zeros. One of a
 * library would cost more than what is measured.
 */
const webSocket = (client: Client): void => {
  let rest = ""
  let upgraded = false
  const socket: Socket = connect({ port, host: "127.0.0.1" }, () => {
    socket.write(
      `GET /echo HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
  })
  const say = (text: string): void => {
    socket.write(`\x81${String.fromCharCode(0x80 | text.length)}\0\0\0\0${text}`, "latin1")
  }
  socket.setEncoding("latin1").on("data", (text) => {
    rest += text
    if (!upgraded) {
      const end = rest.indexOf("\r\n\r\n")
      if (end === -1) return
      if (!rest.startsWith("HTTP/1.1 101 ")) return void socket.destroy()
      rest = rest.slice(end + 4)
      upgraded = true
      client.connection = { say }
      open++
    }
    while (rest.length >= 2 && rest.length >= 2 + rest.charCodeAt(1)) {
      const length = rest.charCodeAt(1)
      client.heard(rest.slice(2, 2 + length))
      rest = rest.slice(2 + length)
    }
  }).on("close", () => closed++).on("error", () => {})
}

const clients = Array.from({ length: count }, () => new Client())
const begun = performance.now()

// A few hundred at a time: the queue of the kernel for connections that nobody has accepted yet is short.
let next = 0
const opening = setInterval(() => {
  for (; next < count && next - open - closed < 200; next++) (kind === "tcp" ? tcp : webSocket)(clients[next]!)
  if (open + closed < count) return
  clearInterval(opening)
  process.stdout.write(JSON.stringify({ open, seconds: (performance.now() - begun) / 1000 }) + "\n")
  talk()
}, 5)

/** Each connection says one line in each second, spread over that second. */
const talk = (): void => {
  const start = performance.now()
  let said = 0
  const talking = setInterval(() => {
    const due = Math.floor((performance.now() - start) / 1000 * count)
    for (; said < due; said++) clients[said % count]!.say()
  }, 5)
  process.stdin.on("end", () => {
    clearInterval(talking)
    // What is under way may still come.
    setTimeout(() => {
      delays.sort((a, b) => a - b)
      const at = (q: number): number => delays[Math.min(delays.length - 1, Math.floor(q * delays.length))] ?? 0
      const seconds = (performance.now() - start) / 1000
      process.stdout.write(
        JSON.stringify({ sent, answered, wrong, closed, seconds, p50: at(0.5), p99: at(0.99) }) + "\n",
        () => process.exit(0)
      )
    }, 2000)
  }).resume()
}
