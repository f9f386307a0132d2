/**
 * Stages: producers and consumers of events with demand as back-pressure.
 *
 * @since 0.1.0
 */
export * as ConsumerSupervisor from "./ConsumerSupervisor.ts"
export * as Dispatcher from "./Dispatcher.ts"
export * as EventBuffer from "./EventBuffer.ts"
export * as GenStage from "./GenStage.ts"
export * as Intake from "./Intake.ts"
export * as Outlet from "./Outlet.ts"
export * as StageError from "./StageError.ts"
