/**
 * What the state machine remembers of requests.
 */
import { assert, describe, it } from "@effect/vitest"
import type { Command } from "../../../src/raft/internal/MessageBytes.ts"
import { RecordReader, RecordWriter } from "../../../src/raft/internal/Records.ts"
import { Sessions } from "../../../src/raft/internal/Sessions.ts"
import * as fc from "../../dist/generate.ts"

const request = (serial: number, settled = 0, session = 1, origin = "a"): Command => ({
  origin,
  session,
  serial,
  settled,
  tag: "Put",
  payload: new Uint8Array()
})

const answer = (serial: number): Uint8Array => Uint8Array.of(serial)

describe("sessions", () => {
  it("[S34] know what was applied, and its answer", () => {
    const sessions = new Sessions()
    assert.isUndefined(sessions.known(request(1)))
    sessions.remember(request(1), answer(1))
    assert.deepStrictEqual(sessions.known(request(1)), answer(1))
    assert.isUndefined(sessions.known(request(2)))
    assert.isUndefined(sessions.known(request(1, 0, 2)))
    assert.isUndefined(sessions.known(request(1, 0, 1, "b")))
  })

  it("[S34] forget the answers that nobody awaits, and still know that they were given", () => {
    const sessions = new Sessions()
    for (let serial = 1; serial <= 1000; serial++) sessions.remember(request(serial, serial - 2), answer(serial))
    assert.strictEqual(sessions.size, 3)
    assert.isNull(sessions.known(request(5)))
    assert.deepStrictEqual(sessions.known(request(1000)), answer(1000))
  })

  it("remember only the latest lives of a member", () => {
    const sessions = new Sessions()
    for (let session = 1; session <= 100; session++) sessions.remember(request(1, 0, session), answer(1))
    assert.strictEqual(sessions.size, 8)
    assert.isDefined(sessions.known(request(1, 0, 100)))
    assert.isUndefined(sessions.known(request(1, 0, 92)))
  })

  it("come out of a snapshot as they went in", () => {
    const script = fc.array(
      fc.record({
        origin: fc.constantFrom("a", "b", "c"),
        session: fc.integer({ min: 1, max: 12 }),
        serial: fc.nat(50),
        settled: fc.nat(50),
        answer: fc.uint8Array()
      }),
      { maxLength: 100 }
    )
    fc.check(script, (requests) => {
      const sessions = new Sessions()
      for (const { answer, origin, serial, session, settled } of requests) {
        sessions.remember(request(serial, settled, session, origin), answer)
      }
      const writer = new RecordWriter()
      sessions.write(writer)
      const read = Sessions.read(new RecordReader(writer.take(), 0))
      for (const { origin, serial, session } of requests) {
        const asked = request(serial, 0, session, origin)
        assert.deepStrictEqual(read.known(asked), sessions.known(asked))
      }
      const again = new RecordWriter()
      read.write(again)
      assert.deepStrictEqual(again.take(), writer.take())
    })
  })
})
