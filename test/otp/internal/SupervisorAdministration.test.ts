/**
 * The supervisor core, in conversations: the administration calls. The language is described in
 * SupervisorScenario.ts.
 */
import { describe, it } from "@effect/vitest"
import { play } from "./SupervisorScenario.ts"

const scenario = (title: string, text: string): void => {
  it(title, () => {
    play(text)
  })
}

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
