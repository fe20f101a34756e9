"""External programs that code one picture: how they are called, limited, and asked what they are.

Each is handed raw planes and gives a bare stream, and the other way round, in files of a private folder: some
libraries print their warnings to standard output, where they would become part of a piped stream. None of the
programs is shipped with this project: ffmpeg, under the GPL, comes with imageio-ffmpeg.
"""

from __future__ import annotations

import os
import re
import shlex
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from icm_bench.errors import CodecError, UserError
from icm_bench.methods._process import Limits, find, run
from icm_bench.temporary import private_folder

#: Seconds that a program may take to say what it is.
_PROBE_S = 60.0
#: ffmpeg counts the borders of its buffers as pixels too.
_MARGIN = 256
#: Where the rate goes in ffmpeg's options.
RATE = "{rate}"
FFMPEG_FIX = "pip install -U 'imageio-ffmpeg>=0.6'"


@dataclass(frozen=True)
class Program(ABC):
    """An encoder and a decoder: who asks for them (for messages), their paths, the seconds one call may take."""

    method: str
    encoder: str
    decoder: str
    timeout_s: float

    @property
    @abstractmethod
    def name(self) -> str:
        """What rows call it."""

    @abstractmethod
    def encode_command(self, source: str, stream: str, size: tuple[object, object], rate: object) -> list[str]:
        """The command that codes size = (width, height) planes in source into stream."""

    @abstractmethod
    def decode_command(self, stream: str, target: str, largest: tuple[int, int]) -> list[str]:
        """The command that decodes stream into planes in target, refusing pictures over largest if it can."""

    @cached_property
    @abstractmethod
    def version(self) -> str:
        """The encoder's own name and version. Raises UserError when the programs do not work."""

    def encode(self, planes: bytes, size: tuple[int, int], rate: float) -> bytes:
        """Code raw planes of size (width, height). Raises CodecError."""
        with private_folder() as folder:
            source, stream = folder / "source.raw", folder / "stream.bin"
            source.write_bytes(planes)
            command = self.encode_command(str(source), str(stream), size, f"{rate:g}")
            run(command, encoding_limits(self.timeout_s, len(planes)))
            coded = stream.read_bytes() if stream.exists() else b""
        if not coded:
            raise CodecError(f"{shlex.join(command)}\nended well and wrote no stream")
        return coded

    def decode(self, data: bytes, largest: tuple[int, int], cpu_s: float | None = None) -> bytes:
        """Raw planes of the picture in the stream, to be checked for their size. Raises CodecError.

        largest: (width, height) that no decoded picture may exceed, of 3 bytes a pixel; cpu_s: seconds of processor
        time for this stream, where it is to have fewer than the method allows.
        """
        with private_folder() as folder:
            stream, target = folder / "stream.bin", folder / "target.raw"
            stream.write_bytes(data)
            command = self.decode_command(str(stream), str(target), largest)
            run(command, replace(decoding_limits(self.timeout_s, largest), cpu_s=cpu_s))
            if not target.exists():
                return b""
            # A read takes room for all that it is asked for, so it is asked for no more than there is.
            with target.open("rb") as planes:
                return planes.read(min(target.stat().st_size, 3 * largest[0] * largest[1] + 1))

    def commands(self, rate_name: str) -> dict[str, str]:
        """Both commands as a shell takes them; WIDTH, HEIGHT, SOURCE, STREAM, TARGET and the rate are what varies.

        Programs by their file names: where they lie is the machine's affair, and rows travel.
        """
        named = replace(self, encoder=Path(self.encoder).name, decoder=Path(self.decoder).name)
        encode = named.encode_command("SOURCE", "STREAM", ("WIDTH", "HEIGHT"), rate_name.upper())
        return {
            "encoder_command": shlex.join(encode),
            "decoder_command": shlex.join(named.decode_command("STREAM", "TARGET", (2**14, 2**14))),
        }

    def asked(self, pattern: str, command: list[str], data: bytes | None = None) -> str:
        """What a program says of itself where the pattern looks. Raises UserError when it does not run or say it."""
        try:
            said = run(command, Limits(_PROBE_S), data=data, asking=True).decode("utf-8", "replace")
        except CodecError as error:
            raise UserError(f"{self.method}: {' | '.join(str(error).splitlines())}") from error
        if found := re.search(pattern, said):
            return found[1]
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        told = " | ".join(lines[-3:]) or "nothing"
        raise UserError(f"{self.method}: {shlex.join(command)} does not say its version but: {told}")


