"""What can be off in a run, in a sentence each: what was seen, and where to look."""

from dataclasses import dataclass

# By their kinds, those that explain others first: where the loss asks for something else than the
# noise, nobody wonders that the noise was not learned.
PLACES = {
    "scale": "the range of the data",
    "diffusion": "the forward process",
    "loss": "the loss",
    "denoiser": "what is between the network and its denoiser",
    "label": "the labels, and their way into the network",
    "time": "the way of the time into the network",
    "schedule": "the noise schedule",
    "chain": "the way back from noise to images",
    "few": "what the data set holds",
    "rate_low": "the learning rate",
    "rate_high": "the learning rate",
    "unlearned": "how long and on what it trained",
    "ema": "the averaged weights",
    "alike": "the variety of the samples",
}


@dataclass(frozen=True)
class Finding:
    """Something that is off.

    Attributes:
        kind: one of PLACES.
        sentence: what was seen, with its numbers.
    """

    kind: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.sentence} Look at {PLACES[self.kind]}."


def in_order(findings: list[Finding]) -> list[Finding]:
    """One finding of each kind, those that explain others first."""
    first = {finding.kind: finding for finding in reversed(findings)}
    return [first[kind] for kind in PLACES if kind in first]
