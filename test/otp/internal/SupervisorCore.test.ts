/**
 * The supervisor core, in conversations. The language is described in SupervisorScenario.ts.
 */
import { assert, describe, it } from "@effect/vitest"
import { play } from "./SupervisorScenario.ts"

const scenario = (title: string, text: string): void => {
  it(title, () => {
    play(text)
  })
}

describe("S1: the intensity window", () => {
  scenario(
    "[S1] more than N restarts in the period are too many",
    `
    one_for_one intensity 2 period 5000
    child a
    start            -> start a
    ok a             -> ready
    down a boom      -> report child_terminated a.1 boom, start a #1
    ok a
    at 1000 down a boom -> report child_terminated a.2 boom, start a #2
    ok a
    at 5999 down a boom -> report child_terminated a.3 boom, report shutdown a.3 reached_max_restart_intensity, END shutdown
  `
  )

  scenario(
    "[S1] the window slides: a whole second past the period the first restart is forgotten",
    `
    one_for_one intensity 1 period 5000
    child a
    start            -> start a
    ok a             -> ready
    down a boom      -> report child_terminated a.1 boom, start a #1
    ok a
    at 6000 down a boom -> report child_terminated a.2 boom, start a #1
    ok a
    at 11999 down a boom -> report child_terminated a.3 boom, report shutdown a.3 reached_max_restart_intensity, END shutdown
  `
  )

  scenario(
    "[S1] failed restart attempts count",
    `
    one_for_one intensity 2 period 5000
    child a
    start            -> start a
    ok a             -> ready
    down a boom      -> report child_terminated a.1 boom, start a #1
    fail a busy      -> report start_error a.1 busy, delay a #2
    retry a          -> start a #2
    fail a busy      -> report start_error a.1 busy, delay a #3
    retry a          -> report shutdown a.1 reached_max_restart_intensity, END shutdown
  `
  )

  scenario(
    "[S1] a group restart counts once, however many it restarts",
    `
    one_for_all intensity 1 period 5000
    child a
    child b
    child c
    start            -> start a
    ok a             -> start b
    ok b             -> start c
    ok c             -> ready
    down b boom      -> report child_terminated b.1 boom, exit c.1, arm 5000
    down c shutdown  -> disarm, exit a.1, arm 5000
    down a shutdown  -> disarm, start a
    ok a             -> start b #1
    ok b             -> start c
    ok c
    down a boom      -> report child_terminated a.2 boom, report shutdown a.2 reached_max_restart_intensity, exit c.2, arm 5000
    down c shutdown  -> disarm, exit b.2, arm 5000
    down b shutdown  -> disarm, END shutdown
  `
  )

  scenario(
    "[S1] two deaths met by one group restart count once",
    `
    one_for_all intensity 1 period 5000
    child a
    child b
    child c
    start            -> start a
    ok a             -> start b
    ok b             -> start c
    ok c             -> ready
    down a boom      -> report child_terminated a.1 boom, exit c.1, arm 5000
    # b dies of itself while c is being stopped: that is found when its turn comes.
    down b bang
    down c shutdown  -> disarm, report shutdown_error b.1 bang, start a #1
    ok a             -> start b
    ok b             -> start c
    ok c
  `
  )

  scenario(
    "[S1] under one_for_one two deaths count twice",
    `
    one_for_one intensity 1 period 5000
    child a
    child b
    start            -> start a
    ok a             -> start b
    ok b             -> ready
    down a boom      -> report child_terminated a.1 boom, start a #1
    down b boom
    ok a             -> report child_terminated b.1 boom, report shutdown b.1 reached_max_restart_intensity, exit a.2, arm 5000
    down a shutdown  -> disarm, END shutdown
  `
  )

  scenario(
    "[S1] intensity 0 never restarts",
    `
    one_for_one intensity 0
    child a
    start            -> start a
    ok a             -> ready
    down a boom      -> report child_terminated a.1 boom, report shutdown a.1 reached_max_restart_intensity, END shutdown
  `
  )
})

