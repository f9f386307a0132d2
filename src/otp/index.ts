/**
 * Behaviours: servers, supervisors and what is built on them.
 *
 * @since 0.1.0
 */
export * as DynamicSupervisor from "./DynamicSupervisor.ts"
export * as GenServer from "./GenServer.ts"
export * as OtpError from "./OtpError.ts"
export * as StateMachine from "./StateMachine.ts"
export * as StateUpgrade from "./StateUpgrade.ts"
export * as Supervisor from "./Supervisor.ts"
