%% From the kill of a supervised child to the init of its successor, in microseconds: p50 and p99 of the round. Between
%% two kills a call to the supervisor makes sure that it has finished with the last one.
-module(bench_restart_child).
-export([run/1]).

run(Count) ->
    {ok, Sup} = bench_sup:start_one(self()),
    First = up(),
    Times = kills(Count, Sup, First, []),
    true = unlink(Sup),
    ok = gen_server:stop(Sup),
    [{p50, bench_watch:percentile(0.5, Times) / 1000}, {p99, bench_watch:percentile(0.99, Times) / 1000}].

kills(0, _Sup, _Pid, Times) ->
    Times;
kills(Left, Sup, Pid, Times) ->
    1 = proplists:get_value(active, supervisor:count_children(Sup)),
    Start = bench_watch:start(),
    exit(Pid, kill),
    Next = up(),
    Time = bench_watch:nanos(Start),
    kills(Left - 1, Sup, Next, [Time | Times]).

up() ->
    receive {up, Pid} -> Pid end.
