/**
 * Vehicles, as a process of its own, for World.ts: sends positions by TCP as fast as they are acknowledged, or by UDP at a
 * steady rate.
 *
 * @since 0.1.0
 */
import { createSocket } from "node:dgram"
import { connect } from "node:net"
import * as Feed from "../../examples/traffic/Feed.ts"
import { Position } from "../../examples/traffic/Position.ts"

/**
 * What it is told. Each is answered with {@link Sent}; `pace` when it is told to `halt`.
 *
 * @category models
 * @since 0.1.0
 */
export type Order =
  | { readonly _tag: "flood"; readonly port: number; readonly positions: number }
  | { readonly _tag: "pace"; readonly port: number; readonly perSecond: number }
  | { readonly _tag: "halt" }

/**
 * How many positions were sent, in what time.
 *
 * @category models
 * @since 0.1.0
 */
export interface Sent {
  readonly positions: number
  readonly millis: number
}

/** How many fleets there are, each with a connection of its own, and how many vehicles each has. */
const fleetCount = 6
const fleetSize = 333

/** How many positions a message by TCP has. */
const messageSize = 500

const begin = Date.now()

/** The next position of the next vehicle, a little farther on. No two are the same, in all runs on one database. */
const startFleet = (fleet: number): () => Position => {
  const places = Array.from({ length: fleetSize }, () => ({
    lat: 30.27 + (Math.random() - 0.5) * 0.4,
    lon: -97.74 + (Math.random() - 0.5) * 0.4
  }))
  let last = 0
  return () => {
    const number = last++
    const vehicle = number % fleetSize
    const place = places[vehicle]!
    place.lat += (Math.random() - 0.5) * 0.0005
    place.lon += (Math.random() - 0.5) * 0.0005
    return new Position({
      vehicle: `bus${fleet}-${vehicle}`,
      route: String(vehicle % 80),
      lat: place.lat,
      lon: place.lon,
      speed: 7.5,
      at: begin + Math.floor(number / fleetSize) * 1000,
      emergency: false
    }, { disableChecks: true })
  }
}

const fleets = Array.from({ length: fleetCount }, (_, fleet) => startFleet(fleet))

const frame = (next: () => Position, ack: number): Buffer => {
  const message = Feed.toMsgpack(Array.from({ length: messageSize }, next), { ack })
  const framed = Buffer.alloc(4 + message.length)
  framed.writeUInt32BE(message.length)
  framed.set(message, 4)
  return framed
}

/** Sends frames, the next one when one is answered. What the answers say is looked up at the application. */
const sendAll = (port: number, frames: ReadonlyArray<Buffer>): Promise<void> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1")
    let sent = 0
    let received = Buffer.alloc(0)
    const send = (): void => {
      const frame = frames[sent++]
      if (frame === undefined) socket.end(() => resolve())
      else socket.write(frame)
    }
    socket.once("error", reject)
    socket.once("connect", send)
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk])
      while (received.length >= 4 && received.length >= 4 + received.readUInt32BE()) {
        received = received.subarray(4 + received.readUInt32BE())
        send()
      }
    })
  })

const flood = async ({ port, positions }: Extract<Order, { _tag: "flood" }>): Promise<Sent> => {
  const share = Math.ceil(positions / messageSize / fleetCount)
  // All of them beforehand: measured is the application.
  const frames = fleets.map((next) => Array.from({ length: share }, (_, i) => frame(next, i)))
  const start = performance.now()
  await Promise.all(frames.map((frames) => sendAll(port, frames)))
  return { positions: fleetCount * share * messageSize, millis: performance.now() - start }
}

let halt: (() => void) | undefined

/** A datagram for each position. */
const pace = ({ perSecond, port }: Extract<Order, { _tag: "pace" }>): Promise<Sent> =>
  new Promise((resolve) => {
    const socket = createSocket("udp4")
    const start = performance.now()
    let sent = 0
    const timer = setInterval(() => {
      // What could not be sent in time, since the machine was busy, is not made up for: that would be another rate.
      const due = Math.min((performance.now() - start) / 1000 * perSecond, sent + perSecond / 20)
      for (; sent < due; sent++) socket.send(Feed.toMsgpack([fleets[sent % fleetCount]!()]), port, "127.0.0.1")
    }, 5)
    halt = () => {
      clearInterval(timer)
      const millis = performance.now() - start
      socket.close(() => resolve({ positions: sent, millis }))
    }
  })

process.on("message", (order: Order) => {
  if (order._tag === "halt") return halt?.()
  void (order._tag === "flood" ? flood(order) : pace(order)).then((sent) => process.send!(sent))
})
process.once("disconnect", () => process.exit())
process.send!("ready")
