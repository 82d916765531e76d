"""Every word that Gradio's own widgets say; what the moving parts of the page say stands in assets/js/words.js."""

from __future__ import annotations

TITLE = "VLM LoRA Studio"

MODEL_HEAD = "Which model?"
MODEL_LEAD = (
    "The demo is a small vision-language model that trains in a minute on any laptop. "
    "Or open another one: only its config is read to show what it is made of, no weights are downloaded."
)
MODEL_LABEL = "Hub id or folder"
MODEL_INFO = "owner/name from the Hugging Face Hub, a folder on this machine, or “demo”"
MODEL_REVISION = "Revision"
MODEL_REVISION_INFO = "Hub only: a branch, tag or commit. Empty takes the newest."
MODEL_KNOWN = "Well-known small models"
MODEL_OPEN = "Open"

TARGETS_HEAD = "What should learn?"
TARGETS_LEAD = (
    "The picture is the switchboard: a solid part learns, a hatched one stays as it is. "
    "Start from a preset, then click anything. The count is exact."
)

DATA_HEAD = "What should it learn from?"
DATA_LEAD = (
    "Bring your own pictures, or take a set that is here. "
    "Some rows are always held out: it is never trained on them, and they show what it learned."
)

TRAIN_HEAD = "Train"
TRAIN_LEAD = (
    "It runs in the background: close the page or reload it, and it goes on. The defaults are good to start with."
)
UNIT = "Count by"
UNIT_STEPS, UNIT_EPOCHS = "steps", "epochs"
LENGTH = "How long"
LENGTH_INFO = "Steps, or times through the data"
BATCH = "Batch"
BATCH_INFO = "Rows a step learns from"
RATE = "Learning rate"
RATE_INFO = "3e-3 suits the demo, 1e-4 most models"
SEED = "Seed"
SEED_INFO = "The same seed gives the same run"
ADVANCED = "Advanced"
JOB_NAME = "Name of the job"
JOB_NAME_INFO = "Empty: named after the data"
ACCUMULATION = "Accumulation"
ACCUMULATION_INFO = "Batches added up for one step"
SCHEDULE = "Schedule"
SCHEDULE_INFO = "How the learning rate falls"
WARMUP = "Warm-up"
WARMUP_INFO = "Share of the steps in which it rises"
DECAY = "Weight decay"
CLIP = "Clip the gradient at"
QUANTIZATION = "Quantization"
QUANTIZATION_INFO = "Of the frozen weights: less memory, and slightly other answers"
QUANTIZATION_NONE, QUANTIZATION_8BIT, QUANTIZATION_4BIT = "none", "8 bits", "4 bits (nf4)"
CHECKPOINTING = "Checkpointing"
CHECKPOINTING_INFO = "Less memory for activations, slower steps"
EVAL_EVERY = "Look at held-out rows every"
EVAL_EVERY_INFO = "steps"
EVAL_ROWS = "Held-out rows on the way"
FINAL_ROWS = "Held-out rows before and after"
SAMPLES = "Pictures to follow"
ANSWER_LENGTH = "Longest answer"
ANSWER_LENGTH_INFO = "tokens"
LONGEST_ROW = "Longest row"
LONGEST_ROW_INFO = "tokens, pictures included; empty: the model's own limit. A longer row is named, never cut."
AUGMENT = "Change the pictures"
AUGMENT_INFO = "A little, each time one is trained on; only ways that keep every answer true. None is usual."
AUGMENT_COLOUR, AUGMENT_ROTATION, AUGMENT_CROP = "brightness and contrast", "turn slightly", "crop slightly"
AUGMENT_BLUR, AUGMENT_JPEG = "blur", "JPEG traces"

RESULT_HEAD = "Result"
RESULT_LEAD = "Before is the base model, after is the same model with your adapter, on the same held-out rows."
COMPARE_HEAD = "Ask both"
COMPARE_PICTURE = "Picture"
COMPARE_QUESTION = "Question"
COMPARE_QUESTION_HINT = "What is in the picture?"
COMPARE_ASK = "Ask both models"
BASE_SAYS = "The base model says"
TUNED_SAYS = "The tuned model says"
EXPECTED = "Expected"
NO_ANSWER = "(nothing)"
UNREADABLE = "The picture was opened: the file is damaged or no picture. Save it again as PNG or JPEG."
ASK_FIRST = "Give a picture and a question."

NOT_KEPT = (
    "This Space has no storage of its own: jobs and adapters are gone when it restarts. Download what you want to keep."
)
BROKEN = (
    "Something went wrong inside the studio: it is our mistake, not yours. "
    "The server's log says what. Reload the page and try again."
)
