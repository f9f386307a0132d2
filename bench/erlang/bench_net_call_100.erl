%% Calls to a server of another node, 100 in flight.
-module(bench_net_call_100).
-export([run/1]).

run(Count) ->
    bench_net:calls(bench_net:peer(), 100, Count).
