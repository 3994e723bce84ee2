// Runs in place of preload.js for functions that may serve by Node's own server, as Express and its kind do.
// Apart from it because loading Node's HTTP module takes as long as all the rest of a start.
import children from "node:child_process";
import cluster from "node:cluster";
import fs from "node:fs";
import http from "node:http";
import https from "node:https";
import os from "node:os";
import process from "node:process";
import { Writable } from "node:stream";
import threads from "node:worker_threads";
import "./node_crypto.js";
import "./node_zlib.js";
import "./preload_roads.js";
import {
  begin, blocked, boot, caller, inTime, leads, limited, listening, nested, NO_PROCESS, place, refusal, request, spend, traced,
} from "./preload.js";

const HEADER = "x-sandbox-execution-id";
const { listen, emit } = http.Server.prototype;

http.Server.prototype.listen = function (...args) {
  const done = args.findLast((arg) => typeof arg === "function");
  boot();
  this.once("listening", () => {
    listening(this.address().port);
    done?.call(this);
  });
  return listen.call(this, { host: "127.0.0.1", port: 0 });
};

http.Server.prototype.emit = function (event, ...args) {
  if (event !== "request") return emit.call(this, event, ...args);
  const [req, res] = args;
  const store = { id: req.headers[HEADER], fail: () => fail(res), trace: traced(req.headers.traceparent) };
  delete req.headers[HEADER];
  begin(store, new Promise((resolve) => res.once("close", resolve)));
  return request.run(store, () => emit.call(this, event, ...args));
};

function fail(res) {
  if (!res.headersSent) res.writeHead(500, { "x-sandbox-fate": "uncaught" });
  res.end();
}

// axios and its kind call Node's client: its requests end where those of fetch end.
const client = http.request;
for (const [module, protocol] of [[http, "http:"], [https, "https:"]]) {
  const own = module.request;
  module.request = function (...args) {
    const [url, options, done] = asked(args, protocol);
    const target = leads(url);
    if (target === null) return unreachable(refusal(url.host));
    const chain = nested(target ?? url);
    if (target === undefined) return chain ? within(own.apply(this, args), chain) : own.apply(this, args);
    const { hostname, port, pathname, search } = new URL(target);
    const { agent: _agent, agents: _agents, host: _host, href: _href, ...rest } = options;
    const sent = { ...rest, protocol: "http:", hostname, port, path: pathname + search };
    const asking = client.call(http, sent, done);
    if (chain) return within(asking, chain);
    asking.setHeader("x-sandbox-caller", caller());
    return asking;
  };
  module.get = function (...args) {
    const sent = module.request(...args);
    sent.end();
    return sent;
  };
}

// A call of a function, whose chain may have come to its limit.
function within(asking, chain) {
  for (const [name, value] of Object.entries(chain)) asking.setHeader(name, value);
  const own = asking.emit;
  asking.emit = function (event, ...args) {
    const wait = event === "response" && args[0].headers["x-sandbox-limited"];
    if (!wait) return own.call(this, event, ...args);
    args[0].resume();
    return own.call(this, "error", limited(wait));
  };
  return asking;
}

function asked(args, protocol) {
  const done = args.find((arg) => typeof arg === "function");
  const [first, second] = args;
  const given = typeof first === "string" || first instanceof URL ? new URL(first) : undefined;
  const options = (given ? (typeof second === "object" && second) : first) || {};
  if (given) return [given, { ...options, method: options.method }, done];
  const host = options.hostname ?? options.host?.replace(/:\d+$/, "") ?? "localhost";
  const port = options.port ? `:${options.port}` : "";
  return [new URL(`${options.protocol ?? protocol}//${host}${port}${options.path ?? "/"}`), options, done];
}

function unreachable(error) {
  const sent = new Writable({ write: (_chunk, _encoding, done) => done() });
  for (const name of ["setTimeout", "setHeader", "removeHeader", "setNoDelay", "setSocketKeepAlive", "abort", "flushHeaders"]) {
    sent[name] = () => sent;
  }
  Object.assign(sent, { getHeader: () => undefined, getHeaders: () => ({}), hasHeader: () => false });
  queueMicrotask(() => sent.destroy(error));
  return sent;
}

