/**
 * Sagas: work in steps, each with a compensation that takes it back when a later one fails.
 *
 * A {@link step} is an Effect with a compensation. Steps stand wherever Effects do, and {@link run} makes a saga of what is around them.
 * Steps with a name and schemas ({@link makeStep}, {@link perform}) make a saga that survives the end of the program ({@link make},
 * {@link open}), or a workflow of Effect ({@link toWorkflow}); they run under {@link run} as well.
 *
 * Guarantees: when a saga fails, dies or is interrupted, the compensations of the steps that are done run in reverse order, each
 * once, and nothing interrupts them; one that fails is reported, in the log and in the error, and does not stop the others. In a
 * durable saga each step is on disk before it begins and when it has ended; after a crash, steps and compensations may run again, with
 * the key that they had.
 *
 * Refuses to hide that something could not be taken back: the run then fails with `CompensationFailed` in front of its own failure.
 * And to isolate: what a step has done can be seen before the saga has ended. Where several parties must agree first, use
 * two-phase commit.
 *
 * @since 0.1.0
 */
export * from "./Compensation.ts"
export * from "./DurableSaga.ts"
export * from "./SagaStep.ts"
export * from "./SagaWorkflow.ts"
