%% Waiting processes are monitored, told to stop, and each Down is received. Spawning them is not counted.
-module(bench_monitor_down).
-export([run/1]).

run(Count) ->
    Pids = [spawn(fun() -> receive stop -> ok end end) || _ <- lists:seq(1, Count)],
    Start = bench_watch:start(),
    [monitor(process, Pid) || Pid <- Pids],
    [Pid ! stop || Pid <- Pids],
    downs(Count),
    [{monitor_down, bench_watch:nanos_each(Start, Count)}].

downs(0) ->
    ok;
downs(Left) ->
    receive {'DOWN', _, process, _, normal} -> downs(Left - 1) end.
