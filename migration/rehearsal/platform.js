// Makes `Deno` and the globals what a worker of the platform has: what is missing there is missing here, what is
// refused there is refused here, in the same words. Evaluated before everything else.
// Source: https://github.com/supabase/edge-runtime/blob/main/ext/runtime/js/bootstrap.js, denoOverrides.js, ext/os/os.js
// and https://supabase.com/docs/guides/functions/ephemeral-storage, /limits.
export const setup = JSON.parse(Deno.env.get("SANDBOX_WORKER"));

// What the sandbox itself goes on using.
export const own = {
  ...Deno,
  internals: Deno[Deno.internal],
  env: Deno.env.get.bind(Deno.env),
  fetch: globalThis.fetch,
};

// Files. Synchronous calls are allowed while the function's modules are evaluated, up to their first await.
let starting = true;
setTimeout(() => starting = false, 0);

// A worker of the platform has a /tmp of its own; a relative path begins in the folder of the entrypoint.
export function local(path) {
  const text = path instanceof URL && path.protocol === "file:" ? decodeURIComponent(path.pathname) : path;
  if (typeof text !== "string" || text === "") return path;
  const whole = text.startsWith("/") ? text : HOME + text;
  // Where the sandbox itself is in /tmp: the function's own files, and what node:fs has been given already.
  if ([setup.tree, setup.tmp, setup.packages].some((folder) => whole === folder || whole.startsWith(`${folder}/`))) return whole;
  return whole === "/tmp" || whole.startsWith("/tmp/") ? setup.tmp + whole.slice(4) : whole;
}
const HOME = decodeURIComponent(new URL(".", setup.main).pathname);

// Outside /tmp there is nothing but the static files, which can be read whole and nothing else. In the words of
// https://github.com/supabase/edge-runtime/blob/main/crates/fs/impl/static_fs.rs with the context that Deno adds.
const READS = ["readFile", "readTextFile"];
const OPENS = { create: "open", open: "open", writeFile: "writefile", writeTextFile: "writefile" };
function outside(name, path) {
  const call = name.replace(/Sync$/, "");
  const text = path instanceof URL ? decodeURIComponent(path.pathname) : path;
  if (READS.includes(call)) {
    return new Deno.errors.NotFound(`path not found: ${normal(HOME, text)}: readfile '${text}'`);
  }
  if (call in OPENS) return new Deno.errors.NotFound(`entity not found: ${OPENS[call]} '${text}'`);
  return new Deno.errors.NotSupported(`${call.toLowerCase()} '${text}'`);
}

