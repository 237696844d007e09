"""Decoders from a Hugging Face ``config.json`` on disk: its keys as sizes, and nothing that is not understood."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from roofline.errors import NetworkError, did_you_mean
from roofline.number_format import plural
from roofline.reading import JsonObject, as_object, read_json, read_text
from roofline.workloads.decoder import Decoder, SizesError
from roofline.workloads.decoder_network import DecoderNetwork
from roofline.workloads.stored_format import quantization_method, stored_format

MAX_BYTES = 1 << 20
"""The largest configuration that is read."""

_SIZES: Mapping[str, str] = {
    "num_hidden_layers": "layers",
    "hidden_size": "hidden",
    "num_attention_heads": "heads",
    "num_key_value_heads": "kv_heads",
    "head_dim": "head_size",
    "intermediate_size": "mlp",
    "vocab_size": "vocabulary",
    "max_position_embeddings": "positions",
}
"""Keys that every family has, and the size each is."""

_OPTIONAL = frozenset({"head_dim", "num_key_value_heads"})
"""Those with a default: hidden size over heads, and as many heads of keys as of queries."""

_MIXTURE = (
    ("num_local_experts", "num_experts", "n_routed_experts"),
    ("num_experts_per_tok", "experts_per_token"),
)

_ALIKE: JsonObject = {"mlp_only_layers": [], "decoder_sparse_step": 1}
"""Keys of mixtures that say which layers are none, and what they are where all layers are alike."""

_HYBRID: Mapping[str, int] = {"qk_norm": True, "gated": True, "full_every": 4}
_GEMMA: Mapping[str, int] = {"tied": True, "gelu": True, "scaled": True}

_FAMILIES: Mapping[str, Mapping[str, int]] = {
    "llama": {},
    "smollm3": {},
    "mistral": {},
    "mixtral": {},
    "phi3": {},
    "gemma": _GEMMA,
    "gemma2": {**_GEMMA, "sandwich": True, "full_every": 2},
    "gemma3_text": {**_GEMMA, "sandwich": True, "qk_norm": True, "full_every": 6},
    "olmo2": {"wide_norm": True},
    "qwen2": {"qkv_bias": True},
    "qwen3": {"qk_norm": True},
    "qwen3_moe": {"qk_norm": True},
    "qwen3_next": _HYBRID,
    "qwen3_5_text": _HYBRID,
    "qwen3_5_moe_text": _HYBRID,
    "gpt_oss": {
        "qkv_bias": True, "output_bias": True, "sinks": True, "expert_bias": True, "full_every": 2,
    },
}  # fmt: skip
"""What each family has beside its sizes, by ``model_type``."""

_LINEAR: Mapping[str, str] = {
    "linear_num_value_heads": "linear_heads",
    "linear_num_key_heads": "linear_key_heads",
    "linear_value_head_dim": "linear_size",
    "linear_conv_kernel_dim": "kernel",
}
"""Keys of families with linear attention, and the size each is."""

_FREE = frozenset({
    "_attn_implementation_autoset", "_name_or_path", "architectures", "attention_dropout", "attention_type",
    "auto_map", "bos_token_id", "cache_implementation", "decoder_start_token_id", "dtype", "embd_pdrop",
    "eos_token_id", "hidden_act", "hidden_activation", "hidden_dropout", "id2label", "initial_context_length",
    "initializer_range", "is_decoder", "is_llama_config", "label2id", "language_model_only",
    "mamba_ssm_dtype", "mtp_num_hidden_layers", "mtp_use_dedicated_embeddings", "output_gate_type",
    "layer_norm_eps", "max_window_layers",
    "model_type", "no_rope_layer_interval", "no_rope_layers", "norm_topk_prob", "original_max_position_embeddings",
    "output_attentions", "output_hidden_states", "output_router_logits", "pad_token_id",
    "pretraining_tp", "quantization_config", "query_pre_attn_scalar", "resid_pdrop", "return_dict", "rms_norm_eps",
    "rope_interleaved", "rope_local_base_freq", "rope_parameters", "rope_scaling", "rope_theta", "rope_type",
    "router_aux_loss_coef", "router_jitter_noise", "sliding_window_size", "swiglu_limit", "torch_dtype",
    "transformers.js_config", "transformers_version", "unk_token_id", "use_cache",
})  # fmt: skip
"""Keys that change no count."""

_WITH_PICTURES = frozenset({"gemma3", "qwen3_5", "qwen3_5_moe"})
"""Families of which ``text_config`` is the decoder, and the rest looks at pictures."""

_READ = frozenset({
    "attention_bias", "attn_logit_softcapping", "attn_output_gate", "full_attention_interval", "linear_key_head_dim",
    "partial_rotary_factor", "decoder_sparse_step", "final_logit_softcapping", "layer_types",
    "mlp_bias", "mlp_only_layers", "moe_intermediate_size", "shared_expert_intermediate_size", "sliding_window",
    "sliding_window_pattern", "tie_word_embeddings", "use_sliding_window",
    *_MIXTURE[0], *_MIXTURE[1], *_LINEAR,
})  # fmt: skip
"""Keys that are read below."""


def read_config(path: Path) -> DecoderNetwork:
    """Return the decoder that a configuration file describes.

    Raises:
        NetworkError: The file is no such configuration, lacks a size, or has a key whose meaning is not known.
    """
    text = read_text(path, "config.json of a decoder", most=MAX_BYTES, error=NetworkError)
    loaded = read_json(
        text, str(path), error=NetworkError, repair="Give the config.json of a decoder"
    )
    if not isinstance(loaded, dict):
        raise NetworkError(f"{path} holds no object", repair="Give the config.json of a decoder")
    whole = cast("JsonObject", loaded)
    config = _text_part(whole)
    family = str(config.get("model_type")).lower()
    if family not in _FAMILIES:
        hint = did_you_mean(family, _FAMILIES) or f"Known: {', '.join(_FAMILIES)}"
        raise NetworkError(
            f"{path}: model_type {family!r} is not known (its attention may be another)",
            repair=f"{hint}; or export the network to ONNX, and give that file",
        )
    unknown = sorted(set(config) - _FREE - _READ - set(_SIZES))
    if unknown:
        raise NetworkError(
            f"{path}: it is not known what the key {unknown[0]!r} changes"
            + (f" (nor {', '.join(map(repr, unknown[1:4]))})" if unknown[1:] else ""),
            repair="Take it out if it changes no size; else export the network to ONNX, and give that file",
        )
    name = path.parent.resolve().name if path.name == "config.json" else path.stem
    quantization = whole.get("quantization_config")
    if quantization is None:
        quantization = _quantization_beside(path)
    stored = stored_format(quantization)
    unread = (quantization_method(quantization) or "no method") if stored is None else ""
    sizes = _decoder(_Config(path, config), _FAMILIES[family])
    return DecoderNetwork(
        name or "config", name or "config", f"{path.name} of {name}", sizes,
        stored=stored or "", unread=unread,
    )  # fmt: skip


def _quantization_beside(path: Path) -> JsonObject | None:
    """Return what ModelOpt writes into a file of its own beside the configuration; None without one."""
    beside = path.with_name("hf_quant_config.json")
    if path.name != "config.json" or not beside.is_file():
        return None
    text = read_text(beside, "hf_quant_config.json", most=MAX_BYTES, error=NetworkError)
    repair = "Mend it, or take it away"
    loaded = read_json(text, str(beside), error=NetworkError, repair=repair)
    inner = as_object(loaded).get("quantization")
    if not isinstance(inner, dict):
        raise NetworkError(f"{beside} has no object 'quantization'", repair=repair)
    return {"quant_method": "modelopt", **cast("JsonObject", inner)}


def _text_part(whole: JsonObject) -> JsonObject:
    """Return the decoder's own keys: all, or of a network that looks at pictures too those of its text."""
    text = whole.get("text_config")
    if str(whole.get("model_type")).lower() not in _WITH_PICTURES or not isinstance(text, dict):
        return whole
    shared = {key: whole[key] for key in ("tie_word_embeddings",) if key in whole}
    return {**shared, **cast("JsonObject", text)}


