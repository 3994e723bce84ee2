import { GUEST } from "./support.ts";

/** Answers of OpenRouter as they come over the wire. */
export const KIMI = { ...GUEST, OPENROUTER_K2T_KEY: "sk-or-v1-test", OPENROUTER_RETRY_BASE_MS: "1" };

export const USAGE = { prompt_tokens: 1234, completion_tokens: 567, total_tokens: 1801, cost: 0.00184 };

export function completion(content: unknown, usage: Record<string, unknown> | null = USAGE): Response {
  return Response.json({ choices: [{ finish_reason: "stop", message: { content } }], ...(usage ? { usage } : {}) });
}

export function failure(status: number, message: string, headers: Record<string, string> = {}): Response {
  return Response.json({ error: { code: status, message } }, { status, headers });
}
