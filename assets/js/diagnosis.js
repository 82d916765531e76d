// What went wrong in a run, or was noticed: the finding with its numbers, and what to do.

import { html } from "./html.js";

// Whether what ended the run is told, with its remedy, by the last finding: it need not stand there twice.
export const isDiagnosed = ({ status, diagnoses: found }) => Boolean(found.length && status.error?.includes(found.at(-1).text));

export function diagnoses(run) {
  const failed = ["failed", "stopped"].includes(run.status.state);
  return run.diagnoses.map(({ title, text, remedy }, i) => {
    const last = failed && i === run.diagnoses.length - 1;
    return html`<div class="note diagnosis ${last && "bad"}" role="${last ? "alert" : "status"}"><b>${title}</b>${text}${remedy && html`<p><strong>What to do:</strong> ${remedy}${/[.?!]$/.test(remedy) ? "" : "."}</p>`}</div>`;
  });
}
