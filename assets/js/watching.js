// Below the plots: the maps of layers, each there as soon as the run has points for it.

import { mountFlow } from "./flow.js";
import { mountRanks } from "./ranks.js";

export function mountWatching(element) {
  element.innerHTML = '<div class="watching"><div></div><div></div></div>';
  const [flow, ranks] = element.firstChild.children;
  mountFlow(flow);
  mountRanks(ranks);
}
