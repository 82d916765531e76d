// Numbers that a person types, within the bounds of core/spec/plan.py, or the sentence that says why not.

import { alphaRefused, dropoutRefused, rankRefused, rateRefused } from "./words.js";

const MOST_RANK = 4096;
const MOST_ALPHA = 65536;

const KNOBS = {
  rank: [(n) => Number.isInteger(n) && n >= 1 && n <= MOST_RANK, rankRefused],
  alpha: [(n) => n > 0 && n <= MOST_ALPHA, alphaRefused],
  dropout: [(n) => n >= 0 && n < 1, dropoutRefused],
  learning_rate: [(n) => n >= 1e-9 && n <= 1, rateRefused],
};

// { value } or { refused }. An empty text is null where `optional` says that another number then counts.
export function readKnob(name, text, optional = false) {
  const typed = String(text).trim().replace(",", ".");
  if (!typed && optional) return { value: null };
  const [good, refused] = KNOBS[name];
  const value = typed ? Number(typed) : NaN;
  return good(value) ? { value } : { refused: refused(String(text).slice(0, 40)) };
}
