/**
 * The client of the gateway benchmark, a process of its own: as many requests as it is told, over connections that are
 * kept, one request at a time on each. It speaks just enough HTTP to know that every answer is the right one, so that
 * the server is what is measured.
 *
 * A line `port requests connections` on its input is answered with the milliseconds that took.
 *
 * @since 0.1.0
 */
import * as Net from "node:net"
import { createInterface } from "node:readline"

const request = Buffer.from("GET /hello HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
const expected = "hello"

/** Whether a whole answer is there; throws when it is the wrong one. */
const isWhole = (answer: string): boolean => {
  const end = answer.indexOf("\r\n\r\n")
  if (end < 0) return false
  const body = answer.slice(end + 4)
  if (body.length < expected.length) return false
  if (!answer.startsWith("HTTP/1.1 200 ") || body !== expected) throw new Error(`not what was asked for: ${answer}`)
  return true
}

const run = (port: number, requests: number, connections: number): Promise<number> =>
  new Promise((resolve, reject) => {
    const begun = performance.now()
    let asked = 0
    let answered = 0
    const connect = (): void => {
      let answer = ""
      let waiting = false
      const ask = (): void => {
        if (asked === requests) return void socket.end()
        asked++
        waiting = true
        socket.write(request)
      }
      const socket = Net.connect({ port, host: "127.0.0.1", noDelay: true }, ask)
      socket.setEncoding("latin1")
      socket.on("data", (text) => {
        answer += text
        if (!isWhole(answer)) return
        const isLast = answer.includes("onnection: close")
        answer = ""
        waiting = false
        answered++
        if (answered === requests) resolve(performance.now() - begun)
        // The server limits how many requests a connection brings.
        if (isLast) return connect()
        ask()
      })
      socket.on("error", reject)
      socket.on("close", () => waiting ? reject(new Error("closed before the answer")) : undefined)
    }
    for (let i = 0; i < connections; i++) connect()
  })

createInterface({ input: process.stdin }).on("line", async (line) => {
  const [port, requests, connections] = line.split(" ").map(Number) as [number, number, number]
  console.log(await run(port, requests, connections))
})
console.log("@ready")
