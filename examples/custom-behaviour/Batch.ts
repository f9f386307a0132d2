/**
 * A behaviour of one's own: a process that collects what it is given and writes it in batches, as databases commit. Whoever
 * gives something is answered when it has been written, so that what was acknowledged is never lost.
 *
 * It stands on the loop that servers and supervisors stand on: the loop has the mailbox, replies, limits of calls and exits;
 * what is here decides when a batch is written. With `GenServer.fromBehaviour` it is started and supervised like any server.
 */
import { Duration, Effect, type Schema } from "effect"
import { Behaviour, GenServer, Message, Protocol, Transition } from "effect-otp"

/** The messages of a batch of such items. */
const messages = <Item extends Schema.Top, Failure extends Schema.Top>(item: Item, failure: Failure) =>
  Message.Call("Add", { payload: { item }, error: failure })

export interface Options<Item extends Schema.Top, Failure extends Schema.Top, R> {
  readonly item: Item
  /** How a batch may fail: everybody whose item was in it learns of it. */
  readonly failure: Failure
  /** A batch is written when it has so many items, */
  readonly size: number
  /** and at the latest so long after its first one. */
  readonly within: Duration.Input
  readonly write: (items: ReadonlyArray<Item["Type"]>) => Effect.Effect<void, Failure["Type"], R>
}

/** Tells a process that its batch is old enough. The timer itself is what it finds in its mailbox. */
class Due extends Behaviour.Timer {
  readonly instance: Behaviour.Instance

  constructor(instance: Behaviour.Instance) {
    super()
    this.instance = instance
  }

  fire(): void {
    Behaviour.tell(this.instance, this)
  }
}

interface State {
  readonly due: Due
  /** The calls whose items are to be written. */
  readonly batch: ReadonlyArray<Behaviour.CallEnvelope>
}

/** A protocol and its server. */
export const make = <const Name extends string, Item extends Schema.Top, Failure extends Schema.Top, R>(
  name: Name,
  options: Options<Item, Failure, R>
) => {
  const BatchProtocol = Protocol.make(name, messages(options.item, options.failure))
  const { protocol } = BatchProtocol
  const within = Duration.toMillis(Duration.fromInputUnsafe(options.within))

  const write = (instance: Behaviour.Instance, due: Due, batch: State["batch"]) => {
    Behaviour.cancelTimer(instance, due)
    return options.write(batch.map(({ payload }) => (payload as { readonly item: Item["Type"] }).item)).pipe(
      Effect.matchEffect({
        onSuccess: () => Effect.forEach(batch, ({ from }) => from.reply(undefined)),
        onFailure: (failure) => Effect.forEach(batch, ({ from }) => from.fail(failure))
      }),
      Effect.as(Transition.next<State>({ due, batch: [] }))
    )
  }

  const server: GenServer.GenServer<void, Protocol.Messages<typeof BatchProtocol>, never, R> = GenServer.fromBehaviour(
    BatchProtocol,
    {
      name: "batch",
      protocol,
      init: (instance) =>
        Effect.sync(() => new Behaviour.Started({ due: new Due(instance), batch: [] } satisfies State, undefined)),
      handle: (instance, envelope) => {
        const { batch, due } = instance.state as State
        switch (envelope.kind) {
          case Behaviour.CALL: {
            const grown = [...batch, envelope]
            if (grown.length >= options.size) return write(instance, due, grown)
            if (batch.length === 0) Behaviour.armTimer(instance, due, within)
            return Transition.noReply<State>({ due, batch: grown })
          }
          case Behaviour.TERM:
            // It may have been written meanwhile, because it was full.
            return envelope.payload === due && batch.length > 0 ? write(instance, due, batch) : undefined
          default:
            return undefined
        }
      },
      // Whoever is told to stop writes what it has; whoever has crashed has nothing that was acknowledged.
      terminate: (instance, reason) => {
        const { batch, due } = instance.state as State
        return batch.length > 0 && reason._tag !== "Error" ? write(instance, due, batch) : undefined
      },
      format: (state) => `${(state as State).batch.length} waiting`
    }
  )
  return { protocol: BatchProtocol, server }
}
