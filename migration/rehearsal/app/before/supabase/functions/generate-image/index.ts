import { ProviderError } from "../_shared/errors.ts";
import { callGemini, MODELS } from "../_shared/gemini-client.ts";
import { endpoint, text } from "../_shared/http.ts";

const LONGEST_PROMPT = 4_000;

Deno.serve(endpoint(async (input, _request, log) => {
  const prompt = text(input, "prompt", LONGEST_PROMPT);
  log.info("🖼️ Generating an image");
  const parts = await callGemini(MODELS.image(), {
    contents: [{ role: "user", parts: [{ text: prompt }] }],
    generationConfig: { responseModalities: ["IMAGE"] },
  }, log);
  // A text part may stand before the image, and a refusal is text alone.
  const image = parts.find((part) => part.inlineData)?.inlineData;
  if (!image) throw new ProviderError("BAD_ANSWER", "Gemini answered without an image");
  return { success: true, image: `data:${image.mimeType};base64,${image.data}` };
}));
