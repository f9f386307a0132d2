/**
 * The tree of the running application: who is in it, and that it shows each restart, whichever process is killed.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Http from "node:http"
import type { TreeNode } from "../../../examples/traffic/Tree.ts"
import { until } from "../../net/Until.ts"
import { type App, position, withApp } from "./WebApp.ts"

/** The tree as the API gives it; none while a process that it needs is being restarted. */
const treeOf = ({ ask }: App): Effect.Effect<TreeNode | undefined> =>
  Effect.orElseSucceed(
    Effect.map(Effect.catchDefect(ask("/api/processes"), Effect.fail), ({ body, status }) =>
      status === 200 ? body.tree as TreeNode : undefined),
    () =>
      undefined
  )

/** A process by the names on the way to it. */
const at = (root: TreeNode | undefined, path: string): TreeNode | undefined =>
  path.split("/").slice(1).reduce<TreeNode | undefined>(
    (node, name) => node?.children.find((child) => child.name === name),
    root
  )

const kill = ({ ask }: App, pid: string) =>
  Effect.map(
    ask(`/api/processes/${encodeURIComponent(pid)}/kill`, { method: "POST" }),
    ({ status }) => assert.strictEqual(status, 204)
  )

/** The pool in whose processes requests are handled, below the server and its supervisor. */
const handlers = "/web/server/Supervisor/handlers/web_handlers"

describe("the tree of the traffic application", () => {
  it.live("has every process, by name, with its mailbox, from the top", () =>
    withApp((app) =>
      Effect.gen(function*() {
        const root = (yield* treeOf(app))!
        assert.deepInclude(root, { name: "traffic", kind: "supervisor", behaviour: "Supervisor", status: "running" })
        assert.deepStrictEqual(root.children.map(({ name }) => name), [
          "storage",
          "queries",
          "ingest",
          "statistics",
          "web"
        ])
        assert.deepStrictEqual(at(root, "/web")!.children.map(({ name }) => name), ["observer", "live", "server"])
        assert.deepInclude(at(root, "/queries")!, { kind: "supervisor", behaviour: "Pool" })
        assert.strictEqual(at(root, "/queries")!.children.length, 2)
        assert.deepInclude(at(root, "/storage")!, {
          kind: "worker",
          behaviour: "Storage",
          mailbox: 0,
          capacity: 100_000,
          dropped: 0,
          restarts: 0,
          children: [],
          more: 0
        })
        // Below the server are the processes in which requests are handled: this one as well.
        assert.strictEqual(at(root, handlers)!.children.length, 16)
        const { memory } = (yield* app.ask("/api/processes")).body
        assert.isAbove(memory.heap, 1_000_000)
        assert.isAbove(memory.resident, memory.heap)
      })
    ), 30_000)

  for (
    const path of [
      "/storage",
      "/queries",
      "/queries/worker-1",
      "/ingest",
      "/ingest/worker-0",
      "/statistics",
      "/web",
      "/web/observer",
      "/web/live",
      "/web/server",
      handlers,
      `${handlers}/worker-3`
    ]
  ) {
    it.live(`shows that ${path} was killed and is back`, () =>
      withApp((app) =>
        Effect.gen(function*() {
          const before = yield* until(treeOf(app), (tree) => at(tree, path)?.pid !== undefined)
          yield* kill(app, at(before, path)!.pid!)
          const after = yield* until(treeOf(app), (tree) => (at(tree, path)?.restarts ?? 0) > 0)
          assert.strictEqual(at(after, path)!.restarts, 1)
          assert.notStrictEqual(at(after, path)!.pid, at(before, path)!.pid)
          assert.strictEqual(at(after, path)!.status, "running")
          // It works as before.
          yield* app.store([position("a", 1)])
          const { body } = yield* until(app.ask("/api/vehicles/a/track"), ({ status }) => status === 200)
          assert.strictEqual(body.length, 1)
        })
      ), 30_000)
  }

  it.live("counts each of several restarts", () =>
    withApp((app) =>
      Effect.gen(function*() {
        for (let n = 1; n <= 5; n++) {
          const tree = yield* until(treeOf(app), (tree) => at(tree, "/statistics")?.restarts === n - 1)
          yield* kill(app, at(tree, "/statistics")!.pid!)
        }
        yield* until(treeOf(app), (tree) => at(tree, "/statistics")?.restarts === 5)
        // The others were left alone.
        assert.strictEqual(at(yield* treeOf(app), "/storage")!.restarts, 0)
      })
    ), 30_000)

  it.live("shows some of many clients, and how many more there are", () =>
    withApp((app) =>
      Effect.gen(function*() {
        const agent = new Http.Agent({ maxSockets: 100 })
        yield* Effect.addFinalizer(() => Effect.sync(() => agent.destroy()))
        for (let i = 0; i < 40; i++) {
          Http.get({ port: app.port, agent, path: "/api/live" }, (response) => response.resume()).on("error", () => {})
        }
        const tree = yield* until(treeOf(app), (tree) => (at(tree, "/web/live")?.more ?? 0) === 16)
        const { children } = at(tree, "/web/live")!
        assert.strictEqual(children.length, 24)
        assert.deepStrictEqual(new Set(children.map(({ name }) => name)), new Set(["LiveClient"]))
        // A client that is killed is not a restart.
        yield* kill(app, children[0]!.pid!)
        const after = yield* until(treeOf(app), (tree) => at(tree, "/web/live")?.more === 15)
        assert.deepStrictEqual(new Set(at(after, "/web/live")!.children.map(({ restarts }) => restarts)), new Set([0]))
      }).pipe(Effect.scoped)
    ), 30_000)
})
