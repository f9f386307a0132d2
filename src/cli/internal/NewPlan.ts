/**
 * The plan of a project: the applications and trees that declarations add up to, with every name made and every default
 * decided. Pure; nothing is looked at and nothing is written.
 *
 * Guarantees of a plan: parents and needed applications come before what hangs on them, so that there are no cycles; no two
 * files, constants, registered names or ports are the same; a stage reads from a stage of its own application.
 *
 * Refuses what breaks one of these, with a `NewError` that says which declaration it was.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Declaration from "./NewDeclaration.ts"
import { NewError } from "./NewError.ts"

/** A field of a message. */
export interface Field {
  readonly name: string
  readonly type: Declaration.FieldType
}

/** A message of a server. */
export interface Message {
  readonly name: string
  readonly kind: "call" | "cast" | "info"
  readonly fields: ReadonlyArray<Field>
  readonly reply?: Declaration.FieldType
}

/** The kinds of what stands in a tree. */
export type ComponentKind = Exclude<Declaration.Kind, "app" | "message">

/** What stands in a tree, with what it looks after. */
export interface Component {
  readonly kind: ComponentKind
  readonly name: string
  /** `OrderBook`: its file, and the beginning of its constants. */
  readonly identifier: string
  /** `order_book`: its process. */
  readonly registered: string
  readonly parameters: { readonly [name: string]: string }
  readonly port?: number
  /** Of a stage: the name of the one it reads from. */
  readonly from?: string
  /** Of a saga: the name of the one to which it hands its work on. */
  readonly next?: string
  /** Of a stage: whether another one reads from it. */
  readonly isRead?: boolean
  readonly messages: ReadonlyArray<Message>
  readonly children: ReadonlyArray<Component>
}

/** An application and its tree. */
export interface Application {
  readonly name: string
  readonly identifier: string
  /** Its folder in `src` and `test`. */
  readonly folder: string
  readonly startType: string
  /** The names of the applications that it needs. */
  readonly needs: ReadonlyArray<string>
  readonly children: ReadonlyArray<Component>
}

/** A project. */
export interface Plan {
  readonly project: string
  readonly applications: ReadonlyArray<Application>
  /** What it was made from, in order. */
  readonly declarations: ReadonlyArray<Declaration.Declaration>
}

/** All components of a list of trees, each before what it looks after. */
export const flatten = (components: ReadonlyArray<Component>): ReadonlyArray<Component> =>
  components.flatMap((component) => [component, ...flatten(component.children)])

// --- names that are taken --------------------------------------------------------------------------------------------

const setOf = (words: string): ReadonlySet<string> => new Set(words.trim().split(/\s+/))

/** What files of a project import or find in their host: a constant of such a name would hide it. */
const reserved: ReadonlySet<string> = setOf(`
  Application Config DynamicSupervisor Effect Framing GenServer GenStage HttpRouter HttpServer HttpServerResponse Layer
  Logger Message Node NodeApplication NodeDatagramSocket NodeLive NodeNetwork NodeRuntimeTools NodeServices
  NodeTcpNetwork NodeWebServer Option Pool Process Protocol Queue Raft RaftStorage Redacted SagaServer Schema StorageLive
  Stream Supervisor TcpClient TcpServer UdpServer WebServer
  Array Boolean Buffer Date Error Function Infinity JSON Map Math Number Object Promise Proxy Reflect RegExp Set String
  Symbol TextDecoder Uint8Array
`)

/** Processes of that name are there on every node of a cluster. */
const registeredByNodes: ReadonlySet<string> = setOf(`
  application_controller auth erl_epmd global_group global_name_server init kernel_sup logger net_kernel pg rex user
`)

/** What pools understand themselves, being supervisors. */
const administration: ReadonlySet<string> = setOf(`
  CountChildren DeleteChild GetChildSpec PoolStats ResizePool RestartChild StartChild StartDynamicChild TerminateChild
  TerminateDynamicChild WhichChildren
`)

/** The constants that the file of a declaration exports. */
const constantsOf = (kind: Declaration.Kind, identifier: string): ReadonlyArray<string> => {
  switch (kind) {
    case "app":
      return [`${identifier}Application`, `${identifier}Settings`]
    case "sup":
      return [`${identifier}Tree`]
    case "server":
      return [identifier, `${identifier}Server`]
    case "pool":
      return [identifier, `${identifier}Server`, `${identifier}Pool`]
    case "dynamic":
      return [identifier, `${identifier}Server`, `${identifier}Supervisor`]
    case "tcp":
      return [`${identifier}Server`]
    case "udp":
      return [`${identifier}Server`, `${identifier}Live`]
    case "web":
      return [`${identifier}Routes`, `${identifier}Live`]
    case "stage":
      return [identifier, `${identifier}Stage`]
    case "raft":
      return [identifier, `${identifier}Raft`]
    case "saga":
      return [identifier, `${identifier}Saga`]
    case "message":
      return []
  }
}

// --- planning --------------------------------------------------------------------------------------------------------

interface DraftComponent extends Omit<Component, "messages" | "children" | "isRead"> {
  readonly application: string
  isRead: boolean
  readonly messages: Array<Message>
  readonly children: Array<DraftComponent>
}

