/**
 * The page and its files, read once. Browsers ask again each time whether a file has changed, and are told that it has not.
 */
import { Effect, FileSystem, Layer } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { createHash } from "node:crypto"
import { fileURLToPath } from "node:url"

const types: { readonly [extension: string]: string } = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml; charset=utf-8"
}

/** The route of one file. Only what is in the folder has one: there is no path to be led astray. */
const route = (path: `/${string}`, name: string, bytes: Uint8Array) => {
  const etag = `"${createHash("sha256").update(bytes).digest("base64url").slice(0, 22)}"`
  const headers = { etag, "cache-control": "no-cache" }
  const whole = HttpServerResponse.uint8Array(bytes, { headers, contentType: types[name.split(".").at(-1)!]! })
  const unchanged = HttpServerResponse.empty({ status: 304, headers })
  return HttpRouter.route(
    "GET",
    path,
    Effect.map(
      HttpServerRequest.HttpServerRequest,
      (request) => request.headers["if-none-match"] === etag ? unchanged : whole
    )
  )
}

export const layer = HttpRouter.use((router) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const folder = fileURLToPath(new URL("./page/", import.meta.url))
    for (const name of yield* files.readDirectory(folder)) {
      const bytes = yield* files.readFile(`${folder}${name}`)
      yield* router.addAll([route(name === "index.html" ? "/" : `/page/${name}`, name, bytes)])
    }
  })
).pipe(Layer.orDie)
