// Every road of Node's to a declared host ends at its stand-in: named imports of node:https, undici, sockets of clients.
// A socket to such a host is one to the sandbox, without TLS; there the header Host says which stand-in is meant.
import dns from "node:dns";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import tls from "node:tls";
import { leads, refusal, reached, sandbox, sqlless } from "./preload.js";

const connect = net.Socket.prototype.connect;

net.Socket.prototype.connect = function (...args) {
  const [options, done] = normal(args);
  const target = options.path || reached(options.host, options.port) ? options : ends(options.host, options.port);
  if (!target) {
    const error = options.port === 5432
      ? sqlless()
      : refusal(options.host, [80, 443].includes(options.port) ? undefined : "connections");
    queueMicrotask(() => this.destroy(error));
    return this;
  }
  return target === options ? connect.apply(this, args) : connect.call(this, { ...options, ...target }, done);
};

function normal(args) {
  const list = Array.isArray(args[0]) ? args[0] : args;
  const done = list.find((arg) => typeof arg === "function");
  const given = typeof list[0] === "object" ? list[0] : isNaN(list[0])
    ? { path: list[0] }
    : { port: Number(list[0]), host: typeof list[1] === "string" ? list[1] : "localhost" };
  return [{ ...given, host: given.host ?? given.hostname ?? "localhost", port: Number(given.port) }, done];
}

function ends(host, port) {
  const scheme = port === 443 ? "https" : "http";
  const found = leads(new URL(`${scheme}://${host}${[80, 443].includes(port) ? "" : `:${port}`}/`));
  return found && { host: sandbox.hostname, port: Number(sandbox.port), servername: undefined };
}

// What wants TLS gets a plain socket that says it is done: the stand-in speaks HTTP.
const secure = tls.connect;
tls.connect = function (...args) {
  const [options, done] = normal(args);
  if (options.path || options.socket || reached(options.host, options.port)) return secure.apply(this, args);
  const socket = new net.Socket();
  Object.assign(socket, {
    encrypted: true, authorized: true, authorizationError: null, alpnProtocol: false, getPeerCertificate: () => ({}),
    getSession: () => undefined, getCipher: () => ({}), getProtocol: () => "TLSv1.3", setServername: () => {},
  });
  socket.once("connect", () => socket.emit("secureConnect"));
  if (done) socket.once("secureConnect", done);
  socket.connect({ host: options.host, port: options.port });
  return socket;
};

// A newer Deno sends requests over the agent's sockets,
for (const { Agent } of [http, https]) {
  const own = Agent.prototype.createConnection;
  Agent.prototype.createConnection = function (...args) {
    const [options, done] = normal(args);
    if (options.path === undefined && reached(options.host, options.port)) return own.apply(this, args);
    const socket = new net.Socket();
    if (done) socket.once("connect", () => done(null, socket)).once("error", done);
    socket.connect({ host: options.host, port: options.port });
    return socket;
  };
}

// the platform's to an address that it makes of the request.
const address = http.ClientRequest.prototype._createUrlStrFromOptions;
if (address) {
  http.ClientRequest.prototype._createUrlStrFromOptions = function () {
    const url = new URL(address.call(this));
    const target = leads(url);
    if (target === null) throw refusal(url.host);
    return target ?? url.href;
  };
}

// A name that nothing stands in for is refused when it is looked up, as nodemailer and its kind do before they connect.
const unknown = (host) => !reached(host, 0) && !leads(new URL(`https://${host}/`));
for (const name of ["lookup", "resolve", "resolve4", "resolve6", "resolveMx", "resolveTxt"]) {
  for (const holder of [dns, dns.Resolver.prototype]) {
    const own = holder[name];
    if (own === undefined) continue;
    holder[name] = function (host, ...rest) {
      if (!unknown(host)) return own.call(this, host, ...rest);
      const error = refusal(host, "connections");
      queueMicrotask(() => rest.at(-1)(error));
    };
  }
  for (const holder of [dns.promises, dns.promises.Resolver?.prototype]) {
    const own = holder?.[name];
    if (own === undefined) continue;
    holder[name] = async function (host, ...rest) {
      if (unknown(host)) throw refusal(host, "connections");
      return await own.call(this, host, ...rest);
    };
  }
}