function normal(folder, text) {
  const parts = [];
  for (const part of (text.startsWith("/") ? text : folder + text).split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

// Where a call really leads; what the platform would answer is thrown where it leads nowhere.
export function place(name, path) {
  const found = local(path);
  if (typeof found !== "string") return found; // not a path: Deno itself says so
  const whole = normal("/", found);
  if (whole === setup.tmp || whole.startsWith(`${setup.tmp}/`)) return whole;
  if (READS.includes(name.replace(/Sync$/, "")) && setup.static.includes(whole)) return whole;
  if (LOOKS.test(name) && whole.startsWith(`${setup.packages}/`)) return whole; // an npm package reads its own files
  throw outside(name, path);
}

const LOOKS = /^(read|open|stat|lstat|realPath)/;

export function refused(name, where = "") {
  throw new Deno.errors.PermissionDenied(`Deno.${name} is blocklisted${where}`);
}

// With `rehearsal.edge.sync_reads` reading is warned about only, as by the workers of `supabase functions serve`.
export function inTime(name) {
  if (starting) return;
  if (!setup.syncReads || !["readFileSync", "readTextFileSync"].includes(name)) refused(name, " on the current context");
  console.error(
    `WARNING: Do not use Deno.${name} inside the async callback. ` +
      "This has performance impacts and will be disallowed in the future.\nUse the async version instead.",
  );
}

// What Deno says of a file in /tmp names it as the function does.
function named(error) {
  if (typeof error?.message === "string") error.message = error.message.replaceAll(setup.tmp, "/tmp");
  return error;
}

// The platform's Deno gives a promise for every mistake in the arguments of these, and throws for the others.
function guarded(name, call, shown = (value) => value) {
  return (...args) => {
    try {
      const found = call(...args);
      if (!(found instanceof Promise)) return shown(found);
      return found.then(shown, (error) => Promise.reject(named(error)));
    } catch (error) {
      if (ASYNC.includes(name)) return Promise.reject(named(error));
      throw named(error);
    }
  };
}

const ASYNC = ["create", "lstat", "mkdir", "open", "readFile", "readTextFile", "realPath", "remove", "stat", "writeFile",
  "writeTextFile"];
const SYNC = ["lstatSync", "mkdirSync", "readDirSync", "readFileSync", "readTextFileSync", "removeSync", "statSync",
  "writeFileSync", "writeTextFileSync"];
for (const name of [...ASYNC, "realPathSync"]) {
  Deno[name] = guarded(name, (path, ...rest) => own[name](place(name, path), ...rest));
}
for (const name of SYNC) {
  const call = guarded(name, (path, ...rest) => own[name](place(name, path), ...rest));
  Deno[name] = (...args) => (inTime(name), call(...args));
}
Deno.readDir = (path) => ({
  async *[Symbol.asyncIterator]() {
    yield* own.readDir(place("readDir", path));
  },
});
const shown = (path) => `/tmp${path.slice(setup.tmp.length)}`;
for (const name of ["makeTempDir", "makeTempFile"]) {
  const placed = (options) => ({ ...options, dir: place(name, options?.dir ?? "/tmp") });
  Deno[name] = guarded(name, (options) => own[name](placed(options)), shown);
  const sync = guarded(name, (options) => own[`${name}Sync`](placed(options)), shown);
  Deno[`${name}Sync`] = (options) => (inTime(`${name}Sync`), sync(options));
}
Deno.cwd = () => "";

// /tmp holds so many bytes: https://supabase.com/docs/guides/functions/ephemeral-storage. Counted as it is written, and
// measured once that is too much, as crates/fs/impl/tmp_fs.rs does.
let held = 0;
function measured(folder) {
  let bytes = 0;
  for (const { name, isDirectory } of own.readDirSync(folder)) {
    const path = `${folder}/${name}`;
    bytes += isDirectory ? measured(path) : own.lstatSync(path).size;
  }
  return bytes;
}
export function spend(data, where = "") {
  const bytes = typeof data === "string" ? new TextEncoder().encode(data).length : data?.byteLength ?? 0;
  if (held + bytes > setup.quota && (held = measured(setup.tmp)) + bytes > setup.quota) {
    throw new Error(`filesystem quota exceeded${where}`);
  }
  held += bytes;
}
const counting = () => new TransformStream({
  transform(chunk, controller) {
    spend(chunk);
    controller.enqueue(chunk);
  },
});
for (const name of ["writeFile", "writeTextFile"]) {
  const write = Deno[name];
  Deno[name] = async (path, data, ...rest) => {
    if (data instanceof ReadableStream) return await write(path, data.pipeThrough(counting()), ...rest);
    if (place(name, path)) spend(data, `: writefile '${path}'`);
    return await write(path, data, ...rest);
  };
  const sync = Deno[`${name}Sync`];
  Deno[`${name}Sync`] = (path, data, ...rest) => {
    inTime(`${name}Sync`);
    if (place(name, path)) spend(data, `: writefile '${path}'`);
    return sync(path, data, ...rest);
  };
}
const { open } = Deno;
Deno.open = async (...args) => {
  const file = await open(...args);
  const { write } = file;
  file.write = async (bytes) => (spend(bytes), await write.call(file, bytes));
  let counted;
  const writable = () => {
    const out = Reflect.get(Object.getPrototypeOf(file), "writable", file).getWriter();
    return new WritableStream({
      write: (chunk) => (spend(chunk), out.write(chunk)),
      close: () => out.close(),
      abort: (reason) => out.abort(reason),
    });
  };
  Object.defineProperty(file, "writable", { configurable: true, get: () => counted ??= writable() });
  return file;
};
Deno.create = (path) => Deno.open(path, { read: true, write: true, truncate: true, create: true });

// https://github.com/supabase/edge-runtime/blob/main/ext/runtime/js/errors.js
for (const name of ["FilesystemLoop", "IsADirectory", "NetworkUnreachable", "NotADirectory", "NotCapable"]) {
  delete Deno.errors[name];
}
for (const name of ["InvalidWorkerCreation", "InvalidWorkerResponse", "RateLimitError", "WorkerAlreadyRetired",
  "WorkerRequestCancelled", "WorkerRequestIdleTimeout"]) {
  Deno.errors[name] = class extends Error {
    constructor(message, retryAfterMs) {
      super(message);
      this.name = name;
      if (name === "RateLimitError") this.retryAfterMs = retryAfterMs ?? null;
    }
  };
  Object.defineProperty(Deno.errors[name], "name", { value: name });
}

const BLOCKED = ["chdir", "chmod", "chown", "copyFile", "link", "readLink", "rename", "symlink", "truncate", "utime"];
for (const name of [...BLOCKED.flatMap((each) => [each, `${each}Sync`]), "createSync", "openSync", "FsFile"]) {
  if (own[name] !== undefined) Deno[name] = () => refused(name);
}

// What a program of its own would do does nothing, or is answered as in every worker.
for (const name of ["exit", "kill", "addSignalListener", "removeSignalListener"]) Deno[name] = () => {};
export const NO_PROCESS = "Spawning subprocesses is not allowed on Supabase Edge Runtime.";
const SINK = {
  write: (bytes) => Promise.resolve(bytes.length),
  writeSync: (bytes) => bytes.length,
  isTerminal: () => false,
  close() {},
};
const address = (family, name, at, netmask, cidr, mac) => ({ family, name, address: at, netmask, scopeid: null, cidr, mac });
const ANSWERS = {
  Command: class Command {
    output() {
      return Promise.reject(new Error(NO_PROCESS));
    }
    outputSync() {
      throw new Error(NO_PROCESS);
    }
    spawn() {
      throw new Error(NO_PROCESS);
    }
  },
  args: [],
  consoleSize: () => ({ columns: 80, rows: 24 }),
  execPath: () => "/bin/edge-runtime",
  gid: () => 1000,
  hostname: () => "localhost",
  isatty: () => false,
  loadavg: () => [0, 0, 0],
  mainModule: setup.main,
  networkInterfaces: () => [
    address("IPv4", "lo", "127.0.0.1", "255.0.0.0", "127.0.0.1/8", "00:00:00:00:00:00"),
    address("IPv4", "eth0", "10.0.0.10", "255.255.255.0", "10.0.0.10/24", "00:00:00:00:00:01"),
  ],
  osRelease: () => "0.0.0-00000000-generic",
  osUptime: () => Math.floor(performance.now() / 1000),
  stderr: { ...SINK, writable: new WritableStream() }, // both lead to /dev/null there
  stdout: { ...SINK, writable: new WritableStream() },
  systemMemoryInfo: () =>
    Object.fromEntries(
      ["total", "free", "available", "buffers", "cached", "swapTotal", "swapFree"].map((name) => [name, 0]),
    ),
  uid: () => 1000,
  version: {
    deno: `supabase-edge-runtime-${setup.runtime} (compatible with Deno v${own.version.deno})`,
    v8: "11.6.189.12",
    typescript: "5.1.6",
  },
};
for (const [name, value] of Object.entries(ANSWERS)) {
  Object.defineProperty(Deno, name, { value, configurable: true, enumerable: true, writable: true });
}

// The answers of https://github.com/supabase/edge-runtime/blob/main/crates/base/src/runtime/permissions.rs, whatever the
// sandbox itself allows: by the one permission that is granted here for everything, and the one that never is.
const granted = ({ name, kind }) => kind === "hostname" || ["env", "import", "net", "read", "write"].includes(name);
for (const name of ["query", "querySync", "request", "requestSync"]) {
  const call = Deno.permissions[name].bind(Deno.permissions);
  Deno.permissions[name] = (asked = {}) => call({ name: granted(asked) ? "env" : "ffi" });
}

// The rest of Deno is not there, Deno.cron, Deno.openKv and Deno.inspect among it.
const KEPT = new Set([...ASYNC, ...SYNC, "readDir", "realPathSync", "makeTempDir", "makeTempDirSync", "makeTempFile",
  "makeTempFileSync", ...BLOCKED, ...BLOCKED.map((each) => `${each}Sync`), "createSync", "openSync", "FsFile", "exit",
  "kill", "addSignalListener", "removeSignalListener", ...Object.keys(ANSWERS), "PermissionStatus", "Permissions", "build",
  "connect", "connectTls", "createHttpClient", "cwd", "env", "errors", "listen", "memoryUsage", "permissions", "pid",
  "refTimer", "resolveDns", "serve", "serveHttp", "startTls", "stdin", "unrefTimer", "upgradeWebSocket"]);
for (const name of Object.getOwnPropertyNames(Deno)) {
  if (!KEPT.has(name)) Reflect.deleteProperty(Deno, name); // Deno.exitCode stays
}

// Globals. No worker and no shared memory: https://supabase.com/docs/guides/functions/limits
const NO_GLOBAL = ["BroadcastChannel", "Cache", "CacheStorage", "EventSource", "Location", "Storage", "Temporal",
  "WebSocketStream", "Worker", "alert", "close", "closed", "confirm", "localStorage", "location", "name", "prompt",
  "sessionStorage"];
for (const name of [...NO_GLOBAL, ...Object.getOwnPropertyNames(globalThis).filter((each) => each.startsWith("GPU"))]) {
  Reflect.deleteProperty(globalThis, name);
}

// The platform's Deno has these for npm packages alone; from 2.4 on Deno has them for everyone, in one place.
// https://docs.deno.com/runtime/fundamentals/node/#node.js-global-objects
for (const name of ["Buffer", "clearImmediate", "global", "setImmediate"]) {
  const value = globalThis[name];
  if (value === undefined) continue;
  Object.defineProperty(globalThis, name, {
    configurable: true,
    get: () => askedByPackage() ? value : undefined,
    set: (given) => Object.defineProperty(globalThis, name, { value: given, configurable: true, writable: true }),
  });
}

// By the third frame: this function, the getter, who asks.
function askedByPackage() {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 3;
  const asking = `${new Error().stack}`.split("\n").at(-1);
  Error.stackTraceLimit = limit;
  return /[/](npm|node_modules)[/]|[( ](node|ext):/.test(asking);
}

const Memory = WebAssembly.Memory;
WebAssembly.Memory = function (options) {
  if (options?.shared === true) throw new TypeError("Creating a shared memory is not supported");
  return new Memory(options);
};
WebAssembly.Memory.prototype = Memory.prototype;
const GLOBALS = {
  DENO_VERSION: own.version.deno,
  SUPABASE_VERSION: setup.runtime,
  SharedArrayBuffer: ArrayBuffer,
  caches: { open: () => Promise.reject(new TypeError("CacheStorage is not available in this context")) },
  window: globalThis,
};
for (const [name, value] of Object.entries(GLOBALS)) {
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}
for (const [name, value] of Object.entries({
  hardwareConcurrency: 1,
  language: "en",
  languages: ["en"],
  userAgent: `Deno/${own.version.deno} (variant; SupabaseEdgeRuntime/${setup.runtime})`,
})) {
  Object.defineProperty(Navigator.prototype, name, { get: () => value, configurable: true, enumerable: true });
}
