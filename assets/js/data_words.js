// Every word of the Data step that is not a sentence of its own place: formats, parts of a row, sides, endings.

// Formats as core/spec/data.py names them -> [name, what its rows say].
export const FORMATS = {
  vqa: ["Questions about pictures", "Each row has a picture, a question and its answer."],
  captions: ["Pictures with captions", "Each row has a picture and a text that describes it."],
  classes: ["Pictures in classes", "Each picture belongs to a class: its folder, or a column."],
  ocr: ["Pictures with the text in them", "Each row has a picture and the text that can be read in it."],
  coco: ["Captions in COCO’s form", "One JSON file with pictures and their captions."],
  pairs: ["Pairs of picture and text", "Each picture has a text that belongs to it, or a column says whether it does."],
  messages: ["Conversations (messages)", "Each row is a conversation with roles, as chat models are trained on."],
  sharegpt: ["Conversations (ShareGPT, LLaVA)", "Each row is a conversation, with <image> where a picture stands."],
  prompt_completion: ["Prompts with completions", "Each row has a prompt and what shall follow it."],
};

export const PARTS = {
  image: "Picture", question: "Question", answer: "Answer", prompt: "Prompt", completion: "Completion", messages: "Conversation",
  text: "Text", label: "Class", verdict: "Do they belong together", system: "System prompt", language: "Language", split: "Side", group: "Keep together", choices: "Choices",
};

// The parts that a format has: those that it is nothing without, then those that it may have.
export const PARTS_OF = {
  vqa: [["image", "question", "answer"], ["choices"]], captions: [["image", "text"], []], classes: [["image", "label"], []], ocr: [["image", "text"], []],
  coco: [["image", "text"], []], pairs: [["image", "text"], ["verdict"]], messages: [["messages"], ["image"]], sharegpt: [["messages"], ["image"]],
  prompt_completion: [["prompt", "completion"], ["image"]],
};

// Formats whose rows hold no question of their own.
export const ASKED_FOR_ALL = new Set(["captions", "classes", "ocr", "coco", "pairs"]);

export const SIDES = { train: "to learn from", heldout: "held out", "": "" };

export const SPEAKERS = { system: "System", user: "User", assistant: "Assistant" };

export const ACCEPTED = ".zip,.tar,.gz,.tgz,.csv,.tsv,.txt,.json,.jsonl,.ndjson,.parquet,image/*";

export const HISTOGRAMS = {
  whole: "Tokens of a row", image: "Tokens of its pictures", words: "Tokens of its text", sides: "Longer sides of the pictures", lengths: "Lengths of the answers",
};

export const ERROR = ["✕", "Error"];
export const WARNING = ["!", "Warning"];
export const LEFT_OUT = ["–", "Left out"];
