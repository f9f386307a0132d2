/**
 * The supervision trees of a node: its applications, their supervisors, and what each of those looks after.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { Node } from "../../dist/Node.ts"
import * as Rpc from "../../dist/Rpc.ts"
import * as Atom from "../../term/Atom.ts"
import { isPid, type Pid } from "../../term/Pid.ts"
import type { Term } from "../../term/Term.ts"
import { isTuple } from "../../term/Tuple.ts"
import * as Asking from "./Asking.ts"
import type { CommandError } from "./CommandError.ts"
import { loadOf, ownRelease } from "./LoadFacts.ts"
import { processes } from "./ProcessFacts.ts"

/** What stands in a tree: an application, a supervisor, or what a supervisor looks after. */
export interface Supervised {
  readonly type: "application" | "supervisor" | "worker"
  /** The name of the application, or the id of the child; none of what is at the top, or of a dynamic child. */
  readonly id: string | null
  readonly pid: string | null
  /** The name under which it is registered. */
  readonly name: string | null
  /** What it runs. */
  readonly module: string | null
  readonly status: "running" | "restarting" | "down" | "silent"
  readonly children: ReadonlyArray<Supervised>
}

const supervisorCalls: ReadonlySet<string> = new Set(["supervisor", "Elixir.DynamicSupervisor"])

/** The names of the processes of a node, by pid. */
type Names = ReadonlyMap<string, string>

/** The walk along the supervisors of a node, each of which is asked for its children. */
class Walk {
  readonly source: Asking.Source
  readonly names: Names
  readonly ours: boolean
  /** Supervisors that are nobody's children, by what has started them; those that were drawn are taken out. */
  private readonly standalone: Map<string, ReadonlyArray<Pid>>
  /** Who was asked for its children: nobody is asked twice, so that a node whose answers go in circles is drawn too. */
  private readonly asked = new Set<string>()

  constructor(source: Asking.Source, names: Names, ours: boolean, standalone: Map<string, ReadonlyArray<Pid>>) {
    this.source = source
    this.names = names
    this.ours = ours
    this.standalone = standalone
  }

  /**
   * A process that is no supervisor may never answer the question: a node of Erlang is asked before what the process was
   * started as. One of ours refuses the question instead.
   */
  private supervises(pid: Pid): Effect.Effect<boolean, never, Node> {
    if (this.ours) return Effect.succeed(true)
    return Effect.match(Asking.ask(this.source, "proc_lib", "translate_initial_call", pid), {
      onFailure: () => false,
      onSuccess: (call) =>
        isTuple(call, 3) && call.elements[0] instanceof Atom.Atom &&
        supervisorCalls.has(call.elements[0].name)
    })
  }

  /** The children of a supervisor; `silent` when it does not answer, an empty list when it is none. */
  private childrenOf(pid: Pid): Effect.Effect<ReadonlyArray<Supervised> | "silent", never, Node> {
    return Effect.gen({ self: this }, function*() {
      if (this.asked.has(Asking.pidText(pid))) return []
      this.asked.add(Asking.pidText(pid))
      if (!(yield* this.supervises(pid))) return []
      const answer = yield* Effect.result(
        Rpc.callTerm(this.source.node, "supervisor", "which_children", [pid], { timeout: this.source.timeout })
      )
      if (Result.isFailure(answer)) return answer.failure.reason._tag === "Raised" ? [] : "silent"
      const children = Array.isArray(answer.success) ? answer.success as ReadonlyArray<Term> : []
      // They come newest first.
      return yield* Effect.forEach(children.toReversed(), (child) => this.child(child), { concurrency: 8 })
    })
  }

  /** `{Id, Child, Type, Modules}`. */
  private child(term: Term): Effect.Effect<Supervised, never, Node> {
    const [id, child, type, modules] = isTuple(term, 4) ? term.elements : []
    const about = {
      id: id === undefined || Atom.is(id, "undefined") ? null : Asking.nameText(id),
      module: Array.isArray(modules) && modules.length > 0 ? Asking.nameText(modules[0] as Term) : null
    }
    if (isPid(child)) return this.process(child, Atom.is(type, "supervisor"), about)
    return Effect.succeed({
      type: Atom.is(type, "supervisor") ? "supervisor" : "worker",
      ...about,
      pid: null,
      name: null,
      status: Atom.is(child, "restarting") ? "restarting" : "down",
      children: []
    })
  }

