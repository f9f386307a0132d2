/**
 * The files of what stands in a tree: for each component its source, and a test that holds as it is written. Pure.
 *
 * What a component does is small and complete: it counts, echoes, says hello, so that a project works from the first moment
 * and shows where its own work goes.
 *
 * @since 0.1.0
 */
import * as Endpoints from "./NewEndpoints.ts"
import * as Flows from "./NewFlows.ts"
import type { Component } from "./NewPlan.ts"
import * as Servers from "./NewServers.ts"
import type { Files } from "./NewTest.ts"

/** The files of a component; a supervisor has none of this kind. `all` are those of its application. */
export const render = (
  component: Component,
  folder: string,
  all: ReadonlyArray<Component>
): Files | undefined => {
  switch (component.kind) {
    case "server":
      return Servers.server(component, folder)
    case "pool":
      return Servers.pool(component, folder)
    case "dynamic":
      return Servers.dynamic(component, folder)
    case "tcp":
      return Endpoints.tcp(component, folder)
    case "udp":
      return Endpoints.udp(component, folder)
    case "web":
      return Endpoints.web(component, folder)
    case "stage":
      return Flows.stage(component, folder, all)
    case "raft":
      return Flows.raft(component, folder)
    case "saga":
      return Flows.saga(component, folder, all)
    case "sup":
      return undefined
  }
}
