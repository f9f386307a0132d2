/**
 * The process called `user`: prints what it is asked to by the io protocol of Erlang, on the console of Effect.
 *
 * The console prints lines: what does not end in one is kept until it does, until nothing has come for a while, or until
 * there is too much of it. Input is refused with `{error, enotsup}`.
 *
 * @since 0.1.0
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as GenServer from "../../otp/GenServer.ts"
import type * as Local from "../../process/Node.ts"
import * as Process from "../../process/Process.ts"
import * as Protocol from "../../process/Protocol.ts"
import * as Atom from "../../term/Atom.ts"
import { isPid } from "../../term/Pid.ts"
import type { Term } from "../../term/Term.ts"
import { isTuple, Tuple } from "../../term/Tuple.ts"
import { textOf } from "./chardata.ts"
import { format } from "./ioFormat.ts"

const base: Protocol.Protocol<"User", never> = Protocol.make("User")

/** Everything it is asked is an ordinary term. */
export class User extends base {}

/** Characters of a line that has no end, before it is printed all the same. */
const lineMax = 65_536

/** How long a line may wait for its end. */
const patience = "200 millis"

const ioReply = Atom.make("io_reply")
const failure = (...names: ReadonlyArray<string>): Tuple => {
  const atoms = names.map((name) => Atom.make(name))
  return new Tuple([Atom.error, atoms.length === 1 ? atoms[0]! : new Tuple(atoms)])
}

const refused = failure("enotsup")
const unknown = failure("request")
const badText = failure("put_chars")
const badFormat = failure("format")

const options: Term = [new Tuple([Atom.make("encoding"), Atom.make("unicode")])]

/** What a request prints and what is answered. */
interface Served {
  readonly text: string
  readonly reply: Term
}

const served = (text: string | undefined, otherwise: Term): Served =>
  text === undefined ? { text: "", reply: otherwise } : { text, reply: Atom.ok }

const encodingOf = (term: Term | undefined): "unicode" | "latin1" | undefined =>
  Atom.is(term, "unicode") ? "unicode" : Atom.is(term, "latin1") ? "latin1" : undefined

const input: ReadonlySet<string> = new Set([
  "get_chars",
  "get_line",
  "get_until",
  "get_password",
  "get_geometry",
  "setopts"
])

/** Serves one request. */
export const serve = (request: Term): Served => {
  if (!isTuple(request)) return { text: "", reply: Atom.is(request, "getopts") ? options : unknown }
  const [first, second, third, fourth, fifth] = request.elements
  if (!(first instanceof Atom.Atom)) return { text: "", reply: unknown }
  if (input.has(first.name)) return { text: "", reply: refused }
  if (first.name === "requests" && Array.isArray(second)) {
    let text = ""
    for (const part of second as ReadonlyArray<Term>) {
      // One level: requests within requests are nobody's business, and their depth is the sender's choice.
      if (isTuple(part, 2) && Atom.is(part.elements[0], "requests")) return { text, reply: unknown }
      const answer = serve(part)
      text += answer.text
      if (!Atom.is(answer.reply, "ok")) return { text, reply: answer.reply }
    }
    return { text, reply: Atom.ok }
  }
  if (first.name !== "put_chars") return { text: "", reply: unknown }
  // Without an encoding, as before there was one.
  if (request.arity === 2) return served(textOf(second!, "latin1"), badText)
  const encoding = encodingOf(second)
  if (encoding === undefined) return { text: "", reply: unknown }
  if (request.arity === 3) return served(textOf(third!, encoding), badText)
  if (request.arity === 5 && Atom.is(third, "io_lib") && Array.isArray(fifth)) {
    const args = fifth as ReadonlyArray<Term>
    if ((Atom.is(fourth, "format") || Atom.is(fourth, "fwrite")) && args.length === 2) {
      return served(format(args[0]!, args[1]!), badFormat)
    }
    if (Atom.is(fourth, "write") && args.length >= 1) return served(format([126, 119], [args[0]!]), badFormat)
    if (Atom.is(fourth, "print") && args.length >= 1) return served(format([126, 112], [args[0]!]), badFormat)
  }
  return { text: "", reply: unknown }
}

/** The server. */
export const server: GenServer.GenServer<void, never, never, Local.Node> = GenServer.make(User, {
  init: () => Effect.succeed(""),
  handlers: {
    unhandled: (message, line) => {
      const wait = GenServer.next(line, line === "" ? undefined : { timeout: patience })
      if (!isTuple(message, 4) || !Atom.is(message.elements[0], "io_request")) return wait
      const [, from, as, request] = message.elements as readonly [Term, Term, Term, Term]
      if (!isPid(from)) return wait
      const { reply, text } = serve(request)
      const whole = line + text
      const end = whole.length > lineMax ? whole.length : whole.lastIndexOf("\n") + 1
      const rest = whole.slice(end)
      return Effect.as(
        Effect.andThen(
          end === 0 ? Effect.void : Console.log(whole.slice(0, whole[end - 1] === "\n" ? end - 1 : end)),
          Process.send(from, new Tuple([ioReply, as, reply]))
        ),
        GenServer.next(rest, rest === "" ? undefined : { timeout: patience })
      )
    }
  },
  timeout: (line) => Effect.as(line === "" ? Effect.void : Console.log(line), GenServer.next("")),
  terminate: (_, line) => line === "" ? Effect.void : Console.log(line)
})
