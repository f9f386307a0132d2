/**
 * Random trees and faults, the same for the same seed.
 *
 * `generateCase(seed)` makes trees up to three supervisors deep with up to fifteen nodes, all strategies and options,
 * and up to fourteen faults. `shrinkCase` and `shrinking` drop faults for as long as a case keeps failing.
 */
import type { Case, Fault, Node, Plan, Reason, Restart, SupervisorNode, WorkerNode } from "./SupervisionCase.ts"

/**
 * What a runner can do. `wholeSeconds`: only periods and delays of whole seconds. `dynamicIgnore`: a dynamic child may
 * answer `ignore` when it is restarted (OTP 25 then keeps a child without a process, and dies of it later). `refuse`:
 * workers may have to be killed, which takes a few milliseconds of real or virtual time.
 */
export interface Profile {
  readonly wholeSeconds: boolean
  readonly dynamicIgnore: boolean
  readonly refuse: boolean
}

export const anything: Profile = { wholeSeconds: false, dynamicIgnore: true, refuse: true }

/** What Erlang's supervisor can do as well. */
export const erlangProfile: Profile = { wholeSeconds: true, dynamicIgnore: false, refuse: true }

/** A small generator of numbers from a seed. */
export class Dice {
  private state: number

  constructor(seed: number) {
    this.state = (seed ^ 0x9e3779b9) >>> 0
    for (let i = 0; i < 4; i++) this.next()
  }

  next(): number {
    // A 32-bit xorshift with a multiplicative finish.
    let x = this.state === 0 ? 0x6d2b79f5 : this.state
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.state = x >>> 0
    return Math.imul(x, 0x2545f491) >>> 0
  }

  below(n: number): number {
    return Math.floor((this.next() / 0x1_0000_0000) * n)
  }

  chance(percent: number): boolean {
    return this.below(100) < percent
  }

  pick<A>(items: ReadonlyArray<A>): A {
    return items[this.below(items.length)]!
  }

  /** Picks by weight. */
  weighted<A>(items: ReadonlyArray<readonly [number, A]>): A {
    let left = this.below(items.reduce((sum, [weight]) => sum + weight, 0))
    for (const [weight, item] of items) {
      if (left < weight) return item
      left -= weight
    }
    throw new Error("weights are positive")
  }
}

const nodesMax = 15
const depthMax = 3

class Generator {
  readonly dice: Dice
  readonly profile: Profile
  readonly workers: Array<string> = []
  readonly supervisors: Array<SupervisorNode> = []
  private touched: { readonly parent: string; readonly target: string } | undefined
  private names = { supervisor: 0, worker: 0, extra: 0 }
  private nodes = 0

  constructor(seed: number, profile: Profile) {
    this.dice = new Dice(seed)
    this.profile = profile
  }

  supervisor(depth: number, autoShutdown: SupervisorNode["autoShutdown"]): SupervisorNode {
    const { dice } = this
    const id = `s${this.names.supervisor++}`
    this.nodes++
    const strategy = dice.weighted<SupervisorNode["strategy"]>([
      [30, "one_for_one"],
      [27, "one_for_all"],
      [27, "rest_for_one"],
      [depth === 0 ? 8 : 16, "simple_one_for_one"]
    ])
    const own = dice.weighted<SupervisorNode["autoShutdown"]>([[60, "never"], [20, "any_significant"], [
      20,
      "all_significant"
    ]])
    const children: Array<Node> = []
    if (strategy === "simple_one_for_one") children.push(this.worker(own, `${id}.template`))
    else {
      const width = depth === 0 ? 2 + dice.below(4) : dice.below(5)
      for (let i = 0; i < width && this.nodes < nodesMax; i++) {
        children.push(depth + 1 < depthMax && dice.chance(40) ? this.supervisor(depth + 1, own) : this.worker(own))
      }
    }
    const restart = this.restart()
    const node: SupervisorNode = {
      kind: "supervisor",
      id,
      restart,
      shutdown: dice.weighted<SupervisorNode["shutdown"]>([[80, "infinity"], [8, 5000], [12, "brutal_kill"]]),
      significant: this.significant(restart, autoShutdown),
      strategy,
      intensity: dice.weighted(
        depth === 0 ? [[3, 0], [15, 1], [20, 2], [30, 3], [32, 6]] : [[8, 0], [25, 1], [30, 2], [25, 3], [12, 6]]
      ),
      periodMillis: dice.pick(this.profile.wholeSeconds ? [1000, 2000, 5000] : [1000, 2000, 5000, 500, 1500]),
      autoShutdown: own,
      children
    }
    this.supervisors.push(node)
    return node
  }

  worker(autoShutdown: SupervisorNode["autoShutdown"], id = `w${this.names.worker++}`): WorkerNode {
    const { dice } = this
    this.nodes++
    const restart = this.restart()
    const shutdown = dice.weighted<WorkerNode["shutdown"]>([[60, 10], [20, "infinity"], [20, "brutal_kill"]])
    const onShutdown = dice.weighted<WorkerNode["onShutdown"]>([
      [70, "obey"],
      [8, "normal"],
      [7, "detail"],
      [8, "crash"],
      [7, this.profile.refuse && shutdown !== "infinity" ? "refuse" : "obey"]
    ])
    if (!id.endsWith(".template") && !this.workers.includes(id)) this.workers.push(id)
    return { kind: "worker", id, restart, shutdown, significant: this.significant(restart, autoShutdown), onShutdown }
  }

