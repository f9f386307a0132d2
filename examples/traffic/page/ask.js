/** Questions to the API. A refusal is an error that says what the problem is. */

const problemOf = async (response) => {
  const problem = await response.json().catch(() => ({}))
  const errors = (problem.errors ?? []).map(({ message, path }) => `${path.slice(1).join(".")}: ${message}`)
  return [problem.title ?? `status ${response.status}`, problem.detail, ...errors].filter(Boolean).join(". ")
}

const ask = async (path, init) => {
  const response = await fetch(path, init).catch(() => {
    throw new Error("The server does not answer")
  })
  if (!response.ok) throw new Error(await problemOf(response))
  return response.status === 204 ? undefined : response.json()
}

export const nearest = ({ lat, lon }, k) => ask(`/api/vehicles/nearest?${new URLSearchParams({ lat, lon, k })}`)

/** The places of a vehicle in the last hour before a time. */
export const track = (vehicle, to) => {
  const query = to > 0 ? `?${new URLSearchParams({ from: Math.max(0, to - 3_600_000), limit: 2000 })}` : ""
  return ask(`/api/vehicles/${encodeURIComponent(vehicle)}/track${query}`)
}

export const kill = (pid) => ask(`/api/processes/${encodeURIComponent(pid)}/kill`, { method: "POST" })
