// node:zlib with what the platform repairs in that of its Deno: crc32 of bytes, and a brotliDecompress that calls back.
// https://github.com/supabase/edge-runtime/pull/577, https://github.com/supabase/edge-runtime/pull/662
import zlib from "node:zlib";

// A newer Deno has both.
if (!works()) {
  const ofText = zlib.crc32;
  zlib.crc32 = (data, value = 0) => ArrayBuffer.isView(data) ? ofBytes(data, value) : ofText(data, value);
  zlib.brotliDecompress = (data, options, given) => {
    const done = typeof options === "function" ? options : given;
    queueMicrotask(() => {
      let found;
      try {
        found = zlib.brotliDecompressSync(data);
      } catch (error) {
        return done(error);
      }
      done(null, found);
    });
  };
}

function works() {
  try {
    return zlib.crc32(new Uint8Array(1)) > 0;
  } catch {
    return false;
  }
}

function ofBytes(data, value) {
  let sum = ~value;
  for (const byte of new Uint8Array(data.buffer, data.byteOffset, data.byteLength)) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  }
  return ~sum >>> 0;
}

export * from "node:zlib";
export default zlib;
export const { brotliDecompress, crc32 } = zlib;
