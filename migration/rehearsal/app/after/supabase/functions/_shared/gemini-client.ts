import { ProviderError } from "./errors.ts";
import type { Log } from "./log.ts";
import { setting } from "./settings.ts";

const BASE = "https://generativelanguage.googleapis.com/v1beta/models";

/** Model ids are configuration: Google retires them within months. */
export const MODELS = {
  pro: () => Deno.env.get("GEMINI_PRO_MODEL") || "gemini-2.5-pro",
  flash: () => Deno.env.get("GEMINI_FLASH_MODEL") || "gemini-3.6-flash",
  image: () => Deno.env.get("GEMINI_IMAGE_MODEL") || "gemini-3.1-flash-image",
};

export interface Part {
  text?: string;
  inlineData?: { mimeType: string; data: string };
}

export interface Content {
  role: "user" | "model";
  parts: Part[];
}

export interface GeminiRequest {
  systemInstruction?: { parts: Part[] };
  contents: Content[];
  generationConfig?: Record<string, unknown>;
}

interface GeminiAnswer {
  candidates?: { finishReason?: string; content?: { parts?: Part[] } }[];
  promptFeedback?: { blockReason?: string };
  error?: GeminiFailure;
}

interface GeminiFailure {
  message?: string;
  details?: { violations?: { quotaId?: string }[] }[];
}

let turn = Math.floor(Math.random() * 10);

/** The next key of the pool, in turn over those of GOOGLE_KEY_1 to GOOGLE_KEY_10 that are set. */
function nextKey(): { name: string; key: string; size: number } {
  const pool = Array.from({ length: 10 }, (_, index) => `GOOGLE_KEY_${index + 1}`)
    .map((name) => ({ name, key: Deno.env.get(name) ?? "" }))
    .filter(({ key }) => key !== "");
  if (pool.length === 0) {
    throw new ProviderError("NOT_CONFIGURED", "GOOGLE_KEY_1 to GOOGLE_KEY_10 not configured", { status: 500 });
  }
  turn = (turn + 1) % pool.length;
  return { ...pool[turn], size: pool.length };
}

/** One call of `model`, without retries: the parts of its answer. Throws ProviderError. */
export async function callGemini(model: string, request: GeminiRequest, log: Log): Promise<Part[]> {
  const { name, key, size } = nextKey();
  log.info(`🔑 Using ${name} (${size} in the pool) for ${model}`);
  const answer = await send(model, key, request);
  const body: GeminiAnswer = await answer.json().catch(() => ({}));
  if (!answer.ok) throw refused(answer.status, body.error ?? {});
  return accepted(body);
}

/** The whole text of one call. */
export async function callGeminiForText(model: string, request: GeminiRequest, log: Log): Promise<string> {
  const parts = await callGemini(model, request, log);
  const text = parts.map((part) => part.text ?? "").join("");
  if (text.trim() === "") throw new ProviderError("BAD_ANSWER", "Gemini answered without text");
  return text;
}

async function send(model: string, key: string, request: GeminiRequest): Promise<Response> {
  try {
    return await fetch(`${BASE}/${encodeURIComponent(model)}:generateContent`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "x-goog-api-key": key },
      body: JSON.stringify(request),
      signal: AbortSignal.timeout(setting("GEMINI_TIMEOUT_MS", 90_000)),
    });
  } catch (error) {
    const late = error instanceof DOMException && error.name === "TimeoutError";
    if (late) throw new ProviderError("PROVIDER_TIMEOUT", "Gemini did not answer in time", { status: 504 });
    throw new ProviderError("PROVIDER_UNREACHABLE", `Gemini cannot be reached: ${error}`);
  }
}

function refused(status: number, failure: GeminiFailure): ProviderError {
  const overloaded = status === 429 || status === 503;
  return new ProviderError(
    overloaded ? "PROVIDER_OVERLOADED" : "PROVIDER_REFUSED",
    `Gemini ${status}: ${failure.message ?? "no message"}`,
    { status: overloaded ? status : 502, providerStatus: status, retryable: overloaded && !spent(failure) },
  );
}

/** A daily quota comes back tomorrow, and money not at all: the short delay that Google names beside it misleads. */
function spent(failure: GeminiFailure): boolean {
  const quotas = failure.details?.flatMap((detail) => detail.violations ?? []) ?? [];
  return quotas.some((quota) => quota.quotaId?.includes("PerDay")) ||
    /credits are depleted/.test(failure.message ?? "");
}

function accepted(body: GeminiAnswer): Part[] {
  const candidate = body.candidates?.[0];
  if (!candidate) {
    const reason = body.promptFeedback?.blockReason ?? "no candidates";
    throw new ProviderError("PROVIDER_BLOCKED", `Gemini blocked the prompt: ${reason}`);
  }
  const parts = candidate.content?.parts ?? [];
  if (candidate.finishReason !== "STOP" || parts.length === 0) {
    throw new ProviderError(
      "BAD_ANSWER",
      `Gemini gave no usable answer: ${candidate.finishReason ?? "no finish reason"}`,
    );
  }
  return parts;
}
