/**
 * Certificates for the TLS benchmarks: an authority and one node, made by `openssl` in a temporary folder.
 *
 * @since 0.1.0
 */
import { execFile } from "node:child_process"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"

const run = promisify(execFile)

/** The folder with `ca.pem`, `node.pem`, `node.key` and Erlang's `options`. */
export interface Certificates {
  readonly folder: string
  readonly remove: () => Promise<void>
}

/** Makes them; undefined where `openssl` is not installed. */
export const make = async (): Promise<Certificates | undefined> => {
  const folder = await mkdtemp(join(tmpdir(), "effect-otp-bench-tls-"))
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true })
  const file = (name: string): string => join(folder, name)
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
  try {
    await run("openssl", [
      ...[
        "req",
        "-x509",
        ...key,
        "-subj",
        "/CN=effect-otp benchmarks",
        "-keyout",
        file("ca.key"),
        "-out",
        file("ca.pem")
      ],
      ...["-addext", "keyUsage=critical,keyCertSign"]
    ])
    await run("openssl", [
      ...["req", "-x509", ...key, "-subj", "/CN=127.0.0.1", "-keyout", file("node.key"), "-out", file("node.pem")],
      ...["-CA", file("ca.pem"), "-CAkey", file("ca.key"), "-addext", "basicConstraints=critical,CA:FALSE"],
      ...["-addext", "subjectAltName=IP:127.0.0.1,DNS:127.0.0.1"]
    ])
  } catch (error) {
    await remove()
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined
    throw error
  }
  const options = `{certfile,"${file("node.pem")}"},{keyfile,"${file("node.key")}"},{cacertfile,"${file("ca.pem")}"},` +
    "{verify,verify_peer}"
  await writeFile(file("options"), `[{server,[${options},{fail_if_no_peer_cert,true}]},{client,[${options}]}].\n`)
  return { folder, remove }
}

/** The texts of a folder. */
export const read = async (
  folder: string
): Promise<{ readonly ca: string; readonly cert: string; readonly key: string }> => {
  const text = (name: string): Promise<string> => readFile(join(folder, name), "utf8")
  return { ca: await text("ca.pem"), cert: await text("node.pem"), key: await text("node.key") }
}
