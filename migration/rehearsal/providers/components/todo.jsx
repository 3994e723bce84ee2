import { useState } from "react";

export default function TodoList() {
  const [items, setItems] = useState([]);
  const [text, setText] = useState("");

  function add(event) {
    event.preventDefault();
    const title = text.trim();
    if (title === "") return;
    setItems((old) => [...old, { id: old.length + 1, title, done: false }]);
    setText("");
  }

  function toggle(id) {
    setItems((old) => old.map((item) => item.id === id ? { ...item, done: !item.done } : item));
  }

  const left = items.filter((item) => !item.done).length;
  return (
    <main className="mx-auto max-w-md p-8">
      <h1 className="text-2xl font-bold">Todo list</h1>
      <form onSubmit={add} className="my-4 flex gap-2">
        <input value={text} onChange={(event) => setText(event.target.value)} placeholder="What next?" />
        <button type="submit">Add</button>
      </form>
      <ul>
        {items.map((item) => (
          <li key={item.id}>
            <label className={item.done ? "line-through" : ""}>
              <input type="checkbox" checked={item.done} onChange={() => toggle(item.id)} />
              {item.title}
            </label>
          </li>
        ))}
      </ul>
      <p>{left} left</p>
    </main>
  );
}
