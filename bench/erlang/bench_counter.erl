%% The server that calls and casts go to: adds, and says what it has.
-module(bench_counter).
-behaviour(gen_server).
-export([init/1, handle_call/3, handle_cast/2]).

init(From) ->
    {ok, From}.

handle_call({add, N}, _From, Count) ->
    {reply, Count + N, Count + N};
handle_call(get, _From, Count) ->
    {reply, Count, Count}.

handle_cast({add, N}, Count) ->
    {noreply, Count + N}.
