/**
 * `effect-otp cert`: an authority, certificates for nodes, certificates that sign themselves.
 *
 * Each command writes a certificate (`NAME.pem`) and its key (`NAME.key`, readable by its owner only) into a folder. Files
 * that exist are kept unless `--force` is given; nothing is written when one of the two cannot be.
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
import * as Redacted from "effect/Redacted"
import { CertificateError } from "./CertificateError.ts"
import * as NodeCertificates from "./NodeCertificates.ts"
import * as Output from "./Output.ts"
import type { Subcommand } from "./Subcommand.ts"

const shared = {
  days: Flag.Int("days").pipe(Flag.withDescription("For how many days it is valid")),
  out: Flag.String("out").pipe(
    Flag.withDefault("."),
    Flag.withMetavar("FOLDER"),
    Flag.withDescription("Where the files are written; made if it is not there")
  ),
  keyKind: Flag.Literals("key", ["ec", "rsa"]).pipe(
    Flag.withDefault("ec"),
    Flag.withDescription("The kind of key: the curve P-256, or RSA with 3072 bits")
  ),
  force: Flag.Boolean("force").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Overwrite files that exist")
  ),
  json: Output.json
}

const days = (standard: number) => shared.days.pipe(Flag.withDefault(standard))

const nodes = Argument.String("node").pipe(
  Argument.withDescription(
    "Names of the node, such as shop@10.0.0.7, or hosts: the certificate speaks for these hosts"
  ),
  Argument.variadic({ min: 1 })
)

const fileName = Flag.optional(
  Flag.String("name").pipe(
    Flag.withDescription("The name in the certificate and of the files; by default that of the first node")
  )
)

const nameOf = (name: Option.Option<string>, nodes: ReadonlyArray<string>): string =>
  Option.getOrElse(name, () => {
    const [first = ""] = nodes
    const at = first.indexOf("@")
    return at > 0 ? first.slice(0, at) : first
  })

interface Target {
  readonly out: string
  readonly force: boolean
  readonly json: boolean
}

const unwritable = (path: string) => (error: PlatformError.PlatformError): CertificateError =>
  error.reason._tag === "AlreadyExists"
    ? new CertificateError({
      reason: "Exists",
      detail: `${path} exists: take another name, or --force to overwrite it`
    })
    : new CertificateError({ reason: "Unwritable", detail: `${path} cannot be written: ${error.message}` })

/** Writes a file that is not there yet, with its mode from the first moment on. */
const write = (
  path: string,
  text: string,
  mode: number
): Effect.Effect<void, CertificateError, FileSystem.FileSystem> =>
  Effect.flatMap(
    FileSystem.FileSystem,
    (files) => Effect.mapError(files.writeFileString(path, text, { flag: "wx", mode }), unwritable(path))
  )

const save = (
  name: string,
  certificate: NodeCertificates.Issued,
  output: Target
): Effect.Effect<void, CertificateError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    if (!/^[\w.@:-]{1,200}$/.test(name) || name.startsWith(".") || name.startsWith("-")) {
      return yield* new CertificateError({
        reason: "Invalid",
        detail: `${JSON.stringify(name)} is no name for a file: give one with --name`
      })
    }
    yield* Effect.mapError(files.makeDirectory(output.out, { recursive: true, mode: 0o700 }), unwritable(output.out))
    const certPath = path.join(output.out, `${name}.pem`)
    const keyPath = path.join(output.out, `${name}.key`)
    for (const file of [certPath, keyPath]) {
      if (!(yield* Effect.mapError(files.exists(file), unwritable(file)))) continue
      if (!output.force) {
        return yield* new CertificateError({
          reason: "Exists",
          detail: `${file} exists: take another name, or --force to overwrite it`
        })
      }
    }
    if (output.force) {
      // Removed, not emptied: the mode of what is written is then that of a new file.
      for (const file of [certPath, keyPath]) {
        yield* Effect.mapError(files.remove(file, { force: true }), unwritable(file))
      }
    }
    yield* write(keyPath, Redacted.value(certificate.key), 0o600)
    yield* Effect.onError(
      write(certPath, certificate.cert, 0o644),
      () => Effect.ignore(files.remove(keyPath, { force: true }))
    )
    const { fingerprint, names, subject, validFrom, validTo } = certificate
    yield* Console.log(
      output.json
        ? JSON.stringify({
          cert: certPath,
          key: keyPath,
          subject,
          names,
          validFrom: validFrom.toISOString(),
          validTo: validTo.toISOString(),
          fingerprint
        })
        : [
          `${certPath}: ${subject}, valid until ${validTo.toISOString().slice(0, 10)}`,
          ...(names.length === 0 ? [] : [`  speaks for ${names.join(", ")}`]),
          `  SHA-256 ${fingerprint}`,
          `${keyPath}: its private key; keep it secret`
        ].join("\n")
    )
  })

