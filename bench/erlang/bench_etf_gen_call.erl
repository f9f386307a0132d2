%% Decoding and encoding of one term, see bench_etf.
-module(bench_etf_gen_call).
-export([run/1]).

run(Count) ->
    bench_etf:run(gen_call, Count).
