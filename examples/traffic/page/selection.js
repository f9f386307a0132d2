/** What was chosen on the map or by name: a vehicle with its track, or a point with the vehicles near to it. */
import * as Ask from "./ask.js"

/** How many of the nearest are shown. */
const nearby = 10

const make = (tag, text) => {
  const element = document.createElement(tag)
  element.textContent = text
  return element
}

const distance = (metres) => metres < 1000 ? `${metres.toFixed(0)} m` : `${(metres / 1000).toFixed(1)} km`

export class Selection {
  #panel
  #map
  #vehicles
  /** The number of the last question: answers to older ones come too late. */
  #asked = 0

  constructor(panel, map, vehicles) {
    this.#panel = panel
    this.#map = map
    this.#vehicles = vehicles
  }

  async vehicle(vehicle) {
    await this.#answer(Ask.track(vehicle, this.#vehicles.newest), (track) => {
      this.#map.selection = { vehicle, track }
      const last = this.#vehicles.all.get(vehicle) ?? track.at(-1)
      const line = last?.route ? `route ${last.route}, ` : ""
      const seen = last === undefined ? "" : `, last at ${new Date(last.at).toLocaleString()}`
      this.#show(make("p", `Vehicle ${vehicle}: ${line}${track.length} places in the last hour${seen}`))
    })
  }

  async point(point) {
    await this.#answer(Ask.nearest(point, nearby), (vehicles) => {
      this.#map.selection = { nearest: { point, vehicles } }
      const list = document.createElement("ol")
      for (const { metres, route, vehicle } of vehicles) {
        const button = make("button", vehicle)
        button.type = "button"
        button.title = `route ${route}`
        button.addEventListener("click", () => this.vehicle(vehicle))
        const item = document.createElement("li")
        item.append(button, ` ${distance(metres)}`)
        list.append(item)
      }
      this.#show(make("p", `Nearest to ${point.lat.toFixed(4)}, ${point.lon.toFixed(4)}:`), list)
    })
  }

  async #answer(question, show) {
    const number = ++this.#asked
    const [answer, error] = await question.then((answer) => [answer], (error) => [undefined, error])
    if (number !== this.#asked) return
    if (error === undefined) {
      show(answer)
    } else {
      const refused = make("p", error.message)
      refused.className = "refused"
      this.#map.selection = {}
      this.#show(refused)
    }
    this.#map.redraw()
  }

  #show(...elements) {
    this.#panel.replaceChildren(...elements)
  }
}
