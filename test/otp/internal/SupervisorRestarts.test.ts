/**
 * The supervisor core, in conversations: when children are restarted, and when no longer. The language is described in
 * SupervisorScenario.ts.
 */
import { describe, it } from "@effect/vitest"
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
