/**
 * Tools for tests: nodes under the test clock and a seed, probes, journals, stubs, clusters in memory.
 *
 * @since 0.1.0
 */
export * as CommitSimulation from "./CommitSimulation.ts"
export * as Journal from "./Journal.ts"
export * as MemoryCluster from "./MemoryCluster.ts"
export * as Probe from "./Probe.ts"
export * as RaftSimulation from "./RaftSimulation.ts"
export * as SeededScheduler from "./SeededScheduler.ts"
export * as Stub from "./Stub.ts"
export * as TestingError from "./TestingError.ts"
export * as TestNode from "./TestNode.ts"
export * as TestProcess from "./TestProcess.ts"