describe("S2: giving up", () => {
  scenario(
    "[S2] stops the children in reverse order and ends with shutdown",
    `
    one_for_one intensity 0
    child a
    child b
    child c
    start            -> start a
    ok a             -> start b
    ok b             -> start c
    ok c             -> ready
    down b boom      -> report child_terminated b.1 boom, report shutdown b.1 reached_max_restart_intensity, exit c.1, arm 5000
    down c shutdown  -> disarm, exit a.1, arm 5000
    down a shutdown  -> disarm, END shutdown
  `
  )

  scenario(
    "[S2] a transient supervisor that gave up is not restarted by the level above",
    `
    one_for_one
    child sub transient supervisor
    start            -> start sub
    ok sub           -> ready
    down sub shutdown
    x: which         -> x: [sub:down]
  `
  )

  scenario(
    "[S2] a supervisor that gave up has no time for the parent or for calls",
    `
    one_for_one intensity 0
    child a
    child b
    start            -> start a
    ok a             -> start b
    ok b             -> ready
    down b boom      -> report child_terminated b.1 boom, report shutdown b.1 reached_max_restart_intensity, exit a.1, arm 5000
    parent killed
    x: which
    down a shutdown  -> disarm, END shutdown
  `
  )
})

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

describe("S5: restart types", () => {
  for (const reason of ["normal", "shutdown", "{shutdown}"]) {
    scenario(
      `[S5] ${reason}: restarts a permanent child, not a transient or temporary one`,
      `
      one_for_one
      child p
      child t transient
      child u temporary
      start            -> start p
      ok p             -> start t
      ok t             -> start u
      ok u             -> ready
      down t ${reason}
      down u ${reason}
      down p ${reason} -> report child_terminated p.1 ${reason}, start p #1
      ok p
      x: which         -> x: [t:down p.2]
    `
    )
  }

  for (const reason of ["boom", "killed"]) {
    scenario(
      `[S5] ${reason}: restarts a permanent and a transient child, not a temporary one`,
      `
      one_for_one intensity 2
      child p
      child t transient
      child u temporary
      start            -> start p
      ok p             -> start t
      ok t             -> start u
      ok u             -> ready
      down u ${reason} -> report child_terminated u.1 ${reason}
      down t ${reason} -> report child_terminated t.1 ${reason}, start t #1
      ok t
      down p ${reason} -> report child_terminated p.1 ${reason}, start p #1
      ok p
      x: which         -> x: [t.2 p.2]
    `
    )
  }

  scenario(
    "[S5] a child that says ignore to its restart stays down",
    `
    one_for_one
    child a
    start            -> start a
    ok a             -> ready
    down a boom      -> report child_terminated a.1 boom, start a #1
    ignore a
    x: which         -> x: [a:down]
  `
  )

  scenario(
    "[S5] temporary children disappear when they are terminated",
    `
    one_for_one
    child a temporary
    start            -> start a
    ok a             -> ready
    x: terminate a   -> exit a.1, arm 5000
    down a shutdown  -> disarm, x: Done
    x: which         -> x: []
  `
  )
})

