// node:fs/promises: see node_fs.js.
import { promises } from "node:fs";

export * from "node:fs/promises";
export default promises;
export const { access, appendFile, mkdir, open, readdir, readFile, rm, stat, unlink, writeFile } = promises;
