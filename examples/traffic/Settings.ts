/**
 * The settings of the application: environment variables, each with a default, so that it runs without any. README.md has
 * the table.
 */
import { Config, Duration, Effect, FileSystem, Option, Schema } from "effect"

/** The parts into which the application can be split. */
export const Role = Schema.Literals(["ingest", "storage", "web"])
export type Role = typeof Role.Type

const integer = (minimum: number, maximum: number) =>
  Schema.NumberFromString.pipe(Schema.decodeTo(Schema.Int.check(Schema.isBetween({ minimum, maximum }))))
/** 0 is any port that is free. */
const port = integer(0, 65_535)
const factor = Schema.NumberFromString.pipe(Schema.decodeTo(Schema.Finite.check(Schema.isGreaterThan(0))))

export const settings = Config.all({
  /** Where the receivers and the web server listen. */
  host: Config.withDefault(Config.NonEmptyString("TRAFFIC_HOST"), "127.0.0.1"),
  httpPort: Config.withDefault(Config.schema(port, "TRAFFIC_HTTP_PORT"), 9090),
  tcpPort: Config.withDefault(Config.schema(port, "TRAFFIC_TCP_PORT"), 9091),
  udpPort: Config.withDefault(Config.schema(port, "TRAFFIC_UDP_PORT"), 9092),
  /** The folder for what is kept: the cookie, and the database unless it is elsewhere. */
  folder: Config.withDefault(Config.NonEmptyString("TRAFFIC_FOLDER"), ".traffic"),
  /** The file of the database; `memory` for none. */
  database: Config.option(Config.NonEmptyString("TRAFFIC_DATABASE")),
  /** The file whose day is driven again; `none` for no vehicles at all; without it, the simulated city drives. */
  replay: Config.option(Config.NonEmptyString("TRAFFIC_REPLAY")),
  /** How many times faster than it was, or would be. */
  speed: Config.withDefault(Config.schema(factor, "TRAFFIC_SPEED"), 10),
  /** The vehicles of the simulated city. */
  vehicles: Config.withDefault(Config.schema(integer(1, 100_000), "TRAFFIC_VEHICLES"), 300),
  /** Which positions the simulated city has. */
  seed: Config.withDefault(Config.Int("TRAFFIC_SEED"), 1),
  node: Config.withDefault(Config.NonEmptyString("TRAFFIC_NODE"), "traffic@127.0.0.1"),
  /** The secret of the cluster. Without it, that of the folder, where one is put that nobody knows. */
  cookie: Config.option(Config.Redacted("TRAFFIC_COOKIE")),
  roles: Config.withDefault(
    Config.Array(Role, "TRAFFIC_ROLES"),
    ["ingest", "storage", "web"]
  ),
  /** The node of the storage, where it is not this one. */
  storageNode: Config.option(Config.NonEmptyString("TRAFFIC_STORAGE_NODE")),
  /** The API that is told of emergencies; without it they are logged. */
  emergencyUrl: Config.option(Config.URL("TRAFFIC_EMERGENCY_URL")),
  /** Whether also those may kill processes by the page who are not on this host. */
  allowKill: Config.withDefault(Config.Boolean("TRAFFIC_ALLOW_KILL"), false),
  /** How many batches are on their way to the storage at a time. */
  workers: Config.withDefault(Config.schema(integer(1, 64), "TRAFFIC_WORKERS"), 4),
  /** For how long a batch is tried to be stored before it is refused. */
  patience: Config.withDefault(Config.Duration("TRAFFIC_PATIENCE"), Duration.seconds(20))
})

export type Settings = Config.Success<typeof settings>

/** Settings of which each is right, but which do not go together. */
export class Misfit extends Schema.TaggedError<Misfit>()("Misfit", { detail: Schema.String }) {
  override get message(): string {
    return this.detail
  }
}

/** Refuses what cannot work, before anything is started. */
export const check = ({ replay, roles, storageNode }: Settings): Effect.Effect<void, Misfit, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    if (!roles.includes("storage") && Option.isNone(storageNode)) {
      return yield* new Misfit({
        detail: "TRAFFIC_ROLES leaves out the storage: set TRAFFIC_STORAGE_NODE to the node that has it"
      })
    }
    if (Option.isNone(replay) || replay.value === "none" || !roles.includes("ingest")) return
    const files = yield* FileSystem.FileSystem
    const exists = yield* Effect.orElseSucceed(files.exists(replay.value), () => false)
    if (!exists) return yield* new Misfit({ detail: `TRAFFIC_REPLAY names ${replay.value}, which is no file` })
  })
