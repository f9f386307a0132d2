import { start } from "./World.ts"
const w = await start()
for (let i = 0; i < 5; i++) {
  const a = await w.settled()
  const s = await w.flood(100000)
  const b = await w.settled()
  console.log("rate", (s.positions / s.millis * 1000).toFixed(0), "cpu us/pos", ((b.cpuMillis - a.cpuMillis) * 1000 / s.positions).toFixed(1), "stored", b.stored - a.stored)
}
await w.close()
