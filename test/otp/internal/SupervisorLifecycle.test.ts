/**
 * The supervisor core, in conversations: how it starts, stops and ends. The language is described in
 * SupervisorScenario.ts.
 */
import { assert, describe, it } from "@effect/vitest"
import { play } from "./SupervisorScenario.ts"

const scenario = (title: string, text: string): void => {
  it(title, () => {
    play(text)
  })
}

describe("S3: stopping", () => {
  scenario(
    "[S3] in reverse order, one after another, each with its own limit, then killed",
    `
    one_for_one
    child a shutdown 100
    child b shutdown 200
    start            -> start a
    ok a             -> start b
    ok b             -> ready
    parent shutdown  -> exit b.1, arm 200
    timer            -> kill b.1
    down b killed    -> report shutdown_error b.1 killed, exit a.1, arm 100
    down a shutdown  -> disarm, END parent shutdown
  `
  )

  scenario(
    "[S3] a limit that ran out late is not mistaken for the next one",
    `
    one_for_one
    child a shutdown 100
    child b shutdown infinity
    start            -> start a
    ok a             -> start b
    ok b             -> ready
    x: terminate a   -> exit a.1, arm 100
    down a shutdown  -> disarm, x: Done
    parent shutdown  -> exit b.1
    timer
    down b shutdown  -> END parent shutdown
  `
  )

  scenario(
    "[S3] brutal_kill does not ask, infinity really waits",
    `
    one_for_one
    child a shutdown infinity
    child b shutdown brutal_kill
    start            -> start a
    ok a             -> start b
    ok b             -> ready
    parent shutdown  -> kill b.1
    down b killed    -> exit a.1
    timer
    at 999999999 down a shutdown -> END parent shutdown
  `
  )

  scenario(
    "[S3] what a stopped child may die of: permanent children of nothing but shutdown",
    `
    one_for_one
    child a
    child b transient
    child c temporary
    child d shutdown brutal_kill
    child e transient shutdown brutal_kill
    start            -> start a
    ok a             -> start b
    ok b             -> start c
    ok c             -> start d
    ok d             -> start e
    ok e             -> ready
    parent boom      -> kill e.1
    down e normal    -> kill d.1
    down d shutdown  -> report shutdown_error d.1 shutdown, exit c.1, arm 5000
    down c {shutdown} -> disarm, exit b.1, arm 5000
    down b normal    -> disarm, exit a.1, arm 5000
    down a normal    -> disarm, report shutdown_error a.1 normal, END parent boom
  `
  )

  scenario(
    "[S3] a crash during the stop is reported with its reason, whatever the restart type",
    `
    one_for_one
    child a temporary
    start            -> start a
    ok a             -> ready
    parent shutdown  -> exit a.1, arm 5000
    down a boom      -> disarm, report shutdown_error a.1 boom, END parent shutdown
  `
  )

  scenario(
    "[S3] dynamic children stop in parallel with one shared limit and one report for each reason",
    `
    simple_one_for_one
    child t shutdown 100
    start            -> ready
    x: spawn 1       -> start t(1)
    ok t             -> x: Started t.1
    x: spawn 2       -> start t(2)
    ok t             -> x: Started t.2
    x: spawn 3       -> start t(3)
    ok t             -> x: Started t.3
    x: spawn 4       -> start t(4)
    ok t             -> x: Started t.4
    parent shutdown  -> exit t.4, exit t.3, exit t.2, exit t.1, arm 100
    down t.2 shutdown
    down t.1 boom
    timer            -> kill t.4, kill t.3
    down t.3 killed
    down t.4 killed  -> report shutdown_error t.1*1 boom, report shutdown_error t*2 killed, END parent shutdown
  `
  )

  scenario(
    "[S3] a dynamic supervisor kills brutally, waits forever, or ends at once when it is empty",
    `
    simple_one_for_one
    child t shutdown brutal_kill
    start            -> ready
    x: spawn 1       -> start t(1)
    ok t             -> x: Started t.1
    parent shutdown  -> kill t.1
    down t.1 killed  -> END parent shutdown
  `
  )
  scenario(
    "[S3] an empty dynamic supervisor ends at once",
    `
    simple_one_for_one
    child t
    start            -> ready
    parent boom      -> END parent boom
  `
  )
  scenario(
    "[S3] dynamic children with infinity are waited for",
    `
    simple_one_for_one
    child t shutdown infinity
    start            -> ready
    x: spawn 1       -> start t(1)
    ok t             -> x: Started t.1
    parent shutdown  -> exit t.1
    timer
    down t.1 shutdown -> END parent shutdown
  `
  )
})

