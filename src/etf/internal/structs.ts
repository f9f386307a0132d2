/**
 * The shapes of objects: maps by field and by key, Erlang records, property lists, Elixir structs, tagged values.
 *
 * @since 0.1.0
 */
import { Atom, make as makeAtom } from "../../term/Atom.ts"
import { ErlMap } from "../../term/ErlMap.ts"
import type { Term } from "../../term/Term.ts"
import { print } from "../../term/TermPrinter.ts"
import { Tuple } from "../../term/Tuple.ts"
import {
  GiveUp,
  inside,
  make,
  Mismatch,
  peekAtom,
  readAtom,
  type Shape,
  unexpectedTerm,
  unexpectedValue
} from "./Shape.ts"
import { decodeUtf8, encodeUtf8 } from "./text.ts"

/** One field of an object. */
export interface Field {
  /** The property in JavaScript. */
  readonly name: string
  /** The key on the wire. */
  readonly wire: string
  readonly shape: Shape
  readonly optional: boolean
}

type Fields = { [name: string]: unknown }

/** Sets a property as an own one, whatever its name is. */
const put = (target: Fields, name: string, value: unknown): void => {
  if (name === "__proto__") {
    Object.defineProperty(target, name, { value, writable: true, enumerable: true, configurable: true })
  } else target[name] = value
}

const isObject = (value: unknown): value is Fields =>
  value !== null && typeof value === "object" && !Array.isArray(value)

// The value of a field; GiveUp and Mismatch are for the caller. Absent is not the same as undefined.
const isAbsent = (object: Fields, name: string): boolean => object[name] === undefined && !(name in object)

const keyText = (key: Term): string | undefined =>
  key instanceof Atom ? key.name : key instanceof Uint8Array ? decodeUtf8(key, 0, key.length) : undefined

/** How the keys of a struct are written. Both ways are read. */
export type KeyStyle = "atom" | "binary"

/** Options of {@link struct}. */
export interface StructOptions {
  readonly keys: KeyStyle
  /** The value of `__struct__`, for an Elixir struct: `nil` then stands for an absent field. */
  readonly module?: string | undefined
  /** The shape of the values of all other keys. */
  readonly rest?: { readonly key: Shape; readonly value: Shape } | undefined
}

