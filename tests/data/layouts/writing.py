"""Text to read, as they are published."""

from __future__ import annotations

import json

from tests.data.layouts.kit import (
    READ,
    SAID,
    Files,
    Layout,
    numbered,
    parquet,
    pictures,
    png,
)


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


def writers() -> Files:
    said = ("and he went", "to the sea", "with his old", "friend from the", "north of it", "where snow lay")
    rows = [f"a01-{n}.png,{n // 2},{text}\n" for n, text in enumerate(said)]
    return {
        "lines.csv": "file,writer_id,transcription\n" + "".join(rows),
        **pictures(*(f"lines/a01-{n}.png" for n in range(6))),
    }


LAYOUTS = (
    Layout(
        "ocr_labels_txt", ocr_labels, "ocr", {"image": "column 1", "text": "column 2"}, 8, READ, "SLOW", ("word_0.png",)
    ),
    Layout(
        "icdar_gt_txt",
        icdar_gt,
        "ocr",
        {"image": "column 1", "text": "column 2"},
        6,
        READ,
        "Tiredness",
        ("word_1.png",),
    ),
    Layout(
        "tesseract_gt",
        tesseract_gt,
        "ocr",
        {"image": "picture", "text": "text file"},
        4,
        READ,
        SAID[0],
        ("ground-truth/line_0.png",),
    ),
    Layout(
        "latex_ocr",
        latex_ocr,
        "ocr",
        {"image": "image", "text": "text"},
        4,
        READ,
        "\\frac{0}{x} + \\alpha _ { 0 }",
        ("train.parquet/1/1-picture",),
    ),
    Layout(
        "cord",
        cord,
        "ocr",
        {"image": "image", "text": "ground_truth"},
        4,
        "Read the picture and write what it says as JSON.",
        '{"menu": [{"nm": "Nasi", "price": "05.000"}], "total": {"total_price": "05.000"}}',
        ("data/train-00000-of-00001.parquet/1/1-picture",),
        "folders",
        (3, 1),
    ),
    Layout(
        "ocr_writers",
        writers,
        "ocr",
        {"image": "file", "text": "transcription", "group": "writer_id"},
        6,
        READ,
        "and he went",
        ("lines/a01-0.png",),
    ),
)
