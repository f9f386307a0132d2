%% Time spent, as the figures of the table want it.
-module(bench_watch).
-export([start/0, nanos/1, nanos_each/2, millis/1, percentile/2]).

start() ->
    erlang:monotonic_time().

nanos(Start) ->
    erlang:convert_time_unit(erlang:monotonic_time() - Start, native, nanosecond).

nanos_each(Start, Count) ->
    nanos(Start) / Count.

millis(Start) ->
    nanos(Start) / 1.0e6.

%% Nearest rank, the same rule as on the other side.
percentile(Fraction, Values) ->
    Sorted = lists:sort(Values),
    lists:nth(max(1, ceil(Fraction * length(Sorted))), Sorted).