/** An object as a map: fields by name. */
export const struct = (fields: ReadonlyArray<Field>, options: StructOptions): Shape => {
  const { module, rest } = options
  const byWire = new Map(fields.map((field, i) => [field.wire, i] as const))
  const atomKeys = options.keys === "atom"
  const keys: ReadonlyArray<Term> = fields.map((field) => atomKeys ? makeAtom(field.wire) : encodeUtf8(field.wire))
  const expected = module !== undefined ?
    `a struct of ${module}` :
    fields.length === 0 ?
    "a map" :
    `a map with ${fields.filter((field) => !field.optional).map((field) => field.wire).join(", ") || "optional fields"}`
  const structKey = makeAtom("__struct__")
  const moduleAtom = module === undefined ? undefined : makeAtom(module)
  // Which field an atom was for, last time: maps arrive with their keys in one order, so this is a hit from then on.
  const hints: Array<Atom | undefined> = []
  const hintFields: Array<number> = []
  const ordinary = !fields.some((field) => field.name === "__proto__")

  const toTerm = (value: unknown): Term => {
    if (!isObject(value)) throw unexpectedValue(expected, value)
    const entries: Array<Term> = []
    if (moduleAtom !== undefined) entries.push(structKey, moduleAtom)
    for (let i = 0; i < fields.length; i++) {
      const { name, optional, shape } = fields[i]!
      if (isAbsent(value, name)) {
        if (!optional) throw atKey(name, new Mismatch("Missing key"))
        if (module !== undefined) entries.push(keys[i]!, makeAtom("nil"))
      } else entries.push(keys[i]!, inside(name, shape.toTerm, value[name]))
    }
    if (rest !== undefined) {
      for (const name of Object.keys(value)) {
        if (!fields.some((field) => field.name === name)) {
          entries.push(inside(name, rest.key.toTerm, name), inside(name, rest.value.toTerm, value[name]))
        }
      }
    }
    return new ErlMap(entries)
  }

  const fromTerm = (term: Term): unknown => {
    if (!(term instanceof ErlMap)) throw unexpectedTerm(expected, term)
    if (module !== undefined) {
      const found = term.getAtom("__struct__")
      if (!(found instanceof Atom) || found.name !== module) throw unexpectedTerm(expected, term)
    }
    const out: Fields = {}
    for (const { name, optional, shape, wire } of fields) {
      const value = term.getAtom(wire) ?? term.get(encodeUtf8(wire))
      if (value === undefined || (module !== undefined && optional && isNil(value) && !shape.mayBe(value))) {
        if (optional) continue
        throw atKey(name, new Mismatch(`Missing key ${print(makeAtom(wire))} in ${print(term, { maxLength: 200 })}`))
      }
      put(out, name, inside(name, shape.fromTerm, value))
    }
    if (rest !== undefined) {
      for (const [key, value] of term) {
        const text = keyText(key)
        if (text !== undefined && byWire.has(text)) continue
        const name = rest.key.fromTerm(key instanceof Atom ? encodeUtf8(key.name) : key)
        if (typeof name !== "string" && typeof name !== "number") throw unexpectedTerm("a key of a record", key)
        if (Object.hasOwn(out, name)) throw new Mismatch(`Key ${print(key)} is there twice, as an atom and as a binary`)
        put(out, String(name), inside(String(name), rest.value.fromTerm, value))
      }
    }
    return out
  }

  return make({
    expected,
    toTerm,
    fromTerm,
    ...(rest !== undefined || module !== undefined ? {} : {
      write: (writer, value) => {
        if (!isObject(value)) throw GiveUp
        const start = writer.pos
        let count = 0
        writer.tag32(116, 0)
        for (let i = 0; i < fields.length; i++) {
          const field = fields[i]!
          const item = value[field.name]
          if (item === undefined && isAbsent(value, field.name)) {
            if (!field.optional) throw GiveUp
            continue
          }
          if (atomKeys) writer.atom(field.wire)
          else writer.text(field.wire)
          field.shape.write(writer, item)
          count++
        }
        const buffer = writer.buffer
        buffer[start + 1] = count >>> 24
        buffer[start + 2] = count >>> 16
        buffer[start + 3] = count >>> 8
        buffer[start + 4] = count
      },
      read: (reader) => {
        if (reader.peek() !== 116) throw GiveUp
        reader.pos++
        const count = reader.mapCount()
        const values: Array<unknown> = new Array(fields.length).fill(absent)
        let unknown: Set<string> | undefined
        for (let i = 0; i < count; i++) {
          const atom = readAtom(reader)
          let at: number
          if (hints[i] === atom) at = hintFields[i]!
          else {
            at = byWire.get(atom.name) ?? -1
            if (at >= 0 && i < fields.length) {
              hints[i] = atom
              hintFields[i] = at
            }
          }
          if (at >= 0) {
            if (values[at] !== absent) throw GiveUp
            values[at] = fields[at]!.shape.read(reader)
          } else {
            unknown ??= new Set()
            if (unknown.has(atom.name)) throw GiveUp
            unknown.add(atom.name)
            reader.term(0)
          }
        }
        const out: Fields = {}
        for (let i = 0; i < fields.length; i++) {
          const { name, optional } = fields[i]!
          if (values[i] === absent) {
            if (!optional) throw GiveUp
          } else if (ordinary) out[name] = values[i]
          else put(out, name, values[i])
        }
        return out
      }
    } satisfies Partial<Shape>),
    mayBe: (term) => term instanceof ErlMap,
    mayRead: (reader) => reader.peek() === 116
  })
}

const absent: unique symbol = Symbol("absent")

const isNil = (term: Term): boolean => term instanceof Atom && (term.name === "nil" || term.name === "undefined")

const atKey = (key: PropertyKey, failure: Mismatch): Mismatch => {
  failure.path.unshift(key)
  return failure
}

/** An object as a map: any keys of one shape. */
export const record = (key: Shape, value: Shape): Shape => {
  const general = struct([], { keys: "atom", rest: { key, value } })
  return make({
    ...general,
    write: (writer, object) => {
      if (!isObject(object)) throw GiveUp
      const names = Object.keys(object)
      writer.tag32(116, names.length)
      for (const name of names) {
        key.write(writer, name)
        value.write(writer, object[name])
      }
    },
    read: (reader) => {
      if (reader.peek() !== 116) throw GiveUp
      reader.pos++
      const count = reader.mapCount()
      const out: Fields = {}
      for (let i = 0; i < count; i++) {
        const name = key.read(reader)
        if (typeof name !== "string" || Object.hasOwn(out, name)) throw GiveUp
        put(out, name, value.read(reader))
      }
      return out
    }
  })
}

