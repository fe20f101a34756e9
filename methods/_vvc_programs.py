"""The external VVC programs: how ffmpeg with libvvenc, VVenC's own applications and VTM are called.

Each is handed raw yuv420p10le planes and gives an Annex B byte stream, and the other way round, in files of a
private folder: libvvenc prints its warnings to standard output, where they would become part of a piped stream.
None of the programs is shipped with this project: ffmpeg, under the GPL, comes with imageio-ffmpeg.
"""

from __future__ import annotations

import os
import re
import shlex
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from icm_bench.errors import CodecError, UserError
from icm_bench.methods._process import Limits, find, run
from icm_bench.temporary import private_folder, sweep

if TYPE_CHECKING:
    from icm_bench.methods.vvc import Vvc

#: All-intra coding at the QP asked for. VVenC's default is a random-access configuration, which lowers the QP
#: of intra pictures by 3 and writes some 110 bytes of reference lists that a single picture has no use for.
_INTRA = "gopsize=1:intraqpoffset=0:accessunitdelimiter=0"

#: Seconds that a program may take to say what it is.
_PROBE_S = 60.0
#: ffmpeg counts the borders of its buffers as pixels too.
_MARGIN = 256


@dataclass(frozen=True)
class Program(ABC):
    """An encoder and a decoder: their paths, VVenC's preset, the seconds that one call may take."""

    encoder: str
    decoder: str
    preset: str
    timeout_s: float

    #: What rows call it.
    name: ClassVar[str]

    @abstractmethod
    def encode_command(self, source: str, stream: str, size: tuple[object, object], qp: object) -> list[str]:
        """The command that codes size = (width, height) planes in source into stream."""

    @abstractmethod
    def decode_command(self, stream: str, target: str, largest: tuple[int, int]) -> list[str]:
        """The command that decodes stream into planes in target, refusing pictures over largest if it can."""

    @cached_property
    @abstractmethod
    def version(self) -> str:
        """The encoder's own name and version. Raises UserError when the programs do not work."""

    def encode(self, planes: bytes, size: tuple[int, int], qp: int) -> bytes:
        """Code raw planes of size (width, height). Raises CodecError."""
        with private_folder() as folder:
            source, stream = folder / "source.yuv", folder / "stream.266"
            source.write_bytes(planes)
            command = self.encode_command(str(source), str(stream), size, qp)
            run(command, Limits(self.timeout_s))
            coded = stream.read_bytes() if stream.exists() else b""
        if not coded:
            raise CodecError(f"{shlex.join(command)}\nended well and wrote no stream")
        return coded

    def decode(self, data: bytes, largest: tuple[int, int]) -> bytes:
        """Raw planes of the picture in the stream, to be checked for their size. Raises CodecError.

        largest: (width, height) that no decoded picture may exceed.
        """
        with private_folder() as folder:
            stream, target = folder / "stream.266", folder / "target.yuv"
            stream.write_bytes(data)
            run(self.decode_command(str(stream), str(target), largest), decoding_limits(self.timeout_s, largest))
            if not target.exists():
                return b""
            with target.open("rb") as planes:
                return planes.read(3 * largest[0] * largest[1] + 1)

    def commands(self) -> dict[str, str]:
        """Both commands as a shell takes them; WIDTH, HEIGHT, QP, SOURCE, STREAM, TARGET are what varies.

        Programs by their file names: where they lie is the machine's affair, and rows travel.
        """
        named = replace(self, encoder=Path(self.encoder).name, decoder=Path(self.decoder).name)
        encode = named.encode_command("SOURCE", "STREAM", ("WIDTH", "HEIGHT"), "QP")
        return {
            "encoder_command": shlex.join(encode),
            "decoder_command": shlex.join(named.decode_command("STREAM", "TARGET", (2**14, 2**14))),
        }


