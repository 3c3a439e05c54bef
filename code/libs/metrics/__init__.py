"""How good the samples are: the metrics that evaluate.py knows."""

from ..utils import UserError, did_you_mean

METRICS = {  # name: what it measures
    "fid": "Fréchet distance between features of samples and of training images",
    "kid": "kernel distance between the same features, unbiased for few samples",
    "is": "Inception score: how sure and how varied a classifier is",
    "pr": "precision (are samples like real images) and recall (are real images like samples)",
    "variety": "how different the pixels of two samples of one class are: 0 if all are equal",
    "grain": "are neighbouring pixels as alike as in real images: sees grain of a few grey levels",
    "accuracy": "share of samples that a classifier gives the class they were drawn for",
    "memorization": "are samples copies of training images",
    "lpips": "perceptual distance between samples of one class: how varied they are",
    "clip": "CLIP score: does a sample show what its caption says",
    "retrieval": "share of samples whose caption CLIP ranks first, or among 5, of all captions",
    "similarity": "is the caption of the real picture that is most like a sample like its own",
    "consistency": "CLIP agreement of samples of one caption, drawn from different noise",
}
OF_CLASSES = ("variety", "pr", "grain", "accuracy")  # without --metrics: no download, no stub
OF_CAPTIONS = ("clip", "retrieval", "similarity", "consistency")
FEATURES = ("lenet", "inception")
PUBLISHED_CLIP = "openai/clip-vit-large-patch14"


def parse_metrics(text: str) -> list[str]:
    """Turn "fid,kid" into names of metrics; UserError for one that is unknown."""
    names = [name.strip().lower() for name in text.split(",")]
    for name in names:
        if name not in METRICS:
            hint = did_you_mean(name, METRICS) or f"; choose from {', '.join(METRICS)}"
            raise UserError(f"--metrics: there is no metric '{name}'{hint}")
    return list(dict.fromkeys(names))
