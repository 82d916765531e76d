"""Captions, as they are published."""

from __future__ import annotations

import json

from tests.data.layouts.kit import BELONGS, DESCRIBE, SAID, Files, Layout, lines, numbered, parquet, pictures, png


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


def sidecar_captions() -> Files:
    texts = {f"10_subject/{n}.txt": said for n, said in enumerate(SAID)}
    return {**texts, **numbered("10_subject/{}.png", len(SAID), 0)}


def clip_pairs() -> Files:
    rows = [f"{n}.jpg\t{said}\n" for n, said in enumerate(SAID)]
    return {"pairs.tsv": "filepath\ttitle\n" + "".join(rows), **numbered("{}.jpg", len(SAID), 0)}


def contrastive() -> Files:
    rows = [{"image": f"{n}.jpg", "positive": SAID[n], "hard_negative": SAID[n - 1]} for n in range(6)]
    return {"pairs.jsonl": lines(rows), **numbered("{}.jpg", 6, 0)}


def pairs_with_verdicts() -> Files:
    rows = [f"{n}.jpg,{said},{n % 2}\n" for n, said in enumerate(SAID)]
    return {"pairs.csv": "image,caption,is_match\n" + "".join(rows), **numbered("{}.jpg", len(SAID), 0)}


def spatial_statements() -> Files:
    rows = [
        {
            "image": f"{n}.jpg",
            "caption": f"The cat is {n} steps left of the box.",
            "label": n % 2,
            "relation": "left of",
        }
        for n in range(6)
    ]
    return {"train.jsonl": lines(rows), **numbered("images/{}.jpg", 6, 0)}


def caption_lists() -> Files:
    columns = {
        "image": [{"bytes": png(n), "path": f"{n}.jpg"} for n in range(3)],
        "caption": [[SAID[n], SAID[n + 1]] for n in range(3)],
        "split": ["train", "train", "test"],
        "filename": [f"{n}.jpg" for n in range(3)],
    }
    return {"data.parquet": parquet(columns)}


def languages() -> Files:
    rows = [{"image": f"{n}.jpg", "lang": ("de", "en")[n % 2], "caption": SAID[n]} for n in range(6)]
    return {"multi30k.jsonl": lines(rows), **numbered("{}.jpg", 6, 0)}


def captions_by_name() -> Files:
    return {"captions.json": {f"{n}.png": said for n, said in enumerate(SAID)}, **numbered("{}.png", len(SAID), 0)}


LAYOUTS = (
    Layout(
        "pairs_with_verdicts",
        pairs_with_verdicts,
        "pairs",
        {"image": "image", "text": "caption", "verdict": "is_match"},
        6,
        f"{BELONGS}\n{SAID[0]}",
        "no",
        ("0.jpg",),
    ),
    Layout(
        "visual_spatial_reasoning",
        spatial_statements,
        "pairs",
        {"image": "image", "text": "caption", "verdict": "label"},
        6,
        f"{BELONGS}\nThe cat is 0 steps left of the box.",
        "no",
        ("images/0.jpg",),
    ),
    Layout(
        "contrastive_negatives",
        contrastive,
        "pairs",
        {"image": "image", "text": "positive"},
        6,
        DESCRIBE,
        SAID[0],
        ("0.jpg",),
    ),
    Layout(
        "coco_captions",
        coco_captions,
        "coco",
        {"image": "file_name", "text": "caption"},
        6,
        DESCRIBE,
        SAID[0],
        ("val2014/COCO_val2014_000000000400.jpg",),
    ),
    Layout(
        "coco_all",
        coco_all,
        "coco",
        {"image": "file_name", "text": "caption"},
        12,
        DESCRIBE,
        SAID[0],
        ("train2014/COCO_train2014_000000000400.jpg",),
        "folders",
        (6, 6),
    ),
    Layout(
        "karpathy_split",
        karpathy,
        "captions",
        {"image": "filename", "text": "sentences", "split": "split"},
        6,
        DESCRIBE,
        SAID[0],
        ("val2014/COCO_val2014_000000000000.jpg",),
        "column",
        (4, 2),
    ),
    Layout(
        "flickr8k_captions",
        flickr8k,
        "captions",
        {"image": "image", "text": "caption"},
        6,
        DESCRIBE,
        f"{SAID[0]} .",
        ("Images/0_693b.jpg",),
    ),
    Layout(
        "flickr8k_token",
        flickr8k_token,
        "captions",
        {"image": "column 1", "text": "column 2"},
        6,
        DESCRIBE,
        f"{SAID[0]} .",
        ("Flicker8k_Dataset/0_693b.jpg",),
    ),
    Layout(
        "flickr30k_results",
        flickr30k_results,
        "captions",
        {"image": "image_name", "text": "comment"},
        6,
        DESCRIBE,
        f"{SAID[0]} .",
        ("flickr30k_images/0.jpg",),
    ),
    Layout(
        "imagefolder_csv",
        imagefolder_csv,
        "captions",
        {"image": "file_name", "text": "text"},
        4,
        DESCRIBE,
        SAID[0],
        ("train/0000.png",),
    ),
    Layout(
        "imagefolder_jsonl",
        imagefolder_jsonl,
        "captions",
        {"image": "file_name", "text": "text"},
        6,
        DESCRIBE,
        SAID[0],
        ("train/0.jpg",),
        "folders",
        (4, 2),
    ),
    Layout(
        "textcaps",
        textcaps,
        "captions",
        {"image": "image_path", "text": "caption_str", "split": "set_name"},
        4,
        DESCRIBE,
        f"a sign reads {SAID[0]}",
        ("train_images/e0c0c0a3c0ffee0.jpg",),
    ),
    Layout(
        "sidecar_captions",
        sidecar_captions,
        "captions",
        {"image": "picture", "text": "text file"},
        6,
        DESCRIBE,
        SAID[0],
        ("10_subject/0.png",),
    ),
    Layout(
        "clip_pairs", clip_pairs, "captions", {"image": "filepath", "text": "title"}, 6, DESCRIBE, SAID[0], ("0.jpg",)
    ),
    Layout(
        "caption_lists",
        caption_lists,
        "captions",
        {"image": "image", "text": "caption", "split": "split"},
        6,
        DESCRIBE,
        SAID[0],
        ("data.parquet/1/1-0.jpg",),
        "column",
        (4, 2),
    ),
    Layout(
        "language_column",
        languages,
        "captions",
        {"image": "image", "text": "caption", "language": "lang"},
        6,
        DESCRIBE,
        SAID[0],
        ("0.jpg",),
    ),
    Layout(
        "captions_by_name",
        captions_by_name,
        "captions",
        {"image": "key", "text": "value"},
        6,
        DESCRIBE,
        SAID[0],
        ("0.png",),
    ),
)
