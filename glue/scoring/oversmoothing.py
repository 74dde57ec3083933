"""How alike the tokens of a sequence are, layer by layer: what oversmoothing is measured by.

All measures look at the s real tokens X (s, D) of one sequence after one layer, or at its attention maps (s, s); n are
the tokens scaled to length 1. What each of them shows, and what it does not, is in docs/MEASURES.md.

The figures of a data set are means over its sequences, so that long texts count no more than short ones. Sequences are
taken batch by batch and forgotten: memory does not grow with the data.
"""

from __future__ import annotations

from bisect import bisect
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

SPECTRUM = 64  # singular values that are kept of a spectrum
_SHORTEST = 1e-12  # tokens shorter than this have no direction
_EQUAL = 1e-12  # what differs by less, relative to its size, is equal


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


def mean_average_distance(tokens: Tensor) -> Tensor:
    """Mean cosine distance of a token to those that point another way: 0 when all point the same way.

    With d_ij = 1 - n_i . n_j, the mean of each token's d_ij above 0, and of these means those above 0 again. Where no
    two tokens point the same way it is 1 - `token_similarity`.

    Source: Chen et al., "Measuring and Relieving the Over-smoothing Problem for Graph Neural Networks from the
    Topological View" (AAAI 2020), with all pairs of tokens as their mask.

    Args:
        tokens: (b, s, D), s >= 2.

    Returns:
        (b,), between 0 and 2.

    Example:
        >>> mean_average_distance(torch.tensor([[[1.0, 0.0], [0.0, 2.0], [0.0, 3.0]]])).tolist()
        [1.0]
    """
    distances = 1 - _cosines(tokens)
    distances.diagonal(dim1=1, dim2=2).zero_()
    distances = distances * (distances > _EQUAL)
    of_tokens = distances.sum(dim=2) / (distances > 0).sum(dim=2).clamp_min(1)
    return of_tokens.sum(dim=1) / (of_tokens > 0).sum(dim=1).clamp_min(1)


def dirichlet_energy(tokens: Tensor) -> Tensor:
    """Squared distances of all pairs of tokens: 0 when all are equal.

        1 / s sum over i, j of |x_i - x_j|^2

    which is 2 s D times `variance`: of one model it says no more than that, and it grows with the length of a text.

    Source: Rusch et al., "A Survey on Oversmoothing in Graph Neural Networks" (arXiv 2303.10993), with the tokens as
    nodes of a graph in which each is a neighbour of each.

    Args:
        tokens: (b, s, D).

    Returns:
        (b,), 0 or more.

    Example:
        >>> dirichlet_energy(torch.tensor([[[0.0, 0.0], [3.0, 4.0]]])).tolist()
        [25.0]
    """
    return 2 * (tokens - tokens.mean(dim=1, keepdim=True)).square().sum(dim=(1, 2))


def high_frequency(tokens: Tensor) -> Tensor:
    """Size of what differs between tokens over the size of what they share: 0 when all are equal.

        |X - 1 m| / |1 m|,   m the mean of the tokens, Frobenius norms

    Source: the ratio of high- to low-frequency components, as Wang et al. define them, "Anti-Oversmoothing in Deep
    Vision Transformers via the Fourier Domain Analysis" (ICLR 2022).

    Args:
        tokens: (b, s, D).

    Returns:
        (b,), 0 or more.

    Example:
        >>> high_frequency(torch.tensor([[[1.0, 3.0], [1.0, -3.0]]])).tolist()
        [3.0]
    """
    mean = tokens.mean(dim=1, keepdim=True)
    low = mean.expand_as(tokens).flatten(1).norm(dim=1)
    return (tokens - mean).flatten(1).norm(dim=1) / low.clamp_min(_SHORTEST)


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


def effective_rank(values: Tensor) -> Tensor:
    """Number of directions that a matrix uses: from 1, all rows multiples of one vector, to as many as it has.

        exp(-sum p_k log p_k),   p_k = sigma_k / sum of sigma, the singular values

    Source: Roy and Vetterli, "The effective rank: a measure of effective dimensionality" (EUSIPCO 2007).

    Args:
        values: (..., k), singular values.

    Returns:
        (...); 0 of a matrix of zeros.

    Example:
        >>> effective_rank(torch.tensor([[3.0, 3.0, 0.0], [5.0, 0.0, 0.0]])).round(decimals=4).tolist()
        [2.0, 1.0]
    """
    shares = shares_of(values)
    return torch.special.entr(shares).sum(dim=-1).exp() * (shares.sum(dim=-1) > 0)


