%% One caller, one server: each call waits for its reply. The last reply proves that every call was handled.
-module(bench_call_1).
-export([run/1]).

run(Count) ->
    {ok, Server} = gen_server:start(bench_counter, 0, []),
    Start = bench_watch:start(),
    Count = calls(Count, Server, 0),
    Each = bench_watch:nanos_each(Start, Count),
    ok = gen_server:stop(Server),
    [{call, Each}].

calls(0, _Server, Last) ->
    Last;
calls(Left, Server, _Last) ->
    calls(Left - 1, Server, gen_server:call(Server, {add, 1})).
