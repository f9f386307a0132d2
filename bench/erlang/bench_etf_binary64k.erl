%% Decoding and encoding of one term, see bench_etf.
-module(bench_etf_binary64k).
-export([run/1]).

run(Count) ->
    bench_etf:run(binary64k, Count).
