/**
 * `effect-otp top`: a node as it lives, in the terminal.
 *
 * It has the screen for itself and gives it back as it was, however it ends. Without a terminal it prints one snapshot, and
 * with `--json` a line for each.
 *
 * @since 0.1.0
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as Terminal from "effect/Terminal"
import type { Network } from "../../dist/Network.ts"
import type { Node } from "../../dist/Node.ts"
import type * as Asking from "./Asking.ts"
import type { CommandError } from "./CommandError.ts"
import * as Connect from "./Connect.ts"
import * as Interruption from "./Interruption.ts"
import { loadOf } from "./LoadFacts.ts"
import * as Output from "./Output.ts"
import { processes } from "./ProcessFacts.ts"
import * as ProcessTable from "./ProcessTable.ts"
import type { Subcommand } from "./Subcommand.ts"
import * as TopView from "./TopView.ts"

const escape = "\u001B["
/** The other screen, without a cursor. */
const enter = `${escape}?1049h${escape}?25l`
const leave = `${escape}?25h${escape}?1049l`

/** Draws over what is there, so that nothing flickers. */
const picture = (lines: ReadonlyArray<string>): string =>
  `${escape}H${lines.map((line) => `${line}${escape}K`).join("\n")}${escape}J`

const snapshot = (source: Asking.Source): Effect.Effect<TopView.Snapshot, CommandError, Node> =>
  Effect.gen(function*() {
    const [facts, all] = yield* Effect.all([loadOf(source), processes(source)], {
      concurrency: "unbounded"
    })
    return { node: source.node, at: yield* Clock.currentTimeMillis, facts, processes: all }
  })

/** Ctrl-C is a key here: the terminal passes on what is typed. */
const pressed = ({ key }: Terminal.UserInput): TopView.Event => ({
  _tag: "Key",
  name: key.ctrl && key.name === "c" ? "q" : key.name
})

/** The live view: whatever comes next, a key, a size or an answer of the node, changes it. */
const live = (
  source: Asking.Source,
  every: Duration.Duration,
  sort: ProcessTable.Sort
): Effect.Effect<void, CommandError, Node | Terminal.Terminal> =>
  Effect.scoped(Effect.gen(function*() {
    const terminal = yield* Terminal.Terminal
    const display = (text: string) => Effect.orDie(terminal.display(text))
    // The keys end with Escape, with Ctrl-D, and with the terminal itself.
    const keys = Stream.fromQueue(yield* terminal.readInput).pipe(
      Stream.map(pressed),
      Stream.concat(Stream.succeed<TopView.Event>({ _tag: "Key", name: "q" }))
    )
    const sizes = Stream.map(
      Stream.fromQueue(yield* terminal.size),
      (size): TopView.Event => ({ _tag: "Resized", size })
    )
    const snapshots = Stream.map(
      Stream.fromEffectSchedule(snapshot(source), Schedule.spaced(every)),
      (snapshot): TopView.Event => ({ _tag: "Snapshot", snapshot })
    )
    yield* Effect.acquireRelease(display(enter), () => display(leave))
    yield* Stream.mergeAll([keys, sizes, snapshots], { concurrency: "unbounded" }).pipe(
      Stream.scan(
        () => TopView.initial(sort) as TopView.View | undefined,
        (view, event) => view === undefined ? undefined : TopView.update(view, event)
      ),
      Stream.takeWhile((view) => view !== undefined),
      Stream.runForEach((view) => display(picture(TopView.render(view))))
    )
  }))

const line = ({ facts, node, processes }: TopView.Snapshot, sort: ProcessTable.Sort, limit: number): string =>
  JSON.stringify({
    node,
    ...facts,
    count: processes.length,
    processes: ProcessTable.sorted(processes, sort).slice(0, limit)
  })

export const top: Subcommand<
  "top",
  Network | FileSystem.FileSystem | Path.Path | Terminal.Terminal | Interruption.Interruption
> = Command.make("top", {
  node: Connect.node,
  sort: ProcessTable.sortFlag.pipe(Flag.withDefault("reductions" as const)),
  every: Flag.Finite("every").pipe(
    Flag.withMetavar("SECONDS"),
    Flag.withDefault(2),
    Flag.filter((seconds) => seconds >= 0.1, () => "a number from 0.1 on"),
    Flag.withDescription("How often to look, in seconds")
  ),
  limit: Flag.Int("limit").pipe(
    Flag.withMetavar("N"),
    Flag.withDefault(20),
    Flag.filter((limit) => limit >= 0, () => "a number from 0 on"),
    Flag.withDescription("How many processes a snapshot has; the live view has as many as there is room for")
  ),
  once: Flag.Boolean("once").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Print one snapshot and end, as without a terminal")
  ),
  connection: Connect.flags,
  json: Output.json.pipe(Flag.withDescription("Print each snapshot as a line of JSON"))
}, ({ connection, every, json, limit, node, once, sort }) =>
  Output.reported(
    json,
    Connect.withNode(connection, node, ({ timeout }) =>
      Effect.gen(function*() {
        const source = { node, timeout }
        const { canAnimate, canPrompt } = yield* TerminalCapabilities.TerminalCapabilities
        if (json) {
          yield* Interruption.orderly
          const print = Effect.flatMap(snapshot(source), (taken) => Console.log(line(taken, sort, limit)))
          return yield* once ? print : Effect.forever(Effect.andThen(print, Effect.sleep(Duration.seconds(every))))
        }
        if (once || !canAnimate || !canPrompt) {
          return yield* Console.log(TopView.still(yield* snapshot(source), sort, limit))
        }
        yield* Interruption.orderly
        yield* live(source, Duration.seconds(every), sort)
      }))
  )).pipe(
    Command.withDescription(
      "A node as it lives: load, memory, and its busiest processes, until q. Keys r, m, w and n sort; the arrows scroll"
    ),
    Command.withShortDescription("A node as it lives"),
    Command.withExamples([
      { command: "effect-otp top shop@127.0.0.1" },
      { command: "effect-otp top shop@127.0.0.1 --once --sort messages" },
      { command: "effect-otp top shop@127.0.0.1 --json --every 10", description: "a line every ten seconds" }
    ])
  )
