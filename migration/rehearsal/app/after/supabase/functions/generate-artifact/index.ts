import { artifactType, extractArtifact } from "../_shared/artifact.ts";
import { findUser } from "../_shared/auth.ts";
import { endpoint, text } from "../_shared/http.ts";
import { callKimi } from "../_shared/openrouter-client.ts";
import { artifactPrompt } from "../_shared/prompts.ts";

const LONGEST_PROMPT = 10_000;

Deno.serve(endpoint(async (input, request, log) => {
  const prompt = text(input, "prompt", LONGEST_PROMPT);
  const type = artifactType(input, "artifactType");
  const user = await findUser(request);
  log.info(`🎨 Generating a ${type} artifact for ${user ? `user ${user.id}` : "a guest"}`);
  const answer = await callKimi([
    { role: "system", content: artifactPrompt(type) },
    { role: "user", content: prompt },
  ], log);
  const artifactCode = extractArtifact(answer, type, prompt);
  log.info(`✅ Extracted artifact from Kimi, length: ${artifactCode.length} characters`);
  return { success: true, artifactCode };
}));
