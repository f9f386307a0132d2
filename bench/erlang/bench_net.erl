%% What the network benchmarks share: a second node with the servers, and the work of one round.
-module(bench_net).
-export([start/0, peer/0, calls/3, casts/3]).

-define(PEER, bench_erl_peer).

%% Starts the other node, an operating-system process of its own that ends with this one.
start() ->
    {ok, _, Node} = peer:start(#{
        name => ?PEER,
        host => "127.0.0.1",
        longnames => true,
        args => [
            "-setcookie", atom_to_list(erlang:get_cookie()),
            "-start_epmd", "false",
            "-kernel", "logger_level", "none",
            "-pa", filename:dirname(code:which(?MODULE))
        ]
    }),
    {ok, _} = erpc:call(Node, gen_server, start, [{local, bench_counter}, bench_counter, 0, []]),
    {ok, _} = erpc:call(Node, gen_server, start, [{local, bench_sink}, bench_sink, 0, []]),
    ok.

peer() ->
    list_to_atom(atom_to_list(?PEER) ++ "@127.0.0.1").

%% Callers of one server of that node: wall time of all calls divided by their number, in microseconds.
calls(Node, Callers, Count) ->
    Server = {bench_counter, Node},
    Share = max(1, Count div Callers),
    Total = Share * Callers,
    Before = gen_server:call(Server, get),
    Started = [spawn_monitor(fun() -> caller(Server, Share) end) || _ <- lists:seq(1, Callers)],
    Start = bench_watch:start(),
    [Pid ! go || {Pid, _} <- Started],
    [receive {'DOWN', Ref, process, Pid, normal} -> ok end || {Pid, Ref} <- Started],
    Each = bench_watch:nanos_each(Start, Total) / 1000,
    Total = gen_server:call(Server, get) - Before,
    [{call, Each}].

caller(Server, Share) ->
    receive go -> call(Share, Server) end.

call(0, _Server) ->
    ok;
call(Left, Server) ->
    gen_server:call(Server, {add, 1}),
    call(Left - 1, Server).

%% Casts of one sender, closed by a call that sees what arrived.
casts(Node, Size, Count) ->
    Server = {bench_sink, Node},
    Message =
        case Size of
            0 -> {plus, 1};
            _ -> {data, binary:copy(<<7>>, Size)}
        end,
    Expected =
        case Size of
            0 -> Count;
            _ -> Count * Size
        end,
    _ = gen_server:call(Server, take),
    Start = bench_watch:start(),
    cast(Count, Server, Message),
    Expected = gen_server:call(Server, take, 60000),
    [{cast, bench_watch:nanos_each(Start, Count) / 1000}].

cast(0, _Server, _Message) ->
    ok;
cast(Left, Server, Message) ->
    gen_server:cast(Server, Message),
    cast(Left - 1, Server, Message).
