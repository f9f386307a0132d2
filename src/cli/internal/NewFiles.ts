/**
 * The files of a project, from its plan: path to text. Pure; the same plan gives the same files.
 *
 * @since 0.1.0
 */
import * as Applications from "./NewApplications.ts"
import * as Components from "./NewComponents.ts"
import type { Declaration } from "./NewDeclaration.ts"
import { type Component, flatten, type Plan } from "./NewPlan.ts"
import { file, provided, quoted, wrapped } from "./NewSource.ts"
import * as TreeView from "./TreeView.ts"
import { version } from "./Version.ts"

/** The versions that a project begins with: those that this package was tested with. */
export const versions: {
  readonly dependencies: { readonly [name: string]: string }
  readonly devDependencies: { readonly [name: string]: string }
  readonly engines: { readonly [name: string]: string }
} = {
  dependencies: {
    "@effect/platform-node": "4.1.0",
    effect: "4.1.0",
    "effect-otp": version
  },
  devDependencies: {
    "@effect/vitest": "4.0.0-rc.118",
    "@types/node": "24.19.2",
    node: "24.21.0",
    typescript: "7.0.2",
    vitest: "5.1.1"
  },
  engines: { node: ">=22.19.0" }
}

// --- the program -----------------------------------------------------------------------------------------------------

const nodeFile = (plan: Plan): string =>
  file(
    "The node: a member of a cluster when there is a cookie, else one that knows only itself.",
    `
const settings = Config.all({
  name: Config.String("NODE_NAME").pipe(Config.withDefault(${quoted(Applications.nodeName(plan))})),
  cookie: Config.option(Config.Redacted("EFFECT_OTP_COOKIE"))
})

/**
 * It listens on this host only, and serves EPMD where none runs. \`effect-otp tree\`, \`ps\` and \`top\` show what
 * is in it.
 */
export const NodeLive = Layer.unwrap(
  Effect.map(settings, ({ cookie, name }) =>
    Option.match(cookie, {
      onNone: () => Node.layerLocal({ name }),
      onSome: (cookie) =>
        NodeRuntimeTools.layer().pipe(
          Layer.provideMerge(Node.layer({ name, cookie, discovery: { serve: true } })),
          Layer.provide(NodeNetwork.layer)
        )
    })
  )
)
`
  )

const mainFile = (plan: Plan): string => {
  const components = plan.applications.flatMap(({ children }) => children)
  const layers = ["NodeLive", ...Applications.needsOf(components, false)]
  const lists = plan.applications.map(({ children, identifier }) =>
    Applications.settingsOf(children, plan).length === 0
      ? `${identifier}Application`
      : `${identifier}Application(yield* ${identifier}Settings)`
  )
  const run = `Application.run(${wrapped("[", lists, "]", "  ")})`
  const program = Applications.settingsOf(components, plan).length === 0
    ? run
    : `Effect.gen(function*() {\n  yield* ${run}\n})`
  const storage = !layers.includes("StorageLive") ? "" : `
/** Where the members of groups keep what they have promised: a folder, by default here. */
const StorageLive = Layer.unwrap(
  Effect.map(Config.withDefault(Config.String("DATA"), "data"), (path) => RaftStorage.file(path))
).pipe(Layer.provide(NodeServices.layer))
`
  const body = `${storage}
const program = ${program}

NodeApplication.runMain(
  program.pipe(
    ${provided(layers, "    ")},
    Effect.provideService(Logger.LogToStderr, true)
  )
)
`
  return file("The program: a node with the applications of the project, until it is told to stop.", body, [
    { path: "./NodeLive.ts", names: ["NodeLive"] },
    ...plan.applications.map(({ children, folder, identifier }) => ({
      path: `./${folder}/Application.ts`,
      names: [
        `${identifier}Application`,
        ...(Applications.settingsOf(children, plan).length === 0 ? [] : [`${identifier}Settings`])
      ]
    }))
  ])
}

// --- what is around the program --------------------------------------------------------------------------------------

