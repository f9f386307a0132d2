/**
 * Two-phase commit as functions: what a coordinator and a participant make of single inputs.
 */
import { assert, describe, it } from "@effect/vitest"
import { CommitCore } from "effect-otp/saga"

type Coordination = CommitCore.Coordination<string, string> | undefined
type Participation = CommitCore.Participation<string> | undefined

const options: CommitCore.Options = { retry: 100, retryAtMost: 350 }

const coordinate = (state: Coordination, now: number, input: CommitCore.CoordinatorInput<string, string>) =>
  CommitCore.coordinate(state, now, input, options)

const participate = (state: Participation, now: number, input: CommitCore.ParticipantInput<string, string>) =>
  CommitCore.participate(state, now, input, options)

const begin = (...participants: ReadonlyArray<string>): CommitCore.CoordinatorInput<string, string> => ({
  _tag: "Begin",
  transaction: "t",
  branches: participants.map((participant) => ({ participant, work: `for ${participant}` })),
  timeout: 1000
})

const vote = (
  from: string,
  branch: number,
  vote: CommitCore.Vote<string>
): CommitCore.CoordinatorInput<string, string> => ({
  _tag: "Receive",
  from,
  message: { _tag: "Vote", transaction: "t", branch, vote }
})

const yes = (ballot: string): CommitCore.Vote<string> => ({ _tag: "Yes", ballot })

const acknowledge = (
  from: string,
  branch: number,
  ballot: string,
  heuristic?: CommitCore.Outcome
): CommitCore.CoordinatorInput<string, string> => ({
  _tag: "Receive",
  from,
  message: { _tag: "Acknowledge", transaction: "t", branch, ballot, heuristic }
})

const inquire = (from: string, branch: number, ballot: string): CommitCore.CoordinatorInput<string, string> => ({
  _tag: "Receive",
  from,
  message: { _tag: "Inquire", transaction: "t", branch, ballot }
})

/** A coordinator after some inputs, all at time zero. */
const coordinatorAfter = (...inputs: ReadonlyArray<CommitCore.CoordinatorInput<string, string>>): Coordination =>
  inputs.reduce((state: Coordination, input) => coordinate(state, 0, input)[0], undefined)

const told = (output: { readonly send: ReadonlyArray<CommitCore.Envelope<CommitCore.Message<string, string>>> }) =>
  output.send.map(({ message, to }) =>
    message._tag === "Decision" ? `${message.outcome} ${message.ballot ?? "all"} > ${to}` : `${message._tag} > ${to}`
  )

const prepare: CommitCore.ParticipantInput<string, string> = {
  _tag: "Receive",
  from: "c",
  message: { _tag: "Prepare", transaction: "t", branch: 0, work: "work" }
}

const decision = (
  outcome: CommitCore.Outcome,
  ballot: string | undefined
): CommitCore.ParticipantInput<string, string> => ({
  _tag: "Receive",
  from: "c",
  message: { _tag: "Decision", transaction: "t", branch: 0, ballot, outcome }
})

const persisted = (
  stage: CommitCore.ParticipantPersisted["stage"],
  ballot = "b"
): CommitCore.ParticipantInput<string, string> => ({ _tag: "Persisted", ballot, stage })

const participantAfter = (...inputs: ReadonlyArray<CommitCore.ParticipantInput<string, string>>): Participation =>
  inputs.reduce((state: Participation, input) => participate(state, 0, input)[0], undefined)

const voted: CommitCore.ParticipantInput<string, string> = { _tag: "Voted", vote: yes("b") }
const applied: CommitCore.ParticipantInput<string, string> = { _tag: "Applied" }
const resolve = (outcome: CommitCore.Outcome): CommitCore.ParticipantInput<string, string> => ({
  _tag: "Resolve",
  outcome
})

/** A participant in doubt. */
const prepared = () => participantAfter(prepare, voted, persisted("Promised"))

