%% A gen_server for tests of the distribution: a counter with the messages of the protocol `Counter`, and a few more.
-module(dist_server).
-behaviour(gen_server).
-export([start/1, init/1, handle_call/3, handle_cast/2, handle_info/2, plain/0, trapper/0, hold/2]).

start(Name) -> gen_server:start({local, Name}, ?MODULE, [], []).

init([]) -> {ok, {0, []}}.

handle_call({add, N}, _From, {Count, Seen}) when Count + N > 100 -> {reply, {error, {overflow, #{max => 100}}}, {Count, Seen}};
handle_call({add, N}, _From, {Count, Seen}) -> {reply, {ok, Count + N}, {Count + N, Seen}};
handle_call(get, _From, {Count, _} = State) -> {reply, Count, State};
handle_call({sleep, Ms}, From, State) ->
    spawn(fun() -> timer:sleep(Ms), gen_server:reply(From, {slept, Ms}) end),
    {noreply, State};
handle_call(crash, _From, {Count, _}) -> exit({boom, Count});
handle_call(seen, _From, {_, Seen} = State) -> {reply, lists:reverse(Seen), State};
handle_call({echo, T}, _From, State) -> {reply, T, State};
handle_call({size, B}, _From, State) -> {reply, byte_size(B), State};
handle_call(wrong, _From, State) -> {reply, "not an integer", State};
handle_call(_, _From, State) -> {reply, unknown, State}.

handle_cast(reset, {_, Seen}) -> {noreply, {0, Seen}};
handle_cast(_, State) -> {noreply, State}.

handle_info(Message, {Count, Seen}) -> {noreply, {Count, [Message | Seen]}}.

%% A process that does what it is told.
plain() ->
    receive
        {die, Reason} -> exit(Reason);
        {call, Pid, Fun} -> Pid ! {self(), catch Fun()}, plain();
        _ -> plain()
    end.

%% A process that traps exits and remembers what it got.
trapper() ->
    process_flag(trap_exit, true),
    trapper([]).

trapper(Seen) ->
    receive
        {get, Pid} -> Pid ! {self(), lists:reverse(Seen)}, trapper(Seen);
        {link, P} -> link(P), trapper(Seen);
        {unlink, P} -> unlink(P), trapper(Seen);
        {monitor, P} -> erlang:monitor(process, P), trapper(Seen);
        {exit, P, R} -> exit(P, R), trapper(Seen);
        Other -> trapper([Other | Seen])
    end.

%% Asks a trapper for what it has seen.
hold(Pid, Count) -> hold(Pid, Count, 100).
hold(Pid, Count, Tries) ->
    Pid ! {get, self()},
    receive
        {Pid, Seen} when length(Seen) >= Count; Tries =:= 0 -> Seen;
        {Pid, _} -> timer:sleep(20), hold(Pid, Count, Tries - 1)
    end.
