/**
 * `effect-otp cert`, run as a user runs it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { X509Certificate } from "node:crypto"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { buildFirst, run as runBuilt, temporaryFolder as folder } from "./Built.ts"

const run = (...args: ReadonlyArray<string>) => runBuilt(args)

const mode = (file: string): string => (Fs.statSync(file).mode & 0o777).toString(8)

const certificate = (file: string): X509Certificate => new X509Certificate(Fs.readFileSync(file))

describe("effect-otp cert", () => {
  buildFirst()

  it.live("makes an authority and what it issues; OpenSSL verifies both", () =>
    Effect.scoped(Effect.gen(function*() {
      const out = Path.join(yield* folder, "certs")
      const made = yield* run("cert", "ca", "--out", out)
      assert.strictEqual(made.code, 0, made.err)
      assert.include(made.out, Path.join(out, "ca.pem"))
      assert.strictEqual(mode(Path.join(out, "ca.key")), "600")
      assert.strictEqual(mode(out), "700")

      const issued = yield* run("cert", "node", "shop@10.0.0.7", "shop.internal", "--out", out, "--days", "30")
      assert.strictEqual(issued.code, 0, issued.err)
      assert.strictEqual(mode(Path.join(out, "shop.key")), "600")
      const node = certificate(Path.join(out, "shop.pem"))
      const ca = certificate(Path.join(out, "ca.pem"))
      assert.isTrue(node.checkIssued(ca) && node.verify(ca.publicKey))
      assert.isTrue(ca.ca)
      assert.isFalse(node.ca)
      assert.strictEqual(node.checkIP("10.0.0.7"), "10.0.0.7")
      assert.strictEqual(node.checkHost("shop.internal"), "shop.internal")
      assert.include(node.subjectAltName, "DNS:10.0.0.7")
      const days = (Date.parse(node.validTo) - Date.now()) / 86_400_000
      assert.isTrue(days > 29.9 && days < 30.1)
      const verified = spawnSync("openssl", [
        "verify",
        "-x509_strict",
        "-purpose",
        "sslclient",
        "-CAfile",
        Path.join(out, "ca.pem"),
        Path.join(out, "shop.pem")
      ], { encoding: "utf8" })
      if (verified.error === undefined) assert.strictEqual(verified.status, 0, verified.stderr)
    })), 120_000)

  it.live(
    "makes a certificate that signs itself, with RSA when asked to, and says so in JSON",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const out = yield* folder
        const { code, out: text } = yield* run(
          "cert",
          "self-signed",
          "a@127.0.0.1",
          "--key",
          "rsa",
          "--out",
          out,
          "--json"
        )
        assert.strictEqual(code, 0)
        const said = JSON.parse(text) as Record<string, unknown>
        const made = certificate(Path.join(out, "a.pem"))
        assert.deepInclude(said, {
          cert: Path.join(out, "a.pem"),
          key: Path.join(out, "a.key"),
          subject: "CN=a",
          fingerprint: made.fingerprint256
        })
        assert.strictEqual(made.publicKey.asymmetricKeyType, "rsa")
        assert.strictEqual(made.publicKey.asymmetricKeyDetails?.modulusLength, 3072)
        assert.isTrue(made.verify(made.publicKey))
        assert.notInclude(text, "PRIVATE")
      })),
    120_000
  )

  it.live(
    "overwrites nothing unless told to, and then leaves no key that others can read",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const out = yield* folder
        const key = Path.join(out, "a.key")
        const pem = Path.join(out, "a.pem")
        Fs.writeFileSync(key, "an old key", { mode: 0o644 })
        const refused = yield* run("cert", "self-signed", "a@127.0.0.1", "--out", out)
        assert.strictEqual(refused.code, 1)
        assert.include(refused.err, `${key} exists`)
        assert.include(refused.err, "--force")
        assert.strictEqual(Fs.readFileSync(key, "utf8"), "an old key")
        assert.isFalse(Fs.existsSync(pem))
        const forced = yield* run("cert", "self-signed", "a@127.0.0.1", "--out", out, "--force")
        assert.strictEqual(forced.code, 0, forced.err)
        assert.strictEqual(mode(key), "600")
        assert.isTrue(Fs.existsSync(pem))
      })),
    120_000
  )

  it.live(
    "refuses kindly: no authority, one that is none, a foreign key, bad days, bad names, bad arguments",
    () =>
      Effect.scoped(Effect.gen(function*() {
        const out = yield* folder
        const failsWith = (expectedCode: number) => (expected: string, ...args: ReadonlyArray<string>) =>
          Effect.map(run("cert", ...args), ({ code, err, out: text }) => {
            assert.strictEqual(code, expectedCode, args.join(" "))
            assert.include(err + text, expected)
            assert.notMatch(err + text, /\n\s+at /, "a stack trace is not kind")
          })
        const fails = failsWith(1)
        const misunderstood = failsWith(2)
        yield* fails("effect-otp cert ca", "node", "a@127.0.0.1", "--out", out)
        yield* run("cert", "ca", "--out", out)
        yield* run("cert", "ca", "--name", "other", "--out", out)
        yield* run("cert", "node", "a@127.0.0.1", "--out", out)
        const of = (name: string): string => Path.join(out, name)
        yield* fails("is no authority", "node", "b@h", "--out", out, "--ca", of("a.pem"), "--ca-key", of("a.key"))
        yield* fails("not that of the authority", "node", "b@h", "--out", out, "--ca-key", of("other.key"))
        yield* fails("the certificate of the authority", "node", "b@h", "--out", out, "--ca", of("ca.key"))
        yield* fails("1 to 36500", "node", "b@h", "--out", out, "--days", "0")
        yield* fails("is no host", "node", "b@h h", "--out", out)
        yield* fails("is no name for a file", "node", "b@h", "--name", "../b", "--out", out)
        yield* misunderstood("Missing required argument: node", "node", "--out", out)
        yield* misunderstood("Unknown subcommand", "nothing")
        assert.sameMembers(Fs.readdirSync(out), ["ca.pem", "ca.key", "other.pem", "other.key", "a.pem", "a.key"])
        const json = yield* run("cert", "node", "b@h h", "--out", out, "--json")
        assert.strictEqual(json.code, 1)
        assert.strictEqual(json.out, "")
        assert.strictEqual((JSON.parse(json.err) as { error: { reason: string } }).error.reason, "Invalid")
      })),
    120_000
  )
})
