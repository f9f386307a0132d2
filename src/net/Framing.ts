/**
 * Framings: how messages are cut out of a stream of bytes, and put into one.
 *
 * A framing is a value without a state. Its decoder keeps the bytes of a frame that has not come whole, so that whatever
 * the chunks in which bytes arrive, the frames are the same. Frames are copies: they may be kept and changed.
 *
 * Every framing has a limit for one frame, by default 64 KiB for lines and 1 MiB for the others. What is over the limit
 * or cannot be decoded is refused with a `FrameError`, after all frames before it; from there on the decoder gives
 * nothing more, because nobody knows where the next frame begins.
 *
 * `decode` and `encode` make a framing the step of a Stream pipeline; `TcpServer`, `TcpClient` and `Port` take one as
 * their option.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { type Pipeable, pipeArguments } from "effect/Pipeable"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { type Find, FrameDecoder, ValueDecoder } from "./internal/FrameDecoder.ts"
import { FrameError } from "./NetError.ts"

const TypeId = "~effect-otp/Framing"

/**
 * Cuts frames of type `In` out of bytes, and makes bytes of frames of type `Out`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Framing<out In, in Out = In> extends Pipeable {
  readonly [TypeId]: typeof TypeId
  /** What errors call it. */
  readonly name: string
  /** A decoder for one stream of bytes. */
  readonly makeDecoder: () => Decoder<In>
  /** The bytes of a frame, or why it cannot be sent. */
  readonly encodeFrame: (frame: Out) => Result.Result<Uint8Array, FrameError>
}

/**
 * Cuts one stream of bytes into frames.
 *
 * @category models
 * @since 0.1.0
 */
export interface Decoder<out In> {
  /** Takes the next bytes, however many, and gives the frames that are complete now. */
  feed(bytes: Uint8Array): Fed<In>
  /** How many bytes wait for the rest of their frame. */
  readonly pending: number
  /** The end of the bytes: what is wrong with it when a frame is not complete. */
  finish(): FrameError | undefined
}

/**
 * What a decoder made of a chunk: frames in order, and why it gives no more.
 *
 * @category models
 * @since 0.1.0
 */
export interface Fed<out In> {
  readonly frames: ReadonlyArray<In>
  readonly error: FrameError | undefined
}

/**
 * What a custom decoder sees in the bytes in front of it: a frame of so many bytes, not enough yet, or nonsense.
 *
 * @category models
 * @since 0.1.0
 */
export type Found<In> =
  | { readonly _tag: "Frame"; readonly frame: In; readonly size: number }
  | { readonly _tag: "More"; readonly atLeast: number }
  | { readonly _tag: "Broken"; readonly detail: string }

/**
 * The first `size` bytes are this frame.
 *
 * @category constructors
 * @since 0.1.0
 */
export const frame = <In>(frame: In, size: number): Found<In> => ({ _tag: "Frame", frame, size })

/**
 * The frame is not complete. The decoder is not asked again before there are `atLeast` bytes, of which it was shown the
 * first; without a number, before one more has come.
 *
 * @category constructors
 * @since 0.1.0
 */
export const more = (atLeast = 0): Found<never> => ({ _tag: "More", atLeast })

/**
 * The bytes are no frame and never will be.
 *
 * @category constructors
 * @since 0.1.0
 */
export const broken = (detail: string): Found<never> => ({ _tag: "Broken", detail })

// --- framings of all kinds --------------------------------------------------------------------------------------------

const make = <In, Out>(
  name: string,
  maxBytes: number,
  find: Find<In>,
  encodeFrame: Framing<In, Out>["encodeFrame"]
): Framing<In, Out> => framingOf(name, () => new FrameDecoder(name, maxBytes, find), encodeFrame)

const framingOf = <In, Out>(
  name: string,
  makeDecoder: () => Decoder<In>,
  encodeFrame: Framing<In, Out>["encodeFrame"]
): Framing<In, Out> => ({
  [TypeId]: TypeId,
  name,
  makeDecoder,
  encodeFrame,
  pipe() {
    return pipeArguments(this, arguments)
  }
})

const refuse = (framing: string, reason: FrameError["reason"], detail: string): Result.Result<never, FrameError> =>
  Result.fail(new FrameError({ framing, reason, detail }))

const checkLimit = (name: string, limit: number): number => {
  if (Number.isSafeInteger(limit) && limit >= 1) return limit
  throw new Error(`Framing.${name}: the limit of a frame must be an integer, 1 or more; found ${limit}`)
}

const encoder = new TextEncoder()
/** Fatal: what is no UTF-8 is refused, not repaired. */
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