def spectrum_skewness(values: Tensor) -> Tensor:
    """Skewness of the singular values: the larger, the fewer of them stand out above all others.

        mean((sigma - mean)^3) / mean((sigma - mean)^2)^(3/2)

    Source: Yan et al., "Addressing Token Uniformity in Transformers via Singular Value Transformation" (UAI 2022), who
    look at it; that their formula is this one, Fisher's, could not be checked against the paper.

    Args:
        values: (..., k), singular values.

    Returns:
        (...); 0 where all values are equal.

    Example:
        >>> spectrum_skewness(torch.tensor([2.0, 1.0, 0.0])).item()
        0.0
    """
    centred = values - values.mean(dim=-1, keepdim=True)
    second, third = centred.square().mean(dim=-1), centred.pow(3).mean(dim=-1)
    flat = second <= (_EQUAL * values.amax(dim=-1)).square()
    return (third / second.masked_fill(flat, 1.0).pow(1.5)).masked_fill(flat, 0.0)


def shares_of(values: Tensor) -> Tensor:
    """Singular values, the largest first, as shares of their sum: (..., k) -> (..., k)."""
    return values / values.sum(dim=-1, keepdim=True).clamp_min(_SHORTEST)


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


def singular_value_gap(values: Tensor) -> Tensor:
    """Largest singular value less the second one: that of an attention map is 1 when all tokens attend to all evenly.

    Source: the spectral gap of Naderi et al., "Mind the Gap: a Spectral Analysis of Rank Collapse and Signal
    Propagation in Attention Layers" (arXiv 2410.07799).

    Args:
        values: (..., k), singular values, the largest first; k >= 2.

    Returns:
        (...), 0 or more.
    """
    return values[..., 0] - values[..., 1]


def mass_on(attention: Tensor, marked: Tensor) -> Tensor:
    """Share of attention that marked tokens get, averaged over heads and over the tokens that attend.

    Source: the attention sinks of Clark et al., "What Does BERT Look At?" (BlackboxNLP 2019).

    Args:
        attention: (b, H, s, s), rows sum to 1.
        marked: bool tensor (b, s).

    Returns:
        (b,), between 0 and 1.
    """
    return (attention * marked[:, None, None, :]).sum(dim=-1).mean(dim=(1, 2))


def _cosines(tokens: Tensor) -> Tensor:
    """Cosine of every pair of tokens, (b, s, D) -> (b, s, s); that of a token of zeros is 0, even with itself."""
    lengths = tokens.norm(dim=-1, keepdim=True)
    directions = tokens / lengths.clamp_min(_SHORTEST)
    return directions @ directions.transpose(1, 2)


def _mean_of_pairs(values: Tensor) -> Tensor:
    """Mean over the pairs of two different tokens, (b, s, s) -> (b,)."""
    count = values.shape[1]
    return (values.sum(dim=(1, 2)) - values.diagonal(dim1=1, dim2=2).sum(dim=1)) / (count * (count - 1))


# What is computed of each layer's tokens (b, s, D), and of their singular values.
OF_TOKENS: dict[str, Callable[[Tensor], Tensor]] = {
    "token_similarity": token_similarity,
    "mean_average_distance": mean_average_distance,
    "uniformity": uniformity,
    "variance": variance,
    "dirichlet_energy": dirichlet_energy,
    "high_frequency": high_frequency,
}
OF_SPECTRUM: dict[str, Callable[[Tensor], Tensor]] = {
    "effective_rank": effective_rank,
    "spectrum_skewness": spectrum_skewness,
}
# What is computed of the singular values of each head's attention map, as a mean over heads. All names of what is
# measured of attention begin with `ATTENTION`: there is no such value of the embeddings.
ATTENTION = "attention"
OF_ATTENTION: dict[str, Callable[[Tensor], Tensor]] = {
    "attention_rank": effective_rank,
    "attention_gap": singular_value_gap,
}
LENGTHS = (2, 16, 32, 64, 128)  # tokens of the shortest texts of each class of lengths


