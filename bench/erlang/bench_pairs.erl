%% Load over random pairs of a thousand processes. `cast`: a thousand servers keep a thousand casts in flight, each handled
%% cast goes on to a random server. `call`: five hundred callers call five hundred servers at random.
-module(bench_pairs).
-behaviour(gen_server).
-export([run/1, init/1, handle_call/3, handle_cast/2]).

-define(SERVERS, 1000).
-define(HALF, 500).

run(Count) ->
    Servers = [begin {ok, Pid} = gen_server:start(?MODULE, {I, self()}, []), Pid end || I <- lists:seq(1, ?SERVERS)],
    Peers = list_to_tuple(Servers),
    [ok = gen_server:call(Pid, {peers, Peers}) || Pid <- Servers],
    Hops = max(1, Count div ?SERVERS),
    Cast = bench_watch:start(),
    [gen_server:cast(Pid, {hop, Hops}) || Pid <- Servers],
    [receive landed -> ok end || _ <- Servers],
    CastEach = bench_watch:nanos_each(Cast, Hops * ?SERVERS),
    Seen = lists:sum([gen_server:call(Pid, seen) || Pid <- Servers]),
    Seen = Hops * ?SERVERS,

    Share = max(1, Count div 4 div ?HALF),
    Callers = [spawn_monitor(fun() -> receive go -> calls(Share, Peers, I) end end) || I <- lists:seq(1, ?HALF)],
    Call = bench_watch:start(),
    [Pid ! go || {Pid, _} <- Callers],
    [receive {'DOWN', Ref, process, Pid, normal} -> ok end || {Pid, Ref} <- Callers],
    CallEach = bench_watch:nanos_each(Call, Share * ?HALF),
    SeenAfter = lists:sum([gen_server:call(Pid, seen) || Pid <- Servers]),
    SeenAfter = Seen + Share * ?HALF,
    [ok = gen_server:stop(Pid) || Pid <- Servers],
    [{cast, CastEach}, {call, CallEach}].

calls(0, _Peers, _Seed) ->
    ok;
calls(Left, Peers, Seed) ->
    Next = next(Seed),
    ok = gen_server:call(element(pick(Next, ?HALF), Peers), hit),
    calls(Left - 1, Peers, Next).

init({Seed, Owner}) ->
    {ok, {{}, Seed, 0, Owner}}.

handle_call({peers, Peers}, _From, {_, Seed, Seen, Owner}) ->
    {reply, ok, {Peers, Seed, Seen, Owner}};
handle_call(hit, _From, {Peers, Seed, Seen, Owner}) ->
    {reply, ok, {Peers, Seed, Seen + 1, Owner}};
handle_call(seen, _From, {_, _, Seen, _} = State) ->
    {reply, Seen, State}.

handle_cast({hop, 1}, {Peers, Seed, Seen, Owner}) ->
    Owner ! landed,
    {noreply, {Peers, Seed, Seen + 1, Owner}};
handle_cast({hop, Left}, {Peers, Seed, Seen, Owner}) ->
    Next = next(Seed),
    gen_server:cast(element(pick(Next, ?SERVERS), Peers), {hop, Left - 1}),
    {noreply, {Peers, Next, Seen + 1, Owner}}.

%% The same small generator on both sides, so that neither pays for a better one (and no product needs a big integer).
next(Seed) ->
    (Seed * 75 + 74) rem 65537.

pick(Seed, Bound) ->
    Seed rem Bound + 1.
