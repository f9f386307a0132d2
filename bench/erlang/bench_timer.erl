%% `arm`: a timer of a minute is set and cancelled. `fire`: timers of one millisecond, from the first that is set to the
%% last message that arrives, per timer.
-module(bench_timer).
-export([run/1]).

run(Count) ->
    Arm = bench_watch:start(),
    arm(Count),
    Armed = bench_watch:nanos_each(Arm, Count),
    Fires = max(1, Count div 10),
    Fire = bench_watch:start(),
    [erlang:send_after(1, self(), tick) || _ <- lists:seq(1, Fires)],
    ticks(Fires),
    Fired = bench_watch:nanos_each(Fire, Fires),
    [{arm, Armed}, {fire, Fired}].

arm(0) ->
    ok;
arm(Left) ->
    Timer = erlang:send_after(60000, self(), never),
    true = is_integer(erlang:cancel_timer(Timer)),
    arm(Left - 1).

ticks(0) ->
    ok;
ticks(Left) ->
    receive tick -> ticks(Left - 1) end.