def measure_oversmoothing(
    model: Any, batches: Iterable[Any], attentions: bool = True, sinks: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Run a model over batches and measure, by what it returns: of any backbone, padded on either side.

    Args:
        model: a model of ours, without its wrappers; left in evaluation mode.
        batches: yields what the model is called with, as a dict with "attention_mask"; labels are ignored.
        attentions: measure these too, which takes the padded model.
        sinks: token ids by name; how much attention each of these tokens gets is measured too, see `sinks_of`.

    Returns:
        "sequences" and "left_out" (how many were counted, and had fewer than two tokens); each of `OF_TOKENS` and
        `OF_SPECTRUM`, a list of L + 1 floats, the embeddings' first; if `attentions`, "attention_similarity", each of
        `OF_ATTENTION`, and "attention_on_NAME" of each sink, L floats; "spectrum", L + 1 lists of `SPECTRUM` floats;
        and "by_length", a dict from "2-15" and so on to the same of these texts alone, without the spectrum.
    """
    classes: dict[int, dict[str, Any]] = {}
    left_out = 0
    model.eval()
    with torch.inference_mode():
        for batch in batches:
            inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
            output = model.base_model(**inputs, output_hidden_states=True, output_attentions=attentions)
            for rows, places in _by_length(batch["attention_mask"].to(output.hidden_states[0].device)):
                length = places.shape[1]
                if length < LENGTHS[0]:
                    left_out += len(rows)
                    continue
                marked = {name: inputs["input_ids"][rows[:, None], places] == id for name, id in (sinks or {}).items()}
                found = _sums_of_layers(rows, places, output.hidden_states, output.attentions or (), marked)
                sums = classes.setdefault(bisect(LENGTHS, length) - 1, {"sequences": 0})
                sums["sequences"] += len(rows)
                for name, total in found.items():
                    sums[name] = total + sums.get(name, 0.0)
    by_length = {
        _title(number): {name: value for name, value in _means([sums]).items() if name != "spectrum"}
        for number, sums in sorted(classes.items())
    }
    return {**_means(list(classes.values())), "left_out": left_out, "by_length": by_length}


def sinks_of(tokenizer: Any) -> dict[str, int]:
    """Return the ids of the tokens that frame every text, which attention may be parked on: `[CLS]` and `[SEP]`."""
    ids = {"cls": tokenizer.cls_token_id, "sep": tokenizer.sep_token_id}
    return {name: id for name, id in ids.items() if id is not None}


def _title(number: int) -> str:
    """What a class of lengths is called: from its shortest text to its longest."""
    return f"{LENGTHS[number]}-{LENGTHS[number + 1] - 1 if number + 1 < len(LENGTHS) else ''}"


def _means(sums: list[dict[str, Any]]) -> dict[str, Any]:
    """The means over all sequences of several sums of measures."""
    count = sum(each["sequences"] for each in sums)
    names = [name for name in (sums[0] if sums else ()) if name != "sequences"]
    return {"sequences": count, **{name: (sum(each[name] for each in sums) / count).tolist() for name in names}}


def _by_length(mask: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the rows of a batch that are equally long: their numbers (b,), and where their tokens stand (b, s)."""
    lengths = mask.sum(dim=1)
    for length in lengths.unique().tolist():
        rows = (lengths == length).nonzero().squeeze(1)
        yield rows, mask[rows].nonzero()[:, 1].view(len(rows), length)


def _sums_of_layers(
    rows: Tensor,
    places: Tensor,
    hidden_states: Sequence[Tensor],
    attentions: Sequence[Tensor],
    marked: Mapping[str, Tensor],
) -> dict[str, np.ndarray]:
    """Sum every measure over equally long sequences: an entry a layer, or a row of them for the spectrum."""
    found: dict[str, list[Tensor]] = defaultdict(list)
    for state in hidden_states:
        tokens = state[rows[:, None], places].double()
        values = torch.linalg.svdvals(tokens)
        for name, of_tokens in OF_TOKENS.items():
            found[name].append(of_tokens(tokens))
        for name, of_values in OF_SPECTRUM.items():
            found[name].append(of_values(values))
        found["spectrum"].append(_fixed_width(shares_of(values)))
    for attention in attentions:  # picked as (b, s, s, H): the heads stand behind what is picked
        maps = attention[rows[:, None, None], :, places[:, :, None], places[:, None, :]].permute(0, 3, 1, 2).double()
        values = torch.linalg.svdvals(maps)
        found["attention_similarity"].append(attention_similarity(maps))
        for name, of_values in OF_ATTENTION.items():
            found[name].append(of_values(values).mean(dim=1))
        for name, places_of in marked.items():
            found[f"attention_on_{name}"].append(mass_on(maps, places_of))
    return {name: torch.stack([each.sum(dim=0) for each in values]).cpu().numpy() for name, values in found.items()}


def _fixed_width(spectra: Tensor) -> Tensor:
    """(b, k) -> (b, SPECTRUM), cut or filled with zeros."""
    return torch.nn.functional.pad(spectra, (0, SPECTRUM - spectra.shape[1]))
