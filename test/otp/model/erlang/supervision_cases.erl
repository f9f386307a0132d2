%% Runs cases of supervision against OTP's own supervisor and writes what happened.
%%
%% supervision_cases:main([In, Out]): In holds one Erlang term per case, Out gets lines of text (see ErlangSupervisor.ts).
%%
%% The process that runs the cases is the parent of every root, the tracer of every process and the receiver of all reports,
%% so that its mailbox is the record: whatever causes something is in it before what it causes. Run it with one scheduler.
%%
%% Time passes by moving the restarts a supervisor remembers into the past. OTP counts in whole seconds of a real clock, so a
%% case during which that clock ticked is run again.
-module(supervision_cases).
-behaviour(supervisor).
-export([main/1, start/3, init/1, worker_init/4, log/2]).

main([In, Out]) ->
    process_flag(trap_exit, true),
    ets:new(plans, [named_table, public]),
    logger:set_primary_config(level, error),
    [logger:remove_handler(H) || H <- logger:get_handler_ids()],
    ok = logger:add_handler(?MODULE, ?MODULE, #{config => self()}),
    {ok, Cases} = file:consult(In),
    {ok, File} = file:open(Out, [write]),
    [ok = file:write(File, run(Case, 20)) || Case <- Cases],
    ok = file:close(File),
    halt(0).

run({'case', Seed, _, _, _}, 0) ->
    io_lib:format("C ~w~nE unsteady~n", [Seed]);
run({'case', Seed, Root, Plans, Faults} = Case, Tries) ->
    ets:delete_all_objects(plans),
    Second = erlang:monotonic_time(1),
    {World, Text} = run(Root, Plans, Faults),
    Steady = erlang:monotonic_time(1) =:= Second,
    clean(World),
    case Steady of
        true -> [io_lib:format("C ~w~n", [Seed]), Text];
        false -> run(Case, Tries - 1)
    end.

run(Root, Plans, Faults) ->
    [plan(Plan) || Plan <- Plans],
    case start(self(), Root, element(2, Root)) of
        {ok, Pid} ->
            {World, Text} = rest(#{root => Pid, known => #{}}),
            run(Faults, 1, World, [head(0), Text]);
        {error, Reason} ->
            {World, Text} = rest(#{root => undefined, known => #{}}),
            {World, [head(0), Text, ending(Reason)]}
    end.

run([], _, World, Text) ->
    {World, Text};
run([Fault | Faults], Step, #{root := Root} = World, Text) ->
    apply_fault(Fault, World),
    {Next, More} = rest(World),
    Done = [Text, head(Step), More],
    case is_process_alive(Root) of
        true -> run(Faults, Step + 1, Next, Done);
        false -> receive {'EXIT', Root, Reason} -> {Next#{root := undefined}, [Done, ending(Reason)]} end
    end.

head(Step) -> io_lib:format("> ~w~n", [Step]).

ending(Reason) -> io_lib:format("E ~s~n", [word(Reason)]).

%% Ends what is left, so that nothing of one case happens during the next.
clean(#{root := undefined, known := Known}) ->
    [gone(Pid) || Pid <- maps:keys(Known)],
    flush();
clean(#{root := Root} = World) ->
    exit(Root, shutdown),
    clean(World#{root := undefined}).

gone(Pid) ->
    Ref = monitor(process, Pid),
    receive {'DOWN', Ref, _, _, _} -> ok end.

flush() ->
    receive _ -> flush() after 0 -> ok end.

%%% Children.

start(Record, Node, Name) ->
    Started = start_process(Record, Node, Name),
    case Started of
        {ok, Pid} ->
            erlang:trace(Pid, true, [procs, {tracer, Record}]),
            Record ! {started, self(), Name, Pid};
        ignore -> Record ! {not_started, self(), Name, ignore};
        {error, _} -> Record ! {not_started, self(), Name, error}
    end,
    Started.

start_process(Record, {supervisor, Name, _, _, _, _, _, _, _, _} = Node, Name) ->
    supervisor:start_link(?MODULE, {Record, Node});
start_process(_, Node, Name) ->
    case ets:lookup(plans, Name) of
        [{_, Outcome, Count}] when Count > 0 ->
            ets:insert(plans, {Name, Outcome, Count - 1}),
            case Outcome of
                error -> {error, boom};
                ignore -> ignore
            end;
        _ ->
            proc_lib:start_link(?MODULE, worker_init, [self(), Node, Name, element(6, Node)])
    end.

init({Record, {supervisor, Name, _, _, _, Strategy, Intensity, Period, Auto, Children}}) ->
    put(name, Name),
    Flags = #{strategy => Strategy, intensity => Intensity, period => Period, auto_shutdown => Auto},
    {ok, {Flags, [spec(Record, Strategy, Child) || Child <- Children]}}.

spec(Record, Strategy, Node) ->
    Name = case Strategy of
               simple_one_for_one -> [];
               _ -> [element(2, Node)]
           end,
    #{id => element(2, Node), start => {?MODULE, start, [Record, Node | Name]}, restart => element(3, Node),
      shutdown => element(4, Node), significant => element(5, Node), type => element(1, Node)}.

worker_init(Parent, _Node, _Name, OnShutdown) ->
    process_flag(trap_exit, true),
    proc_lib:init_ack(Parent, {ok, self()}),
    worker(Parent, OnShutdown).

worker(Parent, OnShutdown) ->
    receive
        {die, Reason} -> exit(Reason);
        {'EXIT', Parent, shutdown} when OnShutdown =:= obey -> exit(shutdown);
        {'EXIT', Parent, shutdown} when OnShutdown =:= normal -> exit(normal);
        {'EXIT', Parent, shutdown} when OnShutdown =:= detail -> exit({shutdown, detail});
        {'EXIT', Parent, shutdown} when OnShutdown =:= crash -> exit(boom);
        {'EXIT', Parent, shutdown} -> worker(Parent, OnShutdown);
        {'EXIT', Parent, Reason} -> exit(Reason)
    end.

log(#{msg := {report, #{report := [_, {errorContext, Context}, {reason, Reason}, {offender, Offender}]}}}, #{config := Record}) ->
    Record ! {report, self(), get(name), Context, Reason, Offender};
log(_, _) ->
    ok.

%%% Faults.

apply_fault({advance, Seconds}, World) ->
    Past = fun(State) ->
                   true = is_list(element(8, State)),
                   setelement(8, State, [Then - Seconds || Then <- element(8, State)])
           end,
    [sys:replace_state(Sup, Past) || {_, Sup, _, _} <- supervisors(World)];
apply_fault({plan, _, _, _} = Plan, _) ->
    plan(Plan);
apply_fault({crash, Names, Reason}, World) ->
    Found = [{Sup, Pid} || Name <- Names, {_, Sup, Children, _} <- supervisors(World), {N, Pid, worker} <- Children,
                           N =:= Name, is_pid(Pid)],
    Sups = lists:usort([Sup || {Sup, _} <- Found]),
    [sys:suspend(Sup) || Sup <- Sups],
    [crash(Pid, reason(Reason)) || {_, Pid} <- Found],
    [sys:resume(Sup) || Sup <- Sups];
apply_fault({kill, Name}, World) ->
    with(Name, World, fun(Sup, _, _) -> exit(Sup, kill) end);
apply_fault({stranger, Name, Reason}, World) ->
    with(Name, World, fun(Sup, _, _) ->
                              {_, Ref} = spawn_monitor(fun() -> exit(Sup, reason(Reason)) end),
                              receive {'DOWN', Ref, _, _, _} -> ok end
                      end);
apply_fault({stop, Reason}, #{root := Root}) ->
    exit(Root, reason(Reason)),
    Ref = monitor(process, Root),
    receive {'DOWN', Ref, _, _, _} -> ok end;
apply_fault(Call, World) ->
    Reply = with(element(2, Call), World, fun(Sup, Children, Simple) -> call(Call, Sup, Children, Simple) end),
    self() ! {line, case Reply of skip -> "skip"; _ -> ["reply ", answer(Reply)] end}.

plan({plan, Name, Outcome, Count}) ->
    ets:insert(plans, {Name, Outcome, Count}).

with(Name, World, Use) ->
    case [{Sup, Children, Simple} || {N, Sup, Children, Simple} <- supervisors(World), N =:= Name] of
        [{Sup, Children, Simple}] -> Use(Sup, Children, Simple);
        [] -> skip
    end.

crash(Pid, Reason) ->
    Ref = monitor(process, Pid),
    case Reason of
        killed -> exit(Pid, kill);
        _ -> Pid ! {die, Reason}
    end,
    receive {'DOWN', Ref, _, _, _} -> ok end.

call({start_dynamic, _, Name}, Sup, _, true) ->
    supervisor:start_child(Sup, [Name]);
%% A specification sent to a simple_one_for_one supervisor is taken for a list of arguments, and ends it.
call({start, _, _}, _, _, true) ->
    {error, simple_one_for_one};
call({start, _, Node}, Sup, _, false) ->
    supervisor:start_child(Sup, spec(self(), static, Node));
call({terminate, _, Name}, Sup, Children, true) ->
    case [Pid || {N, Pid, _} <- Children, N =:= Name] of
        [Pid] -> supervisor:terminate_child(Sup, Pid);
        [] -> {error, not_found}
    end;
call({terminate, _, Name}, Sup, _, _) -> supervisor:terminate_child(Sup, Name);
call({restart, _, Name}, Sup, _, _) -> supervisor:restart_child(Sup, Name);
call({delete, _, Name}, Sup, _, _) -> supervisor:delete_child(Sup, Name).

answer(ok) -> "ok";
answer({ok, undefined}) -> "ignored";
answer({ok, _}) -> "started";
answer({error, {already_started, _}}) -> "already_started";
answer({error, simple_one_for_one}) -> "simple";
answer({error, Word}) when Word =:= already_present; Word =:= running; Word =:= restarting; Word =:= not_found ->
    atom_to_list(Word);
answer({error, _}) -> "failed".

reason(error) -> boom;
reason(detail) -> {shutdown, detail};
reason(Reason) -> Reason.

word(boom) -> "error";
word({shutdown, detail}) -> "detail";
word({shutdown, {failed_to_start_child, Id, _}}) -> io_lib:format("failed:~s", [Id]);
word(Reason) when is_atom(Reason) -> atom_to_list(Reason);
word(Reason) -> io_lib:format("~0p", [Reason]).

%%% Rest, and the record.

%% Waits until nothing moves: every process that was started and lives is in the tree, every process in the tree lives,
%% nothing is restarting, and looking twice shows the same.
rest(World) ->
    rest(World, [], undefined, 5000).

rest(World, Lines, Before, Left) ->
    {Next, More} = record(World),
    All = Lines ++ More,
    Tree = try look(Next) catch exit:_ -> moving end,
    if
        Left =:= 0 ->
            {Next, ["L never came to rest\n"]};
        Tree =/= moving, Tree =:= Before, More =:= [] ->
            {Next, [All, [["T ", Line, $\n] || Line <- Tree]]};
        true ->
            case Left < 4990 of
                true -> timer:sleep(1);
                false -> erlang:yield()
            end,
            rest(Next, All, Tree, Left - 1)
    end.

look(#{known := Known} = World) ->
    Sups = supervisors(World),
    Listed = lists:sort([Sup || {_, Sup, _, _} <- Sups] ++ [Pid || {_, _, Children, _} <- Sups, {_, Pid, worker} <- Children, is_pid(Pid)]),
    Living = lists:sort([Pid || Pid <- maps:keys(Known), is_process_alive(Pid)]),
    Restarting = [Name || {_, _, Children, _} <- Sups, {Name, restarting, _} <- Children],
    case Listed =:= Living andalso Restarting =:= [] of
        true -> [show(Sup) || Sup <- Sups];
        false -> moving
    end.

show({Name, Sup, Children, Simple}) ->
    Sorted = case Simple of
                 true -> lists:reverse(lists:sort(Children));
                 false -> Children
             end,
    Shown = [io_lib:format("~s=~s", [N, case Pid of undefined -> "down"; _ -> "up" end]) || {N, Pid, _} <- Sorted],
    [{specs, Specs}, {active, Active}, {supervisors, Supers}, {workers, Workers}] = supervisor:count_children(Sup),
    io_lib:format("~s: ~s | ~w ~w ~w ~w", [Name, lists:join(" ", Shown), Specs, Active, Supers, Workers]).

%% The living supervisors, from the root in start order: {Name, Pid, Children as the supervisor lists them, Simple}.
supervisors(#{root := undefined}) -> [];
supervisors(#{root := Root} = World) ->
    case is_process_alive(Root) of
        true -> below(Root, World);
        false -> []
    end.

below(Sup, #{known := Known} = World) ->
    %% One that is not on record yet has just been started: not at rest.
    Name = case Known of
               #{Sup := {N, _, _}} -> N;
               _ -> exit(moving)
           end,
    Simple = element(3, sys:get_state(Sup)) =:= simple_one_for_one,
    Children = [{case Simple of true -> name(Pid, Known); false -> Id end, Pid, Type}
                || {Id, Pid, Type, _} <- supervisor:which_children(Sup)],
    [{Name, Sup, Children, Simple}
     | lists:append([below(Pid, World) || {_, Pid, supervisor} <- lists:reverse(Children), is_pid(Pid)])].

name(Pid, Known) ->
    case Known of
        #{Pid := {Name, _, _}} -> Name;
        _ -> Pid
    end.

%% Takes everything out of the mailbox: what is known of every process ({Name, Supervisor, Orphan}), and lines.
record(World) ->
    receive
        {started, Sup, Name, Pid} ->
            #{known := Known} = World,
            line(World#{known := Known#{Pid => {Name, Sup, false}}}, ["start ", atom_to_list(Name), " ok"], false);
        {not_started, _, Name, Outcome} ->
            line(World, io_lib:format("start ~s ~s", [Name, Outcome]), false);
        {trace, Pid, exit, Reason} ->
            #{known := Known} = World,
            #{Pid := {Name, _, Orphan}} = Known,
            Next = case Reason of
                       killed -> World#{known := orphans(Pid, Known)};
                       _ -> World
                   end,
            line(Next, io_lib:format("stop ~s ~s", [Name, word(Reason)]), Orphan);
        {report, Sup, Name, Context, Reason, Offender} ->
            #{known := Known} = World,
            Orphan = case Known of
                         #{Sup := {_, _, IsOrphan}} -> IsOrphan;
                         _ -> false
                     end,
            Text = io_lib:format("report ~s ~s ~s ~s", [Name, Context, word(Reason), offender(Name, Offender, Known)]),
            line(World, Text, Orphan);
        {line, Text} ->
            line(World, Text, false);
        Trace when element(1, Trace) =:= trace ->
            record(World)
    after 0 ->
        {World, []}
    end.

line(World, Text, Orphan) ->
    {Next, More} = record(World),
    {Next, [[case Orphan of true -> "O "; false -> "L " end, Text, $\n] | More]}.

orphans(Parent, Known) ->
    maps:fold(fun(Pid, {Name, Sup, _}, Acc) when Sup =:= Parent -> orphans(Pid, Acc#{Pid := {Name, Sup, true}});
                 (_, _, Acc) -> Acc
              end, Known, Known).

offender(Sup, Offender, Known) ->
    case {Offender, lists:keyfind(id, 1, Offender)} of
        {[{nb_children, Count} | _], _} -> io_lib:format("~s*~w", [Sup, Count]);
        {[{pid, {restarting, Pid}} | _], {id, Id}} -> dynamic(Pid, Id, Known);
        {[{pid, Pid} | _], {id, Id}} -> dynamic(Pid, Id, Known)
    end.

%% A child is named by its id, but a dynamic one by its process.
dynamic(Pid, Id, Known) ->
    case lists:suffix(".template", atom_to_list(Id)) of
        true -> atom_to_list(name(Pid, Known));
        false -> atom_to_list(Id)
    end.