const readText = (path: string): Effect.Effect<string, CertificateError, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (files) =>
    Effect.mapError(
      files.readFileString(path),
      (error) =>
        new CertificateError({
          reason: "Unreadable",
          detail: error.reason._tag === "NotFound"
            ? `${path} is not there: make an authority with \`effect-otp cert ca\`, or say where it is`
            : `${path} cannot be read: ${error.message}`
        })
    ))

const ca = Command.make("ca", {
  ...shared,
  days: days(3650),
  name: Flag.String("name").pipe(
    Flag.withDefault("ca"),
    Flag.withDescription("The name in the certificate and of the files")
  )
}, ({ days, force, json, keyKind, name, out }) =>
  Output.reported(
    json,
    Effect.flatMap(
      NodeCertificates.authority({ name, days, keyKind }),
      (certificate) => save(name, certificate, { out, force, json })
    )
  )).pipe(
    Command.withDescription(
      "Make an authority: its certificate is what the nodes of a cluster trust, its key issues theirs"
    ),
    Command.withExamples([{ command: "effect-otp cert ca --out certs", description: "certs/ca.pem and certs/ca.key" }])
  )

const node = Command.make("node", {
  ...shared,
  days: days(365),
  name: fileName,
  ca: Flag.String("ca").pipe(
    Flag.withMetavar("FILE"),
    Flag.optional,
    Flag.withDescription("The certificate of the authority; by default ca.pem in the folder of --out")
  ),
  caKey: Flag.String("ca-key").pipe(
    Flag.withMetavar("FILE"),
    Flag.optional,
    Flag.withDescription("The key of the authority; by default ca.key in the folder of --out")
  ),
  nodes
}, ({ ca, caKey, days, force, json, keyKind, name, nodes, out }) =>
  Output.reported(
    json,
    Effect.gen(function*() {
      const path = yield* Path.Path
      const cert = yield* readText(Option.getOrElse(ca, () => path.join(out, "ca.pem")))
      const key = Redacted.make(yield* readText(Option.getOrElse(caKey, () => path.join(out, "ca.key"))))
      const common = nameOf(name, nodes)
      const certificate = yield* NodeCertificates.node({ nodes, name: common, days, keyKind, ca: { cert, key } })
      yield* save(common, certificate, { out, force, json })
    })
  )).pipe(
    Command.withDescription("Issue the certificate of a node, for both sides of connections"),
    Command.withExamples([
      { command: "effect-otp cert node shop@10.0.0.7 --out certs", description: "certs/shop.pem and certs/shop.key" }
    ])
  )

const selfSigned = Command.make("self-signed", { ...shared, days: days(365), name: fileName, nodes }, (
  { days, force, json, keyKind, name, nodes, out }
) =>
  Output.reported(
    json,
    Effect.suspend(() => {
      const common = nameOf(name, nodes)
      return Effect.flatMap(
        NodeCertificates.selfSigned({ nodes, name: common, days, keyKind }),
        (certificate) => save(common, certificate, { out, force, json })
      )
    })
  )).pipe(
    Command.withDescription(
      "Make a certificate without an authority, which the other nodes are given as one that they trust (Erlang refuses such)"
    ),
    Command.withExamples([
      { command: "effect-otp cert self-signed shop@127.0.0.1", description: "shop.pem and shop.key, here" }
    ])
  )

/** The command with its subcommands. */
export const cert: Subcommand<"cert", FileSystem.FileSystem | Path.Path> = Command.make("cert").pipe(
  Command.withDescription("Certificates for nodes that speak TLS"),
  Command.withSubcommands([ca, node, selfSigned])
)