describe("S6: groups", () => {
  scenario(
    "[S6] rest_for_one restarts the failed child and those after it",
    `
    rest_for_one
    child a
    child b
    child c
    child d
    start            -> start a
    ok a             -> start b
    ok b             -> start c
    ok c             -> start d
    ok d             -> ready
    down b boom      -> report child_terminated b.1 boom, exit d.1, arm 5000
    down d shutdown  -> disarm, exit c.1, arm 5000
    down c shutdown  -> disarm, start b #1
    ok b             -> start c
    ok c             -> start d
    ok d
    x: which         -> x: [d.2 c.2 b.2 a.1]
  `
  )

  scenario(
    "[S6] a temporary member is stopped with the group and not brought back",
    `
    one_for_all
    child a
    child b temporary
    child c transient
    start            -> start a
    ok a             -> start b
    ok b             -> start c
    ok c             -> ready
    down a boom      -> report child_terminated a.1 boom, exit c.1, arm 5000
    down c normal    -> disarm, exit b.1, arm 5000
    down b shutdown  -> disarm, start a #1
    ok a             -> start c
    ok c
    x: which         -> x: [c.2 a.2]
  `
  )

  scenario(
    "[S6] a temporary crash or an orderly transient end restarts nobody",
    `
    one_for_all
    child a
    child b temporary
    child c transient
    start            -> start a
    ok a             -> start b
    ok b             -> start c
    ok c             -> ready
    down b boom      -> report child_terminated b.1 boom
    down c {shutdown}
    x: which         -> x: [c:down a.1]
  `
  )

  scenario(
    "[S6] members that were down come back with their group",
    `
    one_for_all
    child a
    child b transient
    child c
    start            -> start a
    ok a             -> start b
    ok b             -> start c
    ok c             -> ready
    down b normal
    x: terminate c   -> exit c.1, arm 5000
    down c shutdown  -> disarm, x: Done
    down a boom      -> report child_terminated a.1 boom, start a #1
    ok a             -> start b
    ok b             -> start c
    ok c
  `
  )

  scenario(
    "[S6] a failure during a rest_for_one restart retries from the failing child",
    `
    rest_for_one intensity 2
    child a
    child b
    child c
    start            -> start a
    ok a             -> start b
    ok b             -> start c
    ok c             -> ready
    down a boom      -> report child_terminated a.1 boom, exit c.1, arm 5000
    down c shutdown  -> disarm, exit b.1, arm 5000
    down b shutdown  -> disarm, start a #1
    ok a             -> start b
    fail b busy      -> report start_error b busy, delay b #1
    x: which         -> x: [c:down b:restarting a.2]
    retry b          -> start b #1
    ok b             -> start c
    ok c
    x: which         -> x: [c.2 b.2 a.2]
  `
  )

  scenario(
    "[S6] a failure during a one_for_all restart retries the whole group",
    `
    one_for_all intensity 2
    child a
    child b
    child c
    start            -> start a
    ok a             -> start b
    ok b             -> start c
    ok c             -> ready
    down c boom      -> report child_terminated c.1 boom, exit b.1, arm 5000
    down b shutdown  -> disarm, exit a.1, arm 5000
    down a shutdown  -> disarm, start a
    ok a             -> start b
    fail b busy      -> report start_error b busy, delay b #1
    x: which         -> x: [c:down b:restarting a.2]
    retry b          -> exit a.2, arm 5000
    down a shutdown  -> disarm, start a
    ok a             -> start b #1
    fail b busy      -> report start_error b busy, delay b #2
    # the third attempt is one too many; c was never brought back
    retry b          -> report shutdown b reached_max_restart_intensity, exit a.3, arm 5000
    down a shutdown  -> disarm, END shutdown
  `
  )

  scenario(
    "[S6] a group restart takes a pending retry with it",
    `
    one_for_all intensity 5
    child a
    child b
    start            -> start a
    ok a             -> start b
    ok b             -> ready
    down a boom      -> report child_terminated a.1 boom, exit b.1, arm 5000
    down b shutdown  -> disarm, start a #1
    ok a             -> start b
    fail b busy      -> report start_error b busy, delay b #1
    down a boom      -> report child_terminated a.2 boom, undelay b, start a #2
    ok a             -> start b
    ok b
    # the message of the old retry comes late
    retry b
  `
  )
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

describe("S9: administration", () => {
  scenario(
    "[S9] start: already_started, already_present, ignored, failed, invalid",
    `
    one_for_one
    child a
    start            -> start a
    ok a             -> ready
    x: start a       -> x: AlreadyStarted a.1
    x: start b transient -> start b
    ok b             -> x: Started b.1
    down b normal
    x: start b       -> x: AlreadyPresent
    x: start c       -> start c
    ignore c         -> x: Ignored
    x: start c       -> x: AlreadyPresent
    x: start d temporary -> start d
    ignore d         -> x: Ignored
    x: start e       -> start e
    fail e busy      -> x: StartFailed busy
    x: start f shutdown -1 -> x: InvalidSpec InvalidShutdown
    x: start f transient significant -> x: InvalidSpec SignificantNever
    x: which         -> x: [c:down b:down a.1]
    x: spawn 1       -> x: NotSimpleOneForOne
    x: terminate a.1 -> x: NotSimpleOneForOne
  `
  )

  scenario(
    "[S9] terminate, restart, delete: running, restarting, not_found",
    `
    one_for_one intensity 5
    child a
    start            -> start a
    ok a             -> ready
    x: restart a     -> x: Running a.1
    x: delete a      -> x: Running a.1
    x: terminate a   -> exit a.1, arm 5000
    down a shutdown  -> disarm, x: Done
    x: terminate a   -> x: Done
    x: restart a     -> start a
    fail a busy      -> x: StartFailed busy
    x: restart a     -> start a
    ignore a         -> x: Ignored
    x: restart a     -> start a
    ok a             -> x: Started a.2
    down a boom      -> report child_terminated a.2 boom, start a #1
    fail a busy      -> report start_error a.2 busy, delay a #2
    x: start a       -> x: AlreadyPresent
    x: restart a     -> x: Restarting
    x: delete a      -> x: Restarting
    x: terminate a   -> undelay a, x: Done
    retry a
    x: delete a      -> x: Done
    x: delete a      -> x: NotFound
    x: restart a     -> x: NotFound
    x: terminate a   -> x: NotFound
    x: spec a        -> x: NotFound
    x: start a       -> start a
    ok a             -> x: Started a.3
  `
  )

  scenario(
    "[S9] a restarted child keeps its place; the list is newest first",
    `
    one_for_one
    child a
    child b
    start            -> start a
    ok a             -> start b
    ok b             -> ready
    x: start c       -> start c
    ok c             -> x: Started c.1
    down a boom      -> report child_terminated a.1 boom, start a #1
    ok a
    x: which         -> x: [c.1 b.1 a.2]
    x: spec b        -> x: Spec b permanent 5000 worker
  `
  )

  scenario(
    "[S9] counts: specifications, the living, supervisors, workers",
    `
    one_for_one
    child a
    child b supervisor
    child c transient
    child d temporary
    start            -> start a
    ok a             -> start b
    ok b             -> start c
    ok c             -> start d
    ok d             -> ready
    down c normal
    x: count         -> x: specs 4 active 3 supervisors 1 workers 3
    x: terminate d   -> exit d.1, arm 5000
    y: count
    # a has died, but its supervisor does not know yet when it counts
    down a boom
    down d shutdown  -> disarm, x: Done, y: specs 3 active 1 supervisors 1 workers 2, report child_terminated a.1 boom, start a #1
  `
  )

  scenario(
    "[S9] dynamic children are addressed by process and keep their arguments",
    `
    simple_one_for_one intensity 5
    child t
    start            -> ready
    x: spawn one     -> start t(one)
    ok t             -> x: Started t.1
    x: spawn two     -> start t(two)
    ok t             -> x: Started t.2
    down t.1 boom    -> report child_terminated t.1 boom, start t(one) #1
    ok t
    x: which         -> x: [t.3 t.2]
    x: terminate t.1 -> x: NotFound
    x: terminate t.1 dead -> x: Done
    x: terminate t.3 -> exit t.3, arm 5000
    down t.3 shutdown -> disarm, x: Done
    x: which         -> x: [t.2]
    x: count         -> x: specs 1 active 1 supervisors 0 workers 1
    x: spec t        -> x: Spec t permanent 5000 worker
  `
  )

  scenario(
    "[S9] a dynamic child that cannot be restarted is known by its last process until it is",
    `
    simple_one_for_one intensity 9
    child t
    start            -> ready
    x: spawn one     -> start t(one)
    ok t             -> x: Started t.1
    down t.1 boom    -> report child_terminated t.1 boom, start t(one) #1
    fail t busy      -> report start_error t.1 busy, delay t(one) #2
    x: which         -> x: [restarting]
    x: count         -> x: specs 1 active 0 supervisors 0 workers 1
    retry t          -> start t(one) #2
    fail t busy      -> report start_error t.1 busy, delay t(one) #3
    x: terminate t.1 -> undelay t(one), x: Done
    retry t
    x: which         -> x: []
  `
  )

  scenario(
    "[S9] dynamic starts that fail or are ignored leave nothing behind, also restarts that are ignored",
    `
    simple_one_for_one
    child t supervisor
    start            -> ready
    x: spawn one     -> start t(one)
    fail t busy      -> x: StartFailed busy
    x: spawn two     -> start t(two)
    ignore t         -> x: Ignored
    x: spawn three   -> start t(three)
    ok t             -> x: Started t.1
    x: count         -> x: specs 1 active 1 supervisors 1 workers 0
    down t.1 boom    -> report child_terminated t.1 boom, start t(three) #1
    ignore t
    x: count         -> x: specs 1 active 0 supervisors 0 workers 0
  `
  )

  scenario(
    "[S9] calls that need ids are refused by a dynamic supervisor",
    `
    simple_one_for_one
    child t
    start            -> ready
    x: start a       -> x: SimpleOneForOne
    x: terminate a   -> x: SimpleOneForOne
    x: restart a     -> x: SimpleOneForOne
    x: delete a      -> x: SimpleOneForOne
  `
  )

  scenario(
    "[S9] max_children counts children that wait for their restart",
    `
    simple_one_for_one max 1 intensity 9
    child t
    start            -> ready
    x: spawn 1       -> start t(1)
    y: spawn 2
    ok t             -> x: Started t.1, y: MaxChildren 1
    down t.1 boom    -> report child_terminated t.1 boom, start t(1) #1
    fail t busy      -> report start_error t.1 busy, delay t(1) #2
    x: spawn 3       -> x: MaxChildren 1
  `
  )

  scenario(
    "[S9] calls wait in order of arrival while a child starts or stops",
    `
    one_for_one
    child a
    start            -> start a
    ok a             -> ready
    x: terminate a   -> exit a.1, arm 5000
    y: restart a
    z: start b
    y: which
    down a shutdown  -> disarm, x: Done, start a
    ok a             -> y: Started a.2, start b
    ok b             -> z: Started b.1, y: [b.1 a.2]
  `
  )

  scenario(
    "[S9] terminating a child whose death was not noticed yet reports of what it died",
    `
    one_for_one
    child a
    child b
    start            -> start a
    ok a             -> start b
    ok b             -> ready
    x: terminate a   -> exit a.1, arm 5000
    y: terminate b
    down b boom
    down a shutdown  -> disarm, x: Done, report shutdown_error b.1 boom, y: Done
    x: which         -> x: [b:down a:down]
  `
  )
})

describe("restarts with back-off", () => {
  scenario(
    "the first attempt is put off too, and counts when it is made",
    `
    one_for_one intensity 1 period 5000 backoff
    child a
    start            -> start a
    ok a             -> ready
    down a boom      -> report child_terminated a.1 boom, delay a #1
    x: which         -> x: [a:restarting]
    at 1000 retry a  -> start a #1
    ok a
    at 2000 down a boom -> report child_terminated a.2 boom, delay a #2
    at 7000 retry a  -> start a #2
    fail a busy      -> report start_error a.2 busy, delay a #3
    at 9000 retry a  -> report shutdown a.2 reached_max_restart_intensity, END shutdown
  `
  )

  scenario(
    "attempts count up until a child has run for the reset time",
    `
    one_for_one intensity 100 reset 1000
    child a
    start            -> start a
    ok a             -> ready
    down a boom      -> report child_terminated a.1 boom, delay a #1
    at 10 retry a    -> start a #1
    ok a
    at 1009 down a boom -> report child_terminated a.2 boom, delay a #2
    at 2000 retry a  -> start a #2
    ok a
    at 3000 down a boom -> report child_terminated a.3 boom, delay a #1
  `
  )

  scenario(
    "a group is stopped before the delay and started after it",
    `
    rest_for_one intensity 9 backoff
    child a
    child b
    child c temporary
    start            -> start a
    ok a             -> start b
    ok b             -> start c
    ok c             -> ready
    down a boom      -> report child_terminated a.1 boom, exit c.1, arm 5000
    down c shutdown  -> disarm, exit b.1, arm 5000
    down b shutdown  -> disarm, delay a #1
    x: which         -> x: [b:down a:restarting]
    retry a          -> start a #1
    ok a             -> start b
    ok b
    x: which         -> x: [b.2 a.2]
  `
  )

  scenario(
    "a child that was started by hand during the delay is restarted with its group",
    `
    one_for_all intensity 9 backoff
    child a
    child b
    start            -> start a
    ok a             -> start b
    ok b             -> ready
    down a boom      -> report child_terminated a.1 boom, exit b.1, arm 5000
    down b shutdown  -> disarm, delay a #1
    x: restart b     -> start b
    ok b             -> x: Started b.2
    x: restart a     -> x: Restarting
    retry a          -> exit b.2, arm 5000
    down b shutdown  -> disarm, start a #1
    ok a             -> start b
    ok b
  `
  )

  scenario(
    "terminate cancels the delay, for a dynamic child by its last process",
    `
    simple_one_for_one intensity 9 backoff
    child t
    start            -> ready
    x: spawn 1       -> start t(1)
    ok t             -> x: Started t.1
    down t.1 boom    -> report child_terminated t.1 boom, delay t(1) #1
    x: terminate t.1 -> undelay t(1), x: Done
    retry t
    x: which         -> x: []
  `
  )

  scenario(
    "the end of the supervisor cancels every delay",
    `
    one_for_one backoff
    child a
    child b
    start            -> start a
    ok a             -> start b
    ok b             -> ready
    down b boom      -> report child_terminated b.1 boom, delay b #1
    parent shutdown  -> undelay b, exit a.1, arm 5000
    retry b
    down a shutdown  -> disarm, END parent shutdown
  `
  )

  scenario(
    "the parent during the stop before a delay",
    `
    one_for_all backoff
    child a
    child b
    start            -> start a
    ok a             -> start b
    ok b             -> ready
    down b boom      -> report child_terminated b.1 boom, exit a.1, arm 5000
    parent shutdown
    down a shutdown  -> disarm, undelay b, END parent shutdown
  `
  )
})
