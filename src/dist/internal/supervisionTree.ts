/**
 * The functions by which others see the applications and supervisors of this node: those of Erlang's `application`,
 * `application_controller`, `application_master` and `supervisor` that `observer` uses on a node of Erlang, and one of ours
 * for supervisors that belong to no application. Nothing can be changed by them.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Application from "../../otp/Application.ts"
import * as Supervisor from "../../otp/Supervisor.ts"
import { Instance, type Process } from "../../process/Behaviour.ts"
import { Node, type Service } from "../../process/Node.ts"
import * as Atom from "../../term/Atom.ts"
import { equals, isPid, type Pid } from "../../term/Pid.ts"
import type { Term } from "../../term/Term.ts"
import { Tuple } from "../../term/Tuple.ts"
import * as Rpc from "../Rpc.ts"
import { atom, atomOrText, list } from "./shownTerms.ts"

/** A function that others may call. */
export interface Answer {
  readonly module: string
  readonly name: string
  readonly arity: number
  readonly run: (...args: ReadonlyArray<Term>) => Effect.Effect<Term>
}

const badarg: Effect.Effect<never> = Rpc.raise(atom("badarg"))

const applicationTerm = ({ description, name, version }: Application.Info): Tuple =>
  new Tuple([atomOrText(name), list(description), list(version)])

/** Whose specification a child is, or what handles the messages of a process that has none. */
const modulesOf = (node: Service, pid: Option.Option<Pid>): Term => {
  const process = Option.isSome(pid) ? node.runtime.resolve(pid.value) : undefined
  return process instanceof Instance ? [atom(process.behaviour.name)] : []
}

const childTerm = (node: Service, { id, pid, status, type }: Supervisor.ChildInfo): Tuple =>
  new Tuple([
    Option.match(id, { onNone: (): Term => Atom.undefined_, onSome: atomOrText }),
    Option.getOrElse(pid, (): Term => status === "restarting" ? atom("restarting") : Atom.undefined_),
    atom(type),
    modulesOf(node, pid)
  ])

/** The process that a supervisor's pid or registered name stands for. */
const supervisorAt = (node: Service, target: Term | undefined): Process | undefined => {
  const process = isPid(target)
    ? node.runtime.resolve(target)
    : target instanceof Atom.Atom
    ? node.runtime.names.get(target.name)
    : undefined
  return process !== undefined && Supervisor.isSupervisor(process) ? process : undefined
}

/**
 * Supervisors that are no children of others and no trees of applications, each with its parent: nobody would find them
 * from an application downwards.
 */
const standalone = (node: Service, trees: ReadonlySet<Pid>): ReadonlyArray<Tuple> =>
  [...node.runtime.processes.values()].flatMap((process) => {
    const { parent, pid } = process
    if (!Supervisor.isSupervisor(process) || trees.has(pid)) return []
    if (parent !== undefined && Supervisor.isSupervisor(parent)) return []
    return [new Tuple([pid, parent?.pid ?? Atom.undefined_])]
  })

/** What is answered about the trees of a node. */
export const answers = (node: Service): ReadonlyArray<Answer> => {
  const inNode = <A, E>(effect: Effect.Effect<A, E, Node>): Effect.Effect<A, E> =>
    Effect.provideService(effect, Node, node)
  const applications = inNode(Application.whichApplications)
  const withSupervisor = <A extends Term>(
    target: Term | undefined,
    f: (pid: Pid) => Effect.Effect<A, unknown, Node>
  ): Effect.Effect<A> => {
    const process = supervisorAt(node, target)
    // It may end while it is asked.
    return process === undefined ? badarg : Effect.catch(inNode(f(process.pid)), () => Rpc.exit(atom("noproc")))
  }
  return [
    {
      module: "application",
      name: "which_applications",
      arity: 0,
      run: () => Effect.map(applications, (all) => all.map(applicationTerm))
    },
    {
      module: "application_controller",
      name: "get_master",
      arity: 1,
      run: (name) =>
        Effect.map(applications, (all) =>
          Option.getOrElse(
            Option.flatMap(
              Option.fromUndefinedOr(all.find((application) => Atom.is(name, application.name))),
              ({ pid }) => pid
            ),
            (): Term => Atom.undefined_
          ))
    },
    {
      module: "application_master",
      name: "get_child",
      arity: 1,
      run: (master) =>
        Effect.flatMap(applications, (all) => {
          const found = all.find(({ pid }) => isPid(master) && Option.exists(pid, (own) => equals(own, master)))
          return found === undefined ? badarg : Effect.succeed(
            new Tuple([Option.getOrElse(found.tree, (): Term => Atom.undefined_), atomOrText(found.name)])
          )
        })
    },
    {
      module: "supervisor",
      name: "which_children",
      arity: 1,
      run: (target) =>
        withSupervisor(
          target,
          (pid) => Effect.map(Supervisor.whichChildren(pid), (all) => all.map((child) => childTerm(node, child)))
        )
    },
    {
      module: "supervisor",
      name: "count_children",
      arity: 1,
      run: (target) =>
        withSupervisor(
          target,
          (pid) =>
            Effect.map(Supervisor.countChildren(pid), ({ active, specs, supervisors, workers }) => [
              new Tuple([atom("specs"), specs]),
              new Tuple([atom("active"), active]),
              new Tuple([atom("supervisors"), supervisors]),
              new Tuple([atom("workers"), workers])
            ])
        )
    },
    {
      module: "effect_otp",
      name: "supervisors",
      arity: 0,
      run: () =>
        Effect.map(applications, (all) => standalone(node, new Set(all.flatMap(({ tree }) => Option.toArray(tree)))))
    }
  ]
}
