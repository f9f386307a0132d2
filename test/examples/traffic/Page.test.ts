/**
 * The page in a real browser: vehicles move on the map, a click asks about them, a click kills a process and its restart
 * is seen, and the connection comes back by itself.
 *
 * With `TRAFFIC_SCREENSHOT=<file>` a picture of the simulated city is written.
 */
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import type { Page } from "puppeteer-core"
import * as City from "../../../examples/traffic/City.ts"
import { until } from "../../net/Until.ts"
import { root } from "../../project/Sources.ts"
import { closeBrowser, evaluate, hasBrowser, open, type Watched } from "./Browser.ts"
import { type App, base, freePort, withApp } from "./WebApp.ts"

const vehicles = 120

/** Has vehicles of the simulated city drive, quickly. */
const drive = ({ store }: App) =>
  Effect.gen(function*() {
    const city = City.make({ seed: 3, vehicles })
    for (let second = 0;; second += 15) {
      yield* store(city.at(base + second * 1000))
      yield* Effect.sleep("200 millis")
    }
  })

/** A page of the application, with vehicles on it. */
const withPage = (
  use: (watched: Watched, app: App) => Effect.Effect<void, unknown, never>
) =>
  withApp((app) =>
    Effect.gen(function*() {
      yield* Effect.forkScoped(drive(app))
      const watched = yield* open(`http://127.0.0.1:${app.port}/`)
      yield* moving(watched.page)
      yield* use(watched, app)
    }).pipe(Effect.scoped)
  )

const mapData = (page: Page) =>
  Effect.map(
    evaluate<Record<string, string>>(page, `({ ...document.querySelector("canvas").dataset })`),
    ({ moves, scale, vehicles }) => ({ vehicles: Number(vehicles), moves: Number(moves), scale: Number(scale) })
  )

const moving = (page: Page) => until(mapData(page), ({ moves, vehicles: n }) => n === vehicles && moves > vehicles)

/** What is on the map, as a picture: nothing but a grid is a short one. */
const picture = (page: Page) => evaluate<string>(page, `document.querySelector("canvas").toDataURL()`)

const textOf = (page: Page, selector: string) =>
  evaluate<string>(page, `document.querySelector(${JSON.stringify(selector)})?.textContent ?? ""`)

const datasetOf = (page: Page, selector: string) =>
  evaluate<Record<string, string>>(page, `({ ...document.querySelector(${JSON.stringify(selector)}).dataset })`)

const click = (page: Page, selector: string) => Effect.promise(() => page.click(selector))

const onPage = (title: string, use: Parameters<typeof withPage>[0]): void =>
  it.live.skipIf(!hasBrowser)(title, () => withPage(use), 90_000)

afterAll(closeBrowser)

