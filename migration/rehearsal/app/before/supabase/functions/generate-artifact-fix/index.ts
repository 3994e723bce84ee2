import { artifactType, extractCode } from "../_shared/artifact.ts";
import { requireUser } from "../_shared/auth.ts";
import { callGeminiForText, MODELS } from "../_shared/gemini-client.ts";
import { endpoint, text } from "../_shared/http.ts";
import { fixPrompt, fixRequest } from "../_shared/prompts.ts";

const LONGEST_CODE = 100_000;
const LONGEST_ERROR = 10_000;

Deno.serve(endpoint(async (input, request, log) => {
  const user = await requireUser(request);
  const code = text(input, "content", LONGEST_CODE);
  const errorMessage = text(input, "errorMessage", LONGEST_ERROR);
  const type = artifactType(input, "type");
  log.info(`🔧 Fixing a ${type} artifact for user ${user.id}`);
  const answer = await callGeminiForText(MODELS.pro(), {
    systemInstruction: { parts: [{ text: fixPrompt(type) }] },
    contents: [{ role: "user", parts: [{ text: fixRequest(code, errorMessage) }] }],
    generationConfig: { maxOutputTokens: 16_000 },
  }, log);
  const fixedCode = extractCode(answer);
  log.info(`✅ Extracted fix from Gemini, length: ${fixedCode.length} characters`);
  return { success: true, fixedCode };
}));
