%% A ring of a thousand servers and one token that is cast from each to the next. Per hop.
-module(bench_ring).
-behaviour(gen_server).
-export([run/1, init/1, handle_call/3, handle_cast/2]).

-define(SIZE, 1000).

run(Count) ->
    Servers = [begin {ok, Pid} = gen_server:start(?MODULE, self(), []), Pid end || _ <- lists:seq(1, ?SIZE)],
    [First | Rest] = Servers,
    [ok = gen_server:call(Pid, {next, Next}) || {Pid, Next} <- lists:zip(Servers, Rest ++ [First])],
    Start = bench_watch:start(),
    gen_server:cast(First, {token, Count}),
    receive {hops_left, 0} -> ok end,
    Each = bench_watch:nanos_each(Start, Count),
    [ok = gen_server:stop(Pid) || Pid <- Servers],
    [{ring, Each}].

init(Owner) ->
    {ok, {Owner, undefined}}.

handle_call({next, Next}, _From, {Owner, _}) ->
    {reply, ok, {Owner, Next}}.

handle_cast({token, 1}, {Owner, _} = State) ->
    Owner ! {hops_left, 0},
    {noreply, State};
handle_cast({token, Left}, {_, Next} = State) ->
    gen_server:cast(Next, {token, Left - 1}),
    {noreply, State}.