/** A JavaScript map, or what is converted to one, as a map with any keys. */
export const entries = (key: Shape, value: Shape): Shape =>
  make({
    expected: "a map",
    toTerm: (pairs) => {
      if (!Array.isArray(pairs)) throw unexpectedValue("a map", pairs)
      const flat: Array<Term> = []
      for (const [k, v] of pairs as ReadonlyArray<readonly [unknown, unknown]>) {
        flat.push(key.toTerm(k), value.toTerm(v))
      }
      return new ErlMap(flat)
    },
    fromTerm: (term) => {
      if (!(term instanceof ErlMap)) throw unexpectedTerm("a map", term)
      return Array.from(term, ([k, v]) => {
        const name = print(k, { maxLength: 40 })
        return [inside(name, key.fromTerm, k), inside(name, value.fromTerm, v)] as const
      })
    },
    mayBe: (term) => term instanceof ErlMap,
    mayRead: (reader) => reader.peek() === 116
  })

/**
 * An object as a tuple: a tag, then the fields in order. Without fields it is the bare tag when `bare` says so. A missing
 * optional field is the atom `undefined`.
 */
export const taggedTuple = (
  tag: string,
  fields: ReadonlyArray<Field>,
  options: { readonly bare: boolean; readonly constant?: readonly [name: string, value: unknown] | undefined }
): Shape => {
  const atom = makeAtom(tag)
  const undefinedAtom = makeAtom("undefined")
  const bare = options.bare && fields.length === 0
  const expected = bare
    ? `the atom ${print(atom)}`
    : `{${[print(atom), ...fields.map((field) => field.wire)].join(", ")}}`
  const { constant } = options
  const arity = fields.length + 1
  const check = (value: unknown): value is Fields =>
    isObject(value) && (constant === undefined || value[constant[0]] === constant[1])
  const create = (): Fields => constant === undefined ? {} : { [constant[0]]: constant[1] }
  return make({
    expected,
    toTerm: (value) => {
      if (!check(value)) throw unexpectedValue(expected, value)
      if (bare) return atom
      const elements: Array<Term> = [atom]
      for (const { name, optional, shape } of fields) {
        if (isAbsent(value, name)) {
          if (!optional) throw atKey(name, new Mismatch("Missing key"))
          elements.push(undefinedAtom)
        } else elements.push(inside(name, shape.toTerm, value[name]))
      }
      return new Tuple(elements)
    },
    fromTerm: (term) => {
      const out = create()
      if (bare) {
        if (!(term instanceof Atom) || term.name !== tag) throw unexpectedTerm(expected, term)
        return out
      }
      if (!isTagged(term, tag, arity)) throw unexpectedTerm(expected, term)
      fields.forEach(({ name, optional, shape }, i) => {
        const value = term.elements[i + 1]!
        if (optional && value instanceof Atom && value.name === "undefined" && !shape.takesUndefined) return
        put(out, name, inside(name, shape.fromTerm, value))
      })
      return out
    },
    write: (writer, value) => {
      if (!check(value)) throw GiveUp
      if (bare) return writer.atom(tag)
      writer.arity(arity)
      writer.atom(tag)
      for (let i = 0; i < fields.length; i++) {
        const field = fields[i]!
        const item = value[field.name]
        if (item === undefined && isAbsent(value, field.name)) {
          if (!field.optional) throw GiveUp
          writer.atom("undefined")
        } else field.shape.write(writer, item)
      }
    },
    read: (reader) => {
      const out = create()
      if (bare) {
        if (readAtom(reader).name !== tag) throw GiveUp
        return out
      }
      if (reader.peek() !== 104 || reader.source[reader.pos + 1] !== arity) throw GiveUp
      reader.pos += 2
      if (readAtom(reader).name !== tag) throw GiveUp
      for (let i = 0; i < fields.length; i++) {
        const field = fields[i]!
        if (field.optional && !field.shape.takesUndefined && peekAtom(reader)?.name === "undefined") reader.atom()
        else put(out, field.name, field.shape.read(reader))
      }
      return out
    },
    mayBe: (term) => bare ? term instanceof Atom && term.name === tag : isTagged(term, tag, arity),
    mayRead: (reader) => {
      if (bare) return peekAtom(reader)?.name === tag
      return mayReadTagged(reader, tag, arity)
    }
  })
}