@dataclass(frozen=True, slots=True)
class _Config:
    """A decoder's config.json."""

    path: Path
    values: JsonObject

    def has(self, key: str) -> bool:
        """Return whether a key says something: it is there, and neither null, false nor 0."""
        return bool(self.values.get(key))

    def size(self, key: str) -> int:
        """Return a size.

        Raises:
            NetworkError: It is missing, or no whole number above 0.
        """
        if key not in self.values:
            raise NetworkError(
                f"{self.path}: the key {key!r} is missing",
                repair=f'Add it: "{key}": a whole number',
            )
        value = self.values[key]
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise NetworkError(
                f"{self.path}: {key} is {value!r}, not a whole number above 0",
                repair="Give its size",
            )
        return value

    def cap(self, key: str) -> float:
        """Return the value that scores are kept below; 0 for none."""
        value = self.values.get(key) or 0.0
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 <= value < math.inf:
            raise NetworkError(
                f"{self.path}: {key} is {value!r}, not a number", repair="Give a number"
            )
        return float(value)

    def refusal(self, message: str) -> NetworkError:
        """Return the error of a network that sizes do not describe."""
        return NetworkError(
            f"{self.path}: {message}", repair="Export the network to ONNX, and give that file"
        )


def _decoder(config: _Config, extra: Mapping[str, int]) -> Decoder:
    sizes = _sizes(config)
    if config.has("mlp_bias"):
        raise config.refusal("biases in the MLP (mlp_bias) are not known")
    biased = config.has("attention_bias")
    flags: dict[str, Any] = {
        **extra,
        **({"qkv_bias": True, "output_bias": True} if biased else {}),
        "tied": bool(config.values.get("tie_word_embeddings", extra.get("tied", False))),
        "cap": config.cap("attn_logit_softcapping"),
        "final_cap": config.cap("final_logit_softcapping"),
    }
    given: dict[str, Any] = {**sizes, **flags, **_window(config, extra), **_linear(config, extra)}
    rotary = _rotary(config, sizes["head_size"])
    if rotary:
        given["rotary"] = rotary
    try:
        return Decoder(**given)
    except SizesError as error:
        # A decoder's own sizes are keys of other names in the file that is to be mended.
        keys = {
            **{size: key for key, size in _SIZES.items()},
            **{size: key for key, size in _LINEAR.items()},
            "experts": next(filter(config.has, _MIXTURE[0]), _MIXTURE[0][0]),
            "active": next(filter(config.has, _MIXTURE[1]), _MIXTURE[1][0]),
        }
        repair = error.repair_in(keys)
        raise NetworkError(f"{config.path}: {error.message}", repair=repair) from None


