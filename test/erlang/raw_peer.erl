%% A peer that speaks the distribution protocol on a plain socket, for what no installed release of Erlang says: it shakes
%% hands as it is told, and sends and receives single control messages, without atom cache and fragments.
-module(raw_peer).
-export([connect/4, send/2, send/3, recv/1, pid/2, ref/2, creation/1, name/1, flags/1, altact/0, name_me/0, close/1]).

-record(peer, {socket, name, creation, flags}).

%% All that OTP 25 demands, UNLINK_ID, V4_NC, SPAWN, ALIAS, SEND_SENDER and payloads of exits, hidden.
-define(BASE, (16#4 bor 16#8 bor 16#10 bor 16#20 bor 16#80 bor 16#100 bor 16#200 bor 16#400 bor 16#800 bor 16#1000 bor
    16#4000 bor 16#10000 bor 16#20000 bor 16#40000 bor 16#80000 bor 16#400000 bor 16#1000000 bor 16#2000000 bor
    16#4000000 bor (1 bsl 32) bor (1 bsl 34) bor (1 bsl 35))).

altact() -> 1 bsl 37.
name_me() -> 1 bsl 33.

creation(#peer{creation = Creation}) -> Creation.
name(#peer{name = Name}) -> Name.
flags(#peer{flags = Flags}) -> Flags.
close(#peer{socket = S}) -> gen_tcp:close(S).

%% Shakes hands. With the flag NAME_ME the name is the host alone, and the peer gives one.
connect(Port, Name, Cookie, More) ->
    {ok, S} = gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {packet, 2}, {active, false}, {nodelay, true}]),
    Flags = ?BASE bor More,
    Creation = case More band name_me() of 0 -> 4711; _ -> 0 end,
    ok = gen_tcp:send(S, <<$N, Flags:64, Creation:32, (byte_size(Name)):16, Name/binary>>),
    {MyName, MyCreation} = case gen_tcp:recv(S, 0, 5000) of
        {ok, <<"snamed:", Length:16, Given:Length/binary, GivenCreation:32, _/binary>>} -> {Given, GivenCreation};
        {ok, <<"sok">>} -> {Name, Creation};
        {ok, <<"sok_simultaneous">>} -> {Name, Creation}
    end,
    {ok, <<$N, Theirs:64, Challenge:32, _:32, _/binary>>} = gen_tcp:recv(S, 0, 5000),
    Digest = fun(C) -> erlang:md5([atom_to_list(Cookie), integer_to_list(C)]) end,
    Mine = 12345678,
    ok = gen_tcp:send(S, <<$r, Mine:32, (Digest(Challenge))/binary>>),
    Expected = Digest(Mine),
    {ok, <<$a, Expected:16/binary>>} = gen_tcp:recv(S, 0, 5000),
    ok = inet:setopts(S, [{packet, 4}]),
    #peer{socket = S, name = MyName, creation = MyCreation, flags = Theirs}.

send(#peer{socket = S}, Control) -> gen_tcp:send(S, [112, term_to_binary(Control)]).
send(#peer{socket = S}, Control, Payload) -> gen_tcp:send(S, [112, term_to_binary(Control), term_to_binary(Payload)]).

%% The next control message with its payload; ticks are passed over.
recv(#peer{socket = S} = Peer) ->
    case gen_tcp:recv(S, 0, 2000) of
        {ok, <<>>} -> recv(Peer);
        {ok, <<112, Rest/binary>>} ->
            {Control, Used} = binary_to_term(Rest, [used]),
            case Rest of
                <<_:Used/binary>> -> {Control};
                <<_:Used/binary, Payload/binary>> -> {Control, binary_to_term(Payload)}
            end;
        {error, Reason} -> {error, Reason}
    end.

%% Identifiers of this peer.
pid(#peer{name = Name, creation = Creation}, Id) ->
    binary_to_term(<<131, 88, 119, (byte_size(Name)), Name/binary, Id:32, 0:32, Creation:32>>).
ref(#peer{name = Name, creation = Creation}, Id) ->
    binary_to_term(<<131, 90, 3:16, 119, (byte_size(Name)), Name/binary, Creation:32, Id:32, 1:32, 2:32>>).
