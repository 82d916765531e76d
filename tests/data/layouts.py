"""Small copies of the layouts in which people publish pictures with text, each with what is to be made of it.

Every layout is written into a folder by `write`; `LAYOUTS` says the format, the columns and the first row expected.
Where a layout is that of a data set, its name says which; the texts are made up.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

Files = dict[str, Any]


@cache
def png(number: int = 0) -> bytes:
    """A small picture; each number has its own."""
    file = BytesIO()
    Image.new("RGB", (32, 32), (number * 37 % 256, number * 91 % 256, number * 53 % 256)).save(file, "PNG")
    return file.getvalue()


def pictures(*names: str) -> Files:
    return {name: png(number) for number, name in enumerate(names)}


def numbered(form: str, count: int, start: int = 1) -> Files:
    return pictures(*(form.format(number) for number in range(start, start + count)))


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def parquet(columns: dict[str, list[Any]]) -> bytes:
    import pyarrow
    from pyarrow.parquet import write_table

    file = BytesIO()
    write_table(pyarrow.table(columns), file)
    return file.getvalue()


def hub_parquet(columns: dict[str, list[Any]], features: dict[str, Any]) -> bytes:
    """As the Hub's own files are, with the features in the schema."""
    from datasets import Dataset, Features

    file = BytesIO()
    Dataset.from_dict(columns, features=Features(features)).to_parquet(file)
    return file.getvalue()


@dataclass(frozen=True)
class Layout:
    name: str
    files: Callable[[], Files]
    format: str
    columns: dict[str, str]
    rows: int
    question: str
    answer: str
    shown: tuple[str, ...] = ()
    """Names of the first row's pictures."""
    split: str = "share"
    sides: tuple[int, int] = (0, 0)
    """Rows that are said to be trained on, and held out."""
    trouble: dict[str, int] = field(default_factory=dict)


def write(layout: Layout, root: Path) -> Path:
    for name, content in layout.files().items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content if isinstance(content, bytes) else content.encode() if isinstance(content, str) else None
        path.write_bytes(json.dumps(content).encode() if data is None else data)
    return root


SAID = (
    "A child in a pink dress climbs up a set of stairs",
    "Two dogs of different breeds look at each other on the road",
    "A man in a blue shirt stands on a ladder cleaning a window",
    "A girl with two pigtails paints in front of a rainbow of colours",
    "Three people sit on a bench and eat ice cream in the sun",
    "A black cat sleeps on top of an old red car",
)


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


def ms_swift() -> Files:
    rows = [
        {"query": "<image>What is it?", "response": f"A picture of {SAID[n]}", "images": [f"{n}.png"]} for n in range(4)
    ]
    return {"rows.jsonl": lines(rows), **numbered("{}.png", 4, 0)}


def cauldron() -> Files:
    texts = [[{"user": f"How many bars are there? {n}", "assistant": "Four.", "source": "made"}] for n in range(4)]
    return {
        "data/train-00000-of-00001.parquet": parquet(
            {"images": [[{"bytes": png(n), "path": None}] for n in range(4)], "texts": texts}
        )
    }


def vqa_csv() -> Files:
    rows = [f"images/{n}.jpg,Is there a tree in picture {n}?,{'yes' if n % 2 else 'no'}" for n in range(8)]
    return {"vqa.csv": "image,question,answer\n" + "\n".join(rows) + "\n", **numbered("images/{}.jpg", 8, 0)}


def vqav2() -> Files:
    rows = [
        {
            "question_id": 262148000 + n,
            "image_id": 262148 + n,
            "question": f"Where is he looking, person {n}?",
            "question_type": "where is",
            "multiple_choice_answer": "down",
            "answers": [{"answer": said, "answer_id": k} for k, said in enumerate(("down", "at table", "down"), 1)],
        }
        for n in range(5)
    ]
    files = pictures(*(f"val2014/COCO_val2014_{262148 + n:012d}.jpg" for n in range(5)))
    return {"vqa_rows.jsonl": lines(rows), **files}