class Ffmpeg(Program):
    """ffmpeg with libvvenc and its own VVC decoder.

    Neither side is tagged with a colour range: libvvenc takes no full-range tag in ffmpeg, and a tag on one
    side only would make ffmpeg rescale the samples.
    """

    name = "ffmpeg with libvvenc"

    def encode_command(self, source: str, stream: str, size: tuple[object, object], qp: object) -> list[str]:
        return [
            *(self.encoder, "-nostdin", "-hide_banner", "-loglevel", "error"),
            *("-f", "rawvideo", "-pix_fmt", "yuv420p10le", "-s", f"{size[0]}x{size[1]}", "-i", source),
            *("-frames:v", "1", "-c:v", "libvvenc", "-threads", "1", "-qp", str(qp), "-qpa", "0"),
            *("-preset", self.preset, "-g", "1", "-vvenc-params", _INTRA),
            *("-pix_fmt", "yuv420p10le", "-f", "vvc", stream),
        ]

    def decode_command(self, stream: str, target: str, largest: tuple[int, int]) -> list[str]:
        pixels = (largest[0] + _MARGIN) * (largest[1] + _MARGIN)
        return [
            *(self.decoder, "-nostdin", "-hide_banner", "-loglevel", "error", "-xerror"),
            *("-threads", "1", "-max_pixels", str(pixels), "-err_detect", "explode"),
            *("-f", "vvc", "-i", stream),
            *("-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "yuv420p10le", target),
        ]

    @cached_property
    def version(self) -> str:
        fix = "install one that has: pip install 'imageio-ffmpeg>=0.6'"
        for program, kind, codec in ((self.encoder, "encoder", "libvvenc"), (self.decoder, "decoder", "vvc")):
            answer = _asked(rf"({kind.title()} {codec}|is not recognized)", [program, "-h", f"{kind}={codec}"])
            if answer == "is not recognized":
                raise UserError(f"vvc: {program} has no {codec} {kind}; {fix}")
        ffmpeg = _asked(r"ffmpeg version (\S+)", [self.encoder, "-version"])
        # Only a run that encodes makes ffmpeg say which libvvenc it holds.
        command = self.encode_command("pipe:0", os.devnull, (16, 16), 32)
        command[command.index("error")] = "verbose"
        library = _asked(r"libvvenc version: (\S+)", [*command, "-y"], bytes(768))
        return f"libvvenc {library} in ffmpeg {ffmpeg}"


class Vvenc(Program):
    """VVenC's and VVdeC's own applications, vvencapp and vvdecapp."""

    name = "VVenC"

    def encode_command(self, source: str, stream: str, size: tuple[object, object], qp: object) -> list[str]:
        return [
            *(self.encoder, "--input", source, "--output", stream, "--size", f"{size[0]}x{size[1]}"),
            *("--format", "yuv420_10", "--internal-bitdepth", "10", "--framerate", "25", "--frames", "1"),
            *("--preset", self.preset, "--qp", str(qp), "--qpa", "0", "--threads", "1"),
            *("--intraperiod", "1", "--additional", _INTRA.replace(":", " ")),
        ]

    def decode_command(self, stream: str, target: str, largest: tuple[int, int]) -> list[str]:
        return [self.decoder, "--bitstream", stream, "--output", target, "--frames", "1", "--threads", "1"]

    @cached_property
    def version(self) -> str:
        asked = [_asked(r"version (\d\S*)", [program, "--version"]) for program in (self.encoder, self.decoder)]
        return f"vvencapp {asked[0]}, vvdecapp {asked[1]}"


@dataclass(frozen=True)
class Vtm(Program):
    """The reference software, EncoderApp and DecoderApp; it has no presets. cfg: encoder_intra_vtm.cfg."""

    name = "VTM"
    cfg: str = ""

    def encode_command(self, source: str, stream: str, size: tuple[object, object], qp: object) -> list[str]:
        return [
            *(self.encoder, "-c", self.cfg, "-i", source, "-b", stream, "-q", str(qp)),
            *("-f", "1", "-fr", "25", f"--SourceWidth={size[0]}", f"--SourceHeight={size[1]}"),
            *("--InputChromaFormat=420", "--InputBitDepth=10", "--InternalBitDepth=10"),
            *("--OutputBitDepth=10", "--ConformanceWindowMode=1", "--PerceptQPA=0"),
            *("--SEIDecodedPictureHash=0", "--Level=15.5"),
        ]

    def decode_command(self, stream: str, target: str, largest: tuple[int, int]) -> list[str]:
        return [self.decoder, "-b", stream, "-o", target, "-d", "10"]

    @cached_property
    def version(self) -> str:
        asked = [_asked(r"Version \[?([^]\s]+)", [program, "--help"]) for program in (self.encoder, self.decoder)]
        return f"VTM {asked[0]}, decoder {asked[1]}"


def decoding_limits(timeout_s: float, largest: tuple[int, int]) -> Limits:
    """Limits for decoding a picture of at most (width, height), whose planes take 3 bytes a pixel.

    The address space holds the program, its libraries and 32 such pictures.
    """
    planes = 3 * (largest[0] + _MARGIN) * (largest[1] + _MARGIN)
    return Limits(timeout_s, planes + 2**20, 32 * planes + 2**31)


def _asked(pattern: str, command: list[str], data: bytes | None = None) -> str:
    """What a program says of itself where the pattern looks. Raises UserError when it does not run or say it."""
    try:
        said = run(command, Limits(_PROBE_S), data=data, asking=True).decode("utf-8", "replace")
    except CodecError as error:
        raise UserError(f"vvc: {' | '.join(str(error).splitlines())}") from error
    if found := re.search(pattern, said):
        return found[1]
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    raise UserError(f"vvc: {shlex.join(command)} does not say its version but: {' | '.join(lines[-3:]) or 'nothing'}")


def locate(method: Vvc) -> Program:
    """The programs a method asks for. Raises UserError with the fix when one of them is missing."""
    sweep()
    if method.program == "ffmpeg":
        encoder = method.encoder or _bundled_ffmpeg()
        fix = "pip install imageio-ffmpeg, or name one: vvc(encoder='/path/to/ffmpeg')"
        paths = (find(encoder, "vvc", fix), find(method.decoder or encoder, "vvc", fix))
        return Ffmpeg(*paths, method.preset, method.timeout_s)
    if method.program == "vvenc":
        names = (method.encoder or "vvencapp", method.decoder or "vvdecapp")
        fix = "install VVenC and VVdeC, or give the paths: vvc(program='vvenc', encoder='...', decoder='...')"
        return Vvenc(find(names[0], "vvc", fix), find(names[1], "vvc", fix), method.preset, method.timeout_s)
    names = (method.encoder or "EncoderAppStatic", method.decoder or "DecoderAppStatic")
    fix = "build VTM and give the paths: vvc(program='vtm', encoder='...', decoder='...', cfg='...')"
    paths = (find(names[0], "vvc", fix), find(names[1], "vvc", fix))
    cfg = Path(method.cfg or "encoder_intra_vtm.cfg").expanduser().absolute()
    if not cfg.is_file():
        raise UserError(f"vvc: there is no VTM configuration {str(cfg)!r}; {fix}")
    return Vtm(*paths, method.preset, method.timeout_s, str(cfg))


def _bundled_ffmpeg() -> str:
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        return str(get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        return "ffmpeg"
