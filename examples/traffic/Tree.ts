/**
 * The tree of processes of the running application, as JSON: what the page shows, and where it finds what to kill.
 *
 * It is put together from what anybody may ask: supervisors say which children they have (`Supervisor.whichChildren`),
 * every process says what it is about (`Process.info`). A restart is another pid in the place of one that was there; they
 * are counted in the service `Restarts`, which outlives whoever counts.
 */
import { Context, Effect, Layer, Option, Schema } from "effect"
import { type Node, Process, Supervisor } from "effect-otp"
import type { Pid } from "effect-otp/term"

/** A process and those below it. */
export interface TreeNode {
  /** What supervisors know it by, or what it calls itself. */
  readonly name: string
  /** Null while it is being restarted. */
  readonly pid: string | null
  readonly kind: "supervisor" | "worker"
  /** Whether nobody would start it again: with it ends the application. */
  readonly isTop: boolean
  /** What it runs: the name of its protocol, or that of a behaviour. */
  readonly behaviour: string
  readonly status: "starting" | "running" | "exiting" | "restarting" | "down"
  /** Messages that wait. */
  readonly mailbox: number
  /** Null when it has no bound. */
  readonly capacity: number | null
  /** Messages that its full mailbox has dropped. */
  readonly dropped: number
  /** How often it was replaced in its place since the application runs. */
  readonly restarts: number
  readonly children: ReadonlyArray<TreeNode>
  /** Children that are not shown, because there are too many. */
  readonly more: number
}

export const TreeNode = Schema.Struct({
  name: Schema.String,
  pid: Schema.NullOr(Schema.String),
  kind: Schema.Literals(["supervisor", "worker"]),
  isTop: Schema.Boolean,
  behaviour: Schema.String,
  status: Schema.Literals(["starting", "running", "exiting", "restarting", "down"]),
  mailbox: Schema.Int,
  capacity: Schema.NullOr(Schema.Int),
  dropped: Schema.Int,
  restarts: Schema.Int,
  children: Schema.Array(Schema.suspend((): Schema.Codec<TreeNode> => TreeNode)),
  more: Schema.Int
}).annotate({ identifier: "Process" })

/** How many children of one process are shown: connections may be thousands. */
const shown = 24

/** How long a supervisor may take to answer: one that starts a child is busy with that. */
const patience = "200 millis"

/** Who was where, by path of ids, and how often that has changed. */
class Places {
  private readonly places = new Map<string, { pid: string; restarts: number }>()

  /** The number of restarts in a place, where this process is now. */
  seen(path: string, pid: string | undefined): number {
    const place = this.places.get(path)
    if (place === undefined) {
      if (pid !== undefined) this.places.set(path, { pid, restarts: 0 })
      return 0
    }
    if (pid !== undefined && pid !== place.pid) {
      place.pid = pid
      place.restarts++
    }
    return place.restarts
  }
}

export class Restarts extends Context.Service<Restarts, Places>()("traffic/Restarts") {
  static readonly layer = Layer.sync(Restarts, () => new Places())
}

/** The tree, and the pids that are in it. */
export interface Tree {
  readonly root: TreeNode
  readonly pids: ReadonlyMap<string, Pid.Pid>
}

/** A process of a tree by its pid. */
export const find = (node: TreeNode, pid: string): TreeNode | undefined => {
  if (node.pid === pid) return node
  for (const child of node.children) {
    const found = find(child, pid)
    if (found !== undefined) return found
  }
  return undefined
}

/** What a process is known by, before it is asked. */
interface Place {
  /** The path of the process above. */
  readonly above: string
  readonly isTop: boolean
  readonly id: string | undefined
  readonly pid: Pid.Pid | undefined
  readonly status: TreeNode["status"]
  readonly isSupervisor: boolean
}

const supervisors: ReadonlySet<string> = new Set(["Supervisor", "DynamicSupervisor", "PartitionSupervisor", "Pool"])

/** The process at the top, above a process. */
const topOf = (pid: Pid.Pid): Effect.Effect<Pid.Pid, never, Node.Node> =>
  Effect.flatMap(Process.info(pid), (info) =>
    Option.match(Option.flatMap(info, (info) => info.parent), {
      onNone: () => Effect.succeed(pid),
      onSome: (parent) =>
        Effect.flatMap(Process.isAlive(parent), (alive) => alive ? topOf(parent) : Effect.succeed(pid))
    }))

/** The children of a supervisor in the order in which they start; undefined when it has no time to say. */
const placesOf = (above: string, pid: Pid.Pid): Effect.Effect<ReadonlyArray<Place> | undefined, never, Node.Node> =>
  Supervisor.whichChildren(pid).pipe(
    Effect.timeout(patience),
    Effect.map((children) =>
      children.toReversed().map((child): Place => ({
        above,
        isTop: false,
        id: Option.getOrUndefined(child.id),
        pid: Option.getOrUndefined(child.pid),
        status: child.status,
        isSupervisor: child.type === "supervisor"
      }))
    ),
    Effect.orElseSucceed(() => undefined)
  )

const describe = (
  place: Place,
  pids: Map<string, Pid.Pid>
): Effect.Effect<TreeNode, never, Node.Node | Restarts> =>
  Effect.gen(function*(): Effect.fn.Return<TreeNode, never, Node.Node | Restarts> {
    const { above, id, isTop, pid } = place
    const info = pid === undefined ? undefined : Option.getOrUndefined(yield* Process.info(pid))
    // Who has neither an id nor a name comes and goes: there is nothing to count.
    const key = id ?? info?.names[0]
    const path = `${above}/${key ?? pid}`
    const restarts = key === undefined ? 0 : (yield* Restarts).seen(path, pid?.toString())
    if (pid === undefined || info === undefined) {
      const status = pid === undefined ? place.status : "exiting"
      const kind = place.isSupervisor ? "supervisor" : "worker"
      const unknown = { mailbox: 0, capacity: null, dropped: 0, children: [], more: 0 }
      return { name: id ?? "?", pid: null, kind, isTop, behaviour: "", status, restarts, ...unknown }
    }
    pids.set(pid.toString(), pid)
    const isSupervisor = place.isSupervisor || supervisors.has(info.behaviour)
    const below: Omit<Place, "pid"> = {
      above: path,
      // The process of an application is not one that restarts anything.
      isTop: isTop && info.behaviour === "Application",
      id: undefined,
      status: "running",
      isSupervisor: false
    }
    const places = (isSupervisor ? yield* placesOf(path, pid) : undefined) ??
      info.children.map((pid): Place => ({ ...below, pid }))
    const children = yield* Effect.forEach(places.slice(0, shown), (child) => describe(child, pids))
    return {
      name: key ?? Option.getOrElse(info.label, () => info.behaviour),
      pid: pid.toString(),
      kind: isSupervisor ? "supervisor" : "worker",
      isTop,
      behaviour: info.behaviour,
      status: info.status,
      mailbox: info.mailboxLength,
      capacity: Number.isFinite(info.mailboxCapacity) ? info.mailboxCapacity : null,
      dropped: info.dropped,
      restarts,
      children,
      more: places.length - children.length
    }
  })

/** The tree to which a process belongs, as it is now. */
export const of = (pid: Pid.Pid): Effect.Effect<Tree, never, Node.Node | Restarts> =>
  Effect.gen(function*() {
    const top = yield* topOf(pid)
    const pids = new Map<string, Pid.Pid>()
    const place: Place = { above: "", isTop: true, id: undefined, pid: top, status: "running", isSupervisor: true }
    return { root: yield* describe(place, pids), pids }
  })
