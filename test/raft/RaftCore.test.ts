/**
 * Raft told as stories: what one member does when this and that happens.
 */
import { assert, describe, it } from "@effect/vitest"
import * as RaftCore from "../../src/raft/RaftCore.ts"
import { Story } from "./Story.ts"

const only = Story.among

describe("an election", () => {
  it("begins with a poll, which raises nobody's term until a majority would agree", () => {
    const story = new Story("abc")
    story.stand("a")
    assert.strictEqual(story.state("a").term, 0)
    story.deliver(only("a"))
    assert.deepStrictEqual([story.state("a").term, story.state("a").role._tag], [0, "Candidate"])
    story.elect("a")
    assert.strictEqual(story.state("a").term, 1)
    for (const id of "abc") assert.strictEqual(story.state(id).leader, "a")
  })

  it("[S32] sends no request and counts no vote of its own before that vote is on disk", () => {
    const story = new Story("a")
    story.stand("a")
    assert.strictEqual(story.state("a").role._tag, "Candidate")
    story.write("a")
    assert.strictEqual(story.state("a").role._tag, "Leader")

    const three = new Story("abc")
    three.stand("a")
    for (const { from, message, to } of three.mail.splice(0)) three.input(to, { _tag: "Receive", from, message })
    for (const { from, message, to } of three.mail.splice(0)) three.input(to, { _tag: "Receive", from, message })
    assert.strictEqual(three.state("a").term, 1)
    assert.deepStrictEqual(three.mail, [])
    three.write("a")
    assert.deepStrictEqual(three.mail.map(({ message, to }) => [to, message._tag]), [
      ["b", "VoteRequest"],
      ["c", "VoteRequest"]
    ])
  })

  it("[S32] a vote leaves only when it is on disk, and holds after a restart", () => {
    const story = new Story("abc")
    const ask = { _tag: "VoteRequest", term: 1, poll: false, lastIndex: 0, lastTerm: 0, transfer: false } as const
    story.pass(1000)
    story.input("c", { _tag: "Receive", from: "a", message: ask })
    assert.deepStrictEqual(story.mail.filter(({ from }) => from === "c"), [])
    story.write("c")
    assert.deepStrictEqual(story.mail.at(-1)?.message, { _tag: "VoteReply", term: 1, poll: false, granted: true })
    story.begin("c")
    story.pass(1000)
    story.input("c", { _tag: "Receive", from: "b", message: ask })
    assert.deepStrictEqual(story.mail.at(-1)?.message, { _tag: "VoteReply", term: 1, poll: false, granted: false })
  })

  it("[S32] is lost against a newer log, and won with an equal one", () => {
    const story = new Story("abc")
    story.elect("a")
    story.propose("a", "x")
    story.deliver(only("ab"))
    story.stand("c")
    story.deliver(only("bc"))
    assert.notStrictEqual(story.state("c").role._tag, "Leader")
    story.elect("b", only("bc"))
    story.beat("b", only("bc"))
    assert.deepStrictEqual(story.member("c").applied, ["x"])
  })

  it("[S33] a member that was cut off does not depose a healthy leader", () => {
    const story = new Story("abc")
    story.elect("a")
    for (let i = 0; i < 30; i++) {
      story.beat("a", only("ab"))
      story.tick("c")
      story.deliver(only("c"))
    }
    assert.strictEqual(story.state("c").role._tag, "Candidate")
    assert.strictEqual(story.state("c").term, 1)
    story.tick("c")
    story.deliver()
    story.beat("a")
    assert.deepStrictEqual([story.state("a").role._tag, story.state("a").term, story.state("c").leader], [
      "Leader",
      1,
      "a"
    ])
  })

  it("[S33] a leader that hears no majority resigns, and refuses its reads", () => {
    const story = new Story("abc")
    story.elect("a")
    story.deliver()
    const ref = story.read("a")
    story.mail = []
    for (let i = 0; i < 9; i++) story.beat("a", only("a"))
    assert.strictEqual(story.state("a").role._tag, "Leader")
    story.beat("a", only("a"))
    assert.notStrictEqual(story.state("a").role._tag, "Leader")
    assert.deepStrictEqual(story.reply("a", ref), {
      _tag: "Refused",
      ref,
      reason: { _tag: "NotLeader", leader: undefined }
    })
  })

  it("a member that has just started refuses its vote as if it had heard from a leader", () => {
    const story = new Story("abc")
    story.pass(2000)
    story.begin("b")
    story.pass(500)
    story.tick("a")
    story.deliver(only("ab"))
    assert.strictEqual(story.state("a").term, 0)
    story.stand("a")
    story.deliver(only("ab"))
    assert.strictEqual(story.state("a").role._tag, "Leader")
  })

  it("says who leads, to whom and when", () => {
    const story = new Story("abc")
    story.elect("a")
    assert.deepStrictEqual(story.member("b").events, [{ _tag: "LeaderChanged", term: 1, leader: "a" }])
    assert.deepStrictEqual(
      story.member("a").events.map((event) => event._tag === "RoleChanged" ? event.role : event._tag),
      ["Candidate", "Leader", "LeaderChanged"]
    )
  })
})

