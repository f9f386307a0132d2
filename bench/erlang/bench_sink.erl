%% The server that casts over the network go to: counts messages or bytes since it was last asked.
-module(bench_sink).
-behaviour(gen_server).
-export([init/1, handle_call/3, handle_cast/2]).

init(From) ->
    {ok, From}.

handle_call(take, _From, Count) ->
    {reply, Count, 0}.

handle_cast({plus, N}, Count) ->
    {noreply, Count + N};
handle_cast({data, Bytes}, Count) ->
    {noreply, Count + byte_size(Bytes)}.
