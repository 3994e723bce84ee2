/** Runs the functions without a network: `Deno.serve` and `fetch` are replaced, console lines are kept. */

export type Handler = (request: Request) => Promise<Response>;

/** Takes the handler that a function hands to Deno.serve. */
export async function load(slug: string): Promise<Handler> {
  const serve = Object.getOwnPropertyDescriptor(Deno, "serve")!;
  let handler: Handler | undefined;
  Object.defineProperty(Deno, "serve", { configurable: true, value: (given: Handler) => handler = given });
  // The fragment makes a module of its own, so that each caller gets a handler.
  await import(`../${slug}/index.ts#${crypto.randomUUID()}`);
  Object.defineProperty(Deno, "serve", serve);
  return handler!;
}

export interface Sent {
  url: string;
  headers: Headers;
  body: Record<string, unknown>;
}

export interface World {
  sent: Sent[];
  lines: string[];
  errors: string[];
}

/** What the outside answers, in turn; the last answer is repeated. A thrown error stands for a lost connection. */
export type Answers = (Response | Error)[];

/** Runs `test` with this environment and these answers, and puts everything back. */
export async function within(
  settings: Record<string, string>,
  answers: Answers,
  test: (world: World) => Promise<void>,
): Promise<void> {
  const world: World = { sent: [], lines: [], errors: [] };
  const real = { fetch: globalThis.fetch, log: console.log, warn: console.warn, error: console.error };
  const print = (...parts: unknown[]) =>
    parts.map((part) => typeof part === "string" ? part : Deno.inspect(part)).join(" ");
  const keep = (lines: string[]) => (...parts: unknown[]) => void lines.push(print(...parts));
  console.log = console.warn = keep(world.lines);
  console.error = keep(world.errors);
  globalThis.fetch = async (target, init) => {
    const request = new Request(target as string, init);
    const text = await request.text();
    world.sent.push({ url: request.url, headers: request.headers, body: text ? JSON.parse(text) : {} });
    const answer = answers[Math.min(world.sent.length, answers.length) - 1];
    if (answer instanceof Error) throw answer;
    return answer.clone();
  };
  const kept = Object.keys(settings).map((name) => [name, Deno.env.get(name)] as const);
  Object.entries(settings).forEach(([name, value]) => Deno.env.set(name, value));
  try {
    await test(world);
  } finally {
    Object.assign(console, { log: real.log, warn: real.warn, error: real.error });
    globalThis.fetch = real.fetch;
    kept.forEach(([name, value]) => value === undefined ? Deno.env.delete(name) : Deno.env.set(name, value));
  }
}

export function post(body: unknown, headers: Record<string, string> = {}): Request {
  return new Request("http://localhost/", { method: "POST", headers, body: JSON.stringify(body) });
}

export function gemini(text: string): Response {
  return Response.json({ candidates: [{ finishReason: "STOP", content: { role: "model", parts: [{ text }] } }] });
}

export function geminiError(status: number, message: string, details: unknown[] = []): Response {
  return Response.json({ error: { code: status, message, details } }, { status });
}

export const ARTIFACT =
  '<artifact type="application/vnd.ant.react" title="Counter">\nexport default () => null;\n</artifact>';
export const GUEST = { GOOGLE_KEY_1: "one", SUPABASE_ANON_KEY: "anon", GEMINI_RETRY_BASE_MS: "1" };
export const MEMBER = { ...GUEST, SUPABASE_URL: "http://project" };
export const USER = Response.json({ id: "user-1", email: "someone@example.com" });
