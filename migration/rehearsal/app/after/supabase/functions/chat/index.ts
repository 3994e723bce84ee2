import { Refusal } from "../_shared/errors.ts";
import { callGeminiForText, type Content, MODELS } from "../_shared/gemini-client.ts";
import { endpoint, text } from "../_shared/http.ts";
import { CHAT_PROMPT } from "../_shared/prompts.ts";

const LONGEST_MESSAGE = 10_000;
const LONGEST_HISTORY = 50;

Deno.serve(endpoint(async (input, _request, log) => {
  const message = text(input, "message", LONGEST_MESSAGE);
  const contents = [...history(input.history), { role: "user" as const, parts: [{ text: message }] }];
  log.info(`💬 Chat, ${contents.length} turns`);
  const reply = await callGeminiForText(MODELS.flash(), {
    systemInstruction: { parts: [{ text: CHAT_PROMPT }] },
    contents,
  }, log);
  return { success: true, reply };
}));

/** Earlier turns as the browser keeps them: [{role: "user" | "assistant", content}]. */
function history(value: unknown): Content[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new Refusal(400, "INVALID_INPUT", "history must be a list");
  return value.slice(-LONGEST_HISTORY).map((entry) => ({
    role: entry?.role === "assistant" ? "model" as const : "user" as const,
    parts: [{ text: text(entry ?? {}, "content", LONGEST_MESSAGE) }],
  }));
}
