// The studio's own routes: to read, to have something worked out, and to bring data. Starting and stopping jobs goes
// through Gradio's events.

const ROOT = new URL("studio/", document.baseURI);

export const url = (path) => new URL(path, ROOT).href;

// The address of a picture below a path; its name is a person's own and may hold any sign.
export const pictureUrl = (path, name) => url(`${path}/${name.split("/").map(encodeURIComponent).join("/")}`);

const GIVEN_UP = 204; // what the server says to a page that it thinks gone
const UNREADABLE = "The server's answer broke off. Try again.";

async function answered(asking) {
  const answer = await asking.catch((error) => {
    throw error.name === "AbortError" ? error : new Error("The server does not answer. Look whether it still runs, and try again.");
  });
  if (answer.status === GIVEN_UP) throw new DOMException("the server took it for given up", "AbortError");
  const data = await answer.json().catch((error) => {
    if (answer.ok) throw error.name === "AbortError" ? error : new Error(UNREADABLE); // given up while it was read, or cut off
    return {};
  });
  if (!answer.ok) throw Object.assign(new Error(data.error ?? `The server answered ${answer.status}. Reload the page.`), { status: answer.status });
  return data;
}

// Raises an error with the server's sentence and `status`; without `status` when the server did not answer.
export const getJson = (path) => answered(fetch(url(path), { credentials: "same-origin" }));

// Has the server work something out from what was chosen; raises like `getJson`.
export const postJson = (path, body, signal) => answered(fetch(url(path), {
  method: "POST", credentials: "same-origin", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal,
}));

// The server demands this header of what carries no JSON, so that no other site's page can send it.
const OWN = { "X-Studio": "1" };

export const remove = (path) => answered(fetch(url(path), { method: "DELETE", credentials: "same-origin", headers: OWN }));

export const putBytes = (path, body, signal) => answered(fetch(url(path), { method: "PUT", credentials: "same-origin", headers: OWN, body, signal }));

let script = null;

// Plotly is 4.8 MB: fetched once, and again only when that failed.
export function plotly() {
  script ??= new Promise((resolve, reject) => {
    const tag = document.createElement("script");
    tag.src = url("plotly.js");
    tag.onload = () => resolve(window.Plotly);
    tag.onerror = () => {
      script = null;
      reject(new Error("The plot library did not load. Reload the page."));
    };
    document.head.append(tag);
  });
  return script;
}
