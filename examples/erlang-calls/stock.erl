%% The stock of a warehouse: an ordinary gen_server, with the messages that an Erlang programmer would give it.
-module(stock).
-behaviour(gen_server).
-export([start/0, init/1, handle_call/3, handle_cast/2]).

start() -> gen_server:start({local, stock}, ?MODULE, [], []).

init([]) -> {ok, #{<<"tea">> => 5}}.

handle_call({take, Item, N}, _From, Stock) ->
    case maps:get(Item, Stock, 0) of
        Left when Left >= N -> {reply, {ok, Left - N}, Stock#{Item => Left - N}};
        Left -> {reply, {error, {out_of_stock, #{item => Item, left => Left}}}, Stock}
    end;
handle_call(list, _From, Stock) ->
    {reply, Stock, Stock}.

handle_cast({put, Item, N}, Stock) ->
    {noreply, maps:update_with(Item, fun(Left) -> Left + N end, N, Stock)}.