@dataclass(frozen=True)
class Library:
    """A codec inside of ffmpeg.

    encoder, decoder, muxer, demuxer: ffmpeg's names of them, the latter two of the bare stream's format; pixels: the
    layout of raw planes, of 3 bytes a pixel; says: a pattern for the version in what is printed while it encodes, ""
    where it prints none.
    """

    encoder: str
    decoder: str
    muxer: str
    demuxer: str
    pixels: str = "yuv420p10le"
    says: str = ""


@dataclass(frozen=True)
class Ffmpeg(Program):
    """ffmpeg with one of its libraries. options: what its encoder is given, with RATE for the rate.

    Neither side is tagged with a colour range: not every library takes a full-range tag in ffmpeg, and a tag on one
    side only would make ffmpeg rescale the samples.
    """

    library: Library
    options: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"ffmpeg with {self.library.encoder}"

    def encode_command(self, source: str, stream: str, size: tuple[object, object], rate: object) -> list[str]:
        library = self.library
        return [
            *(self.encoder, "-nostdin", "-hide_banner", "-loglevel", "error"),
            *("-f", "rawvideo", "-pix_fmt", library.pixels, "-s", f"{size[0]}x{size[1]}", "-i", source),
            *("-frames:v", "1", "-c:v", library.encoder, "-threads", "1"),
            *(option.replace(RATE, str(rate)) for option in self.options),
            *("-pix_fmt", library.pixels, "-f", library.muxer, stream),
        ]

    def decode_command(self, stream: str, target: str, largest: tuple[int, int]) -> list[str]:
        pixels = (largest[0] + _MARGIN) * (largest[1] + _MARGIN)
        return [
            *(self.decoder, "-nostdin", "-hide_banner", "-loglevel", "error", "-xerror"),
            *("-threads", "1", "-max_pixels", str(pixels), "-err_detect", "explode"),
            *("-c:v", self.library.decoder, "-f", self.library.demuxer, "-i", stream),
            *("-frames:v", "1", "-f", "rawvideo", "-pix_fmt", self.library.pixels, target),
        ]

    @cached_property
    def version(self) -> str:
        pairs = ((self.encoder, "encoder", self.library.encoder), (self.decoder, "decoder", self.library.decoder))
        for program, kind, codec in pairs:
            answer = self.asked(rf"({kind.title()} {codec}|is not recognized)", [program, "-h", f"{kind}={codec}"])
            if answer == "is not recognized":
                raise UserError(f"{self.method}: {program} has no {codec} {kind}; install one that has: {FFMPEG_FIX}")
        ffmpeg = self.asked(r"ffmpeg version (\S+)", [self.encoder, "-version"])
        if not self.library.says:
            return f"{self.library.encoder} in ffmpeg {ffmpeg}"
        # Only a run that encodes makes ffmpeg say which library it holds.
        command = self.encode_command("pipe:0", os.devnull, (64, 64), 32)
        command[command.index("error")] = "verbose"
        library = self.asked(self.library.says, [*command, "-y"], bytes(3 * 64**2))
        return f"{self.library.encoder} {library} in ffmpeg {ffmpeg}"


def ffmpeg_paths(method: str, encoder: str | None, decoder: str | None) -> tuple[str, str]:
    """The paths of ffmpeg as encoder and as decoder: those asked for, else imageio-ffmpeg's, else the system's.

    Raises UserError with the fix when there is none.
    """
    first = encoder or _bundled_ffmpeg()
    fix = f"pip install imageio-ffmpeg, or name one: {method}(encoder='/path/to/ffmpeg')"
    return find(first, method, fix), find(decoder or first, method, fix)


def _bundled_ffmpeg() -> str:
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        return str(get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        return "ffmpeg"


def encoding_limits(timeout_s: float, n_raw: int) -> Limits:
    """Limits for coding n_raw bytes of planes: no stream is twice as long, no encoder keeps 2,000 times as much."""
    return Limits(timeout_s, 2 * n_raw + 2**20, 2000 * n_raw + 2**33)


def decoding_limits(timeout_s: float, largest: tuple[int, int]) -> Limits:
    """Limits for decoding a picture of at most (width, height), whose planes take 3 bytes a pixel.

    The address space holds the program, its libraries and 32 such pictures.
    """
    planes = 3 * (largest[0] + _MARGIN) * (largest[1] + _MARGIN)
    return Limits(timeout_s, planes + 2**20, 32 * planes + 2**31)
