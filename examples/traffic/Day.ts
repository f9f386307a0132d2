/**
 * Recorded positions: a file in CSV, which may be compressed with gzip, in the columns of the CapMetrics project.
 *
 * It is read and unpacked as a stream; the positions are kept, to be put in the order of time.
 */
import * as NodeStream from "@effect/platform-node/NodeStream"
import { Effect, FileSystem, Option, Schema, Stream } from "effect"
import { Csv } from "effect/encoding"
import { createGunzip } from "node:zlib"
import { Position } from "./Position.ts"

/** The columns that are used. Times are written with their distance to UTC. */
const Row = Schema.Struct({
  vehicle_id: Schema.String,
  timestamp: Schema.String,
  speed: Schema.NumberFromString,
  route_id: Schema.String,
  latitude: Schema.NumberFromString,
  longitude: Schema.NumberFromString
})

const decodeRow = Schema.decodeUnknownOption(Row)
const decodePosition = Schema.decodeUnknownOption(Position)

const positionOf = (row: unknown): Option.Option<Position> =>
  Option.flatMap(decodeRow(row), ({ latitude, longitude, route_id, speed, timestamp, vehicle_id }) =>
    decodePosition({
      vehicle: vehicle_id,
      route: route_id,
      lat: latitude,
      lon: longitude,
      speed,
      at: Date.parse(timestamp),
      emergency: false
    }))

/** The file is no recording. */
export class NoRecording extends Schema.TaggedError<NoRecording>()("NoRecording", {
  file: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.file} is no recording of positions: ${this.detail}`
  }
}

export interface Day {
  /** In the order of time. */
  readonly positions: ReadonlyArray<Position>
  /** How many rows were no positions. */
  readonly invalid: number
}

/** Reads a file; one whose name ends with `.gz` is unpacked. */
export const read = (file: string): Effect.Effect<Day, NoRecording, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const bytes = files.stream(file)
    const positions: Array<Position> = []
    let invalid = 0
    yield* (file.endsWith(".gz") ? NodeStream.pipeThroughSimple(bytes, () => createGunzip()) : bytes).pipe(
      Stream.pipeThroughChannel(Csv.decode({ headers: true })),
      Stream.runForEach((row) =>
        Effect.sync(() => {
          const position = positionOf(row)
          if (Option.isSome(position)) positions.push(position.value)
          else invalid++
        })
      ),
      // What is wrong with a packed file is said by an error of its own.
      Effect.mapError((error: unknown) =>
        new NoRecording({
          file,
          detail: error instanceof Error && error.message !== undefined ? error.message : String(error)
        })
      )
    )
    if (positions.length === 0) {
      return yield* new NoRecording({ file, detail: `none of its ${invalid} rows is a position` })
    }
    return { positions: positions.toSorted((a, b) => a.at - b.at), invalid }
  })
