%% Calls to a server of another node, 1000 in flight.
-module(bench_net_call_1000).
-export([run/1]).

run(Count) ->
    bench_net:calls(bench_net:peer(), 1000, Count).