describe("replication", () => {
  it("commits what a majority has on disk, and not before", () => {
    const story = new Story("abc")
    story.elect("a")
    const ref = story.propose("a", "x")
    assert.deepStrictEqual(story.reply("a", ref), { _tag: "Accepted", ref, index: 2, term: 1 })
    // The leader's own disk is as slow as any: it counts like the others.
    const letters = story.mail.splice(0).filter(({ to }) => to === "b")
    for (const { from, message, to } of letters) story.input(to, { _tag: "Receive", from, message })
    assert.deepStrictEqual(story.mail, [])
    story.write("b")
    for (const { from, message, to } of story.mail.splice(0)) story.input(to, { _tag: "Receive", from, message })
    assert.strictEqual(story.state("a").commit, 1)
    story.write("a")
    assert.strictEqual(story.state("a").commit, 2)
    assert.deepStrictEqual(story.member("a").applied, ["x"])
  })

  it("a follower applies at the next sign of life", () => {
    const story = new Story("abc")
    story.elect("a")
    story.propose("a", "x", "y")
    story.deliver()
    assert.deepStrictEqual(story.member("a").applied, ["x", "y"])
    story.beat("a")
    for (const id of "bc") assert.deepStrictEqual(story.member(id).applied, ["x", "y"])
  })

  it("replaces entries that were never committed", () => {
    const story = new Story("abc")
    story.elect("a")
    story.propose("a", "lost 1", "lost 2")
    story.deliver(only("a"))
    story.elect("b", only("bc"))
    story.propose("b", "kept")
    story.deliver(only("bc"))
    assert.strictEqual(story.terms("a"), "111")
    for (let i = 0; i < 3; i++) story.beat("b")
    assert.strictEqual(story.terms("a"), "122")
    assert.deepStrictEqual(story.member("a").applied, ["kept"])
    assert.deepStrictEqual(story.member("a").disk.entries.map((entry) => entry.term), [1, 2, 2])
  })

  it("[S32] an entry of an earlier term is not committed by counting: only one of the own term brings it along", () => {
    const story = new Story("abcde")
    story.elect("a")
    story.deliver()
    story.propose("a", "old")
    story.deliver(only("ab"))
    // The old entry is on a and b. e leads term 2 with c and d, and writes what nobody else has.
    story.elect("e", (letter) => only("cde")(letter) && letter.message._tag !== "Append")
    story.propose("e", "other")
    story.deliver(only("e"))
    // Now a comes back, and gets its old entry to c: a majority has it.
    for (let i = 0; i < 3; i++) {
      story.stand("a")
      story.deliver((letter) => only("abc")(letter) && letter.message._tag !== "Append")
    }
    const state = story.state("a")
    assert.strictEqual(state.role._tag, "Leader")
    const begun = state.role._tag === "Leader" ? state.role.begun : 0
    // Followers answer for the old entry alone.
    for (const from of "bc") {
      story.input("a", {
        _tag: "Receive",
        from,
        message: { _tag: "AppendReply", term: state.term, round: 1, accepted: true, index: begun - 1, retry: begun }
      })
    }
    assert.isBelow(story.state("a").commit, begun - 1)
    for (const from of "bc") {
      story.input("a", {
        _tag: "Receive",
        from,
        message: { _tag: "AppendReply", term: state.term, round: 1, accepted: true, index: begun, retry: begun + 1 }
      })
    }
    assert.strictEqual(story.state("a").commit, begun)
    assert.include(story.member("a").applied, "old")
  })

  it("keeps a window of messages under way, each within its limits", () => {
    const story = new Story("ab", { window: 3, maxEntries: 2, maxBytes: 100 })
    story.elect("a")
    story.mail = []
    story.propose("a", ..."abcdefghij")
    const sent = story.mail.map(({ message }) => message._tag === "Append" ? message.entries.length : 0)
    assert.deepStrictEqual(sent, [2, 2, 2])
    story.deliver()
    assert.strictEqual(story.state("b").log.lastIndex, 11)

    story.propose("a", "x".repeat(90), "y".repeat(20), "z".repeat(500), "-")
    assert.deepStrictEqual(
      story.mail.map(({ message }) => message._tag === "Append" ? message.entries.length : 0),
      [1, 1, 1]
    )
  })

  it("finds out that messages were lost, and sends them again", () => {
    const story = new Story("ab", { window: 2, maxEntries: 1 })
    story.elect("a")
    story.propose("a", "1", "2", "3")
    story.mail = []
    story.beat("a")
    assert.deepStrictEqual(story.member("a").applied, ["1", "2", "3"])
  })

  it("refuses more when too much waits to be committed, and says how much", () => {
    const story = new Story("abc", { maxUncommitted: 2 })
    story.elect("a")
    const ref = story.propose("a", "1", "2", "3")
    assert.deepStrictEqual(story.reply("a", ref + 2), {
      _tag: "Refused",
      ref: ref + 2,
      reason: { _tag: "Overloaded", uncommitted: 2 }
    })
    story.deliver()
    assert.deepStrictEqual(story.member("a").applied, ["1", "2"])
  })

  it("a follower refuses commands and names the leader", () => {
    const story = new Story("abc")
    story.elect("a")
    const ref = story.propose("b", "x")
    assert.deepStrictEqual(story.reply("b", ref), { _tag: "Refused", ref, reason: { _tag: "NotLeader", leader: "a" } })
  })

  it("messages that come twice, or late, change nothing", () => {
    const story = new Story("abc")
    story.elect("a")
    story.propose("a", "x")
    const late = story.mail.filter(({ to }) => to === "b")
    story.deliver()
    story.propose("a", "y")
    story.deliver()
    story.beat("a")
    const before = story.state("b").log.lastIndex
    for (const { from, message } of [...late, ...late]) story.input("b", { _tag: "Receive", from, message })
    assert.strictEqual(story.state("b").log.lastIndex, before)
    assert.deepStrictEqual(story.member("b").applied, ["x", "y"])
  })
})

