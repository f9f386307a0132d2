%% Decoding and encoding of one term, see bench_etf.
-module(bench_etf_map20).
-export([run/1]).

run(Count) ->
    bench_etf:run(map20, Count).
