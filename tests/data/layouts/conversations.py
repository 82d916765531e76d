"""Conversations, and prompts with completions, as they are published."""

from __future__ import annotations

import base64
from typing import Any

from tests.data.layouts.kit import SAID, Files, Layout, lines, numbered, parquet, pictures, png

CONVERSATIONS = {"image": "image", "messages": "conversations"}


def llava(number: int, image: str, *turns: str) -> dict[str, Any]:
    said = [{"from": "human" if n % 2 == 0 else "gpt", "value": turn} for n, turn in enumerate(turns)]
    return {"id": f"{number:012d}", "image": image, "conversations": said}


def message(role: str, *content: Any) -> dict[str, Any]:
    return {"role": role, "content": content[0] if len(content) == 1 and isinstance(content[0], str) else list(content)}


TEXT, PICTURE = (lambda text: {"type": "text", "text": text}), {"type": "image"}


def llava_instruct() -> Files:
    rows = [
        llava(
            n,
            f"{n:012d}.jpg",
            "<image>\nWhat are the colors of the bus in the image?",
            "White and red.",
            "Is it moving?",
            "It is parked.",
        )
        for n in range(1, 6)
    ]
    rows.append({"id": "t", "conversations": llava(0, "", "What is 2 + 2?", "It is 4.")["conversations"]})
    return {"llava_instruct_150k.json": rows, **numbered("coco/train2017/{:012d}.jpg", 5)}


def sharegpt4v() -> Files:
    rows = [
        llava(n, f"coco/train2017/{n:012d}.jpg", "What do you see happening in this image?\n<image>", SAID[n])
        for n in range(1, 5)
    ]
    return {"sharegpt4v_instruct_gpt4-vision_cap100k.json": rows, **numbered("data/coco/train2017/{:012d}.jpg", 4)}


def sharegpt_many() -> Files:
    rows = [
        {
            "images": [f"img/{n}a.png", f"img/{n}b.png"],
            "conversations": [
                {"from": "system", "value": "You compare pictures."},
                {"from": "human", "value": "<image> and <image>: which is darker?"},
                {"from": "gpt", "value": "The first."},
            ],
        }
        for n in range(4)
    ]
    return {"train.json": rows, **pictures(*(f"img/{n}{side}.png" for n in range(4) for side in "ab"))}


def trl_messages() -> Files:
    rows = [
        {
            "images": [f"images/{n}.png"],
            "messages": [
                message("system", TEXT("You are terse.")),
                message("user", PICTURE, TEXT("Who painted this?")),
                message("assistant", TEXT("Nobody knows.")),
            ],
        }
        for n in range(4)
    ]
    return {"train.jsonl": lines(rows), **numbered("images/{}.png", 4, 0)}


def llama_factory() -> Files:
    rows = [
        {
            "messages": [message("user", "<image>Who are they?"), message("assistant", "They are footballers.")],
            "images": [f"mllm_demo_data/{n}.jpg"],
        }
        for n in range(1, 4)
    ]
    return {"mllm_demo.json": rows, **numbered("mllm_demo_data/{}.jpg", 3)}


def openai_urls() -> Files:
    picture = f"data:image/png;base64,{base64.b64encode(png()).decode()}"
    rows = [
        {
            "messages": [
                message("system", "You are a helpful assistant."),
                message("user", TEXT("What is it?"), {"type": "image_url", "image_url": {"url": picture}}),
                message("assistant", f"A square, number {n}."),
            ]
        }
        for n in range(3)
    ]
    return {"training_data.jsonl": lines(rows)}


def cauldron() -> Files:
    texts = [[{"user": f"How many bars are there? {n}", "assistant": "Four.", "source": "made"}] for n in range(4)]
    return {
        "data/train-00000-of-00001.parquet": parquet(
            {"images": [[{"bytes": png(n), "path": None}] for n in range(4)], "texts": texts}
        )
    }


def ms_swift() -> Files:
    rows = [
        {"query": "<image>What is it?", "response": f"A picture of {SAID[n]}", "images": [f"{n}.png"]} for n in range(4)
    ]
    return {"rows.jsonl": lines(rows), **numbered("{}.png", 4, 0)}


