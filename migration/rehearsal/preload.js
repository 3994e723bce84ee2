// Runs before the function's own code: tells the sandbox what the function logs, serves requests over loopback,
// and sends calls to the outside to the local stand-ins. Nothing here is visible to the function but the
// globals that the hosted runtime has too.
import { own, setup } from "./platform.js";
import { AsyncLocalStorage } from "node:async_hooks";

export { inTime, NO_PROCESS, place, refused as blocked, spend } from "./platform.js";

const internals = own.internals;
export const request = new AsyncLocalStorage();
const encoder = new TextEncoder();
const background = new Set();
const LONGEST = 20_000; // more than the platform keeps of a message
let last = 0;
let booted = false;
const open = new Map(); // execution id -> request, from its start until the last byte of its answer is out

for (const name of Object.keys(Deno.env.toObject())) {
  if (!setup.names.includes(name)) Deno.env.delete(name);
}
// What the hosted runtime sets for each worker is set for each request here, because requests share a worker.
Deno.env.get = (name) => (name === "SB_EXECUTION_ID" && current()?.id) || own.env(name);

// The request that code runs for. Some callbacks lose it; while only one is open, it can be no other.
function current() {
  return request.getStore() ?? (open.size === 1 ? open.values().next().value : undefined);
}

// One event is one line on stdout, written at once: what was logged before a crash is not lost.
function tell(event) {
  last = Math.max(performance.timeOrigin + performance.now(), last + 0.001);
  const bytes = encoder.encode(`\x1e${JSON.stringify({ at: last, ...event })}\n`);
  for (let sent = 0; sent < bytes.length;) sent += own.stdout.writeSync(bytes.subarray(sent));
}

export function boot() {
  if (booted) return;
  booted = true;
  tell({ event: "boot" });
  listenForEnd();
}

// Half of a surrogate pair cannot be written as UTF-8.
function kept(text) {
  return text.slice(0, LONGEST).toWellFormed();
}

function log(text, level) {
  boot();
  tell({ event: "log", text: kept(text), level, id: current()?.id });
}

globalThis.console = new internals.Console(log);

// The sandbox holds the other end of stdin open for as long as it lives, and says on it why it will end.
async function listenForEnd() {
  const buffer = new Uint8Array(64);
  const leave = (reason) => dispatchEvent(new CustomEvent("beforeunload", { cancelable: true, detail: { reason } }));
  let warned = false;
  for (let read; (read = await own.stdin.read(buffer).catch(() => null)) !== null;) {
    warned = true;
    leave(new TextDecoder().decode(buffer.subarray(0, read)));
  }
  if (!warned) leave(null);
  await Promise.allSettled([...background]);
  tell({ event: "end", memory: own.memoryUsage() });
  own.exit(0);
}

// An uncaught error ends the request it belongs to, and the worker takes no new one, as if each request
// had an isolate of its own. Without a request to blame, the worker ends.
function uncaught(event, reason, prefix) {
  const store = current();
  const text = `event loop error: ${prefix}${reason?.stack ?? internals.inspectArgs([reason])}`;
  boot();
  tell({ event: "uncaught", text: kept(text), id: store?.id });
  if (!store) return;
  event.preventDefault();
  store.fail();
}

addEventListener("unhandledrejection", (event) => uncaught(event, event.reason, "Uncaught (in promise) "));
addEventListener("error", (event) => uncaught(event, event.error, "Uncaught "));

addEventListener("load", async () => {
  boot();
  const main = await import(setup.main);
  if (!served && typeof main.default?.fetch === "function") Deno.serve((...args) => main.default.fetch(...args));
});

let served = false;

export function listening(port, onListen) {
  served = true;
  const shown = { hostname: "localhost", port: 9999, transport: "tcp" };
  if (onListen) onListen(shown);
  else log(`Listening on http://${shown.hostname}:${shown.port}/\n`, 1);
  tell({ event: "ready", port });
}

Deno.serve = function serve(...args) {
  const options = args.find((arg) => typeof arg === "object" && arg !== null) ?? {};
  const handler = args.find((arg) => typeof arg === "function") ?? options.handler;
  if (typeof handler !== "function") throw new TypeError("A handler function must be provided.");
  boot();
  served = true;
  const onListen = ({ port }) => listening(port, options.onListen);
  return own.serve(
    { hostname: "127.0.0.1", port: 0, signal: options.signal, onListen },
    (raw, info) => answer(raw, info, handler, options.onError ?? failed),
  );
};

