// node:cluster: see node_fs.js.
import cluster from "node:cluster";

export * from "node:cluster";
export default cluster;
export const { Worker, disconnect, fork, setupMaster, setupPrimary } = cluster;
