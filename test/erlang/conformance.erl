%% What the tests of the conformance node need on an Erlang node besides OTP itself. `N` is the node under test.
-module(conformance).
-export([call/3, call/4, raw_call/4, alias_call/4, ask/3, flush/0, until/2, event/3, epmd/2, silent/1, back/3, spawner_pid/1,
         driver_pid/1, trapper/0, collector/0, collected/1, counted/2, crash_counter/2, catcher/1, terms/0, echoed/2,
         leader/0, printed/1]).

%% A generic call.
call(N, Server, Request) -> call(N, Server, Request, 15000).
call(N, Server, Request, Timeout) -> gen_server:call({Server, N}, Request, Timeout).

%% A call with a tag of our own, answered to the calling process.
raw_call(N, Server, Tag, Request) ->
    {Server, N} ! {'$gen_call', {self(), Tag}, Request},
    receive {Tag, Reply} -> {replied, Reply} after 2000 -> none end.

%% Two calls whose tags, made by `Wrap`, ask for replies to an alias that is good for one message.
alias_call(N, Server, Wrap, Request) ->
    Tag = Wrap(erlang:alias([reply])),
    {Server, N} ! {'$gen_call', {self(), Tag}, Request},
    First = receive {Tag, Reply} -> {replied, Reply} after 2000 -> none end,
    {Server, N} ! {'$gen_call', {self(), Tag}, Request},
    %% An answer to the alias comes to nothing now, one to the pid would be seen.
    Second = receive {Tag, Again} -> {replied, Again} after 200 -> none end,
    {First, Second}.

%% `{self(), Ref, T}` to a process, and the answer.
ask(To, Ref, T) ->
    To ! {self(), Ref, T},
    receive {Ref, Answer} -> Answer after 2000 -> none end.

%% Forgets what has arrived.
flush() -> receive _ -> flush() after 0 -> ok end.

%% Evaluates until the result is the one wanted; after two seconds gives what it was last.
until(Want, F) -> until(Want, F, 100).
until(Want, F, Tries) ->
    case catch F() of
        Want -> Want;
        Other when Tries =:= 0 -> {gave_up, Other};
        _ -> timer:sleep(20), until(Want, F, Tries - 1)
    end.

%% Waits until the driver was told of something, and gives after how many milliseconds.
event(N, Event, Millis) ->
    T0 = erlang:monotonic_time(millisecond),
    event(N, Event, T0, T0 + Millis).
event(N, Event, T0, End) ->
    Now = erlang:monotonic_time(millisecond),
    case lists:member(Event, call(N, driver, get_events)) of
        true -> Now - T0;
        false when Now > End -> none;
        false -> timer:sleep(20), event(N, Event, T0, End)
    end.

%% What EPMD knows of a name: {Port, Type, Protocol, Highest}.
epmd(Port, Name) ->
    {ok, S} = gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {active, false}]),
    Request = <<122, (list_to_binary(Name))/binary>>,
    ok = gen_tcp:send(S, <<(byte_size(Request)):16, Request/binary>>),
    Answer = all(S, <<>>),
    gen_tcp:close(S),
    case Answer of
        <<119, 0, At:16, Type, Protocol, Highest:16, _/binary>> -> {At, Type, Protocol, Highest};
        <<119, _>> -> unknown
    end.

all(S, Acc) ->
    case gen_tcp:recv(S, 0, 2000) of
        {ok, B} -> all(S, <<Acc/binary, B/binary>>);
        _ -> Acc
    end.

%% How long, in milliseconds, a connection lasts that never says anything.
silent(Port) ->
    {ok, S} = gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {active, false}]),
    {Time, {error, closed}} = timer:tc(fun() -> gen_tcp:recv(S, 0, 20000) end),
    Time div 1000.

%% Kills a server and says whether another process answers under its name within a second.
back(N, Server, Request) ->
    Pid = case Server of
        spawner -> spawner_pid(N);
        driver -> driver_pid(N)
    end,
    R = monitor(process, Pid),
    exit(Pid, kill),
    Why = receive {'DOWN', R, process, Pid, Reason} -> Reason after 2000 -> alive end,
    {Time, Answer} = timer:tc(fun() -> again(N, Server, Request, 100) end),
    {Why, Answer, Time < 1000000}.

again(_, _, _, 0) -> none;
again(N, Server, Request, Tries) ->
    try call(N, Server, Request, 500)
    catch exit:{noproc, _} -> timer:sleep(10), again(N, Server, Request, Tries - 1)
    end.

%% The pid of the spawner, which acts in its own name.
spawner_pid(N) ->
    Trapper = trapper(),
    true = call(N, spawner, {exit, Trapper, who}),
    [{'EXIT', Pid, who}] = counted(Trapper, 1),
    Pid.

