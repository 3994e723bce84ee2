// Runs in place of preload.js for functions that may serve by Node's own server, as Express and its kind do.
// Apart from it because loading Node's HTTP module takes as long as all the rest of a start.
import fs from "node:fs";
import http from "node:http";
import https from "node:https";
import { Writable } from "node:stream";
import "./preload_roads.js";
import { absent, begin, boot, caller, inTime, leads, listening, local, refusal, request } from "./preload.js";

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
  const store = { id: req.headers[HEADER], fail: () => fail(res) };
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
    if (target === undefined) return own.apply(this, args);
    if (target === null) return unreachable(refusal(url.host));
    const { hostname, port, pathname, search } = new URL(target);
    const { agent: _agent, agents: _agents, host: _host, href: _href, ...rest } = options;
    const sent = { ...rest, protocol: "http:", hostname, port, path: pathname + search };
    const asking = client.call(http, sent, done);
    asking.setHeader("x-sandbox-caller", caller());
    return asking;
  };
  module.get = function (...args) {
    const sent = module.request(...args);
    sent.end();
    return sent;
  };
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
  access: "lstat", appendFile: "writeFile", mkdir: "mkdir", open: "open", readdir: "readDir", readFile: "readFile",
  rm: "remove", stat: "stat", unlink: "remove", writeFile: "writeFile",
};
for (const [name, called] of Object.entries(FILES)) {
  for (const [holder, key] of [[fs, name], [fs.promises, name]]) {
    const own = holder[key];
    holder[key] = (path, ...rest) => own.call(holder, local(path), ...rest);
  }
  const sync = fs[`${name}Sync`];
  fs[`${name}Sync`] = (path, ...rest) => {
    inTime(`${called}Sync`);
    try {
      return sync.call(fs, local(path), ...rest);
    } catch (error) {
      throw absent(called, error);
    }
  };
}
const exists = fs.existsSync;
fs.existsSync = (path) => {
  try {
    return exists.call(fs, local(path));
  } catch {
    return false; // nothing is there, outside /tmp and the function's own files
  }
};
