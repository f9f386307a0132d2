%% Short-lived processes, a hundred at a time: spawned with a monitor, a little work, the result sent back, a normal end.
-module(bench_spawn_exit).
-export([run/1]).

-define(AT_ONCE, 100).

run(Count) ->
    Batches = max(1, Count div ?AT_ONCE),
    Start = bench_watch:start(),
    Sum = batches(Batches, 0),
    Each = bench_watch:nanos_each(Start, Batches * ?AT_ONCE),
    Sum = Batches * ?AT_ONCE * 5050,
    [{spawn_exit, Each}].

batches(0, Sum) ->
    Sum;
batches(Left, Sum) ->
    Owner = self(),
    Workers = [spawn_monitor(fun() -> Owner ! {sum, work(100, 0)} end) || _ <- lists:seq(1, ?AT_ONCE)],
    batches(Left - 1, lists:foldl(fun collect/2, Sum, Workers)).

work(0, Sum) ->
    Sum;
work(N, Sum) ->
    work(N - 1, Sum + N).

collect({Pid, Ref}, Sum) ->
    receive {'DOWN', Ref, process, Pid, normal} -> ok end,
    receive {sum, N} -> Sum + N end.
