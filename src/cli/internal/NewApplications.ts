/**
 * The files of applications and supervisors: their trees, what can be set from outside, and a test of each application as a
 * whole. Pure.
 *
 * @since 0.1.0
 */
import { camel, snake } from "./NewDeclaration.ts"
import { type Application, type Component, flatten, type Plan } from "./NewPlan.ts"
import { file, type Import, indented, invocation, provided, quoted, record, wrapped } from "./NewSource.ts"

// --- settings --------------------------------------------------------------------------------------------------------

/** What can be set from outside: a key, its type, the variable it comes from, what it is by default. */
export interface Setting {
  readonly key: string
  readonly type: string
  readonly variable: string
  readonly config: string
  readonly standard: string
  readonly about: string
  /** What a test sets it to. */
  readonly tested: string
}

const portSetting = ({ name }: Component, port: number): Setting => {
  const variable = `${snake(name).toUpperCase()}_PORT`
  return {
    key: `${camel(name)}Port`,
    type: "number",
    variable,
    config: `Config.Port(${quoted(variable)}).pipe(Config.withDefault(${port}))`,
    standard: String(port),
    about: `the port of ${name}`,
    tested: "0"
  }
}

const membersSetting = ({ name }: Component, plan: Plan): Setting => {
  const variable = `${snake(name).toUpperCase()}_MEMBERS`
  const standard = nodeName(plan)
  return {
    key: `${camel(name)}Members`,
    type: "ReadonlyArray<string>",
    variable,
    config: `Config.String(${quoted(variable)}).pipe(
    Config.withDefault(${quoted(standard)}),
    Config.map((nodes) => nodes.split(","))
  )`,
    standard,
    about: `the nodes that have a copy of ${name}, with commas between them`,
    tested: `["nonode@nohost"]`
  }
}

const settingOf = (component: Component, plan: Plan): Setting | undefined =>
  component.port !== undefined
    ? portSetting(component, component.port)
    : component.kind === "raft"
    ? membersSetting(component, plan)
    : undefined

/** What can be set of components and all below them. */
export const settingsOf = (components: ReadonlyArray<Component>, plan: Plan): ReadonlyArray<Setting> =>
  flatten(components).map((component) => settingOf(component, plan)).filter((setting) => setting !== undefined)

/** What the node of a project is called when nobody says otherwise. */
export const nodeName = ({ project }: Plan): string => `${project}@127.0.0.1`

// --- trees -----------------------------------------------------------------------------------------------------------

/** A value as an option: none when it is the default. */
const option = (value: string | undefined, standard: string, unit = ""): string | undefined =>
  value === undefined || value === standard ? undefined : quoted(`${value}${unit}`)

/** The indentation of a child in its supervisor. */
const childIndent = "    "

/** A child as its supervisor lists it. */
const childOf = (component: Component, plan: Plan): string => {
  const { children, identifier, kind, name, parameters, registered } = component
  const restart = option(parameters["restart"], "permanent")
  const shutdown = option(parameters["shutdown"], "5", " seconds")
  const named = record([["name", quoted(registered)], ["restart", restart], ["shutdown", shutdown]])
  const unnamed = restart === undefined ? undefined : record([["restart", restart]])
  const setting = `settings.${settingOf(component, plan)?.key}`
  const constant = `${identifier}${suffixes[kind]}`
  const child = (constructor: string, ...args: ReadonlyArray<string | undefined>): string =>
    invocation(constructor, [quoted(name), ...args], childIndent)
  switch (kind) {
    case "sup":
      return child(
        "Supervisor.nested",
        settingsOf(children, plan).length === 0 ? constant : `${constant}(settings)`,
        named
      )
    case "server":
    case "stage":
    case "saga":
      return child("Supervisor.child", constant, "undefined", named)
    case "pool":
      return child("Pool.asChild", constant, "undefined", named)
    case "dynamic":
      return child("DynamicSupervisor.asChild", constant, record([["name", quoted(registered)]]))
    case "tcp":
      return child("Supervisor.child", constant, record([["port", setting]]), named)
    case "udp":
    case "web":
      return child("Supervisor.fromLayer", `${constant}(${setting})`, unnamed)
    case "raft":
      return child(
        "Supervisor.child",
        constant,
        record([["group", quoted(registered)], ["members", setting]]),
        unnamed
      )
  }
}

const suffixes: { readonly [K in Component["kind"]]: string } = {
  sup: "Tree",
  server: "Server",
  pool: "Pool",
  dynamic: "Supervisor",
  stage: "Stage",
  tcp: "Server",
  udp: "Live",
  web: "Live",
  raft: "Raft",
  saga: "Saga"
}

const importsOf = (components: ReadonlyArray<Component>): ReadonlyArray<Import> =>
  components.map(({ identifier, kind }) => ({ path: `./${identifier}.ts`, names: [`${identifier}${suffixes[kind]}`] }))

