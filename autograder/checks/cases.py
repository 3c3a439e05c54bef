"""What functions are tested on: model configurations, and cases with expected values.

A case comes from the oracles with fresh numbers (hidden tests), or from goldens.npz (public tests).
"""

import functools
import json
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

GOLDENS = Path(__file__).with_name("goldens.npz")
STORED = ("part", "config", "inputs", "expected", "suspects")  # the fields of a case in goldens.npz

# The course's model configurations, as narrow as the contract allows: width does not matter here.
NARROW = {"dim": 8, "context_dim": 8}
CONFIGS: dict[str, dict[str, Any]] = {
    "mnist": {"img_shape": [1, 28, 28], "timesteps": 500, "num_classes": 10},
    "cifar10": {"img_shape": [3, 32, 32], "timesteps": 100, "num_classes": 10},
    "afhq": {"img_shape": [3, 128, 128], "timesteps": 1000, "num_classes": 3, "use_vae": True},
    "odd": {"img_shape": [2, 20, 12], "timesteps": 49, "num_classes": 100, "dim_mults": [1, 2]},
    "odd_latent": {"img_shape": [3, 32, 160], "timesteps": 23, "num_classes": 4, "use_vae": True},
    # with as many steps as "odd", but other betas
    "cosine": {"img_shape": [1, 4, 132], "timesteps": 49, "num_classes": 10},
    "many_steps": {"img_shape": [1, 4, 4], "timesteps": 120, "num_classes": 10, "dim_mults": [1]},
    "long": {"img_shape": [1, 132, 4], "timesteps": 520, "num_classes": 10, "dim_mults": [1, 2]},
    # the DDPM paper's chain, of images with as many channels as latents have
    "thousand": {"img_shape": [4, 8, 8], "timesteps": 1000, "num_classes": 10},
    "two_steps": {"img_shape": [2, 4, 72], "timesteps": 2, "num_classes": 3, "dim_mults": [1, 2]},
    "one_step": {"img_shape": [2, 8, 12], "timesteps": 1, "num_classes": 3, "dim_mults": [1, 2]},
    # for many draws; the second has another distribution of times
    "small": {"img_shape": [1, 8, 8], "timesteps": 3, "num_classes": 4, "dim_mults": [1, 2]},
    "logit_normal": {"img_shape": [1, 8, 8], "timesteps": 3, "num_classes": 4, "dim_mults": [1, 2]},
}
SHORT = ("two_steps", "one_step")
for _config in CONFIGS.values():
    _config.update(NARROW)

# Vision transformers: the arguments of DiT, and (height, width) of its images.
TRANSFORMERS: dict[str, tuple[dict[str, Any], tuple[int, int]]] = {
    "dit_odd": ({"in_channels": 2, "depth": 2, "num_heads": 2, "patch_size": 2}, (6, 10)),
    "dit_latent": ({"in_channels": 4, "depth": 3, "num_heads": 4, "patch_size": 1}, (17, 18)),
    "dit_wide": (
        {"in_channels": 3, "out_channels": 1, "depth": 13, "num_heads": 1, "patch_size": 8},
        (16, 24),
    ),
}
for _arguments, _size in TRANSFORMERS.values():
    _arguments.update(NARROW, num_classes=5, mlp_ratio=2.0)


def cosine_betas(timesteps: int) -> np.ndarray:
    """Betas of a squared-cosine alpha_bar, at most 0.999, float64 [T] (Nichol & Dhariwal 2021)."""
    u = (np.arange(timesteps + 1) / timesteps + 0.008) / 1.008
    alpha_bar = np.cos(u * np.pi / 2) ** 2
    return np.minimum(1 - alpha_bar[1:] / alpha_bar[:-1], 0.999)


LOGIT_NORMAL = [0.4, 0.7]  # mean and standard deviation of a flow's ln(t / (1 - t))
# Arguments that exist only in some editions, as sets, each with the names of other arguments in the
# same edition. A model gets the first set that it knows completely. If it knows only some
# arguments of a set, they are a team's own and may mean anything.
Options = Sequence[tuple[dict[str, Any], list[str]]]
OPTIONAL: dict[str, Options] = {
    "cosine": [
        ({"betas": cosine_betas(CONFIGS["cosine"]["timesteps"])}, ["network", "vae"]),
        ({"beta_schedule": "cosine", "beta_start": None, "beta_end": None}, []),
    ],
    "logit_normal": [({"logit_normal": LOGIT_NORMAL}, ["network", "vae"])],
}