// --- framings --------------------------------------------------------------------------------------------------------

const NEWLINE = 10
const RETURN = 13

/**
 * Text in lines: each frame is a line of UTF-8 without its end. LF and CRLF both end a line; LF is what is written. A line
 * may have `maxBytes` bytes (64 KiB).
 *
 * Bytes that are no UTF-8 are refused, and so is writing a line that holds the end of a line.
 *
 * @category constructors
 * @since 0.1.0
 */
export const lines = (options?: { readonly maxBytes?: number }): Framing<string> => {
  const name = "lines"
  const max = checkLimit(name, options?.maxBytes ?? 65_536)
  return make<string, string>(
    name,
    // With CR and LF.
    max + 2,
    (bytes, start, end, seen) => {
      const at = bytes.indexOf(NEWLINE, start + seen)
      if (at < 0 || at >= end) return more()
      const stop = at > start && bytes[at - 1] === RETURN ? at - 1 : at
      if (stop - start > max) return more(max + 3)
      // The decoder throws at what is no UTF-8.
      return frame(decoder.decode(bytes.subarray(start, stop)), at + 1 - start)
    },
    (line) => {
      if (line.includes("\n") || line.endsWith("\r")) return refuse(name, "Malformed", "a line cannot hold its own end")
      const bytes = encoder.encode(`${line}\n`)
      return bytes.length > max + 1
        ? refuse(name, "TooLarge", `a line of ${bytes.length - 1} bytes, where ${max} are allowed`)
        : Result.succeed(bytes)
    }
  )
}

/**
 * Frames that end with a delimiter, which is not part of them: bytes, or a text in UTF-8. A frame may have `maxBytes`
 * bytes (1 MiB). Writing a frame that holds the delimiter is refused.
 *
 * @category constructors
 * @since 0.1.0
 */
export const delimiter = (
  end: string | Uint8Array,
  options?: { readonly maxBytes?: number }
): Framing<Uint8Array> => {
  const name = "delimiter"
  const max = checkLimit(name, options?.maxBytes ?? 1_048_576)
  const mark = typeof end === "string" ? encoder.encode(end) : end.slice()
  if (mark.length === 0) throw new Error("Framing.delimiter: the delimiter must have at least one byte")
  return make<Uint8Array, Uint8Array>(
    name,
    max + mark.length,
    (bytes, start, end, seen) => {
      // The delimiter may have begun in what was looked at before.
      const at = indexOf(bytes, mark, start + Math.max(0, seen - mark.length + 1), end)
      if (at < 0) return more()
      return at - start > max ? more(max + mark.length + 1) : frame(copy(bytes, start, at), at + mark.length - start)
    },
    (frame) => {
      if (frame.length > max) {
        return refuse(name, "TooLarge", `a frame of ${frame.length} bytes, where ${max} are allowed`)
      }
      const bytes = new Uint8Array(frame.length + mark.length)
      bytes.set(frame)
      bytes.set(mark, frame.length)
      // Across its end as well: a frame must not come to its delimiter before that.
      return indexOf(bytes, mark, 0, bytes.length) === frame.length
        ? Result.succeed(bytes)
        : refuse(name, "Malformed", "a frame cannot hold its own delimiter")
    }
  )
}

/** A copy that is a plain array of bytes, whatever kind of array the host reads into. */
const copy = (bytes: Uint8Array, start: number, end: number): Uint8Array => {
  const out = new Uint8Array(end - start)
  out.set(bytes.subarray(start, end))
  return out
}

const indexOf = (bytes: Uint8Array, mark: Uint8Array, from: number, end: number): number => {
  const first = mark[0]!
  for (let at = bytes.indexOf(first, from); at >= 0 && at + mark.length <= end; at = bytes.indexOf(first, at + 1)) {
    let matched = 1
    while (matched < mark.length && bytes[at + matched] === mark[matched]) matched++
    if (matched === mark.length) return at
  }
  return -1
}

/**
 * How a length is written.
 *
 * @category models
 * @since 0.1.0
 */
export interface LengthPrefixOptions {
  /** How many bytes the length takes: 4. */
  readonly size?: 1 | 2 | 4
  /** Whether the low byte comes first; as is usual on the network, it does not. */
  readonly littleEndian?: boolean
  /** Whether the length counts its own bytes; it does not. */
  readonly inclusive?: boolean
  /** The most bytes a frame may have, without its length: 1 MiB. */
  readonly maxBytes?: number
}

