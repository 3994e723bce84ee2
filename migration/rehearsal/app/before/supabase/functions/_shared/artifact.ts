import { ProviderError, Refusal } from "./errors.ts";

export const ARTIFACT_TYPES = {
  react: "application/vnd.ant.react",
  html: "text/html",
  svg: "image/svg+xml",
} as const;

export type ArtifactType = keyof typeof ARTIFACT_TYPES;

/** A required field that names one of the kinds of artifact; 400 for any other. */
export function artifactType(input: Record<string, unknown>, name: string): ArtifactType {
  const value = input[name];
  if (typeof value === "string" && Object.hasOwn(ARTIFACT_TYPES, value)) return value as ArtifactType;
  throw new Refusal(400, "INVALID_INPUT", `${name} must be one of ${Object.keys(ARTIFACT_TYPES).join(", ")}`);
}

const WRAPPED = /<artifact\b([^>]*)>([\s\S]*?)<\/artifact>/;
const FENCED = /```[\w+-]*\n([\s\S]*?)\n?```/;

/**
 * The artifact in a model's answer, with the wrapper that the app expects. Models put code fences inside the wrapper,
 * or leave the wrapper out; what is neither wrapped nor fenced is prose, and no artifact.
 */
export function extractArtifact(answer: string, type: ArtifactType, fallbackTitle: string): string {
  const wrapped = answer.match(WRAPPED);
  const code = wrapped ? unfence(wrapped[2]) : answer.match(FENCED)?.[1].trim();
  if (!code) throw new ProviderError("BAD_ANSWER", "The model's answer holds no artifact");
  const title = wrapped?.[1].match(/\btitle="([^"]+)"/)?.[1] ?? attribute(fallbackTitle);
  return `<artifact type="${ARTIFACT_TYPES[type]}" title="${title}">\n${code}\n</artifact>`;
}

/** The bare code in a model's answer, whatever it was wrapped in. */
export function extractCode(answer: string): string {
  const code = unfence(answer.match(WRAPPED)?.[2] ?? answer);
  if (!code) throw new ProviderError("BAD_ANSWER", "The model's answer holds no code");
  return code;
}

function unfence(code: string): string {
  return (code.match(FENCED)?.[1] ?? code).trim();
}

function attribute(value: string): string {
  const escapes: Record<string, string> = { "&": "&amp;", '"': "&quot;", "<": "&lt;", ">": "&gt;" };
  return value.slice(0, 60).replace(/[&"<>]/g, (character) => escapes[character]);
}