def _sizes(config: _Config) -> dict[str, int]:
    """Return the sizes of all layers, and of a mixture's experts."""
    experts = next(filter(config.has, _MIXTURE[0]), None)
    optional = _OPTIONAL if experts is None else {*_OPTIONAL, "intermediate_size"}
    sizes = {
        size: config.size(key)
        for key, size in _SIZES.items()
        if key not in optional or config.values.get(key) is not None
    }
    sizes.setdefault("kv_heads", sizes["heads"])
    if "head_size" not in sizes:
        if sizes["hidden"] % max(sizes["heads"], 1):
            raise NetworkError(
                f"{config.path}: a hidden size of {sizes['hidden']} does not divide into "
                f"{plural(sizes['heads'], 'head')}",
                repair="Give the key 'head_dim'",
            )
        sizes["head_size"] = sizes["hidden"] // sizes["heads"]
    if experts is None:
        return sizes
    for key, plain in _ALIKE.items():
        if config.values.get(key, plain) not in (plain, None):
            raise config.refusal(
                f"layers that differ ({key} {config.values[key]!r}) are not known"
            )
    active = next((key for key in _MIXTURE[1] if key in config.values), _MIXTURE[1][0])
    own = "moe_intermediate_size" in config.values
    shared = "shared_expert_intermediate_size"
    return sizes | {
        "shared_mlp": config.size(shared) if config.has(shared) else 0,
        "mlp": 0,
        "experts": config.size(experts),
        "active": config.size(active),
        "expert_mlp": config.size("moe_intermediate_size" if own else "intermediate_size"),
    }


def _rotary(config: _Config, head_size: int) -> int:
    """Return how many dimensions of a head are turned by its position; 0 for all."""
    angles = as_object(config.values.get("rope_parameters"))
    share = config.values.get("partial_rotary_factor", angles.get("partial_rotary_factor"))
    if not isinstance(share, int | float) or isinstance(share, bool) or not 0 < share < 1:
        return 0
    return int(head_size * share)


def _linear(config: _Config, extra: Mapping[str, int]) -> dict[str, int]:
    """Return the sizes of linear attention, and which layers see everything; nothing without such layers."""
    if not config.has("linear_num_value_heads"):
        return {}
    if config.values.get("linear_key_head_dim") != config.values.get("linear_value_head_dim"):
        raise config.refusal("heads of keys and of values of different sizes are not known")
    if config.values.get("attn_output_gate") is False:
        raise config.refusal("attention without a gate behind it (attn_output_gate) is not known")
    every = int(extra.get("full_every", 0))
    if config.has("full_attention_interval"):
        every = config.size("full_attention_interval")
    every = _full_every(config, every)
    return {"full_every": every, **{size: config.size(key) for key, size in _LINEAR.items()}}


def _full_every(config: _Config, every: int) -> int:
    """Return of which period layers see everything: as their kinds say, else as given."""
    kinds = config.values.get("layer_types")
    if not isinstance(kinds, list):
        return every
    full = [place for place, kind in enumerate(kinds, 1) if kind == "full_attention"]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    every = full[0] if full else 0
    if full != (list(range(every, len(kinds) + 1, every)) if every else []):  # pyright: ignore[reportUnknownArgumentType]
        raise config.refusal("layer_types follow no period")
    return every


def _window(config: _Config, extra: Mapping[str, int]) -> dict[str, int]:
    """Return the window, and which layers see everything."""
    if not config.has("sliding_window") or config.values.get("use_sliding_window") is False:
        return {"window": 0, "full_every": 0}
    every = int(extra.get("full_every", 0))
    if config.has("sliding_window_pattern"):
        every = config.size("sliding_window_pattern")
    every = _full_every(config, every)
    if every == 1:
        return {"window": 0, "full_every": 0}
    return {"window": config.size("sliding_window"), "full_every": every}
