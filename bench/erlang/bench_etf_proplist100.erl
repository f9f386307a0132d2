%% Decoding and encoding of one term, see bench_etf.
-module(bench_etf_proplist100).
-export([run/1]).

run(Count) ->
    bench_etf:run(proplist100, Count).
