"""The hints in hints.yaml: what to look at, by the id that a finding carries."""

from functools import cache
from pathlib import Path

from autograder.documents import read_yaml
from autograder.text import InputError

HINTS = Path(__file__).with_name("hints.yaml")
# General hints, given when no known mistake, or more than one, explains what was found.
GENERAL = frozenset(
    "q_sample_weights p_sample_mean p_sample_wrong_sigma loss_value ddim_weights ddim_clip "
    "ddim_loop_step edm_mix edm_heun_first_slope edm_heun_step edm_loss_value fid_covariance "
    "fid_distance nn_ratio sd_guidance sd_walk_step "
    "fm_mix fm_value fm_time fm_times fm_step "
    "dit_patches dit_unpatch dit_modulate dit_block dit_whole".split()
)


@cache
def hints() -> dict[str, str]:
    """All hints by id; InputError if the file has mistakes."""
    found = read_yaml(HINTS)
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise InputError(f"{HINTS} must hold ids, each with its hint as text")
    return {key: " ".join(text.split()) for key, text in found.items()}


def hint_text(hint_id: str) -> str:
    """The hint with this id; "" if there is none."""
    return hints().get(hint_id, "")
