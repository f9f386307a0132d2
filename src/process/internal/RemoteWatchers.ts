/**
 * The monitors that other nodes hold on one process. Each call from another node adds one and takes it away, so that they
 * are a list through the monitors themselves: nothing is allocated, and nothing that was taken away is pointed to.
 *
 * @since 0.1.0
 */
import type { RemoteWatcher } from "./LocalProcess.ts"

/** @since 0.1.0 */
export class RemoteWatchers {
  size = 0
  private first: RemoteWatcher | undefined = undefined
  private last: RemoteWatcher | undefined = undefined

  add(watcher: RemoteWatcher): void {
    const { last } = this
    watcher.earlier = last
    if (last === undefined) this.first = watcher
    else last.later = watcher
    this.last = watcher
    this.size++
  }

  /** Takes a monitor away that is in the list. */
  delete(watcher: RemoteWatcher): void {
    const { earlier, later } = watcher
    if (earlier === undefined) this.first = later
    else earlier.later = later
    if (later === undefined) this.last = earlier
    else later.earlier = earlier
    watcher.earlier = watcher.later = undefined
    this.size--
  }

  *[Symbol.iterator](): Generator<RemoteWatcher, void> {
    let next = this.first
    while (next !== undefined) {
      const watcher = next
      next = watcher.later
      yield watcher
    }
  }
}
