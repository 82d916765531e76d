// What went wrong in a run, or was noticed: the finding with its numbers, and what to do.

import { html } from "./html.js";

export function diagnoses(run) {
  const failed = ["failed", "stopped"].includes(run.status.state);
  return run.diagnoses.map(({ title, text, remedy }, i) => {
    const last = failed && i === run.diagnoses.length - 1;
    return html`<div class="note diagnosis ${last && "bad"}" role="${last ? "alert" : "status"}"><b>${title}</b>${text}${remedy && html`<p><strong>What to do:</strong> ${remedy}</p>`}</div>`;
  });
}
