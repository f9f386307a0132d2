/** Draws the map: a grid of degrees, trails, vehicles, and what is selected. */
import { hueOf } from "./vehicles.js"

/** More vehicles than these are drawn without trails. */
const trailsUpTo = 3000

const colours = (canvas) => {
  const style = getComputedStyle(canvas)
  const of = (name) => style.getPropertyValue(name).trim()
  const lightness = of("--marker-lightness")
  return {
    line: of("--line"),
    quiet: of("--quiet"),
    text: of("--text"),
    accent: of("--accent"),
    alarm: of("--alarm"),
    route: (route) => route === "" ? of("--quiet") : `hsl(${hueOf(route)} 70% ${lightness})`
  }
}

/** The largest of 1, 2 and 5 times a power of ten that is not above a value. */
const round = (value) => {
  const power = 10 ** Math.floor(Math.log10(value))
  return power * (value >= 5 * power ? 5 : value >= 2 * power ? 2 : 1)
}

const drawGrid = (context, projection, colour) => {
  const step = round(180 / projection.scale)
  const digits = Math.max(0, -Math.floor(Math.log10(step)))
  const from = projection.toEarth({ x: 0, y: projection.height })
  const to = projection.toEarth({ x: projection.width, y: 0 })
  context.strokeStyle = colour.line
  context.fillStyle = colour.quiet
  context.lineWidth = 1
  context.font = "11px system-ui, sans-serif"
  context.beginPath()
  if (from.lon < to.lon) {
    for (let lon = Math.ceil(from.lon / step) * step; lon <= to.lon; lon += step) {
      const { x } = projection.toScreen({ lat: 0, lon })
      context.moveTo(x, 0)
      context.lineTo(x, projection.height)
      context.fillText(`${lon.toFixed(digits)}°`, x + 3, 12)
    }
  }
  for (let lat = Math.ceil(from.lat / step) * step; lat <= to.lat; lat += step) {
    const { y } = projection.toScreen({ lat, lon: 0 })
    context.moveTo(0, y)
    context.lineTo(projection.width, y)
    context.fillText(`${lat.toFixed(digits)}°`, projection.width - 52, y - 3)
  }
  context.stroke()
}

const drawScale = (context, projection, colour) => {
  const metres = round(120 * projection.metres)
  const width = metres / projection.metres
  const right = projection.width - 14
  const bottom = projection.height - 14
  context.strokeStyle = colour.quiet
  context.fillStyle = colour.quiet
  context.lineWidth = 2
  context.beginPath()
  context.moveTo(right - width, bottom - 5)
  context.lineTo(right - width, bottom)
  context.lineTo(right, bottom)
  context.lineTo(right, bottom - 5)
  context.stroke()
  context.textAlign = "right"
  context.fillText(metres < 1000 ? `${metres} m` : `${metres / 1000} km`, right, bottom - 8)
  context.textAlign = "left"
}

const drawTrail = (context, projection, places) => {
  context.beginPath()
  places.forEach((place, index) => {
    const { x, y } = projection.toScreen(place)
    if (index === 0) context.moveTo(x, y)
    else context.lineTo(x, y)
  })
  context.stroke()
}

const drawRing = (context, { x, y }, radius, colour) => {
  context.strokeStyle = colour
  context.lineWidth = 2
  context.beginPath()
  context.arc(x, y, radius, 0, 2 * Math.PI)
  context.stroke()
}

const drawVehicle = (context, { x, y }, vehicle, colour) => {
  context.fillStyle = colour.route(vehicle.route)
  context.beginPath()
  context.arc(x, y, 4, 0, 2 * Math.PI)
  context.fill()
  if (vehicle.emergency) drawRing(context, { x, y }, 8, colour.alarm)
}

const drawTrack = (context, projection, track, colour) => {
  context.strokeStyle = colour.accent
  context.lineWidth = 2.5
  drawTrail(context, projection, track)
  context.fillStyle = colour.accent
  for (const place of track) {
    const { x, y } = projection.toScreen(place)
    context.fillRect(x - 1.5, y - 1.5, 3, 3)
  }
}

const drawNearest = (context, projection, { point, vehicles }, all, now, colour) => {
  const centre = projection.toScreen(point)
  context.strokeStyle = colour.text
  context.lineWidth = 1
  context.setLineDash([3, 3])
  for (const { vehicle } of vehicles) {
    const known = all.all.get(vehicle)
    if (known === undefined) continue
    const place = projection.toScreen(all.drawn(known, now))
    context.beginPath()
    context.moveTo(centre.x, centre.y)
    context.lineTo(place.x, place.y)
    context.stroke()
    context.setLineDash([])
    drawRing(context, place, 7, colour.text)
    context.setLineDash([3, 3])
    context.lineWidth = 1
  }
  context.setLineDash([])
  drawRing(context, centre, 3, colour.accent)
}

/** Draws everything, and says whether something still moves. */
export const draw = (canvas, projection, vehicles, selection, now) => {
  const context = canvas.getContext("2d")
  const ratio = canvas.width / projection.width
  const colour = colours(canvas)
  context.setTransform(ratio, 0, 0, ratio, 0, 0)
  context.clearRect(0, 0, projection.width, projection.height)
  drawGrid(context, projection, colour)
  drawScale(context, projection, colour)
  let isMoving = false
  const places = []
  for (const vehicle of vehicles.all.values()) {
    const place = vehicles.drawn(vehicle, now)
    isMoving ||= vehicles.isMoving(vehicle, now)
    places.push({ vehicle, place, screen: projection.toScreen(place) })
  }
  if (vehicles.all.size <= trailsUpTo) {
    context.lineWidth = 1.5
    context.globalAlpha = 0.35
    for (const { place, vehicle } of places) {
      context.strokeStyle = colour.route(vehicle.route)
      drawTrail(context, projection, [...vehicle.trail, place])
    }
    context.globalAlpha = 1
  }
  if (selection.track !== undefined) drawTrack(context, projection, selection.track, colour)
  for (const { screen, vehicle } of places) {
    if (screen.x < -9 || screen.y < -9 || screen.x > projection.width + 9 || screen.y > projection.height + 9) continue
    context.globalAlpha = vehicles.isStale(vehicle) ? 0.35 : 1
    drawVehicle(context, screen, vehicle, colour)
    if (vehicle.vehicle === selection.vehicle) drawRing(context, screen, 9, colour.accent)
  }
  context.globalAlpha = 1
  if (selection.nearest !== undefined) drawNearest(context, projection, selection.nearest, vehicles, now, colour)
  return isMoving
}
