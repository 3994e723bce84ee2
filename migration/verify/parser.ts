/**
 * Reads modules, one JSON line each, and answers what Deno makes of them. Nothing of a module is ever executed:
 * it is loaded behind an import that throws, after its own imports have been taken out.
 *
 * Runs under `deno test`, the only place where Deno gives its parser to programs (Deno.lint.runPlugin).
 */

interface Request {
  code: string;
  language: "tsx" | "javascript";
}

interface Found {
  error: string | null;
  imports: string[];
  defaultExport: boolean;
}

interface Edit {
  range: [number, number];
  text: string;
}

const NEVER = "cutover-loaded";
const GUARD = `import "data:text/javascript,throw%20new%20Error('${NEVER}')";`;

/** Everything the lint visitor sees in one module. */
class Shape {
  imports: string[] = [];
  defaultExport = false;
  edits: Edit[] = [];

  visitor(): Deno.lint.LintVisitor {
    return {
      ImportDeclaration: (node) => {
        const values = node.importKind === "type" ? [] : node.specifiers.filter((specifier) => !typeOnly(specifier));
        this.external(node.source.value, node.range, values.map((specifier) => specifier.local.name));
      },
      ExportAllDeclaration: (node) => this.external(node.source.value, node.range, []),
      ExportNamedDeclaration: (node) => {
        if (node.specifiers.some((specifier) => nameOf(specifier.exported) === "default")) this.defaultExport = true;
        if (node.source) this.external(node.source.value, node.range, []);
      },
      ExportDefaultDeclaration: () => void (this.defaultExport = true),
      ImportExpression: (node) => this.named(node.source),
      CallExpression: (node) => {
        if (node.callee.type === "Identifier" && node.callee.name === "require") this.named(node.arguments[0]);
      },
      TSImportEqualsDeclaration: (node) => {
        if (node.moduleReference.type !== "TSExternalModuleReference") return;
        this.named(node.moduleReference.expression);
        this.edits.push({ range: node.range, text: declare([node.id.name]) });
      },
    };
  }

  /** A statement that loads another module: its names become variables of this one. */
  private external(source: string, range: [number, number], names: string[]): void {
    this.imports.push(source);
    this.edits.push({ range, text: declare(names) });
  }

  private named(node: Deno.lint.Node | undefined): void {
    if (node?.type === "Literal" && typeof node.value === "string") this.imports.push(node.value);
  }
}

function typeOnly(specifier: { type: string; importKind?: string }): boolean {
  return specifier.type === "ImportSpecifier" && specifier.importKind === "type";
}

function nameOf(node: { type: string; name?: string; value?: unknown }): unknown {
  return node.type === "Identifier" ? node.name : node.value;
}

function declare(names: string[]): string {
  return names.length ? `let ${names.join(",")};` : "";
}

/** The text with its external statements replaced, each line where it was. */
function closed(code: string, edits: Edit[]): string {
  let rest = code;
  for (const { range: [from, to], text } of edits.toSorted((a, b) => b.range[0] - a.range[0])) {
    const lines = "\n".repeat(rest.slice(from, to).split("\n").length - 1);
    rest = rest.slice(0, from) + text + lines + rest.slice(to);
  }
  // These comments would make Deno load a JSX runtime or types.
  return rest.replace(/@(jsx|ts-|deno-types|ts_)/g, "@ $1").replace(/\/\/\/\s*<reference/g, "// <reference");
}

async function parse({ code, language }: Request): Promise<Found> {
  const shape = new Shape();
  const found = (error: string | null) => ({ error, imports: shape.imports, defaultExport: shape.defaultExport });
  const plugin: Deno.lint.Plugin = { name: "shape", rules: { shape: { create: () => shape.visitor() } } };
  try {
    Deno.lint.runPlugin(plugin, language === "tsx" ? "code.tsx" : "code.js", code);
    return found(await load(closed(code, shape.edits), language));
  } catch (error) {
    return found(brief(String(error)));
  }
}

/** Strips the types and compiles. Null when it went well. */
async function load(code: string, language: string): Promise<string | null> {
  const bytes = new TextEncoder().encode(`${GUARD}${code}`);
  try {
    await import(`data:text/${language};base64,${bytes.toBase64()}`);
  } catch (error) {
    return (error as Error).message === NEVER ? null : brief(String(error));
  }
  throw new Error("the guard did not hold");
}

/** The first line of the message and its place, without the address of the module. */
function brief(message: string): string {
  const place = message.match(/:(\d+):\d+\s*$/)?.[1];
  const first = message.split("\n")[0].replace(/^(\w+Error: )+/, "").replace(/ at data:.*$/, "");
  return place ? `${first} (line ${place})` : first;
}

Deno.test("parse", async () => {
  const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream());
  let buffer = "";
  for await (const chunk of lines) {
    buffer += chunk;
    for (let end = buffer.indexOf("\n"); end >= 0; end = buffer.indexOf("\n")) {
      const request = JSON.parse(buffer.slice(0, end));
      buffer = buffer.slice(end + 1);
      console.log(`@@${JSON.stringify(await parse(request))}`);
    }
  }
});