%% The pid of the driver, which calls in its own name.
driver_pid(N) ->
    Self = self(),
    Server = spawn(fun() -> receive {'$gen_call', {Pid, Tag}, who} -> Pid ! {Tag, me}, Self ! {self(), Pid} end end),
    call(N, driver, {call, Server, who, 500}),
    receive {Server, Pid} -> Pid after 2000 -> none end.

%% A process that traps exits and keeps what it gets.
trapper() -> spawn(fun() -> process_flag(trap_exit, true), collect([]) end).

%% A process that keeps what it gets, and links itself when told to.
collector() -> spawn(fun() -> collect([]) end).
collect(Seen) ->
    receive
        {get, From} -> From ! {self(), lists:reverse(Seen)}, collect(Seen);
        {do, From, F} -> From ! {self(), catch F()}, collect(Seen);
        M -> collect([M | Seen])
    end.
collected(Pid) ->
    Pid ! {get, self()},
    receive {Pid, Seen} -> Seen after 2000 -> none end.

%% What a collector has once it has so much, or after two seconds.
counted(Pid, Count) -> counted(Pid, Count, 100).
counted(Pid, Count, Tries) ->
    case collected(Pid) of
        Seen when length(Seen) >= Count; Tries =:= 0 -> Seen;
        _ -> timer:sleep(20), counted(Pid, Count, Tries - 1)
    end.

%% Crashes the counter so many times, each time when it is back; the reasons that the callers saw.
crash_counter(N, Times) ->
    lists:usort([begin
        again(N, counter, {add, 1}, 100),
        try call(N, counter, crash, 2000) catch exit:{Reason, _} -> Reason end
    end || _ <- lists:seq(1, Times)]).

%% Class and reason of what a function throws, without the stack of an error.
catcher(F) ->
    try {ok, F()}
    catch
        error:{exception, E, _} -> {error, {exception, E}};
        Class:Reason -> {Class, Reason}
    end.

%% Terms of every kind, each with its neighbours that must not become it.
terms() ->
    Port = hd(erlang:ports()),
    X = 7,
    [0, 1, -1, 255, 256, -128, 1.0, 0.0, -0.0, 1.5, 5.0e-324, 1.7976931348623157e308,
     1 bsl 27, 1 bsl 31, -(1 bsl 31), 1 bsl 53, (1 bsl 53) + 1, -(1 bsl 59), 1 bsl 60, -(1 bsl 63), 1 bsl 64,
     1 bsl 2100, -(1 bsl 2100),
     "abc", <<"abc">>, [], "", <<>>, [97, 98 | c], [a | b], [1.0], "h\344ll\366", [8364], lists:seq(1, 70000),
     lists:duplicate(70000, 1), <<1:1>>, <<5:3, 7:7>>, binary:copy(<<"x">>, 70000),
     true, false, nil, undefined, null, '', 'with space', '\344', list_to_atom([8364, 128640]),
     {}, {{}}, {a}, list_to_tuple(lists:seq(1, 300)),
     #{}, #{1 => a, 1.0 => b}, #{a => 1, <<"a">> => 2, "a" => 3}, #{[] => #{}}, maps:from_list([{I, I} || I <- lists:seq(1, 100)]),
     #{'__proto__' => 1, constructor => 2, <<"__proto__">> => 3},
     self(), make_ref(), Port, fun lists:map/2, fun(Y) -> X + Y end,
     binary_to_term(<<131,88,119,13,"foo@127.0.0.1",9:32,1:32,4711:32>>),
     binary_to_term(<<131,90,2:16,119,13,"foo@127.0.0.1",4711:32,1:32,2:32>>),
     binary_to_term(<<131,120,119,13,"foo@127.0.0.1",77:64,4711:32>>)].

%% The terms that do not come back as they were, in type and value and bit by bit.
echoed(N, Terms) ->
    [{T, Back} || T <- Terms, Back <- [call(N, echo, T)], Back =/= T orelse sign(Back) =/= sign(T)].

sign(F) when is_float(F) -> <<F/float>>;
sign(_) -> none.

%% A group leader, and what was printed to it.
leader() -> spawn(fun() -> lead([]) end).
lead(Text) ->
    receive
        {io_request, From, As, {put_chars, unicode, Chars}} ->
            From ! {io_reply, As, ok},
            lead([Text | unicode:characters_to_list(Chars)]);
        {get, From} -> From ! {self(), lists:flatten(Text)}, lead(Text)
    end.
printed(Leader) ->
    Leader ! {get, self()},
    receive {Leader, Text} -> Text after 2000 -> none end.
