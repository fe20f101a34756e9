"""Decode an .icm file into a PNG picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from icm_bench.bitstream import MAGIC, MAX_PIXELS, Bitstream
from icm_bench.cli import _complete

if TYPE_CHECKING:
    import numpy as np

    from icm_bench.method import Beta, Method


def decode(
    stream: Annotated[Path, typer.Argument(help="The .icm file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The PNG file to write.")],
    beta: Annotated[
        float | None,
        typer.Option("--beta", help="0 for people, 1 for machines; only for codecs that offer it."),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            "--method",
            help="The codec with its checkpoint, where it is not the built-in one.",
            autocompletion=_complete.methods,
        ),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="Where networks run.")] = "cpu",
    max_pixels: Annotated[int, typer.Option("--max-pixels", help="Refuse larger pictures.")] = MAX_PIXELS,
    force: Annotated[bool, typer.Option("--force", help="Replace the output file.")] = False,
) -> None:
    """Decode an .icm file into a PNG picture. The file says which codec made it."""
    from icm_bench import images, metrics
    from icm_bench.cli import _files
    from icm_bench.errors import BitstreamError, UserError

    if output.exists() and not force:
        raise UserError(f"{output}: is already there; --force replaces it")
    data = _files.read_stream(stream, MAGIC)
    try:
        held = Bitstream.from_bytes(data, max_pixels)
        decoder = _decoder(held, method)
        chosen = _beta(held, decoder, beta)
        needed = held.only(decoder.layers(chosen))
        picture = _picture(needed, decoder, (chosen, device))
    except BitstreamError as error:
        raise BitstreamError(f"{stream}: {error}") from error
    _files.write_once(output, force, lambda part: images.write_png(part, picture))
    n_bytes = len(needed.to_bytes())
    used = f"{n_bytes} bytes" if n_bytes == len(data) else f"{n_bytes} of {len(data)} bytes"
    bpp = metrics.bpp(n_bytes, held.width * held.height)
    where = f"{decoder.spec}, {decoder.rate.name} {held.rate:g}" + ("" if chosen is None else f", beta {chosen:g}")
    typer.echo(f"{output}: {held.width}x{held.height} from {used}, {bpp:.4f} bpp, {where}")


def _decoder(held: Bitstream, spec: str | None) -> Method:
    """The codec that made the stream, with the checkpoint that it needs. Raises BitstreamError."""
    from icm_bench import registry
    from icm_bench.bitstream import method_id, short_checkpoint
    from icm_bench.errors import BitstreamError
    from icm_bench.spec import parse_spec

    known = [name for name in registry.names("method") if method_id(name) == held.method]
    if spec is None:
        if len(known) != 1:
            found = f"fits {' and '.join(known)}: say which with --method" if known else "is of no method known here"
            raise BitstreamError(f"its method id {held.method:04x} {found}")
        spec = known[0]
    decoder = registry.method(spec)
    if method_id(decoder.name) != held.method:
        made = f"by {' or '.join(known)}" if known else f"by a method of id {held.method:04x}"
        raise BitstreamError(f"coded {made}, not by {parse_spec(spec)[0]}")
    ours = short_checkpoint(decoder.checkpoint_id)
    if ours != held.checkpoint:
        raise BitstreamError(
            f"coded with checkpoint {_hex(held.checkpoint)}, but {decoder.spec} has checkpoint {_hex(ours)}: "
            f"give the one that coded it, as in --method '{decoder.name}(checkpoint=\"FILE\")'"
        )
    return decoder


def _beta(held: Bitstream, decoder: Method, beta: Beta) -> Beta:
    """The beta asked for, or the first of the codec's grid whose layers are all there. Raises UserError."""
    from icm_bench.errors import BitstreamError, UserError

    if decoder.betas == (None,):
        if beta is not None:
            raise UserError(f"--beta: {decoder.spec} has no trade-off beta; leave it out")
        return None
    if beta is not None and not 0 <= beta <= 1:
        raise UserError(f"--beta {beta:g} is outside 0 .. 1 (1: for machines, 0: for the eye)")
    grid = decoder.betas if beta is None else (beta,)
    possible = [one for one in grid if all(held.has(name) for name in decoder.layers(one))]
    if not possible:
        needs = ", ".join(decoder.layers(grid[0]))
        carried = ", ".join(name for name, _ in held.layers)
        raise BitstreamError(f"beta {grid[0]:g} needs the layers {needs}, the stream carries {carried}")
    return possible[0]


def _picture(held: Bitstream, decoder: Method, how: tuple[Beta, str]) -> np.ndarray:
    """The decoded picture; how: beta and device."""
    from icm_bench.errors import BitstreamError, CodecError

    beta, device = how
    decoder.setup(device)
    try:
        (picture,) = decoder.decode(held, [beta])
    except CodecError as error:
        raise BitstreamError(f"{decoder.spec} failed: {' | '.join(str(error).splitlines())}") from error
    if picture.shape != (held.height, held.width, 3):
        expected = (held.height, held.width, 3)
        raise BitstreamError(f"{decoder.spec} gave values of shape {picture.shape}, a picture here is {expected}")
    return picture


def _hex(checkpoint: int) -> str:
    """A short checkpoint as the digest begins."""
    return checkpoint.to_bytes(2, "little").hex() if checkpoint else "none"