describe("the page of the traffic application", () => {
  onPage(
    "shows vehicles that move, without an error and without asking anybody else",
    ({ errors, foreign, page }) =>
      Effect.gen(function*() {
        const first = yield* picture(page)
        assert.isAbove(first.length, 20_000)
        yield* until(picture(page), (now) => now !== first)
        assert.strictEqual(yield* textOf(page, "#connection"), "live")
        yield* until(
          textOf(page, `[data-rate="stored"]`),
          (text) => Number(text.replace(",", "")) > 100
        )
        yield* until(textOf(page, `[data-count="vehicles"]`), (text) => text === String(vehicles))
        assert.deepStrictEqual(errors, [])
        assert.deepStrictEqual(foreign, [])
      })
  )

  onPage(
    "shows the tree; a click kills a process, and its restart is counted and seen",
    ({ errors, page }) =>
      Effect.gen(function*() {
        const names = evaluate<ReadonlyArray<string>>(
          page,
          `[...document.querySelectorAll(".process")].map(({ dataset }) => dataset.name)`
        )
        const shown = yield* until(names, ({ length }) => length > 0)
        for (const name of ["traffic", "storage", "queries", "ingest", "statistics", "web", "observer", "live"]) {
          assert.include(shown, name)
        }
        const row = `.process[data-name="storage"]`
        const before = yield* datasetOf(page, row)
        assert.strictEqual(yield* textOf(page, `${row} .restarts`), "↻ 0")
        yield* click(page, `${row} .kill`)
        yield* until(textOf(page, `${row} .restarts`), (text) => text === "↻ 1")
        // It is marked, and marked no more after a while.
        yield* Effect.promise(() => page.waitForSelector(`${row}.restarted`))
        yield* until(textOf(page, "#tree-said"), (text) => text === "storage is back")
        assert.notStrictEqual((yield* datasetOf(page, row))["pid"], before["pid"])
        yield* Effect.promise(() => page.waitForSelector(`${row}:not(.restarted)`))

        // The workers of a pool are folded; what happens there is seen at the pool.
        const pool = `.process[data-name="queries"]`
        assert.strictEqual(yield* textOf(page, `${pool} .restarts`), "↻ 0")
        assert.isFalse(yield* isVisible(page, `.process[data-name="worker-0"]`))
        yield* click(page, `${pool} .fold`)
        yield* Effect.promise(() =>
          page.waitForSelector(`${pool} + ul .process[data-name="worker-0"]`, { visible: true })
        )
        yield* click(page, `${pool} + ul .process[data-name="worker-0"] .kill`)
        yield* until(textOf(page, `${pool} + ul .process[data-name="worker-0"] .restarts`), (text) => text === "↻ 1")
        yield* click(page, `${pool} .fold`)
        assert.strictEqual(yield* textOf(page, `${pool} .restarts`), "↻ 1")
        assert.deepStrictEqual(errors, [])
      })
  )

  onPage(
    "a click on the map asks for the ten nearest, a click on one of them for its track",
    ({ errors, page }) =>
      Effect.gen(function*() {
        yield* click(page, "canvas")
        const asked = yield* until(textOf(page, "#selection"), (text) => text.length > 0)
        if (asked.startsWith("Nearest to")) {
          assert.strictEqual(yield* evaluate<number>(page, `document.querySelectorAll("#selection li").length`), 10)
          yield* click(page, "#selection li button")
        }
        yield* until(
          textOf(page, "#selection"),
          (text) => /^Vehicle .*: (route .*, )?\d+ places in the last hour/.test(text)
        )
        assert.deepStrictEqual(errors, [])
      })
  )

  onPage(
    "a vehicle is found by name, and who is not there is refused with a reason",
    ({ page }) =>
      Effect.gen(function*() {
        const ask = (vehicle: string) =>
          Effect.promise(async () => {
            await page.click("#find input", { count: 3 })
            await page.keyboard.type(vehicle)
            await page.keyboard.press("Enter")
          })
        yield* ask("nobody")
        yield* until(textOf(page, "#selection .refused"), (text) => text === "No such vehicle")
        const name = yield* evaluate<string>(page, `document.querySelector("#vehicles option").value`)
        yield* ask(name)
        yield* until(textOf(page, "#selection"), (text) => text.startsWith(`Vehicle ${name}: `))
      })
  )

  onPage("is moved and asked by keys alone", ({ errors, page }) =>
    Effect.gen(function*() {
      const press = (...keys: ReadonlyArray<"Tab" | "ArrowLeft" | "+" | "-" | "0" | "Enter" | "Space">) =>
        Effect.promise(async () => {
          for (const key of keys) await page.keyboard.press(key)
        })
      const focused = evaluate<string>(page, "document.activeElement.tagName")
      yield* until(Effect.andThen(press("Tab"), focused), (tag) => tag === "CANVAS")
      const { scale } = yield* mapData(page)
      yield* press("+", "+")
      yield* until(mapData(page), (data) => Math.abs(data.scale / scale - 2.25) < 0.01)
      const before = yield* picture(page)
      yield* press("ArrowLeft")
      yield* until(picture(page), (now) => now !== before)
      yield* press("Enter")
      yield* until(textOf(page, "#selection"), (text) => text.length > 0)
      yield* press("0")
      yield* until(mapData(page), (data) => data.scale < scale * 2)
      // On to a button that kills, which is pressed.
      const label = evaluate<string | null>(page, `document.activeElement.getAttribute("aria-label")`)
      yield* until(Effect.andThen(press("Tab"), label), (label) => label === "kill statistics")
      yield* press("Space")
      yield* until(textOf(page, `.process[data-name="statistics"] .restarts`), (text) => text === "↻ 1")
      // The focus is where it was.
      assert.strictEqual(yield* label, "kill statistics")
      assert.deepStrictEqual(errors, [])
    }))

  onPage("connects again by itself when the server was restarted", ({ page }) =>
    Effect.gen(function*() {
      yield* click(page, `.process[data-name="server"] .kill`)
      yield* until(textOf(page, `.process[data-name="server"] .restarts`), (text) => text === "↻ 1")
      assert.strictEqual(yield* textOf(page, "#connection"), "live")
      const { moves } = yield* mapData(page)
      yield* until(mapData(page), (data) => data.moves > moves + vehicles)
    }))

  onPage("has colours for the dark", ({ errors, page }) =>
    Effect.gen(function*() {
      const ground = evaluate<string>(page, `getComputedStyle(document.querySelector("#map")).backgroundColor`)
      const scheme = (value: string) =>
        Effect.promise(() => page.emulateMediaFeatures([{ name: "prefers-color-scheme", value }]))
      yield* scheme("light")
      const light = yield* ground
      yield* scheme("dark")
      assert.notStrictEqual(yield* ground, light)
      assert.deepStrictEqual(errors, [])
    }))

  it.live.skipIf(!hasBrowser)(
    "is there with the application as a user starts it, and vehicles move",
    () =>
      Effect.gen(function*() {
        const port = yield* started
        const { errors, foreign, page } = yield* open(`http://127.0.0.1:${port}/`)
        yield* until(mapData(page), ({ moves, vehicles }) => vehicles === 300 && moves > 1000)
        for (const name of ["emergency", "tcp_receiver", "udp_receiver", "vehicles"]) {
          assert.strictEqual(yield* textOf(page, `.process[data-name="${name}"] .title`), name)
        }
        yield* click(page, "canvas")
        yield* click(page, `.process[data-name="storage"] .kill`)
        yield* until(textOf(page, `.process[data-name="storage"] .restarts`), (text) => text === "↻ 1")
        const file = process.env["TRAFFIC_SCREENSHOT"]
        if (file !== undefined) {
          // Trails grow for a while.
          yield* Effect.sleep("15 seconds")
          yield* click(page, `.process[data-name="storage"] .kill`)
          yield* until(textOf(page, `.process[data-name="storage"] .restarts`), (text) => text === "↻ 2")
          yield* Effect.promise(() => page.screenshot({ path: file as `${string}.png` }))
        }
        assert.deepStrictEqual(errors, [])
        assert.deepStrictEqual(foreign, [])
      }).pipe(Effect.scoped),
    90_000
  )
})

