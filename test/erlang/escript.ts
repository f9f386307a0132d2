/**
 * Running the Erlang side of a test. Where Erlang is missing the tests are skipped with a loud line, unless
 * `EFFECT_OTP_REQUIRE_ERLANG=1` asks them to fail.
 */
import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const find = (): string | undefined => {
  try {
    return execFileSync("erl", ["-noshell", "-eval", "io:format(\"~s\", [erlang:system_info(otp_release)]), halt()."], {
      encoding: "utf8"
    })
  } catch {
    return undefined
  }
}

/** The release of the Erlang that is installed, such as "25", or undefined. */
export const otpRelease: string | undefined = find()

/** Whether tests against Erlang run. */
export const erlangAvailable: boolean = (() => {
  if (otpRelease !== undefined) return true
  if (process.env["EFFECT_OTP_REQUIRE_ERLANG"] === "1") {
    throw new Error("Erlang is required by EFFECT_OTP_REQUIRE_ERLANG=1, and missing")
  }
  console.warn("\n*** SKIPPED: Erlang is not installed, nothing is tested against a real node here ***\n")
  return false
})()

/** Runs an Elixir script of this folder; undefined when Elixir is not installed, which is said aloud. */
export const elixir = (name: string, args: ReadonlyArray<string>): string | undefined => {
  try {
    execFileSync("elixir", ["--version"], { stdio: "ignore" })
  } catch {
    if (process.env["EFFECT_OTP_REQUIRE_ERLANG"] === "1") throw new Error("Elixir is required and missing")
    console.warn("\n*** SKIPPED: Elixir is not installed ***\n")
    return undefined
  }
  return execFileSync("elixir", [fileURLToPath(new URL(name, import.meta.url)), ...args], { encoding: "utf8" })
}

/** Runs a script of this folder. */
export const escript = (name: string, args: ReadonlyArray<string>): string =>
  execFileSync("escript", [fileURLToPath(new URL(name, import.meta.url)), ...args], {
    encoding: "utf8",
    maxBuffer: 1 << 28
  })

/** A directory for the files of one test, removed at the end. */
export const withDirectory = <A>(f: (file: (name: string) => string) => A): A => {
  const directory = mkdtempSync(join(tmpdir(), "effect-otp-"))
  try {
    return f((name) => join(directory, name))
  } finally {
    rmSync(directory, { recursive: true })
  }
}

/** Writes records: length (32 bits), bytes. */
export const writeRecords = (file: string, records: ReadonlyArray<Uint8Array>): void => {
  const parts: Array<Uint8Array> = []
  for (const record of records) {
    const head = new Uint8Array(4)
    new DataView(head.buffer).setUint32(0, record.length)
    parts.push(head, record)
  }
  writeFileSync(file, Buffer.concat(parts))
}

/** Reads what `writeRecords`, or Erlang, wrote. */
export const readRecords = (file: string): Array<Uint8Array> => {
  const bytes = new Uint8Array(readFileSync(file))
  const view = new DataView(bytes.buffer)
  const records: Array<Uint8Array> = []
  for (let at = 0; at < bytes.length;) {
    const length = view.getUint32(at)
    records.push(bytes.slice(at + 4, at + 4 + length))
    at += 4 + length
  }
  return records
}
