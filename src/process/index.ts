/**
 * The runtime: node, processes, mailboxes, signals, messages and protocols.
 *
 * @since 0.1.0
 */
export * as Address from "./Address.ts"
export * as Behaviour from "./Behaviour.ts"
export * as CallError from "./CallError.ts"
export * as ExitReason from "./ExitReason.ts"
export * as Handler from "./Handler.ts"
export * as Mailbox from "./Mailbox.ts"
export * as Message from "./Message.ts"
export * as Node from "./Node.ts"
export * as Process from "./Process.ts"
export * as ProcessRef from "./ProcessRef.ts"
export * as Protocol from "./Protocol.ts"
export * as Signal from "./Signal.ts"
export * as Transition from "./Transition.ts"
export * as Transport from "./Transport.ts"
