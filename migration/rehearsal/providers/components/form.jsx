import { useState } from "react";

export default function ContactForm() {
  const [fields, setFields] = useState({ name: "", email: "" });
  const [sent, setSent] = useState(false);
  const valid = fields.name.trim() !== "" && /^\S+@\S+\.\S+$/.test(fields.email);

  function change(event) {
    const { name, value } = event.target;
    setFields((old) => ({ ...old, [name]: value }));
  }

  function submit(event) {
    event.preventDefault();
    if (valid) setSent(true);
  }

  if (sent) return <p role="status">Thank you, {fields.name}.</p>;
  return (
    <form onSubmit={submit} className="mx-auto grid max-w-md gap-4 p-8">
      <h1 className="text-2xl font-bold">Contact</h1>
      <input name="name" value={fields.name} onChange={change} placeholder="Name" />
      <input name="email" value={fields.email} onChange={change} placeholder="Email" />
      <button type="submit" disabled={!valid}>Send</button>
    </form>
  );
}
