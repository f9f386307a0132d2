/**
 * Sagas: steps with compensations, transactions over processes of several nodes, and two-phase commit.
 *
 * @since 0.1.0
 */
export * as CommitCore from "./CommitCore.ts"
export * as Journal from "./Journal.ts"
export * as JournalError from "./JournalError.ts"
export * as Saga from "./Saga.ts"
export * as SagaCore from "./SagaCore.ts"
export * as SagaError from "./SagaError.ts"
export * as SagaServer from "./SagaServer.ts"
export * as TwoPhaseCommit from "./TwoPhaseCommit.ts"