interface DraftApplication extends Omit<Application, "children"> {
  readonly children: Array<DraftComponent>
}

/** Components that have messages of their own. */
const speaks: ReadonlySet<Declaration.Kind> = new Set(["server", "pool", "dynamic"])

const firstPorts: { readonly [kind: string]: number } = { tcp: 7000, udp: 7000, web: 8080 }

class Drafting {
  readonly applications: Array<DraftApplication> = []
  private readonly byName = new Map<string, DraftApplication | DraftComponent>()
  private readonly constants = new Map<string, string>()
  private readonly ports = new Map<string, string>()
  private readonly project: string

  constructor(project: string) {
    this.project = project
  }

  add(read: Declaration.Read): NewError | undefined {
    return read.kind === "message" ? this.addMessage(read) : this.addNamed(read)
  }

  private addNamed(read: Declaration.Read): NewError | undefined {
    const { kind, name, written } = read
    if (kind !== "app" && this.applications.length === 0 && this.isProject(read.parent)) {
      const implied = this.addNamed({
        kind: "app",
        parent: undefined,
        name: this.project,
        parameters: { type: "permanent" },
        written: `the application ${this.project}, which holds what has no other parent`
      })
      if (implied !== undefined) return implied
    }
    const identifier = Declaration.pascal(name)
    const other = this.byName.get(identifier.toLowerCase())
    if (other !== undefined) {
      return new NewError({
        reason: "DuplicateName",
        detail: `${written}: there is ${other.name} already; every name of a project is there once`
      })
    }
    const taken = this.takeConstants(read, identifier)
    if (taken !== undefined) return taken
    return kind === "app"
      ? this.addApplication(read, identifier)
      : this.addComponent(read, kind as ComponentKind, identifier)
  }

  /** Whether a parent is the application of the project, which need not be declared. */
  private isProject(parent: string | undefined): boolean {
    return parent === undefined || Declaration.pascal(parent) === Declaration.pascal(this.project)
  }

  private takeConstants({ kind, name, written }: Declaration.Read, identifier: string): NewError | undefined {
    if (kind !== "app" && identifier.toLowerCase() === "application") {
      return new NewError({
        reason: "InvalidName",
        detail: `${written}: Application.ts is the file of the application itself; take another name`
      })
    }
    if (kind !== "app" && registeredByNodes.has(Declaration.snake(name))) {
      return new NewError({
        reason: "InvalidName",
        detail: `${written}: nodes have a process called ${Declaration.snake(name)} of their own; take another name`
      })
    }
    for (const constant of constantsOf(kind, identifier)) {
      if (reserved.has(constant)) {
        return new NewError({
          reason: "InvalidName",
          detail: `${written}: ${constant} is a name of the libraries that a project uses; take another one`
        })
      }
      const other = this.constants.get(constant)
      if (other !== undefined) {
        return new NewError({
          reason: "DuplicateName",
          detail: `${written}: ${other} makes a constant ${constant} as well; take another name for one of them`
        })
      }
      this.constants.set(constant, written)
    }
    return undefined
  }

  private addApplication({ name, parameters, written }: Declaration.Read, identifier: string): NewError | undefined {
    const needs: Array<string> = []
    for (const needed of parameters["needs"]?.split("+") ?? []) {
      const found = this.find(needed)
      if (found === undefined || !("folder" in found)) return this.unknown(written, needed, "application", "app")
      needs.push(found.name)
    }
    const application: DraftApplication = {
      name,
      identifier,
      folder: Declaration.kebab(name),
      startType: parameters["type"]!,
      needs,
      children: []
    }
    this.applications.push(application)
    this.byName.set(identifier.toLowerCase(), application)
    return undefined
  }

  private addComponent(read: Declaration.Read, kind: ComponentKind, identifier: string): NewError | undefined {
    const { name, written } = read
    const parent = read.parent === undefined ? this.applications.at(-1)! : this.find(read.parent)
    if (parent === undefined || !("folder" in parent || parent.kind === "sup")) {
      return this.unknown(written, read.parent!, "application or supervisor", "app", "sup")
    }
    const application = "folder" in parent ? parent.name : parent.application
    const port = this.portOf(read)
    if (port instanceof NewError) return port
    const from = this.otherOf(read, "from", "stage", application)
    if (from instanceof NewError) return from
    if (from !== undefined) from.isRead = true
    const next = this.otherOf(read, "next", "saga", application)
    if (next instanceof NewError) return next
    const { port: _port, from: _from, next: _next, ...parameters } = read.parameters
    const component: DraftComponent = {
      kind,
      name,
      identifier,
      registered: Declaration.snake(name),
      parameters,
      application,
      isRead: false,
      messages: [],
      children: [],
      ...(port === undefined ? {} : { port }),
      ...(from === undefined ? {} : { from: from.name }),
      ...(next === undefined ? {} : { next: next.name })
    }
    parent.children.push(component)
    this.byName.set(identifier.toLowerCase(), component)
    return undefined
  }

