"""The lines of the exported script that are always the same.

What it does not do: put them together (`script`), or hold what only some plans need (`model_parts`, `learning_parts`,
`data_parts`). The script imports nothing of the studio and computes what its worker computes: the same rows in the same
order, the same tokens, the same loss.
"""

HEAD = '''"""{title}

Plain transformers, PEFT and TRL, exported from VLM LoRA Studio; nothing of the studio is needed:

    pip install {packages}
    python train.py                                          trains, and saves the adapter in ./adapter
    python train.py --model FOLDER --data FOLDER --out FOLDER

The data folder holds train/metadata.jsonl and the pictures beside it, one line a row:

    {{"file_name": "1.png", "question": "...", "answer": "..."}}

Rows of a heldout/ folder are left alone; without one, a tenth of the rows is kept out, whole pictures at a time.
"""

import argparse
import hashlib
import inspect
import json
from pathlib import Path

import torch
{imports}
'''

ROWS = '''
def read_rows(folder):
    """The rows to learn from: (picture, question, answer)."""
    learn = folder / "train" if (folder / "train").is_dir() else folder
    rows = []
    for line in (learn / "metadata.jsonl").read_text(encoding="utf-8-sig").splitlines():
        if line.strip():
            row = json.loads(line)
            picture = (learn / row["file_name"]).resolve()
            rows.append((picture, str(row["question"]).strip(), str(row["answer"]).strip()))
    if not (folder / "heldout" / "metadata.jsonl").is_file():
        kept_out = held_out(rows, folder.resolve())
        rows = [row for row in rows if row[0] not in kept_out]
    return rows


def held_out(rows, folder):
    """The pictures that are kept out, always the same ones, as the studio chooses them by what their rows hold."""
    lowest, sizes = {}, {}
    for picture, question, _ in rows:
        key = f"{question}\\0{picture.relative_to(folder).as_posix()}".encode()
        key = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest())
        lowest[picture] = min(key, lowest.get(picture, key))
        sizes[picture] = sizes.get(picture, 0) + 1
    wanted, kept_out = min(len(rows) - 1, max(1, round(0.1 * len(rows)))), set()
    if len(sizes) < 2:
        return kept_out
    order = sorted(sizes, key=lambda picture: (scrambled(lowest[picture]), lowest[picture]))
    for picture in order:
        if sizes[picture] <= wanted:
            kept_out.add(picture)
            wanted -= sizes[picture]
    return kept_out or {min(order, key=sizes.get)}


def scrambled(key):
    """A number that looks random: the finalizer of SplitMix64 (Steele, Lea & Flood 2014)."""
    key = (key + 0x9E3779B97F4A7C15) % 2**64
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        key = (key ^ (key >> shift)) * factor % 2**64
    return key ^ (key >> 31)


def conversation(row, with_picture):
    """The user's turn: the picture (or only its place), and the question."""
    picture, question, _ = row
    place = {"type": "image"}
    if with_picture:
        with Image.open(picture) as image:
            place["image"] = ImageOps.exif_transpose(image).convert("RGB")
    return [{"role": "user", "content": [place, {"type": "text", "text": question}]}]
'''