describe("S4: starting", () => {
  scenario(
    "[S4] one after another, each when the one before is up",
    `
    with progress
    one_for_one
    child a
    child b
    start            -> start a
    ok a             -> progress a.1, start b
    ok b             -> progress b.1, ready
  `
  )

  scenario(
    "[S4] a failure stops the earlier ones in reverse order and names the child",
    `
    one_for_one
    child a
    child b shutdown brutal_kill
    child c
    child d
    start            -> start a
    ok a             -> start b
    ok b             -> start c
    fail c busy      -> report start_error c busy, kill b.1
    down b killed    -> exit a.1, arm 5000
    down a shutdown  -> disarm, END failed c busy
  `
  )

  scenario(
    "[S4] a child that says ignore stays as a specification without a process",
    `
    one_for_one
    child a
    child b temporary
    start            -> start a
    ignore a         -> start b
    ignore b         -> ready
    x: which         -> x: [a:down]
  `
  )

  scenario(
    "[S4] a child that dies while the next one starts is restarted when all are up",
    `
    one_for_one
    child a
    child b
    start            -> start a
    ok a             -> start b
    down a boom
    x: which
    ok b             -> ready, report child_terminated a.1 boom, start a #1
    ok a             -> x: [b.1 a.2]
  `
  )

  scenario(
    "[S4] a supervisor without children is ready at once",
    `
    one_for_all
    start            -> ready
  `
  )

  it("refuses the outcome of a start that is not under way", () => {
    const core = play(`
      one_for_one
      child a
      start          -> start a
      ok a           -> ready
    `)
    assert.throws(() => core.step(0, { _tag: "ChildStarted", child: 1, key: "a.2" }), /ChildStarted for child 1/)
    assert.throws(() => core.step(0, { _tag: "Start" }), /Start was fed twice/)
  })
})

describe("S7: the parent", () => {
  scenario(
    "[S7] strangers' exit signals are ignored",
    `
    one_for_one
    child a
    start            -> start a
    ok a             -> ready
    down stranger.1 killed
    down stranger.1 shutdown
    x: which         -> x: [a.1]
  `
  )

  scenario(
    "[S7] an exit that is told twice is one exit, an exit of a former process none",
    `
    simple_one_for_one intensity 1
    child t
    start            -> ready
    x: spawn 1       -> start t(1)
    ok t             -> x: Started t.1
    x: spawn 2       -> start t(2)
    down t.1 boom
    down t.1 boom
    ok t             -> x: Started t.2, report child_terminated t.1 boom, start t(1) #1
    down t.1 boom
    fail t busy      -> report start_error t.1 busy, delay t(1) #2
    down t.1 boom
    x: which         -> x: [restarting t.2]
  `
  )

  scenario(
    "[S7] a former process of a child is a stranger, and after the end nothing is heard",
    `
    one_for_one
    child a
    start            -> start a
    ok a             -> ready
    down a boom      -> report child_terminated a.1 boom, start a #1
    ok a
    down a.1 boom
    parent shutdown  -> exit a.2, arm 5000
    down a shutdown  -> disarm, END parent shutdown
    x: which
    down a.2 boom
    retry a
    timer
    parent again
  `
  )

  for (const reason of ["shutdown", "normal", "killed", "boom"]) {
    scenario(
      `[S7] the parent's ${reason} becomes the supervisor's`,
      `
      one_for_one
      child a
      start            -> start a
      ok a             -> ready
      parent ${reason} -> exit a.1, arm 5000
      parent again
      down a shutdown  -> disarm, END parent ${reason}
    `
    )
  }

  scenario(
    "[S7] a start that blocks is aborted, with the patience of the child's shutdown",
    `
    one_for_one
    child a
    child b shutdown 100
    child c
    start            -> start a
    ok a             -> start b
    parent shutdown  -> abort b, arm 100
    timer            -> abort b kill
    fail b killed    -> exit a.1, arm 5000
    down a shutdown  -> disarm, END parent shutdown
  `
  )

  scenario(
    "[S7] an aborted start that succeeds after all is stopped like the others",
    `
    one_for_one
    child a
    child b
    start            -> start a
    parent shutdown  -> abort a, arm 5000
    ok a             -> disarm, exit a.1, arm 5000
    down a shutdown  -> disarm, END parent shutdown
  `
  )

  scenario(
    "[S7] brutal_kill aborts brutally",
    `
    one_for_one
    child a shutdown brutal_kill
    start            -> start a
    parent shutdown  -> abort a kill
    fail a killed    -> END parent shutdown
  `
  )
  scenario(
    "[S7] a worker with infinity has five seconds to give up its start",
    `
    one_for_one
    child a shutdown infinity
    start            -> start a
    parent shutdown  -> abort a, arm 5000
    timer            -> abort a kill
    fail a killed    -> END parent shutdown
  `
  )
  scenario(
    "[S7] a supervisor that is still starting is given all the time it needs",
    `
    one_for_one
    child sub supervisor
    start            -> start sub
    parent shutdown  -> abort sub
    ignore sub       -> END parent shutdown
  `
  )

  scenario(
    "[S7] while a group is being stopped: the rest is stopped too and nobody is started",
    `
    rest_for_one
    child a
    child b
    child c
    start            -> start a
    ok a             -> start b
    ok b             -> start c
    ok c             -> ready
    down b boom      -> report child_terminated b.1 boom, exit c.1, arm 5000
    parent boom
    down c shutdown  -> disarm, exit a.1, arm 5000
    down a shutdown  -> disarm, END parent boom
  `
  )

  scenario(
    "[S7] while a child restarts: it is aborted without a retry",
    `
    one_for_one
    child a
    child b
    start            -> start a
    ok a             -> start b
    ok b             -> ready
    down b boom      -> report child_terminated b.1 boom, start b #1
    parent shutdown  -> abort b, arm 5000
    fail b killed    -> disarm, undelay b, exit a.1, arm 5000
    down a shutdown  -> disarm, END parent shutdown
  `
  )

  scenario(
    "[S7] it passes what waits in the queue",
    `
    one_for_one
    child a
    child b
    start            -> start a
    ok a             -> start b
    ok b             -> ready
    x: terminate b   -> exit b.1, arm 5000
    down a boom
    y: which
    parent shutdown
    down b shutdown  -> disarm, x: Done, report shutdown_error a.1 boom, END parent shutdown
  `
  )
})

