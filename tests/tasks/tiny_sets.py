"""Tiny data sets in the real layouts, and a writer of small ONNX files, for the tests of the tasks."""

import json

import numpy as np
from PIL import Image


def picture(path, colour=(120, 120, 120), size=(16, 12)):
    """Write a picture of one colour, size (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def imagenet(root, classes=("n02000000", "n01000000"), per_class=2, index=None):
    """Class folders, and a class index file where ``index`` ({wnid: number}) is given."""
    for wnid in classes:
        for number in range(per_class):
            picture(root / wnid / f"{number}.png")
    if index is not None:
        text = json.dumps({str(number): [wnid, "name"] for wnid, number in index.items()})
        (root / "imagenet_class_index.json").write_text(text)
    return root


def coco(root, images, annotations, categories=(1, 3, 90)):
    """images: ids; annotations: (image id, category, [x, y, w, h], crowd)."""
    for number in images:
        picture(root / "val2017" / f"{number:012}.png", size=(200, 150))
    labels = {
        "images": [{"id": n, "file_name": f"{n:012}.png", "width": 200, "height": 150} for n in images],
        "annotations": [
            {"id": n, "image_id": image, "category_id": category, "bbox": box, "area": box[2] * box[3],
             "iscrowd": crowd, "segmentation": [_outline(*box)]}
            for n, (image, category, box, crowd) in enumerate(annotations, 1)  # pycocotools: id 0 is "not matched"
        ],
        "categories": [{"id": n, "name": str(n)} for n in categories],
    }  # fmt: skip
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    (root / "annotations" / "instances_val2017.json").write_text(json.dumps(labels))
    return root


def _outline(x, y, w, h):
    """The polygon of a box."""
    return [x, y, x + w, y, x + w, y + h, x, y + h]


def cityscapes(root, labels, kind="labelTrainIds", city="town"):
    """labels: {name: uint8 (H, W) array} saved under the file name ending of their kind."""
    for name, label in labels.items():
        size = (label.shape[1], label.shape[0])
        picture(root / "leftImg8bit" / "val" / city / f"{name}_leftImg8bit.png", size=size)
        path = root / "gtFine" / "val" / city / f"{name}_gtFine_{kind}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(label).save(path)
    return root


# A minimal writer of ONNX's protobuf: field number, wire type, value.


def _varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def _field(number, value):
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _value(name, shape):
    dims = b"".join(_field(1, _field(1 if isinstance(size, int) else 2, size)) for size in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, 1) + _field(2, dims)))


def _tensor(name, array):
    dims = b"".join(_field(1, size) for size in array.shape)
    return dims + _field(2, 1) + _field(8, name) + _field(9, array.astype("<f4").tobytes())


def onnx_file(path, nodes, shapes, tensors=None):
    """nodes: (operation, inputs, output); shapes: (input's, output's), of "image" and of the last node's output."""
    graph = b""
    for operation, inputs, output in nodes:
        node = b"".join(_field(1, name) for name in inputs) + _field(2, output) + _field(4, operation)
        graph += _field(1, node)
    graph += _field(2, "tiny")
    for name, array in (tensors or {}).items():
        graph += _field(5, _tensor(name, np.asarray(array)))
    graph += _field(11, _value("image", shapes[0])) + _field(12, _value(nodes[-1][2], shapes[1]))
    path.write_bytes(_field(1, 8) + _field(7, graph) + _field(8, _field(1, "") + _field(2, 13)))
    return path
