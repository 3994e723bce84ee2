// Without a package.json beside the entrypoint, `require` finds packages and what Node brings, and no file of the function:
// https://github.com/supabase/edge-runtime/blob/main/crates/deno_facade/eszip/mod.rs, `use_byonm`.
import Module from "node:module";
import { setup } from "./platform.js";

const resolve = Module._resolveFilename;
Module._resolveFilename = function (name, ...rest) {
  const found = resolve.call(Module, name, ...rest);
  if (`${found}`.startsWith(`${setup.tree}/`)) throw missing(name);
  return found;
};

function missing(name) {
  return Object.assign(new Error(`Cannot find module '${name}'`), { code: "MODULE_NOT_FOUND", requireStack: [] });
}
