// Every word that the moving parts of the page say; what Gradio's own widgets say stands in ui/words.py.

export const COMPONENTS = ["vision", "projector", "language", "cross_attention", "audio", "other"];

export const COMPONENT_NAME = {
  vision: "Vision encoder",
  projector: "Projector",
  language: "Language model",
  cross_attention: "Cross-attention",
  audio: "Audio encoder",
  other: "Other parts",
};

export const COMPONENT_SHORT = {
  vision: "vision",
  projector: "projector",
  language: "language",
  cross_attention: "cross-attention",
  audio: "audio",
  other: "other",
};

export const COMPONENT_HELP = {
  vision: "Turns the picture into vectors. Let it learn when the pictures look unlike anything the model has seen.",
  projector: "Translates what vision sees into the language model's terms. Small, and often worth training.",
  language: "Reads the question and writes the answer. Let it learn for new words, formats and tasks.",
  cross_attention: "Where the language model looks at the picture.",
  audio: "Turns sound into vectors.",
  other: "Parts that belong to none of the above.",
};

// What a part of a model is called that gives a score for a picture and a text, as CLIP does, instead of an answer.
export const SCORING = {
  name: { language: "Text encoder" },
  help: { vision: "Turns the picture into vectors.", projector: "Brings both to one size, in which they can be compared.", language: "Turns the text into vectors.", cross_attention: "Where the text and the picture look at each other." },
  lead: "This model takes a picture with texts and gives scores; it does not answer in words. It can be looked at here, and not trained.",
};

export const ROLE_NAME = { attention: "Attention", mlp: "MLP", experts: "Experts", embedding: "Embedding", head: "Head", norm: "Norm", other: "Other" };

export const ROLE_HELP = {
  attention: "Decides what looks at what.",
  mlp: "Works on each position by itself; holds most of the knowledge.",
  experts: "MLPs of which each word takes a few. Costs rank × experts, and not every method reaches them.",
  embedding: "The first layer, which turns patches or words into vectors. Rarely worth training.",
  head: "The last layer, which turns vectors into words. Rarely worth training.",
  norm: "Keeps the size of vectors in bounds.",
  other: "Layers that are neither attention nor MLP.",
};

export const STEPS = [
  ["model", "Model"],
  ["targets", "What to train"],
  ["data", "Data"],
  ["train", "Train"],
  ["result", "Result"],
];

export const NEXT = {
  model: ["targets", "Choose what learns"],
  targets: ["data", "Choose the data"],
  data: ["train", "Look at the settings"],
};

export const STATE_NAME = {
  queued: "Waiting",
  starting: "Starting",
  running: "Training",
  stopping: "Stopping",
  finished: "Finished",
  stopped: "Stopped",
  failed: "Failed",
  lost: "Lost",
};

export const rankRefused = (value) => `Rank ${value || "(empty)"} was asked for: a rank is a whole number from 1 to 4,096. 8 or 16 suits most tasks.`;

export const alphaRefused = (value) => `Alpha ${value || "(empty)"} was asked for: alpha is a number above 0, up to 65,536. Take once or twice the rank.`;

export const dropoutRefused = (value) => `Dropout ${value || "(empty)"} was asked for: dropout lies from 0 to below 1. 0 or 0.1 is usual.`;

export const rateRefused = (value) => `A learning rate of ${value || "(empty)"} was asked for: it must be from 1e-9 to 1. 1e-4 is usual, 3e-3 for the small demo model.`;

export const rankHelp = (method) => (method === "adalora" ? "What is left of each layer's rank on average. 8 or 16 suits most tasks." : "How much each layer can learn. 8 or 16 suits most tasks.");

export const METHODS = [
  ["lora", "LoRA", "Two small matrices beside each layer learn: the usual choice."],
  ["rslora", "rsLoRA", "LoRA scaled by √rank, so that high ranks go on learning. Worth it from rank 32 on."],
  ["dora", "DoRA", "Learns size and direction apart: often better at low ranks, and slower."],
  ["adalora", "AdaLoRA", "Begins with half as much rank again and takes it away where it helps least."],
];

export const STARTS = [
  ["default", "default", "The adapter begins by changing nothing."],
  ["gaussian", "normal distribution", "As the default, from normally distributed numbers."],
  ["pissa", "PiSSA", "Begins along the weights' main directions: often learns faster. The saved file is twice as large."],
  ["olora", "OLoRA", "Begins along orthogonal directions of the weights. The saved file is twice as large."],
  ["eva", "EVA", "Begins along the directions in which your data vary most; looks at some batches first."],
];

export const CONFIDENCE = {
  high: ["●", "sure: by the model's own words, or yours"],
  medium: ["◐", "likely: by names and classes"],
  low: ["?", "a guess: check it"],
};

export const GUESS_HEAD = "Some labels are guesses";

export const GUESS_LEAD = "The evidence in this model does not say for sure what these parts are. Counts are exact all the same; put a label right if you know better.";

export const CONFIRM_GUESSES = "I know that these parts are guesses. Train them.";

