/** The live events of the server, connected again whenever the connection is lost. */

/** Facts come twice a second: when nothing has come for so long, nobody is there. Milliseconds. */
const silence = 5000

/** How long to wait before connecting again, in milliseconds. */
const pause = 1000

/** Listens for ever; `on` has a function for each kind of event, and `state` for whether they come. */
export const listen = (on) => {
  let timer
  const connect = () => {
    const source = new EventSource("/api/live")
    const again = () => {
      source.close()
      clearTimeout(timer)
      on.state("lost")
      timer = setTimeout(connect, pause)
    }
    const heard = () => {
      clearTimeout(timer)
      timer = setTimeout(again, silence)
    }
    source.addEventListener("open", () => {
      on.state("live")
      heard()
    })
    source.addEventListener("error", again)
    for (const kind of ["positions", "facts"]) {
      source.addEventListener(kind, ({ data }) => {
        heard()
        on[kind](JSON.parse(data))
      })
    }
  }
  connect()
}
