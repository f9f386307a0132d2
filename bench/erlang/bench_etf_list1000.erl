%% Decoding and encoding of one term, see bench_etf.
-module(bench_etf_list1000).
-export([run/1]).

run(Count) ->
    bench_etf:run(list1000, Count).
