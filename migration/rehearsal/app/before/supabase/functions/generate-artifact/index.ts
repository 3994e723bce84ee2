import { type ArtifactType, artifactType, extractArtifact } from "../_shared/artifact.ts";
import { findUser } from "../_shared/auth.ts";
import { ProviderError } from "../_shared/errors.ts";
import { callGeminiForText, MODELS } from "../_shared/gemini-client.ts";
import { endpoint, text } from "../_shared/http.ts";
import type { Log } from "../_shared/log.ts";
import { artifactPrompt } from "../_shared/prompts.ts";
import { pause, setting } from "../_shared/settings.ts";

const LONGEST_PROMPT = 10_000;
const ATTEMPTS = 2;

Deno.serve(endpoint(async (input, request, log) => {
  const prompt = text(input, "prompt", LONGEST_PROMPT);
  const type = artifactType(input, "artifactType");
  const user = await findUser(request);
  log.info(`🎨 Generating a ${type} artifact for ${user ? `user ${user.id}` : "a guest"}`);
  const answer = await retrying(() => generate(prompt, type, log), log);
  const artifactCode = extractArtifact(answer, type, prompt);
  log.info(`✅ Extracted artifact from Gemini, length: ${artifactCode.length} characters`);
  return { success: true, artifactCode };
}));

function generate(prompt: string, type: ArtifactType, log: Log): Promise<string> {
  return callGeminiForText(MODELS.pro(), {
    systemInstruction: { parts: [{ text: artifactPrompt(type) }] },
    contents: [{ role: "user", parts: [{ text: prompt }] }],
    generationConfig: { maxOutputTokens: 16_000 },
  }, log);
}

/** Tries once more, with the next key, when Gemini is overloaded (503) or the key is out of quota (429). */
async function retrying(call: () => Promise<string>, log: Log): Promise<string> {
  for (let attempt = 1;; attempt++) {
    try {
      return await call();
    } catch (error) {
      if (attempt === ATTEMPTS || !(error instanceof ProviderError && error.retryable)) throw error;
      log.warn(`🔁 Retrying, ${attempt} of ${ATTEMPTS - 1}: ${error.message}`);
      await pause(setting("GEMINI_RETRY_BASE_MS", 1000) * attempt);
    }
  }
}
