/**
 * Raft: a replicated log on which a majority agrees, as a pure function.
 *
 * @since 0.1.0
 */
export * as Raft from "./Raft.ts"
export * as RaftCore from "./RaftCore.ts"
export * as RaftEntry from "./RaftEntry.ts"
export * as RaftError from "./RaftError.ts"
export * as RaftLog from "./RaftLog.ts"
export * as RaftMessage from "./RaftMessage.ts"
export * as RaftStorage from "./RaftStorage.ts"
