// node:fs for functions that name what they take from it: the names lead to what preload_node.js has put there.
import fs from "node:fs";

export * from "node:fs";
export default fs;
export const {
  access, accessSync, appendFile, appendFileSync, existsSync, mkdir, mkdirSync, open, openSync, promises, readdir,
  readdirSync, readFile, readFileSync, rm, rmSync, stat, statSync, unlink, unlinkSync, writeFile, writeFileSync,
} = fs;
