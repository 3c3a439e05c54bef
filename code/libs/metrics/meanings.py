"""Scores in words, for readers who meet them for the first time."""

from .evidence import Score

CLOSE = 0.1  # within a tenth of what real images get, a score is as good as it can be
# By how a score's name begins: whether less is better (None: neither), and what it says.
MEANINGS: dict[str, tuple[bool | None, str]] = {
    "FID": (
        True,
        "How far samples are from training images in a network's features; 0 means no distance.",
    ),
    "KID": (True, "As FID, by another distance that few samples do not bias; 0 means no distance."),
    "IS": (False, "How sure a classifier is of each sample, and how many classes it sees in all."),
    "precision": (False, "The share of samples that are among real images."),
    "recall": (
        False,
        "The share of real images that are among samples: low if variety is lost.",
    ),
    "distance": (None, "How different two samples are; 0 if all are equal."),
    "grain": (
        True,
        "How unlike real images neighbouring pixels are: high where samples are grainy.",
    ),
    "conditional accuracy": (
        False,
        "The share of samples in which a classifier sees the class that was asked for.",
    ),
    "LPIPS": (None, "How different two samples look; 0 if all are equal."),
    "share with": (True, "The share of samples as close to a training image as few real ones are."),
    "C_T": (None, "Below -3 samples are too close to training images, that is copies of them."),
    "CLIP score": (False, "How well samples show what their captions say."),
    "caption R@": (False, "The share of samples whose own caption suits them best."),
    "caption similarity": (
        False,
        "How much the caption of the most similar real picture is like the sample's own.",
    ),
    "CLIP consistency": (None, "How much samples of one caption are alike."),
}


def explain(score: Score) -> str:
    """What a score says, and how it compares with that of real images."""
    beginnings = [name for name in MEANINGS if score.name.startswith(name)]
    if not beginnings:
        return ""
    less_is_better, meaning = MEANINGS[beginnings[0]]
    return " ".join([meaning, _comparison(score, less_is_better)]).strip()


def _comparison(score: Score, less_is_better: bool | None) -> str:
    found, real = score.samples, score.real
    if real is None or score.name.startswith(("share with", "C_T")):
        return ""
    gap = abs(found - real) / max(abs(real), 1e-12)
    if gap <= CLOSE:
        if less_is_better is None:
            return "Here it is that of real images."
        return "Here they are as good as real images."
    if less_is_better is None:
        return f"Here it is {found / real:.0%} of that of real images." if real > 0 else ""
    if (found < real) == less_is_better:
        return "Here it is better than that of real images."
    if less_is_better and real > 0:
        return f"Here it is {found / real:.1f} times that of real images."
    return f"Real images get {real:.3g}."
