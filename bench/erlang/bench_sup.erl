%% Supervisors of the benchmarks: one permanent child, or any number of equal ones.
-module(bench_sup).
-behaviour(supervisor).
-export([start_one/1, start_many/0, init/1]).

start_one(Watcher) ->
    supervisor:start_link(?MODULE, {one, Watcher}).

start_many() ->
    supervisor:start_link(?MODULE, many).

init({one, Watcher}) ->
    {ok, {flags(one_for_one), [child([Watcher])]}};
init(many) ->
    {ok, {flags(simple_one_for_one), [child([])]}}.

flags(Strategy) ->
    #{strategy => Strategy, intensity => 20000, period => 5}.

child(Args) ->
    #{id => child, start => {bench_up, start_link, Args}, restart => permanent, shutdown => 5000, type => worker}.
