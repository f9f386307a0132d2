/**
 * The supervision tree as a list, changed in place, so that what has the focus keeps it. Each process has a button that
 * kills it; one that was restarted shows it. Pools are folded at first: their workers are all the same.
 */
import { kill } from "./ask.js"

/** How long a restart is seen, in milliseconds. */
const fresh = 4000

const make = (tag, className) => {
  const element = document.createElement(tag)
  element.className = className
  return element
}

const makeButton = (className, onClick) => {
  const button = make("button", className)
  button.type = "button"
  button.addEventListener("click", onClick)
  return button
}

const put = (element, text) => {
  if (element.textContent !== text) element.textContent = text
}

/** What tells a process from the others below the same one: its name, or its pid when several have it. */
const keyOf = (node, siblings) =>
  siblings.filter(({ name }) => name === node.name).length > 1 ? `${node.name} ${node.pid}` : node.name

/** Restarts of a process and of those below it. */
const allRestarts = ({ children, restarts }) => children.reduce((sum, child) => sum + allRestarts(child), restarts)

/** What is said of a process behind its name. */
const aboutOf = ({ behaviour, more, name, status }) =>
  [behaviour === name ? "" : behaviour, status === "running" ? "" : status, more > 0 ? `and ${more} more` : ""]
    .filter((part) => part !== "").join(", ")

/** One process: a line, and the list of those below it. */
class Row {
  element = make("li", "")
  #line = make("div", "process")
  #fold = makeButton("fold", () => this.#toggle())
  #title = make("span", "title")
  #about = make("span", "about")
  #mailbox = make("span", "mailbox")
  #restarts = make("span", "restarts")
  #kill = makeButton("kill", () => this.#killed())
  #below = make("ul", "")
  #rows = new Map()
  #say
  #node
  #timer

  constructor(node, say) {
    this.#say = say
    this.#node = node
    this.#below.hidden = node.behaviour === "Pool"
    const name = make("span", "name")
    name.append(this.#title, " ", this.#about)
    this.#kill.textContent = "kill"
    this.#line.append(this.#fold, name, this.#mailbox, this.#restarts, this.#kill)
    this.element.append(this.#line, this.#below)
  }

  show(node) {
    const { capacity, dropped, isTop, kind, mailbox, name, pid, status } = node
    const before = this.#shownRestarts()
    this.#node = node
    Object.assign(this.#line.dataset, { kind, status, name, pid: pid ?? "" })
    this.#line.title = pid ?? "no process"
    put(this.#title, name)
    put(this.#about, aboutOf(node))
    put(this.#mailbox, String(mailbox))
    this.#mailbox.title = `${mailbox} of ${capacity ?? "any number of"} messages wait, ${dropped} were dropped`
    this.#mailbox.style.setProperty("--fill", `${Math.min(100, 100 * mailbox / (capacity ?? 100_000))}%`)
    this.#kill.hidden = isTop
    // Not disabled: it would lose the focus.
    this.#kill.setAttribute("aria-disabled", String(pid === null))
    this.#kill.setAttribute("aria-label", `kill ${name}`)
    this.#showBelow(node.children)
    this.#showFold()
    if (this.#shownRestarts() > before) this.#restarted()
  }

  /** What is folded away counts here. */
  #shownRestarts() {
    return this.#below.hidden ? allRestarts(this.#node) : this.#node.restarts
  }

  #showFold() {
    const restarts = this.#shownRestarts()
    put(this.#restarts, `↻ ${restarts}`)
    this.#restarts.dataset.count = String(restarts)
    this.#restarts.title = `restarted ${restarts} times`
    this.#fold.hidden = this.#node.children.length === 0
    put(this.#fold, this.#below.hidden ? "▸" : "▾")
    this.#fold.setAttribute("aria-expanded", String(!this.#below.hidden))
    this.#fold.setAttribute("aria-label", `processes below ${this.#node.name}`)
  }

  #toggle() {
    this.#below.hidden = !this.#below.hidden
    this.#showFold()
  }

  async #killed() {
    const { name, pid } = this.#node
    if (pid === null) return
    this.#say(await kill(pid).then(() => `${name} was killed`, (error) => `${name}: ${error.message}`))
  }

  #restarted() {
    this.#line.classList.add("restarted")
    this.#say(`${this.#node.name} is back`)
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#line.classList.remove("restarted"), fresh)
  }

  #showBelow(children) {
    const keys = children.map((child) => keyOf(child, children))
    for (const [key, row] of this.#rows) {
      if (keys.includes(key)) continue
      row.element.remove()
      this.#rows.delete(key)
    }
    children.forEach((child, index) => {
      const row = this.#rows.get(keys[index]) ?? new Row(child, this.#say)
      this.#rows.set(keys[index], row)
      const there = this.#below.children[index]
      if (there !== row.element) this.#below.insertBefore(row.element, there ?? null)
      row.show(child)
    })
  }
}

export class Tree {
  #element
  #said
  #row

  /** `element` gets the list; `said` is told what happens. */
  constructor(element, said) {
    this.#element = element
    this.#said = said
  }

  show(root) {
    if (this.#row === undefined) {
      this.#row = new Row(root, (text) => put(this.#said, text))
      const list = make("ul", "")
      list.append(this.#row.element)
      this.#element.append(list)
    }
    this.#row.show(root)
  }
}
