/** Figures: what comes in per second, and what has become of it. */

const number = new Intl.NumberFormat("en", { maximumFractionDigits: 0 })

const bytes = (value) => `${(value / 1_048_576).toFixed(1)} MiB`

/** Sets the text of an element when it is another one, so that nothing is announced twice. */
const put = (element, text) => {
  if (element.textContent !== text) element.textContent = text
}

const showRates = (rates, perSecond) => {
  for (const element of rates.querySelectorAll("[data-rate]")) {
    const rate = perSecond[element.dataset.rate]
    put(element, number.format(rate))
    element.dataset.isBad = String(rate > 0 && /dropped|invalid/.test(element.dataset.rate))
  }
}

const linesOf = ({ counts, memory, storage }) => {
  const sum = (key) => counts === null ? undefined : counts.udp[key] + counts.tcp[key]
  return [
    ["received", sum("received")],
    ["stored", sum("stored")],
    ["duplicates", sum("duplicates")],
    ["waiting", sum("waiting")],
    ["dropped", sum("dropped")],
    ["invalid", sum("invalid")],
    ["unread datagrams", counts?.datagrams.unread],
    ["alarms", counts?.emergencies.delivered],
    ["positions", storage?.positions],
    ["vehicles", storage?.vehicles],
    ["database", storage === null ? undefined : bytes(storage.bytes)],
    ["memory", bytes(memory.resident)]
  ]
}

export class Figures {
  #rates
  #counts
  #values = new Map()

  constructor(rates, counts) {
    this.#rates = rates
    this.#counts = counts
  }

  show(facts) {
    showRates(this.#rates, facts.perSecond)
    for (const [name, value] of linesOf(facts)) {
      put(this.#valueOf(name), value === undefined ? "–" : typeof value === "string" ? value : number.format(value))
    }
  }

  #valueOf(name) {
    let element = this.#values.get(name)
    if (element === undefined) {
      element = document.createElement("dd")
      element.dataset.count = name
      const term = document.createElement("dt")
      term.textContent = name
      this.#counts.append(term, element)
      this.#values.set(name, element)
    }
    return element
  }
}
