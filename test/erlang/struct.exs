# The Elixir side of the struct test. Reads records (length in 32 bits, bytes) of Shop.User structs, checks that they are
# structs, and writes each back a year older, as `{:ok, user}`.
defmodule Shop.User do
  defstruct name: "", age: 0, email: nil, tags: []
end

[input, output] = System.argv()
records = for <<size::32, record::binary-size(size) <- File.read!(input)>>, do: record

answers =
  for record <- records do
    %{__struct__: Shop.User} = user = :erlang.binary_to_term(record)
    # A struct has all of its keys and no others.
    true = user == struct!(Shop.User, Map.from_struct(user))
    bytes = :erlang.term_to_binary({:ok, Map.put(user, :age, user.age + 1)})
    <<byte_size(bytes)::32, bytes::binary>>
  end

File.write!(output, answers)
