"""The robust, shrunken least squares of a fit: Gauss-Newton steps that eliminate the machines first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from roofline.model._core import Floats
from roofline.model._forward import PARTS, forward, huber_weight
from roofline.validate.evidence.evidence import Names, Rows
from roofline.validate.evidence.priors import Options, Prior


@dataclass(frozen=True, slots=True)
class State:
    """Where the descent stands."""

    coefficients: Floats
    machines: Floats
    """(a, w, k, t) of each machine."""
    cost: float
    residual: Floats
    shares: Floats


@dataclass(frozen=True, slots=True)
class Problem:
    """The robust, shrunken least squares of one fit; runs are sorted by machine."""

    matrix: Floats
    part: Rows
    """The part each column of the matrix belongs to."""
    terms: tuple[Floats, Floats, Floats]
    log_time: Floats
    machine: Rows
    """The machine of each run."""
    starts: Rows
    """The first run of each machine."""
    weight: Floats
    prior: Prior
    options: Options
    blocks: tuple[tuple[slice, Rows], ...]
    """The runs of each class, and the columns that are not zero in them."""

    @property
    def tight(self) -> Floats:
        """How tightly each coefficient is held: the inverse of its prior variance."""
        return 1 / self.prior.deviation**2

    @property
    def loose(self) -> float:
        """The same of what a machine adds."""
        return self.options.machine**-2

    def at(self, coefficients: Floats, machines: Floats) -> State:
        """Return the cost of coefficients and deviations, and its first derivatives."""
        logarithms = np.stack(
            [
                self.matrix[:, self.part == p] @ coefficients[self.part == p]
                for p in range(len(PARTS))
            ],
            1,
        )
        found, shares = forward(
            logarithms + machines[self.machine], self.terms, self.options.power
        )
        residual, limit = self.log_time - found, self.options.limit
        size = np.abs(residual)
        loss = np.where(size < limit, size**2 / 2, limit * (size - limit / 2))
        held = ((coefficients - self.prior.mean) ** 2 * self.tight).sum()
        held += (machines**2).sum() * self.loose
        cost = float((self.weight * loss).sum() + held / 2)
        return State(coefficients, machines, cost, residual, shares)

    def descend(self, state: State, steps: int) -> tuple[State, Floats]:
        """Take Gauss-Newton steps; return where they end and the curvature of each machine's block."""
        damping, blocks = 1e-3, np.zeros((len(self.starts), 4, 4))
        for _ in range(steps):
            blocks, solve = self._linear(state)
            for _ in range(5):
                new = self.at(*solve(damping))
                if new.cost < state.cost:
                    break
                damping = max(damping * 10, 1e-4)
            else:
                break
            gain, state = state.cost - new.cost, new
            damping /= 5
            if gain < 3e-4 * state.cost:
                break
        return state, blocks

    def uncertainty(self, state: State) -> Floats:
        """Return the covariance of the coefficients where the descent ended, whatever the machines deviate by."""
        hessian, _, cross, blocks, _ = self._curvature(state)
        through = np.einsum("mnq,mqr->mnr", cross, np.linalg.inv(blocks))
        reduced = hessian + np.diag(self.tight) - np.tensordot(through, cross, ([0, 2], [0, 2]))
        return np.asarray(np.linalg.inv(reduced), np.float64)

    def _curvature(self, state: State) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """Return the curvature and the pull of the coefficients, the cross terms, and both of the machines' blocks."""
        weight = self.weight * huber_weight(state.residual, self.options.limit)
        n = self.matrix.shape[1]
        hessian, gradient = np.zeros((n, n)), -self.tight * (state.coefficients - self.prior.mean)
        cross = np.zeros((len(self.starts), n, len(PARTS)))
        for rows, columns in self.blocks:
            shares = state.shares[rows]
            full = self.matrix[rows, columns] * shares[:, self.part[columns]]
            weighted = full * weight[rows, None]
            hessian[np.ix_(columns, columns)] += full.T @ weighted
            gradient[columns] += weighted.T @ state.residual[rows]
            inside = np.flatnonzero((self.starts >= rows.start) & (self.starts < rows.stop))
            starts = self.starts[inside] - rows.start
            cross[np.ix_(inside, columns)] = _sum_products(weighted, shares, starts)
        blocks = _sum_products(state.shares * weight[:, None], state.shares, self.starts)
        blocks = blocks + np.eye(4) * self.loose
        pull = np.add.reduceat(state.shares * (weight * state.residual)[:, None], self.starts, 0)
        return hessian, gradient, cross, blocks, pull - self.loose * state.machines

    def _linear(self, state: State) -> tuple[Floats, Callable[[float], tuple[Floats, Floats]]]:
        """Return the machines' blocks, and what takes a damping to the next coefficients and deviations."""
        hessian, gradient, cross, blocks, pull = self._curvature(state)

        def solve(damping: float) -> tuple[Floats, Floats]:
            # Machines are eliminated first: each has four unknowns that touch no other machine's.
            inverse = np.linalg.inv(blocks + damping * blocks * np.eye(4))
            through = np.einsum("mnq,mqr->mnr", cross, inverse)
            diagonal = self.tight + damping * (hessian.diagonal() + self.tight)
            reduced = hessian + np.diag(diagonal) - np.tensordot(through, cross, ([0, 2], [0, 2]))
            step = np.asarray(
                np.linalg.solve(reduced, gradient - np.einsum("mnq,mq->n", through, pull)),
                np.float64,
            )
            each = np.einsum("mqr,mr->mq", inverse, pull - np.einsum("mnq,n->mq", cross, step))
            short = min(1.0, 2 / max(float(np.abs(step).max()), 1e-9))
            return state.coefficients + short * step, state.machines + short * each

        return blocks, solve


def _sum_products(left: Floats, right: Floats, starts: Rows) -> Floats:
    """Return the products of columns summed over each machine's runs; (machines, left, right)."""
    return np.stack(
        [np.add.reduceat(left * right[:, [q]], starts, 0) for q in range(right.shape[1])], 2
    )


def class_blocks(machine_class: Names, matrix: Floats) -> tuple[tuple[slice, Rows], ...]:
    """Return the slice of each class in sorted runs, and the columns of the matrix that are not zero there."""
    _, first = np.unique(machine_class.astype(str), return_index=True)
    edges = [*sorted(first.tolist()), len(matrix)]
    found = [slice(start, stop) for start, stop in pairwise(edges)]
    return tuple((rows, np.flatnonzero(matrix[rows].any(0))) for rows in found)
