"""Train codecs and networks from configs: seeded, resumable, released as safetensors with a model card."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from icm_bench.cli import _complete
from icm_bench.cli._train_text import Bar, configs


def train(
    config: Annotated[
        str,
        typer.Argument(
            help="A shipped config's name or a TOML file. None: list them.", autocompletion=_complete.configs
        ),
    ] = "",
    photos: Annotated[Path | None, typer.Option(help="Folder of photographs to learn from.")] = None,
    data: Annotated[Path | None, typer.Option(help="Root of the labelled data set; default: the mini set.")] = None,
    weights: Annotated[list[str] | None, typer.Option(help="NAME=FILE, weights of a network; several.")] = None,
    runs: Annotated[Path, typer.Option(help="Folder of checkpoints and logs, one folder a config.")] = Path("runs"),
    out: Annotated[Path | None, typer.Option(help="Folder of what is released; default: RUNS/CONFIG.")] = None,
    name: Annotated[str, typer.Option(help="Name under which it is released; default: the config's.")] = "",
    minutes: Annotated[float | None, typer.Option(help="Stop after this time; the same call goes on.", min=0)] = None,
    steps: Annotated[int | None, typer.Option(help="Another number of steps than the config's.", min=1)] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
    threads: Annotated[int, typer.Option(help="Threads of the CPU; 0: torch's choice.", min=0)] = 0,
) -> None:
    """Train from a config. A run that was stopped goes on from its last checkpoint when called again.

    Checkpoint and log lie in RUNS/CONFIG; weights and model card are released at the end, or when the time is up.
    """
    if not config:
        print("\n".join(configs()))
        return
    import dataclasses

    import torch

    from icm_bench import registry
    from icm_bench.training.job import Places, parse_weights
    from icm_bench.training.loop import train as training

    path, trainer = registry.training(config)
    places = Places(photos, data, parse_weights(weights or []), runs, out, name, device)
    job = trainer.job(path, places)
    schedule = job.schedule if steps is None else dataclasses.replace(job.schedule, steps=steps)
    options = dataclasses.replace(job.options, minutes=minutes)
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        with Bar(job.name, schedule.steps) as bar:
            for event in training(job.recipe, schedule, options):
                bar.show(event)
    except KeyboardInterrupt:
        print(f"icm-bench: stopped; the same command goes on from {options.folder}", file=sys.stderr)
        raise typer.Exit(130) from None
    finally:
        torch.set_num_threads(before)
    if event.step < schedule.steps:
        print(f"{event.step} of {schedule.steps} steps done; the same command goes on", file=sys.stderr)
    for written in job.release(event):
        print(written)
