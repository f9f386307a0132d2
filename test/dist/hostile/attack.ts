/**
 * What a hostile peer does: raw connections, handshakes that break off anywhere, and packets of every kind of wrongness.
 * All of it from a seed, so that a failure can be repeated.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import * as DistFlags from "effect-otp/dist/DistFlags"
import * as Handshake from "effect-otp/dist/Handshake"
import { Encoder } from "effect-otp/etf"
import { Atom, Float, ImproperList, Pid, Reference, Term, Tuple } from "effect-otp/term"
import { createHash } from "node:crypto"
import * as Net from "node:net"
import { cookie } from "../ErlangNode.ts"

/** How many cases of each kind: a night's run asks for more. */
export const cases = (perCommit: number): number =>
  Math.round(perCommit * Number(process.env["EFFECT_OTP_HOSTILE_FACTOR"] ?? 1))

/** A raw connection, which never throws. */
export const dial = (port: number): Net.Socket => {
  const socket = Net.connect(port, "127.0.0.1")
  socket.on("error", () => {})
  return socket
}

/** Completes when a connection has ended, at both ends. */
export const ended = (socket: Net.Socket): Promise<void> =>
  new Promise((resolve) => {
    if (socket.destroyed) return resolve()
    socket.once("close", () => resolve())
    socket.resume()
  })

/**
 * The same for one of very many that say nothing: where the system's queue was full it has dropped the connection, and the
 * client learns of that only by writing.
 */
export const endedOrDropped = (socket: Net.Socket, millis: number): Promise<void> => {
  const probe = setTimeout(() => socket.write(Buffer.alloc(1)), millis)
  return ended(socket).finally(() => clearTimeout(probe))
}

/** Runs many attacks, some at a time. */
export const swarm = (count: number, width: number, attack: (i: number) => Promise<unknown>): Effect.Effect<void> =>
  Effect.promise(async () => {
    let next = 0
    await Promise.all(Array.from({ length: width }, async () => {
      while (next < count) await attack(next++)
    }))
  })

export const digestOf = (secret: string) => (_: string, challenge: number): Uint8Array =>
  new Uint8Array(createHash("md5").update(secret + challenge).digest())

export const framed = (message: Uint8Array): Buffer =>
  Buffer.from([message.length >> 8, message.length & 255, ...message])

export interface LoginOptions {
  readonly flags?: DistFlags.DistFlags
  readonly creation?: number
  readonly secret?: string
  readonly version?: 5 | 6
}

/** Shakes hands with somebody who knows the cookie; undefined when it was turned away. */
export const login = (
  port: number,
  name: string,
  wanted: string,
  options: LoginOptions = {}
): Promise<Net.Socket | undefined> =>
  new Promise((resolve) => {
    const machine = Handshake.initiate({
      self: { name, creation: options.creation ?? 77, flags: options.flags ?? DistFlags.offer() },
      challenge: 5,
      digest: digestOf(options.secret ?? cookie),
      wanted,
      connected: () => false,
      version: options.version
    })
    const socket = dial(port)
    const send = (messages: ReadonlyArray<Uint8Array>): void => {
      if (messages.length > 0) socket.write(Buffer.concat(messages.map(framed)))
    }
    const onClose = (): void => resolve(undefined)
    socket.once("close", onClose)
    let held = Buffer.alloc(0)
    const onData = (data: Buffer): void => {
      held = Buffer.concat([held, data])
      while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
        const message = held.subarray(2, 2 + held.readUInt16BE(0))
        held = held.subarray(2 + message.length)
        const step = machine.receive(new Uint8Array(message))
        send(step.send)
        if (step._tag === "Established") {
          socket.off("data", onData)
          socket.off("close", onClose)
          return resolve(socket)
        }
        if (step._tag !== "Continue") {
          socket.destroy()
          return resolve(undefined)
        }
      }
    }
    socket.on("data", onData)
    send(machine.start)
  })

/** A peer that knows the cookie, until the scope closes. */
export const evil = (
  port: number,
  name: string,
  wanted: string,
  options?: LoginOptions
): Effect.Effect<Net.Socket, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.flatMap(
      Effect.promise(() => login(port, name, wanted, options)),
      (socket) =>
        socket === undefined ? Effect.die(new Error(`${wanted} did not take ${name}`)) : Effect.succeed(socket)
    ),
    (socket) => Effect.sync(() => socket.destroy())
  )