describe("S8: significant children", () => {
  scenario(
    "[S8] any_significant: the first significant end ends the supervisor with shutdown",
    `
    one_for_one any_significant
    child a
    child b transient significant
    child c transient significant
    start            -> start a
    ok a             -> start b
    ok b             -> start c
    ok c             -> ready
    down b normal    -> exit c.1, arm 5000
    down c shutdown  -> disarm, exit a.1, arm 5000
    down a shutdown  -> disarm, END shutdown
  `
  )

  scenario(
    "[S8] all_significant: the last significant end does",
    `
    one_for_one all_significant
    child a temporary
    child b transient significant
    child c temporary significant
    start            -> start a
    ok a             -> start b
    ok b             -> start c
    ok c             -> ready
    down a normal
    down b normal
    down c boom      -> report child_terminated c.1 boom, END shutdown
  `
  )

  scenario(
    "[S8] a significant child that waits for its restart still counts as there",
    `
    one_for_one all_significant intensity 5
    child b transient significant
    child c temporary significant
    start            -> start b
    ok b             -> start c
    ok c             -> ready
    down b boom      -> report child_terminated b.1 boom, start b #1
    fail b busy      -> report start_error b.1 busy, delay b #2
    down c normal
    retry b          -> start b #2
    ok b
    down b normal    -> END shutdown
  `
  )

  scenario(
    "[S8] an abnormal transient end restarts the child and ends nothing",
    `
    one_for_one any_significant
    child b transient significant
    start            -> start b
    ok b             -> ready
    down b boom      -> report child_terminated b.1 boom, start b #1
    ok b
  `
  )

  scenario(
    "[S8] explicit termination does not trigger it",
    `
    one_for_one any_significant
    child b transient significant
    start            -> start b
    ok b             -> ready
    x: terminate b   -> exit b.1, arm 5000
    down b shutdown  -> disarm, x: Done
    x: which         -> x: [b:down]
  `
  )

  scenario(
    "[S8] a sibling's group restart does not trigger it",
    `
    one_for_all any_significant
    child a
    child b temporary significant
    start            -> start a
    ok a             -> start b
    ok b             -> ready
    down a boom      -> report child_terminated a.1 boom, exit b.1, arm 5000
    down b normal    -> disarm, start a #1
    ok a
    x: which         -> x: [a.2]
  `
  )

  scenario(
    "[S8] all_significant of a dynamic supervisor: when the last child has gone",
    `
    simple_one_for_one all_significant
    child t temporary significant
    start            -> ready
    x: spawn 1       -> start t(1)
    ok t             -> x: Started t.1
    x: spawn 2       -> start t(2)
    ok t             -> x: Started t.2
    down t.1 normal
    down t.2 normal  -> END shutdown
  `
  )
})