/** The application in a process of its own, and the port of its page. */
const started = Effect.gen(function*() {
  const port = yield* freePort
  const epmd = yield* freePort
  const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "traffic-page-"))
  yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, ["--conditions=effect-otp-source", "examples/traffic/main.ts"], {
        cwd: root,
        stdio: "ignore",
        env: {
          ...process.env,
          ERL_EPMD_PORT: String(epmd),
          TRAFFIC_NODE: "page@127.0.0.1",
          TRAFFIC_FOLDER: folder,
          TRAFFIC_DATABASE: "memory",
          TRAFFIC_HTTP_PORT: String(port),
          TRAFFIC_TCP_PORT: "0",
          TRAFFIC_UDP_PORT: "0"
        }
      })
    ),
    (child) =>
      Effect.promise(async () => {
        child.kill("SIGKILL")
        await once(child, "exit")
        Fs.rmSync(folder, { recursive: true })
      })
  )
  const ask = Effect.tryPromise(() => fetch(`http://127.0.0.1:${port}/api/processes`))
  yield* until(Effect.orElseSucceed(Effect.map(ask, ({ status }) => status), () => 0), (status) => status === 200)
  return port
})

const isVisible = (page: Page, selector: string) =>
  evaluate<boolean>(page, `document.querySelector(${JSON.stringify(selector)}).checkVisibility()`)
