import { Refusal } from "./errors.ts";

export interface User {
  id: string;
  email?: string;
}

/** The signed-in user of a request, or null for a guest (no token, the anonymous key, an expired token). */
export async function findUser(request: Request): Promise<User | null> {
  const token = request.headers.get("Authorization")?.match(/^Bearer\s+(\S+)$/)?.[1];
  const apikey = Deno.env.get("SUPABASE_ANON_KEY") ?? "";
  if (!token || token === apikey) return null;
  const answer = await fetch(`${Deno.env.get("SUPABASE_URL")}/auth/v1/user`, {
    headers: { apikey, Authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(10_000),
  });
  if (answer.ok) return await answer.json();
  await answer.body?.cancel();
  return null;
}

export async function requireUser(request: Request): Promise<User> {
  const user = await findUser(request);
  if (!user) throw new Refusal(401, "UNAUTHORIZED", "Sign in to use this function");
  return user;
}