def docvqa_jsonl() -> Files:
    rows = [
        {
            "questionId": 100 + n,
            "question": f"What is the date on page {n}?",
            "image": f"documents/xnbl{n:04d}_1.png",
            "docId": n,
            "data_split": "train",
            "answers": ["1/8/93", "1993", "1/8/93"],
        }
        for n in range(6)
    ]
    return {"train_v1.0.jsonl": lines(rows), **pictures(*(f"documents/xnbl{n:04d}_1.png" for n in range(6)))}


def textvqa() -> Files:
    rows = [
        {
            "question": f"what is the brand of camera {n}?",
            "image_id": f"0054c91397f2fe0{n}",
            "image_classes": ["Camera"],
            "flickr_original_url": "https://farm2.example.org/x.jpg",
            "image_width": 1024,
            "answers": ["nous les gosses", "dakota", "dakota", "clos culombu"],
            "set_name": "train",
        }
        for n in range(5)
    ]
    return {
        "TextVQA_0.5.1_train.json": {
            "dataset_type": "train",
            "dataset_name": "textvqa",
            "data": rows,
        },
        **pictures(*(f"train_images/0054c91397f2fe0{n}.jpg" for n in range(5))),
    }


def scienceqa() -> Files:
    columns = {
        "image": [{"bytes": png(n), "path": f"{n}.png"} for n in range(4)],
        "question": [f"Which of these states is farthest north, map {n}?" for n in range(4)],
        "choices": [["West Virginia", "Louisiana", "Arizona"]] * 4,
        "answer": [0, 1, 2, 0],
        "hint": [""] * 4,
    }
    return {"data/train-00000-of-00001.parquet": parquet(columns)}


def mmbench() -> Files:
    head = "index\tquestion\tA\tB\tanswer\timage\n"
    rows = [
        f"{n}\tWhat is shown in {n}?\ta cat\ta dog\t{'AB'[n % 2]}\t{base64.b64encode(png(n)).decode()}\n"
        for n in range(4)
    ]
    return {"MMBench_DEV_EN.tsv": head + "".join(rows)}


def chartqa() -> Files:
    columns = {
        "image": [{"bytes": png(n), "path": f"{n}.png"} for n in range(4)],
        "query": [f"What is the value of bar {n}?" for n in range(4)],
        "label": [["14"], ["0.57"], ["Yes"], ["3"]],
        "human_or_machine": [0, 0, 1, 1],
    }
    return {
        "data/train-00000-of-00001.parquet": parquet(columns),
        "data/val-00000-of-00001.parquet": parquet({name: values[:2] for name, values in columns.items()}),
    }


def coco_captions() -> Files:
    images = [
        {"id": 400 + n, "file_name": f"COCO_val2014_{400 + n:012d}.jpg", "height": 4, "width": 4} for n in range(3)
    ]
    notes = [{"image_id": 400 + n % 3, "id": n, "caption": SAID[n]} for n in range(6)]
    data = {"info": {"year": 2014}, "images": images, "licenses": [], "annotations": notes}
    return {
        "annotations/captions_val2014.json": data,
        **pictures(*(f"val2014/COCO_val2014_{400 + n:012d}.jpg" for n in range(3))),
    }


def coco_all() -> Files:
    boxes = {
        "images": coco_captions()["annotations/captions_val2014.json"]["images"],
        "annotations": [{"image_id": 400, "id": 1, "bbox": [0, 0, 1, 1], "category_id": 1}],
        "categories": [{"id": 1, "name": "dog"}],
    }
    train = json.loads(json.dumps(coco_captions()["annotations/captions_val2014.json"]).replace("val2014", "train2014"))
    return {
        **coco_captions(),
        "annotations/instances_val2014.json": boxes,
        "annotations/captions_train2014.json": train,
        **pictures(*(f"train2014/COCO_train2014_{400 + n:012d}.jpg" for n in range(3))),
    }


