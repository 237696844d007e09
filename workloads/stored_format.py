"""The format of a checkpoint's weights and cache, as ``quantization_config`` in its ``config.json`` says."""

from __future__ import annotations

from collections.abc import Mapping

from roofline.precision import precision
from roofline.reading import JsonObject, as_object

_GROUP = 128
"""Weights that share a scale in the formats ``w4a16`` and ``w3a16``."""
_PLAIN: Mapping[str, str] = {"fp8": "fp8", "fbgemm_fp8": "fp8", "mxfp4": "mxfp4"}
"""Methods that have one format."""
_MODELOPT: Mapping[str, str] = {"FP8": "fp8", "NVFP4": "nvfp4"}
_COMPRESSED: Mapping[tuple[object, ...], str] = {
    ("int", 4, _GROUP, None, None): "w4a16",
    ("int", 8, None, "int", 8): "int8",
    ("int", 8, None, None, None): "w8a16",
    ("float", 8, None, "float", 8): "fp8",
    ("float", 4, 16, "float", 4): "nvfp4",
}
"""Of compressed-tensors: kind, bits and group of weights, kind and bits of activations."""
_CACHE: Mapping[str, int] = {"FP8": 8, "INT8": 8, "NVFP4": 4}
"""Bits of a stored key or value by ``kv_cache_quant_algo`` of modelopt."""


def stored_format(config: object) -> str | None:
    """Return the name of the format, as `roofline.precision` knows it; empty without one, None for one that it lacks.

    Args:
        config: The value of ``quantization_config``.
    """
    if config is None:
        return ""
    weights, bits = _weights_format(config), _cache_bits(as_object(config))
    if not weights or bits == 0:
        return weights
    if bits is None:
        return None
    return weights if precision(weights).cache_bits == bits else f"{weights}kv{bits}"


def _weights_format(config: object) -> str | None:
    values, method = as_object(config), quantization_method(config)
    if method in {"awq", "gptq"}:
        bits = values.get("bits", values.get("w_bit"))
        group = values.get("group_size", values.get("q_group_size"))
        formats = {4: "w4a16", 3: "w3a16"}
        return formats.get(bits) if isinstance(bits, int) and group == _GROUP else None
    if method == "modelopt":
        return _MODELOPT.get(str(values.get("quant_algo", "")))
    if method == "compressed-tensors":
        return _compressed(values.get("config_groups"))
    return _PLAIN.get(method)


def quantization_method(config: object) -> str:
    """Return the name of the method that a ``quantization_config`` states; empty for none."""
    return str(as_object(config).get("quant_method", "")).casefold()


def _cache_bits(config: JsonObject) -> int | None:
    """Return in how many bits keys and values are stored; 0 where nothing is said of them, None for bits unknown."""
    algorithm, scheme = config.get("kv_cache_quant_algo"), config.get("kv_cache_scheme")
    if algorithm is None and scheme is None:
        return 0
    bits = as_object(scheme).get("num_bits") if algorithm is None else _CACHE.get(str(algorithm))
    return bits if isinstance(bits, int) and bits in _CACHE.values() else None


def _compressed(groups: object) -> str | None:
    """Return the format of the only group of matrices; None where there are several, or another."""
    entries = list(as_object(groups).values())
    if len(entries) != 1:
        return None
    group = as_object(entries[0])
    weights, activations = (
        as_object(group.get("weights")),
        as_object(group.get("input_activations")),
    )
    key = (
        weights.get("type"), weights.get("num_bits"), weights.get("group_size"), activations.get("type"),
        activations.get("num_bits"),
    )  # fmt: skip
    return next((name for known, name in _COMPRESSED.items() if known == key), None)