const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`

const manifest = ({ project }: Plan): string =>
  json({
    name: project,
    version: "0.1.0",
    private: true,
    type: "module",
    engines: versions.engines,
    scripts: { start: "node src/main.ts", check: "tsc", test: "vitest run" },
    dependencies: versions.dependencies,
    devDependencies: versions.devDependencies,
    // It fetches the binary in its install script.
    allowScripts: { node: true }
  })

const compilerOptions = json({
  compilerOptions: {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUnusedLocals: true,
    noUnusedParameters: true,
    noImplicitOverride: true,
    noFallthroughCasesInSwitch: true,
    verbatimModuleSyntax: true,
    erasableSyntaxOnly: true,
    allowImportingTsExtensions: true,
    moduleDetection: "force",
    module: "NodeNext",
    target: "ES2022",
    lib: ["ES2023"],
    types: ["node"],
    skipLibCheck: true,
    noEmit: true
  },
  include: ["src", "test"]
})

const kindNames: { readonly [K in Component["kind"]]: string } = {
  sup: "supervisor",
  server: "server",
  pool: "pool",
  dynamic: "dynamic supervisor",
  stage: "stage",
  tcp: "TCP server",
  udp: "UDP server",
  web: "web server",
  raft: "replicated state",
  saga: "saga"
}

const drawn = (component: Component): TreeView.Tree => {
  const { children, from, kind, name, next, parameters, port } = component
  const more = [
    kindNames[kind],
    ...(kind === "sup" ? [parameters["strategy"]!] : []),
    ...(kind === "pool" ? [`${parameters["size"]} workers`] : []),
    ...(port === undefined ? [] : [`port ${port}`]),
    ...(from === undefined ? [] : [`reads from ${from}`]),
    ...(next === undefined ? [] : [`hands on to ${next}`]),
    ...(parameters["restart"] === "permanent" ? [] : [parameters["restart"]!])
  ]
  return { text: `${name} (${more.join(", ")})`, children: children.map(drawn) }
}

/** The trees of a plan, drawn with lines. */
export const tree = ({ applications, project }: Plan): string =>
  TreeView.draw({
    text: project,
    children: applications.map(({ children, name, needs, startType }) => ({
      text: `${name} (application, ${[startType, ...needs.map((need) => `needs ${need}`)].join(", ")})`,
      children: children.map(drawn)
    }))
  })

/** A declaration as an argument that every shell leaves as it is. */
const argument = ({ kind, text }: Declaration): string =>
  `--${kind} ${/^[\w:+-]+$/.test(text) ? text : `'${text.replaceAll("'", "")}'`}`

/** The command that makes this project. */
export const command = ({ declarations, project }: Plan): string =>
  ["npx effect-otp new", project, ...declarations.map(argument)].join(" ")

const readme = (plan: Plan): string => {
  const settings = Applications.settingsOf(plan.applications.flatMap(({ children }) => children), plan)
  const variables = [
    ["NODE_NAME", Applications.nodeName(plan), "the name of the node"],
    ["EFFECT_OTP_COOKIE", "", "the secret of the cluster, 16 bytes or more; without it the node knows only itself"],
    ...settings.map(({ about, standard, variable }) => [variable, standard, about]),
    ...(flatten(plan.applications.flatMap(({ children }) => children)).some(({ kind }) => kind === "raft")
      ? [["DATA", "data", "the folder of what must not be lost"]]
      : [])
  ]
  return `# ${plan.project}

\`\`\`text
${tree(plan)}
\`\`\`

Made by

\`\`\`sh
${command(plan)}
\`\`\`

## Commands

| Command | Does |
|---|---|
| \`npm install\` | installs what it needs |
| \`npm start\` | runs it until Ctrl-C |
| \`npm run check\` | checks the types |
| \`npm test\` | runs the tests |

Node.js 22.19 or newer runs TypeScript as it is; there is no build.

## Settings

| Variable | Default | Is |
|---|---|---|
${
    variables.map(([variable, standard, about]) =>
      `| \`${variable}\` | ${standard === "" ? "none" : `\`${standard}\``} | ${about} |`
    ).join("\n")
  }

With a cookie, the node is a member of a cluster, of which Erlang and Elixir nodes may be members too, and the command line
can look at it:

\`\`\`sh
export EFFECT_OTP_COOKIE=$(node -p 'crypto.randomUUID()')
npm start &
npx effect-otp tree ${Applications.nodeName(plan)}
\`\`\`

## Where things are

${
    plan.applications.map(({ folder, name }) =>
      `- \`src/${folder}\`: the application ${name}: \`Application.ts\` with its tree, and a file for each part of it.`
    ).join("\n")
  }
- \`src/NodeLive.ts\`: the node. \`src/main.ts\`: the program.
- \`test\`: a test for each file, and one for each application as a whole.
`
}

/** All files of a project, by their paths, in the order of the alphabet. */
export const render = (plan: Plan): { readonly [path: string]: string } => {
  const files: Array<readonly [path: string, text: string]> = [
    ["package.json", manifest(plan)],
    ["tsconfig.json", compilerOptions],
    [".gitignore", "node_modules/\ndata/\n*.tgz\n.erlang.cookie\n"],
    ["README.md", readme(plan)],
    ["src/main.ts", mainFile(plan)],
    ["src/NodeLive.ts", nodeFile(plan)]
  ]
  for (const application of plan.applications) {
    const { children, folder } = application
    const components = flatten(children)
    files.push(
      [`src/${folder}/Application.ts`, Applications.applicationFile(application, plan)],
      [`test/${folder}/Application.test.ts`, Applications.applicationTest(application, plan)]
    )
    for (const component of components) {
      const made = Components.render(component, folder, components)
      if (made === undefined) {
        files.push([`src/${folder}/${component.identifier}.ts`, Applications.treeFile(component, plan)])
      } else {
        files.push(
          [`src/${folder}/${component.identifier}.ts`, made.source],
          [`test/${folder}/${component.identifier}.test.ts`, made.test]
        )
      }
    }
  }
  return Object.fromEntries(files.toSorted(([a], [b]) => a < b ? -1 : 1))
}