COLLATOR = '''
class Collator:
    """Rows as batches. Prompt and answer are tokenized apart, so that the prompt is the one that `generate` sees; the
    loss is on the answer and the end of its turn only, and nothing is ever cut, since image tokens would be lost."""

    def __init__(self, processor, rows, stops):
        self.processor, self.rows, self.stops = processor, rows, stops
        # A processor that takes a suffix (PaliGemma's) gives the answer a token type of its own.
        self.suffix = "suffix" in inspect.signature(type(processor).__call__).parameters
        self.fill = {
            "input_ids": processor.tokenizer.pad_token_id,
            "labels": -100,
            "attention_mask": 0,
            "token_type_ids": 0,
            "mm_token_type_ids": 0,
            "cross_attention_mask": 0,
        }

    def __call__(self, items):
        rows = [self.rows[item["row"]] for item in items]
        encoded = [self.encode(row) for row in rows]
        longest = max(row["input_ids"].shape[1] for row in encoded)
        tokens = [key for key in encoded[0] if key in self.fill]
        batch = {key: torch.cat([pad(row[key], longest, self.fill[key]) for row in encoded]) for key in tokens}
        pictures = {key: [row[key] for row in encoded] for key in encoded[0] if key not in self.fill}
        if all(len({value.shape[1:] for value in values}) == 1 for values in pictures.values()):
            return batch | {key: torch.cat(values) for key, values in pictures.items()}
        together = self.prompts(rows)  # only the processor knows how to fill up rows with fewer tiles
        return batch | {key: together[key] for key in pictures}

    def prompts(self, rows):
        batch = self.processor.apply_chat_template(
            [conversation(row, with_picture=True) for row in rows],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True, "padding_side": "left"},
        )
        return {key: value for key, value in batch.items() if key != "labels"}

    def encode(self, row):
        """One row: its prompt, longer by its answer."""
        prompt = self.prompts([row])
        answer = torch.tensor([self.answer(row)])  # [1, A]
        whole = dict(prompt)
        whole["input_ids"] = torch.cat((prompt["input_ids"], answer), dim=1)
        whole["labels"] = torch.cat((torch.full_like(prompt["input_ids"], -100), answer), dim=1)
        for key in self.fill.keys() & prompt.keys() - {"input_ids"}:
            last = prompt[key][:, -1:]  # the answer is text like the prompt's last token
            if key == "token_type_ids" and self.suffix:
                last = torch.ones_like(last)
            whole[key] = torch.cat((prompt[key], last.expand(-1, answer.shape[1], *last.shape[2:])), dim=1)
        return whole

    def answer(self, row):
        """The answer's tokens, and the token at which generation stops."""
        tokenizer = self.processor.tokenizer
        ids = tokenizer(self.answer_text(row), add_special_tokens=False)["input_ids"]
        end = next((index for index, token in enumerate(ids) if token in self.stops), None)
        return [*ids, tokenizer.eos_token_id] if end is None else ids[: end + 1]

    def answer_text(self, row):
        """What the chat template writes after the prompt."""
        user, answer = conversation(row, with_picture=False), row[2]
        turns = [*user, {"role": "assistant", "content": [{"type": "text", "text": answer}]}]
        prompt = self.processor.apply_chat_template(user, add_generation_prompt=True, tokenize=False)
        whole = self.processor.apply_chat_template(turns, tokenize=False)
        if whole.startswith(prompt):
            return whole[len(prompt) :]
        head, found, tail = whole.rpartition(answer)  # the template opens an answer otherwise than it asks for one
        return answer + tail if found and head else answer


def pad(value, length, fill):
    """[1, T, ...] filled up to a length on the right."""
    missing = value.new_full((1, length - value.shape[1], *value.shape[2:]), fill)
    return torch.cat((value, missing), dim=1)
'''


MAIN = """
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=MODEL, help="a Hub id or a folder")
    parser.add_argument("--data", type=Path, default=Path(DATA), help="a folder of rows and pictures")
    parser.add_argument("--out", type=Path, default=Path("adapter"), help="where the adapter goes")
    options = parser.parse_args()

    cuda = torch.cuda.is_available()
    bf16 = {bf16}
    device, dtype = "cuda" if cuda else "cpu", torch.bfloat16 if bf16 else torch.float32
    rows = read_rows(options.data)
    processor = AutoProcessor.from_pretrained(options.model{revision})
    if processor.tokenizer.pad_token_id is None:
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
{template}{load}
    model.eval()

    set_seed(SEED)  # the adapter starts from random numbers
    model.requires_grad_(False)
    lora = {config}
    model = get_peft_model(model, lora)
{wrapped}    counted = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    if counted != TRAINABLE:
        raise SystemExit(f"{{counted:,}} parameters would be trained, not {{TRAINABLE:,}}: is it another model?")

    stops = model.generation_config.eos_token_id if model.generation_config else None
    stops = {{*(stops if isinstance(stops, list) else [stops]), processor.tokenizer.eos_token_id}}
    collator = Collator(processor, rows, stops)
{start}    trainer = AnswerTrainer(
        model=model,
        args=SFTConfig(
            output_dir=str(options.out / "checkpoints"),
            {length},
            per_device_train_batch_size={batch_size},
            gradient_accumulation_steps={accumulation},
            learning_rate=LEARNING_RATE,
            lr_scheduler_type="{schedule}",
            warmup_steps={warmup},{share}
            weight_decay={weight_decay},
            max_grad_norm={max_grad_norm},
            optim="{optimizer}",
{noise}            seed=SEED,
            data_seed=SEED,
            use_cpu=not cuda,
            bf16=bf16,
            gradient_checkpointing={checkpointing},
{checkpointing_how}{workers}            max_length=None,  # a cut would lose image tokens
            completion_only_loss=True,
            remove_unused_columns=False,
            dataloader_pin_memory=cuda,
            save_strategy="no",
            logging_steps=1,
            report_to="{report_to}",
            disable_tqdm=True,
        ),
        data_collator=collator,
        # The column "image" tells TRL that there are pictures; the collator opens them.
        train_dataset=Dataset.from_dict({{"image": [str(row[0]) for row in rows], "row": list(range(len(rows)))}}),
        processing_class=processor,
    )
{before}    trainer.train()
    {save}
    (options.out / "log.json").write_text(json.dumps(trainer.state.log_history, indent=1))
    print(f"The adapter is in {{options.out}}.")


if __name__ == "__main__":
    main()
"""
