import { call, CallError, session, signIn, signOut } from "./api.js";
import { frameFor } from "./frame.js";

const find = (id) => document.getElementById(id);
const MAKES = /\b(create|build|make|design|draw|write|generate)\b/i;
const WRAPPED = /<artifact type="([^"]*)" title="([^"]*)">\n([\s\S]*)\n<\/artifact>/;
const TYPES = { "application/vnd.ant.react": "react", "text/html": "html", "image/svg+xml": "svg" };

let history = [];
let artifact = null; // {type, title, code}
let problem = "";

// Tabs

for (const list of document.querySelectorAll("[role=tablist]")) {
  const tabs = [...list.querySelectorAll("[role=tab]")];
  for (const tab of tabs) tab.addEventListener("click", () => choose(tabs, tab));
}

function choose(tabs, chosen) {
  for (const tab of tabs) {
    tab.setAttribute("aria-selected", String(tab === chosen));
    find(tab.getAttribute("aria-controls")).hidden = tab !== chosen;
  }
}

function preview() {
  choose([find("tab-preview"), find("tab-code")], find("tab-preview"));
}

// Chat

function say(who, text) {
  const line = document.createElement("li");
  line.className = who;
  line.textContent = text;
  find("messages").append(line);
  line.scrollIntoView({ block: "end" });
  return line;
}

function restart() {
  history = [];
  find("messages").replaceChildren();
  say("assistant", "Hello! Ask me for a small web app, a drawing, or anything else.");
  find("message").focus();
}

find("new-chat").addEventListener("click", restart);
find("message").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey) return;
  event.preventDefault();
  find("composer").requestSubmit();
});
find("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const message = find("message").value.trim();
  find("message").value = "";
  say("user", message);
  busily(event.submitter ?? find("composer").querySelector("button"), "Thinking", () => answer(message));
});

async function answer(message) {
  if (!MAKES.test(message)) {
    const { reply } = await call("chat", { message, history });
    history.push({ role: "user", content: message }, { role: "assistant", content: reply });
    return reply;
  }
  const type = /\bsvg\b|\bdraw/i.test(message) ? "svg" : /\bhtml\b/i.test(message) ? "html" : "react";
  const { artifactCode } = await call("generate-artifact", { prompt: message, artifactType: type });
  const [, mime, title, code] = artifactCode.match(WRAPPED) ?? [];
  if (!code) throw new CallError(200, "The answer holds no artifact.");
  show({ type: mime, title: plain(title), code });
  return `Here is “${plain(title)}”. Open Code to change it.`;
}

function plain(escaped) {
  return new DOMParser().parseFromString(escaped, "text/html").documentElement.textContent;
}

/** Runs `work` with the button disabled and a message that waits; the work's text, or its failure, takes its place. */
async function busily(button, words, work) {
  const line = say("assistant busy", words);
  button.disabled = true;
  try {
    line.textContent = await work();
    line.className = "assistant";
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    line.textContent = error.message;
    line.className = "error";
    if (error.status === 401) {
      signOut();
      account();
    }
  } finally {
    button.disabled = false;
    line.classList.remove("busy");
    line.scrollIntoView({ block: "end" });
  }
}

// Artifact

function show(made) {
  artifact = made;
  find("artifact-title").textContent = made.title;
  find("source").value = made.code;
  run();
}

function run() {
  complain("");
  const frame = document.createElement("iframe");
  frame.title = "Artifact";
  frame.setAttribute("sandbox", "allow-scripts");
  frame.srcdoc = frameFor(artifact.type, artifact.code);
  find("preview").replaceChildren(frame);
  preview();
}

function complain(text) {
  problem = text;
  find("problem").hidden = text === "";
  find("problem-text").textContent = text === "" ? "" : `The artifact stopped: ${text}`;
}

addEventListener("message", (event) => {
  const frame = find("preview").querySelector("iframe");
  if (event.source !== frame?.contentWindow || event.data?.artifact !== "failed") return;
  complain(String(event.data.message).replace(/^Uncaught /, ""));
});

find("run").addEventListener("click", () => {
  if (!artifact) return;
  artifact.code = find("source").value;
  run();
});
find("fix").addEventListener("click", () => {
  if (!session()) return openSignIn();
  say("user", "Fix it");
  busily(find("fix"), "Fixing", async () => {
    const body = { content: artifact.code, type: TYPES[artifact.type], errorMessage: problem };
    const { fixedCode } = await call("generate-artifact-fix", body);
    show({ ...artifact, code: fixedCode });
    return "I have corrected the code.";
  });
});

// Image

find("image-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const prompt = find("image-prompt").value.trim();
  const button = event.submitter ?? find("image-form").querySelector("button");
  button.disabled = true;
  const caption = document.createElement("figcaption");
  caption.textContent = "Drawing…";
  find("picture").replaceChildren(caption);
  try {
    const { image } = await call("generate-image", { prompt });
    const picture = Object.assign(new Image(), { src: image, alt: prompt });
    caption.textContent = prompt;
    find("picture").replaceChildren(picture, caption);
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    caption.textContent = error.message;
  } finally {
    button.disabled = false;
  }
});

// Account

function account() {
  const known = Boolean(session());
  find("who").textContent = known ? "Signed in" : "Guest";
  find("who").classList.toggle("in", known);
  find("sign-in").hidden = known;
  find("sign-out").hidden = !known;
}

function openSignIn() {
  find("sign-in-problem").hidden = true;
  find("sign-in-dialog").showModal();
}

find("sign-in").addEventListener("click", openSignIn);
find("cancel").addEventListener("click", () => find("sign-in-dialog").close());
find("sign-out").addEventListener("click", () => {
  signOut();
  account();
});
find("sign-in-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await signIn(find("email").value, find("password").value);
    find("sign-in-form").reset();
    find("sign-in-dialog").close();
    account();
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    find("sign-in-problem").textContent = error.message;
    find("sign-in-problem").hidden = false;
  }
});

account();
restart();