export const packet = (body: Uint8Array): Buffer => {
  const head = Buffer.alloc(4)
  head.writeUInt32BE(body.length)
  return Buffer.concat([head, body])
}

/** A term as it stands in a packet. */
export const bare = (term: Term.Term): Uint8Array => Encoder.make().encodeUnsafe(term).slice(1)

const emptyHeader = Buffer.from([131, 68, 0])

/** A packet with an empty header. */
export const terms = (...parts: ReadonlyArray<Term.Term>): Buffer =>
  packet(Buffer.concat([emptyHeader, ...parts.map(bare)]))

/** A message to a name, whose payload is given as bytes. */
export const messageOf = (from: Pid.Pid, to: string, payload: Uint8Array): Buffer =>
  packet(Buffer.concat([emptyHeader, bare(Tuple.make(6, from, Atom.make(""), Atom.make(to))), payload]))

/** A first or further fragment. */
export const fragment = (kind: 69 | 70, id: bigint, number: bigint, rest: Uint8Array): Buffer => {
  const head = Buffer.alloc(18)
  head[0] = 131
  head[1] = kind
  head.writeBigUInt64BE(id, 2)
  head.writeBigUInt64BE(number, 10)
  return packet(Buffer.concat([head, rest]))
}

/** The port of a node, from EPMD. */
export const portOf = (name: string, epmd: number): Effect.Effect<number> =>
  Effect.callback((resume) => {
    const socket = dial(epmd)
    socket.write(Buffer.from([0, name.length + 1, 122, ...Buffer.from(name)]))
    let all = Buffer.alloc(0)
    socket.on("data", (data) => {
      all = Buffer.concat([all, data])
    })
    socket.on("close", () => resume(Effect.succeed(all.length < 4 ? 0 : all.readUInt16BE(2))))
  })

// --- control messages ------------------------------------------------------------------------------------------------

/** Arities of the control messages, as they should be. */
const arities: ReadonlyArray<readonly [op: number, arity: number]> = [
  [1, 3],
  [2, 3],
  [3, 4],
  [4, 3],
  [6, 4],
  [7, 3],
  [8, 4],
  [12, 4],
  [13, 5],
  [16, 5],
  [18, 5],
  [19, 4],
  [20, 4],
  [21, 5],
  [22, 3],
  [23, 4],
  [24, 3],
  [25, 4],
  [26, 3],
  [27, 4],
  [28, 4],
  [29, 6],
  [30, 7],
  [31, 5],
  [32, 6],
  [33, 3],
  [34, 4],
  [35, 4],
  [36, 4],
  [37, 4],
  [37, 5]
]

export interface Names {
  /** The attacker, as which it has logged in. */
  readonly own: string
  /** The node under attack, and its creation. */
  readonly victim: string
  readonly creation: number
}

/** Control messages whose operation, arity and types are right or wrong in every way, each as a whole packet. */
export const makeControl = (random: () => number, names: Names): () => Buffer => {
  const int = (n: number): number => Math.floor(random() * n)
  const pick = <A>(items: ReadonlyArray<A>): A => items[int(items.length)]!
  const term = (): Term.Term =>
    pick<() => Term.Term>([
      () => new Pid.Pid(names.own, int(50), 0, pick([77, 0, 1])),
      () => new Pid.Pid(names.own, int(50), 0, 77),
      () => new Pid.Pid(names.victim, int(12), 0, names.creation),
      () => new Pid.Pid(names.victim, int(12), 0, pick([names.creation, names.creation - 1, 0])),
      () => new Pid.Pid("third@127.0.0.1", int(5), 0, 3),
      () => new Reference.Reference(names.own, 77, [int(20), int(20), int(20)]),
      () => new Reference.Reference(names.victim, names.creation, [int(50), 0, 0]),
      () =>
        new Reference.Reference(names.victim, names.creation, Array.from({ length: 1 + int(5) }, () => int(2 ** 32))),
      () =>
        Atom.make(pick([
          "worker",
          "sink",
          "net_kernel",
          "rex",
          "user",
          "pg",
          "erpc",
          "execute_call",
          "",
          "nobody",
          "__proto__",
          "constructor",
          "kill",
          "normal"
        ])),
      () => int(40),
      () => -int(1000),
      () => BigInt(int(2 ** 31)) ** BigInt(1 + int(9)),
      () => Float.term(random()),
      () => [],
      () => [1, Atom.make("link"), Tuple.make(Atom.make("priority"), 5)],
      () => ImproperList.make([Atom.make("alias")], 5),
      () => new Uint8Array(int(20)),
      () => Tuple.make(),
      () => Tuple.make(Atom.make("$gen_call"), 1, 2),
      () => Term.parseUnsafe("#{a => {b, [c]}}"),
      () => Tuple.make(0, 1, 2, 3, 4)
    ])()
  return () => {
    const [op, right] = random() < 0.95
      ? pick(arities)
      : [pick([0, 5, 9, 10, 11, 14, 15, 17, 38, 99, 200, 255]), int(8)]
    const arity = random() < 0.7 ? right : 1 + int(9)
    const elements: Array<Term.Term> = Array.from({ length: Math.max(0, arity - 1) }, term)
    const control = random() < 0.97 ? Tuple.make(op, ...elements) : pick<Term.Term>([
      op,
      [op, ...elements],
      Tuple.make(),
      Tuple.make(Atom.make("x"), ...elements),
      Tuple.make(2n ** 70n, ...elements),
      Tuple.make(...Array.from({ length: 300 }, () => op))
    ])
    const payload = random() < 0.5 ? [bare(term())] : random() < 0.2 ? [bare(term()), bare(term())] : []
    return packet(Buffer.concat([emptyHeader, bare(control), ...payload]))
  }
}