/**
 * Frames behind their length, as Erlang's `{packet, 1 | 2 | 4}` has them.
 *
 * @category constructors
 * @since 0.1.0
 */
export const lengthPrefix = (options?: LengthPrefixOptions): Framing<Uint8Array> => {
  const name = "lengthPrefix"
  const size = options?.size ?? 4
  const little = options?.littleEndian === true
  const extra = options?.inclusive === true ? size : 0
  const max = Math.min(checkLimit(name, options?.maxBytes ?? 1_048_576), 2 ** (8 * size) - 1 - extra)
  return make<Uint8Array, Uint8Array>(
    name,
    max + size,
    (bytes, start, end) => {
      if (end - start < size) return more(size)
      let length = 0
      for (let i = 0; i < size; i++) length = length * 256 + bytes[start + (little ? size - 1 - i : i)]!
      length -= extra
      if (length < 0) return broken(`the length of a frame is ${length + extra}, less than its own ${size} bytes`)
      const whole = size + length
      // A length beyond the limit is refused at once, before anything is kept for it.
      return end - start < whole || length > max
        ? more(whole)
        : frame(copy(bytes, start + size, start + whole), whole)
    },
    (frame) => {
      if (frame.length > max) {
        return refuse(name, "TooLarge", `a frame of ${frame.length} bytes, where ${max} are allowed`)
      }
      const bytes = new Uint8Array(size + frame.length)
      let length = frame.length + extra
      for (let i = 0; i < size; i++) {
        bytes[little ? i : size - 1 - i] = length % 256
        length = Math.floor(length / 256)
      }
      bytes.set(frame, size)
      return Result.succeed(bytes)
    }
  )
}

/**
 * No framing: each chunk is a frame, as it happens to arrive. A chunk is as large as the host reads at once.
 *
 * @category constructors
 * @since 0.1.0
 */
export const raw: Framing<Uint8Array> = make<Uint8Array, Uint8Array>(
  "raw",
  Infinity,
  (bytes, start, end) => frame(copy(bytes, start, end), end - start),
  (frame) => Result.succeed(frame.slice())
)

/**
 * Text whose boundaries the transport keeps: each chunk is a frame, in UTF-8. For WebSockets, whose messages are chunks;
 * TCP keeps no boundaries. A frame may have `maxBytes` bytes (1 MiB). An empty message is no frame.
 *
 * @category constructors
 * @since 0.1.0
 */
export const message = (options?: { readonly maxBytes?: number }): Framing<string> => {
  const name = "message"
  const max = checkLimit(name, options?.maxBytes ?? 1_048_576)
  return make<string, string>(
    name,
    max,
    // The decoder throws at what is no UTF-8.
    (bytes, start, end) =>
      end - start > max ? more(max + 1) : frame(decoder.decode(bytes.subarray(start, end)), end - start),
    (text) => {
      const bytes = encoder.encode(text)
      return bytes.length > max
        ? refuse(name, "TooLarge", `a message of ${bytes.length} bytes, where ${max} are allowed`)
        : Result.succeed(bytes)
    }
  )
}

/**
 * A framing of one's own. `decode` looks for the first frame in the bytes it is shown, and says {@link frame},
 * {@link more} or {@link broken}. The bytes are only there for the call; a frame that holds some of them holds a copy
 * (`bytes.slice(a, b)`). A frame may have `maxBytes` bytes on the wire (1 MiB).
 *
 * @example
 * ```ts
 * import { Framing } from "effect-otp/net"
 *
 * // A temperature in two bytes.
 * const Temperatures = Framing.custom({
 *   name: "temperatures",
 *   decode: (bytes) => bytes.length < 2 ? Framing.more(2) : Framing.frame((bytes[0]! * 256 + bytes[1]!) / 10, 2),
 *   encode: (celsius: number) => Uint8Array.of(Math.floor(celsius * 10 / 256), Math.floor(celsius * 10) % 256)
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const custom = <In, Out = never>(options: {
  readonly name: string
  readonly decode: (bytes: Uint8Array) => Found<In>
  readonly encode?: (frame: Out) => Uint8Array
  readonly maxBytes?: number
}): Framing<In, Out> => {
  const { encode, name } = options
  return make<In, Out>(
    name,
    checkLimit("custom", options.maxBytes ?? 1_048_576),
    (bytes, start, end) => options.decode(bytes.subarray(start, end)),
    (frame) =>
      encode === undefined
        ? refuse(name, "Malformed", "this framing only reads")
        : Result.try({
          try: () => encode(frame),
          catch: (defect) => new FrameError({ framing: name, reason: "Malformed", detail: String(defect) })
        })
  )
}

// --- values ----------------------------------------------------------------------------------------------------------

/** How much of what a peer wrote goes into an error. */
const clip = (text: string): string => text.length > 300 ? `${text.slice(0, 300)}...` : text

