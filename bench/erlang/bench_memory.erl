%% Bytes per server: the growth of erlang:memory(processes) (which counts process records, stacks, heaps and mailboxes),
%% divided by the number of servers. `idle` has handled nothing since its init; `served` has answered one call and one
%% cast. The measuring process collects its own garbage before each look.
-module(bench_memory).
-export([run/1]).

run(Count) ->
    Before = memory(),
    Servers = [begin {ok, Pid} = gen_server:start(bench_counter, 0, []), Pid end || _ <- lists:seq(1, Count)],
    Idle = memory(),
    [begin gen_server:cast(Pid, {add, 1}), 2 = gen_server:call(Pid, {add, 1}) end || Pid <- Servers],
    Served = memory(),
    Refs = [begin Ref = monitor(process, Pid), exit(Pid, kill), {Pid, Ref} end || Pid <- Servers],
    [receive {'DOWN', Ref, process, Pid, killed} -> ok end || {Pid, Ref} <- Refs],
    [{idle, (Idle - Before) / Count}, {served, (Served - Before) / Count}].

memory() ->
    garbage_collect(),
    erlang:memory(processes).
