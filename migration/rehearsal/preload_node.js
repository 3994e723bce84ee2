// Runs in place of preload.js for functions that may serve by Node's own server, as Express and its kind do.
// Apart from it because loading Node's HTTP module takes as long as all the rest of a start.
import http from "node:http";
import { begin, boot, listening, request } from "./preload.js";

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