// --- mutation --------------------------------------------------------------------------------------------------------

const interesting = [
  0,
  1,
  2,
  127,
  128,
  255,
  68,
  69,
  70,
  77,
  80,
  82,
  88,
  90,
  97,
  98,
  99,
  104,
  106,
  107,
  108,
  109,
  110,
  112,
  116,
  119,
  131
]

/** Changes a few bytes; the length of the packet in front is made right again, most of the time. */
export const mutate = (random: () => number, whole: Buffer): Buffer => {
  const int = (n: number): number => Math.floor(random() * n)
  let bytes = Buffer.from(whole)
  for (let n = 1 + int(4); n > 0 && bytes.length > 5; n--) {
    const at = 4 + int(bytes.length - 4)
    switch (int(6)) {
      case 0:
        bytes[at]! ^= 1 << int(8)
        break
      case 1:
        bytes[at] = interesting[int(interesting.length)]!
        break
      case 2:
        bytes = bytes.subarray(0, at)
        break
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), Buffer.alloc(1 + int(6), int(256)), bytes.subarray(at)])
        break
      case 4:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + 1 + int(8)))])
        break
      default:
        for (let j = 0; j < 4 && at + j < bytes.length; j++) bytes[at + j] = 255
    }
  }
  if (random() < 0.98) bytes.writeUInt32BE(bytes.length - 4)
  else bytes[int(4)] = int(256)
  return bytes
}

/**
 * The packets that a node sends to another once hands are shaken, recorded between them. `from` stands in them by name:
 * {@link rename} lets another replay them.
 */
export const record = (
  target: number,
  traffic: (proxy: number) => Effect.Effect<unknown>
): Effect.Effect<ReadonlyArray<Buffer>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const parts: Array<Buffer> = []
    const server = yield* Effect.acquireRelease(
      Effect.callback<Net.Server>((resume) => {
        const server = Net.createServer((socket) => {
          const on = dial(target)
          socket.on("error", () => {})
          socket.on("data", (data) => parts.push(data))
          socket.pipe(on)
          on.pipe(socket)
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close())
    )
    yield* traffic((server.address() as Net.AddressInfo).port)
    const all = Buffer.concat(parts)
    let at = 0
    // Two messages of the handshake, with short lengths: the name and the reply.
    for (let i = 0; i < 2; i++) at += 2 + all.readUInt16BE(at)
    const packets: Array<Buffer> = []
    while (at + 4 <= all.length && at + 4 + all.readUInt32BE(at) <= all.length) {
      const end = at + 4 + all.readUInt32BE(at)
      packets.push(all.subarray(at, end))
      at = end
    }
    return packets
  })

/** The same packet in the name of another node, whose name is as long. */
export const rename = (bytes: Buffer, from: string, to: string): Buffer => {
  const renamed = Buffer.from(bytes)
  for (let at = renamed.indexOf(from); at >= 0; at = renamed.indexOf(from, at + 1)) renamed.write(to, at)
  return renamed
}