  /** A process with what hangs on it. */
  process(
    pid: Pid,
    supervisor: boolean,
    about: Pick<Supervised, "id" | "module">
  ): Effect.Effect<Supervised, never, Node> {
    return Effect.gen({ self: this }, function*() {
      const text = Asking.pidText(pid)
      const children = supervisor ? yield* this.childrenOf(pid) : []
      const inside = yield* this.startedBy(text)
      return {
        type: supervisor ? "supervisor" as const : "worker" as const,
        ...about,
        pid: text,
        name: this.names.get(text) ?? null,
        status: children === "silent" ? "silent" as const : "running" as const,
        children: [...(children === "silent" ? [] : children), ...inside]
      }
    })
  }

  /** The supervisors that a process has started, though it is none itself. */
  private startedBy(pid: string): Effect.Effect<ReadonlyArray<Supervised>, never, Node> {
    const started = this.standalone.get(pid) ?? []
    this.standalone.delete(pid)
    return Effect.forEach(started, (own) => this.process(own, true, { id: null, module: null }))
  }

  /** What was not drawn yet: supervisors that nobody in the trees has started. */
  rest(): Effect.Effect<ReadonlyArray<Supervised>, never, Node> {
    return Effect.map(
      Effect.forEach([...this.standalone.keys()], (pid) => this.startedBy(pid)),
      (found) => found.flat()
    )
  }

  /** An application; undefined when it has no processes, as a library. */
  application(name: Term): Effect.Effect<Supervised | undefined, CommandError, Node> {
    return Effect.gen({ self: this }, function*() {
      const master = yield* Asking.ask(this.source, "application_controller", "get_master", name)
      if (!isPid(master)) return undefined
      // It may end while it is looked at.
      const top = yield* Effect.option(Asking.ask(this.source, "application_master", "get_child", master))
      const pid = Option.isSome(top) && isTuple(top.value, 2) ? top.value.elements[0] : undefined
      return {
        type: "application" as const,
        id: Asking.nameText(name),
        pid: Asking.pidText(master),
        name: null,
        module: null,
        status: Option.isSome(top) ? "running" as const : "silent" as const,
        children: isPid(pid) ? [yield* this.process(pid, true, { id: null, module: null })] : []
      }
    })
  }
}

/** Supervisors that are nobody's children, by the pid of what has started them, `""` for nobody. */
const standalone = (source: Asking.Source): Effect.Effect<Map<string, ReadonlyArray<Pid>>, CommandError, Node> =>
  Effect.map(Asking.ask(source, "effect_otp", "supervisors"), (pairs) => {
    const found = new Map<string, ReadonlyArray<Pid>>()
    for (const pair of Array.isArray(pairs) ? pairs as ReadonlyArray<Term> : []) {
      const [pid, parent] = isTuple(pair, 2) ? pair.elements : []
      if (!isPid(pid)) continue
      const at = isPid(parent) ? Asking.pidText(parent) : ""
      found.set(at, [...(found.get(at) ?? []), pid])
    }
    return found
  })

/** The applications that run on a node, in the order in which they were started, then supervisors outside of any. */
export const trees = (source: Asking.Source): Effect.Effect<ReadonlyArray<Supervised>, CommandError, Node> =>
  Effect.gen(function*() {
    const running = yield* Asking.ask(source, "application", "which_applications")
    if (!Array.isArray(running)) return yield* Asking.malformed(source.node, "a list of applications", running)
    const { release } = yield* loadOf(source)
    const ours = release === ownRelease
    const names = new Map(
      (yield* processes(source)).flatMap(({ name, pid }) => name === null ? [] : [[pid, name] as const])
    )
    const walk = new Walk(source, names, ours, ours ? yield* standalone(source) : new Map())
    const found: Array<Supervised> = []
    for (const application of (running as ReadonlyArray<Term>).toReversed()) {
      const drawn = isTuple(application) ? yield* walk.application(application.elements[0]!) : undefined
      if (drawn !== undefined) found.push(drawn)
    }
    return [...found, ...yield* walk.rest()]
  })