const supervisor = (
  { children, parameters }: Pick<Component, "children" | "parameters">,
  plan: Plan
): string => {
  const list = children.map((child) => childOf(child, plan))
  return `Supervisor.make({
  strategy: ${quoted(parameters["strategy"]!)},
  intensity: ${parameters["intensity"]},
  period: ${quoted(`${parameters["period"]} seconds`)},
  children: [${list.length === 0 ? "" : `\n    ${list.join(",\n    ")}\n  `}]
})`
}

/** OTP's, as for a supervisor of which nothing was said. */
const standardParameters = { strategy: "one_for_one", intensity: "1", period: "5" }

/** The file of a supervisor. */
export const treeFile = (component: Component, plan: Plan): string => {
  const { identifier, name } = component
  const settings = settingsOf(component.children, plan)
  const body = settings.length === 0
    ? `export const ${identifier}Tree = ${supervisor(component, plan)}`
    : `
/** What its children need to know. */
interface Settings {
${settings.map(({ key, type }) => `  readonly ${key}: ${type}`).join("\n")}
}

export const ${identifier}Tree = (settings: Settings) =>
  ${indented(supervisor(component, plan), "  ")}
`
  return file(`The supervisor ${name}: what it looks after, and how.`, body, importsOf(component.children))
}

// --- applications ----------------------------------------------------------------------------------------------------

/** The file of an application. */
export const applicationFile = (application: Application, plan: Plan): string => {
  const { children, identifier, name, needs, startType } = application
  const settings = settingsOf(children, plan)
  const made = `Application.make(${quoted(name)}, {
  version: "0.1.0",
  startType: ${quoted(startType)},${
    needs.length === 0 ? "" : `
  // They are started before it, by main.ts.
  applications: [${needs.map(quoted).join(", ")}],`
  }
  supervisor: ${indented(supervisor({ children, parameters: standardParameters }, plan), "  ")},
  start: () => Effect.log(${quoted(`${name} has started`)})
})`
  const body = settings.length === 0
    ? `export const ${identifier}Application = ${made}`
    : `
/** What can be set from outside, by variables of the environment. */
export const ${identifier}Settings = Config.all({
  ${settings.map(({ config, key }) => `${key}: ${config}`).join(",\n  ")}
})

export const ${identifier}Application = (settings: Config.Success<typeof ${identifier}Settings>) =>
  ${indented(made, "  ")}
`
  return file(`The application ${name}: its tree, and what can be set from outside.`, body, importsOf(children))
}

/** The layers that components need, as the program has them, or as a test does. */
export const needsOf = (components: ReadonlyArray<Component>, tested: boolean): ReadonlyArray<string> => {
  const kinds = new Set(flatten(components).map(({ kind }) => kind))
  return [
    ...(kinds.has("tcp") ? ["NodeTcpNetwork.layer"] : []),
    ...(kinds.has("raft") ? [tested ? "RaftStorage.memory" : "StorageLive"] : [])
  ]
}

/** Everything that applications of these names need, directly or not. */
const closure = (plan: Plan, names: ReadonlyArray<string>): ReadonlySet<string> => {
  const found = new Set<string>(names)
  // An application is declared after what it needs, so that one way back through the plan finds all.
  for (const application of plan.applications.toReversed()) {
    if (found.has(application.name)) application.needs.forEach((name) => found.add(name))
  }
  return found
}

/** An application as a test starts it, on ports that are free. */
const started = ({ children, identifier }: Application, plan: Plan): string => {
  const settings = settingsOf(children, plan)
  const application = `${identifier}Application`
  return settings.length === 0
    ? `yield* Application.start(${application})`
    : wrapped(
      `yield* Application.start(${application}({ `,
      settings.map(({ key, tested }) => `${key}: ${tested}`),
      " }))",
      "      "
    )
}

/** The test of an application. */
export const applicationTest = (application: Application, plan: Plan): string => {
  const { children, name, needs } = application
  const needed = closure(plan, needs)
  const before = plan.applications.filter(({ name }) => needed.has(name))
  const together = [...before, application]
  const registered = flatten(children).filter(({ kind }) => kind !== "web").map((component) => component.registered)
  const layers = ["Node.layerLocal()", ...needsOf(together.flatMap(({ children }) => children), true)]
  const found = `      for (const name of ${wrapped("[", registered.map(quoted), "]", "      ")}) {
        assert.isTrue(Option.isSome(yield* Process.whereis(name)), name)
      }
`
  const body = `
describe(${quoted(`the application ${name}`)}, () => {
  it.live("starts all that belongs to it, and stops it again", () =>
    Effect.gen(function*() {
${together.map((one) => `      ${started(one, plan)}`).join("\n")}
${registered.length === 0 ? "" : found}      yield* Application.stop(${quoted(name)})
      const running = (yield* Application.whichApplications).map(({ name }) => name)
      assert.sameMembers(running, [${before.map(({ name }) => quoted(name)).join(", ")}])
    }).pipe(${provided(layers, "    ")}))
})
`
  return file(
    `The application ${name} as a whole.`,
    body,
    together.map(({ folder, identifier }) => ({
      path: `../../src/${folder}/Application.ts`,
      names: [`${identifier}Application`]
    }))
  )
}
