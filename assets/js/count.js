// What a selection costs: trainable parameters and the bytes of the adapter file, exactly, in the browser.
// Closed forms: LoRA (arXiv:2106.09685) adds A [r, in] and B [out, r] to a Linear; PEFT 0.21 shapes for the others.
// The server counts again at Start (core/lora/budget.py), and so does the worker after PEFT has wrapped the model.

// Shapes of the tensors that LoRA adds to a module of shape [out, in, *kernel], as PEFT saves them: [suffix, shape].
function tensors(module, rank) {
  const [a, b, ...kernel] = module.shape;
  return [["lora_A.weight", [rank, b, ...kernel]], ["lora_B.weight", [a, rank, ...kernel.map(() => 1)]]];
}

const product = (shape) => shape.reduce((n, size) => n * size, 1);

export function added(module, rank) {
  return tensors(module, rank).reduce((sum, [, shape]) => sum + product(shape), 0);
}

// Size of `adapter_model.safetensors`: 8 bytes of length, a JSON header padded with spaces to 8, then fp32 data.
// The header lists the tensors in the order of their names with shape and offsets.
export function adapterBytes(modules, rank) {
  if (!modules.length) return 0;
  const entries = [];
  for (const module of modules) {
    for (const [suffix, shape] of tensors(module, rank)) entries.push([`base_model.model.${module.name}.${suffix}`, shape]);
  }
  entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  let offset = 0;
  let header = '{"__metadata__":{"format":"pt"}'.length + 1;
  for (const [name, shape] of entries) {
    const end = offset + 4 * product(shape);
    header += `,"${name}":{"dtype":"F32","shape":[${shape.join(",")}],"data_offsets":[${offset},${end}]}`.length;
    offset = end;
  }
  return 8 + Math.ceil(header / 8) * 8 + offset;
}

export function isSelected(module, choice) {
  if (!module.adaptable || choice.exclude.has(module.name)) return false;
  return choice.include.has(module.name) || choice.cells.has(module.cell);
}

export function budget(model, choice) {
  const chosen = model.modules.filter((module) => isSelected(module, choice));
  const byComponent = Object.fromEntries(model.components.map((name) => [name, 0]));
  let trainable = 0;
  for (const module of chosen) {
    const n = added(module, choice.rank);
    byComponent[module.component] += n;
    trainable += n;
  }
  return { chosen, trainable, byComponent, total: model.total, share: trainable / model.total, bytes: adapterBytes(chosen, choice.rank) };
}
