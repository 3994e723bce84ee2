import { useState } from "react";

export default function Card() {
  const [open, setOpen] = useState(false);
  return (
    <article className="mx-auto max-w-md rounded border p-8">
      <h1 className="text-2xl font-bold">{"TITLE"}</h1>
      <button type="button" onClick={() => setOpen((shown) => !shown)}>{open ? "Less" : "More"}</button>
      {open && <p>Made to order.</p>}
    </article>
  );
}