describe("a read", () => {
  it("[S33] is answered when a majority has confirmed that the leader leads", () => {
    const story = new Story("abc")
    story.elect("a")
    story.propose("a", "x")
    story.deliver()
    const ref = story.read("a")
    assert.isUndefined(story.reply("a", ref))
    story.deliver()
    assert.deepStrictEqual(story.reply("a", ref), { _tag: "Readable", ref, index: 2 })
  })

  it("[S33] is not answered by a leader that was replaced without knowing", () => {
    const story = new Story("abc")
    story.elect("a")
    story.transfer("a", "b")
    story.deliver(({ to }) => to !== "a")
    assert.deepStrictEqual([story.state("a").role._tag, story.state("b").role._tag], ["Leader", "Leader"])
    const ref = story.read("a")
    story.deliver(only("a"))
    assert.isUndefined(story.reply("a", ref))
    story.beat("a")
    assert.deepStrictEqual(story.reply("a", ref)?._tag, "Refused")
  })

  it("waits until the leader knows what is committed", () => {
    const story = new Story("abc")
    story.stand("a")
    story.deliver(({ message }) => message._tag === "VoteRequest" || message._tag === "VoteReply")
    assert.strictEqual(story.state("a").role._tag, "Leader")
    const ref = story.read("a")
    story.deliver(({ message }) => message._tag !== "AppendReply")
    assert.isUndefined(story.reply("a", ref))
    story.beat("a")
    assert.deepStrictEqual(story.reply("a", ref), { _tag: "Readable", ref, index: 1 })
  })

  it("reads that come together share one round", () => {
    const story = new Story("abc")
    story.elect("a")
    story.read("a")
    const rounds = story.mail.length
    const refs = [story.read("a"), story.read("a"), story.read("a")]
    assert.strictEqual(story.mail.length, rounds)
    story.deliver()
    for (const ref of refs) assert.strictEqual(story.reply("a", ref)?._tag, "Readable")
  })

  it("under a lease is answered at once, until the lease ends or leadership is handed over", () => {
    const story = new Story("abc", { reads: "lease", clockDrift: 0.1 })
    story.elect("a")
    story.beat("a")
    const ref = story.read("a")
    assert.strictEqual(story.reply("a", ref)?._tag, "Readable")
    story.pass(901)
    assert.isUndefined(story.reply("a", story.read("a")))
    story.beat("a")
    story.transfer("a", "b")
    assert.isUndefined(story.reply("a", story.read("a")))
  })
})

