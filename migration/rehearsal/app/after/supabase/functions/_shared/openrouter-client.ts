import { ProviderError } from "./errors.ts";
import type { Log } from "./log.ts";
import { pause, setting } from "./settings.ts";

const ENDPOINT = "https://openrouter.ai/api/v1/chat/completions";
const ATTEMPTS = 3;
const LONGEST_WAIT = 20_000;
const TRANSIENT = new Set([408, 429, 500, 502, 503, 504, 524, 529]);
// USD per million tokens, only for answers that do not name their own cost.
const PRICE = { input: 0.60, cached: 0.15, output: 2.50 };

export interface Message {
  role: "system" | "user" | "assistant";
  content: string;
}

interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  cost?: number | null;
  prompt_tokens_details?: { cached_tokens?: number | null } | null;
}

interface Failure {
  code?: number | string;
  message?: string;
}

interface Completion {
  model?: string;
  choices?: {
    finish_reason?: string | null;
    message?: { content?: string | { text?: string }[] | null } | null;
    error?: Failure;
  }[];
  usage?: Usage;
  error?: Failure;
}

/** A failure and how long OpenRouter asked us to wait before the next try, null when it did not say. */
class Attempt extends ProviderError {
  waitMs: number | null = null;
}

/**
 * The text of one completion by Kimi K2-Thinking. At most three attempts, all of them within the deadline, which ends
 * before the platform gives up on the function (150 s without an answer). Throws ProviderError.
 */
export async function callKimi(messages: Message[], log: Log): Promise<string> {
  const key = Deno.env.get("OPENROUTER_K2T_KEY");
  if (!key) throw new ProviderError("NOT_CONFIGURED", "OPENROUTER_K2T_KEY not configured", { status: 500 });
  log.info("🤖 Routing to Kimi K2-Thinking via OpenRouter");
  const end = performance.now() + setting("OPENROUTER_DEADLINE_MS", 140_000);
  for (let attempt = 1;; attempt++) {
    try {
      return await complete(key, messages, end - performance.now(), log);
    } catch (error) {
      const wait = error instanceof Attempt ? waitBefore(attempt, error) : null;
      if (wait === null || performance.now() + wait >= end) throw error;
      log.warn(`🔁 Retrying in ${Math.round(wait)} ms, ${attempt} of ${ATTEMPTS - 1}: ${(error as Error).message}`);
      await pause(wait);
    }
  }
}

/** Milliseconds to wait after a failed attempt; null when another one is not allowed or makes no sense. */
function waitBefore(attempt: number, failure: Attempt): number | null {
  if (attempt === ATTEMPTS || !failure.retryable) return null;
  if (failure.waitMs !== null) return failure.waitMs <= LONGEST_WAIT ? failure.waitMs : null;
  const most = Math.min(setting("OPENROUTER_RETRY_BASE_MS", 1000) * 2 ** (attempt - 1), LONGEST_WAIT);
  return most / 2 + Math.random() * most / 2;
}

async function complete(key: string, messages: Message[], left: number, log: Log): Promise<string> {
  const { answer, text } = await send(key, messages, Math.min(left, setting("OPENROUTER_TIMEOUT_MS", 60_000)));
  const body = parse(text);
  // Tokens of a useless answer are billed like any other: log them before judging the answer.
  if (body?.model) log.info(`🧠 Answered by ${body.model}`);
  if (body?.usage) logUsage(body.usage, log);
  if (!answer.ok) throw refused(answer.status, body?.error, answer.headers.get("Retry-After"));
  return contentOf(body);
}

async function send(key: string, messages: Message[], timeout: number): Promise<{ answer: Response; text: string }> {
  try {
    const answer = await fetch(ENDPOINT, {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${key}` },
      body: JSON.stringify({
        model: Deno.env.get("OPENROUTER_MODEL") || "moonshotai/kimi-k2-thinking",
        messages,
        // Thinking is paid from the same budget: with less, it can eat all of it and leave no answer.
        max_tokens: setting("OPENROUTER_MAX_TOKENS", 16_000),
        temperature: 1,
      }),
      signal: AbortSignal.timeout(Math.round(timeout)),
    });
    return { answer, text: await answer.text() };
  } catch (error) {
    if (error instanceof DOMException && error.name === "TimeoutError") {
      throw new Attempt("PROVIDER_TIMEOUT", "OpenRouter did not answer in time", { status: 504, retryable: true });
    }
    throw new Attempt("PROVIDER_UNREACHABLE", `OpenRouter cannot be reached: ${error}`, { retryable: true });
  }
}

function parse(text: string): Completion | null {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** What a failure means to our caller: overload stays 503, a dead key or spent credit is our own fault: 502. */
function refused(status: number, failure: Failure | undefined, retryAfter: string | null = null): Attempt {
  const message = `OpenRouter ${status}: ${failure?.message ?? "no message"}`;
  const retryable = TRANSIENT.has(status);
  const attempt = new Attempt(codeFor(status, message), message, {
    status: retryable ? 503 : 502,
    providerStatus: status,
    retryable,
  });
  attempt.waitMs = parseWait(retryAfter);
  return attempt;
}

function codeFor(status: number, message: string): string {
  if (status === 401) return "PROVIDER_KEY";
  if (status === 402 || (status === 403 && /limit exceeded/i.test(message))) return "PROVIDER_CREDIT";
  return TRANSIENT.has(status) ? "PROVIDER_OVERLOADED" : "PROVIDER_REFUSED";
}

/** Retry-After holds seconds or a date. */
function parseWait(value: string | null): number | null {
  if (!value) return null;
  const wait = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(wait) ? Math.max(wait, 0) : null;
}

/** The text of a 200 answer, which may still hold an error, nothing at all, or only thoughts. */
function contentOf(body: Completion | null): string {
  const choice = body?.choices?.[0];
  const failure = body?.error ?? choice?.error;
  if (failure || choice?.finish_reason === "error") throw refused(Number(failure?.code) || 502, failure);
  const content = choice?.message?.content;
  const text = Array.isArray(content) ? content.map((part) => part.text ?? "").join("") : content ?? "";
  if (text.trim() !== "") return text;
  const reason = body ? choice?.finish_reason ?? "no choices" : "no JSON";
  throw new Attempt("BAD_ANSWER", `OpenRouter answered without content: ${reason}`, { retryable: true });
}

function logUsage(usage: Usage, log: Log): void {
  const cached = usage.prompt_tokens_details?.cached_tokens;
  log.info("💰 Token usage:", {
    input: usage.prompt_tokens,
    output: usage.completion_tokens,
    total: usage.total_tokens,
    ...(typeof cached === "number" ? { cached } : {}),
    estimatedCost: `$${(usage.cost ?? priced(usage, cached ?? 0)).toFixed(4)}`,
  });
}

function priced(usage: Usage, cached: number): number {
  const input = (usage.prompt_tokens - cached) * PRICE.input + cached * PRICE.cached;
  return (input + usage.completion_tokens * PRICE.output) / 1_000_000;
}
