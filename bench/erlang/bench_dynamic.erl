%% Many dynamic children under one simple_one_for_one supervisor, in milliseconds for all of them: `start` of one after
%% the other, `restart` from the first kill to the init of the last successor, `shutdown` of the supervisor.
-module(bench_dynamic).
-export([run/1]).

run(Count) ->
    {ok, Sup} = bench_sup:start_many(),
    Watcher = self(),
    Begin = bench_watch:start(),
    Children = [begin {ok, Pid} = supervisor:start_child(Sup, [Watcher]), Pid end || _ <- lists:seq(1, Count)],
    Started = bench_watch:millis(Begin),
    ups(Count),
    Count = active(Sup),

    Kill = bench_watch:start(),
    [exit(Pid, kill) || Pid <- Children],
    ups(Count),
    Restarted = bench_watch:millis(Kill),
    Count = active(Sup),

    true = unlink(Sup),
    Stop = bench_watch:start(),
    ok = gen_server:stop(Sup, shutdown, infinity),
    Stopped = bench_watch:millis(Stop),
    [{start, Started}, {restart, Restarted}, {shutdown, Stopped}].

ups(0) ->
    ok;
ups(Left) ->
    receive {up, _} -> ups(Left - 1) end.

active(Sup) ->
    proplists:get_value(active, supervisor:count_children(Sup)).