// The platform's node:fs calls its Deno: the same files, and synchronous calls at the same time.
const FILES = {
  access: "lstat", appendFile: "writeFile", createReadStream: "open", createWriteStream: "open", lstat: "lstat",
  mkdir: "mkdir", open: "open", readdir: "readDir", readFile: "readFile", realpath: "realPath", rm: "remove",
  rmdir: "remove", stat: "stat", unlink: "remove", writeFile: "writeFile",
};
const WRITES = ["appendFile", "writeFile"];
const ANY_TIME = ["readdir", "realpath"]; // their synchronous forms
const NEVER = ["appendFile", "open", "writeFile"]; // these need Deno.openSync
for (const [name, called] of Object.entries(FILES)) {
  const placed = (holder, own, failed) => (path, ...rest) => {
    try {
      const leads = place(called, path);
      if (WRITES.includes(name)) spend(rest[0], `: writefile '${path}'`);
      return own.call(holder, leads, ...rest);
    } catch (error) {
      return failed(error, rest.findLast((each) => typeof each === "function"));
    }
  };
  const thrown = (error) => {
    throw error;
  };
  const given = (error, done = thrown) => queueMicrotask(() => done(error));
  fs[name] = placed(fs, fs[name], given);
  if (name in fs.promises) fs.promises[name] = placed(fs.promises, fs.promises[name], (error) => Promise.reject(error));
  if (!(`${name}Sync` in fs)) continue;
  const sync = placed(fs, fs[`${name}Sync`], thrown);
  fs[`${name}Sync`] = (...args) => {
    if (NEVER.includes(name)) blocked("openSync");
    if (!ANY_TIME.includes(name)) inTime(`${called}Sync`);
    return sync(...args);
  };
}
for (const name of ["chmod", "copyFile", "rename", "symlink", "truncate"]) {
  fs[name] = (...args) => {
    const done = args.at(-1);
    queueMicrotask(() => {
      try {
        blocked(name);
      } catch (error) {
        done(error);
      }
    });
  };
  fs[`${name}Sync`] = () => blocked(`${name}Sync`);
  fs.promises[name] = async () => blocked(name);
}
// What is written through an open file counts too: https://github.com/supabase/edge-runtime/blob/main/crates/fs/impl/tmp_fs.rs
const { _write, _writev } = fs.WriteStream.prototype;
fs.WriteStream.prototype._write = function (data, encoding, done) {
  counted([data], done, () => _write.call(this, data, encoding, done));
};
fs.WriteStream.prototype._writev = function (chunks, done) {
  counted(chunks.map(({ chunk }) => chunk), done, () => _writev.call(this, chunks, done));
};
for (const name of ["write", "writev"]) {
  const own = fs[name];
  fs[name] = (file, data, ...rest) => counted([data].flat(), rest.at(-1), () => own(file, data, ...rest));
}
function counted(pieces, done, write) {
  try {
    for (const piece of pieces) spend(piece);
  } catch (error) {
    return queueMicrotask(() => done(error));
  }
  return write();
}
const { open } = fs.promises;
fs.promises.open = async (...args) => {
  const file = await open(...args);
  for (const name of ["write", "writeFile", "appendFile"]) {
    const own = file[name];
    if (own) file[name] = async (data, ...rest) => (spend(data), await own.call(file, data, ...rest));
  }
  return file;
};
const named = (prefix) => prefix + Math.random().toString(36).slice(2, 8).padEnd(6, "0");
fs.mkdtempSync = (prefix) => {
  const path = named(prefix);
  fs.mkdirSync(path, { mode: 0o700 });
  return path;
};
fs.mkdtemp = (prefix, ...rest) => {
  const path = named(prefix);
  fs.mkdir(path, { mode: 0o700 }, (error) => rest.at(-1)(error ?? null, error ? undefined : path));
};
fs.promises.mkdtemp = async (prefix) => {
  const path = named(prefix);
  await fs.promises.mkdir(path, { mode: 0o700 });
  return path;
};
// It asks for the file's dates, which the static files of a function do not have.
const exists = fs.existsSync;
fs.existsSync = (path) => {
  try {
    return exists.call(fs, place("stat", path));
  } catch {
    return false;
  }
};
process.cwd = Deno.cwd;
process.env = process.env; // its own, which many packages need: https://github.com/supabase/edge-runtime/pull/485

// No threads, no processes: ext/node/polyfills/worker_threads.ts, cluster.ts and ext/os/os.js of edge-runtime.
function unimplemented(what) {
  return Object.assign(new Error(`Not implemented: ${what}`), { code: "ERR_NOT_IMPLEMENTED" });
}
const never = (what) => () => {
  throw unimplemented(what);
};
function without(module, names, place = "") {
  for (const name of names) {
    module[name] = name[0] === name[0].toLowerCase() ? never(`${place}${name}`) : class extends EventTarget {
      constructor() {
        super();
        throw unimplemented(`${place}${name}.prototype.constructor`);
      }
    };
  }
}
without(threads, ["BroadcastChannel", "MessageChannel", "MessagePort", "Worker", "markAsUntransferable",
  "moveMessagePortToContext", "receiveMessageOnPort"]);
without(cluster, ["Worker", "disconnect", "fork", "setupMaster", "setupPrimary"], "cluster.");
children.ChildProcess.prototype.spawn = function () {
  queueMicrotask(() => this.emit("error", new Error(NO_PROCESS)));
};

// The machine and its user, as ext/node/polyfills/os.ts has them for every worker.
const times = { user: 0, nice: 0, sys: 0, idle: 0, irq: 0 };
Object.assign(os, {
  cpus: () => [{ model: "", speed: 0, times: { ...times } }],
  homedir: () => "/home/deno",
  uptime: () => Deno.osUptime(),
  userInfo: () => ({ uid: 1000, gid: 1000, homedir: "/home/deno", shell: null, username: "" }),
});
process.geteuid = process.getegid = () => 0;
if (process.report) {
  const header = { arch: process.arch, platform: Deno.build.os, host: "localhost" };
  process.report.getReport = () => ({ header: { ...header, cpus: os.cpus(), networkInterfaces: os.networkInterfaces() }, workers: [] });
}
