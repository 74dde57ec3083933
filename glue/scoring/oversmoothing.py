"""How alike the tokens of a sequence are, layer by layer: what oversmoothing is measured by.

All measures look at the s real tokens X (s, D) of one sequence after one layer; n are the tokens scaled to length 1.
The figures of a data set are means over its sequences, so that long texts count no more than short ones. Sequences are
taken batch by batch and forgotten: memory does not grow with the data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
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
    return _mean_of_pairs(_cosines(tokens))


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
    return _mean_of_pairs((-2 * distances).exp()).log()


def variance(tokens: Tensor) -> Tensor:
    """Variance of the tokens about their mean, averaged over the features: (b, s, D) -> (b,); 0 when all are equal."""
    return tokens.var(dim=1, correction=0).mean(dim=1)


def _cosines(tokens: Tensor) -> Tensor:
    """Cosine of every pair of tokens, (b, s, D) -> (b, s, s); that of a token of zeros is 0, even with itself."""
    lengths = tokens.norm(dim=-1, keepdim=True)
    directions = tokens / lengths.clamp_min(_SHORTEST)
    return directions @ directions.transpose(1, 2)


def _mean_of_pairs(values: Tensor) -> Tensor:
    """Mean over the pairs of two different tokens, (b, s, s) -> (b,)."""
    count = values.shape[1]
    return (values.sum(dim=(1, 2)) - values.diagonal(dim1=1, dim2=2).sum(dim=1)) / (count * (count - 1))


# What is computed of each layer's tokens, in the order of figures and files.
MEASURES: dict[str, Callable[[Tensor], Tensor]] = {
    "token_similarity": token_similarity,
    "effective_rank": effective_rank,
    "uniformity": uniformity,
    "variance": variance,
}
ATTENTION = "attention_similarity"


def measure_oversmoothing(model: Any, batches: Iterable[Any], attentions: bool = True) -> dict[str, Any]:
    """Run a model over batches and measure, by what it returns: of any backbone, padded on either side.

    Args:
        model: a model of ours, without its wrappers; left in evaluation mode.
        batches: yields what the model is called with, as a dict with "attention_mask"; labels are ignored.
        attentions: measure these too, which takes the padded model.

    Returns:
        "sequences" and "left_out" (how many were counted, and had fewer than two tokens); each of `MEASURES`, a list of
        L + 1 floats, the embeddings' first; "attention_similarity", L floats, if `attentions`; and "spectrum", L + 1
        lists of `SPECTRUM` floats.
    """
    sums: dict[str, np.ndarray] = {}
    counts = {"sequences": 0, "left_out": 0}
    model.eval()
    with torch.inference_mode():
        for batch in batches:
            inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
            output = model.base_model(**inputs, output_hidden_states=True, output_attentions=attentions)
            for rows, places in _by_length(batch["attention_mask"].to(output.hidden_states[0].device)):
                counts["sequences" if places.shape[1] > 1 else "left_out"] += len(rows)
                if places.shape[1] > 1:
                    found = _sums_of_layers(rows, places, output.hidden_states, output.attentions or ())
                    sums = {name: total + sums.get(name, 0.0) for name, total in found.items()}
    return {**counts, **{name: (total / counts["sequences"]).tolist() for name, total in sums.items()}}


def _by_length(mask: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the rows of a batch that are equally long: their numbers (b,), and where their tokens stand (b, s)."""
    lengths = mask.sum(dim=1)
    for length in lengths.unique().tolist():
        rows = (lengths == length).nonzero().squeeze(1)
        yield rows, mask[rows].nonzero()[:, 1].view(len(rows), length)


def _sums_of_layers(
    rows: Tensor, places: Tensor, hidden_states: Sequence[Tensor], attentions: Sequence[Tensor]
) -> dict[str, np.ndarray]:
    """Sum every measure over equally long sequences: an entry a layer, or a row of them for the spectrum."""
    layers = [state[rows[:, None], places].double() for state in hidden_states]
    found = {name: [measure(tokens) for tokens in layers] for name, measure in MEASURES.items()}
    found["spectrum"] = [_fixed_width(spectrum(tokens)) for tokens in layers]
    if attentions:  # (b, s, s, H), as the heads stand behind what is picked
        maps = [attention[rows[:, None, None], :, places[:, :, None], places[:, None, :]] for attention in attentions]
        found[ATTENTION] = [attention_similarity(each.permute(0, 3, 1, 2).double()) for each in maps]
    return {name: torch.stack([each.sum(dim=0) for each in values]).cpu().numpy() for name, values in found.items()}


def _fixed_width(spectra: Tensor) -> Tensor:
    """(b, k) -> (b, SPECTRUM), cut or filled with zeros."""
    return torch.nn.functional.pad(spectra, (0, SPECTRUM - spectra.shape[1]))
