"""Encoders of text by their shapes, runs whose counts are another network's, and rates of networks known by name."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

from roofline import load, platform
from roofline.errors import TableError
from roofline.validate.evidence.corrections import is_miscounted
from roofline.validate.evidence.encoders import ENCODERS
from roofline.validate.evidence.figures import read_effects
from roofline.validate.evidence.named_layers import counts_of_named, layers_of, named_encoder
from roofline.validate.evidence.readers import read_evidence
from roofline.validate.evidence.reported import NAMED_RUNS


def test_an_encoder_has_the_counts_of_its_graph() -> None:
    graph, counts = load("bert_base"), counts_of_named(named_encoder("bert_base", 128))
    # The graph has a layer more behind the encoder, of 768 x 768.
    assert counts.macs == pytest.approx(graph.macs, rel=1e-3)
    assert counts.parameters == pytest.approx(graph.parameters, rel=0.01)
    assert counts.marks == {"depthwise": 0.0, "grouped": 0.0, "attention": 1.0}


@pytest.mark.parametrize(
    ("name", "millions"),
    [("bert_large", 335), ("distilbert", 66), ("minilm_l6_h384", 22.7), ("roberta_base", 125),
     ("roberta_large", 355), ("xlm_roberta_base", 278), ("camembert_base", 110)],
)  # fmt: skip
def test_encoders_have_their_published_parameters(name: str, millions: float) -> None:
    assert named_encoder(name, 128).parameters == pytest.approx(1e6 * millions, rel=0.02)


def test_work_grows_with_the_tokens_by_the_products_and_with_their_square_by_attention() -> None:
    layers, width, _ = ENCODERS["bert_base"]

    def macs(tokens: int) -> float:
        return 12 * layers * width**2 * tokens + 2 * layers * width * tokens**2

    for tokens in (16, 384):
        assert named_encoder("bert_base", tokens).macs == pytest.approx(macs(tokens))


def test_a_table_names_an_encoder_at_its_tokens() -> None:
    found = layers_of("bert-99", 55e9, 335e6, math.nan)
    assert found is not None
    assert found[1] == named_encoder("bert_large", 177).activations
    # Another number of tokens under the name is another network.
    assert layers_of("bert-99", 123e9, 335e6, math.nan) is None


def test_runs_with_the_counts_of_another_network_are_known() -> None:
    assert is_miscounted({"source": "openvino", "network": "bert-base-cased124"})
    assert not is_miscounted({"source": "mine", "network": "bert-base-cased124"})


def test_rates_of_networks_known_by_name_are_evidence(tmp_path: Path) -> None:
    with NAMED_RUNS.open(newline="") as file:
        rows = list(csv.DictReader(file))
    kept = [row for row in rows if row["machine"] == "t4"][:20]
    path = tmp_path / "runs.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(kept[0]))
        writer.writeheader()
        writer.writerows(kept)
    evidence = read_evidence(path)
    assert len(evidence) == len(kept)
    assert evidence.facts.layered.all()
    assert set(read_effects(path, [platform("t4")])) == {"t4"}


def test_tokens_are_a_whole_number(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text("machine,network,input_size,datatype,fps\nt4,distilbert,128x128,fp16,100\n")
    with pytest.raises(TableError, match="input_size is '128x128'"):
        read_evidence(path)
