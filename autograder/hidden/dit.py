"""Expected values of the bonus part on vision transformers, and the results of known mistakes.

Peebles & Xie 2023, section 3.2 and Figure 3, with positions after Vaswani et al. 2017, section 3.5.
All weights are random: those initialised to zero would hide mistakes in the code behind them.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from autograder.checks.batches import LARGER
from autograder.checks.cases import TRANSFORMERS, Case
from autograder.hidden.schedule import normal

Array: TypeAlias = np.ndarray
Weights = dict[str, Array]
BATCH = 3
EXPLAINED = "dit_odd"  # the only case with mistakes, since they take long to compute
# Inputs with larger numbers at their end, so that clamping shows where the network is linear.
LINEAR = ("x", "tokens", "shift", "patches", "first_tokens", "answers", "modulated", "images")
LAST = ("emb_layers.1", "final_linear")  # layers whose last bias, of a gate or pixel, is large
MOVED = 0.5  # added by the worker to parameters that should not exist
ORDER = (0, 1, 2, 3, 4, 5)  # shift, scale and gate of the attention, and of the MLP


def make_dit_cases(seed: int) -> list[Case]:
    """One case per configuration, each with all functions of the part."""
    return [
        dit_case(config, np.random.default_rng([seed, 104, number]))
        for number, config in enumerate(TRANSFORMERS)
    ]


def dit_case(config: str, random: np.random.Generator) -> Case:
    """A network's weights and images, inputs of its functions, and their expected results."""
    kwargs, size = TRANSFORMERS[config]
    dim, depth, patch = kwargs["dim"], kwargs["depth"], kwargs["patch_size"]
    rows, columns = (length // patch for length in size)
    out_channels = kwargs.get("out_channels", kwargs["in_channels"])
    tokens = (BATCH, rows * columns, dim)
    patches = (BATCH, rows * columns, patch * patch * out_channels)
    inputs = {
        "x": normal(random, (BATCH, kwargs["in_channels"], *size)),
        "label": random.permutation(kwargs["num_classes"])[:BATCH].astype(np.int64),
        "time": random.choice(1000, BATCH, replace=False).astype(np.int64),
        "time_emb": normal(random, (BATCH, dim)),
        "label_emb": normal(random, (BATCH, dim)),
        "tokens": normal(random, tokens, 2.0) + normal(random, (BATCH, 1, 1)),
        "emb": normal(random, (BATCH, dim)),
        "shift": normal(random, (BATCH, dim)),
        "scale": normal(random, (BATCH, dim)),
        "patches": normal(random, patches),
        # answers of doubles
        "first_tokens": normal(random, tokens),
        "answers": normal(random, (depth, *tokens)),
        "modulated": normal(random, tokens),
        "images": normal(random, (BATCH, out_channels, *size)),
    }
    for name in LINEAR:
        inputs[name][..., -1:] *= LARGER
    w = weights_of(kwargs, out_channels, random)
    inputs |= {f"w:{name}": value for name, value in w.items()}
    case = Case("dit", config, inputs, {})
    given = {name: value.astype(np.float64) for name, value in inputs.items()}
    exact = {name: value.astype(np.float64) for name, value in w.items()}
    network = Network(exact, kwargs, rows, columns, out_channels)
    fill_in(case, network, given)
    return case


def weights_of(kwargs: dict[str, Any], out_channels: int, random: np.random.Generator) -> Weights:
    """Random values of the parameters that the part judges, by their names in the network."""
    dim, patch, in_channels = kwargs["dim"], kwargs["patch_size"], kwargs["in_channels"]
    hidden = int(dim * kwargs["mlp_ratio"])
    linear = {"final_emb_layers.1": (2 * dim, dim), "final_linear": (patch**2 * out_channels, dim)}
    for i in range(kwargs["depth"]):
        own = {f"attn.to_{name}": (dim, dim) for name in ("q", "k", "v", "out.0")}
        own |= {"mlp.0": (hidden, dim), "mlp.2": (dim, hidden), "emb_layers.1": (6 * dim, dim)}
        linear |= {f"blocks.{i}.{name}": shape for name, shape in own.items()}
    shapes: dict[str, tuple[int, ...]] = {"patch_embd": (dim, in_channels, patch, patch), **linear}
    found = {}
    for name, shape in shapes.items():
        fan_in = np.prod(shape[1:])
        gain = 2.0 if ".to_q" in name or ".to_k" in name else 1.0  # so that attention is peaked
        found[f"{name}.weight"] = normal(random, shape, gain / np.sqrt(fan_in))
        found[f"{name}.bias"] = normal(random, shape[:1], 0.5)
        if name.endswith(LAST):
            found[f"{name}.bias"][-1] = LARGER
    return found


# --- the pieces ---------------------------------------------------------------------------------


def silu(x: Array) -> Array:
    return x / (1 + np.exp(-x))


def gelu(x: Array) -> Array:
    """The approximation by tanh of Hendrycks & Gimpel 2016, section 2."""
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def norm(x: Array, axis: int = -1, ddof: int = 0, affine: bool = False) -> Array:
    """Layer norm over each token's channels; `affine`: with parameters, moved by the worker."""
    x = x - x.mean(axis=axis, keepdims=True)
    x = x / np.sqrt(x.var(axis=axis, ddof=ddof, keepdims=True) + 1e-6)
    return x * (1 + MOVED) + MOVED if affine else x


def softmax(x: Array, axis: int = -1) -> Array:
    x = np.exp(x - x.max(axis=axis, keepdims=True))
    return x / x.sum(axis=axis, keepdims=True)


def layer(w: Weights, name: str, x: Array) -> Array:
    """Apply a linear layer by its name."""
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def modulate(x: Array, shift: Array, scale: Array, one: float = 1.0) -> Array:
    """Section 3.2: apply a sample's shift and scale, [B, C], to all of its tokens, [B, N, C]."""
    return x * (one + scale[:, None]) + shift[:, None]


def attention(w: Weights, name: str, x: Array, heads: int, how: str = "") -> Array:
    """Multi-head self-attention, Vaswani et al. 2017, section 3.2.2; `how` is a mistake."""
    batch, count, dim = x.shape
    heads = 1 if how == "one_head" else heads
    q, k, v = (layer(w, f"{name}.to_{letter}", x) for letter in "qkv")

    def split(x: Array) -> Array:
        if how == "split":
            return x.reshape(batch, heads, count, -1)
        if how == "interleaved":
            return x.reshape(batch, count, -1, heads).transpose(0, 3, 1, 2)
        return x.reshape(batch, count, heads, -1).transpose(0, 2, 1, 3)

    if how == "keys_exchanged":
        q, k = k, q
    if how == "values_exchanged":
        k, v = v, k
    q, k, v = split(q), split(k), split(v)
    scale = {"unscaled": 1.0, "scaled_by_dim": np.sqrt(dim), "squared": q.shape[-1]}
    logits = q @ k.swapaxes(-1, -2) / scale.get(how, np.sqrt(q.shape[-1]))
    if how == "causal":
        logits = np.where(np.tri(count, dtype=bool), logits, -np.inf)
    out = softmax(logits, -2 if how == "over_queries" else -1) @ v
    if how == "interleaved":
        return layer(w, f"{name}.to_out.0", out.transpose(0, 2, 3, 1).reshape(x.shape))
    out = out.reshape(x.shape) if how == "merged" else out.transpose(0, 2, 1, 3).reshape(x.shape)
    return out if how == "no_projection" else layer(w, f"{name}.to_out.0", out)


def block(
    w: Weights,
    name: str,
    heads: int,
    x: Array,
    emb: Array,
    *,
    order: tuple[int, ...] = ORDER,
    interleaved: bool = False,
    one: float = 1.0,
    activation: str = "before",
    gates: str = "",
    norms: str = "",
    residual: str = "",
    sequence: str = "attention mlp",
    heads_how: str = "",
    mlp_how: str = "",
    emb_of: Callable[[Array], Array] = lambda emb: emb,
) -> Array:
    """Figure 3, "DiT Block with adaLN-Zero"; the keyword arguments are mistakes."""
    steering = steering_of(w, name, emb_of(emb), activation)
    if interleaved:
        parts = list(steering.reshape(len(emb), -1, 6).transpose(2, 0, 1))
    else:
        parts = np.split(steering, 6, axis=-1)
    parts = [parts[place] for place in order]

    def normed(x: Array) -> Array:
        if norms in ("missing", "after", "modulated"):
            return x
        kinds: dict[str, dict[str, Any]] = {"tokens": {"axis": 1}, "unbiased": {"ddof": 1}}
        kinds["affine"] = {"affine": True}
        if norms == "sample":
            return norm(x.reshape(len(x), 1, -1)).reshape(x.shape)
        return norm(x, **kinds.get(norms, {}))

    def mlp(h: Array) -> Array:
        act = {"relu": lambda h: np.maximum(h, 0), "silu": silu, "none": lambda h: h}
        return layer(w, f"{name}.mlp.2", act.get(mlp_how, gelu)(layer(w, f"{name}.mlp.0", h)))

    branches = {
        "attention": (parts[:3], lambda h: attention(w, f"{name}.attn", h, heads, heads_how)),
        "mlp": (parts[3:], mlp),
    }
    start = x
    for what in sequence.split():
        (shift, scale, gate), branch = branches[what.removeprefix("parallel_")]
        source = start if what.startswith("parallel_") else x
        if what == "mlp" and norms == "second_missing":
            h = modulate(source, shift, scale, one)
        elif norms == "unmodulated":
            h = normed(source)
        else:
            h = modulate(normed(source), shift, scale, one)
        h = norm(h) if norms == "modulated" else h
        out = branch(h)
        out = norm(out) if norms == "after" else out
        x = gated(x, h, out, gate[:, None], gates, residual in (what, "both"), residual)
        x = norm(x) if norms == "last" else x
    return x


def steering_of(w: Weights, name: str, emb: Array, activation: str) -> Array:
    """A block's shifts, scales and gates from the embedding; the right activation is "before"."""
    forms: dict[str, Callable[[Array], Array]] = {
        "before": silu,
        "both": silu,
        "relu": lambda emb: np.maximum(emb, 0),
        "gelu": gelu,
    }
    steering = layer(w, f"{name}.emb_layers.1", forms.get(activation, lambda emb: emb)(emb))
    return silu(steering) if activation in ("after", "both") else steering


def gated(
    x: Array, h: Array, out: Array, gate: Array, gates: str, cut: bool, residual: str
) -> Array:
    """Add a branch's gated output to the tokens; `cut` leaves out the tokens, by mistake."""
    base = 0 * x if cut else h if residual == "modulated" else x
    if gates == "missing":
        return base + out
    if gates == "of_tokens":
        return gate * base + out
    if gates == "of_all":
        return gate * (base + out)
    if gates == "mixed":
        return (1 - gate) * base + gate * out
    forms: dict[str, Callable[[Array], Array]] = {
        "one_plus": lambda g: 1 + g,
        "sigmoid": lambda g: 1 / (1 + np.exp(-g)),
        "tanh": np.tanh,
        "minus": lambda g: -g,
    }
    return base + forms.get(gates, lambda g: g)(gate) * out


class Network:
    """A whole network in float64; the options of its methods are mistakes."""

    def __init__(
        self, w: Weights, kwargs: dict[str, Any], rows: int, columns: int, out_channels: int
    ) -> None:
        self.w, self.depth, self.heads = w, kwargs["depth"], kwargs["num_heads"]
        self.size, self.dim = kwargs["patch_size"], kwargs["dim"]
        self.rows, self.columns, self.out_channels = rows, columns, out_channels

    def patchify(self, x: Array, how: str = "") -> Array:
        """One token per patch, row by row."""
        cut = x.reshape(*x.shape[:2], self.rows, self.size, self.columns, self.size)
        kernel = self.w["patch_embd.weight"]
        kernel = kernel.swapaxes(2, 3) if how == "pixels" else kernel
        cut = np.einsum("bcrpqs,dcps->brqd", cut, kernel)
        bias = 0 if how == "no_bias" else self.w["patch_embd.bias"]
        tokens = cut + bias
        if how == "columns":
            tokens = tokens.swapaxes(1, 2)
        if how == "reshaped":
            tokens = tokens.transpose(0, 3, 1, 2)
        tokens = tokens.reshape(len(x), -1, self.dim)
        return tokens + self.positions() if how == "positions" else tokens

    def unpatchify(self, tokens: Array, how: str = "") -> Array:
        """Images from tokens, which hold a patch's rows, then columns, then channels."""
        batch, p, c, rows, columns = (
            len(tokens),
            self.size,
            self.out_channels,
            self.rows,
            self.columns,
        )
        height, width = rows * p, columns * p
        if how == "reshaped":
            return tokens.reshape(batch, c, height, width)
        if how == "channels_last":
            cut = tokens.reshape(batch, rows, columns, p, p, c).transpose(0, 1, 3, 2, 4, 5)
            return cut.reshape(batch, c, height, width)
        if how in ("grid", "grid_and_pixels"):
            cut = tokens.reshape(batch, columns, rows, p, p, c).swapaxes(1, 2)
        elif how == "channels_first":
            cut = tokens.reshape(batch, rows, columns, c, p, p).transpose(0, 1, 2, 4, 5, 3)
        elif how == "channels_first_pixels":
            cut = tokens.reshape(batch, rows, columns, c, p, p).transpose(0, 1, 2, 5, 4, 3)
        elif how == "channels_between":
            cut = tokens.reshape(batch, rows, columns, p, c, p).transpose(0, 1, 2, 3, 5, 4)
        else:
            cut = tokens.reshape(batch, rows, columns, p, p, c)
        if how == "unjoined":  # patches side by side, without interleaving their rows of pixels
            return cut.transpose(0, 5, 1, 2, 3, 4).reshape(batch, c, height, width)
        if how in ("pixels", "grid_and_pixels"):
            cut = cut.swapaxes(3, 4)
        return cut.transpose(0, 5, 1, 3, 2, 4).reshape(batch, c, height, width)

    def positions(self, how: str = "") -> Array:
        """Sines and cosines of the column, then of the row, [rows * columns, dim]."""
        quarter = self.dim // 4
        frequencies = 10000.0 ** (-np.arange(quarter) / quarter)
        row, column = np.divmod(np.arange(self.rows * self.columns), self.columns)
        if how == "transposed":
            column, row = np.divmod(np.arange(self.rows * self.columns), self.rows)
        if how == "exchanged":
            row, column = column, row
        if how == "of_columns":  # for a grid of columns x rows
            row, column = np.divmod(np.arange(self.rows * self.columns), self.rows)
        parts = [
            f(place[:, None] * frequencies) for place in (column, row) for f in (np.sin, np.cos)
        ]
        if how == "one_axis":
            angles = np.arange(self.rows * self.columns)[:, None] * 10000.0 ** (
                -np.arange(2 * quarter) / (2 * quarter)
            )
            parts = [np.sin(angles), np.cos(angles)]
        if how == "cosines_first":
            parts = [parts[1], parts[0], parts[3], parts[2]]
        return np.concatenate(parts, axis=1)

    def normed(self, tokens: Array) -> Array:
        """The final layer norm."""
        return norm(tokens)

    def last(self, tokens: Array, emb: Array, how: str = "") -> Array:
        """The final layer, which turns tokens into patches."""
        steer = emb if how == "no_silu" else silu(emb)
        steering = layer(self.w, "final_emb_layers.1", steer)
        shift, scale = np.split(steering, 2, axis=-1)
        if how == "swapped":
            shift, scale = scale, shift
        kinds: dict[str, dict[str, Any]] = {"unbiased": {"ddof": 1}, "affine": {"affine": True}}
        h = tokens if how == "no_norm" else norm(tokens, **kinds.get(how, {}))
        if how != "no_modulation":
            h = modulate(h, shift, scale, 0.0 if how == "no_one" else 1.0)
        return layer(self.w, "final_linear", h)

    def forward(
        self,
        x: Array,
        time_emb: Array,
        label_emb: Array,
        *,
        patches: str = "",
        places: str = "",
        embedding: str = "",
        walk: str = "",
        last: str = "",
        back: str = "",
        blocks: dict[str, Any] | None = None,
    ) -> Array:
        """The whole network of Figure 3."""
        sums: dict[str, Callable[[], Array]] = {
            "no_time": lambda: label_emb,
            "no_label": lambda: time_emb,
            "product": lambda: time_emb * label_emb,
            "difference": lambda: time_emb - label_emb,
            "mean": lambda: (time_emb + label_emb) / 2,
            "activated": lambda: silu(time_emb + label_emb),
            "none": lambda: np.zeros_like(time_emb),
            "batch": lambda: np.broadcast_to((time_emb + label_emb).mean(0), time_emb.shape),
            "first": lambda: np.broadcast_to((time_emb + label_emb)[0], time_emb.shape),
        }
        emb = sums.get(embedding, lambda: time_emb + label_emb)()
        tokens = self.patchify(x, patches)
        place = self.positions(places)
        if places not in ("missing", "after", "multiplied"):
            tokens = tokens + place * {"twice": 2.0, "subtracted": -1.0}.get(places, 1.0)
        tokens = tokens * place if places == "multiplied" else tokens
        start, order = tokens, list(range(self.depth))
        order = {
            "reversed": order[::-1],
            "first": order[:1],
            "first_again": [0] * self.depth,
            "not_last": order[:-1],
            "not_first": order[1:],
            "none": [],
        }.get(walk, order)
        for i in order:
            source = start if walk == "not_passed_on" else tokens
            found = self.block(i, source, emb, **(blocks or {}))
            tokens = found + source if walk == "residual" else found
            tokens = tokens + place if places == "each" else tokens
        tokens = tokens + place if places == "after" else tokens
        tokens = tokens + start if walk == "long_residual" else tokens
        return self.unpatchify(self.last(tokens, emb, last), back)

    def block(self, i: int, x: Array, emb: Array, **how: Any) -> Array:
        """One block of the network."""
        return block(self.w, f"blocks.{i}", self.heads, x, emb, **how)


# --- what mistakes give -------------------------------------------------------------------------

PATCHIFY = {
    "dit_patches_order": "columns",
    "dit_patches_axes": "reshaped",
    "dit_patches_kernel": "pixels",
    "dit_patches_kernel:no_bias": "no_bias",
    "dit_patches_positions": "positions",
}
UNPATCHIFY = {
    "dit_unpatch_channels": "channels_first",
    "dit_unpatch_channels:pixels": "channels_first_pixels",
    "dit_unpatch_channels:between": "channels_between",
    "dit_unpatch_channels:last": "channels_last",
    "dit_unpatch_pixels": "pixels",
    "dit_unpatch_grid": "grid",
    "dit_unpatch_grid:pixels": "grid_and_pixels",
    "dit_unpatch_reshaped": "reshaped",
    "dit_unpatch_reshaped:unjoined": "unjoined",
}
Modulated: TypeAlias = Callable[[Array, Array, Array], Array]
MODULATE: dict[str, Modulated] = {
    "dit_shift_scale": lambda x, b, s: modulate(x, s, b),
    "dit_scale_one": lambda x, b, s: modulate(x, b, s, 0.0),
    "dit_scale_one:twice": lambda x, b, s: modulate(x, b, s, 2.0),
    "dit_modulate_part": lambda x, b, s: x * (1 + s[:, None]),
    "dit_modulate_part:no_scale": lambda x, b, s: x + b[:, None],
    "dit_modulate_order": lambda x, b, s: (x + b[:, None]) * (1 + s[:, None]),
    "dit_modulate_sign": lambda x, b, s: x * (1 + s[:, None]) - b[:, None],
    "dit_modulate_sign:scale": lambda x, b, s: x * (1 - s[:, None]) + b[:, None],
    "dit_modulate_sign:divided": lambda x, b, s: x / (1 + s[:, None]) + b[:, None],
    "dit_modulate_sign:exp": lambda x, b, s: x * np.exp(s)[:, None] + b[:, None],
    "dit_of_others": lambda x, b, s: x * (1 + s[0]) + b[0],
    "dit_of_others:mean": lambda x, b, s: x * (1 + s.mean(0)) + b.mean(0),
}
BLOCK: dict[str, dict[str, Any]] = {
    "dit_shift_scale": {"order": (1, 0, 2, 4, 3, 5)},
    "dit_chunks": {"order": (2, 0, 1, 5, 3, 4)},
    "dit_chunks:gate_second": {"order": (0, 2, 1, 3, 5, 4)},
    "dit_chunks:backwards": {"order": (2, 1, 0, 5, 4, 3)},
    "dit_chunks:rotated": {"order": (1, 2, 0, 4, 5, 3)},
    "dit_chunks:halves": {"order": (3, 4, 5, 0, 1, 2)},
    "dit_chunks:by_kind": {"order": (0, 2, 4, 1, 3, 5)},
    "dit_chunks:shared": {"order": (0, 1, 2, 0, 1, 2)},
    "dit_chunks:second": {"order": (3, 4, 5, 3, 4, 5)},
    "dit_chunks:gates": {"order": (0, 1, 5, 3, 4, 2)},
    "dit_chunks:one_gate": {"order": (0, 1, 2, 3, 4, 2)},
    "dit_chunks:interleaved": {"interleaved": True},
    "dit_scale_one": {"one": 0.0},
    "dit_silu": {"activation": "none"},
    "dit_silu:after": {"activation": "after"},
    "dit_silu:both": {"activation": "both"},
    "dit_silu:relu": {"activation": "relu"},
    "dit_silu:gelu": {"activation": "gelu"},
    "dit_gate_missing": {"gates": "missing"},
    "dit_gate_tokens": {"gates": "of_tokens"},
    "dit_gate_tokens:all": {"gates": "of_all"},
    "dit_gate_tokens:mixed": {"gates": "mixed"},
    "dit_gate_form": {"gates": "one_plus"},
    "dit_gate_form:sigmoid": {"gates": "sigmoid"},
    "dit_gate_form:tanh": {"gates": "tanh"},
    "dit_gate_form:minus": {"gates": "minus"},
    "dit_norm_missing": {"norms": "missing"},
    "dit_norm_missing:second": {"norms": "second_missing"},
    "dit_norm_after": {"norms": "after"},
    "dit_norm_after:modulated": {"norms": "modulated"},
    "dit_norm_after:last": {"norms": "last"},
    "dit_norm_affine": {"norms": "affine"},
    "dit_norm_axis": {"norms": "tokens"},
    "dit_norm_axis:sample": {"norms": "sample"},
    "dit_norm_axis:unbiased": {"norms": "unbiased"},
    "dit_unmodulated": {"norms": "unmodulated"},
    "dit_residual": {"residual": "attention"},
    "dit_residual:mlp": {"residual": "mlp"},
    "dit_residual:both": {"residual": "both"},
    "dit_residual:modulated": {"residual": "modulated"},
    "dit_sequence": {"sequence": "mlp attention"},
    "dit_sequence:parallel": {"sequence": "attention parallel_mlp"},
    "dit_branch_missing": {"sequence": "attention"},
    "dit_branch_missing:attention": {"sequence": "mlp"},
    "dit_heads": {"heads_how": "merged"},
    "dit_heads:split": {"heads_how": "split"},
    "dit_heads:interleaved": {"heads_how": "interleaved"},
    "dit_heads:one": {"heads_how": "one_head"},
    "dit_attention": {"heads_how": "unscaled"},
    "dit_attention:by_dim": {"heads_how": "scaled_by_dim"},
    "dit_attention:squared": {"heads_how": "squared"},
    "dit_attention:queries": {"heads_how": "over_queries"},
    "dit_attention:keys": {"heads_how": "keys_exchanged"},
    "dit_attention:values": {"heads_how": "values_exchanged"},
    "dit_attention:causal": {"heads_how": "causal"},
    "dit_attention:no_projection": {"heads_how": "no_projection"},
    "dit_mlp": {"mlp_how": "relu"},
    "dit_mlp:silu": {"mlp_how": "silu"},
    "dit_mlp:linear": {"mlp_how": "none"},
    "dit_of_others": {"emb_of": lambda emb: np.broadcast_to(emb.mean(0), emb.shape)},
    "dit_of_others:first": {"emb_of": lambda emb: np.broadcast_to(emb[0], emb.shape)},
}
FORWARD: dict[str, dict[str, Any]] = {
    "dit_positions_missing": {"places": "missing"},
    "dit_positions_grid": {"places": "transposed"},
    "dit_positions_grid:exchanged": {"places": "exchanged"},
    "dit_positions_grid:counts": {"places": "of_columns"},
    "dit_positions": {"places": "after"},
    "dit_positions:twice": {"places": "twice"},
    "dit_positions:subtracted": {"places": "subtracted"},
    "dit_positions:multiplied": {"places": "multiplied"},
    "dit_positions:one_axis": {"places": "one_axis"},
    "dit_positions:cosines_first": {"places": "cosines_first"},
    "dit_positions:each": {"places": "each"},
    "dit_label_missing": {"embedding": "no_label"},
    "dit_time_missing": {"embedding": "no_time"},
    "dit_embedding": {"embedding": "product"},
    "dit_embedding:difference": {"embedding": "difference"},
    "dit_embedding:mean": {"embedding": "mean"},
    "dit_embedding:activated": {"embedding": "activated"},
    "dit_embedding:none": {"embedding": "none"},
    "dit_of_others": {"embedding": "batch"},
    "dit_of_others:first": {"embedding": "first"},
    "dit_blocks": {"walk": "reversed"},
    "dit_blocks:first": {"walk": "first"},
    "dit_blocks:again": {"walk": "first_again"},
    "dit_blocks:not_last": {"walk": "not_last"},
    "dit_blocks:not_first": {"walk": "not_first"},
    "dit_blocks:none": {"walk": "none"},
    "dit_blocks:not_passed_on": {"walk": "not_passed_on"},
    "dit_blocks:residual": {"walk": "residual"},
    "dit_blocks:long_residual": {"walk": "long_residual"},
    "dit_final_norm": {"last": "no_norm"},
    "dit_norm_affine": {"last": "affine"},
    "dit_final_modulation": {"last": "no_modulation"},
    "dit_shift_scale": {"last": "swapped"},
    "dit_scale_one": {"last": "no_one"},
    "dit_silu": {"last": "no_silu"},
    "dit_norm_axis": {"last": "unbiased"},
    **{hint: {"patches": how} for hint, how in PATCHIFY.items() if how != "positions"},
    **{hint: {"back": how} for hint, how in UNPATCHIFY.items()},
}


def fill_in(case: Case, network: Network, given: dict[str, Array]) -> None:
    """Fill in each function's expected result on the case's inputs, and those of mistakes."""
    rounded = partial(np.asarray, dtype=np.float32)
    expected: dict[str, Array] = {}

    def add(name: str, function: Callable[..., Array], table: dict[str, Any]) -> None:
        expected[name] = rounded(function())
        if case.config == EXPLAINED:
            for hint, how in table.items():
                own = hint if ":" in hint else f"{hint}:"
                case.suspects[f"{own}_{name}"] = {name: rounded(function(how))}

    add("tokens", lambda how="": network.patchify(given["x"], how), PATCHIFY)
    add("images", lambda how="": network.unpatchify(given["patches"], how), UNPATCHIFY)
    three = [given[name] for name in ("tokens", "shift", "scale")]
    add("modulated", lambda how=modulate: how(*three), MODULATE)
    two = given["tokens"], given["emb"]
    add("block", lambda how=None: network.block(0, *two, **(how or {})), BLOCK)
    images = [given[name] for name in ("x", "time_emb", "label_emb")]
    add("whole", lambda how=None: network.forward(*images, **(how or {})), FORWARD)
    # Inputs and outputs of the last layer, with doubles in place of the blocks.
    emb, end = given["time_emb"] + given["label_emb"], given["answers"][-1]
    shift, scale = np.split(layer(network.w, "final_emb_layers.1", silu(emb)), 2, axis=-1)
    last, after = network.last(end, emb), layer(network.w, "final_linear", given["modulated"])
    expected |= {"positions": network.positions(), "emb": emb, "normed": network.normed(end)}
    expected |= {"shift": shift, "scale": scale, "last": last, "after_modulate": after}
    expected |= {"drawn": network.unpatchify(last), "drawn_after": network.unpatchify(after)}
    case.expected = {name: rounded(value) for name, value in expected.items()}
