%% A chain of linked processes: the first is killed, the last goes down. Per link.
-module(bench_cascade).
-export([run/1]).

run(Count) ->
    Owner = self(),
    First = spawn(fun() -> chain(Count - 1, Owner) end),
    Last = receive {last, Pid} -> Pid end,
    Ref = monitor(process, Last),
    Start = bench_watch:start(),
    exit(First, boom),
    receive {'DOWN', Ref, process, Last, boom} -> ok end,
    [{cascade, bench_watch:nanos_each(Start, Count)}].

chain(0, Owner) ->
    Owner ! {last, self()},
    wait();
chain(Left, Owner) ->
    spawn_link(fun() -> chain(Left - 1, Owner) end),
    wait().

wait() ->
    receive never -> ok end.
