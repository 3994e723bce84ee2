// Runs before the function's own code: tells the sandbox what the function logs, serves requests over loopback,
// and sends calls to the outside to the local stand-ins. Nothing here is visible to the function but the
// globals that the hosted runtime has too.
import { AsyncLocalStorage } from "node:async_hooks";

const setup = JSON.parse(Deno.env.get("SANDBOX_WORKER"));
const internals = Deno[Deno.internal];
export const request = new AsyncLocalStorage();
const encoder = new TextEncoder();
const background = new Set();
const original = { serve: Deno.serve, fetch: globalThis.fetch, env: Deno.env.get.bind(Deno.env), exit: Deno.exit };
const LONGEST = 20_000; // more than the platform keeps of a message
let last = 0;
let booted = false;
const open = new Map(); // execution id -> request, from its start until the last byte of its answer is out

for (const name of Object.keys(Deno.env.toObject())) {
  if (!setup.names.includes(name)) Deno.env.delete(name);
}
// What the hosted runtime sets for each worker is set for each request here, because requests share a worker.
Deno.env.get = (name) => (name === "SB_EXECUTION_ID" && current()?.id) || original.env(name);

// The request that code runs for. Some callbacks lose it; while only one is open, it can be no other.
function current() {
  return request.getStore() ?? (open.size === 1 ? open.values().next().value : undefined);
}

// One event is one line on stdout, written at once: what was logged before a crash is not lost.
function tell(event) {
  last = Math.max(performance.timeOrigin + performance.now(), last + 0.001);
  const bytes = encoder.encode(`\x1e${JSON.stringify({ at: last, ...event })}\n`);
  for (let sent = 0; sent < bytes.length;) sent += Deno.stdout.writeSync(bytes.subarray(sent));
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

// The sandbox holds the other end of stdin open for as long as it lives.
async function listenForEnd() {
  const buffer = new Uint8Array(64);
  while (await Deno.stdin.read(buffer).catch(() => null) !== null);
  dispatchEvent(new Event("beforeunload"));
  await Promise.allSettled([...background]);
  tell({ event: "end", memory: Deno.memoryUsage() });
  original.exit(0);
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
  return original.serve(
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
  const store = { id, fail };
  begin(store, info.completed);
  const shown = new Request(raw, { headers });
  upgraded.set(shown, raw);
  return request.run(store, () => Promise.race([handled(shown, info, handler, onError), broken]));
}

export function begin(store, completed) {
  open.set(store.id, store);
  beat();
  completed.catch(() => {}).finally(() => {
    open.delete(store.id);
    beat();
  });
}

async function handled(req, info, handler, onError) {
  try {
    return checked(await handler(req, info));
  } catch (error) {
    return checked(await onError(error));
  }
}

function checked(response) {
  if (response instanceof Response) return response;
  throw new TypeError("Return value from serve handler must be a response or a promise resolving to a response");
}

function failed(error) {
  console.error(error);
  return new Response("Internal Server Error", { status: 500 });
}

// While requests are open, a worker that stops beating is busy in a loop.
function pulse() {
  const { heapUsed, external } = Deno.memoryUsage();
  tell({ event: "beat", memory: heapUsed + external });
}

let beating;
function beat() {
  clearInterval(beating);
  pulse();
  if (open.size > 0) Deno.unrefTimer(beating = setInterval(pulse, 200));
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
  const target = leads(url);
  if (target === undefined) return original.fetch(input, init);
  if (target === null) return refused(url.host);
  const sent = new Request(input instanceof Request ? new Request(target, input) : target, init);
  sent.headers.set("x-sandbox-caller", caller());
  return original.fetch(sent, init?.client && { client: init.client });
};

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

function sqlless() {
  const text = "The sandbox has no Postgres. Use supabase-js over rehearsal.database, or a local stack: rehearsal.backend";
  log(`${text}\n`, 2);
  return new TypeError(text);
}

for (const name of ["WebSocket", "EventSource"]) {
  globalThis[name] = globalThis[name] && new Proxy(globalThis[name], {
    construct(target, [address, ...rest], made) {
      const url = new URL(address);
      if (url.host !== sandbox.host) refusal(url.host, `a ${name}`);
      return Reflect.construct(target, [address, ...rest], made);
    },
  });
}

// Logged where it happens, because many functions swallow what they catch.
export function refusal(host, what) {
  const text = what
    ? `The sandbox refuses ${what} to ${host}: its stand-ins speak HTTP only`
    : `The sandbox refuses host ${host}: nothing stands in for it. Declare it in config.yaml:\n` +
      `rehearsal:\n  hosts:\n    ${host}: {answers: [{path: "*", json: {}}]}`;
  log(`${text}\n`, 2);
  return new TypeError(text);
}

// A worker of the platform has a /tmp of its own. Paths elsewhere stay as they are, and are refused.
export function local(path) {
  const text = path instanceof URL && path.protocol === "file:" ? decodeURIComponent(path.pathname) : path;
  if (typeof text !== "string" || !(text === "/tmp" || text.startsWith("/tmp/"))) return path;
  if (text.startsWith(`${setup.tree}/`)) return path; // the function's own files, where the sandbox itself is in /tmp
  return setup.tmp + text.slice(4);
}

const ONE = ["chmod", "create", "lstat", "mkdir", "open", "readDir", "readFile", "readTextFile", "remove", "stat",
  "truncate", "writeFile", "writeTextFile"];
const TWO = ["copyFile", "rename", "link", "symlink"];
for (const name of [...ONE, ...TWO].flatMap((each) => [each, `${each}Sync`])) {
  const own = Deno[name];
  const paths = TWO.some((each) => name.startsWith(each)) ? 2 : 1;
  Deno[name] = (...args) => own(...args.map((arg, index) => index < paths ? local(arg) : arg));
}
for (const name of ["makeTempDir", "makeTempFile", "makeTempDirSync", "makeTempFileSync"]) {
  const own = Deno[name];
  const shown = (path) => `/tmp${path.slice(setup.tmp.length)}`;
  Deno[name] = (options) => {
    const made = own({ ...options, dir: local(options?.dir ?? "/tmp") });
    return typeof made === "string" ? shown(made) : made.then(shown);
  };
}

// What they keep would fill the cache that all workers share.
delete globalThis.caches;
delete globalThis.localStorage;

// These do nothing on the platform, whose workers share no memory either:
// https://github.com/supabase/edge-runtime/blob/main/ext/runtime/js/bootstrap.js (MOCK_FN)
for (const name of ["exit", "kill", "addSignalListener", "removeSignalListener"]) Deno[name] = () => {};
delete globalThis.SharedArrayBuffer;

const upgraded = new WeakMap(); // the request that a handler sees -> the one that the server knows
const upgrade = Deno.upgradeWebSocket;
Deno.upgradeWebSocket = (req, options) => upgrade(upgraded.get(req) ?? req, options);

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
