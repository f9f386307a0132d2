/**
 * A layer as a process: built by `init`, released with the scope of the process.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Behaviour from "../../process/Behaviour.ts"
import type { Core } from "../../process/Protocol.ts"

const protocol: Core = { name: "Layer", messages: [], indexByTag: new Map() }

/** The behaviour of a process that is a layer. It handles no messages. */
export const layerBehaviour = <A, E, R>(layer: Layer.Layer<A, E, R>): Behaviour.Behaviour => ({
  name: "Layer",
  protocol,
  init: (instance) =>
    // A memo map of its own: the child owns what it builds, and a restart builds it anew.
    Effect.as(
      Layer.buildWithMemoMap(layer, Layer.makeMemoMapUnsafe(), instance.scope),
      new Behaviour.Started(undefined, undefined)
    ),
  handle: (instance) => {
    instance.node.unhandled++
    return undefined
  },
  terminate: () => undefined,
  format: () => undefined
})
