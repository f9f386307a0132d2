%% The Erlang side of the network soak: takes numbered casts and sends its own, in batches of a hundredth of a second.
-module(bench_soak).
-behaviour(gen_server).
-export([start/0, init/1, handle_call/3, handle_cast/2, handle_info/2]).

start() ->
    {ok, _} = gen_server:start({local, soak_erlang}, ?MODULE, [], []),
    ok.

init([]) ->
    {ok, #{count => 0, disorder => 0, sent => 0, to => none, rate => 0, since => 0}}.

handle_call(seen, _From, State) ->
    {reply, maps:with([count, disorder], State), State};
handle_call({flood, Node, Rate}, _From, State) ->
    erlang:send_after(10, self(), more),
    {reply, ok, State#{to := {soak_receiver, Node}, rate := Rate, since := erlang:monotonic_time(millisecond)}};
handle_call(halt, _From, #{sent := Sent} = State) ->
    {reply, Sent, State#{to := none}}.

handle_cast({note, N, _Data}, #{count := Count, disorder := Disorder} = State) when N =:= Count + 1 ->
    {noreply, State#{count := N, disorder := Disorder}};
handle_cast({note, _N, _Data}, #{count := Count, disorder := Disorder} = State) ->
    {noreply, State#{count := Count + 1, disorder := Disorder + 1}}.

handle_info(more, #{to := none} = State) ->
    {noreply, State};
handle_info(more, #{to := To, rate := Rate, sent := Sent, since := Since} = State) ->
    Due = (erlang:monotonic_time(millisecond) - Since) * Rate div 1000,
    Upto = min(Due, Sent + Rate div 5),
    send(Sent + 1, Upto, To, binary:copy(<<7>>, 100)),
    %% All of it was handled: a machine that is busy makes this slower and fills no mailbox.
    _ = gen_server:call(To, seen, 60000),
    erlang:send_after(10, self(), more),
    {noreply, State#{sent := max(Sent, Upto)}}.

send(N, Upto, _To, _Data) when N > Upto ->
    ok;
send(N, Upto, To, Data) ->
    gen_server:cast(To, {note, N, Data}),
    send(N + 1, Upto, To, Data).
