"""Questions with answers, as they are published."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.data.layouts.kit import Files, Layout, lines, numbered, parquet, pictures, png


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


def vqav2_official() -> Files:
    files: Files = {}
    for side, first in (("train", 100), ("val", 200)):
        numbers = range(first, first + 3)
        asked = [{"image_id": n, "question": f"What is on table {n % 100}?", "question_id": n} for n in numbers]
        said = [
            {
                "question_type": "what is",
                "multiple_choice_answer": "net",
                "answers": [{"answer": "net", "answer_confidence": "yes", "answer_id": 1}],
                "image_id": one["image_id"],
                "answer_type": "other",
                "question_id": one["question_id"],
            }
            for one in reversed(asked)
        ]
        head = {"info": {"year": 2017}, "data_type": "mscoco", "license": {"name": "x"}}
        files[f"v2_OpenEnded_mscoco_{side}2014_questions.json"] = {
            **head,
            "task_type": "Open-Ended",
            "questions": asked,
        }
        files[f"v2_mscoco_{side}2014_annotations.json"] = {**head, "annotations": said}
        files |= pictures(*(f"{side}2014/COCO_{side}2014_{n:012d}.jpg" for n in numbers))
    return files


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


def python_lists() -> Files:
    rows = [f"""{n}.png,"What is {n}?","['two', 'a pair', 'two']"\n""" for n in range(4)]
    return {"qa.csv": "image,question,answers\n" + "".join(rows), **numbered("{}.png", 4, 0)}


LAYOUTS = (
    Layout(
        "vqav2_official_files",
        vqav2_official,
        "vqa",
        {"image": "image_id", "question": "question", "answer": "multiple_choice_answer"},
        6,
        "What is on table 0?",
        "net",
        ("train2014/COCO_train2014_000000000100.jpg",),
        "folders",
        (3, 3),
    ),
    Layout(
        "vqa_csv",
        vqa_csv,
        "vqa",
        {"image": "image", "question": "question", "answer": "answer"},
        8,
        "Is there a tree in picture 0?",
        "no",
        ("images/0.jpg",),
    ),
    Layout(
        "vqav2_like",
        vqav2,
        "vqa",
        {"image": "image_id", "question": "question", "answer": "answers"},
        5,
        "Where is he looking, person 0?",
        "down",
        ("val2014/COCO_val2014_000000262148.jpg",),
    ),
    Layout(
        "docvqa_like",
        docvqa_jsonl,
        "vqa",
        {"image": "image", "question": "question", "answer": "answers", "split": "data_split"},
        6,
        "What is the date on page 0?",
        "1/8/93",
        ("documents/xnbl0000_1.png",),
    ),
    Layout(
        "textvqa",
        textvqa,
        "vqa",
        {"image": "image_id", "question": "question", "answer": "answers", "split": "set_name"},
        5,
        "what is the brand of camera 0?",
        "dakota",
        ("train_images/0054c91397f2fe00.jpg",),
    ),
    Layout(
        "scienceqa",
        scienceqa,
        "vqa",
        {"image": "image", "question": "question", "answer": "answer", "choices": "choices"},
        4,
        "Which of these states is farthest north, map 0?",
        "West Virginia",
        ("data/train-00000-of-00001.parquet/1/1-0.png",),
    ),
    Layout(
        "mmbench_tsv",
        mmbench,
        "vqa",
        {"image": "image", "question": "question", "answer": "answer"},
        4,
        "What is shown in 0?\nA. a cat\nB. a dog",
        "A",
        ("MMBench_DEV_EN.tsv/2/1-picture",),
    ),
    Layout(
        "chartqa",
        chartqa,
        "vqa",
        {"image": "image", "question": "query", "answer": "label"},
        6,
        "What is the value of bar 0?",
        "14",
        ("data/train-00000-of-00001.parquet/1/1-0.png",),
        "folders",
        (4, 2),
    ),
    Layout(
        "donut_docvqa",
        donut_docvqa,
        "vqa",
        {"image": "file_name", "question": "ground_truth", "answer": "ground_truth"},
        6,
        "Who signed page 0?",
        "P. Carter",
        ("train/0.png",),
    ),
    Layout(
        "nlvr_two_columns",
        nlvr_two_columns,
        "vqa",
        {"image": "left_image, right_image", "question": "question", "answer": "answer"},
        4,
        "Are both pictures red in pair 0?",
        "False",
        ("img/0-l.png", "img/0-r.png"),
    ),
    Layout(
        "mmmu_numbered_tags",
        mmmu,
        "vqa",
        {"image": "image_1, image_2", "question": "question", "answer": "answer"},
        3,
        "Which is like\n?",
        "The first",
        ("dev.parquet/1/1-picture", "dev.parquet/1/2-picture"),
    ),
    Layout(
        "python_lists_in_csv",
        python_lists,
        "vqa",
        {"image": "image", "question": "question", "answer": "answers"},
        4,
        "What is 0?",
        "two",
        ("0.png",),
    ),
)
