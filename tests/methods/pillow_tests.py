"""What every codec by Pillow keeps besides the rules of the kit."""

from typing import ClassVar

import numpy as np
import pytest

from icm_bench.errors import CodecError, UserError
from icm_bench.method import Method
from icm_bench.testing import MethodTests, textured_picture


class PillowTests(MethodTests):
    """off_axis: qualities that there are not; longest: the most pixels that the format holds on a side."""

    off_axis: ClassVar[tuple[float, ...]] = (-1, 101, 50.5)
    longest: ClassVar[int]

    def test_quality_off_the_axis_is_refused(self, method: Method) -> None:
        for quality in self.off_axis:
            with pytest.raises(UserError, match="quality"):
                method.encode(textured_picture(16, 16), quality)

    def test_too_long_a_side_is_a_codec_error(self, method: Method) -> None:
        with pytest.raises(CodecError, match=str(self.longest)):
            method.encode(np.zeros((1, self.longest + 1, 3), np.uint8), 50)