const isTagged = (term: Term, tag: string, arity: number): term is Tuple => {
  if (!(term instanceof Tuple) || term.elements.length !== arity) return false
  const first = term.elements[0]
  return first instanceof Atom && first.name === tag
}

const mayReadTagged = (reader: Parameters<Shape["mayRead"]>[0], tag: string, arity: number): boolean => {
  if (reader.peek() === 105) return true
  if (reader.peek() !== 104 || reader.source[reader.pos + 1] !== arity || reader.pos + 2 >= reader.end) return false
  const start = reader.pos
  reader.pos += 2
  const atom = peekAtom(reader)
  reader.pos = start
  return atom !== undefined && atom.name === tag
}

/** A tagged object: `{tag, Body}`, where the body holds the other fields. */
export const tagged = (tag: string, constant: readonly [name: string, value: unknown], body: Shape): Shape => {
  const atom = makeAtom(tag)
  const expected = `{${print(atom)}, ${body.expected}}`
  const check = (value: unknown): value is Fields => isObject(value) && value[constant[0]] === constant[1]
  const merge = (fields: unknown): Fields => {
    const out: Fields = { [constant[0]]: constant[1] }
    for (const [name, value] of Object.entries(fields as Fields)) put(out, name, value)
    return out
  }
  return make({
    expected,
    toTerm: (value) => {
      if (!check(value)) throw unexpectedValue(expected, value)
      return new Tuple([atom, body.toTerm(value)])
    },
    fromTerm: (term) => {
      if (!isTagged(term, tag, 2)) throw unexpectedTerm(expected, term)
      return merge(body.fromTerm(term.elements[1]!))
    },
    write: (writer, value) => {
      if (!check(value)) throw GiveUp
      writer.tag8(104, 2)
      writer.atom(tag)
      body.write(writer, value)
    },
    read: (reader) => {
      if (!mayReadTagged(reader, tag, 2) || reader.peek() !== 104) throw GiveUp
      reader.pos += 2
      reader.atom()
      return merge(body.read(reader))
    },
    mayBe: (term) => isTagged(term, tag, 2),
    mayRead: (reader) => mayReadTagged(reader, tag, 2)
  })
}

/** An object as a property list: `[{key, Value}]`, where a bare atom stands for `{key, true}`. The first one counts. */
export const proplist = (fields: ReadonlyArray<Field>): Shape => {
  const expected = "a property list"
  return make({
    expected,
    toTerm: (value) => {
      if (!isObject(value)) throw unexpectedValue(expected, value)
      const items: Array<Term> = []
      for (const { name, optional, shape, wire } of fields) {
        if (!isAbsent(value, name)) items.push(new Tuple([makeAtom(wire), inside(name, shape.toTerm, value[name])]))
        else if (!optional) throw atKey(name, new Mismatch("Missing key"))
      }
      return items
    },
    fromTerm: (term) => {
      if (!Array.isArray(term)) throw unexpectedTerm(expected, term)
      const found = new Map<string, Term>()
      for (const item of term as ReadonlyArray<Term>) {
        // As `proplists` does: what is neither an atom nor a pair is passed over.
        const pair = item instanceof Tuple && item.elements.length === 2 ? item.elements : [item, makeAtom("true")]
        const key = pair[0]
        if (key instanceof Atom && !found.has(key.name)) found.set(key.name, pair[1]!)
      }
      const out: Fields = {}
      for (const { name, optional, shape, wire } of fields) {
        const value = found.get(wire)
        if (value !== undefined) put(out, name, inside(name, shape.fromTerm, value))
        else if (!optional) {
          throw atKey(name, new Mismatch(`Missing key ${print(makeAtom(wire))} in ${print(term, { maxLength: 200 })}`))
        }
      }
      return out
    },
    mayBe: Array.isArray,
    mayRead: (reader) => reader.peek() === 106 || reader.peek() === 108 || reader.peek() === 107
  })
}