  restart(): Restart {
    return this.dice.weighted<Restart>([[50, "permanent"], [28, "transient"], [22, "temporary"]])
  }

  significant(restart: Restart, autoShutdown: SupervisorNode["autoShutdown"]): boolean {
    return autoShutdown !== "never" && restart !== "permanent" && this.dice.chance(60)
  }

  reason(): Reason {
    return this.dice.weighted<Reason>([[45, "error"], [20, "killed"], [15, "normal"], [10, "shutdown"], [10, "detail"]])
  }

  plan(): Plan {
    const { dice } = this
    const target = dice.pick(this.workers)
    const ignore = dice.chance(25) && (this.profile.dynamicIgnore || !target.includes("."))
    return { kind: "plan", target, outcome: ignore ? "ignore" : "error", count: 1 + dice.below(3) }
  }

  /** The names a supervisor's children have or may have had. */
  childrenOf(node: SupervisorNode): Array<string> {
    if (node.strategy === "simple_one_for_one") return this.workers.filter((name) => name.startsWith(`${node.id}.`))
    return node.children.map((child) => child.id)
  }

  administration(): Fault {
    const { dice, touched } = this
    // Often the next call is about the same child: what was terminated is restarted, deleted or started anew.
    this.touched = undefined
    if (touched !== undefined && dice.chance(60)) return { kind: dice.chance(65) ? "restart" : "delete", ...touched }
    const node = dice.pick(this.supervisors)
    const parent = node.id
    if (node.strategy === "simple_one_for_one" && dice.chance(70)) {
      const name = `${parent}.${this.childrenOf(node).length}`
      this.workers.push(name)
      return { kind: "startDynamic", parent, name }
    }
    const known = this.childrenOf(node)
    if (known.length === 0 || dice.chance(25)) {
      const again = dice.chance(30) && known.length > 0
      const id = again ? dice.pick(known) : `x${this.names.extra++}`
      const child = this.worker(node.autoShutdown, id)
      return { kind: "start", parent, child }
    }
    const kind = dice.weighted<"terminate" | "restart" | "delete">([[45, "terminate"], [35, "restart"], [20, "delete"]])
    const target = dice.chance(96) ? dice.pick(known) : "nobody"
    if (kind === "terminate") this.touched = { parent, target }
    return { kind, parent, target }
  }

  crash(): Fault {
    const { dice } = this
    const reason = this.reason()
    if (dice.chance(25)) {
      const siblings = this.childrenOf(dice.pick(this.supervisors)).filter((name) => this.workers.includes(name))
      if (siblings.length > 1) {
        const targets = siblings.filter(() => dice.chance(60))
        if (dice.chance(50)) targets.reverse()
        if (targets.length > 1) return { kind: "crash", targets, reason }
      }
    }
    return { kind: "crash", targets: [dice.pick(this.workers)], reason }
  }

  fault(): Fault {
    const { dice } = this
    const kind = dice.weighted([
      [46, "crash"],
      [4, "kill"],
      [11, "advance"],
      [13, "plan"],
      [2, "stranger"],
      [2, "stop"],
      [22, "administration"]
    ])
    // The root is killed seldom: that is the end of the case.
    const target =
      dice.pick(dice.chance(90) && this.supervisors.length > 1 ? this.supervisors.slice(0, -1) : this.supervisors).id
    switch (this.workers.length === 0 && (kind === "crash" || kind === "plan") ? "administration" : kind) {
      case "crash":
        return this.crash()
      case "kill":
        return { kind: "kill", target }
      case "advance":
        return {
          kind: "advance",
          millis: dice.pick(
            this.profile.wholeSeconds ? [1000, 2000, 5000, 6000] : [1, 499, 500, 501, 999, 1000, 2000, 5000, 6000]
          )
        }
      case "plan":
        return this.plan()
      case "stranger":
        return { kind: "stranger", target, reason: this.reason() }
      case "stop":
        return { kind: "stop", reason: dice.pick<Reason>(["shutdown", "error", "normal", "detail"]) }
      default:
        return this.administration()
    }
  }
}

/** The case of a seed. */
export const generateCase = (seed: number, profile: Profile = anything): Case => {
  const generator = new Generator(seed, profile)
  const { dice } = generator
  const root = generator.supervisor(0, "never")
  const plans = dice.chance(15) && generator.workers.length > 0 ? [generator.plan()] : []
  const faults = Array.from({ length: 1 + dice.below(14) }, () => generator.fault())
  return { seed, root, plans, faults }
}

/** Gives smaller and smaller cases and is told which of them still fail; in the end, the smallest of these. */
export function* shrinking(input: Case): Iterator<Case, Case, boolean> {
  let current = input
  for (let size = Math.max(1, current.faults.length >> 1); size >= 1; size >>= 1) {
    for (let at = 0; at < current.faults.length;) {
      const smaller = { ...current, faults: [...current.faults.slice(0, at), ...current.faults.slice(at + size)] }
      if (yield smaller) current = smaller
      else at += size
    }
  }
  return current
}

/** The same case with as few faults as still fail. */
export const shrinkCase = (input: Case, fails: (smaller: Case) => boolean): Case => {
  const steps = shrinking(input)
  let next = steps.next()
  while (next.done !== true) next = steps.next(fails(next.value))
  return next.value
}
