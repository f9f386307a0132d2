/**
 * What members say to each other, as bytes: it comes out as it went in, and nothing else comes out.
 */
import { assert, describe, it } from "@effect/vitest"
import * as MessageBytes from "../../../src/raft/internal/MessageBytes.ts"
import { RecordReader } from "../../../src/raft/internal/Records.ts"
import { Sessions } from "../../../src/raft/internal/Sessions.ts"
import type { Content, Membership } from "../../../src/raft/RaftEntry.ts"
import * as fc from "../../dist/generate.ts"
import { makeRandom } from "../../term/randomTerm.ts"

const natural = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
const bytes = fc.uint8Array({ maxLength: 1200 })
const membership: fc.Arbitrary<Membership> = fc.record({
  voters: fc.array(fc.string()),
  learners: fc.array(fc.string())
})
const content: fc.Arbitrary<Content<Uint8Array>> = fc.oneof(
  fc.record({ _tag: fc.constant("Noop" as const) }),
  fc.record({ _tag: fc.constant("Command" as const), size: natural, command: bytes }),
  fc.record({ _tag: fc.constant("Membership" as const), membership })
)

const message: fc.Arbitrary<MessageBytes.Wire | MessageBytes.Forwarded> = fc.oneof(
  fc.record({
    _tag: fc.constant("VoteRequest" as const),
    term: natural,
    poll: fc.boolean(),
    lastIndex: natural,
    lastTerm: natural,
    transfer: fc.boolean()
  }),
  fc.record({ _tag: fc.constant("VoteReply" as const), term: natural, poll: fc.boolean(), granted: fc.boolean() }),
  fc.record({
    _tag: fc.constant("Append" as const),
    term: natural,
    previousIndex: fc.nat(1e12),
    previousTerm: natural,
    commit: natural,
    round: natural,
    entries: fc.array(fc.record({ term: natural, content }))
  }).map((append) => ({
    ...append,
    entries: append.entries.map((entry, i) => ({ index: append.previousIndex + 1 + i, ...entry }))
  })),
  fc.record({
    _tag: fc.constant("AppendReply" as const),
    term: natural,
    round: natural,
    accepted: fc.boolean(),
    index: natural,
    retry: natural
  }),
  fc.record({
    _tag: fc.constant("InstallSnapshot" as const),
    term: natural,
    round: natural,
    snapshot: fc.record({ index: natural, term: natural, membership, data: bytes })
  }),
  fc.record({ _tag: fc.constant("TimeoutNow" as const), term: natural }),
  fc.record({ _tag: fc.constant("Command" as const), command: bytes }),
  fc.record({ _tag: fc.constant("Read" as const), session: natural, ref: natural }),
  fc.record({ _tag: fc.constant("Readable" as const), session: natural, ref: natural, index: natural })
)

const command: fc.Arbitrary<MessageBytes.Command> = fc.record({
  origin: fc.string(),
  session: natural,
  serial: natural,
  settled: natural,
  tag: fc.string(),
  payload: bytes
})

/** The bytes with something wrong: cut, changed in places, or with numbers that are too large for what follows. */
const spoil = (given: Uint8Array, random: () => number): Uint8Array => {
  const spoiled = given.slice(0, random() < 0.3 ? Math.floor(random() * (given.length + 1)) : given.length)
  const changes = Math.floor(random() * 4)
  for (let i = 0; i < changes && spoiled.length > 0; i++) {
    const at = Math.floor(random() * spoiled.length)
    if (random() < 0.5) spoiled[at] = Math.floor(random() * 256)
    else spoiled.fill(random() < 0.5 ? 0xff : 0x7f, at, at + 8)
  }
  return spoiled
}

/** How many bytes stand in a value. */
const weight = (value: unknown): number =>
  value instanceof Uint8Array
    ? value.length
    : typeof value === "string"
    ? value.length
    : typeof value === "object" && value !== null
    ? Object.values(value).reduce((sum: number, part) => sum + 8 + weight(part), 0)
    : 0

describe("messages between members", () => {
  it("come out as they went in", () => {
    fc.check(message, (given) => assert.deepStrictEqual(MessageBytes.decode(MessageBytes.encode(given)), given), {
      runs: 2000
    })
  })

  it("10 000 that are cut or changed are refused or another message, and never larger than what came", () => {
    const random = makeRandom(5)
    let refused = 0
    fc.check(message, (given) => {
      for (let i = 0; i < 5; i++) {
        const bytes = spoil(MessageBytes.encode(given), random)
        const decoded = MessageBytes.decode(bytes)
        if (decoded === undefined) refused++
        else {
          assert.isAtMost(weight(decoded), 100 + 8 * bytes.length)
          for (const [name, value] of Object.entries(decoded)) {
            if (typeof value === "number") assert.isTrue(Number.isSafeInteger(value) && value >= 0, name)
          }
        }
      }
    }, { runs: 2000 })
    assert.isAbove(refused, 1000)
  })

  it("of another version are refused", () => {
    const bytes = MessageBytes.encode({ _tag: "TimeoutNow", term: 1 })
    bytes[0] = 2
    assert.isUndefined(MessageBytes.decode(bytes))
  })

  it("commands come out as they went in, and 10 000 that are cut or changed never throw", () => {
    const random = makeRandom(6)
    fc.check(command, (given) => {
      const bytes = MessageBytes.encodeCommand(given)
      assert.deepStrictEqual(MessageBytes.decodeCommand(bytes), given)
      for (let i = 0; i < 5; i++) {
        const spoiled = spoil(bytes, random)
        const decoded = MessageBytes.decodeCommand(spoiled)
        if (decoded !== undefined) assert.isAtMost(weight(decoded), 100 + 8 * spoiled.length)
      }
    }, { runs: 2000 })
  })

  it("10 000 spoiled snapshots of sessions are refused with a RangeError, or read", () => {
    const random = makeRandom(7)
    for (let i = 0; i < 10_000; i++) {
      const bytes = spoil(
        Uint8Array.from({ length: 100 }, () => random() < 0.7 ? 0 : Math.floor(random() * 256)),
        random
      )
      try {
        Sessions.read(new RecordReader(bytes, 0))
      } catch (error) {
        assert.instanceOf(error, RangeError)
      }
    }
  })
})
