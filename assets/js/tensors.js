// The tensors that an adapter adds to a module, with the names and shapes that PEFT 0.21 saves, by method: the same as
// core/lora/tensors.py, with which tests/browser compares it on random choices.
// A Linear [out, in, ...kernel] gets A [r, in, ...kernel] and B [out, r, 1...]; an embedding and fused experts get others.

const initialRank = (method, rank) => (method === "adalora" ? Math.ceil(1.5 * rank) : rank);

// Starts that take what the adapter begins with out of the frozen weights: the file holds twice the rank.
const savedRank = ({ method, start }, rank) => (start === "pissa" || start === "olora" ? 2 * rank : initialRank(method, rank));

function layer([out, ...rest], rank, { method, lora_bias: bias }) {
  if (method === "adalora") return [["lora_A", [rank, rest.reduce((n, size) => n * size, 1)]], ["lora_B", [out, rank]], ["lora_E", [rank, 1]]];
  const kernel = rest.slice(1).map(() => 1);
  const made = [["lora_A.weight", [rank, ...rest]], ["lora_B.weight", [out, rank, ...kernel]]];
  if (bias) made.push(["lora_B.bias", [out]]);
  if (method === "dora") made.push(["lora_magnitude_vector", kernel.length ? [1, out, ...kernel] : [out]]);
  return made;
}

function table([num, dim], rank, { method }) {
  const made = [["lora_embedding_A", [rank, num]], ["lora_embedding_B", [dim, rank]]];
  return method === "dora" ? [...made, ["lora_magnitude_vector", [dim]]] : made;
}

// PyTorch's attention: the matrix of query, key and value, and its output.
function attention([, width], rank, { lora_bias: bias }) {
  const plain = { method: "lora", lora_bias: bias };
  const inner = layer([width, width], rank, plain).map(([suffix, shape]) => [`base_layer.out_proj.${suffix}`, shape]);
  return [...layer([3 * width, width], rank, plain), ...inner];
}

// A parameter that LoRA reaches by its own name: one matrix, or those of E experts.
function matrices({ shape, transposed }, rank) {
  const experts = shape.length === 3 ? shape[0] : 1;
  let [out, into] = shape.slice(-2);
  if (transposed && shape.length === 3) [out, into] = [into, out];
  return [["lora_A.weight", [rank * experts, into]], ["lora_B.weight", [out, rank * experts]]];
}

const isTable = ({ kind, shape }) => kind.includes("Embedding") && shape.length === 2;

function made(module, rank, recipe) {
  const byName = module.parameters.filter((parameter) => parameter.adaptable);
  if (byName.length) return byName.flatMap((parameter, i) => matrices(parameter, rank).map(([suffix, shape]) => [`${"base_layer.".repeat(byName.length - 1 - i)}${suffix}`, shape]));
  if (module.kind === "MultiheadAttention") return attention(module.shape, rank, recipe);
  return isTable(module) ? table(module.shape, rank, recipe) : layer(module.shape, rank, recipe);
}

// [suffix, shape] of what is trained.
export const trainedTensors = (module, rank, recipe) => made(module, initialRank(recipe.method, rank), recipe);

// [suffix, shape] of what is saved.
export const savedTensors = (module, rank, recipe) => made(module, savedRank(recipe, rank), recipe);

// How often PEFT wraps a module anew for parameters that LoRA reaches by their own names: what lies in it moves down.
export const wrappings = (module) => module.parameters.filter((parameter) => parameter.adaptable).length;
