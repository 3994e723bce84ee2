// node:fs for functions that name what they take from it: the names lead to what preload_node.js has put there.
import fs from "node:fs";

export * from "node:fs";
export default fs;
export const {
  WriteStream, access, accessSync, appendFile, appendFileSync, chmod, chmodSync, copyFile, copyFileSync, createReadStream,
  createWriteStream, existsSync, lstat, lstatSync, mkdir, mkdirSync, mkdtemp, mkdtempSync, open, openSync, promises, readdir, readdirSync,
  readFile, readFileSync, realpath, realpathSync, rename, renameSync, rm, rmSync, rmdir, rmdirSync, stat, statSync, symlink,
  symlinkSync, truncate, truncateSync, unlink, unlinkSync, write, writeFile, writeFileSync, writev,
} = fs;
