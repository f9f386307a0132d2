%% Casts to a server of another node: a small tuple each.
-module(bench_net_cast_small).
-export([run/1]).

run(Count) ->
    bench_net:casts(bench_net:peer(), 0, Count).
