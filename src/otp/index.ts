/**
 * Behaviours: servers, supervisors and what is built on them.
 *
 * @since 0.1.0
 */
export * as Application from "./Application.ts"
export * as DynamicSupervisor from "./DynamicSupervisor.ts"
export * as Events from "./Events.ts"
export * as GenServer from "./GenServer.ts"
export * as OtpError from "./OtpError.ts"
export * as PartitionSupervisor from "./PartitionSupervisor.ts"
export * as Pool from "./Pool.ts"
export * as ProcessGroup from "./ProcessGroup.ts"
export * as Registry from "./Registry.ts"
export * as StateMachine from "./StateMachine.ts"
export * as StateUpgrade from "./StateUpgrade.ts"
export * as Supervisor from "./Supervisor.ts"
export * as Task from "./Task.ts"
export * as TaskSupervisor from "./TaskSupervisor.ts"