@dataclass(repr=False)  # pytest would spell out all its numbers
class Case:
    """One set of inputs for a function, and the expected results.

    `expected` and each of the `suspects` (results of a known mistake, by hint id) have the same
    keys, which depend on the function.
    """

    part: str
    config: str
    inputs: dict[str, np.ndarray]
    expected: dict[str, np.ndarray]
    suspects: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    # [2, T]: the weights of x_0 and of the noise at each time step, for a loss that draws t itself.
    # Not stored in the goldens, since the starter's loss is given t.
    rates: np.ndarray | None = None

    def __post_init__(self):
        for values in (self.inputs, self.expected, *self.suspects.values()):
            for value in values.values():
                if isinstance(value, np.ndarray):
                    value.setflags(write=False)  # all submissions of a batch share the cases

    @property
    def kwargs(self) -> dict[str, Any]:
        """The arguments of the model."""
        return CONFIGS[self.config]

    @property
    def optional(self) -> Options:
        """Sets of further arguments, of which the model must know one; [] if none is needed."""
        return OPTIONAL.get(self.config, [])


def diffused_shape(config: str) -> tuple[int, int, int]:
    """(C, H, W) of what is diffused: images, or their latents."""
    channels, height, width = CONFIGS[config]["img_shape"]
    if CONFIGS[config].get("use_vae"):
        return 4, height // 8, width // 8
    return channels, height, width


def random_of(seed: int, test: str) -> np.random.Generator:
    """A test's own random numbers, the same for the same seed of the hidden cases."""
    return np.random.default_rng([seed, zlib.crc32(test.encode())])


def wide(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers of all magnitudes, some beyond float16's range, as float32."""
    sizes = np.exp(random.uniform(-6, 13, shape))
    return np.float32(random.choice([-1.0, 1.0], shape) * sizes)


def save_goldens(cases: list[Case], path: Path = GOLDENS) -> None:
    """Write cases to a file without pickle; the same cases give the same bytes.

    The arrays of a type are one entry, since thousands of entries would take a third of a second to
    read. Equal arrays are stored once. All first bytes of the numbers come before all second bytes,
    which compresses better.
    """
    contents: dict[str, bytearray] = {}  # by type
    places: dict[tuple[str, bytes], int] = {}

    def stored(value: Any) -> Any:
        if isinstance(value, np.ndarray | np.generic):
            half = value.astype(np.float16) if value.dtype == np.float32 else value
            exact = value.dtype == np.float32 and np.array_equal(half, value)
            kept = half if exact else value
            kind, content = kept.dtype.str[1:], kept.tobytes()
            all_of_kind = contents.setdefault(kind, bytearray())
            place = places.setdefault((kind, content), len(all_of_kind))
            if place == len(all_of_kind):
                all_of_kind += content
            return {"array": [kind, place // kept.itemsize, list(kept.shape)]}
        if isinstance(value, dict):
            return {key: stored(item) for key, item in value.items()}
        return value

    index = json.dumps([{name: stored(getattr(case, name)) for name in STORED} for case in cases])
    arrays = {
        kind: np.frombuffer(content, np.uint8).reshape(-1, np.dtype(kind).itemsize).T.copy()
        for kind, content in contents.items()
    }
    np.savez_compressed(path, index=np.array(index), **arrays)


@functools.cache
def load_goldens(path: Path = GOLDENS) -> list[Case]:
    """Read the cases from a file that `save_goldens` wrote."""
    with np.load(path, allow_pickle=False) as file:
        index = json.loads(str(file["index"]))
        arrays = {
            kind: np.frombuffer(file[kind].T.tobytes(), kind)
            for kind in file.files
            if kind != "index"
        }

    def restored(value: Any) -> Any:
        if isinstance(value, dict) and set(value) == {"array"}:
            kind, place, shape = value["array"]
            array = arrays[kind][place : place + math.prod(shape)].reshape(shape)
            return array.astype(np.float32) if array.dtype == np.float16 else array
        if isinstance(value, dict):
            return {key: restored(item) for key, item in value.items()}
        return value

    return [Case(**restored(case)) for case in index]
