import { ARTIFACT_TYPES, type ArtifactType } from "./artifact.ts";

const RULES: Record<ArtifactType, string> = {
  react: "one self-contained React component in TypeScript or JavaScript with a default export, styled with Tailwind " +
    "classes. Import from react and lucide-react only.",
  html: "one complete HTML document with its styles and scripts inline.",
  svg: "one SVG drawing with a viewBox.",
};

export function artifactPrompt(type: ArtifactType): string {
  return "You write small web artifacts. Answer with exactly one artifact and no other text:\n" +
    `<artifact type="${ARTIFACT_TYPES[type]}" title="A short title">\n…the code…\n</artifact>\n` +
    `The code is ${RULES[type]}`;
}

export function fixPrompt(type: ArtifactType): string {
  return "You repair web artifacts that fail to run. Answer with the whole corrected code only, " +
    `without explanations and without code fences. The code is ${RULES[type]}`;
}

export function fixRequest(code: string, errorMessage: string): string {
  return `The error:\n${errorMessage}\n\nThe code:\n${code}`;
}

export const CHAT_PROMPT = "You are the assistant of an artifact studio. Answer briefly and to the point.";
