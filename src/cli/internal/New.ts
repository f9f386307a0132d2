/**
 * `effect-otp new`: a project from flags that describe its supervision tree, or from questions at a terminal.
 *
 * The tree is planned and all files are made before anything is written. A folder that has something in it is left alone
 * unless `--force` is given; then files of the same name are replaced and others stay.
 *
 * @since 0.1.0
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import type * as PlatformError from "effect/PlatformError"
import * as Stdio from "effect/Stdio"
import { type Declaration, type Kind, kinds } from "./NewDeclaration.ts"
import { NewError } from "./NewError.ts"
import * as Files from "./NewFiles.ts"
import * as Plan from "./NewPlan.ts"
import * as Wizard from "./NewWizard.ts"
import * as Output from "./Output.ts"
import type { Subcommand } from "./Subcommand.ts"

// --- flags -----------------------------------------------------------------------------------------------------------

const described: { readonly [K in Kind]: readonly [metavar: string, description: string] } = {
  app: ["NAME{...}", "An application. {type:permanent|transient|temporary,needs:OTHER+OTHER}"],
  sup: [
    "PARENT:NAME{...}",
    "A supervisor. {strategy:one_for_one|one_for_all|rest_for_one,intensity:1,period:5,restart:permanent}"
  ],
  server: ["PARENT:NAME{...}", "A server. {restart:permanent|transient|temporary,shutdown:5}"],
  pool: ["PARENT:NAME{...}", "A pool of workers. {size:4,strategy:round_robin|least_loaded}"],
  dynamic: [
    "PARENT:NAME{...}",
    "Servers that are started while it runs, and their supervisor. {max:100,restart:permanent}"
  ],
  tcp: ["PARENT:NAME{...}", "A TCP server. {port:7000,framing:lines|length}"],
  udp: ["PARENT:NAME{...}", "A UDP server. {port:7000,handlers:4}"],
  web: ["PARENT:NAME{...}", "A web server. {port:8080,handlers:8}"],
  stage: ["PARENT:NAME{...}", "A stage: a producer, or one that reads from another. {from:STAGE}"],
  raft: ["PARENT:NAME{...}", "State that several nodes keep in common"],
  saga: ["PARENT:NAME{...}", "A saga: it does a part of a transaction, or hands it on to another. {next:SAGA}"],
  message: [
    "SERVER:NAME{...}",
    "A message of a server, of a pool or of dynamic servers. {kind:call|cast|info,reply:TYPE,FIELD:TYPE} of string, int, number, boolean"
  ]
}

const declared = (kind: Kind): Flag.Flag<ReadonlyArray<string>> => {
  const [metavar, description] = described[kind]
  return Flag.String(kind).pipe(Flag.withMetavar(metavar), Flag.withDescription(description), Flag.atLeast(0))
}

const trees: { readonly [K in Kind]: Flag.Flag<ReadonlyArray<string>> } = {
  app: declared("app"),
  sup: declared("sup"),
  server: declared("server"),
  pool: declared("pool"),
  dynamic: declared("dynamic"),
  tcp: declared("tcp"),
  udp: declared("udp"),
  web: declared("web"),
  stage: declared("stage"),
  raft: declared("raft"),
  saga: declared("saga"),
  message: declared("message")
}

type Texts = { readonly [K in Kind]: ReadonlyArray<string> }

/**
 * The declarations in the order in which they were written: parents come before their children. The parser has them by
 * flag; the arguments of the process say the rest.
 */
export const ordered = (texts: Texts, args: ReadonlyArray<string>): ReadonlyArray<Declaration> => {
  const left = new Map(kinds.map((kind) => [kind, [...texts[kind]]]))
  return args.flatMap((arg): ReadonlyArray<Declaration> => {
    const kind = kinds.find((kind) => arg === `--${kind}` || arg.startsWith(`--${kind}=`))
    const text = kind === undefined ? undefined : left.get(kind)!.shift()
    return text === undefined ? [] : [{ kind: kind!, text }]
  })
}

// --- writing ---------------------------------------------------------------------------------------------------------

const unwritable = (path: string) => (error: PlatformError.PlatformError): NewError =>
  new NewError({ reason: "Unwritable", detail: `${path} cannot be written: ${error.message}` })

const isEmpty = (folder: string): Effect.Effect<boolean, NewError, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const there = yield* Effect.mapError(files.exists(folder), unwritable(folder))
    return !there || (yield* Effect.mapError(files.readDirectory(folder), unwritable(folder))).length === 0
  })

const write = (
  folder: string,
  files: { readonly [path: string]: string }
): Effect.Effect<void, NewError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const system = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    for (const [name, text] of Object.entries(files)) {
      const file = path.join(folder, name)
      yield* Effect.mapError(
        Effect.andThen(
          system.makeDirectory(path.dirname(file), { recursive: true }),
          system.writeFileString(file, text)
        ),
        unwritable(file)
      )
    }
  })