describe("a coordinator", () => {
  it("asks everybody, and decides when all have said yes", () => {
    const [state, output] = coordinate(undefined, 0, begin("p", "q"))
    assert.deepStrictEqual(told(output), ["Prepare > p", "Prepare > q"])
    const [one, nothing] = coordinate(state, 1, vote("p", 0, yes("b1")))
    assert.deepStrictEqual(told(nothing), [])
    assert.isUndefined(nothing.persist)
    const [, all] = coordinate(one, 2, vote("q", 1, yes("b2")))
    assert.deepStrictEqual(all.persist?.record?.promises.map(({ ballot }) => ballot), ["b1", "b2"])
  })

  it("[S28] tells nobody of a commit before it is on disk", () => {
    const deciding = coordinatorAfter(begin("p"), vote("p", 0, yes("b1")))
    assert.strictEqual(deciding?._tag, "Deciding")
    assert.deepStrictEqual(told(coordinate(deciding, 1, inquire("p", 0, "b1"))[1]), [])
    const [state, output] = coordinate(deciding, 2, { _tag: "Persisted" })
    assert.strictEqual(state?._tag, "Committed")
    assert.deepStrictEqual(told(output), ["Commit b1 > p"])
    assert.deepStrictEqual(output.decided, { outcome: "Commit" })
  })

  it("[S28] commits for ever once that is on disk: neither time nor anybody's wish changes it", () => {
    for (
      const state of [
        coordinatorAfter(begin("p"), vote("p", 0, yes("b1"))),
        coordinatorAfter(begin("p"), vote("p", 0, yes("b1")), { _tag: "Persisted" })
      ]
    ) {
      for (
        const input of [
          { _tag: "Tick" },
          { _tag: "Cancel" },
          { _tag: "Unreachable", participant: "p" },
          vote("p", 0, { _tag: "No", refusal: "late" })
        ] as const
      ) {
        const [after, output] = coordinate(state, 100_000, input)
        assert.strictEqual(after?._tag, state?._tag)
        assert.isUndefined(output.decided)
        assert.isFalse(told(output).some((line) => line.startsWith("Abort")))
      }
    }
  })

  it("aborts at the first no, tells those who may have promised, and keeps nothing of it", () => {
    const state = coordinatorAfter(begin("p", "q", "r"), vote("p", 0, yes("b1")))
    const [after, output] = coordinate(state, 1, vote("q", 1, { _tag: "No", refusal: "busy" }))
    assert.isUndefined(after)
    assert.isUndefined(output.persist)
    assert.deepStrictEqual(told(output), ["Abort all > p", "Abort all > r"])
    assert.deepStrictEqual(output.decided, {
      outcome: "Abort",
      reasons: [{ _tag: "Refused", branch: 1, participant: "q", refusal: "busy" }]
    })
  })

  it("aborts when somebody has not voted in time, or is not there", () => {
    const state = coordinatorAfter(begin("p", "q"), vote("p", 0, yes("b1")))
    assert.deepStrictEqual(coordinate(state, 1000, { _tag: "Tick" })[1].decided, {
      outcome: "Abort",
      reasons: [{ _tag: "TimedOut", branch: 1, participant: "q" }]
    })
    assert.deepStrictEqual(coordinate(state, 1, { _tag: "Unreachable", participant: "q" })[1].decided, {
      outcome: "Abort",
      reasons: [{ _tag: "Unreachable", branch: 1, participant: "q" }]
    })
    // Whoever has promised may come and go.
    assert.isUndefined(coordinate(state, 1, { _tag: "Unreachable", participant: "p" })[1].decided)
  })

  it("[S28] answers abort for what it does not know: presumed abort", () => {
    assert.deepStrictEqual(told(coordinate(undefined, 0, inquire("p", 0, "b1"))[1]), ["Abort b1 > p"])
    assert.deepStrictEqual(told(coordinate(undefined, 0, vote("p", 0, yes("b1")))[1]), ["Abort b1 > p"])
    assert.deepStrictEqual(told(coordinate(undefined, 0, vote("p", 0, { _tag: "ReadOnly" }))[1]), [])
  })

  it("[S29] the first vote counts, and another yes of the same branch is told to abort", () => {
    const state = coordinatorAfter(begin("p", "q"), vote("p", 0, yes("b1")))
    const [same, again] = coordinate(state, 1, vote("p", 0, yes("b1")))
    assert.strictEqual(same, state)
    assert.deepStrictEqual(told(again), [])
    assert.deepStrictEqual(told(coordinate(state, 1, vote("p", 0, yes("b9")))[1]), ["Abort b9 > p"])
    const committed = coordinatorAfter(begin("p"), vote("p", 0, yes("b1")), { _tag: "Persisted" })
    assert.deepStrictEqual(told(coordinate(committed, 1, inquire("p", 0, "b1"))[1]), ["Commit b1 > p"])
    assert.deepStrictEqual(told(coordinate(committed, 1, inquire("p", 0, "b9"))[1]), ["Abort b9 > p"])
    // A vote for somebody else's branch is none.
    assert.strictEqual(coordinate(state, 1, vote("p", 1, yes("b1")))[0], state)
  })

  it("takes a question for the vote that was lost", () => {
    const state = coordinatorAfter(begin("p"))
    assert.strictEqual(coordinate(state, 1, inquire("p", 0, "b1"))[0]?._tag, "Deciding")
  })

  it("does not wait for those who only read, and writes nothing when nobody does more", () => {
    const [none, output] = coordinate(coordinatorAfter(begin("p")), 1, vote("p", 0, { _tag: "ReadOnly" }))
    assert.isUndefined(none)
    assert.isUndefined(output.persist)
    assert.deepStrictEqual(output.decided, { outcome: "Commit" })
    const mixed = coordinatorAfter(begin("p", "q"), vote("p", 0, { _tag: "ReadOnly" }), vote("q", 1, yes("b2")))
    assert.deepStrictEqual(told(coordinate(mixed, 1, { _tag: "Persisted" })[1]), ["Commit b2 > q"])
    assert.deepStrictEqual(coordinate(undefined, 0, begin())[1].decided, { outcome: "Commit" })
  })

  it("[S29] says it again to those who have not answered, ever more slowly, and forgets when all have", () => {
    const state = coordinatorAfter(
      begin("p", "q"),
      vote("p", 0, yes("b1")),
      vote("q", 1, yes("b2")),
      { _tag: "Persisted" },
      acknowledge("p", 0, "b1")
    )
    assert.strictEqual(CommitCore.wakeAt(state!), 100)
    const [later, output] = coordinate(state, 100, { _tag: "Tick" })
    assert.deepStrictEqual(told(output), ["Commit b2 > q"])
    assert.strictEqual(CommitCore.wakeAt(later!), 300)
    const [latest] = coordinate(later, 300, { _tag: "Tick" })
    assert.strictEqual(CommitCore.wakeAt(latest!), 650)
    const [gone, last] = coordinate(latest, 400, acknowledge("q", 1, "b2"))
    assert.isUndefined(gone)
    assert.deepStrictEqual(last.persist, { record: undefined, receipt: undefined })
  })

  it("asks those again who have not voted", () => {
    const state = coordinatorAfter(begin("p", "q"), vote("p", 0, yes("b1")))
    assert.deepStrictEqual(told(coordinate(state, 100, { _tag: "Tick" })[1]), ["Prepare > q"])
  })

  it("goes on from its disk: it says commit at once", () => {
    const promises = [{ branch: 0, participant: "p", ballot: "b1" }]
    const state = CommitCore.recoverCoordination<string, string>({ transaction: "t", promises }, 5000)
    assert.strictEqual(CommitCore.wakeAt(state), 5000)
    assert.deepStrictEqual(told(coordinate(state, 5000, { _tag: "Tick" })[1]), ["Commit b1 > p"])
  })

  it("reports a participant whose operator had aborted, and is forgotten by hand", () => {
    const state = coordinatorAfter(begin("p"), vote("p", 0, yes("b1")), { _tag: "Persisted" })
    const [, output] = coordinate(state, 1, acknowledge("p", 0, "b1", "Abort"))
    assert.deepStrictEqual(output.events.map(({ _tag }) => _tag), ["HeuristicMismatch"])
    assert.isUndefined(coordinate(state, 1, { _tag: "Forget" })[0])
    const voting = coordinatorAfter(begin("p"))
    assert.strictEqual(coordinate(voting, 1, { _tag: "Forget" })[0], voting)
  })
})

