%% The Erlang side of the benchmarks: a long-lived node that is told over stdin what to measure.
%%
%% One line in, one line out:
%%   run <module> <count>   ->  @ok <module> <row>=<value> ...      values in the unit of the row
%%                          ->  @error <module> <reason>
%%   quit, or end of input  ->  the node stops
%%
%% Every round runs in a process of its own, so that the heap of one round never weighs on the next. Anything else that
%% is printed does not start with "@" and is shown, not parsed.
-module(bench_driver).
-export([main/0]).

main() ->
    io:format("@ready ~s ~s ~b~n", [
        erlang:system_info(otp_release),
        erlang:system_info(emu_flavor),
        erlang:system_info(schedulers_online)
    ]),
    loop().

loop() ->
    case io:get_line("") of
        Line when is_list(Line) ->
            handle(string:lexemes(Line, " \n")),
            loop();
        _EndOfInput ->
            halt(0)
    end.

handle(["run", Module, Count]) ->
    case round(list_to_existing_module(Module), list_to_integer(Count)) of
        {ok, Rows} ->
            Text = [io_lib:format(" ~s=~.3f", [Name, float(Value)]) || {Name, Value} <- Rows],
            io:format("@ok ~s~s~n", [Module, Text]);
        {error, Reason} ->
            io:format("@error ~s ~0p~n", [Module, Reason])
    end;
handle(["quit"]) ->
    halt(0);
handle([]) ->
    ok;
handle(Words) ->
    io:format("@error ? unknown_command ~0p~n", [Words]).

list_to_existing_module(Name) ->
    Module = list_to_atom(Name),
    {module, Module} = code:ensure_loaded(Module),
    Module.

round(Module, Count) ->
    Driver = self(),
    {Pid, Ref} = spawn_monitor(fun() -> Driver ! {self(), Module:run(Count)} end),
    receive
        {Pid, Rows} ->
            receive {'DOWN', Ref, process, Pid, _} -> ok end,
            {ok, Rows};
        {'DOWN', Ref, process, Pid, Reason} ->
            {error, Reason}
    end.
