/** The project that the page talks to: config.json says where it is, as a build would bake it in. */
const config = fetch("config.json").then((answer) => {
  if (!answer.ok) throw new Error("config.json is missing: it holds supabaseUrl and supabaseAnonKey");
  return answer.json();
});

const STORED = "artifact-studio.session";

/** What the person sees when a call fails; `status` is 0 without an answer. */
export class CallError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export function session() {
  const stored = JSON.parse(localStorage.getItem(STORED) ?? "null");
  return stored?.access_token ? stored : null;
}

export function signOut() {
  localStorage.removeItem(STORED);
}

export async function signIn(email, password) {
  const { supabaseUrl, supabaseAnonKey } = await config;
  const answer = await send(`${supabaseUrl}/auth/v1/token?grant_type=password`, supabaseAnonKey, { email, password });
  localStorage.setItem(STORED, JSON.stringify({ access_token: answer.access_token, user: answer.user?.id }));
}

/** The body of a function's answer. Guests call with the anonymous key. Throws CallError. */
export async function call(slug, body) {
  const { supabaseUrl, supabaseAnonKey } = await config;
  const token = session()?.access_token ?? supabaseAnonKey;
  return await send(`${supabaseUrl}/functions/v1/${slug}`, supabaseAnonKey, body, token);
}

async function send(url, apikey, body, token = apikey) {
  let answer;
  try {
    answer = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json", apikey, Authorization: `Bearer ${token}` },
      body: JSON.stringify(body),
    });
  } catch {
    throw new CallError(0, "The service cannot be reached. Check your connection and try again.");
  }
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new CallError(answer.status, words(answer.status, found));
  return found;
}

function words(status, found) {
  if (status === 401) return "Your session has expired. Sign in again.";
  if (status === 503) return "The model is overloaded. Try again in a moment. (503)";
  return `${found.error ?? found.msg ?? found.message ?? "Something went wrong"} (${status})`;
}
