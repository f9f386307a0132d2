# Evaluates expressions from standard input, one per line, each in the same bindings; prints `=> result` for each. The
# Elixir side of tests of the distribution: a GenServer with the messages of the protocol `Counter`, and a struct.
defmodule Shop.User do
  defstruct [:name, :age]
end

defmodule DistServer do
  use GenServer

  def init(count), do: {:ok, count}
  def handle_call({:add, n}, _from, count) when count + n > 100, do: {:reply, {:error, {:overflow, %{max: 100}}}, count}
  def handle_call({:add, n}, _from, count), do: {:reply, {:ok, count + n}, count + n}
  def handle_call(:get, _from, count), do: {:reply, count, count}
  def handle_call({:older, user}, _from, count), do: {:reply, %{user | age: user.age + 1}, count}
  def handle_cast(:reset, _count), do: {:noreply, 0}
  def handle_info(_, count), do: {:noreply, count}
end

defmodule Loop do
  def run(bindings) do
    case IO.gets("") do
      line when is_binary(line) ->
        bindings =
          try do
            {value, bindings} = Code.eval_string(line, bindings)
            IO.puts("=> " <> inspect(value, limit: :infinity))
            bindings
          catch
            kind, reason ->
              IO.puts("=> caught " <> inspect({kind, reason}))
              bindings
          end

        run(bindings)

      _ ->
        System.halt()
    end
  end
end

IO.puts("=> ready")
Loop.run([])