describe("a participant", () => {
  it("[S28] says yes only when that is on disk", () => {
    const [preparing, asked] = participate(undefined, 0, prepare)
    assert.deepStrictEqual(asked.task, { _tag: "Prepare", work: "work" })
    const [promising, output] = participate(preparing, 1, voted)
    assert.deepStrictEqual(told(output), [])
    assert.strictEqual(output.persist?.record?.ballot, "b")
    const [state, vote] = participate(promising, 2, persisted("Promised"))
    assert.strictEqual(state?._tag, "Prepared")
    assert.deepStrictEqual(told(vote), ["Vote > c"])
  })

  it("forgets at once what it refuses, and what it only reads", () => {
    for (const vote of [{ _tag: "No", refusal: "busy" }, { _tag: "ReadOnly" }] as const) {
      const [state, output] = participate(participantAfter(prepare), 1, { _tag: "Voted", vote })
      assert.isUndefined(state)
      assert.isUndefined(output.persist)
      assert.deepStrictEqual(told(output), ["Vote > c"])
    }
  })

  it("[S28] in doubt it decides nothing alone, and asks again and again", () => {
    let state = prepared()
    const asked: Array<number> = []
    for (let now = 0; now < 2000; now += 50) {
      const [next, output] = participate(state, now, { _tag: "Tick" })
      assert.strictEqual(next?._tag, "Prepared")
      if (output.send.length > 0) asked.push(now)
      state = next
    }
    assert.deepStrictEqual(asked, [100, 300, 650, 1000, 1350, 1700])
  })

  it("[S28] carries a commit out, and acknowledges it only when that is on disk", () => {
    const [resolving, output] = participate(prepared(), 1, decision("Commit", "b"))
    assert.deepStrictEqual(output.task, { _tag: "Apply", outcome: "Commit", work: "work", ballot: "b" })
    const [finishing, done] = participate(resolving, 2, applied)
    assert.deepStrictEqual(told(done), [])
    assert.isUndefined(done.persist?.record)
    const [gone, last] = participate(finishing, 3, persisted("Finished"))
    assert.isUndefined(gone)
    assert.deepStrictEqual(told(last), ["Acknowledge > c"])
  })

  it("[S29] a doubled decision has no effect, and a commit of what is forgotten is acknowledged again", () => {
    const [resolving] = participate(prepared(), 1, decision("Commit", "b"))
    const [same, output] = participate(resolving, 2, decision("Commit", "b"))
    assert.strictEqual(same, resolving)
    assert.isUndefined(output.task)
    assert.deepStrictEqual(told(participate(undefined, 3, decision("Commit", "b"))[1]), ["Acknowledge > c"])
    assert.deepStrictEqual(told(participate(undefined, 3, decision("Abort", "b"))[1]), [])
  })

  it("[S29] a decision for another yes is not for this one", () => {
    const state = prepared()
    const [same, output] = participate(state, 1, decision("Commit", "older"))
    assert.strictEqual(same, state)
    assert.isUndefined(output.task)
    assert.strictEqual(participate(state, 1, decision("Abort", "older"))[0], state)
    assert.strictEqual(participate(state, 1, decision("Abort", undefined))[0]?._tag, "Resolving")
  })

  it("an abort while it prepares undoes what it has prepared, and it does not vote", () => {
    const aborted = participantAfter(prepare, decision("Abort", undefined))
    const [resolving, output] = participate(aborted, 1, voted)
    assert.deepStrictEqual(told(output), [])
    assert.deepStrictEqual(output.task, { _tag: "Apply", outcome: "Abort", work: "work", ballot: "b" })
    assert.isUndefined(participate(resolving, 2, applied)[0])
  })

  it("says yes again when it is asked again, and keeps its ballot", () => {
    assert.deepStrictEqual(participate(prepared(), 1, prepare)[1].send.map(({ message }) => message), [
      { _tag: "Vote", transaction: "t", branch: 0, vote: { _tag: "Yes", ballot: "b" } }
    ])
  })

  it("the receipt of an earlier yes is none for this one", () => {
    const promising = participantAfter(prepare, voted)
    assert.strictEqual(participate(promising, 1, persisted("Promised", "older"))[0], promising)
  })

  it("[S28] goes on from its disk in doubt: it asks at once", () => {
    const state = CommitCore.recoverParticipation({
      transaction: "t",
      branch: 0,
      coordinator: "c",
      work: "work",
      ballot: "b",
      heuristic: undefined,
      decided: undefined
    }, 7000)
    assert.strictEqual(state._tag, "Prepared")
    assert.deepStrictEqual(told(participate(state, 7000, { _tag: "Tick" })[1]), ["Inquire > c"])
  })

  describe("and its operator", () => {
    const byHand = (outcome: CommitCore.Outcome) => {
      const [resolving, output] = participate(prepared(), 1, resolve(outcome))
      assert.deepStrictEqual(output.events.map(({ _tag }) => _tag), ["Heuristic"])
      assert.strictEqual(output.task?._tag, "Apply")
      const [state, kept] = participate(resolving, 2, applied)
      assert.strictEqual(kept.persist?.record?.heuristic, outcome)
      return participate(state, 3, persisted("Resolved"))[0]
    }

    it("compares what was decided by hand, forgets it when it was right", () => {
      const [state, output] = participate(byHand("Commit"), 4, decision("Commit", "b"))
      assert.isUndefined(output.task)
      assert.deepStrictEqual(output.events, [])
      assert.deepStrictEqual(told(participate(state, 5, persisted("Finished"))[1]), ["Acknowledge > c"])
      assert.isUndefined(participate(byHand("Abort"), 4, decision("Abort", "b"))[0])
    })

    it("and reports a mismatch, first to its disk and then to the coordinator, until it is dismissed", () => {
      const [state, output] = participate(byHand("Abort"), 4, decision("Commit", "b"))
      assert.deepStrictEqual(output.events.map(({ _tag }) => _tag), ["HeuristicMismatch"])
      assert.deepStrictEqual(told(output), [])
      assert.strictEqual(output.persist?.record?.decided, "Commit")
      assert.deepStrictEqual(told(participate(state, 5, decision("Commit", "b"))[1]), [])
      const [stored, reported] = participate(state, 6, persisted("Mismatched"))
      assert.deepStrictEqual(told(reported), ["Acknowledge > c"])
      assert.deepStrictEqual(told(participate(stored, 7, decision("Commit", "b"))[1]), ["Acknowledge > c"])
      assert.isUndefined(participate(stored, 8, { _tag: "Dismiss" })[0])
    })

    it("a decision that comes while the operator's is carried out is compared as well", () => {
      const [resolving] = participate(prepared(), 1, resolve("Abort"))
      const [waiting] = participate(resolving, 2, decision("Commit", "b"))
      const [, output] = participate(waiting, 3, applied)
      assert.deepStrictEqual(output.events.map(({ _tag }) => _tag), ["HeuristicMismatch"])
    })

    it("decides for nobody who is not in doubt", () => {
      const promising = participantAfter(prepare, voted)
      assert.strictEqual(participate(promising, 1, resolve("Commit"))[0], promising)
      assert.isUndefined(participate(undefined, 1, resolve("Commit"))[0])
    })
  })
})
