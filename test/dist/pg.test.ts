/**
 * Process groups over the wire: nodes of ours among themselves, and with Erlang's `pg` in both directions.
 */
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Option, type Scope } from "effect"
import { Process, ProcessGroup } from "effect-otp"
import * as Node from "effect-otp/dist/Node"
import { Atom, type Pid, Term, Tuple } from "effect-otp/term"
import { erlangAvailable } from "../erlang/escript.ts"
import { makeRandom } from "../term/randomTerm.ts"
import { ErlangEpmd, type ErlangNode, freePort, startErlang } from "./ErlangNode.ts"
import { eventually, type Member, member } from "./Member.ts"

const worker = Process.spawnDetached(() => Effect.never)
const sorted = (pids: ReadonlyArray<Pid.Pid>): Array<string> => pids.map((pid) => `${pid}:${pid.creation}`).sort()

const membersOn = (node: Member, group: ProcessGroup.Group, options?: ProcessGroup.ScopeOption) =>
  Effect.map(node.run(ProcessGroup.members(group, options)), sorted)

/** An Erlang node that runs a scope and tells its members, and a few processes on it that are known by name. */
const withPg = (
  name: string,
  options: { readonly scope?: string; readonly hidden?: boolean } = {}
): Effect.Effect<ErlangNode, never, ErlangEpmd | Scope.Scope> =>
  Effect.gen(function*() {
    const { port } = yield* ErlangEpmd
    const erl = yield* startErlang(name, { epmdPort: port, hidden: options.hidden ?? false })
    assert.match(yield* erl.eval(`pg:start(${options.scope ?? "pg"})`), /^\{ok,/)
    yield* erl.eval("[register(P, spawn(fun dist_server:plain/0)) || P <- [p1, p2, p3]]")
    yield* erl.eval(
      "register(teller, spawn(fun L() -> receive {'$gen_call', F, {S, G}} -> gen_server:reply(F, pg:get_members(S, G)), L(); " +
        "{'$gen_call', F, P} -> gen_server:reply(F, whereis(P)), L() end end))"
    )
    return erl
  })

/** What Erlang says the members are. */
const membersInErlang = (node: Member, erl: ErlangNode, group: Term.Term, scope = "pg") =>
  Effect.map(
    node.run(Node.callTerm({ name: "teller", node: erl.name }, Tuple.make(...[Atom.make(scope), group]))),
    (pids) => sorted(pids as ReadonlyArray<Pid.Pid>)
  )

const pidInErlang = (node: Member, erl: ErlangNode, name: string) =>
  Effect.map(node.run(Node.callTerm({ name: "teller", node: erl.name }, Atom.make(name))), (pid) => pid as Pid.Pid)

const jobs = Atom.make("jobs")

describe("process groups of two nodes", () => {
  it.live(
    "members are shared, also those that joined before the nodes met, and are back after a cut",
    () =>
      Effect.gen(function*() {
        const port = yield* freePort
        const a = yield* member("a@127.0.0.1", port)
        const b = yield* member("b@127.0.0.1", port)
        yield* Effect.all([a.run(ProcessGroup.start()), b.run(ProcessGroup.start())])
        const [here, there] = [yield* a.run(worker), yield* b.run(worker)]
        yield* a.run(ProcessGroup.join("g", [here, here]))
        yield* b.run(ProcessGroup.join("g", there))
        yield* a.run(Node.connect(b.name))
        const all = sorted([here, here, there])
        assert.deepStrictEqual(yield* eventually(membersOn(a, "g"), all), all)
        assert.deepStrictEqual(yield* eventually(membersOn(b, "g"), all), all)
        assert.deepStrictEqual(yield* b.run(ProcessGroup.groups()), ["g"])
        assert.deepStrictEqual(yield* b.run(ProcessGroup.localGroups()), ["g"])
        assert.deepStrictEqual(sorted(yield* b.run(ProcessGroup.localMembers("g"))), sorted([there]))

        yield* a.run(Node.disconnect(b.name))
        assert.deepStrictEqual(yield* eventually(membersOn(a, "g"), sorted([here, here])), sorted([here, here]))
        assert.deepStrictEqual(yield* eventually(membersOn(b, "g"), sorted([there])), sorted([there]))
        yield* b.run(ProcessGroup.leave("g", there))
        // The scopes themselves open no connection.
        assert.deepStrictEqual(yield* a.run(Node.nodes()), [])
        yield* b.run(Node.connect(a.name))
        assert.deepStrictEqual(yield* eventually(membersOn(b, "g"), sorted([here, here])), sorted([here, here]))
        assert.deepStrictEqual(yield* eventually(membersOn(a, "g"), sorted([here, here])), sorted([here, here]))
      }),
    20_000
  )

  it.live(
    "groups have any name, scopes are apart, and a process of another node is refused",
    () =>
      Effect.gen(function*() {
        const port = yield* freePort
        const a = yield* member("a@127.0.0.1", port)
        const b = yield* member("b@127.0.0.1", port)
        for (const node of [a, b]) {
          yield* node.run(ProcessGroup.start())
          yield* node.run(ProcessGroup.start({ scope: "other" }))
        }
        yield* a.run(Node.connect(b.name))
        const here = yield* a.run(worker)
        const names: ReadonlyArray<ProcessGroup.Group> = [
          "text ✓",
          Atom.make("atom"),
          7,
          [1, 2],
          Term.parseUnsafe("{room, <<\"x\">>, #{a => 1.0}}"),
          new Uint8Array([255, 254])
        ]
        for (const name of names) yield* a.run(ProcessGroup.join(name, here))
        for (const name of names) {
          assert.deepStrictEqual(yield* eventually(membersOn(b, name), sorted([here])), sorted([here]), String(name))
        }
        assert.deepStrictEqual(yield* membersOn(b, "text ✓", { scope: "other" }), [])
        assert.deepStrictEqual(
          (yield* b.run(ProcessGroup.groups())).filter((group) => typeof group === "string"),
          ["text ✓"]
        )
        const error = yield* Effect.flip(b.run(ProcessGroup.join("g", here)))
        assert.strictEqual(error._tag, "NotLocal")
        const defect = yield* Effect.exit(a.run(ProcessGroup.join({ not: "a term" } as never, here)))
        assert.strictEqual(defect._tag, "Failure")
        assert.deepStrictEqual(yield* membersOn(a, 7), sorted([here]))
      }),
    20_000
  )
})

describe.skipIf(!erlangAvailable)("process groups with Erlang", () => {
  layer(ErlangEpmd.layer, { timeout: "30 seconds", excludeTestServices: true })((it) => {
    const ours = (name: string, options?: Partial<Node.LayerOptions>) =>
      Effect.flatMap(ErlangEpmd, ({ port }) => member(name, port, { discovery: { port }, ...options }))

    it.effect("each side sees the other's joins and leaves, in the default scope", () =>
      Effect.gen(function*() {
        const a = yield* ours("a@127.0.0.1")
        const erl = yield* withPg("pg1@127.0.0.1")
        yield* a.run(ProcessGroup.start())
        const here = yield* a.run(worker)
        yield* a.run(ProcessGroup.join(jobs, here))
        yield* erl.eval("pg:join(jobs, [whereis(p1), whereis(p1)])")
        assert.strictEqual(yield* erl.eval("net_adm:ping('a@127.0.0.1')"), "pong")
        const there = yield* pidInErlang(a, erl, "p1")
        const both = (pids: ReadonlyArray<Pid.Pid>) =>
          Effect.gen(function*() {
            assert.deepStrictEqual(yield* eventually(membersOn(a, jobs), sorted(pids)), sorted(pids))
            assert.deepStrictEqual(yield* eventually(membersInErlang(a, erl, jobs), sorted(pids)), sorted(pids))
          })
        yield* both([here, there, there])
        // One of several memberships, on either side.
        yield* a.run(ProcessGroup.join(jobs, [here, here]))
        yield* both([here, here, here, there, there])
        yield* a.run(ProcessGroup.leave(jobs, [here, here]))
        assert.strictEqual(yield* erl.eval("pg:leave(jobs, whereis(p1))"), "ok")
        yield* both([here, there])
        // A text is a binary there.
        yield* a.run(ProcessGroup.join("room", here))
        assert.strictEqual(
          yield* eventually(erl.eval("lists:sort(pg:which_groups())"), "[jobs,<<\"room\">>]"),
          "[jobs,<<\"room\">>]"
        )
        yield* erl.eval("pg:join(<<\"room\">>, whereis(p2))")
        const second = yield* pidInErlang(a, erl, "p2")
        assert.deepStrictEqual(yield* eventually(membersOn(a, "room"), sorted([here, second])), sorted([here, second]))
        // The members are usable: a message to all of them.
        yield* a.run(Process.kill(here))
        yield* both([there])
        yield* erl.eval("p1 ! {die, normal}")
        yield* both([])
        assert.deepStrictEqual(yield* a.run(ProcessGroup.groups()), ["room"])
      }), 60_000)

    it.effect(
      "a scope of any name; the end of the scope on either side removes its members there",
      () =>
        Effect.gen(function*() {
          const scope = "Elixir.Phoenix.PubSub"
          const a = yield* ours("a@127.0.0.1")
          const erl = yield* withPg("pg2@127.0.0.1", { scope: `'${scope}'` })
          yield* a.run(Node.connect(erl.name))
          const there = yield* pidInErlang(a, erl, "p1")
          yield* erl.eval(`pg:join('${scope}', jobs, whereis(p1))`)
          // The nodes have met before the scope is there.
          yield* a.run(ProcessGroup.start({ scope }))
          assert.deepStrictEqual(yield* eventually(membersOn(a, jobs, { scope }), sorted([there])), sorted([there]))
          const here = yield* a.run(worker)
          yield* a.run(ProcessGroup.join(jobs, here, { scope }))
          assert.deepStrictEqual(
            yield* eventually(membersInErlang(a, erl, jobs, scope), sorted([here, there])),
            sorted([here, there])
          )
          yield* erl.eval(`gen_server:stop('${scope}')`)
          assert.deepStrictEqual(yield* eventually(membersOn(a, jobs, { scope }), sorted([here])), sorted([here]))
          yield* erl.eval(`pg:start('${scope}')`)
          yield* erl.eval(`pg:join('${scope}', jobs, whereis(p2))`)
          const second = yield* pidInErlang(a, erl, "p2")
          // A scope that starts among connected nodes asks them: it is known again, and knows.
          for (const look of [membersOn(a, jobs, { scope }), membersInErlang(a, erl, jobs, scope)]) {
            assert.deepStrictEqual(yield* eventually(look, sorted([here, second])), sorted([here, second]))
          }
          yield* a.run(Process.stop({ name: scope }))
          assert.deepStrictEqual(
            yield* eventually(membersInErlang(a, erl, jobs, scope), sorted([second])),
            sorted([second])
          )
        }),
      60_000
    )

    it.effect("kill -9 of the Erlang node and its return", () =>
      Effect.gen(function*() {
        const a = yield* ours("a@127.0.0.1")
        yield* a.run(ProcessGroup.start())
        const here = yield* a.run(worker)
        yield* a.run(ProcessGroup.join(jobs, here))
        for (let life = 0; life < 3; life++) {
          const erl = yield* withPg("pg3@127.0.0.1")
          yield* erl.eval("pg:join(jobs, [whereis(p1), whereis(p2)])")
          // In turns, from either side.
          if (life % 2 === 0) yield* a.run(Node.connect(erl.name))
          else yield* erl.eval("net_kernel:connect_node('a@127.0.0.1')")
          const there = [yield* pidInErlang(a, erl, "p1"), yield* pidInErlang(a, erl, "p2")]
          const all = sorted([here, ...there])
          assert.deepStrictEqual(yield* eventually(membersOn(a, jobs), all), all)
          assert.deepStrictEqual(yield* eventually(membersInErlang(a, erl, jobs), all), all)
          yield* erl.kill
          assert.deepStrictEqual(yield* eventually(membersOn(a, jobs), sorted([here])), sorted([here]))
        }
      }), 60_000)

    it.effect(
      "monitors hear of the members of other nodes: joins, leaves, the loss of the node",
      () =>
        Effect.gen(function*() {
          const a = yield* ours("a@127.0.0.1")
          const erl = yield* withPg("pg4@127.0.0.1")
          yield* a.run(ProcessGroup.start())
          yield* erl.eval("pg:join(jobs, whereis(p1))")
          yield* a.run(Node.connect(erl.name))
          const [first, second] = [yield* pidInErlang(a, erl, "p1"), yield* pidInErlang(a, erl, "p2")]
          yield* eventually(membersOn(a, jobs), sorted([first]))
          yield* a.run(Process.run(Effect.gen(function*() {
            const { groups } = yield* ProcessGroup.monitor(Option.some(jobs))
            assert.deepStrictEqual(groups.map(([group, pids]) => [String(group), sorted(pids)]), [[
              String(jobs),
              sorted([first])
            ]])
            const next = Effect.map(
              Process.receive(ProcessGroup.ChangeSchema),
              (change) => [change.kind, ...sorted(change.pids)]
            )
            yield* erl.eval("pg:join(jobs, [whereis(p2), whereis(p2)])")
            assert.deepStrictEqual(yield* next, ["join", ...sorted([second, second])])
            yield* erl.eval("pg:leave(jobs, whereis(p2))")
            assert.deepStrictEqual(yield* next, ["leave", ...sorted([second])])
            yield* erl.eval("p1 ! {die, normal}")
            assert.deepStrictEqual(yield* next, ["leave", ...sorted([first])])
            yield* erl.kill
            assert.deepStrictEqual(yield* next, ["leave", ...sorted([second])])
          })))
        }),
      60_000
    )

    it.effect(
      "what newer releases say is understood: a versioned discover, and monitors from other nodes",
      () =>
        Effect.gen(function*() {
          const a = yield* ours("a@127.0.0.1")
          const erl = yield* withPg("pg5@127.0.0.1")
          yield* a.run(ProcessGroup.start())
          const here = yield* a.run(worker)
          yield* a.run(ProcessGroup.join(jobs, here))
          yield* erl.eval("net_kernel:connect_node('a@127.0.0.1')")
          const receive = "(fun() -> receive M -> M after 3000 -> nothing end end)()"
          yield* erl.eval("{pg, 'a@127.0.0.1'} ! {discover, self(), 1}")
          assert.match(yield* erl.eval(receive), /^\{'\$gen_cast',\{sync,<[0-9.]+>,\[\{jobs,\[<[0-9.]+>\]\}\]\}\}$/)
          assert.match(yield* erl.eval(receive), /^\{discover,<[0-9.]+>\}$/)
          // Known now: it is told what changes, once.
          yield* a.run(ProcessGroup.join(jobs, here))
          assert.match(yield* erl.eval(receive), /^\{join,<[0-9.]+>,jobs,\[<[0-9.]+>\]\}$/)
          yield* a.run(ProcessGroup.leave(jobs, here))
          assert.match(yield* erl.eval(receive), /^\{leave,<[0-9.]+>,\[<[0-9.]+>\],\[jobs\]\}$/)
          const pg = "{pg, 'a@127.0.0.1'}"
          // One join of a single pid, as old releases send it.
          yield* erl.eval(`${pg} ! {join, self(), other, self()}`)
          assert.strictEqual(yield* eventually(Effect.map(membersOn(a, Atom.make("other")), (all) => all.length), 1), 1)
          yield* erl.eval(`${pg} ! {leave, self(), self(), [other]}`)
          assert.strictEqual(yield* eventually(Effect.map(membersOn(a, Atom.make("other")), (all) => all.length), 0), 0)
          assert.strictEqual(
            yield* erl.eval(`begin {Ref, Here} = gen_server:call(${pg}, {monitor, jobs}), length(Here) end`),
            "1"
          )
          assert.strictEqual(
            yield* erl.eval(`begin {_, All} = gen_server:call(${pg}, monitor), maps:keys(All) end`),
            "[jobs]"
          )
          yield* a.run(Process.kill(here))
          const told = yield* Effect.all([erl.eval(receive), erl.eval(receive), erl.eval(receive)])
          assert.lengthOf(
            told.filter((line) => /^\{#Ref<[0-9.]+>,leave,jobs,\[<[0-9.]+>\]\}$/.test(line)),
            2,
            told.join()
          )
          assert.lengthOf(
            told.filter((line) => /^\{leave,<[0-9.]+>,\[<[0-9.]+>\],\[jobs\]\}$/.test(line)),
            1,
            told.join()
          )
          assert.strictEqual(yield* erl.eval(`gen_server:call(${pg}, {demonitor, Ref})`), "ok")
          assert.strictEqual(yield* erl.eval(`gen_server:call(${pg}, {demonitor, Ref})`), "false")
          // What it does not understand does not hurt it.
          yield* erl.eval(`[${pg} ! M || M <- [nonsense, {join, a, b, c}, {discover, 1}, {leave, self(), 7, [jobs]}]]`)
          yield* erl.eval(`gen_server:cast(${pg}, {sync, self(), [not_a_group]})`)
          assert.deepStrictEqual(yield* membersOn(a, jobs), [])
        }),
      60_000
    )

    it.effect(
      "more joins and leaves in a burst than a mailbox usually holds are all told",
      () =>
        Effect.gen(function*() {
          const a = yield* ours("a@127.0.0.1")
          const erl = yield* withPg("pg7@127.0.0.1")
          yield* a.run(ProcessGroup.start())
          yield* a.run(Node.connect(erl.name))
          const there = yield* pidInErlang(a, erl, "p1")
          yield* erl.eval("pg:join(jobs, whereis(p1))")
          yield* eventually(membersOn(a, jobs), sorted([there]))
          yield* erl.eval("begin P1 = whereis(p1), [pg:join(N, P1) || N <- lists:seq(1, 60000)], ok end")
          yield* erl.eval("begin [pg:leave(N, P1) || N <- lists:seq(60000, 11, -1)], ok end")
          const count = Effect.map(a.run(ProcessGroup.groups()), (groups) => groups.length)
          assert.strictEqual(yield* eventually(count, 11, 20_000), 11)
        }),
      60_000
    )

    it.effect("a hidden node is found when one asks for the other", () =>
      Effect.gen(function*() {
        const a = yield* ours("a@127.0.0.1")
        const hidden = yield* ours("hidden@127.0.0.1", { hidden: true })
        yield* a.run(ProcessGroup.start())
        yield* hidden.run(ProcessGroup.start())
        const here = yield* a.run(worker)
        yield* a.run(ProcessGroup.join("g", here))
        yield* a.run(Node.connect(hidden.name))
        yield* a.run(ProcessGroup.discover(hidden.name))
        assert.deepStrictEqual(yield* eventually(membersOn(hidden, "g"), sorted([here])), sorted([here]))
        const there = yield* hidden.run(worker)
        yield* hidden.run(ProcessGroup.join("g", there))
        assert.deepStrictEqual(yield* eventually(membersOn(a, "g"), sorted([here, there])), sorted([here, there]))
      }), 60_000)

    it.effect(
      "random joins, leaves, deaths and cuts on three nodes converge to one membership",
      () =>
        Effect.gen(function*() {
          const a = yield* ours("a@127.0.0.1")
          const b = yield* ours("b@127.0.0.1")
          const erl = yield* withPg("pg6@127.0.0.1")
          const nodes = [a, b]
          for (const node of nodes) yield* node.run(ProcessGroup.start())
          const connectAll = Effect.gen(function*() {
            yield* a.run(Node.connect(b.name))
            yield* a.run(Node.connect(erl.name))
            yield* b.run(Node.connect(erl.name))
          })
          yield* connectAll
          const groups = ["g1", "g2", "g3"]
          for (const seed of [1, 2, 3, 4, 5, 6]) {
            const random = makeRandom(seed)
            const pick = <A>(all: ReadonlyArray<A>): A => all[Math.floor(random() * all.length)]!
            // What each process should be in: group by process.
            const model = new Map<string, Array<string>>(groups.map((group) => [group, []]))
            const own: Array<{ readonly node: Member; readonly pid: Pid.Pid }> = []
            for (const node of nodes) for (let i = 0; i < 3; i++) own.push({ node, pid: yield* node.run(worker) })
            const spawnErl = Effect.gen(function*() {
              yield* erl.eval("begin (catch unregister(victim)), register(victim, spawn(fun dist_server:plain/0)) end")
              return yield* pidInErlang(a, erl, "victim")
            })
            const theirs: Array<{ readonly name: string; readonly pid: Pid.Pid }> = []
            for (let i = 0; i < 3; i++) {
              const pid = yield* spawnErl
              yield* erl.eval(`begin P${seed}_${i} = whereis(victim), ok end`)
              theirs.push({ name: `P${seed}_${i}`, pid })
            }
            const key = (pid: Pid.Pid): string => sorted([pid])[0]!
            const drop = (pid: Pid.Pid): void => {
              for (const [group, keys] of model) model.set(group, keys.filter((other) => other !== key(pid)))
            }
            for (let step = 0; step < 60; step++) {
              const group = pick(groups)
              const keys = model.get(group)!
              const dice = random()
              if (dice < 0.05) {
                yield* pick(nodes).run(Node.disconnect(pick([a.name, b.name, erl.name])))
              } else if (dice < 0.1) yield* connectAll
              else if (dice < 0.55) {
                const who = pick(own)
                if (dice < 0.16) {
                  yield* who.node.run(Process.kill(who.pid))
                  own.splice(own.indexOf(who), 1, { node: who.node, pid: yield* who.node.run(worker) })
                  drop(who.pid)
                } else if (dice < 0.3 && keys.includes(key(who.pid))) {
                  yield* who.node.run(ProcessGroup.leave(Atom.make(group), who.pid))
                  keys.splice(keys.indexOf(key(who.pid)), 1)
                } else {
                  yield* who.node.run(ProcessGroup.join(Atom.make(group), [who.pid, who.pid]))
                  keys.push(key(who.pid), key(who.pid))
                }
              } else {
                const who = pick(theirs)
                if (dice < 0.6 && theirs.length > 1) {
                  yield* erl.eval(`begin exit(${who.name}, kill), timer:sleep(1) end`)
                  theirs.splice(theirs.indexOf(who), 1)
                  drop(who.pid)
                } else if (dice < 0.75 && keys.includes(key(who.pid))) {
                  assert.strictEqual(yield* erl.eval(`pg:leave(${group}, ${who.name})`), "ok")
                  keys.splice(keys.indexOf(key(who.pid)), 1)
                } else {
                  yield* erl.eval(`pg:join(${group}, [${who.name}, ${who.name}])`)
                  keys.push(key(who.pid), key(who.pid))
                }
              }
            }
            yield* connectAll
            for (const group of groups) {
              const expected = [...model.get(group)!].sort()
              for (
                const look of [
                  membersOn(a, Atom.make(group)),
                  membersOn(b, Atom.make(group)),
                  membersInErlang(a, erl, Atom.make(group))
                ]
              ) {
                assert.deepStrictEqual(yield* eventually(look, expected), expected, `seed ${seed}, ${group}`)
              }
            }
            for (const { node, pid } of own) yield* node.run(Process.kill(pid))
            for (const { name } of theirs) yield* erl.eval(`exit(${name}, kill)`)
          }
        }),
      60_000
    )
  })
})
