/** Where a point of the earth is on the screen: Mercator's projection, a centre and a scale. */

const limit = 85

const mercator = (lat) => {
  const clamped = Math.max(-limit, Math.min(limit, lat)) * Math.PI / 180
  return Math.log(Math.tan(Math.PI / 4 + clamped / 2)) * 180 / Math.PI
}

const inverse = (y) => (2 * Math.atan(Math.exp(y * Math.PI / 180)) - Math.PI / 2) * 180 / Math.PI

/** Pixels per degree: from the whole earth to a few metres. */
const scales = { least: 1, most: 4_000_000 }

export class Projection {
  width = 1
  height = 1
  /** The centre, projected. */
  x = 0
  y = 0
  scale = 4

  toScreen({ lat, lon }) {
    return { x: this.width / 2 + (lon - this.x) * this.scale, y: this.height / 2 - (mercator(lat) - this.y) * this.scale }
  }

  toEarth({ x, y }) {
    const lon = this.x + (x - this.width / 2) / this.scale
    return { lat: inverse(this.y - (y - this.height / 2) / this.scale), lon: ((lon + 540) % 360) - 180 }
  }

  moveBy(x, y) {
    this.x -= x / this.scale
    this.y = Math.max(-180, Math.min(180, this.y + y / this.scale))
  }

  /** Zooms so that a point of the screen stays where it is. */
  zoomAt({ x, y }, factor) {
    const scale = Math.max(scales.least, Math.min(scales.most, this.scale * factor))
    const dx = x - this.width / 2
    const dy = y - this.height / 2
    this.x += dx / this.scale - dx / scale
    this.y -= dy / this.scale - dy / scale
    this.scale = scale
  }

  /** Shows all of some places; the few that are far from the others may be left out. */
  fit(places) {
    if (places.length === 0) return
    const lons = places.map(({ lon }) => lon).toSorted((a, b) => a - b)
    const ys = places.map(({ lat }) => mercator(lat)).toSorted((a, b) => a - b)
    const within = (sorted) => [sorted[Math.floor(sorted.length * 0.02)], sorted[Math.ceil(sorted.length * 0.98) - 1]]
    const [west, east] = within(lons)
    const [south, north] = within(ys)
    this.x = (west + east) / 2
    this.y = (south + north) / 2
    const room = 0.85
    const scale = Math.min(room * this.width / Math.max(east - west, 0.01), room * this.height / Math.max(north - south, 0.01))
    this.scale = Math.max(scales.least, Math.min(scales.most, scale))
  }

  /** Metres of a pixel at the centre. */
  get metres() {
    return 111_320 * Math.cos(inverse(this.y) * Math.PI / 180) / this.scale
  }
}
