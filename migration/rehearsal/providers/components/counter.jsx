import { useState } from "react";

export default function Counter() {
  const [count, setCount] = useState(0);
  return (
    <div className="flex flex-col items-center gap-4 p-8">
      <h1 className="text-2xl font-bold">Counter</h1>
      <p className="text-6xl tabular-nums" aria-live="polite">{count}</p>
      <div className="flex gap-2">
        <button type="button" onClick={() => setCount((n) => n - 1)}>Decrement</button>
        <button type="button" onClick={() => setCount(0)}>Reset</button>
        <button type="button" onClick={() => setCount((n) => n + 1)}>Increment</button>
      </div>
    </div>
  );
}
