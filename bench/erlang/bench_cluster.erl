%% One Erlang node of the cluster of bench/cluster.ts: it calls every other node without pause, changes its process groups,
%% and keeps book of what it sees of the others.
-module(bench_cluster).
-export([start/2, churn/1, counts/0]).

-define(COUNTS, bench_cluster_counts).

%% Pause is the time between two calls of one caller, in milliseconds.
start(Others, Pause) ->
    Self = self(),
    spawn(fun() ->
        ets:new(?COUNTS, [public, named_table]),
        register(cluster_keeper, self()),
        Self ! kept,
        receive stop -> ok end
    end),
    receive kept -> ok end,
    {ok, _} = pg:start(pg),
    {ok, _} = dist_server:start(echo),
    register(cluster_teller, spawn(fun teller/0)),
    register(cluster_churner, spawn(fun() -> churner(true, []) end)),
    spawn(fun() -> watch() end),
    [spawn(fun() -> caller(Node, 0, Pause) end) || Node <- Others, _ <- [1, 2, 3, 4]],
    ok.

count(Key) -> ets:update_counter(?COUNTS, Key, 1, {Key, 0}).

%% [{Kind, Node, Count}], Kind: nodeup, nodedown, down, or what became of calls.
counts() -> lists:sort([{Kind, Node, N} || {{Kind, Node}, N} <- ets:tab2list(?COUNTS)]).

caller(Node, N, Pause) ->
    Outcome =
        try gen_server:call({echo, Node}, {echo, N}, 10000) of
            N -> answered;
            _ -> wrong
        catch
            exit:{timeout, _} -> timeout;
            exit:{{nodedown, _}, _} -> nodedown_;
            exit:{noproc, _} -> noproc;
            exit:{noconnection, _} -> nodedown_;
            exit:_ -> unknown
        end,
    count({Outcome, Node}),
    timer:sleep(case Outcome of answered -> Pause; _ -> 50 end),
    caller(Node, N + 1, Pause).

%% Comings and goings of nodes, and the end of a process on each: both are counted.
watch() ->
    ok = net_kernel:monitor_nodes(true),
    watch(maps:from_list([{erlang:monitor(process, {echo, Node}), Node} || Node <- nodes()])).

watch(Monitors) ->
    receive
        {nodeup, Node} ->
            count({nodeup, Node}),
            watch(Monitors#{erlang:monitor(process, {echo, Node}) => Node});
        {nodedown, Node} ->
            count({nodedown, Node}),
            watch(Monitors);
        {'DOWN', Ref, process, _, noproc} ->
            %% It is not started yet.
            erlang:send_after(50, self(), {again, maps:get(Ref, Monitors)}),
            watch(maps:remove(Ref, Monitors));
        {again, Node} ->
            watch(Monitors#{erlang:monitor(process, {echo, Node}) => Node});
        {'DOWN', Ref, process, {echo, Node}, _} ->
            %% A second one for the same monitor is counted as of nobody.
            count({down, maps:get(Ref, Monitors, nobody)}),
            case maps:is_key(Ref, Monitors) of true -> ok; false -> count({stray, Node}) end,
            watch(maps:remove(Ref, Monitors))
    end.

teller() ->
    receive
        {'$gen_call', From, members} -> gen_server:reply(From, pg:get_members(pg, load));
        {'$gen_call', From, local} -> gen_server:reply(From, pg:get_local_members(pg, load))
    end,
    teller().

churn(On) -> gen_server:call(cluster_churner, {churn, On}).

churner(On, Pids) ->
    receive
        {'$gen_call', From, {churn, Now}} ->
            gen_server:reply(From, ok),
            churner(Now, Pids)
    after 20 ->
        churner(On, case On of true -> change(rand:uniform(4), Pids); false -> Pids end)
    end.

change(1, [Pid | Pids]) -> exit(Pid, kill), Pids;
change(2, [Pid | _] = Pids) -> pg:leave(pg, load, Pid), Pids;
change(_, Pids) when length(Pids) > 20 -> change(1, Pids);
change(_, Pids) ->
    Pid = spawn(fun() -> receive stop -> ok end end),
    pg:join(pg, load, [Pid, Pid]),
    Pids ++ [Pid].
