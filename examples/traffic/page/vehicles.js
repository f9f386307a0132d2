/** The vehicles: where each is, where it was before, and where it is drawn while it moves from there to here. */

/** How many places of each make its trail. */
const trail = 40

/** How long a vehicle takes on the screen to the place where it is, in milliseconds. */
const glide = 900

/** A vehicle that has not moved for so long is drawn paler: milliseconds of the data. */
const stale = 10 * 60_000

const hues = new Map()

/** The hue of a route: the same on each page. */
export const hueOf = (route) => {
  let hue = hues.get(route)
  if (hue === undefined) {
    let hash = 2166136261
    for (const character of route) hash = Math.imul(hash ^ character.codePointAt(0), 16777619)
    // Names differ in their last character: the colours are to differ in more.
    hash = Math.imul(hash ^ hash >>> 15, 2246822519)
    hue = ((hash ^ hash >>> 13) >>> 0) % 360
    hues.set(route, hue)
  }
  return hue
}

export class Vehicles {
  /** By name. */
  all = new Map()
  /** The latest time of all. */
  newest = 0
  /** How often one of them has moved. */
  moves = 0

  /** Takes an event of positions. */
  update(positions, now) {
    for (const position of positions) {
      const known = this.all.get(position.vehicle)
      this.newest = Math.max(this.newest, position.at)
      if (known === undefined) {
        this.all.set(position.vehicle, { ...position, trail: [], from: position, since: now - glide })
        continue
      }
      if (known.at > position.at) continue
      if (known.lat !== position.lat || known.lon !== position.lon) {
        known.from = this.drawn(known, now)
        known.since = now
        known.trail.push({ lat: known.lat, lon: known.lon })
        if (known.trail.length > trail) known.trail.shift()
        this.moves++
      }
      Object.assign(known, position)
    }
  }

  /** Where it is drawn at a time. */
  drawn({ from, lat, lon, since }, now) {
    const part = Math.min(1, (now - since) / glide)
    return { lat: from.lat + (lat - from.lat) * part, lon: from.lon + (lon - from.lon) * part }
  }

  isMoving({ since }, now) {
    return now - since < glide
  }

  isStale({ at }) {
    return this.newest - at > stale
  }
}
