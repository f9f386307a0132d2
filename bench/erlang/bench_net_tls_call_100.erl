%% Calls to a server of another node over TLS, 100 in flight. The two nodes that speak it are started by the first round;
%% the folder with their certificates is in the environment.
-module(bench_net_tls_call_100).
-export([run/1]).

run(Count) ->
    {Caller, Server} = pair(),
    peer:call(Caller, bench_net, calls, [Server, 100, Count], 60000).

pair() ->
    case persistent_term:get(?MODULE, undefined) of
        undefined ->
            {Caller, _} = start(bench_erl_tls),
            {Peer, Server} = start(bench_erl_tls_peer),
            {ok, _} = peer:call(Peer, gen_server, start, [{local, bench_counter}, bench_counter, 0, []]),
            persistent_term:put(?MODULE, {Caller, Server}),
            {Caller, Server};
        Pair ->
            Pair
    end.

start(Name) ->
    {ok, Control, Node} = peer:start(#{
        name => Name,
        host => "127.0.0.1",
        longnames => true,
        connection => standard_io,
        args => [
            "-setcookie", atom_to_list(erlang:get_cookie()),
            "-start_epmd", "false",
            "-proto_dist", "inet_tls",
            "-ssl_dist_optfile", filename:join(os:getenv("BENCH_TLS"), "options"),
            "-kernel", "logger_level", "none",
            "-pa", filename:dirname(code:which(?MODULE))
        ]
    }),
    {Control, Node}.
