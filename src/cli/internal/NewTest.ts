/**
 * The tests of a project, as text: how the test of a component is put together.
 *
 * @since 0.1.0
 */
import type { Component } from "./NewPlan.ts"
import { file, type Import, indented, provided, quoted } from "./NewSource.ts"

/** A component's file and that of its test. */
export interface Files {
  readonly source: string
  readonly test: string
}

/** Where a test finds the sources of its application. */
export const sources = (folder: string, identifier: string): string => `../../src/${folder}/${identifier}.ts`

/** The file of a test. */
export const test = (
  component: Component,
  folder: string,
  names: ReadonlyArray<string>,
  body: string,
  more: ReadonlyArray<Import> = []
): string =>
  file(`What ${component.name} does, tried on a node of its own.`, body, [
    { path: sources(folder, component.identifier), names },
    ...more
  ])

/** One test, in a scope and on a node. `layers` are what it needs besides, `live` says that time passes by itself. */
export const testCase = (
  title: string,
  body: string,
  options: { readonly live?: boolean; readonly layers?: ReadonlyArray<string> } = {}
): string => {
  const layers = options.layers ?? ["Node.layerLocal()"]
  return `  it.${options.live === true ? "live" : "effect"}(${quoted(title)}, () =>
    Effect.gen(function*() {
      ${indented(body.trim(), "      ")}
    }).pipe(Effect.scoped, ${provided(layers, "    ")}))`
}

/** The tests of a component. */
export const suite = ({ identifier }: Component, ...cases: ReadonlyArray<string>): string =>
  `describe(${quoted(identifier)}, () => {\n${cases.join("\n\n")}\n})`
