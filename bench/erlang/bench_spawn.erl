%% Start of a server until its init is acknowledged; all stay alive to the end and are stopped outside the timed part.
-module(bench_spawn).
-export([run/1]).

run(Count) ->
    Start = bench_watch:start(),
    Servers = start(Count, []),
    Each = bench_watch:nanos_each(Start, Count),
    1 = gen_server:call(hd(Servers), {add, 1}),
    Refs = [begin Ref = monitor(process, Pid), exit(Pid, kill), {Pid, Ref} end || Pid <- Servers],
    [receive {'DOWN', Ref, process, Pid, killed} -> ok end || {Pid, Ref} <- Refs],
    [{spawn, Each}].

start(0, Servers) ->
    Servers;
start(Left, Servers) ->
    {ok, Pid} = gen_server:start(bench_counter, 0, []),
    start(Left - 1, [Pid | Servers]).