describe("the membership", () => {
  it("a learner receives everything and counts for nothing", () => {
    const story = new Story("ab", {}, "z")
    story.elect("a")
    story.propose("a", "x")
    story.deliver(only("az"))
    assert.strictEqual(story.state("z").log.lastIndex, 2)
    assert.deepStrictEqual(story.member("a").applied, [])
    story.beat("a", only("ab"))
    assert.deepStrictEqual(story.member("a").applied, ["x"])
    story.pass(10_000)
    story.tick("z")
    assert.strictEqual(story.state("z").role._tag, "Follower")
    assert.strictEqual(RaftCore.wakeAt(story.state("z")), Infinity)
  })

  it("[S34] a newcomer becomes learner, then voter; the next change waits until the last is committed", () => {
    const story = new Story("abc")
    story.elect("a")
    story.begin("d")
    const first = story.change("a", { _tag: "AddLearner", member: "d" })
    assert.strictEqual(story.reply("a", first)?._tag, "Accepted")
    const early = story.change("a", { _tag: "AddVoter", member: "d" })
    assert.deepStrictEqual(story.reply("a", early), {
      _tag: "Refused",
      ref: early,
      reason: { _tag: "ChangeInProgress" }
    })
    story.deliver()
    const second = story.change("a", { _tag: "AddVoter", member: "d" })
    assert.strictEqual(story.reply("a", second)?._tag, "Accepted")
    story.deliver()
    assert.deepStrictEqual(RaftCore.membership(story.state("d")), { voters: ["a", "b", "c", "d"], learners: [] })
  })

  it("[S34] a leader changes nothing before an entry of its own term is committed", () => {
    const story = new Story("abc")
    story.stand("a")
    story.deliver(({ message }) => message._tag === "VoteRequest" || message._tag === "VoteReply")
    const ref = story.change("a", { _tag: "Remove", member: "c" })
    assert.deepStrictEqual(story.reply("a", ref), { _tag: "Refused", ref, reason: { _tag: "ChangeInProgress" } })
  })

  it("falls back when its entry is replaced", () => {
    const story = new Story("abc")
    story.elect("a")
    story.change("a", { _tag: "Remove", member: "c" })
    story.deliver(only("a"))
    assert.deepStrictEqual(RaftCore.membership(story.state("a")).voters, ["a", "b"])
    story.elect("b", only("bc"))
    for (let i = 0; i < 3; i++) story.beat("b")
    assert.deepStrictEqual(RaftCore.membership(story.state("a")).voters, ["a", "b", "c"])
  })

  it("a leader that removes itself leads until that is committed, then resigns for good", () => {
    const story = new Story("abc")
    story.elect("a")
    story.change("a", { _tag: "Remove", member: "a" })
    assert.strictEqual(story.state("a").role._tag, "Leader")
    story.deliver()
    assert.strictEqual(story.state("a").role._tag, "Follower")
    story.pass(10_000)
    story.tick("a")
    assert.strictEqual(story.state("a").role._tag, "Follower")
    story.elect("b", only("bc"))
  })

  it("who alone knows of its own removal may still bring it about", () => {
    const story = new Story("ab")
    story.elect("a")
    story.change("a", { _tag: "Remove", member: "a" })
    // Its log is ahead of b's, which can therefore never be elected.
    story.write("a")
    story.mail = []
    story.begin("a")
    story.stand("b")
    story.deliver()
    assert.notStrictEqual(story.state("b").role._tag, "Leader")
    story.stand("a")
    story.deliver()
    story.elect("b", only("b"))
    assert.deepStrictEqual(RaftCore.membership(story.state("b")).voters, ["b"])
  })

  it("refuses what would change nothing or leave nobody to vote", () => {
    const story = new Story("a", {}, "l")
    story.elect("a")
    for (
      const change of [
        { _tag: "AddVoter", member: "a" },
        { _tag: "AddLearner", member: "l" },
        { _tag: "Remove", member: "stranger" },
        { _tag: "Remove", member: "a" },
        { _tag: "AddLearner", member: "a" }
      ] as const
    ) {
      const ref = story.change("a", change)
      assert.deepStrictEqual(story.reply("a", ref), {
        _tag: "Refused",
        ref,
        reason: { _tag: "BadMember", member: change.member }
      })
    }
  })
})

