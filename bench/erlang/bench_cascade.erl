%% A chain of linked processes: the first is told to shut down, the last goes down with the same reason. Per link.
-module(bench_cascade).
-export([run/1]).

run(Count) ->
    First = spawn(fun wait/0),
    Last = chain(Count - 1, First),
    Ref = monitor(process, Last),
    Start = bench_watch:start(),
    exit(First, shutdown),
    receive {'DOWN', Ref, process, Last, shutdown} -> ok end,
    [{cascade, bench_watch:nanos_each(Start, Count)}].

chain(0, Last) ->
    Last;
chain(Left, Previous) ->
    Owner = self(),
    Next = spawn(fun() -> link(Previous), Owner ! linked, wait() end),
    receive linked -> chain(Left - 1, Next) end.

wait() ->
    receive never -> ok end.