def karpathy() -> Files:
    rows = [
        {
            "filepath": "val2014",
            "sentids": [2 * n, 2 * n + 1],
            "filename": f"COCO_val2014_{n:012d}.jpg",
            "imgid": n,
            "split": ("test", "restval", "train")[n],
            "sentences": [{"tokens": said.split(), "raw": said, "imgid": n, "sentid": 1} for said in SAID[n : n + 2]],
            "cocoid": n,
        }
        for n in range(3)
    ]
    return {
        "dataset_coco.json": {"images": rows, "dataset": "coco"},
        **numbered("val2014/COCO_val2014_{:012d}.jpg", 3, 0),
    }


def flickr8k() -> Files:
    rows = [f'Images/{n // 2}_693b.jpg,"{SAID[n]} ."\n'.removeprefix("Images/") for n in range(6)]
    return {"captions.txt": "image,caption\n" + "".join(rows), **pictures(*(f"Images/{n}_693b.jpg" for n in range(3)))}


def flickr8k_token() -> Files:
    rows = [f"{n // 2}_693b.jpg#{n % 2}\t{SAID[n]} .\n" for n in range(6)]
    return {
        "Flickr8k_text/Flickr8k.token.txt": "".join(rows),
        "Flickr8k_text/readme.txt": "If you use this corpus, please cite it.\n",
        **pictures(*(f"Flicker8k_Dataset/{n}_693b.jpg" for n in range(3))),
    }


def flickr30k_results() -> Files:
    rows = [f"{n // 2}.jpg| {n % 2}| {SAID[n]} .\n" for n in range(6)]
    return {
        "results.csv": "image_name| comment_number| comment\n" + "".join(rows),
        **numbered("flickr30k_images/{}.jpg", 3, 0),
    }


def imagenet() -> Files:
    names = [
        f"{side}/{wnid}/{wnid}_{n}.JPEG"
        for side in ("train", "val")
        for wnid in ("n01440764", "n02102040")
        for n in (1, 2, 3)
    ]
    return {"LOC_synset_mapping.txt": "n01440764 tench, Tinca tinca\n", **pictures(*names)}


def class_folders() -> Files:
    return pictures(*(f"flowers/{kind}/{n}.jpg" for kind in ("daisy", "wild_rose", "tulip") for n in range(3)))


def class_folders_wrapped() -> Files:
    sides, kinds = ("Training", "Testing"), ("glioma", "no_tumor")
    return pictures(*(f"Brain/{side}/{kind}/Tr_{n}.jpg" for side in sides for kind in kinds for n in range(3)))


def imagefolder_csv() -> Files:
    rows = [f'{n:04d}.png,"{SAID[n]}"\n' for n in range(4)]
    return {"train/metadata.csv": "file_name,text\n" + "".join(rows), **numbered("train/{:04d}.png", 4, 0)}


def imagefolder_jsonl() -> Files:
    sides = {"train": (0, 1, 2, 3), "test": (4, 5)}
    tables = {
        f"{side}/metadata.jsonl": lines([{"file_name": f"{n}.jpg", "text": SAID[n]} for n in numbers])
        for side, numbers in sides.items()
    }
    return {**tables, **pictures(*(f"{side}/{n}.jpg" for side, numbers in sides.items() for n in numbers))}


def imagefolder_labels() -> Files:
    rows = [f"{n}.png,{('cat', 'dog')[n % 2]}\n" for n in range(8)]
    return {"metadata.csv": "file_name,label\n" + "".join(rows), **numbered("{}.png", 8, 0)}


def textcaps() -> Files:
    rows = [
        {
            "image_id": f"e0c0c0a3c0ffee{n}",
            "image_classes": ["Person"],
            "image_path": f"train/e0c0c0a3c0ffee{n}.jpg",
            "caption_id": n,
            "caption_str": f"a sign reads {SAID[n]}",
            "reference_strs": [SAID[n], SAID[n - 1]],
            "set_name": "train",
        }
        for n in range(4)
    ]
    return {
        "TextCaps_0.1_train.json": {"dataset_name": "textcaps", "data": rows},
        **pictures(*(f"train_images/e0c0c0a3c0ffee{n}.jpg" for n in range(4))),
    }