// A range over a component's layers: from one place up to another, of all.
export function layersInWords(from, upTo, all) {
  if (upTo === all) return `last ${all - from} of ${all} layers`;
  if (from === 0) return `first ${upTo} of ${all} layers`;
  return `layers ${from + 1} to ${upTo} of ${all}`;
}

export const FIXES = {
  start: "Take the default start",
  lora_bias: "Switch the LoRA bias off",
  dropout: "Take no dropout",
  components: "One rank and alpha for all",
  method: "Take LoRA",
  full: "Train nothing in full",
};

export const FIT = { fits: ["✓", "fits"], tight: ["≈", "tight"], "does not fit": ["✕", "does not fit"] };

export const OWN_CARD = "this machine’s own";

export const MEMORY_UNKNOWN = "cannot be told for this model";

export const QUANTIZATION = { none: "none", "8bit": "8 bits", "4bit": "4 bits (nf4)" };

// Terms of the memory -> colour.
export const TERMS = {
  weights: "weights", adapter: "adapter", gradients: "adapter-2", optimizer: "adapter-3", "vision activations": "vision",
  "language activations": "language", logits: "logits", workspace: "work", "CUDA context": "cuda", "allocator reserve": "cuda-2",
};

export const EXPORTS = [
  ["script", "Python script", "Plain transformers, PEFT and TRL; runs without the studio and learns the same."],
  ["peft", "PEFT config (JSON)", "adapter_config.json, as PEFT reads it."],
  ["regex", "Regex", "Matches the full names of exactly these modules."],
  ["unsloth", "Unsloth call", "The closest get_peft_model call, with what it would miss."],
  ["yaml", "YAML", "For the command line of the studio."],
];

export const NO_TASK = "none in particular";

export const NO_PRIORITY = "all layers alike";

export const OWN_CHOICE = "Your own choice of parts: no preset has exactly these. Press one to take it instead.";

export const NO_SUCH_PART = "this model has no such part that LoRA reaches.";

export const STILL_READING = "The page is still reading what the model is made of. Press Start again in a moment.";
export const STILL_RUNNING = "A job is training. Wait for its end, or stop it, then press Start again.";
export const NO_DATA = "No data are chosen. Choose some in the step Data.";
export const NO_ANSWER = "The server did not answer. Look at the list of jobs before you try again.";

export const NEXT_RUN = "A run is going on and keeps its settings. What you change now counts for the next one.";

export const NOT_COPIED = "The browser lets only pages under https or on this machine copy. The text is selected: press Ctrl+C, or ⌘C on a Mac.";

export const METRIC_NAME = {
  exact_match: "Right answers", accuracy: "Accuracy", token_f1: "Token F1", anls: "ANLS", cer: "Character errors (CER)", wer: "Word errors (WER)", majority: "Most common answer",
};

export const METRIC_HELP = {
  exact_match: "share of answers that are the same word by word", accuracy: "share of rows with the right class", token_f1: "how many words answer and expected answer share",
  anls: "how alike the letters are, half alike or less counts as wrong", cer: "letters to change for each that is expected; less is better", wer: "words to change for each that is expected; less is better",
};

// Error rates may go beyond 100%, and less of them is better.
const ERRORS = ["cer", "wer"];
export const isError = (name) => ERRORS.includes(name);
export const isShare = (name) => !isError(name);

// What the norms are of -> title, and what it tells.
export const NORM_NAME = {
  update: ["Update", "How far this step moved what is trained"],
  grad: ["Gradient", "How strongly the loss pulls at what is trained"],
  weight: ["Weight", "How large what is trained has become"],
};

// What is chosen when a job starts -> its name, and how it can be set: as the lists of ui/panels/fields.py have it, or as a
// number up to `most`, empty for the studio's choice.
export const CHOICES = {
  device: { title: "Device" },
  precision: { title: "Precision", options: [["auto", "by the device"], ["bf16", "bf16"], ["fp32", "fp32"]] },
  attention: { title: "Attention", options: [["auto", "by what is there"], ["sdpa", "sdpa"], ["eager", "eager"], ["flash_attention_2", "flash attention 2"]] },
  checkpointing: { title: "Checkpointing", options: [["auto", "by the memory"], ["on", "on"], ["off", "off"]] },
  at_once: { title: "Rows at a time", most: 4096 },
  accumulation: { title: "Accumulation" },
  workers: { title: "Loader processes", options: [["auto", "by the machine"], ...["0", "1", "2", "4", "8", "16"].map((n) => [n, n])] },
  metric: { title: "Judged by", options: [["auto", "by the data"], ["exact_match", "right answers"], ["token_f1", "token F1"], ["anls", "ANLS"], ["cer", "CER"], ["wer", "WER"]] },
};

// As the form of the settings (ui/words.py) calls them.
export const LEVERS = {
  answers_only: "Only answers go through the head",
  frozen_first: "Nothing goes back through frozen parts",
  vision_cache: "A frozen vision part sees each picture once",
  shared_pictures: "Questions share their picture",
  packing: "Short rows side by side",
  fused_lora: "A layer and its LoRA in one step",
  last_layer: "The last layer only for answers",
  kernels: "Liger’s kernels",
};