function answer(raw, info, handler, onError) {
  const id = raw.headers.get("x-sandbox-execution-id");
  const headers = new Headers(raw.headers);
  headers.delete("x-sandbox-execution-id");
  const { promise: broken, resolve } = Promise.withResolvers();
  const fail = () => resolve(new Response(null, { status: 500, headers: { "x-sandbox-fate": "uncaught" } }));
  const store = { id, fail, trace: traced(headers.get("traceparent")) };
  begin(store, info.completed);
  const shown = new Request(raw, { headers });
  upgraded.set(shown, raw);
  return request.run(store, () => Promise.race([handled(shown, handler, onError), broken]));
}

export function begin(store, completed) {
  open.set(store.id, store);
  beat();
  completed.catch(() => {}).finally(() => {
    open.delete(store.id);
    beat();
  });
}

async function handled(req, handler, onError) {
  try {
    return checked(await handler(req, { remoteAddr: { port: 9999, hostname: "0.0.0.0", transport: "tcp" } }));
  } catch (error) {
    try {
      return checked(await onError(error));
    } catch (late) {
      Promise.reject(late); // an error of the worker, not of the request
      return new Promise(() => {});
    }
  }
}

// https://github.com/supabase/edge-runtime/blob/main/ext/runtime/js/http.js
function checked(response) {
  if (response instanceof Response) return response;
  console.error(
    new TypeError("First argument to 'respondWith' must be a Response or a promise resolving to a Response"),
  );
  return new Response("Bad Gateway", { status: 502 });
}

function failed(error) {
  console.error(error);
  return new Response("Internal Server Error", { status: 500 });
}

// While requests are open, a worker that stops beating is busy in a loop.
function pulse() {
  const { heapUsed, external } = own.memoryUsage();
  tell({ event: "beat", memory: heapUsed + external });
}

let beating;
function beat() {
  clearInterval(beating);
  pulse();
  if (open.size > 0) own.unrefTimer(beating = setInterval(pulse, 200));
}

// A stream's own callbacks run when somebody reads it: they stay with the request that made it.
function bound(callbacks) {
  if (typeof callbacks !== "object" || callbacks === null || !request.getStore()) return callbacks;
  const kept = Object.create(callbacks);
  for (const name of ["start", "pull", "cancel", "transform", "flush", "write", "close", "abort"]) {
    const own = callbacks[name];
    if (typeof own === "function") kept[name] = AsyncLocalStorage.bind((...args) => own.apply(callbacks, args));
  }
  return kept;
}

for (const name of ["ReadableStream", "TransformStream", "WritableStream"]) {
  globalThis[name] = new Proxy(globalThis[name], {
    construct: (target, [callbacks, ...rest], made) => Reflect.construct(target, [bound(callbacks), ...rest], made),
  });
}

// Where a request to this address really goes: undefined as it stands, null nowhere.
export function leads(url) {
  if (!["http:", "https:"].includes(url.protocol) || url.origin === setup.url) return undefined;
  const base = setup.hosts[url.host];
  return base === undefined ? null : base + url.pathname + url.search;
}

globalThis.fetch = function fetch(input, init) {
  const url = new URL(input instanceof Request ? input.url : String(input));
  if (url.protocol === "file:") return fetchFile(url);
  const target = leads(url);
  if (target === null) return refused(url.host);
  const chain = nested(target ?? url);
  if (target === undefined && !chain) return own.fetch(input, init);
  const sent = new Request(target && input instanceof Request ? new Request(target, input) : target ?? input, init);
  for (const [name, value] of Object.entries(chain ?? { "x-sandbox-caller": caller() })) sent.headers.set(name, value);
  const answer = own.fetch(sent, init?.client && { client: init.client });
  return chain ? answer.then(unlimited) : answer;
};

// A function's call of a function belongs to the chain of the request that it serves, and the chain has a limit:
// https://supabase.com/docs/guides/functions/recursive-functions
export function nested(address) {
  const url = new URL(address);
  if (url.origin !== setup.url || !url.pathname.startsWith("/functions/v1/")) return undefined;
  const trace = current()?.trace;
  const parent = trace && `00-${trace}-${crypto.randomUUID().replaceAll("-", "").slice(16)}-01`;
  return { "x-sandbox-chain": trace ?? setup.caller, ...(parent && { traceparent: parent }) };
}

export function traced(parent) {
  const parts = parent?.split("-") ?? [];
  return parts.length >= 4 && parts[1].length === 32 ? parts[1] : undefined;
}

function unlimited(answer) {
  const wait = answer.headers.get("x-sandbox-limited");
  if (wait !== null) throw limited(wait);
  return answer;
}

export function limited(wait) {
  const trace = current()?.trace;
  const text = `Rate limit exceeded for ${trace ? `trace ${trace}` : "function"}. Retry after ${wait}ms.`;
  return new Deno.errors.RateLimitError(text, Number(wait));
}

