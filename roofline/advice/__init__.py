"""The reverse question: which machines run networks as fast as is asked, within what they may take."""

from roofline.advice.candidate import Candidate, Hurdle, Part
from roofline.advice.decoders import advise_decoder
from roofline.advice.needs import Need, curve
from roofline.advice.search import Advice, advise
from roofline.advice.verdict import probability_faster, survivors, verdict
from roofline.advice.wish import Limit, Wish

__all__ = [
    "Advice",
    "Candidate",
    "Hurdle",
    "Limit",
    "Need",
    "Part",
    "Wish",
    "advise",
    "advise_decoder",
    "curve",
    "probability_faster",
    "survivors",
    "verdict",
]
