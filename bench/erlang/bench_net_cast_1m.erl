%% Casts to a server of another node: a binary of a million bytes each.
-module(bench_net_cast_1m).
-export([run/1]).

run(Count) ->
    bench_net:casts(bench_net:peer(), 1000000, Count).
