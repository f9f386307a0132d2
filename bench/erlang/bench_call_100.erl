%% A hundred callers, one server: wall time of all calls divided by their number.
-module(bench_call_100).
-export([run/1]).

-define(CALLERS, 100).

run(Count) ->
    Share = max(1, Count div ?CALLERS),
    Total = Share * ?CALLERS,
    {ok, Server} = gen_server:start(bench_counter, 0, []),
    Callers = [spawn_monitor(fun() -> caller(Server, Share) end) || _ <- lists:seq(1, ?CALLERS)],
    Start = bench_watch:start(),
    [Pid ! go || {Pid, _} <- Callers],
    [receive {'DOWN', Ref, process, Pid, normal} -> ok end || {Pid, Ref} <- Callers],
    Each = bench_watch:nanos_each(Start, Total),
    Total = gen_server:call(Server, get),
    ok = gen_server:stop(Server),
    [{call, Each}].

caller(Server, Share) ->
    receive go -> calls(Share, Server) end.

calls(0, _Server) ->
    ok;
calls(Left, Server) ->
    gen_server:call(Server, {add, 1}),
    calls(Left - 1, Server).
