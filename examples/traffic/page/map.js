/** The map on the canvas: when it is drawn, and what the pointer and the keys do. */
import { draw } from "./drawing.js"
import { Projection } from "./projection.js"

/** How near a click must be to a vehicle, in pixels. */
const reach = 10

/** How far an arrow key moves the map, in pixels. */
const stride = 60

export class TrafficMap {
  projection = new Projection()
  /** What is drawn besides the vehicles. */
  selection = {}
  #canvas
  #vehicles
  #asked = false
  #hasView = false
  #frames = 0

  /** `onVehicle` and `onPoint` are told what was chosen. */
  constructor(canvas, vehicles, { onPoint, onVehicle }) {
    this.#canvas = canvas
    this.#vehicles = vehicles
    this.onVehicle = onVehicle
    this.onPoint = onPoint
    new ResizeObserver(() => this.#resize()).observe(canvas)
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw())
    this.#listenToPointer()
    this.#listenToKeys()
    this.#resize()
  }

  /** Something has changed: draws with the next frame. */
  redraw() {
    if (this.#asked) return
    this.#asked = true
    requestAnimationFrame((now) => {
      this.#asked = false
      if (draw(this.#canvas, this.projection, this.#vehicles, this.selection, now)) this.redraw()
      const { dataset } = this.#canvas
      dataset.frames = String(++this.#frames)
      dataset.vehicles = String(this.#vehicles.all.size)
      dataset.moves = String(this.#vehicles.moves)
      dataset.scale = String(this.projection.scale)
    })
  }

  /** Vehicles have moved. The first ones decide what is shown. */
  moved() {
    if (!this.#hasView && this.#vehicles.all.size > 0) this.fit()
    this.redraw()
  }

  fit() {
    this.#hasView = true
    this.projection.fit([...this.#vehicles.all.values()])
    this.redraw()
  }

  zoom(factor, point = { x: this.projection.width / 2, y: this.projection.height / 2 }) {
    this.projection.zoomAt(point, factor)
    this.redraw()
  }

  move(x, y) {
    this.projection.moveBy(x, y)
    this.redraw()
  }

  /** Chooses what is at a point of the screen. */
  choose(point) {
    const now = performance.now()
    let best
    for (const vehicle of this.#vehicles.all.values()) {
      const { x, y } = this.projection.toScreen(this.#vehicles.drawn(vehicle, now))
      const distance = Math.hypot(x - point.x, y - point.y)
      if (distance <= reach && (best === undefined || distance < best.distance)) best = { vehicle, distance }
    }
    if (best === undefined) this.onPoint(this.projection.toEarth(point))
    else this.onVehicle(best.vehicle.vehicle)
  }

  #resize() {
    const { clientHeight, clientWidth } = this.#canvas
    if (clientWidth === 0 || clientHeight === 0) return
    this.#canvas.width = Math.round(clientWidth * devicePixelRatio)
    this.#canvas.height = Math.round(clientHeight * devicePixelRatio)
    this.projection.width = clientWidth
    this.projection.height = clientHeight
    this.redraw()
  }

  #listenToPointer() {
    const canvas = this.#canvas
    const pointers = new Map()
    let moved = 0
    const distance = () => {
      const [a, b] = [...pointers.values()]
      return Math.hypot(a.x - b.x, a.y - b.y)
    }
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId)
      if (pointers.size === 0) moved = 0
      pointers.set(event.pointerId, { x: event.offsetX, y: event.offsetY })
    })
    canvas.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId)
      if (before === undefined) return
      const apart = pointers.size === 2 ? distance() : 0
      const x = event.offsetX - before.x
      const y = event.offsetY - before.y
      moved += Math.abs(x) + Math.abs(y)
      before.x += x
      before.y += y
      if (pointers.size === 2) this.zoom(distance() / Math.max(1, apart), before)
      else this.move(x, y)
    })
    canvas.addEventListener("pointerup", (event) => {
      const isClick = pointers.size === 1 && moved < 5
      pointers.delete(event.pointerId)
      if (isClick) this.choose({ x: event.offsetX, y: event.offsetY })
    })
    canvas.addEventListener("pointercancel", (event) => pointers.delete(event.pointerId))
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault()
      this.zoom(Math.exp(-event.deltaY / 400), { x: event.offsetX, y: event.offsetY })
    }, { passive: false })
  }

  #listenToKeys() {
    const centre = () => ({ x: this.projection.width / 2, y: this.projection.height / 2 })
    const keys = {
      ArrowLeft: () => this.move(stride, 0),
      ArrowRight: () => this.move(-stride, 0),
      ArrowUp: () => this.move(0, stride),
      ArrowDown: () => this.move(0, -stride),
      "+": () => this.zoom(1.5),
      "=": () => this.zoom(1.5),
      "-": () => this.zoom(1 / 1.5),
      "0": () => this.fit(),
      Enter: () => this.choose(centre())
    }
    this.#canvas.addEventListener("keydown", (event) => {
      const run = keys[event.key]
      if (run === undefined || event.ctrlKey || event.metaKey || event.altKey) return
      event.preventDefault()
      run()
    })
  }
}