def ocr_labels() -> Files:
    words = ("SLOW", "Tiredness", "kills", "A short break", "50%", "Exit", "Pay here", "Gate 12")
    return {
        "labels.txt": "".join(f"word_{n}.png\t{word}\n" for n, word in enumerate(words)),
        **numbered("word_{}.png", len(words), 0),
    }


def icdar_gt() -> Files:
    words = ("Tiredness", "kills", "A", "short", "break", "could")
    return {
        "gt.txt": "\ufeff" + "".join(f'word_{n}.png, "{word}"\n' for n, word in enumerate(words, 1)),
        **numbered("word_{}.png", len(words)),
    }


def tesseract_gt() -> Files:
    files = {f"ground-truth/line_{n}.gt.txt": f"{said}\n" for n, said in enumerate(SAID[:4])}
    return {**files, **pictures(*(f"ground-truth/line_{n}.png" for n in range(4)))}


def latex_ocr() -> Files:
    columns = {
        "image": [{"bytes": png(n), "path": None} for n in range(4)],
        "text": [rf"\frac{{{n}}}{{x}} + \alpha _ {{ {n} }}" for n in range(4)],
    }
    return {"train.parquet": parquet(columns)}


def cord() -> Files:
    receipt = [
        {
            "gt_parse": {"menu": [{"nm": "Nasi", "price": f"{n}5.000"}], "total": {"total_price": f"{n}5.000"}},
            "meta": {"version": "2.0"},
        }
        for n in range(3)
    ]
    columns = {
        "image": [{"bytes": png(n), "path": None} for n in range(3)],
        "ground_truth": [json.dumps(one) for one in receipt],
    }
    return {
        "data/train-00000-of-00001.parquet": parquet(columns),
        "data/test-00000-of-00001.parquet": parquet({name: values[:1] for name, values in columns.items()}),
    }


def donut_docvqa() -> Files:
    truth = [
        {
            "gt_parses": [
                {"question": f"Who signed page {n}?", "answer": "P. Carter"},
                {"question": "When?", "answer": "1993"},
            ]
        }
        for n in range(3)
    ]
    rows = [{"file_name": f"{n}.png", "ground_truth": json.dumps(one)} for n, one in enumerate(truth)]
    return {"train/metadata.jsonl": lines(rows), **numbered("train/{}.png", 3, 0)}


def kaggle_labels() -> Files:
    rows = [f"{n:06d}.jpg,{('healthy', 'rust', 'scab')[n % 3]}\n" for n in range(9)]
    return {
        "train.csv": "filename,label\n" + "".join(rows),
        "test.csv": "filename\n100000.jpg\n",
        "sample_submission.csv": "filename,label\n100000.jpg,healthy\n",
        **numbered("train/{:06d}.jpg", 9, 0),
        "test/100000.jpg": png(99),
    }


def kaggle_ids() -> Files:
    breeds = ("boston_bull", "dingo")
    rows = [f"000bec180eb18c7604dcecc8fe0dba0{n},{breeds[n % 2]}\n" for n in range(6)]
    return {
        "labels.csv": "id,breed\n" + "".join(rows),
        **pictures(*(f"train/000bec180eb18c7604dcecc8fe0dba0{n}.jpg" for n in range(6))),
    }


def kaggle_split_column() -> Files:
    rows = [f"{n},train/A/{n}.jpg,ABBOTTS BABBLER,{'train' if n < 4 else 'test'}\n" for n in range(6)]
    head = "class id,filepaths,labels,data set\n"
    return {"birds.csv": head + "".join(rows), **numbered("train/A/{}.jpg", 6, 0)}


def cats_and_dogs() -> Files:
    return pictures(*(f"train/{kind}.{n}.jpg" for kind in ("cat", "dog") for n in range(4)))


