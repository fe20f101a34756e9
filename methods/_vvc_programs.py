"""The external VVC programs: what ffmpeg's libvvenc is given, VVenC's own applications, and VTM."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from icm_bench.errors import UserError
from icm_bench.methods._external import RATE, Library, Program
from icm_bench.methods._process import find

#: All-intra coding at the QP asked for. VVenC's default is a random-access configuration, which lowers the QP
#: of intra pictures by 3 and writes some 110 bytes of reference lists that a single picture has no use for.
_INTRA = "gopsize=1:intraqpoffset=0:accessunitdelimiter=0"

LIBVVENC = Library("libvvenc", "vvc", "vvc", "vvc", says=r"libvvenc version: (\S+)")


def libvvenc_options(preset: str) -> tuple[str, ...]:
    """What ffmpeg's libvvenc is given."""
    return ("-qp", RATE, "-qpa", "0", "-preset", preset, "-g", "1", "-vvenc-params", _INTRA)


@dataclass(frozen=True)
class Vvenc(Program):
    """VVenC's and VVdeC's own applications, vvencapp and vvdecapp."""

    preset: str

    name = "VVenC"

    def encode_command(self, source: str, stream: str, size: tuple[object, object], rate: object) -> list[str]:
        return [
            *(self.encoder, "--input", source, "--output", stream, "--size", f"{size[0]}x{size[1]}"),
            *("--format", "yuv420_10", "--internal-bitdepth", "10", "--framerate", "25", "--frames", "1"),
            *("--preset", self.preset, "--qp", str(rate), "--qpa", "0", "--threads", "1"),
            *("--intraperiod", "1", "--additional", _INTRA.replace(":", " ")),
        ]

    def decode_command(self, stream: str, target: str, largest: tuple[int, int]) -> list[str]:
        return [self.decoder, "--bitstream", stream, "--output", target, "--frames", "1", "--threads", "1"]

    @cached_property
    def version(self) -> str:
        asked = [self.asked(r"version (\d\S*)", [program, "--version"]) for program in (self.encoder, self.decoder)]
        return f"vvencapp {asked[0]}, vvdecapp {asked[1]}"


@dataclass(frozen=True)
class Vtm(Program):
    """The reference software, EncoderApp and DecoderApp; it has no presets. cfg: encoder_intra_vtm.cfg."""

    cfg: str

    name = "VTM"

    def encode_command(self, source: str, stream: str, size: tuple[object, object], rate: object) -> list[str]:
        return [
            *(self.encoder, "-c", self.cfg, "-i", source, "-b", stream, "-q", str(rate)),
            *("-f", "1", "-fr", "25", f"--SourceWidth={size[0]}", f"--SourceHeight={size[1]}"),
            *("--InputChromaFormat=420", "--InputBitDepth=10", "--InternalBitDepth=10"),
            *("--OutputBitDepth=10", "--ConformanceWindowMode=1", "--PerceptQPA=0"),
            *("--SEIDecodedPictureHash=0", "--Level=15.5"),
        ]

    def decode_command(self, stream: str, target: str, largest: tuple[int, int]) -> list[str]:
        return [self.decoder, "-b", stream, "-o", target, "-d", "10"]

    @cached_property
    def version(self) -> str:
        pattern = r"Version \[?([^]\s]+)"
        asked = [self.asked(pattern, [program, "--help"]) for program in (self.encoder, self.decoder)]
        return f"VTM {asked[0]}, decoder {asked[1]}"


def locate_vvenc(method: str, paths: tuple[str | None, str | None], preset: str, timeout_s: float) -> Vvenc:
    """VVenC's programs. Raises UserError with the fix when one of them is missing."""
    fix = f"install VVenC and VVdeC, or give the paths: {method}(program='vvenc', encoder='...', decoder='...')"
    names = (paths[0] or "vvencapp", paths[1] or "vvdecapp")
    return Vvenc(method, find(names[0], method, fix), find(names[1], method, fix), timeout_s, preset)


def locate_vtm(method: str, paths: tuple[str | None, str | None], cfg: str | None, timeout_s: float) -> Vtm:
    """VTM's programs and configuration. Raises UserError with the fix when one of them is missing."""
    fix = "build VTM and give the paths: vtm(encoder='...', decoder='...', cfg='...')"
    names = (paths[0] or "EncoderAppStatic", paths[1] or "DecoderAppStatic")
    found = [find(name, method, fix) for name in names]
    path = Path(cfg or "encoder_intra_vtm.cfg").expanduser().absolute()
    if not path.is_file():
        raise UserError(f"{method}: there is no VTM configuration {str(path)!r}; {fix}")
    return Vtm(method, found[0], found[1], timeout_s, str(path))
