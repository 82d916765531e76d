// A histogram as a small picture with its words: bars between edges, and a limit where there is one.

import { html } from "./html.js";
import { count } from "./format.js";

const [WIDTH, HEIGHT, WIDEST] = [300, 84, 36];

const whole = (n) => count(Math.round(n));

// What the picture says, for whoever cannot see it.
function inWords({ edges, counts, unit }, limit) {
  const all = counts.reduce((sum, n) => sum + n, 0);
  const top = counts.indexOf(Math.max(...counts));
  return `${count(all)} in all, from ${whole(edges[0])} to ${whole(edges.at(-1))}${unit ? ` ${unit}` : ""}; most, ${count(counts[top])}, from ${whole(edges[top])} to ${whole(edges[top + 1])}${limit ? `; the limit is ${whole(limit)}` : ""}`;
}

// What a single bar says: one number where it is known, else the two between which all lie.
const around = ([low, high]) => (high - low <= 1 ? whole(low) : `${whole(low)} to ${whole(high)}`);

// Where a value stands, in bars: each bar is as wide as the others, though it may hold a hundred times as many numbers.
function placeIn(edges, value) {
  const bar = Math.min(Math.max(edges.findLastIndex((edge) => edge <= value), 0), edges.length - 2);
  return bar + (value - edges[bar]) / (edges[bar + 1] - edges[bar]);
}

export function histogram(data, title, limit = null) {
  const { edges, counts, unit } = data;
  if (!counts.length) return "";
  if (counts.length === 1) return html`<figure class="histogram"><figcaption>${title}</figcaption><p class="small soft">${around(edges)} ${unit} in all ${count(counts[0])}${limit && `; the limit is ${whole(limit)}`}</p></figure>`;
  const most = Math.max(...counts, 1);
  const [low, high] = [edges[0], Math.max(edges.at(-1), limit && limit < 3 * edges.at(-1) ? limit : 0, edges[0] + 1)];
  const end = placeIn(edges, high);
  const x = (value) => (WIDTH * placeIn(edges, value)) / end;
  const bars = counts.map((n, i) => n > 0 && html`<rect class="${limit && edges[i + 1] > limit && edges[i] >= limit ? "over" : ""}" x="${x(edges[i]).toFixed(1)}" y="${(HEIGHT - Math.max(2, (HEIGHT * n) / most)).toFixed(1)}" width="${Math.min(WIDEST, Math.max(1.5, x(edges[i + 1]) - x(edges[i]) - 1)).toFixed(1)}" height="${Math.max(2, (HEIGHT * n) / most).toFixed(1)}"><title>${around([edges[i], edges[i + 1]])}: ${count(n)}</title></rect>`);
  const line = limit && limit <= high ? html`<line x1="${x(limit).toFixed(1)}" x2="${x(limit).toFixed(1)}" y1="0" y2="${HEIGHT}"></line>` : "";
  return html`<figure class="histogram"><figcaption>${title}</figcaption><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${title}: ${inWords(data, limit)}">${bars}${line}</svg>
    <div class="axis num"><span>${whole(low)}</span>${limit && html`<span class="limit">limit ${whole(limit)}${limit > high ? " →" : ""}</span>`}<span>${whole(high)} ${unit}</span></div></figure>`;
}