def sidecar_captions() -> Files:
    texts = {f"10_subject/{n}.txt": said for n, said in enumerate(SAID)}
    return {**texts, **numbered("10_subject/{}.png", len(SAID), 0)}


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


def nlvr_two_columns() -> Files:
    rows = [
        f"{n}-l.png,{n}-r.png,Are both pictures red in pair {n}?,{'True' if n % 2 else 'False'}\n" for n in range(4)
    ]
    return {
        "dev.csv": "left_image,right_image,question,answer\n" + "".join(rows),
        **pictures(*(f"img/{n}-{side}.png" for n in range(4) for side in "lr")),
    }


def mmmu() -> Files:
    columns: dict[str, list[Any]] = {
        "id": [f"dev_{n}" for n in range(3)],
        "question": ["<image 1> Which is like <image 2>?", "What is <image 1>?", "Name <image 1>."],
        "image_1": [{"bytes": png(n), "path": None} for n in range(3)],
        "image_2": [{"bytes": png(9), "path": None}, None, None],
        "answer": ["The first", "A cell", "A bone"],
    }
    return {"dev.parquet": parquet(columns)}


def clip_pairs() -> Files:
    rows = [f"{n}.jpg\t{said}\n" for n, said in enumerate(SAID)]
    return {"pairs.tsv": "filepath\ttitle\n" + "".join(rows), **numbered("{}.jpg", len(SAID), 0)}


def caption_lists() -> Files:
    columns = {
        "image": [{"bytes": png(n), "path": f"{n}.jpg"} for n in range(3)],
        "caption": [[SAID[n], SAID[n + 1]] for n in range(3)],
        "split": ["train", "train", "test"],
        "filename": [f"{n}.jpg" for n in range(3)],
    }
    return {"data.parquet": parquet(columns)}


def hub_classes() -> Files:
    from datasets import ClassLabel
    from datasets import Image as Picture

    columns = {"img": [{"bytes": png(n), "path": None} for n in range(6)], "label": [0, 1, 2, 0, 1, 2]}
    names = ["airplane", "automobile", "bird"]
    data = hub_parquet(columns, {"img": Picture(), "label": ClassLabel(names=names)})
    return {"plain_text/train-00000-of-00001.parquet": data, "plain_text/test-00000-of-00001.parquet": data}


def languages() -> Files:
    rows = [{"image": f"{n}.jpg", "lang": ("de", "en")[n % 2], "caption": SAID[n]} for n in range(6)]
    return {"multi30k.jsonl": lines(rows), **numbered("{}.jpg", 6, 0)}


def writers() -> Files:
    said = ("and he went", "to the sea", "with his old", "friend from the", "north of it", "where snow lay")
    rows = [f"a01-{n}.png,{n // 2},{text}\n" for n, text in enumerate(said)]
    return {
        "lines.csv": "file,writer_id,transcription\n" + "".join(rows),
        **pictures(*(f"lines/a01-{n}.png" for n in range(6))),
    }


def python_lists() -> Files:
    rows = [f"""{n}.png,"What is {n}?","['two', 'a pair', 'two']"\n""" for n in range(4)]
    return {"qa.csv": "image,question,answers\n" + "".join(rows), **numbered("{}.png", 4, 0)}


def captions_by_name() -> Files:
    return {"captions.json": {f"{n}.png": said for n, said in enumerate(SAID)}, **numbered("{}.png", len(SAID), 0)}


