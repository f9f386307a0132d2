%% Calls to a server of another node, 1 in flight.
-module(bench_net_call_1).
-export([run/1]).

run(Count) ->
    bench_net:calls(bench_net:peer(), 1, Count).
