"""VVC / H.266 intra by VTM, the reference software, at the scales of MPEG's VCM conditions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from icm_bench.method import RateAxis
from icm_bench.methods._intra import IntraCodec

if TYPE_CHECKING:
    from icm_bench.methods._external import Program


@dataclass(frozen=True)
class Vtm(IntraCodec):
    """picture -> [scale] -> pad -> 10-bit Y'CbCr 4:2:0 -> VTM -> planes -> RGB -> crop -> [scale].

    encoder, decoder: EncoderApp and DecoderApp, by default EncoderAppStatic and DecoderAppStatic on the PATH. cfg:
    VTM's cfg/encoder_intra_vtm.cfg, by default in the folder the command runs in. scale: 100, 75, 50 or 25, per cent
    of the side that is coded; ``run --coded-scale 100,75,50,25`` runs all four, ``--pareto`` of table and plot shows
    their front. timeout_s: seconds one call may take.

    Streams are those of ``vvc(program="vtm")``. Source: ITU-T H.266 (2020); QPs and scales of the MPEG VCM common
    test conditions.
    """

    cfg: str | None = None

    program_parameters: ClassVar[tuple[str, ...]] = ("encoder", "decoder", "cfg")
    rate: ClassVar[RateAxis] = RateAxis("qp", (22, 27, 32, 37, 42, 47), more_bits="down", low=0, high=63)

    def locate(self) -> Program:
        from icm_bench.methods._vvc_programs import locate_vtm

        return locate_vtm(self.name, (self.encoder, self.decoder), self.cfg, self.timeout_s)
