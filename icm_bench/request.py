"""What a user asks a run for, and the methods, rates and trade-offs that follow from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from icm_bench import registry
from icm_bench.errors import UserError
from icm_bench.method import Beta, Method
from icm_bench.task import ORIG


@dataclass(frozen=True)
class Request:
    """What a user asks for. None takes the method's or task's own default; limit keeps the first pictures only.

    weights: one file per net, in their order. aux_rates: rates of the second layer, for methods with a parameter
    ``aux_rate``; coded_scales: per cent of the side that is coded, for methods with a parameter ``scale``. reference:
    the method that gives the uncompressed line, or None. batch: most pictures through a net at once, 0 for the
    device's default. verify: decode every stream again in another process.
    """

    methods: tuple[str, ...]
    tasks: tuple[str, ...]
    nets: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    rates: tuple[float, ...] | None = None
    betas: tuple[float, ...] | None = None
    aux_rates: tuple[float, ...] | None = None
    coded_scales: tuple[float, ...] | None = None
    data: str | None = None
    limit: int | None = None
    reference: str | None = "identity"
    device: str = "cpu"
    seed: int = 0
    profile: str = ORIG
    batch: int = 0
    verify: bool = False

    @classmethod
    def of(cls, held: Mapping[str, Any]) -> Request:
        """The request whose fields these are, as JSON holds them. Raises TypeError for a field there is not."""
        fields: dict[str, Any] = {k: tuple(value) if isinstance(value, list) else value for k, value in held.items()}
        return cls(**fields)


def methods_of(request: Request) -> list[Method]:
    """The methods asked for, once for each rate of a second layer and each scale. Raises UserError."""
    made = [registry.method(spec) for spec in request.methods]
    made = _varied(made, "aux_rate", request.aux_rates, ("--aux-rates", "has no second layer with a rate of its own"))
    scales = [int(scale) if scale == int(scale) else scale for scale in request.coded_scales or ()]
    made = _varied(made, "scale", scales or None, ("--coded-scale", "does not scale pictures"))
    return unique(made)


def _varied(made: list[Method], field: str, values: Iterable[float] | None, told: tuple[str, str]) -> list[Method]:
    """Each method with each value of a field. told: the option, and what a method without the field lacks."""
    if values is None:
        return made
    for method in made:
        if not any(f.name == field for f in dataclasses.fields(method)):
            raise UserError(f"{told[0]}: {method.spec} {told[1]}; leave it out")
    try:
        return [dataclasses.replace(method, **{field: value}) for method in made for value in values]
    except ValueError as error:
        raise UserError(f"{told[0]}: {error}") from error


def weights_of(request: Request) -> dict[str, str]:
    """The weights file of each net. Raises UserError when there are fewer or more than nets."""
    if len(request.weights) not in (0, len(request.nets)):
        raise UserError(
            f"--weights: {len(request.weights)} given for {len(request.nets)} --net; "
            f"give one for each, in their order"
        )
    return dict(zip(request.nets, request.weights, strict=False))


def rates_of(method: Method, rates: Iterable[float]) -> tuple[float, ...]:
    """Rates that the method takes. Raises UserError for one that it does not."""
    for rate in rates:
        if reason := method.rate.reason_against(rate):
            raise UserError(f"--rates: {method.spec}: {reason}")
    return tuple(unique(list(rates)))


def betas_of(betas: Iterable[float]) -> tuple[Beta, ...]:
    """Trade-offs in 0 .. 1. Raises UserError for others."""
    for beta in betas:
        if not 0 <= beta <= 1:
            raise UserError(f"--betas: {beta:g} is outside 0 .. 1 (1: for machines, 0: for the eye)")
    return tuple(unique(list(betas)))


def unique(values: list) -> list:
    """The values in their order, each once."""
    return list(dict.fromkeys(values))
