%% The terms of the ETF benchmarks, the same ones as on the other side, and the work of one round.
-module(bench_etf).
-export([run/2]).

run(Name, Count) ->
    Term = term(Name),
    Bytes = term_to_binary(Term),
    Term = binary_to_term(Bytes),
    [{decode, each(Count, fun decode/3, Bytes)}, {encode, each(Count, fun encode/3, Term)}].

each(Count, Loop, Argument) ->
    Start = bench_watch:start(),
    Last = Loop(Count, Argument, none),
    Each = bench_watch:nanos_each(Start, Count),
    true = Last =/= none,
    Each.

%% The result is handed on: one that nobody sees, the compiler leaves out.
decode(0, _Bytes, Last) -> Last;
decode(Left, Bytes, _Last) -> decode(Left - 1, Bytes, binary_to_term(Bytes)).

encode(0, _Term, Last) -> Last;
encode(Left, Term, _Last) -> encode(Left - 1, Term, term_to_binary(Term)).

term(gen_call) ->
    Node = "shop@127.0.0.1",
    Pid = binary_to_term(<<131, 88, 119, 14, (list_to_binary(Node))/binary, 1234:32, 0:32, 1700000000:32>>),
    Ref = binary_to_term(
        <<131, 90, 3:16, 119, 14, (list_to_binary(Node))/binary, 1700000000:32, 262143:32, 12345678:32, 87654321:32>>
    ),
    {'$gen_call', {Pid, [alias | Ref]}, {add, 1}};
term(map20) ->
    maps:from_list([{key(I), value(I)} || I <- lists:seq(1, 20)]);
term(list1000) ->
    [I * 7 || I <- lists:seq(1, 1000)];
term(proplist100) ->
    [{key(I), I * 7} || I <- lists:seq(1, 100)];
term(binary64k) ->
    binary:copy(<<7>>, 65536).

key(I) ->
    list_to_atom("key_" ++ integer_to_list(I)).

value(I) when I rem 4 =:= 0 -> I * 1000;
value(I) when I rem 4 =:= 1 -> I + 0.5;
value(I) when I rem 4 =:= 2 -> iolist_to_binary(["the value ", integer_to_list(I)]);
value(I) when I rem 8 =:= 3 -> true;
value(_) -> false.