  private addMessage(read: Declaration.Read): NewError | undefined {
    const { written } = read
    const server = this.find(read.parent!)
    if (server === undefined || "folder" in server || !speaks.has(server.kind)) {
      return this.unknown(written, read.parent!, "server or pool", ...speaks)
    }
    const name = Declaration.pascal(read.name)
    if (server.messages.some((message) => message.name === name)) {
      return new NewError({
        reason: "DuplicateName",
        detail: `${written}: ${server.name} has a message ${name} already`
      })
    }
    if (server.kind === "pool" && administration.has(name)) {
      return new NewError({
        reason: "InvalidName",
        detail: `${written}: pools understand ${name} themselves; take another name`
      })
    }
    const { kind, reply, ...fields } = read.parameters
    if (reply !== undefined && kind !== "call") {
      return new NewError({
        reason: "InvalidValue",
        detail: `${written}: only a call has a reply, and this is a ${kind}`
      })
    }
    server.messages.push({
      name,
      kind: kind as Message["kind"], // one of the choices
      fields: Object.entries(fields).map(([name, type]) => ({ name, type: type as Declaration.FieldType })), // as above
      ...(reply === undefined ? {} : { reply: reply as Declaration.FieldType })
    })
    return undefined
  }

  /** The port that was asked for, or the first that nobody has. */
  private portOf({ kind, parameters, written }: Declaration.Read): number | undefined | NewError {
    const first = firstPorts[kind]
    if (first === undefined) return undefined
    const wire = kind === "udp" ? "udp" : "tcp"
    let port = Number(parameters["port"] ?? first)
    const other = this.ports.get(`${wire} ${port}`)
    if (parameters["port"] !== undefined && other !== undefined) {
      return new NewError({ reason: "InvalidValue", detail: `${written}: ${other} listens on port ${port} already` })
    }
    while (this.ports.has(`${wire} ${port}`)) port++
    this.ports.set(`${wire} ${port}`, written)
    return port
  }

  /** Another component of a kind, which a parameter names: one of the same application, declared before. */
  private otherOf(
    { parameters, written }: Declaration.Read,
    parameter: string,
    kind: ComponentKind,
    application: string
  ): DraftComponent | undefined | NewError {
    const name = parameters[parameter]
    if (name === undefined) return undefined
    const other = this.find(name)
    if (other === undefined || "folder" in other || other.kind !== kind) return this.unknown(written, name, kind, kind)
    return other.application === application ? other : new NewError({
      reason: "InvalidValue",
      detail: `${written}: ${name} belongs to the application ${other.application}; take a ${kind} of ${application}`
    })
  }

  private find(name: string): DraftApplication | DraftComponent | undefined {
    return this.byName.get(Declaration.pascal(name).toLowerCase())
  }

  private unknown(written: string, name: string, what: string, ...kinds: ReadonlyArray<Declaration.Kind>): NewError {
    const known = [...this.byName.values()].filter((one) => kinds.includes("folder" in one ? "app" : one.kind))
    return new NewError({
      reason: "UnknownParent",
      detail: `${written}: there is no ${what} ${name} before it; ` +
        (known.length === 0 ? "there is none yet" : `there are: ${known.map((one) => one.name).join(", ")}`)
    })
  }
}

const finished = (draft: DraftComponent): Component => {
  const { application: _application, children, isRead, ...rest } = draft
  return { ...rest, ...(rest.kind === "stage" ? { isRead } : {}), children: children.map(finished) }
}

/** A stage that is started before the one from which it reads. `components` are in the order of their start. */
const readsTooEarly = (components: ReadonlyArray<Component>): NewError | undefined => {
  const started = new Set<string>()
  for (const { from, name } of components) {
    if (from !== undefined && !started.has(from)) {
      return new NewError({
        reason: "InvalidValue",
        detail:
          `--stage ${name}: its supervisor is started before ${from}, from which it reads; declare them in that order`
      })
    }
    started.add(name)
  }
  return undefined
}

/** What a project has for which nothing was declared. */
const smallest: ReadonlyArray<Declaration.Declaration> = [{ kind: "server", text: "counter" }]

/** Plans a project. Without declarations it has one server. */
export const make = (
  project: string,
  declarations: ReadonlyArray<Declaration.Declaration>
): Result.Result<Plan, NewError> => {
  const problem = Declaration.nameProblem(project)
  if (problem !== undefined) {
    return Result.fail(
      new NewError({ reason: "InvalidName", detail: `the project: ${problem}. Give it another one with --name` })
    )
  }
  const drafting = new Drafting(Declaration.kebab(project))
  for (const declaration of declarations.length === 0 ? smallest : declarations) {
    const read = Declaration.read(declaration)
    if (Result.isFailure(read)) return Result.fail(read.failure)
    const error = drafting.add(read.success)
    if (error !== undefined) return Result.fail(error)
  }
  const applications = drafting.applications.map(({ children, ...application }): Application => ({
    ...application,
    children: children.map(finished)
  }))
  const early = applications.map(({ children }) => readsTooEarly(flatten(children))).find((error) =>
    error !== undefined
  )
  return early === undefined
    ? Result.succeed({ project: Declaration.kebab(project), applications, declarations })
    : Result.fail(early)
}
