// The data sets that can be trained on: the demo's and the person's own, each by its key.

import { state, update } from "./store.js";
import { getJson } from "./api.js";

export const STORED = "stored:";

export const setOf = (key) => state.home?.datasets.find((set) => set.key === key);

export const chosenSet = () => setOf(state.dataset);

// Reads the stored sets anew; the demo's never change.
export async function readSets() {
  const { sets } = await getJson("sets");
  const demo = state.home.datasets.filter((set) => !set.key.startsWith(STORED));
  update({ home: { ...state.home, datasets: [...demo, ...sets] } });
}