describe("a transfer", () => {
  it("waits until the successor has everything, and accepts nothing meanwhile", () => {
    const story = new Story("abc")
    story.elect("a")
    story.propose("a", "x")
    const ref = story.transfer("a", "c")
    assert.deepStrictEqual(story.reply("a", ref), { _tag: "Transferring", ref, to: "c" })
    const refused = story.propose("a", "y")
    assert.deepStrictEqual(story.reply("a", refused), {
      _tag: "Refused",
      ref: refused,
      reason: { _tag: "Transferring", to: "c" }
    })
    story.deliver()
    assert.strictEqual(story.state("c").role._tag, "Leader")
    assert.strictEqual(story.state("a").leader, "c")
    assert.include(story.member("c").applied, "x")
  })

  it("is given up after an election timeout", () => {
    const story = new Story("abc")
    story.elect("a")
    story.transfer("a", "c")
    story.mail = []
    for (let i = 0; i < 11; i++) story.beat("a", only("ab"))
    const ref = story.propose("a", "x")
    assert.strictEqual(story.reply("a", ref)?._tag, "Accepted")
  })

  it("without a name goes to whoever is furthest; to nobody who cannot lead", () => {
    const story = new Story("abc", {}, "l")
    story.elect("a")
    story.propose("a", "x")
    story.deliver(only("ac"))
    const ref = story.transfer("a")
    assert.deepStrictEqual(story.reply("a", ref), { _tag: "Transferring", ref, to: "c" })
    const other = new Story("abc", {}, "l")
    other.elect("a")
    for (const to of ["a", "l", "stranger"]) {
      const refused = other.transfer("a", to)
      assert.deepStrictEqual(other.reply("a", refused), {
        _tag: "Refused",
        ref: refused,
        reason: { _tag: "BadMember", member: to }
      })
    }
  })
})

