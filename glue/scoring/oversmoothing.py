"""How alike the tokens of a sequence are, layer by layer: what oversmoothing is measured by.

All measures look at the s real tokens X (s, D) of one sequence after one layer; n are the tokens scaled to length 1.
The figures of a data set are means over its sequences, so that long texts count no more than short ones. Sequences are
taken batch by batch and forgotten: memory does not grow with the data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

SPECTRUM = 64  # singular values that are kept of a spectrum
_SHORTEST = 1e-12  # tokens shorter than this have no direction


def token_similarity(tokens: Tensor) -> Tensor:
    """Mean cosine similarity of two different tokens: 1 when all point the same way.

        1 / (s (s - 1)) sum over i != j of n_i . n_j

    Source: the measure of oversmoothing of Guo et al. (ICLR 2023), section 2.

    Args:
        tokens: (b, s, D), b sequences of s >= 2 tokens.

    Returns:
        (b,), between -1 / (s - 1) and 1.

    Example:
        >>> token_similarity(torch.tensor([[[1.0, 0.0], [0.0, 2.0]], [[1.0, 1.0], [3.0, 3.0]]])).tolist()
        [0.0, 1.0]
    """
    similarities = _cosines(tokens)
    count = tokens.shape[1]
    off_diagonal = similarities.sum(dim=(1, 2)) - similarities.diagonal(dim1=1, dim2=2).sum(dim=1)
    return off_diagonal / (count * (count - 1))


def attention_similarity(attention: Tensor) -> Tensor:
    """Mean cosine similarity of the attention of two different tokens: 1 when all attend alike.

    `token_similarity` of the rows of each head's map, averaged over heads.

    Args:
        attention: (b, H, s, s), rows sum to 1; s >= 2.

    Returns:
        (b,), between 0 and 1.
    """
    count, heads = attention.shape[:2]
    return token_similarity(attention.flatten(0, 1)).view(count, heads).mean(dim=1)


def effective_rank(tokens: Tensor) -> Tensor:
    """Number of directions that the tokens use: from 1, all multiples of one vector, to min(s, D).

        exp(-sum p_k log p_k),   p_k = sigma_k / sum of sigma, the singular values of X

    Source: Roy and Vetterli, "The effective rank: a measure of effective dimensionality" (EUSIPCO 2007).

    Args:
        tokens: (b, s, D).

    Returns:
        (b,); 0 for tokens that are all zeros.
    """
    shares = spectrum(tokens)
    entropy = torch.special.entr(shares).sum(dim=1)
    return entropy.exp() * (shares.sum(dim=1) > 0)


def spectrum(tokens: Tensor) -> Tensor:
    """Singular values of X, the largest first, as shares of their sum: (b, s, D) -> (b, min(s, D))."""
    values = torch.linalg.svdvals(tokens)
    return values / values.sum(dim=1, keepdim=True).clamp_min(_SHORTEST)


def uniformity(tokens: Tensor) -> Tensor:
    """Logarithm of the mean Gaussian potential of two different tokens' directions: 0 when they coincide, less the more
    evenly they fill the sphere.

        log (1 / (s (s - 1)) sum over i != j of exp(-2 |n_i - n_j|^2))

    Source: Wang and Isola, "Understanding contrastive representation learning through alignment and uniformity on the
    hypersphere" (ICML 2020), with t = 2.

    Args:
        tokens: (b, s, D), s >= 2.

    Returns:
        (b,), between -8 and 0.
    """
    similarities = _cosines(tokens)
    squares = similarities.diagonal(dim1=1, dim2=2)
    distances = squares[:, :, None] + squares[:, None, :] - 2 * similarities
    potentials = (-2 * distances).exp()
    count = tokens.shape[1]
    off_diagonal = potentials.sum(dim=(1, 2)) - potentials.diagonal(dim1=1, dim2=2).sum(dim=1)
    return (off_diagonal / (count * (count - 1))).log()


def variance(tokens: Tensor) -> Tensor:
    """Variance of the tokens about their mean, averaged over the features: (b, s, D) -> (b,); 0 when all are equal."""
    return tokens.var(dim=1, correction=0).mean(dim=1)


def _cosines(tokens: Tensor) -> Tensor:
    """Cosine of every pair of tokens, (b, s, D) -> (b, s, s); that of a token of zeros is 0, even with itself."""
    lengths = tokens.norm(dim=-1, keepdim=True)
    directions = tokens / lengths.clamp_min(_SHORTEST)
    return directions @ directions.transpose(1, 2)


# What is computed of each layer's tokens, in the order of figures and files.
MEASURES: dict[str, Callable[[Tensor], Tensor]] = {
    "token_similarity": token_similarity,
    "effective_rank": effective_rank,
    "uniformity": uniformity,
    "variance": variance,
}
ATTENTION = "attention_similarity"


class OversmoothingMeter:
    """Adds up the measures of a stream of batches.

    Example:
        >>> meter = OversmoothingMeter()
        >>> meter.update([torch.ones(1, 3, 4), torch.eye(3, 4)[None]], lengths=[3])
        >>> [round(value, 6) for value in meter.result()["token_similarity"]]
        [1.0, 0.0]
    """

    def __init__(self) -> None:
        self.sequences = 0
        self.left_out = 0
        self._sums: dict[str, np.ndarray] = {}

    def update(
        self, hidden_states: Sequence[Tensor], lengths: Sequence[int], attentions: Sequence[Tensor] | None = None
    ) -> None:
        """Take a batch.

        Args:
            hidden_states: (B, S, D) for the embeddings and each of the L layers; real tokens come first in each row.
            lengths: real tokens of each row; rows with fewer than two are counted and left out.
            attentions: (B, H, S, S) for each of the L layers, or None.
        """
        by_length: dict[int, list[int]] = {}
        for row, length in enumerate(lengths):
            by_length.setdefault(int(length), []).append(row)
        for length, rows in by_length.items():
            if length < 2:
                self.left_out += len(rows)
                continue
            self.sequences += len(rows)
            states = [state[rows, :length].double() for state in hidden_states]
            for name, measure in MEASURES.items():
                self._add(name, [measure(state).sum() for state in states])
            self._add("spectrum", [_fixed_width(spectrum(state)).sum(dim=0) for state in states])
            if attentions is not None:
                maps = [attention[rows, :, :length, :length].double() for attention in attentions]
                self._add(ATTENTION, [attention_similarity(each).sum() for each in maps])

    def result(self) -> dict[str, Any]:
        """Return the means so far.

        Returns:
            "sequences" and "left_out" (how many were counted, and had fewer than two tokens); each of `MEASURES`, a
            list of L + 1 floats, the embeddings' first; "attention_similarity", L floats, if there were attentions; and
            "spectrum", L + 1 lists of `SPECTRUM` floats.
        """
        means = {name: (total / self.sequences).tolist() for name, total in self._sums.items()}
        return {"sequences": self.sequences, "left_out": self.left_out, **means}

    def _add(self, name: str, values: list[Tensor]) -> None:
        self._sums[name] = self._sums.get(name, 0.0) + torch.stack(values).cpu().numpy()


def real_lengths(batch: Any) -> list[int]:
    """How many real tokens each row of a batch has, by its attention mask."""
    lengths: list[int] = batch["attention_mask"].sum(dim=1).tolist()
    return lengths


def measure_oversmoothing(
    model: Any,
    batches: Any,
    lengths_of: Callable[[Any], Sequence[int]] = real_lengths,
    attentions: bool = True,
) -> dict[str, Any]:
    """Run a model over batches and measure.

    Args:
        model: a model of ours, without its wrappers; left in evaluation mode.
        batches: yields what the model is called with, as a dict; labels are ignored.
        lengths_of: returns the real tokens of each row of such a dict.
        attentions: measure these too, which takes the padded model.

    Returns:
        See `OversmoothingMeter.result`.
    """
    meter = OversmoothingMeter()
    model.eval()
    with torch.inference_mode():
        for batch in batches:
            inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
            output = model.base_model(**inputs, output_hidden_states=True, output_attentions=attentions)
            meter.update(output.hidden_states, lengths_of(batch), output.attentions)
    return meter.result()


def _fixed_width(spectra: Tensor) -> Tensor:
    """(b, k) -> (b, SPECTRUM), cut or filled with zeros."""
    kept = spectra[:, :SPECTRUM]
    return torch.nn.functional.pad(kept, (0, SPECTRUM - kept.shape[1]))
