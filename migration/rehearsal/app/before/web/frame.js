/** The document of an artifact's frame. It runs in an origin of its own (sandbox="allow-scripts"): nothing of the page,
 * its storage or its session can be reached from inside. What goes wrong inside is reported by message. */
export function frameFor(type, code) {
  if (type === "image/svg+xml") return page(`<body style="display:grid;place-items:center;min-height:100vh;margin:0">${code}`);
  if (type === "text/html") return code.replace(/<head[^>]*>|^/i, (head) => head + REPORT);
  return page(REACT.replace("CODE", () => JSON.stringify(code).replaceAll("<", "\\u003c")));
}

const VENDOR = new URL("vendor/", import.meta.url);
const REPORT = `<script>
addEventListener("error", (event) => parent.postMessage({ artifact: "failed", message: event.message }, "*"));
addEventListener("unhandledrejection", (event) => parent.postMessage({ artifact: "failed", message: String(event.reason) }, "*"));
<\/script>`;

const page = (body) => `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Artifact</title>${REPORT}
<style>@font-face { font-family: Inter; src: url(${VENDOR}inter.woff2); font-weight: 100 900 }
body { font-family: Inter, system-ui, sans-serif }</style></head>${body}</html>`;

const REACT = `<script crossorigin src="${VENDOR}tailwind.min.js"><\/script>
<body><main id="root"></main>
<script crossorigin src="${VENDOR}react.production.min.js"><\/script>
<script crossorigin src="${VENDOR}react-dom.production.min.js"><\/script>
<script crossorigin src="${VENDOR}sucrase.min.js"><\/script>
<script>
// Every icon of lucide-react is drawn as a dot: the set itself is larger than everything else here.
const icons = new Proxy({}, { get: (_, name) => name === "__esModule" ? false : (props) => React.createElement("svg",
  { viewBox: "0 0 24 24", width: props.size ?? 24, height: props.size ?? 24, className: props.className, "aria-hidden": true },
  React.createElement("circle", { cx: 12, cy: 12, r: 8, fill: "none", stroke: "currentColor", strokeWidth: 2 })) });
const modules = { "react": React, "react-dom": ReactDOM, "react-dom/client": ReactDOM, "lucide-react": icons };
function require(name) {
  if (!(name in modules)) throw new Error("Cannot import " + name + ": artifacts use react and lucide-react");
  return modules[name];
}
const source = CODE;
const { code } = sucrase.transform(source, { transforms: ["typescript", "jsx", "imports"], production: true });
const module = { exports: {} };
new Function("require", "module", "exports", "React", code)(require, module, module.exports, React);
if (!module.exports.default) throw new Error("The artifact has no default export");
function Shown(props) {
  React.useEffect(() => parent.postMessage({ artifact: "shown" }, "*"), []);
  return props.children;
}
ReactDOM.createRoot(document.getElementById("root"))
  .render(React.createElement(Shown, null, React.createElement(module.exports.default)));
<\/script>`;
