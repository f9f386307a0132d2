%% One sender, one server: the casts and their handling, closed by a call that sees the final count.
-module(bench_cast).
-export([run/1]).

run(Count) ->
    {ok, Server} = gen_server:start(bench_counter, 0, []),
    Start = bench_watch:start(),
    casts(Count, Server),
    Count = gen_server:call(Server, get, infinity),
    Each = bench_watch:nanos_each(Start, Count),
    ok = gen_server:stop(Server),
    [{cast, Each}].

casts(0, _Server) ->
    ok;
casts(Left, Server) ->
    gen_server:cast(Server, {add, 1}),
    casts(Left - 1, Server).
