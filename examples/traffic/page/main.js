/** Puts the page together. */
import { Figures } from "./figures.js"
import { listen } from "./live.js"
import { TrafficMap } from "./map.js"
import { Selection } from "./selection.js"
import { Tree } from "./tree.js"
import { Vehicles } from "./vehicles.js"

const find = (selector) => document.querySelector(selector)

const vehicles = new Vehicles()
const map = new TrafficMap(find("canvas"), vehicles, {
  onVehicle: (vehicle) => selection.vehicle(vehicle),
  onPoint: (point) => selection.point(point)
})
const selection = new Selection(find("#selection"), map, vehicles)
const figures = new Figures(find("#rates"), find("#counts"))
const tree = new Tree(find("#tree"), find("#tree-said"))

// --- controls --------------------------------------------------------------------------------------------------------

const controls = { in: () => map.zoom(1.5), out: () => map.zoom(1 / 1.5), fit: () => map.fit() }
for (const button of document.querySelectorAll("[data-do]")) {
  button.addEventListener("click", controls[button.dataset.do])
}

find("#find").addEventListener("submit", (event) => {
  event.preventDefault()
  selection.vehicle(new FormData(event.target).get("vehicle"))
})

/** The vehicles that may be asked for by name, as far as a list is of use. */
const names = find("#vehicles")
find("#find input").addEventListener("focus", () => {
  names.replaceChildren(...[...vehicles.all.keys()].toSorted().slice(0, 500).map((vehicle) => {
    const option = document.createElement("option")
    option.value = vehicle
    return option
  }))
})

// --- news ------------------------------------------------------------------------------------------------------------

const connection = find("#connection")
const states = { live: "live", lost: "connecting again" }

listen({
  state: (state) => {
    connection.dataset.state = state
    connection.textContent = states[state]
  },
  positions: (positions) => {
    vehicles.update(positions, performance.now())
    map.moved()
  },
  facts: (facts) => {
    figures.show(facts)
    tree.show(facts.tree)
  }
})
