%% A child that says it is up, from its init, to whoever measures.
-module(bench_up).
-behaviour(gen_server).
-export([start_link/1, init/1, handle_call/3, handle_cast/2]).

start_link(Watcher) ->
    gen_server:start_link(?MODULE, Watcher, []).

init(Watcher) ->
    Watcher ! {up, self()},
    {ok, Watcher}.

handle_call(_Request, _From, Watcher) ->
    {reply, ok, Watcher}.

handle_cast(_Request, Watcher) ->
    {noreply, Watcher}.