// The files that can be read can be fetched: vendor/deno_fetch/fs_fetch_handler.rs of edge-runtime.
async function fetchFile(url) {
  try {
    return new Response(await Deno.readFile(url));
  } catch {
    throw new TypeError("NetworkError when attempting to fetch resource");
  }
}

// Who asks, for the row of the request in the logs.
export function caller() {
  return `${setup.caller} ${Deno.env.get("SB_EXECUTION_ID")}`;
}

function refused(host) {
  return Promise.reject(refusal(host));
}

export const sandbox = new URL(setup.url);

// Whether a socket may really be opened: to the sandbox, this worker's own listener, or the local stack's database.
export function reached(host, port) {
  if (setup.database && `${host}:${port}` === setup.database) return true;
  return ["127.0.0.1", "localhost", "::1", "0.0.0.0"].includes(host) && Number(port) !== 5432;
}

// Raw sockets end nowhere: no stand-in speaks what goes over them.
for (const name of ["connect", "connectTls"]) {
  const own = Deno[name];
  Deno[name] = (options) => {
    const { hostname = "127.0.0.1", port, transport = "tcp" } = options ?? {};
    if (transport !== "tcp" || reached(hostname, port)) return own(options);
    return Promise.reject(Number(port) === 5432 ? sqlless() : refusal(hostname, "sockets"));
  };
}

Deno.resolveDns = (host) => Promise.reject(refusal(host, "connections"));

export function sqlless() {
  const text = "The sandbox has no Postgres. Use supabase-js over rehearsal.database, or a local stack: rehearsal.backend";
  log(`${text}\n`, 2);
  return new TypeError(text);
}

globalThis.WebSocket = new Proxy(WebSocket, {
  construct(target, [address, ...rest], made) {
    const url = new URL(address);
    if (url.host === sandbox.host) return Reflect.construct(target, [address, ...rest], made);
    refusal(url.host, "a WebSocket");
    return Reflect.construct(target, [`ws://${sandbox.host}/_refused`, ...rest], made); // whose events say that it failed
  },
});

// Logged where it happens, because many functions swallow what they catch.
export function refusal(host, what) {
  const text = what
    ? `The sandbox refuses ${what} to ${host}: its stand-ins speak HTTP only`
    : `The sandbox refuses host ${host}: nothing stands in for it. Declare it in config.yaml:\n` +
      `rehearsal:\n  hosts:\n    ${host}: {answers: [{path: "*", json: {}}]}`;
  log(`${text}\n`, 2);
  return new TypeError(text);
}

const upgraded = new WeakMap(); // the request that a handler sees -> the one that the server knows
Deno.upgradeWebSocket = (req, options) => own.upgradeWebSocket(upgraded.get(req) ?? req, options);

// The servers of Deno 1, which the platform still has: each connection brings one request.
Deno.listen = function listen(options = {}) {
  const arrived = [];
  const awaited = [];
  const arrive = (conn) => awaited.length ? awaited.shift()(conn) : arrived.push(conn);
  const answered = (req) => new Promise((resolve) => arrive({ req, resolve, close() {} }));
  const server = Deno.serve({ onListen() {} }, answered);
  let closed = false;
  const accept = () => arrived.length ? Promise.resolve(arrived.shift()) : new Promise((done) => awaited.push(done));
  return {
    addr: { hostname: options.hostname ?? "0.0.0.0", port: options.port, transport: "tcp" },
    accept,
    close() {
      closed = true;
      server.shutdown();
    },
    ref() {},
    unref() {},
    async *[Symbol.asyncIterator]() {
      while (!closed) yield await accept();
    },
  };
};

Deno.serveHttp = function serveHttp({ req, resolve }) {
  let waiting = { request: req, respondWith: async (response) => resolve(await response) };
  const nextRequest = () => {
    const next = waiting;
    waiting = null;
    return Promise.resolve(next);
  };
  return {
    nextRequest,
    close() {},
    async *[Symbol.asyncIterator]() {
      for (let next; (next = await nextRequest()) !== null;) yield next;
    },
  };
};

globalThis.Supabase = {
  ai: {
    Session: class Session {
      constructor(model) {
        this.model = model;
      }
      run() {
        const text = `The sandbox has no model ${this.model}: Supabase.ai runs on the platform alone.`;
        log(`${text}\n`, 2);
        return Promise.reject(new Error(text));
      }
    },
  },
};

globalThis.EdgeRuntime = {
  waitUntil(promise) {
    const kept = Promise.resolve(promise);
    background.add(kept);
    kept.finally(() => background.delete(kept)).catch(() => {});
    return promise;
  },
};