/**
 * The frames as values of a schema whose encoded side is the frame: lines of JSON, orders in MessagePack. What does not
 * fit is refused, and with it the rest of the stream. Where single frames may be wrong, decode them in the handler.
 *
 * @example
 * ```ts
 * import { Schema } from "effect"
 * import { Framing } from "effect-otp/net"
 *
 * const Point = Schema.Struct({ x: Schema.Number, y: Schema.Number })
 * const Points = Framing.lines().pipe(Framing.schema(Schema.fromJsonString(Point)))
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const schema = <A, I>(
  schema: Schema.Codec<A, I>
): (framing: Framing<I, I>) => Framing<A, A> => {
  const decodeValue = Schema.decodeUnknownResult(schema)
  const encodeValue = Schema.encodeUnknownResult(schema)
  return (framing) => {
    const { name } = framing
    // One catch for both: a schema may hold user code that throws.
    const attempt = <In, B>(
      run: (value: In) => Result.Result<B, Schema.SchemaError>,
      value: In
    ): Result.Result<B, FrameError> =>
      Result.mapError(
        Result.flatMap(Result.try({ try: () => run(value), catch: (defect) => defect }), (result) => result),
        (error) => new FrameError({ framing: name, reason: "Malformed", detail: clip(String(error)) })
      )
    return framingOf(
      name,
      () => new ValueDecoder<I, A>(framing.makeDecoder(), (frame) => attempt(decodeValue, frame)),
      (value) => Result.flatMap(attempt(encodeValue, value), framing.encodeFrame)
    )
  }
}

/**
 * Other values for the same frames, by two functions that cannot fail.
 *
 * @category combinators
 * @since 0.1.0
 */
export const map = <A, I, B, O>(options: {
  readonly decode: (frame: A) => B
  readonly encode: (frame: O) => I
}): (framing: Framing<A, I>) => Framing<B, O> =>
(framing) =>
  framingOf(
    framing.name,
    () => new ValueDecoder<A, B>(framing.makeDecoder(), (frame) => Result.succeed(options.decode(frame))),
    (frame) => framing.encodeFrame(options.encode(frame))
  )

// --- streams ---------------------------------------------------------------------------------------------------------

/**
 * The frames of a stream of bytes. It fails with a `FrameError` behind the last good frame when the bytes are no frames,
 * or end in the middle of one.
 *
 * @example
 * ```ts
 * import { Stream } from "effect"
 * import { Framing } from "effect-otp/net"
 *
 * const text = Stream.make(new TextEncoder().encode("one\ntw"), new TextEncoder().encode("o\n"))
 * const lines = text.pipe(Framing.decode(Framing.lines()), Stream.runCollect) // ["one", "two"]
 * ```
 *
 * @category streams
 * @since 0.1.0
 */
export const decode = <In, Out>(
  framing: Framing<In, Out>
): <E, R>(bytes: Stream.Stream<Uint8Array, E, R>) => Stream.Stream<In, E | FrameError, R> =>
<E, R>(bytes: Stream.Stream<Uint8Array, E, R>) =>
  bytes.pipe(
    Stream.mapAccumArray(
      framing.makeDecoder,
      (decoder, chunks): readonly [Decoder<In>, ReadonlyArray<Result.Result<In, FrameError>>] => {
        const out: Array<Result.Result<In, FrameError>> = []
        for (const chunk of chunks) {
          const { error, frames } = decoder.feed(chunk)
          for (const frame of frames) out.push(Result.succeed(frame))
          if (error !== undefined) {
            out.push(Result.fail(error))
            break
          }
        }
        return [decoder, out]
      },
      {
        onHalt: (decoder) => {
          const error = decoder.finish()
          return error === undefined ? [] : [Result.fail(error)]
        }
      }
    ),
    Stream.mapEffect(Effect.fromResult)
  )

/**
 * The bytes of a stream of frames. It fails with a `FrameError` at the first that cannot be sent.
 *
 * @category streams
 * @since 0.1.0
 */
export const encode = <In, Out>(
  framing: Framing<In, Out>
): <E, R>(frames: Stream.Stream<Out, E, R>) => Stream.Stream<Uint8Array, E | FrameError, R> =>
<E, R>(frames: Stream.Stream<Out, E, R>) =>
  Stream.mapEffect(frames, (frame) => Effect.fromResult(framing.encodeFrame(frame)))
