/**
 * The group `network`: two operating-system processes each, ours and Erlang's, on the loopback of this machine.
 *
 * @since 0.1.0
 */
import { type Benchmark, type Group, ratio, type Row } from "../harness/Benchmark.ts"
import { calling, type Run } from "./Calls.ts"
import { casting } from "./Casts.ts"
import { cookie, erlangDriverName, erlangPeerName, peerName, start, tlsPeerName } from "./World.ts"

const row = (name: string, erlang: string, target?: Row["target"]): Row => ({
  name,
  unit: "us",
  erlang,
  ...(target === undefined ? {} : { target })
})

/** Loads the group. */
export const load = async (): Promise<Group> => {
  const world = await start()
  const run: Run = (program) => world.runtime.runPromise(program)
  const { tls } = world
  const runTls: Run = async (program) => (await tls!.runtime()).runPromise(program)
  if (tls === undefined) process.stderr.write("\n!!! openssl is not installed: no tls_call_100\n\n")
  const benchmarks: ReadonlyArray<Benchmark> = [
    calling(run, peerName, "bench_net_call_1", 1, row("net_call_1", "call", ratio(0.9, 1.1))),
    calling(run, peerName, "bench_net_call_100", 100, row("net_call_100", "call", ratio(1 / 8, 1 / 5))),
    calling(run, peerName, "bench_net_call_1000", 1000, row("net_call_1000", "call", ratio(1 / 12, 1 / 7))),
    calling(run, erlangPeerName, "bench_net_call_100", 100, row("erl_call_100", "call")),
    ...(tls === undefined
      ? []
      : [calling(runTls, tlsPeerName, "bench_net_tls_call_100", 100, row("tls_call_100", "call"))]),
    casting(run, peerName, "bench_net_cast_small", 0, 10_000, row("net_cast_small", "cast", ratio(0.1, 0.25))),
    casting(run, peerName, "bench_net_cast_1k", 1000, 1000, row("net_cast_1k", "cast", ratio(1 / 6))),
    casting(run, peerName, "bench_net_cast_1m", 1_000_000, 20, row("net_cast_1m", "cast", ratio(2)))
  ]
  return {
    name: "network",
    sources: new URL("../erlang/", import.meta.url),
    erlang: {
      flags: ["-name", erlangDriverName, "-setcookie", cookie, "-start_epmd", "false", "-s", "bench_net", "start"],
      env: {
        ERL_EPMD_PORT: String(world.epmdPort),
        ...(tls === undefined ? {} : { BENCH_TLS: tls.folder })
      }
    },
    benchmarks,
    close: world.close
  }
}