describe("a snapshot", () => {
  const snapshot = (story: Story, id: string, index: number, keep: number): void => {
    story.input(id, { _tag: "Snapshot", index, data: story.member(id).applied.join(), keep })
    story.write(id)
  }

  it("takes the place of the oldest entries, but for those that are kept", () => {
    const story = new Story("a")
    story.elect("a")
    story.propose("a", "1", "2", "3")
    story.deliver()
    snapshot(story, "a", 4, 1)
    assert.deepStrictEqual([story.state("a").log.baseIndex, story.state("a").log.lastIndex], [3, 4])
    assert.deepStrictEqual(story.member("a").disk.entries.map((entry) => entry.index), [4])
    assert.strictEqual(story.member("a").disk.snapshot?.data, "1,2,3")
  })

  it("[S34] with the log after it equals the state: a restart finds both", () => {
    const story = new Story("a")
    story.elect("a")
    story.propose("a", "1", "2")
    story.deliver()
    snapshot(story, "a", 3, 0)
    story.propose("a", "3")
    story.deliver()
    story.begin("a")
    assert.deepStrictEqual(story.member("a").applied, ["1,2"])
    story.elect("a")
    assert.deepStrictEqual(story.member("a").applied, ["1,2", "3"])
  })

  it("reaches a member that needs what is gone, which then goes on from there", () => {
    const story = new Story("abc")
    story.elect("a")
    story.propose("a", "1", "2")
    story.deliver(only("ab"))
    snapshot(story, "a", 3, 0)
    story.propose("a", "3")
    for (let i = 0; i < 3; i++) story.beat("a")
    assert.deepStrictEqual(story.member("c").applied, ["1,2", "3"])
    assert.strictEqual(story.member("c").disk.snapshot?.index, 3)
  })

  it("that was lost is sent again", () => {
    const story = new Story("abc", { snapshotTimeout: 300 })
    story.elect("a")
    story.propose("a", "1", "2")
    story.deliver(only("ab"))
    snapshot(story, "a", 3, 0)
    for (let i = 0; i < 2; i++) story.beat("a", (letter) => letter.message._tag !== "InstallSnapshot")
    for (let i = 0; i < 5; i++) story.beat("a")
    assert.deepStrictEqual(story.member("c").applied, ["1,2"])
  })

  it("is refused for what was not applied, and ignored when there is a newer one", () => {
    const story = new Story("a")
    story.elect("a")
    story.propose("a", "1", "2")
    story.deliver()
    story.input("a", { _tag: "Snapshot", index: 9, data: "invented", keep: 0 })
    assert.isUndefined(story.state("a").snapshot)
    snapshot(story, "a", 3, 0)
    story.input("a", { _tag: "Snapshot", index: 2, data: "old", keep: 0 })
    assert.strictEqual(story.state("a").snapshot?.data, "1,2")
  })
})

describe("the function", () => {
  it("leaves the states that it was given as they were", () => {
    const story = new Story("abc")
    story.elect("a")
    story.propose("a", "1", "2")
    story.deliver()
    const state = story.state("a")
    const before = JSON.stringify(state)
    const input = { _tag: "Propose", commands: [{ ref: 99, command: "x", size: 1 }] } as const
    const [once, output] = RaftCore.step(state, story.now, input)
    const [twice, again] = RaftCore.step(state, story.now, input)
    assert.strictEqual(once.log.at(4).content._tag, "Command")
    assert.deepStrictEqual(again, output)
    assert.strictEqual(twice.log.lastIndex, once.log.lastIndex)
    assert.strictEqual(
      JSON.stringify({ ...state, log: undefined }),
      JSON.stringify({ ...JSON.parse(before), log: undefined })
    )
    assert.strictEqual(state.log.lastIndex, 3)
  })
})

describe("a leader of another group", () => {
  it("replaces nothing that is committed, and hears no answer to it", () => {
    const story = new Story("abc")
    story.elect("a")
    story.propose("a", "x", "y")
    story.deliver()
    story.beat("a")
    assert.deepStrictEqual(story.member("b").applied, ["x", "y"])
    const term = story.state("b").term + 1
    story.input("b", {
      _tag: "Receive",
      from: "c",
      message: {
        _tag: "Append",
        term,
        previousIndex: 1,
        previousTerm: 1,
        entries: [{ index: 2, term, content: { _tag: "Command", command: "z", size: 1 } }],
        commit: 2,
        round: 1
      }
    })
    assert.strictEqual(story.terms("b"), "111")
    assert.isEmpty(story.mail.filter(({ from, message }) => from === "b" && message._tag === "AppendReply"))
  })
})
