import { useEffect, useState } from "react";

export default function Stopwatch() {
  const [seconds, setSeconds] = useState(0);
  const [running, setRunning] = useState(false);

  useEffect(() => {
    if (!running) return undefined;
    const tick = setInterval(() => setSeconds((n) => n + 1), 1000);
    return () => clearInterval(tick);
  }, [running]);

  const shown = `${String(Math.floor(seconds / 60)).padStart(2, "0")}:${String(seconds % 60).padStart(2, "0")}`;
  return (
    <div className="flex flex-col items-center gap-4 p-8">
      <h1 className="text-2xl font-bold">Stopwatch</h1>
      <p className="text-6xl tabular-nums">{shown}</p>
      <button type="button" onClick={() => setRunning((on) => !on)}>{running ? "Pause" : "Start"}</button>
      <button type="button" onClick={() => setSeconds(0)}>Reset</button>
    </div>
  );
}
