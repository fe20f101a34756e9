"""Networks in ONNX files: YOLOX-form detectors, segmentation logits, classifiers (extra "onnx").

    onnx:yolox_nano.onnx                                          letterbox, BGR 0 .. 255, raw grid outputs
    onnx:deeplab.onnx(min_side=577, mean=128, std=128)            logits of 19 train ids
    onnx:net.onnx(kind="classifier", resize=256, crop=224)        logits of the 1000 classes

The kind follows from the model's outputs: (1, N, 5 + classes) is a YOLOX, (1, C, h, w) is segmentation,
(1, C) is a classifier. ``kind=`` only says it beforehand; a file of another form is refused when it is opened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icm_bench.errors import MissingPackage, UserError
from icm_bench.registry import EXTRAS, suggest
from icm_bench.spec import format_spec
from icm_bench.task import Net
from icm_bench.tasks._data import digest, file_digest
from icm_bench.tasks._nets import check_params, positive
from icm_bench.tasks._yolox import CATEGORY_IDS, decode, letterbox

if TYPE_CHECKING:
    import numpy as np

    from icm_bench.task import Image

#: The form of a model's output that each kind of task needs.
FORMS = {"detection": "yolox", "segmentation": "segmentation", "classification": "classifier"}


def load(kind: str, name: str, params: Mapping[str, Any], weights: str | None) -> Net:
    """The net in the ONNX file ``name``. Opens no session.

    Raises UserError for a wrong kind, parameter or path; MissingPackage without onnxruntime.
    """
    if find_spec("onnxruntime") is None:
        raise MissingPackage("onnxruntime", EXTRAS["onnxruntime"])
    form = params.get("kind", FORMS[kind])
    if form not in FORMS.values():
        raise UserError(f"onnx:{name}: unknown kind {form!r}{suggest(str(form), FORMS.values())}")
    if form != FORMS[kind]:
        raise UserError(f"onnx:{name}: kind={form!r} and the task takes {kind} nets (kind={FORMS[kind]!r})")
    if weights is not None:
        raise UserError(f"onnx:{name}: an ONNX file carries its weights: leave --weights {weights} out")
    if not Path(name).expanduser().is_file():
        raise UserError(f"{name}: there is no such ONNX file")
    cls: Any = {"detection": Yolox, "segmentation": Segmenter, "classification": Classifier}[kind]
    check_params(f"onnx:{name}", params, cls.parameters)
    net: Net = cls(name, dict(params))
    return net


class OnnxNet(Net):
    """What the forms share: the session, its input and outputs."""

    form: str
    parameters: tuple[str, ...] = ("kind",)
    #: Names what the code around the network does; changing that code changes it.
    preprocessing: str

    def __init__(self, name: str, params: dict[str, Any]) -> None:
        self.path, self.params = Path(name).expanduser(), params
        self.spec = format_spec(f"onnx:{name}", params)
        self._session: Any = None

    @cached_property
    def fingerprint(self) -> str:
        return digest([format_spec(self.form, self.params), self.preprocessing, file_digest(self.path)])

    def setup(self, device: str = "cpu") -> None:
        if self._session is not None:
            return
        import onnxruntime
        import torch

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        wanted = ["CUDAExecutionProvider"] if device.startswith("cuda") else []
        providers = [p for p in wanted if p in onnxruntime.get_available_providers()] + ["CPUExecutionProvider"]
        try:
            session = onnxruntime.InferenceSession(str(self.path), options, providers=providers)
        except Exception as error:  # onnxruntime's exceptions share no public base but Exception
            first = str(error).partition("\n")[0]
            raise UserError(f"{self.path}: cannot be opened as an ONNX network ({first})") from error
        self._check(session)
        self._session = session

    def _check(self, session: Any) -> None:
        """Refuse a file of another form than the task's."""
        inputs, outputs = session.get_inputs(), session.get_outputs()
        form = infer_form([output.shape for output in outputs])
        if form != self.form or len(inputs) != 1 or len(inputs[0].shape) != 4:
            shapes = ", ".join(f"{node.name} {node.shape}" for node in [*inputs, *outputs])
            looks = form or "no form known here"
            raise UserError(f"{self.path}: this looks like {looks}, the task needs {self.form} ({shapes})")

    @property
    def session(self) -> Any:
        """The session, opened when it has not been yet."""
        if self._session is None:
            self.setup()
        return self._session

    @property
    def input_size(self) -> tuple[int, int] | None:
        """The fixed height and width of the input; None where they are free."""
        height, width = self.session.get_inputs()[0].shape[2:]
        return (height, width) if isinstance(height, int) and isinstance(width, int) else None

    @property
    def input_pixels(self) -> int | None:
        size = self.input_size
        return size[0] * size[1] if size else None

    def run(self, inputs: np.ndarray, output: str) -> np.ndarray:
        """One output for a float32 (1, 3, H, W) input. Raises UserError when it is not finite."""
        import numpy as np

        result: np.ndarray = self.session.run([output], {self.session.get_inputs()[0].name: inputs})[0]
        if not np.isfinite(result).all():
            raise UserError(f"net {self.spec}: the output is not finite (NaN or infinity)")
        return result

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_session": None}


