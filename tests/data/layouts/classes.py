"""Classes, as they are published."""

from __future__ import annotations

from tests.data.layouts.kit import (
    WHAT,
    Files,
    Layout,
    hub_parquet,
    numbered,
    pictures,
    png,
)


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


def imagefolder_labels() -> Files:
    rows = [f"{n}.png,{('cat', 'dog')[n % 2]}\n" for n in range(8)]
    return {"metadata.csv": "file_name,label\n" + "".join(rows), **numbered("{}.png", 8, 0)}


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


def hub_classes() -> Files:
    from datasets import ClassLabel
    from datasets import Image as Picture

    columns = {"img": [{"bytes": png(n), "path": None} for n in range(6)], "label": [0, 1, 2, 0, 1, 2]}
    names = ["airplane", "automobile", "bird"]
    data = hub_parquet(columns, {"img": Picture(), "label": ClassLabel(names=names)})
    return {"plain_text/train-00000-of-00001.parquet": data, "plain_text/test-00000-of-00001.parquet": data}


LAYOUTS = (
    Layout(
        "imagenet_folders",
        imagenet,
        "classes",
        {"image": "picture", "label": "folder"},
        12,
        WHAT,
        "n01440764",
        ("train/n01440764/n01440764_1.JPEG",),
        "folders",
        (6, 6),
    ),
    Layout(
        "class_folders",
        class_folders,
        "classes",
        {"image": "picture", "label": "folder"},
        9,
        WHAT,
        "daisy",
        ("flowers/daisy/0.jpg",),
    ),
    Layout(
        "class_folders_in_sides",
        class_folders_wrapped,
        "classes",
        {"image": "picture", "label": "folder"},
        12,
        WHAT,
        "glioma",
        ("Brain/Testing/glioma/Tr_0.jpg",),
        "folders",
        (6, 6),
    ),
    Layout(
        "imagefolder_labels",
        imagefolder_labels,
        "classes",
        {"image": "file_name", "label": "label"},
        8,
        WHAT,
        "cat",
        ("0.png",),
    ),
    Layout(
        "kaggle_filename_label",
        kaggle_labels,
        "classes",
        {"image": "filename", "label": "label"},
        9,
        WHAT,
        "healthy",
        ("train/000000.jpg",),
    ),
    Layout(
        "kaggle_id_breed",
        kaggle_ids,
        "classes",
        {"image": "id", "label": "breed"},
        6,
        WHAT,
        "boston_bull",
        ("train/000bec180eb18c7604dcecc8fe0dba00.jpg",),
    ),
    Layout(
        "kaggle_split_column",
        kaggle_split_column,
        "classes",
        {"image": "filepaths", "label": "labels", "split": "data set"},
        6,
        WHAT,
        "ABBOTTS BABBLER",
        ("train/A/0.jpg",),
        "column",
        (4, 2),
    ),
    Layout(
        "cats_and_dogs",
        cats_and_dogs,
        "classes",
        {"image": "picture", "label": "word in the file's name"},
        8,
        WHAT,
        "cat",
        ("train/cat.0.jpg",),
    ),
    Layout(
        "hub_class_numbers",
        hub_classes,
        "classes",
        {"image": "img", "label": "label"},
        12,
        WHAT,
        "airplane",
        ("plain_text/train-00000-of-00001.parquet/1/1-picture",),
        "folders",
        (6, 6),
    ),
)