def _layouts() -> tuple[Layout, ...]:
    i, q, a, t = "image", "question", "answer", "text"
    describe, what, read = "Describe the picture.", "What is in the picture?", "Read the text in the picture."
    conversations = {"image": "image", "messages": "conversations"}
    return (
        Layout(
            "llava_instruct",
            llava_instruct,
            "sharegpt",
            conversations,
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
            conversations,
            4,
            "What do you see happening in this image?",
            SAID[1],
            ("data/coco/train2017/000000000001.jpg",),
        ),
        Layout(
            "sharegpt_many_pictures",
            sharegpt_many,
            "sharegpt",
            {i: "images", "messages": "conversations"},
            4,
            "and\n: which is darker?",
            "The first.",
            ("img/0a.png", "img/0b.png"),
        ),
        Layout(
            "trl_messages",
            trl_messages,
            "messages",
            {i: "images", "messages": "messages"},
            4,
            "Who painted this?",
            "Nobody knows.",
            ("images/0.png",),
        ),
        Layout(
            "llama_factory",
            llama_factory,
            "messages",
            {i: "images", "messages": "messages"},
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
            {i: "images", "prompt": "query", "completion": "response"},
            4,
            "What is it?",
            f"A picture of {SAID[0]}",
            ("0.png",),
        ),
        Layout(
            "cauldron",
            cauldron,
            "messages",
            {i: "images", "messages": "texts"},
            4,
            "How many bars are there? 0",
            "Four.",
            ("data/train-00000-of-00001.parquet/1/1-picture",),
        ),
        Layout(
            "vqa_csv", vqa_csv, "vqa", {i: i, q: q, a: a}, 8, "Is there a tree in picture 0?", "no", ("images/0.jpg",)
        ),
        Layout(
            "vqav2_like",
            vqav2,
            "vqa",
            {i: "image_id", q: q, a: "answers"},
            5,
            "Where is he looking, person 0?",
            "down",
            ("val2014/COCO_val2014_000000262148.jpg",),
        ),
        Layout(
            "docvqa_like",
            docvqa_jsonl,
            "vqa",
            {i: i, q: q, a: "answers", "split": "data_split"},
            6,
            "What is the date on page 0?",
            "1/8/93",
            ("documents/xnbl0000_1.png",),
        ),
        Layout(
            "textvqa",
            textvqa,
            "vqa",
            {i: "image_id", q: q, a: "answers", "split": "set_name"},
            5,
            "what is the brand of camera 0?",
            "dakota",
            ("train_images/0054c91397f2fe00.jpg",),
        ),
        Layout(
            "scienceqa",
            scienceqa,
            "vqa",
            {i: i, q: q, a: a, "choices": "choices"},
            4,
            "Which of these states is farthest north, map 0?",
            "West Virginia",
            ("data/train-00000-of-00001.parquet/1/1-0.png",),
        ),
        Layout(
            "mmbench_tsv",
            mmbench,
            "vqa",
            {i: i, q: q, a: a},
            4,
            "What is shown in 0?\nA. a cat\nB. a dog",
            "A",
            ("MMBench_DEV_EN.tsv/2/1-picture",),
        ),
        Layout(
            "chartqa",
            chartqa,
            "vqa",
            {i: i, q: "query", a: "label"},
            6,
            "What is the value of bar 0?",
            "14",
            ("data/train-00000-of-00001.parquet/1/1-0.png",),
            "folders",
            (4, 2),
        ),
        Layout(
            "coco_captions",
            coco_captions,
            "coco",
            {i: "file_name", t: "caption"},
            6,
            describe,
            SAID[0],
            ("val2014/COCO_val2014_000000000400.jpg",),
        ),
        Layout(
            "coco_all",
            coco_all,
            "coco",
            {i: "file_name", t: "caption"},
            12,
            describe,
            SAID[0],
            ("train2014/COCO_train2014_000000000400.jpg",),
            "folders",
            (6, 6),
        ),
        Layout(
            "karpathy_split",
            karpathy,
            "captions",
            {i: "filename", t: "sentences", "split": "split"},
            6,
            describe,
            SAID[0],
            ("val2014/COCO_val2014_000000000000.jpg",),
            "column",
            (4, 2),
        ),
        Layout(
            "flickr8k_captions",
            flickr8k,
            "captions",
            {i: i, t: "caption"},
            6,
            describe,
            f"{SAID[0]} .",
            ("Images/0_693b.jpg",),
        ),
        Layout(
            "flickr8k_token",
            flickr8k_token,
            "captions",
            {i: "column 1", t: "column 2"},
            6,
            describe,
            f"{SAID[0]} .",
            ("Flicker8k_Dataset/0_693b.jpg",),
        ),
        Layout(
            "flickr30k_results",
            flickr30k_results,
            "captions",
            {i: "image_name", t: "comment"},
            6,
            describe,
            f"{SAID[0]} .",
            ("flickr30k_images/0.jpg",),
        ),
        Layout(
            "imagenet_folders",
            imagenet,
            "classes",
            {i: "picture", "label": "folder"},
            12,
            what,
            "n01440764",
            ("train/n01440764/n01440764_1.JPEG",),
            "folders",
            (6, 6),
        ),
        Layout(
            "class_folders",
            class_folders,
            "classes",
            {i: "picture", "label": "folder"},
            9,
            what,
            "daisy",
            ("flowers/daisy/0.jpg",),
        ),
        Layout(
            "class_folders_in_sides",
            class_folders_wrapped,
            "classes",
            {i: "picture", "label": "folder"},
            12,
            what,
            "glioma",
            ("Brain/Testing/glioma/Tr_0.jpg",),
            "folders",
            (6, 6),
        ),
        Layout(
            "imagefolder_csv",
            imagefolder_csv,
            "captions",
            {i: "file_name", t: t},
            4,
            describe,
            SAID[0],
            ("train/0000.png",),
        ),
        Layout(
            "imagefolder_jsonl",
            imagefolder_jsonl,
            "captions",
            {i: "file_name", t: t},
            6,
            describe,
            SAID[0],
            ("train/0.jpg",),
            "folders",
            (4, 2),
        ),
        Layout(
            "imagefolder_labels",
            imagefolder_labels,
            "classes",
            {i: "file_name", "label": "label"},
            8,
            what,
            "cat",
            ("0.png",),
        ),
        Layout(
            "textcaps",
            textcaps,
            "captions",
            {i: "image_path", t: "caption_str", "split": "set_name"},
            4,
            describe,
            f"a sign reads {SAID[0]}",
            ("train_images/e0c0c0a3c0ffee0.jpg",),
        ),
        Layout("ocr_labels_txt", ocr_labels, "ocr", {i: "column 1", t: "column 2"}, 8, read, "SLOW", ("word_0.png",)),
        Layout("icdar_gt_txt", icdar_gt, "ocr", {i: "column 1", t: "column 2"}, 6, read, "Tiredness", ("word_1.png",)),
        Layout(
            "tesseract_gt",
            tesseract_gt,
            "ocr",
            {i: "picture", t: "text file"},
            4,
            read,
            SAID[0],
            ("ground-truth/line_0.png",),
        ),
        Layout(
            "latex_ocr",
            latex_ocr,
            "ocr",
            {i: i, t: t},
            4,
            read,
            r"\frac{0}{x} + \alpha _ { 0 }",
            ("train.parquet/1/1-picture",),
        ),
        Layout(
            "cord",
            cord,
            "ocr",
            {i: i, t: "ground_truth"},
            4,
            "Read the picture and write what it says as JSON.",
            '{"menu": [{"nm": "Nasi", "price": "05.000"}], "total": {"total_price": "05.000"}}',
            ("data/train-00000-of-00001.parquet/1/1-picture",),
            "folders",
            (3, 1),
        ),
        Layout(
            "donut_docvqa",
            donut_docvqa,
            "vqa",
            {i: "file_name", q: "ground_truth", a: "ground_truth"},
            6,
            "Who signed page 0?",
            "P. Carter",
            ("train/0.png",),
        ),
        Layout(
            "kaggle_filename_label",
            kaggle_labels,
            "classes",
            {i: "filename", "label": "label"},
            9,
            what,
            "healthy",
            ("train/000000.jpg",),
        ),
        Layout(
            "kaggle_id_breed",
            kaggle_ids,
            "classes",
            {i: "id", "label": "breed"},
            6,
            what,
            "boston_bull",
            ("train/000bec180eb18c7604dcecc8fe0dba00.jpg",),
        ),
        Layout(
            "kaggle_split_column",
            kaggle_split_column,
            "classes",
            {i: "filepaths", "label": "labels", "split": "data set"},
            6,
            what,
            "ABBOTTS BABBLER",
            ("train/A/0.jpg",),
            "column",
            (4, 2),
        ),
        Layout(
            "cats_and_dogs",
            cats_and_dogs,
            "classes",
            {i: "picture", "label": "word in the file's name"},
            8,
            what,
            "cat",
            ("train/cat.0.jpg",),
        ),
        Layout(
            "sidecar_captions",
            sidecar_captions,
            "captions",
            {i: "picture", t: "text file"},
            6,
            describe,
            SAID[0],
            ("10_subject/0.png",),
        ),
        Layout(
            "prompt_completion",
            prompt_completion,
            "prompt_completion",
            {i: i, "prompt": "prompt", "completion": "completion"},
            4,
            "Write an advert for item 0.",
            f"Buy {SAID[0]}!",
            ("images/0.png",),
        ),
        Layout(
            "trl_prompt_completion",
            trl_prompt_completion,
            "prompt_completion",
            {i: "images", "prompt": "prompt", "completion": "completion"},
            4,
            "What color is it?",
            "It is red.",
            ("0.png",),
        ),
        Layout(
            "alpaca",
            alpaca,
            "prompt_completion",
            {i: "images", "prompt": "instruction", "completion": "output"},
            4,
            "Grade the leaf.\nField 0",
            "Healthy.",
            ("0.png",),
        ),
        Layout(
            "preferences",
            preferences,
            "prompt_completion",
            {i: i, "prompt": q, "completion": "chosen"},
            3,
            "Is it safe?",
            f"Yes, {SAID[0]}",
            ("train.parquet/1/1-picture",),
        ),
        Layout(
            "nlvr_two_columns",
            nlvr_two_columns,
            "vqa",
            {i: "left_image, right_image", q: q, a: a},
            4,
            "Are both pictures red in pair 0?",
            "False",
            ("img/0-l.png", "img/0-r.png"),
        ),
        Layout(
            "mmmu_numbered_tags",
            mmmu,
            "vqa",
            {i: "image_1, image_2", q: q, a: a},
            3,
            "Which is like\n?",
            "The first",
            ("dev.parquet/1/1-picture", "dev.parquet/1/2-picture"),
        ),
        Layout("clip_pairs", clip_pairs, "captions", {i: "filepath", t: "title"}, 6, describe, SAID[0], ("0.jpg",)),
        Layout(
            "caption_lists",
            caption_lists,
            "captions",
            {i: i, t: "caption", "split": "split"},
            6,
            describe,
            SAID[0],
            ("data.parquet/1/1-0.jpg",),
            "column",
            (4, 2),
        ),
        Layout(
            "hub_class_numbers",
            hub_classes,
            "classes",
            {i: "img", "label": "label"},
            12,
            what,
            "airplane",
            ("plain_text/train-00000-of-00001.parquet/1/1-picture",),
            "folders",
            (6, 6),
        ),
        Layout(
            "language_column",
            languages,
            "captions",
            {i: i, t: "caption", "language": "lang"},
            6,
            describe,
            SAID[0],
            ("0.jpg",),
        ),
        Layout(
            "ocr_writers",
            writers,
            "ocr",
            {i: "file", t: "transcription", "group": "writer_id"},
            6,
            read,
            "and he went",
            ("lines/a01-0.png",),
        ),
        Layout(
            "python_lists_in_csv", python_lists, "vqa", {i: i, q: q, a: "answers"}, 4, "What is 0?", "two", ("0.png",)
        ),
        Layout(
            "captions_by_name", captions_by_name, "captions", {i: "key", t: "value"}, 6, describe, SAID[0], ("0.png",)
        ),
    )


LAYOUTS = _layouts()
