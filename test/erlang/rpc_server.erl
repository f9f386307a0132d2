%% Functions for tests of remote calls and remote spawns.
-module(rpc_server).
-export([killed/0, deep/0, tell/2, printer/1, wait/0, gl/0, leader/1]).

%% The process that makes the call is ended by a signal.
killed() -> exit(self(), kill), receive after infinity -> ok end.

%% An undef that is not the function's own.
deep() -> X = nobody:knows(1), {ok, X}.

%% Says who it is.
tell(Pid, What) -> Pid ! {self(), What}, wait().

wait() -> receive {die, Reason} -> exit(Reason); stop -> ok; _ -> wait() end.

%% Prints to the group leader of the process.
printer(Text) -> io:format("~ts ~p~n", [Text, {a, "b"}]).

gl() -> node(group_leader()).

%% A group leader that keeps what is printed: ask it with {get, Pid}.
leader(Seen) ->
    receive
        {io_request, From, As, {put_chars, unicode, Chars}} ->
            From ! {io_reply, As, ok},
            leader([unicode:characters_to_list(Chars) | Seen]);
        {get, Pid} -> Pid ! {self(), lists:append(lists:reverse(Seen))}, leader(Seen)
    end.
