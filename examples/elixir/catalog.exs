# The catalogue of a shop: an ordinary GenServer, and the struct of its items.
defmodule Shop.Item do
  defstruct [:name, price: 0, tags: []]
end

defmodule Shop.Catalog do
  use GenServer
  alias Shop.Item

  def start, do: GenServer.start(__MODULE__, [], name: :catalog)

  def init(_), do: {:ok, %{"tea" => %Item{name: "tea", price: 350, tags: [:drinks]}}}

  def handle_call({:find, name}, _from, items) do
    case items do
      %{^name => item} -> {:reply, {:ok, item}, items}
      _ -> {:reply, {:error, :not_found}, items}
    end
  end

  def handle_call(:names, _from, items), do: {:reply, Map.keys(items), items}

  def handle_cast({:add, %Item{name: name} = item}, items), do: {:noreply, Map.put(items, name, item)}
end
