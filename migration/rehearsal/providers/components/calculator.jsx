import { useState } from "react";

const operations = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "×": (a, b) => a * b,
  "÷": (a, b) => b === 0 ? NaN : a / b,
};

export default function Calculator() {
  const [left, setLeft] = useState("0");
  const [right, setRight] = useState("0");
  const [sign, setSign] = useState("+");
  const result = operations[sign](Number(left), Number(right));
  return (
    <section className="mx-auto max-w-sm p-8">
      <h1 className="text-2xl font-bold">Calculator</h1>
      <input type="number" value={left} onChange={(event) => setLeft(event.target.value)} />
      <select value={sign} onChange={(event) => setSign(event.target.value)}>
        {Object.keys(operations).map((each) => <option key={each} value={each}>{each}</option>)}
      </select>
      <input type="number" value={right} onChange={(event) => setRight(event.target.value)} />
      <output>{Number.isNaN(result) ? "undefined" : result}</output>
    </section>
  );
}
