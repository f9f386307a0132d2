#!/usr/bin/env escript
%% Runs scripted state machines on gen_statem and prints what was called, one line for each machine.
%%
%% The file named by the argument holds one term per machine: {Enter, State, Actions, Enters, Events}. An event is
%% {Label, [{State, Decision}]}: it carries what its handler decides in each state, so that one callback serves all
%% machines. The callbacks are limited in number, so that every script ends.
-module(state_machine).
-mode(compile).
-behaviour(gen_statem).
-export([main/1, init/1, callback_mode/0, handle_event/4]).

main([File]) ->
    {ok, Scenarios} = file:consult(File),
    lists:foreach(fun(Scenario) -> io:format("~0p~n", [run(Scenario)]) end, Scenarios).

run({Enter, State, Actions, Enters, Events}) ->
    put(mode, Enter),
    persistent_term:put(statem_enter, Enter),
    {ok, Pid} = gen_statem:start(?MODULE, {self(), State, Actions, Enters}, []),
    Monitor = monitor(process, Pid),
    lists:foreach(fun(Event) -> gen_statem:cast(Pid, Event) end, Events),
    catch gen_statem:call(Pid, '$done'),
    catch gen_statem:stop(Pid),
    receive {'DOWN', Monitor, process, Pid, _} -> ok end,
    collect().

collect() ->
    receive
        {log, Entry} -> [Entry | collect()];
        {reply, N} -> [{reply, N} | collect()]
    after 0 -> []
    end.

init({Driver, State, Actions, Enters}) ->
    Data = #{driver => Driver, fuel => 40, enters => Enters},
    {ok, State, Data, actions(Actions, Data)}.

callback_mode() ->
    case persistent_term:get(statem_enter) of
        true -> [handle_event_function, state_enter];
        false -> handle_event_function
    end.

handle_event({call, From}, '$done', _State, Data) ->
    {keep_state, Data, [{reply, From, ok}]};
handle_event(enter, Old, State, #{driver := Driver, enters := Enters} = Data) ->
    Driver ! {log, {enter, Old, State}},
    case lists:keyfind(State, 1, Enters) of
        {_, stop} -> stop;
        {_, Actions} -> {keep_state_and_data, actions(Actions, Data)};
        false -> keep_state_and_data
    end;
handle_event(Type, {Label, Script}, State, #{driver := Driver, fuel := Fuel} = Data) ->
    Driver ! {log, {type(Type), Label, State}},
    Next = Data#{fuel := Fuel - 1},
    case {Fuel, lists:keyfind(State, 1, Script)} of
        {0, _} -> {keep_state_and_data, []};
        {_, false} -> {keep_state, Next};
        {_, {_, {next, To, Actions}}} -> {next_state, To, Next, actions(Actions, Data)};
        {_, {_, {keep, Actions}}} -> {keep_state, Next, actions(Actions, Data)};
        {_, {_, {repeat, Actions}}} -> {repeat_state, Next, actions(Actions, Data)};
        {_, {_, {stop, Actions}}} -> {stop_and_reply, normal, actions(Actions, Data), Next}
    end.

type({timeout, Name}) -> Name;
type(Type) -> Type.

actions(Actions, Data) -> [action(Action, Data) || Action <- Actions].

action(postpone, _) -> postpone;
action({next_event, Event}, _) -> {next_event, internal, Event};
action({reply, N}, #{driver := Driver}) -> {reply, {Driver, reply}, N};
action({cancel, Key}, _) -> {key(Key), cancel};
action({update, Key, Event}, _) -> {key(Key), update, Event};
action({start, Key, Time, Event}, _) -> {key(Key), Time, Event}.

key(state_timeout) -> state_timeout;
key(timeout) -> timeout;
key(Name) -> {timeout, Name}.
