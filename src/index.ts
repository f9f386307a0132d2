/**
 * effect-otp: Erlang/OTP for people who write Effect.
 *
 * @since 0.1.0
 */
export * as DynamicSupervisor from "./otp/DynamicSupervisor.ts"
export * as GenServer from "./otp/GenServer.ts"
export * as OtpError from "./otp/OtpError.ts"
export * as StateMachine from "./otp/StateMachine.ts"
export * as StateUpgrade from "./otp/StateUpgrade.ts"
export * as Supervisor from "./otp/Supervisor.ts"
export * as Address from "./process/Address.ts"
export * as Behaviour from "./process/Behaviour.ts"
export * as CallError from "./process/CallError.ts"
export * as ExitReason from "./process/ExitReason.ts"
export * as Handler from "./process/Handler.ts"
export * as Mailbox from "./process/Mailbox.ts"
export * as Message from "./process/Message.ts"
export * as Node from "./process/Node.ts"
export * as Process from "./process/Process.ts"
export * as ProcessRef from "./process/ProcessRef.ts"
export * as Protocol from "./process/Protocol.ts"
export * as Signal from "./process/Signal.ts"
export * as Transition from "./process/Transition.ts"
export * as Transport from "./process/Transport.ts"