// --- the command -----------------------------------------------------------------------------------------------------

interface Options {
  readonly folder: Option.Option<string>
  readonly name: Option.Option<string>
  readonly force: boolean
  readonly dryRun: boolean
  readonly json: boolean
}

/** What to make and where: from flags, or, when there are none and somebody sits at a terminal, from answers. */
const asked = (options: Options, declarations: ReadonlyArray<Declaration>) =>
  Effect.gen(function*() {
    const path = yield* Path.Path
    const stdio = yield* Stdio.Stdio
    const folder = Option.getOrUndefined(options.folder)
    const named = Option.getOrElse(
      options.name,
      () => folder === undefined ? undefined : path.basename(path.resolve(folder))
    )
    // Before anybody is asked anything: a name that will not do.
    if (named !== undefined) yield* Effect.fromResult(Plan.make(named, []))
    if (declarations.length === 0 && !options.json && (yield* stdio.stdinIsTerminal)) {
      const answers = yield* Effect.catchTag(
        Wizard.ask(named),
        "QuitError",
        () => Effect.andThen(Console.error("nothing was made"), Effect.interrupt)
      )
      return { ...answers, folder: folder ?? answers.project }
    }
    if (named === undefined) {
      return yield* new NewError({
        reason: "NoFolder",
        detail: "say where the project goes: effect-otp new FOLDER; the name of the folder is that of the project"
      })
    }
    return { project: named, declarations, folder: folder ?? named }
  })

const done = (
  plan: Plan.Plan,
  folder: string,
  names: ReadonlyArray<string>,
  written: boolean
): string =>
  [
    Files.tree(plan),
    "",
    `${written ? "Written to" : "Would be written to"} ${folder}:`,
    ...names.map((name) => `  ${name}`),
    "",
    ...(written
      ? ["Next:", `  cd ${folder}`, "  npm install", "  npm test", "  npm start"]
      : ["Nothing was written (--dry-run)."])
  ].join("\n")

const make = (options: Options, declarations: ReadonlyArray<Declaration>) =>
  Effect.gen(function*() {
    const { folder, project, ...rest } = yield* asked(options, declarations)
    const plan = yield* Effect.fromResult(Plan.make(project, rest.declarations))
    const files = Files.render(plan)
    if (!options.force && !(yield* isEmpty(folder))) {
      return yield* new NewError({
        reason: "NotEmpty",
        detail:
          `${folder} is not empty: take another folder, or --force to write into it and replace files of the same name`
      })
    }
    if (!options.dryRun) yield* write(folder, files)
    const names = Object.keys(files)
    yield* Output.show(
      options.json,
      { folder, written: !options.dryRun, command: Files.command(plan), plan, files: names },
      done(plan, folder, names, !options.dryRun)
    )
  })

export const newProject: Subcommand<"new", Command.Environment> = Command.make("new", {
  folder: Argument.String("folder").pipe(
    Argument.withDescription("Where the project goes; the name of the folder is that of the project"),
    Argument.optional
  ),
  name: Flag.String("name").pipe(
    Flag.withMetavar("NAME"),
    Flag.optional,
    Flag.withDescription("The name of the project, when it is not that of the folder")
  ),
  ...trees,
  force: Flag.Boolean("force").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Write into a folder that is not empty")
  ),
  dryRun: Flag.Boolean("dry-run").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Only say what would be written")
  ),
  json: Output.json
}, ({ dryRun, folder, force, json, name, ...texts }) =>
  Output.reported(
    json,
    Effect.gen(function*() {
      const args = yield* (yield* Stdio.Stdio).args
      yield* make({ dryRun, folder, force, json, name }, ordered(texts, args))
    })
  )).pipe(
    Command.withDescription(
      "Make a project from a supervision tree: applications, supervisors and what they look after, each declared after its " +
        "parent as Parent:Name{parameter:value,...}. What has no parent belongs to the application before it, or to one " +
        "called like the project. Without any of them, it asks"
    ),
    Command.withShortDescription("Make a project from a supervision tree"),
    Command.withExamples([
      { command: "effect-otp new shop", description: "questions at a terminal, else a project with one server" },
      {
        command: "effect-otp new shop --server stock --message 'stock:put{item:string,count:int,reply:int}' --web api",
        description: "an application with a server and a web server"
      },
      {
        command:
          "effect-otp new shop --app shop --sup 'shop:desk{strategy:rest_for_one}' --server desk:till --pool 'desk:clerks{size:8}'",
        description: "a tree: quotes keep the shell from reading the braces"
      }
    ])
  )
