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

export const ROLE_NAME = { attention: "Attention", mlp: "MLP", embedding: "Embedding", head: "Head", norm: "Norm", other: "Other" };

export const ROLE_HELP = {
  attention: "Decides what looks at what.",
  mlp: "Works on each position by itself; holds most of the knowledge.",
  embedding: "The first layer, which turns patches or words into vectors. Rarely worth training.",
  head: "The last layer, which turns vectors into words. Rarely worth training.",
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

export const NO_SUCH_PART = "this model has no such part that LoRA reaches.";

export const NO_ANSWER = "The server did not answer. Look at the list of jobs before you try again.";
