// node:fs/promises: see node_fs.js.
import { promises } from "node:fs";

export * from "node:fs/promises";
export default promises;
export const {
  access, appendFile, chmod, copyFile, lstat, mkdir, mkdtemp, open, readdir, readFile, realpath, rename, rm, rmdir, stat, symlink,
  truncate, unlink, writeFile,
} = promises;
