/**
 * Durable sagas on the workflow engine of Effect. See `Saga`, which exports all of this.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import type * as Schema from "effect/Schema"
import * as Activity from "effect/workflow/Activity"
import * as Workflow from "effect/workflow/Workflow"
import type { WorkflowEngine } from "effect/workflow/WorkflowEngine"
import type { DurableSaga } from "./DurableSaga.ts"
import { Attempt, CurrentSteps, type Performer, StepNames } from "./internal/Steps.ts"
import { compensate } from "./internal/UndoLog.ts"

/**
 * A saga as a workflow: the workflow itself, to execute, poll and interrupt, and the layer that registers it.
 *
 * @category models
 * @since 0.1.0
 */
export interface SagaWorkflow<
  Name extends string,
  P extends Workflow.AnyStructSchema,
  A extends Schema.Top,
  E extends Schema.Top,
  R
> {
  readonly workflow: Workflow.Workflow<Name, P, A, E>
  readonly layer: Layer.Layer<
    never,
    never,
    | WorkflowEngine
    | R
    | P["DecodingServices"]
    | P["EncodingServices"]
    | A["DecodingServices"]
    | A["EncodingServices"]
    | E["DecodingServices"]
    | E["EncodingServices"]
  >
}

/** Each step is an activity, and its compensation another one, run when the workflow ends without a value. */
const performer = (saga: string, executionId: string): Performer => {
  const names = new StepNames()
  return {
    perform: (step, input, id) =>
      Effect.contextWith((context: Context.Context<never>) => {
        const name = names.next(step, id)
        const attempt = new Attempt(step, input, name, `${saga}/${executionId}/${name}`)
        const activity = Activity.make({
          name,
          success: step.success,
          error: step.error,
          execute: attempt.effect
        })
        const undo = (cause: Cause.Cause<unknown>) =>
          Activity.make({
            name: `${name}/compensation`,
            // A failure was logged; the other compensations run all the same.
            execute: Effect.asVoid(compensate(saga, attempt.undo(context), cause))
          })
        return Effect.andThen(
          Workflow.addFinalizer((exit) => Exit.isSuccess(exit) ? Effect.void : undo(exit.cause)),
          Effect.onExit(activity, (exit) => Effect.sync(() => attempt.ended(exit)))
        )
      })
  }
}

/**
 * A durable saga as a workflow of Effect: the steps are activities, so that the engine remembers their results, and a run that ends
 * without a value, also by an interruption, takes back what was done, last step first. For those who run that engine, in memory
 * or on a cluster; nothing of this package's journal is used, and `recovery` has no meaning: an engine goes on.
 *
 * A compensation that fails is logged and does not stop the others; the error of the workflow is that of the saga.
 *
 * @category workflow
 * @since 0.1.0
 */
export const toWorkflow = <
  Name extends string,
  P extends Workflow.AnyStructSchema,
  A extends Schema.Top,
  E extends Schema.Top,
  R
>(
  saga: DurableSaga<Name, P, A, E, R>,
  options: {
    /** Makes the id of an execution from its payload: the same id is the same execution. */
    readonly idempotencyKey: (payload: P["Type"]) => string
  }
): SagaWorkflow<Name, P, A, E, R> => {
  const workflow = Workflow.make<Name, P, A, E>(saga.name, {
    payload: saga.payload,
    success: saga.success,
    error: saga.error,
    idempotencyKey: options.idempotencyKey as never // P is a schema, and not a record of fields
  })
  const layer = workflow.toLayer((payload, executionId) =>
    Effect.provideService(saga.run(payload), CurrentSteps, performer(saga.name, executionId))
  )
  return { workflow, layer } as unknown as SagaWorkflow<Name, P, A, E, R> // the compiler cannot reduce the types of the steps
}