def infer_form(shapes: Sequence[Sequence[Any]]) -> str | None:
    """The form of a model by its output shapes (free sizes are strings or None); None for an unknown one."""
    ranks = [len(shape) for shape in shapes]
    if len(shapes) == 1 and ranks[0] == 3 and (not isinstance(shapes[0][2], int) or shapes[0][2] > 5):
        return "yolox"
    return {4: "segmentation", 2: "classifier"}.get(ranks[0]) if len(set(ranks)) == 1 else None


class Yolox(OnnxNet):
    """A YOLOX detector of 80 classes in COCO's order; for others ``categories`` lists their category ids."""

    kind = "detection"
    form = "yolox"
    parameters = ("kind", "categories")
    preprocessing = "letterbox 114, bilinear, no antialiasing, BGR 0..255; all classes > 0.001, NMS 0.65"

    def predict(self, pictures: Sequence[Image]) -> list[Any]:
        import numpy as np

        height, width = self.input_size or (640, 640)
        name = self.session.get_outputs()[0].name
        categories = np.asarray(self.params.get("categories", CATEGORY_IDS))
        outputs = []
        for picture in pictures:
            inputs, scale = letterbox(picture, height, width)
            raw = self.run(inputs, name)[0]
            if raw.shape[1] - 5 != len(categories):
                raise UserError(f"net {self.spec}: {raw.shape[1] - 5} classes; name their ids with categories=[...]")
            boxes, scores, labels = decode(raw, height, width)
            outputs.append({"boxes": boxes / scale, "scores": scores, "labels": categories[labels]})
        return outputs


class Segmenter(OnnxNet):
    """A semantic segmenter: RGB (x - mean) / std in, logits of the train ids out.

    min_side: where the input size is free, smaller pictures are enlarged (Pillow, bilinear) until the shorter
    side is about this; sides are rounded to 16 k + 1, as atrous networks with aligned corners want them.
    mean, std: in grey levels, one number or three. output: which logits; by default ``logits_low`` where there
    is one, else the first. They are scaled to the picture's size, with ``align_corners`` (default True).
    """

    kind = "segmentation"
    form = "segmentation"
    parameters = ("kind", "min_side", "mean", "std", "output", "align_corners")
    preprocessing = "Pillow bilinear to 16k+1, normalised; logits bilinear to the picture's size"

    def predict(self, pictures: Sequence[Image]) -> list[Any]:
        return [self._predict(picture) for picture in pictures]

    def _predict(self, picture: Image) -> Image:
        import numpy as np
        import torch
        from PIL import Image as Pillow

        height, width = self.input_size or self._free_size(picture.shape[0], picture.shape[1])
        resized = np.asarray(Pillow.fromarray(picture).resize((width, height), Pillow.Resampling.BILINEAR))
        logits = torch.from_numpy(self.run(normalised(resized, self.params, 128.0, 128.0), self._output))
        align = bool(self.params.get("align_corners", True))
        full = torch.nn.functional.interpolate(logits, picture.shape[:2], mode="bilinear", align_corners=align)
        return full[0].argmax(0).to(torch.uint8).numpy()

    def _free_size(self, height: int, width: int) -> tuple[int, int]:
        side = positive(self.spec, self.params, "min_side", 577)
        scale = max(1.0, ((side or 1) - 1) / min(height, width))
        return 16 * max(1, round(height * scale / 16)) + 1, 16 * max(1, round(width * scale / 16)) + 1

    @property
    def _output(self) -> str:
        names = [output.name for output in self.session.get_outputs()]
        wanted = self.params.get("output", "logits_low" if "logits_low" in names else names[0])
        if wanted not in names:
            raise UserError(f"net {self.spec}: unknown output {wanted!r}{suggest(str(wanted), names)}")
        return str(wanted)


class Classifier(OnnxNet):
    """A classifier: resized and cropped as torchvision does it, RGB (x - mean) / std, logits out."""

    kind = "classification"
    form = "classifier"
    parameters = ("kind", "resize", "crop", "mean", "std")
    preprocessing = "Pillow antialiased bilinear resize, centre crop, normalised"

    def predict(self, pictures: Sequence[Image]) -> list[Any]:
        import numpy as np
        from PIL import Image as Pillow
        from torchvision.transforms import functional

        resize = positive(self.spec, self.params, "resize", 256)
        crop = positive(self.spec, self.params, "crop", self.input_size[0] if self.input_size else 224)
        outputs = []
        for picture in pictures:
            image: Any = Pillow.fromarray(picture)
            if resize:
                image = functional.resize(image, [resize])
            if crop:
                image = functional.center_crop(image, [crop, crop])
            inputs = normalised(np.asarray(image), self.params, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
            logits = self.run(inputs, self.session.get_outputs()[0].name)[0]
            outputs.append(np.argsort(-logits, kind="stable")[:5].tolist())
        return outputs


def normalised(picture: Image, params: Mapping[str, Any], mean: Any, std: Any) -> np.ndarray:
    """float32 (1, 3, H, W) of (x - mean) / std; the parameters mean and std, in grey levels, go first."""
    import numpy as np

    mean, std = params.get("mean", mean), params.get("std", std)
    try:
        values = (picture.astype(np.float32) - np.float32(mean)) / np.float32(std)
    except (TypeError, ValueError):
        raise UserError(f"mean={mean!r}, std={std!r}: expected one number or three, in grey levels") from None
    return np.ascontiguousarray(values.transpose(2, 0, 1)[None], dtype=np.float32)
