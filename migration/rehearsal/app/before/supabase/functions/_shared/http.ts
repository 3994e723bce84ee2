import { Refusal } from "./errors.ts";
import { type Log, startLog } from "./log.ts";

const CORS = {
  "Access-Control-Allow-Origin": "*",
  "Access-Control-Allow-Headers": "authorization, x-client-info, apikey, content-type",
  "Access-Control-Allow-Methods": "POST, OPTIONS",
  "Access-Control-Expose-Headers": "x-request-id",
};

/** What a function does with one JSON request: the body of its 200 answer, or a Refusal thrown. */
export type Handler = (input: Record<string, unknown>, request: Request, log: Log) => Promise<Record<string, unknown>>;

/** Wraps a handler with what every function needs: preflight, method check, JSON, request id, errors as JSON. */
export function endpoint(handler: Handler): (request: Request) => Promise<Response> {
  return async (request) => {
    if (request.method === "OPTIONS") return new Response("ok", { headers: CORS });
    const log = startLog();
    try {
      if (request.method !== "POST") throw new Refusal(405, "METHOD_NOT_ALLOWED", "Use POST");
      return answer(200, await handler(await readObject(request), request, log), log);
    } catch (error) {
      return refuse(error, log);
    }
  };
}

async function readObject(request: Request): Promise<Record<string, unknown>> {
  try {
    const input = await request.json();
    if (input !== null && typeof input === "object" && !Array.isArray(input)) return input;
  } catch {
    // Falls through: a body that is no JSON and one that is no object are the same mistake.
  }
  throw new Refusal(400, "INVALID_BODY", "The body must be a JSON object");
}

function refuse(error: unknown, log: Log): Response {
  if (!(error instanceof Refusal)) {
    log.error("❌ Unexpected error:", error);
    return answer(500, { success: false, code: "INTERNAL", error: "Internal error" }, log);
  }
  // The caller's own mistakes are no errors of this service.
  if (error.status < 500) log.warn(`⚠️ Refused: ${error.message}`);
  else log.error(`❌ Failed: ${error.message}`);
  return answer(error.status, { success: false, code: error.code, error: error.message }, log);
}

function answer(status: number, body: Record<string, unknown>, log: Log): Response {
  return Response.json({ ...body, requestId: log.requestId }, {
    status,
    headers: { ...CORS, "x-request-id": log.requestId },
  });
}

/** A required text field, trimmed; 400 when it is missing, empty or longer than `most` characters. */
export function text(input: Record<string, unknown>, name: string, most: number): string {
  const value = input[name];
  if (typeof value !== "string" || value.trim() === "") {
    throw new Refusal(400, "INVALID_INPUT", `${name} must be a non-empty text`);
  }
  if (value.length > most) throw new Refusal(400, "INVALID_INPUT", `${name} is longer than ${most} characters`);
  return value.trim();
}
