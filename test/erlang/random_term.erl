%% Random terms of Erlang's own making, from a seed, and a check that they come back from another process as they went.
-module(random_term).
-export([check/4, make/1]).

%% Sends Count terms, in calls of a hundred, to a process that answers with what it was sent. The first that comes back as
%% something else, or ok.
check(To, Seed, Count, Size) ->
    rand:seed(exsss, Seed),
    batch(To, Count, Size).

batch(_, 0, _) -> ok;
batch(To, Count, Size) ->
    N = min(100, Count),
    Terms = [term(Size) || _ <- lists:seq(1, N)],
    case gen_server:call(To, Terms, 20000) of
        Terms ->
            %% Floats that are equal and differ, too.
            case term_to_binary(Terms, [deterministic]) =:= term_to_binary(Terms, [deterministic]) of
                true -> batch(To, Count - N, Size)
            end;
        Other when is_list(Other), length(Other) =:= N ->
            hd([{sent, A, back, B} || {A, B} <- lists:zip(Terms, Other), A =/= B]);
        Other -> {unexpected, Other}
    end.

make(Size) -> term(Size).

term(Size) when Size =< 0 -> leaf(rand:uniform(15));
term(Size) ->
    case rand:uniform(24) of
        N when N =< 15 -> leaf(N);
        16 -> list_to_tuple(many(4, Size));
        17 -> many(6, Size);
        18 -> many(2, Size) ++ term(Size - 2);
        19 -> maps:from_list([{term(Size - 2), term(Size - 2)} || _ <- lists:seq(1, rand:uniform(5))]);
        20 -> maps:from_list([{leaf(rand:uniform(15)), N} || N <- lists:seq(1, rand:uniform(60))]);
        21 -> closure(term(Size - 2));
        22 -> [term(Size - 2) | leaf(rand:uniform(15))];
        23 -> {term(Size - 1), term(Size - 1)};
        24 -> many(40, 1)
    end.

many(N, Size) -> [term(Size - rand:uniform(2)) || _ <- lists:seq(1, rand:uniform(N + 1) - 1)].

leaf(1) -> rand:uniform(300) - 20;
leaf(2) -> rand:uniform(1 bsl 33) - (1 bsl 32);
leaf(3) -> (1 bsl (rand:uniform(70) + 20)) - rand:uniform(3) + 1;
leaf(4) -> -((1 bsl (rand:uniform(2100))) + rand:uniform(3) - 2);
leaf(5) ->
    %% Any float that is a number.
    case <<(rand:uniform(1 bsl 64) - 1):64>> of
        <<F/float>> -> F;
        _ -> rand:normal()
    end;
leaf(6) -> rand:uniform(1000) / lists:nth(rand:uniform(4), [1, 2, 10, 1000]);
leaf(7) -> lists:nth(rand:uniform(12), [ok, true, nil, undefined, '', 'hello world', 'it\'s', 'ÿ', 'жук', '日本', '😀', '$gen_call']);
leaf(8) -> list_to_atom("random_" ++ integer_to_list(rand:uniform(4000)));
leaf(9) -> rand:bytes(rand:uniform(30) - 1);
leaf(10) ->
    Bits = rand:uniform(60),
    <<(rand:uniform(1 bsl Bits) - 1):Bits>>;
leaf(11) -> [rand:uniform(256) - 1 || _ <- lists:seq(1, rand:uniform(20))];
leaf(12) ->
    case rand:uniform(4) of
        1 -> self();
        2 -> spawn(fun() -> ok end);
        3 -> make_ref();
        4 -> hd(erlang:ports())
    end;
leaf(13) -> fun lists:map/2;
leaf(14) -> lists:nth(rand:uniform(5), [[], {}, #{}, <<>>, ""]);
leaf(15) -> alias_of().

alias_of() ->
    A = alias(),
    unalias(A),
    A.

closure(T) ->
    N = rand:uniform(10),
    lists:nth(rand:uniform(2), [fun() -> {T, N} end, fun(X, Y) -> {X, Y, T} end]).
