// Stands in for http/server.ts of Deno's old standard library, whose listener today's Deno no longer has.
export function serve(handler, options = {}) {
  return Deno.serve({ onError: options.onError, onListen: options.onListen, signal: options.signal }, handler).finished;
}

export function listenAndServe(_address, handler, options = {}) {
  return serve(handler, options);
}
