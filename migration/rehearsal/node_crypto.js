// node:crypto with what the platform repairs in that of its Deno: buffers from RSA, and AES-GCM with nonces of any length.
// https://github.com/supabase/edge-runtime/pull/567
import { Buffer } from "node:buffer";
import crypto from "node:crypto";
import { Transform } from "node:stream";

for (const name of ["privateDecrypt", "privateEncrypt", "publicEncrypt"]) {
  const call = crypto[name];
  crypto[name] = (...args) => Buffer.from(call(...args));
}

const { createCipheriv: encrypting, createDecipheriv: decrypting } = crypto;
const made = (own, decrypts) => (cipher, key, iv, options) => {
  const bytes = typeof iv === "string" ? Buffer.from(iv) : iv;
  const taken = `${cipher}`.endsWith("-gcm") && bytes?.length > 0 && bytes.length !== 12;
  return taken ? new Gcm(cipher, key, Buffer.from(bytes), options, decrypts) : own(cipher, key, iv, options);
};
if (!works()) {
  crypto.createCipheriv = made(encrypting, false);
  crypto.createDecipheriv = made(decrypting, true);
}

function works() {
  try {
    return encrypting("aes-128-gcm", Buffer.alloc(16), Buffer.alloc(16)) !== undefined;
  } catch {
    return false;
  }
}

// NIST SP 800-38D over blocks of AES. Like the platform's, a Decipher does not look at the tag.
class Gcm extends Transform {
  constructor(cipher, key, iv, options, decrypts) {
    super(options);
    const name = cipher.replace(/gcm$/, "ecb");
    const secret = typeof key === "string" ? Buffer.from(key) : key;
    this.block = (blocks) => encrypting(name, secret, Buffer.alloc(0)).update(blocks);
    this.decrypts = decrypts;
    this.subkey = whole(this.block(Buffer.alloc(16)));
    this.first = this.hash([iv], 0, iv.length);
    this.counter = this.first;
    this.stream = Buffer.alloc(0);
    this.aad = Buffer.alloc(0);
    this.passed = [];
  }
  hash(parts, before, after) {
    let sum = 0n;
    for (const part of [...parts, lengths(before, after)]) {
      for (let at = 0; at < part.length; at += 16) {
        const block = Buffer.alloc(16);
        part.copy(block, 0, at);
        sum = product(sum ^ whole(block), this.subkey);
      }
    }
    return sum;
  }
  update(data, inputEncoding, outputEncoding) {
    const given = typeof data === "string" ? Buffer.from(data, inputEncoding) : Buffer.from(data);
    this.more(given.length);
    const out = given.map((byte, at) => byte ^ this.stream[at]);
    this.stream = this.stream.subarray(given.length);
    this.passed.push(this.decrypts ? given : out);
    return outputEncoding && outputEncoding !== "buffer" ? out.toString(outputEncoding) : out;
  }
  more(length) {
    const count = Math.ceil((length - this.stream.length) / 16);
    if (count <= 0) return;
    const blocks = Buffer.alloc(16 * count);
    for (let at = 0; at < count; at++) bytes(this.counter = next(this.counter)).copy(blocks, 16 * at);
    this.stream = Buffer.concat([this.stream, this.block(blocks)]);
  }
  final(encoding) {
    const text = Buffer.concat(this.passed);
    const sum = this.hash([this.aad, text], this.aad.length, text.length);
    this.tag = bytes(sum ^ whole(this.block(bytes(this.first))));
    return encoding && encoding !== "buffer" ? "" : Buffer.alloc(0);
  }
  getAuthTag() {
    return this.tag;
  }
  setAAD(data) {
    this.aad = Buffer.from(data);
    return this;
  }
  setAuthTag() {
    return this;
  }
  setAutoPadding() {
    return this;
  }
  _transform(chunk, encoding, done) {
    done(null, this.update(chunk, encoding));
  }
  _flush(done) {
    done(null, this.final());
  }
}

const whole = (block) => BigInt(`0x${block.toString("hex")}`);
const bytes = (number) => Buffer.from(number.toString(16).padStart(32, "0"), "hex");
const next = (counter) => (counter >> 32n << 32n) | ((counter + 1n) & 0xffffffffn);
function lengths(before, after) {
  const block = Buffer.alloc(16);
  block.writeBigUInt64BE(BigInt(before) * 8n, 0);
  block.writeBigUInt64BE(BigInt(after) * 8n, 8);
  return block;
}
function product(x, y) {
  let sum = 0n;
  for (let bit = 127n; bit >= 0n; bit--) {
    if (x >> bit & 1n) sum ^= y;
    y = y & 1n ? (y >> 1n) ^ (0xe1n << 120n) : y >> 1n;
  }
  return sum;
}

export * from "node:crypto";
export default crypto;
export const { createCipheriv, createDecipheriv, privateDecrypt, privateEncrypt, publicEncrypt } = crypto;
