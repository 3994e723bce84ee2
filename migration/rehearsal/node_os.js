// node:os: see node_fs.js.
import os from "node:os";

export * from "node:os";
export default os;
export const { cpus, homedir, uptime, userInfo } = os;
