%% Evaluates expressions from standard input, one per line, each in the same bindings; prints `=> Result` for each.
%% Loaded by test/dist/ErlangNode.ts with `file:script/2` in a node that was started with -noshell: it is one expression.
(fun() ->
    Loop = fun Loop(Bindings) ->
        case io:get_line("") of
            eof -> halt();
            {error, _} -> halt();
            Line ->
                Next = try
                    {ok, Tokens, _} = erl_scan:string(unicode:characters_to_list(Line)),
                    {ok, Expressions} = erl_parse:parse_exprs(Tokens),
                    {value, Value, New} = erl_eval:exprs(Expressions, Bindings),
                    io:format("=> ~0tp~n", [Value]),
                    New
                catch Class:Reason:_ ->
                    io:format("=> {caught,~0tp,~0tp}~n", [Class, Reason]),
                    Bindings
                end,
                Loop(Next)
        end
    end,
    spawn(fun() -> Loop(erl_eval:new_bindings()) end),
    ready
end)().
