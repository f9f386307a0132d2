%% Selective receive with a thousand other messages waiting in front (`selective`), and taking those one by one where the
%% first that waits is always the one that is wanted (`first`).
-module(bench_receive).
-export([run/1]).

-define(NOISE, 1000).

run(Count) ->
    [self() ! {noise, I} || I <- lists:seq(1, ?NOISE)],
    Start = bench_watch:start(),
    Count = wanted(Count, 0),
    Each = bench_watch:nanos_each(Start, Count),
    First = bench_watch:start(),
    ?NOISE = flush(0),
    [{selective, Each}, {first, bench_watch:nanos_each(First, ?NOISE)}].

wanted(0, Seen) ->
    Seen;
wanted(Left, Seen) ->
    self() ! {wanted, Left},
    receive {wanted, _} -> wanted(Left - 1, Seen + 1) end.

flush(Seen) ->
    receive {noise, _} -> flush(Seen + 1) after 0 -> Seen end.
