"""The frozen text encoder: tokens and contexts as transformers gives them, files of any version."""

import sys

import pytest
import torch

from helpers.files import find_asset
from libs.text import encoder as text_encoder
from libs.text.encoder import (
    TextEncoder,
    load_text_encoder,
    load_tokenizer,
    make_text_model,
    random_text_encoder,
    text_encoder_from,
)
from libs.utils import UserError

pytest.importorskip("transformers")
SIZES = {"hidden_size": 128, "intermediate_size": 256, "projection_dim": 128}
SIZES |= {"num_hidden_layers": 2, "num_attention_heads": 2}  # 64 a head, as all published ones
PROMPTS = ["a photo of a cat", "", "Café, two dogs & 13 cats!", "one two three " * 40]


@pytest.fixture(scope="module")
def vocabulary():
    return find_asset("pretrained/clip_bpe")


@pytest.fixture(scope="module")
def encoder(vocabulary):
    return random_text_encoder(vocabulary, width=32, layers=2, heads=2, seed=1)


def test_tokens_are_those_of_the_package(encoder):
    """Cutting and padding agree with transformers' own, also for empty and for long prompts."""
    options = {"padding": "max_length", "max_length": 77, "truncation": True}
    expected = encoder.tokenizer(PROMPTS, **options, return_tensors="pt").input_ids
    assert torch.equal(encoder.tokenize(PROMPTS), expected)


def test_context_is_the_last_hidden_state_after_the_final_norm(vocabulary):
    """It equals the package's last_hidden_state; the norm's own scale and shift decide the mean
    and the deviation of every token."""
    encoder = TextEncoder(load_tokenizer(vocabulary), make_text_model(SIZES))
    (norm,) = (m for name, m in encoder.named_modules() if name.endswith("final_layer_norm"))
    norm.weight.fill_(2), norm.bias.fill_(3)
    contexts = encoder.encode(PROMPTS[:2])
    assert contexts.shape == (2, 77, 128)
    expected = encoder.model(input_ids=encoder.tokenize(PROMPTS[:2])).last_hidden_state
    torch.testing.assert_close(contexts, expected)
    torch.testing.assert_close(contexts.mean(-1), torch.full((2, 77), 3.0))
    deviation = contexts.std(-1, correction=0)
    torch.testing.assert_close(deviation, torch.full((2, 77), 2.0), atol=0.01, rtol=0)


def test_it_is_frozen(encoder):
    """No weight asks for a gradient, and training mode does not switch anything on."""
    assert not any(p.requires_grad for p in encoder.parameters())
    assert not encoder.train().training
    assert not encoder.model.training
    assert not encoder.encode(["x"]).requires_grad


def test_what_is_cut_off_is_quoted(encoder, capsys):
    """A prompt longer than 75 tokens is cut, and the message says which words are lost."""
    encoder.tokenize(["word " * 75])
    assert capsys.readouterr().out == ""
    encoder.tokenize(["word " * 75 + "and a zebra"])
    said = capsys.readouterr().out
    assert "78 tokens" in said
    assert "'and a zebra'" in said


def test_seed_decides_and_nothing_else_is_drawn(vocabulary, encoder):
    """The same seed gives the same weights, another one others; torch's stream is untouched."""
    before = torch.get_rng_state()
    same = random_text_encoder(vocabulary, 32, 2, 2, seed=1).encode(["a"])
    other = random_text_encoder(vocabulary, 32, 2, 2, seed=2).encode(["a"])
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(same, encoder.encode(["a"]))
    assert (same - other).abs().mean() > 0.1


def test_random_contexts_are_standardized(encoder, vocabulary, tmp_path):
    """Texts differ in every token but the first as if it were drawn for each; a file of the
    weights has all that is needed for the same contexts."""
    words = [word for word in encoder.tokenizer.get_vocab() if word.endswith("</w>")]
    texts = [" ".join(words[i : i + 8]).replace("</w>", "") for i in range(0, 3200, 16)]
    contexts = encoder.encode(texts)
    assert contexts[:, 0].abs().max() < 1e-4
    deviation = contexts.std(dim=0).mean(dim=1)
    assert 0.5 < deviation[1:].min() < deviation[1:].max() < 2
    other = random_text_encoder(vocabulary, width=32, layers=2, heads=2, seed=2)
    other.load(encoder.weights(), tmp_path / "file")
    assert torch.equal(other.encode(texts[:3]), encoder.encode(texts[:3]))


@pytest.mark.parametrize("prefix", ["", "text_model."])
def test_names_of_both_versions(vocabulary, tmp_path, prefix):
    """Tensors load with and without the prefix that transformers 5 dropped, and position_ids."""
    model = make_text_model(SIZES)
    weights = {k.removeprefix("text_model."): v for k, v in model.state_dict().items()}
    weights = {prefix + name: tensor for name, tensor in weights.items()}
    weights[prefix + "embeddings.position_ids"] = torch.arange(77)[None]
    loaded = text_encoder_from(weights, load_tokenizer(vocabulary), tmp_path / "file")
    tokens = loaded.tokenize(["a cat"])
    torch.testing.assert_close(loaded(tokens), model.eval()(tokens).last_hidden_state)


def test_tensors_that_are_missing_or_others(vocabulary, tmp_path):
    """A file without the text model, and one that lacks a tensor, are named."""
    tokenizer, file = load_tokenizer(vocabulary), tmp_path / "file"
    with pytest.raises(UserError, match=r"file holds no text model of CLIP"):
        text_encoder_from({"conv.weight": torch.zeros(1)}, tokenizer, file)
    weights = make_text_model(SIZES).state_dict()
    lost = next(name for name in weights if name.endswith("final_layer_norm.bias"))
    del weights[lost]
    with pytest.raises(UserError, match=r"file does not match.*final_layer_norm\.bias.*absent"):
        text_encoder_from(weights, tokenizer, file)


def test_folder_of_transformers(vocabulary, encoder, tmp_path):
    """What save_pretrained writes is read, with a vocabulary beside it or elsewhere."""
    encoder.model.save_pretrained(tmp_path)
    loaded = load_text_encoder(tmp_path, vocabulary)
    tokens = loaded.tokenize(["a cat"])
    torch.testing.assert_close(loaded(tokens), encoder.model(tokens).last_hidden_state)
    with pytest.raises(UserError, match=r"vocab\.json and merges\.txt missing.*'text\.vocabulary'"):
        load_text_encoder(tmp_path)


def test_folders_without_a_model(vocabulary, tmp_path, monkeypatch):
    """Empty and missing folders, and names that cannot be downloaded, are one sentence each."""
    with pytest.raises(UserError, match=r"no CLIP text model in .*model\.safetensors"):
        load_text_encoder(tmp_path, vocabulary)

    def no_network(*args, **options):
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", no_network)
    with pytest.raises(UserError, match=r"'some/name' is not a folder, and could not.*no network"):
        load_text_encoder("some/name", vocabulary)
    with pytest.raises(UserError, match=r"CLIP's vocabulary is not in .*nowhere.*--vocabulary"):
        load_tokenizer(tmp_path / "nowhere", "--vocabulary")  # a path is not a name on the hub


def test_package_is_missing(vocabulary, monkeypatch):
    """Without transformers the sentence says what to install."""
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match=r"pip install -r requirements/text\.txt"):
        text_encoder.load_tokenizer(vocabulary)
