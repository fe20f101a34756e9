"""Code one picture into an .icm file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from icm_bench.bitstream import MAX_PIXELS
from icm_bench.cli import _complete


def encode(
    picture: Annotated[Path, typer.Argument(help="The picture to code, of any kind that Pillow reads.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .icm file to write.")],
    method: Annotated[
        str,
        typer.Option(
            "--method", help='A codec, such as rdc or vvc(preset="fast").', autocompletion=_complete.methods
        ),
    ] = "rdc",
    rate: Annotated[
        float | None,
        typer.Option("--rate", help="On the codec's own axis; the middle of its grid by default."),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="Where networks run.")] = "cpu",
    max_pixels: Annotated[int, typer.Option("--max-pixels", help="Refuse larger pictures.")] = MAX_PIXELS,
    force: Annotated[bool, typer.Option("--force", help="Replace the output file.")] = False,
) -> None:
    """Code one picture into an .icm file: size, rate, codec and checkpoint travel with it."""
    from icm_bench import images, metrics, registry
    from icm_bench.cli import _files
    from icm_bench.errors import CodecError, UserError

    coder = registry.method(method)
    chosen = coder.rate.points[len(coder.rate.points) // 2] if rate is None else rate
    reason = coder.rate.reason_against(chosen)
    if reason:
        raise UserError(f"--rate: {coder.spec}: {reason}")
    if output.exists() and not force:
        raise UserError(f"{output}: is already there; --force replaces it")
    with images.pixels_allowed(max_pixels):
        _files.check_pixels(picture, max_pixels)
        pixels = images.read_picture(picture)
    coder.setup(device)
    try:
        stream = coder.encode(pixels, chosen)
    except CodecError as error:
        raise UserError(f"{coder.spec} failed on {picture}: {' | '.join(str(error).splitlines())}") from error
    data = stream.to_bytes()
    _files.write_once(output, force, lambda part: part.write_bytes(data))
    bpp = metrics.bpp(len(data), stream.width * stream.height)
    where = f"{coder.spec}, {coder.rate.name} {stream.rate:g}"
    typer.echo(f"{output}: {len(data)} bytes, {bpp:.4f} bpp, {stream.width}x{stream.height}, {where}")
