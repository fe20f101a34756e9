"""Training pictures: what is kept in memory, what is held out, and that a step always gives the same batch."""

from pathlib import Path

import numpy as np
import pytest

from icm_bench.errors import UserError
from icm_bench.images import write_png
from icm_bench.testing import textured_picture
from icm_bench.training.data import CropSampler, PicturePool, Pictures, folder_pictures


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("photos")
    for index in range(21):
        write_png(place / f"{index:02}.png", textured_picture(40, 30 + index, seed=index))
    return place


def test_pictures_are_kept_while_they_fit(folder: Path) -> None:
    paths = folder_pictures(folder)
    size = textured_picture(40, 30).nbytes
    some = Pictures(paths, keep_bytes=size + 10)
    assert some[0] is some[0] and some[1] is not some[1]
    assert np.array_equal(some[1], textured_picture(40, 31, seed=1))
    assert max(Pictures(paths, max_side=20)[0].shape) == 20


def test_every_tenth_picture_is_held_out_and_never_learned(folder: Path) -> None:
    pool = PicturePool(folder_pictures(folder))
    assert [path.stem for path in pool.held_out.paths] == ["00", "10", "20"]
    assert not {*pool.held_out.paths} & {*pool.train.paths} and len(pool.train) == 18
    with pytest.raises(UserError, match="no training pictures"):
        PicturePool([])


def test_the_same_step_gives_the_same_batch(folder: Path) -> None:
    first, second = (
        CropSampler({"photos": (PicturePool(folder_pictures(folder)), 1.0)}, 3, 32, seed=4) for _ in range(2)
    )
    assert np.array_equal(first(7), second(7)) and not np.array_equal(first(7), first(8))
    assert first(0).shape == (3, 32, 32, 3)
    assert first.fingerprints == second.fingerprints
    assert first.held_out(2, 64).shape == (2, 64, 64, 3)


def test_a_changed_file_changes_the_fingerprint(tmp_path: Path) -> None:
    for index in range(2):
        write_png(tmp_path / f"{index}.png", textured_picture(20, 20, seed=index))
    before = PicturePool(folder_pictures(tmp_path)).fingerprint
    write_png(tmp_path / "1.png", textured_picture(20, 24, seed=1))
    assert PicturePool(folder_pictures(tmp_path)).fingerprint != before
