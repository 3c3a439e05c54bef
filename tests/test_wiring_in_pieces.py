"""A network may give its members a batch in pieces; the judge puts them together by their rows."""

import numpy as np
import pytest
from autograder.checks.findings import Finding
from autograder.checks.messages import Asked, Tensor
from autograder.checks.unet_wiring import Wiring, needed_levels

BATCH = 4
LEVELS = needed_levels([1], [])


def tensor(array: np.ndarray) -> Tensor:
    return Tensor(array.dtype.name, "cpu", list(array.shape), array)


class Network:
    """A network of one level, whose decoder runs in pieces."""

    def __init__(self) -> None:
        self.wiring = Wiring(LEVELS, np.random.default_rng(0), BATCH)

    def call(self, name: str, *inputs: np.ndarray) -> np.ndarray:
        """What the judge answers to a member's call."""
        shape = list(inputs[0].shape) if inputs[0].ndim == 4 else [len(inputs[0]), 6]
        asked = Asked(name, [tensor(array) for array in inputs], {}, shape)
        return self.wiring.answer(asked)

    def run(self, pieces: list[slice], skips: list[slice], order: list[int]) -> None:
        """Run the decoder on pieces of the batch and judge it.

        Args:
            pieces: rows of each piece.
            skips: rows of the encoder's output that each is joined with.
            order: of the pieces in the result.
        """
        x = np.zeros((BATCH, 2, 4, 4), np.float32)
        t_emb = self.call("time_embd", np.arange(BATCH))
        self.call("label_embd", np.arange(BATCH))
        skip = self.call("encoder.0.0", self.call("conv_in", x), t_emb)
        h = self.call("mid_res_block2", skip, t_emb)
        found = []
        for rows, others in zip(pieces, skips, strict=True):
            joined = np.concatenate([h[rows], skip[others]], axis=1)
            out = self.call("decoder.0.0", joined, t_emb[rows])
            found.append(self.call("final_conv", out))
        structure = {"encoder": [[True, False, False]], "decoder": [[True, False, False]]}
        self.wiring.check(structure, tensor(np.concatenate([found[i] for i in order])))


HALVES = [slice(0, 2), slice(2, 4)]
SINGLES = [slice(n, n + 1) for n in range(BATCH)]


@pytest.mark.parametrize("pieces", [[slice(0, 4)], HALVES, [slice(0, 3), slice(3, 4)], SINGLES])
def test_a_decoder_may_run_in_pieces(pieces):
    """The whole batch, halves, unequal pieces, one sample at a time: all are right."""
    Network().run(pieces, pieces, list(range(len(pieces))))


@pytest.mark.parametrize(
    ("pieces", "skips", "order", "hint"),
    [
        (HALVES, [HALVES[0], HALVES[0]], [0, 1], "unet_input"),
        (HALVES, HALVES, [1, 0], "unet_final"),
        (HALVES, HALVES, [0, 0], "unet_final"),
        ([HALVES[0], HALVES[0]], [HALVES[0], HALVES[0]], [0, 1], "unet_input"),
        (SINGLES[:3], SINGLES[:3], [0, 1, 2], "unet_input"),
    ],
)
def test_pieces_that_are_not_the_batch_are_wrong(pieces, skips, order, hint):
    """Rows that are missing, come twice, or are those of other samples."""
    with pytest.raises(Finding) as raised:
        Network().run(pieces, skips, order)
    assert raised.value.hint == hint, raised.value.reason
