#!/usr/bin/env escript
%% -*- coding: utf-8 -*-
%% The Erlang side of the term tests. Files hold records: length (32 bits), bytes.
%%
%%   gen Seed Count OutFile   random terms: a record of term_to_binary, a record of ~0p, for each
%%   echo InFile OutFile      for each record, a term: a record of term_to_binary again, a record of ~0p
%%   sort InFile OutFile      the records are terms: one record, the list of them sorted
%%   same InFile              the records are pairs of terms: fails unless each pair is =:=
%%   form InFile OutFile      the records are texts: a record of term_to_binary of what each parses to
main(["gen", Seed, Count, Out]) ->
    rand:seed(exsss, list_to_integer(Seed)),
    write(Out, lists:flatmap(fun(_) -> both(term(5)) end, lists:seq(1, list_to_integer(Count))));
main(["echo", In, Out]) ->
    write(Out, lists:flatmap(fun(B) -> both(binary_to_term(B)) end, read(In)));
main(["sort", In, Out]) ->
    write(Out, [term_to_binary(lists:sort([binary_to_term(B) || B <- read(In)]))]);
main(["same", In]) ->
    Bad = different(read(In), 0),
    io:format("~p different~n", [Bad]),
    halt(min(Bad, 1));
main(["form", In, Out]) ->
    write(Out, [term_to_binary(form(B)) || B <- read(In)]).

different([A, B | Rest], N) ->
    case binary_to_term(A) =:= binary_to_term(B) of
        true -> different(Rest, N);
        false -> io:format("~0p~n~0p~n", [binary_to_term(A), binary_to_term(B)]), different(Rest, N + 1)
    end;
different([], N) -> N.

form(Text) ->
    {ok, Tokens, _} = erl_scan:string(unicode:characters_to_list(Text) ++ "."),
    {ok, [Expr]} = erl_parse:parse_exprs(Tokens),
    {value, Value, _} = erl_eval:expr(Expr, []),
    Value.

both(T) ->
    [term_to_binary(T, options()), unicode:characters_to_binary(io_lib:format("~0p", [T]), unicode)].

%% Half of them as binary_to_term of older releases wrote atoms and floats.
options() ->
    case rand:uniform(4) of
        1 -> [{minor_version, 0}];
        2 -> [{minor_version, 1}];
        3 -> [{minor_version, 2}];
        4 -> [compressed]
    end.

read(File) ->
    {ok, Bytes} = file:read_file(File),
    [R || <<L:32, R:L/binary>> <= Bytes].

write(File, Records) ->
    ok = file:write_file(File, [[<<(byte_size(R)):32>>, R] || R <- Records]).

n(N) -> rand:uniform(N) - 1.
many(N, F) -> [F() || _ <- lists:seq(1, N)].

term(S) when S =< 0 -> leaf(n(12));
term(S) ->
    case n(24) of
        X when X < 12 -> leaf(X);
        X when X < 15 -> list_to_tuple(many(n(6), fun() -> term(S - 1) end));
        X when X < 18 -> many(n(8), fun() -> term(S - 1) end);
        X when X < 19 -> many(1 + n(3), fun() -> term(S - 2) end) ++ leaf(n(12));
        X when X < 22 -> maps:from_list(many(n(8), fun() -> {term(S - 2), term(S - 1)} end));
        X when X < 23 -> maps:from_list(many(n(60), fun() -> {leaf(n(12)), leaf(n(12))} end));
        _ -> many(n(300), fun() -> n(256) end)
    end.

leaf(0) -> n(300) - 20;
leaf(1) -> (n(2) * 2 - 1) * (1 bsl n(130)) + n(3) - 1;
leaf(2) -> rand:uniform() * math:pow(10, n(40) - 20);
leaf(3) -> float(n(1000)) / (1 + n(8));
leaf(4) -> lists:nth(1 + n(12), [ok, error, true, false, undefined, '', 'A b', 'x@y', 'ÿ', 'жук', 'it\'s', '\\']);
leaf(5) -> list_to_atom(many(n(20), fun() -> 32 + n(224) end));
leaf(6) -> rand:bytes(n(20));
leaf(7) -> list_to_binary(many(n(20), fun() -> 32 + n(95) end));
leaf(8) -> <<(n(100000)):(1 + n(40))>>;
leaf(9) -> many(n(20), fun() -> 32 + n(95) end);
leaf(10) -> lists:nth(1 + n(4), [self(), make_ref(), hd(erlang:ports()), fun lists:map/2]);
leaf(11) -> lists:nth(1 + n(5), [[], {}, #{}, <<>>, 0.0]).