def prompt_completion() -> Files:
    rows = [
        {"image": f"{n}.png", "prompt": f"Write an advert for item {n}.", "completion": f"Buy {SAID[n]}!"}
        for n in range(4)
    ]
    return {"data.json": rows, **numbered("images/{}.png", 4, 0)}


def trl_prompt_completion() -> Files:
    rows = [
        {
            "images": [f"{n}.png"],
            "prompt": [message("user", PICTURE, TEXT("What color is it?"))],
            "completion": [message("assistant", TEXT("It is red."))],
        }
        for n in range(4)
    ]
    return {"train.jsonl": lines(rows), **numbered("{}.png", 4, 0)}


def alpaca() -> Files:
    rows = [
        {"instruction": "Grade the leaf.", "input": f"Field {n}", "output": "Healthy.", "images": [f"{n}.png"]}
        for n in range(4)
    ]
    return {"alpaca.json": rows, **numbered("{}.png", 4, 0)}


def preferences() -> Files:
    columns = {
        "image": [{"bytes": png(n), "path": None} for n in range(3)],
        "question": ["Is it safe?"] * 3,
        "chosen": [f"Yes, {said}" for said in SAID[:3]],
        "rejected": ["No."] * 3,
    }
    return {"train.parquet": parquet(columns)}


LAYOUTS = (
    Layout(
        "llava_instruct",
        llava_instruct,
        "sharegpt",
        CONVERSATIONS,
        6,
        "Is it moving?",
        "It is parked.",
        ("coco/train2017/000000000001.jpg",),
        trouble={"text_only": 1},
    ),
    Layout(
        "sharegpt4v",
        sharegpt4v,
        "sharegpt",
        CONVERSATIONS,
        4,
        "What do you see happening in this image?",
        SAID[1],
        ("data/coco/train2017/000000000001.jpg",),
    ),
    Layout(
        "sharegpt_many_pictures",
        sharegpt_many,
        "sharegpt",
        {"image": "images", "messages": "conversations"},
        4,
        "and\n: which is darker?",
        "The first.",
        ("img/0a.png", "img/0b.png"),
    ),
    Layout(
        "trl_messages",
        trl_messages,
        "messages",
        {"image": "images", "messages": "messages"},
        4,
        "Who painted this?",
        "Nobody knows.",
        ("images/0.png",),
    ),
    Layout(
        "llama_factory",
        llama_factory,
        "messages",
        {"image": "images", "messages": "messages"},
        3,
        "Who are they?",
        "They are footballers.",
        ("mllm_demo_data/1.jpg",),
    ),
    Layout(
        "openai_data_urls",
        openai_urls,
        "messages",
        {"messages": "messages"},
        3,
        "What is it?",
        "A square, number 0.",
        ("training_data.jsonl/1/1-picture",),
    ),
    Layout(
        "ms_swift",
        ms_swift,
        "prompt_completion",
        {"image": "images", "prompt": "query", "completion": "response"},
        4,
        "What is it?",
        f"A picture of {SAID[0]}",
        ("0.png",),
    ),
    Layout(
        "cauldron",
        cauldron,
        "messages",
        {"image": "images", "messages": "texts"},
        4,
        "How many bars are there? 0",
        "Four.",
        ("data/train-00000-of-00001.parquet/1/1-picture",),
    ),
    Layout(
        "prompt_completion",
        prompt_completion,
        "prompt_completion",
        {"image": "image", "prompt": "prompt", "completion": "completion"},
        4,
        "Write an advert for item 0.",
        f"Buy {SAID[0]}!",
        ("images/0.png",),
    ),
    Layout(
        "trl_prompt_completion",
        trl_prompt_completion,
        "prompt_completion",
        {"image": "images", "prompt": "prompt", "completion": "completion"},
        4,
        "What color is it?",
        "It is red.",
        ("0.png",),
    ),
    Layout(
        "alpaca",
        alpaca,
        "prompt_completion",
        {"image": "images", "prompt": "instruction", "completion": "output"},
        4,
        "Grade the leaf.\nField 0",
        "Healthy.",
        ("0.png",),
    ),
    Layout(
        "preferences",
        preferences,
        "prompt_completion",
        {"image": "image", "prompt": "question", "completion": "chosen"},
        3,
        "Is it safe?",
        f"Yes, {SAID[0]}",
        ("train.parquet/1/1-picture",),
    ),
)
