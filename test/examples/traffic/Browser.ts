/**
 * Headless Chromium for tests of pages: Debian's package, or the program that `CHROMIUM` names.
 */
import { Effect, type Scope } from "effect"
import { existsSync } from "node:fs"
import { type Browser, type ConsoleMessage, launch, type Page } from "puppeteer-core"

const program = process.env["CHROMIUM"] ?? "/usr/bin/chromium"

/** Whether there is a browser. Without one, tests are skipped, loudly, unless it is required. */
export const hasBrowser: boolean = existsSync(program)

if (!hasBrowser) {
  const message = `no browser at ${program}: install Debian's chromium, or name one with CHROMIUM`
  if (process.env["EFFECT_OTP_REQUIRE_CHROMIUM"] === "1") throw new Error(message)
  console.warn(`\n!!! The tests of pages are SKIPPED: ${message}\n`)
}

/** The browser of a test file, started by its first test. The sandbox is off: root, who may run tests, has none. */
let launched: Promise<Browser> | undefined

const browser = (): Promise<Browser> =>
  launched ??= launch({
    executablePath: program,
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
    timeout: 60_000
  })

/** Ends the browser, after the last test. */
export const closeBrowser = async (): Promise<void> => {
  await (await launched)?.close()
}

/** What went wrong on a page, and which other hosts it has asked. */
export interface Watched {
  readonly page: Page
  readonly errors: Array<string>
  readonly foreign: Array<string>
}

/** A page that is watched from its first request on, in the light, as long as the scope. */
export const open = (url: string): Effect.Effect<Watched, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => watch(await (await browser()).newPage(), url)),
    ({ page }) => Effect.promise(() => page.close())
  )

const watch = async (page: Page, url: string): Promise<Watched> => {
  page.setDefaultTimeout(20_000)
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "light" }])
  await page.setViewport({ width: 1280, height: 800 })
  const errors: Array<string> = []
  const foreign: Array<string> = []
  const { host } = new URL(url)
  page.on("console", (message: ConsoleMessage) => {
    if (message.type() === "error" || message.type() === "warn") errors.push(message.text())
  })
  page.on("pageerror", (error) => errors.push(String(error)))
  page.on("request", (request) => {
    const target = new URL(request.url())
    if (target.host !== host && target.protocol !== "data:") foreign.push(request.url())
  })
  await page.goto(url, { waitUntil: "load" })
  return { page, errors, foreign }
}

/** The value of an expression on a page. */
export const evaluate = <A>(page: Page, expression: string): Effect.Effect<A> =>
  Effect.promise(() => page.evaluate(expression) as Promise<A>) // who writes the expression knows
