%% A producer and a consumer that speak the protocol of Elixir's GenStage 1.x as its documentation defines it: the peer of
%% tests of stages on the wire. Both check what they are told: order, demand, and how long their mailboxes get.
-module(gen_stage_peer).
-export([consume/4, consume/5, start_producer/1, stop_producer/1, report/1, subscribe_and_cancel/1, stranger/2, garbage/1]).

%% Consumes Total integers that count up from 0: {ok, Count, LongestQueue, HighestOutstanding}, or {error, Why}.
consume(Producer, Max, Min, Total) -> consume(Producer, Max, Min, Total, []).

consume(Producer, Max, Min, Total, More) ->
    Self = self(),
    {Pid, Ref} = spawn_monitor(fun() -> Self ! {self(), consumer(Producer, Max, Min, Total, More)} end),
    receive
        {Pid, Result} -> erlang:demonitor(Ref, [flush]), Result;
        {'DOWN', Ref, process, Pid, Reason} -> {error, Reason}
    after 60000 -> {error, timeout}
    end.

consumer(Producer, Max, Min, Total, More) ->
    Tag = monitor(process, Producer),
    From = {self(), Tag},
    Options = [{max_demand, Max}, {min_demand, Min}, {cancel, temporary} | More],
    Producer ! {'$gen_producer', From, {subscribe, nil, Options}},
    Producer ! {'$gen_producer', From, {ask, Max}},
    consuming(#{producer => Producer, tag => Tag, from => From, max => Max, min => Min, total => Total,
                outstanding => Max, next => 0, queue => 0}).

consuming(#{next := Next, total := Total, producer := Producer, from := From, tag := Tag} = S) when Next >= Total ->
    Producer ! {'$gen_producer', From, {cancel, normal}},
    {ok, Next, maps:get(queue, S), confirmed(Tag)};
consuming(#{tag := Tag, outstanding := Outstanding, max := Max, min := Min, next := Next} = S) ->
    receive
        {'$gen_consumer', {_, Tag}, Events} when is_list(Events), length(Events) > 0 ->
            {message_queue_len, Length} = process_info(self(), message_queue_len),
            Count = length(Events),
            case Events =:= lists:seq(Next, Next + Count - 1) of
                false -> {error, {out_of_order, Next, lists:sublist(Events, 3)}};
                true when Count > Outstanding -> {error, {more_than_asked, Outstanding, Count}};
                true ->
                    Left = Outstanding - Count,
                    Again = if Left =< Min -> ask(S, Max - Left), Max; true -> Left end,
                    consuming(S#{outstanding := Again, next := Next + Count,
                                 queue := max(Length, maps:get(queue, S))})
            end;
        {'$gen_consumer', {_, Tag}, {cancel, Reason}} -> {cancelled, Reason, Next};
        {'DOWN', Tag, process, _, Reason} -> {down, Reason, Next}
    end.

ask(#{producer := Producer, from := From}, Count) -> Producer ! {'$gen_producer', From, {ask, Count}}.

%% The producer confirms a cancellation; events that were on their way come before.
confirmed(Tag) ->
    receive
        {'$gen_consumer', {_, Tag}, {cancel, Reason}} -> Reason;
        {'$gen_consumer', {_, Tag}, _} -> confirmed(Tag)
    after 5000 -> no_confirmation
    end.

%% A producer of integers that count up from 0, under a name. It sends what was asked for, in batches of at most 300.
start_producer(Name) ->
    Pid = spawn(fun() -> producing(#{next => 0, consumers => #{}, queue => 0, asked => 0, outstanding => 0,
                                     highest => 0, options => [], cancelled => []}) end),
    register(Name, Pid),
    ok.

stop_producer(Name) -> Name ! stop, ok.

report(Name) ->
    Name ! {report, self()},
    receive {report, Report} -> Report after 5000 -> timeout end.

producing(#{consumers := Consumers} = S0) ->
    {message_queue_len, Length} = process_info(self(), message_queue_len),
    S = S0#{queue := max(Length, maps:get(queue, S0))},
    receive
        {'$gen_producer', {Pid, Tag} = From, {subscribe, _Current, Options}} ->
            case maps:is_key(From, Consumers) of
                true -> cancel(From, duplicated_subscription), producing(S);
                false ->
                    Ref = monitor(process, Pid),
                    producing(S#{consumers := Consumers#{From => Ref}, options := Options, tag => Tag})
            end;
        {'$gen_producer', From, {ask, Count}} ->
            case maps:is_key(From, Consumers) of
                true -> producing(send(From, Count, S#{asked := Count + maps:get(asked, S)}));
                false -> cancel(From, unknown_subscription), producing(S)
            end;
        {'$gen_producer', From, {cancel, Reason}} ->
            cancel(From, Reason),
            producing(S#{consumers := maps:remove(From, Consumers),
                         cancelled := [Reason | maps:get(cancelled, S)]});
        {'DOWN', Ref, process, _, Reason} ->
            producing(S#{consumers := maps:filter(fun(_, R) -> R =/= Ref end, Consumers),
                         cancelled := [{down, Reason} | maps:get(cancelled, S)]});
        {report, To} ->
            To ! {report, {maps:get(next, S), maps:get(asked, S), maps:get(queue, S), maps:size(Consumers),
                           maps:get(options, S), maps:get(cancelled, S)}},
            producing(S);
        stop -> ok
    end.

send(_, 0, S) -> S;
send({Pid, Tag} = From, Count, #{next := Next} = S) ->
    Size = min(Count, 300),
    Pid ! {'$gen_consumer', {self(), Tag}, lists:seq(Next, Next + Size - 1)},
    send(From, Count - Size, S#{next := Next + Size}).

cancel({Pid, Tag}, Reason) -> Pid ! {'$gen_consumer', {self(), Tag}, {cancel, Reason}}.

%% What a producer answers to one who asks without a subscription, and to one who subscribes twice.
stranger(Producer, Request) ->
    Tag = make_ref(),
    Producer ! {'$gen_producer', {self(), Tag}, Request},
    receive {'$gen_consumer', {_, Tag}, Answer} -> Answer after 5000 -> nothing end.

subscribe_and_cancel(Producer) ->
    Tag = {any, "term"},
    From = {self(), Tag},
    Producer ! {'$gen_producer', From, {subscribe, nil, []}},
    Producer ! {'$gen_producer', From, {subscribe, nil, []}},
    receive {'$gen_consumer', {_, Tag}, Answer} -> Answer after 5000 -> nothing end.

%% Subscribed to by ours under a name, answers the first demand with events that are none.
garbage(Name) ->
    register(Name, spawn(fun() ->
        receive {'$gen_producer', {Pid, Tag}, {subscribe, _, _}} -> ok end,
        receive {'$gen_producer', {Pid, Tag}, {ask, _}} -> ok end,
        Pid ! {'$gen_consumer', {self(), Tag}, [1, two, 3]},
        receive {'$gen_producer', {Pid, Tag}, {cancel, Reason}} -> garbage_told(Reason) end
    end)),
    ok.

garbage_told(Reason) ->
    receive {report, To} -> To ! {report, Reason} end.
