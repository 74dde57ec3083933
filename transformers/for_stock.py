"""Checkpoints that carry their layer: one Python file beside the weights, for the stock library.

Its config.json names a kind of model of its own, such as contranorm_bert, and the file that has its classes: the stock
library's, with ContraNorm put in by the hooks of `contranorm/`. The file is put together from the sources of that
package whenever a model is saved, so that there is one definition of the layer. Without `trust_remote_code=True` the
stock library refuses such a checkpoint; this library loads it like any other, and never executes the file.
"""

from __future__ import annotations

import ast
import inspect
import json
from pathlib import Path
from typing import Any

import contranorm
from contranorm import hooks

from .backbones import FOR_STOCK, Backbone, backbone_of
from .configuration_utils import CONFIG_NAME, PretrainedConfig
from .methods import METHODS, find_method
from .utils.errors import ConfigurationError
from .utils.files import write_whole

_CONSTANTS = ("_LAYERS", "_ATTENTION", "_ATTACHED")
_COPIED = (
    *(contranorm.ContraNorm, contranorm.ContraNormV2, contranorm.directions, contranorm.at_least_single),
    *(hooks.Attached, hooks._is_padding_mask, hooks.attach_layer, hooks.base_model, hooks.model_type_of),
    hooks._sites_of,
)

_FILE = '''\
"""{prefix} with ContraNorm (Guo et al., ICLR 2023, arXiv 2303.06562), on top of the transformers library, 5.5 or newer.

Made when the model was saved, from the sources of the layer; their documentation is there. Load it as it is meant:

    AutoModelForSequenceClassification.from_pretrained(NAME, revision=COMMIT, trust_remote_code=True)
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Sequence
from functools import partial
from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn
from transformers import {imports}

SITES = {{
    "{kind}": {{
{sites}
    }}
}}
{constants}


class ContraNorm{prefix}Config({prefix}Config):
    """{prefix}'s settings, and those of the layer: where, how strongly, and whether padding counts."""

    model_type = "{kind}"

    pos: str | int = "7"
    scale: float | int = 0.0
    tau: float | int = 1.0
    use_v2: bool = False
    contranorm_identity: bool | None = None
    contranorm_padding: str = "exclude"


def put_in(model: nn.Module) -> None:
    """Put the layer into a model, as its configuration has it."""
    config = model.config
    if config.scale != 0 and str(config.pos).strip().lower() not in ("0", "none"):
        identity = {identity} if config.contranorm_identity is None else config.contranorm_identity
        layer = (ContraNormV2 if config.use_v2 else ContraNorm)(config.scale, config.tau, identity)
        counts = {{"exclude": False, "include": True}}[config.contranorm_padding]
        attach_layer(model, layer, config.pos, count_padding=counts)
'''
_MODEL = '''\
class ContraNorm{name}({name}):
    """{name} with the layer at its sites."""

    config_class = ContraNorm{prefix}Config

    def __init__(self, config: ContraNorm{prefix}Config, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        put_in(self)
'''


def needs_file(config: PretrainedConfig) -> bool:
    """Return whether a model needs a file to be what it is in the stock library; the plain model needs none.

    Raises:
        ConfigurationError: it has a method of which there is no such file.
    """
    if not config.contranorm_sites:
        return False
    found = find_method(config.method)
    is_known = found is METHODS.get(found.name) and found.name in contranorm.METHODS
    if not is_known or not isinstance(config.scale, (int, float)) or not str(config.pos).isdecimal():
        raise ConfigurationError(
            f"for_stock (--save_for_stock): a checkpoint cannot carry {found.name} with pos {config.pos} and scale "
            f"{config.scale}, only contranorm and contranorm_v2 that are the same in every layer"
        )
    return True


def write_for_stock(config: PretrainedConfig, folder: Path) -> None:
    """Write config.json, and the file that carries the layer.

    Args:
        config: that of the model, its architecture and type included.
        folder: where to.

    Raises:
        CheckpointError: a file cannot be written.
    """
    backbone = backbone_of(config.model_type)
    identity = config.contranorm_identity
    values = config.to_diff_dict() | {
        "model_type": FOR_STOCK + backbone.folder,
        "architectures": [f"ContraNorm{name}" for name in config.architectures or ()],
        "auto_map": _auto_map(backbone),
        "contranorm_identity": backbone.contranorm_identity if identity is None else identity,
        "contranorm_note": f"{file_name(config.model_type)} has the layer: load with trust_remote_code=True",
    }
    del values["method"]  # `use_v2` says it
    source, text = stock_source(backbone), json.dumps(values, indent=2, sort_keys=True) + "\n"
    write_whole(folder / file_name(config.model_type), lambda path: path.write_text(source, encoding="utf-8"))
    write_whole(folder / CONFIG_NAME, lambda path: path.write_text(text, encoding="utf-8"))


def file_name(model_type: str) -> str:
    """Return the name of the file that carries the layer of a kind of model."""
    return f"modeling_{FOR_STOCK}{model_type}.py"


def stock_source(backbone: Backbone) -> str:
    """Return the file that carries the layer; it is the same for all models of a kind."""
    names = [backbone.prefix + ending for ending in _endings(backbone)]
    head = _FILE.format(
        prefix=backbone.prefix,
        kind=FOR_STOCK + backbone.folder,
        identity=backbone.contranorm_identity,
        imports=", ".join([f"{backbone.prefix}Config", *names]),
        sites="\n".join(f'        "{site}": {place},' for site, place in hooks.SITES[backbone.folder].items()),
        constants="\n".join(f"{name} = {getattr(hooks, name)!r}" for name in _CONSTANTS),
    )
    models = [_MODEL.format(name=name, prefix=backbone.prefix) for name in names]
    parts = [head, *models, *map(_shortened, _COPIED)]
    return "\n\n\n".join(part.strip("\n") for part in parts) + "\n"


def _endings(backbone: Backbone) -> list[str]:
    names = backbone.public_names[f"models.{backbone.folder}.modeling_{backbone.folder}"]
    endings = [name.removeprefix(backbone.prefix) for name in names]
    return sorted(ending for ending in endings if ending == "Model" or ending.startswith("For"))


def _auto_map(backbone: Backbone) -> dict[str, str]:
    """Say for each Auto class of the stock library which class of the file it is to take."""
    place = file_name(backbone.folder).removesuffix(".py")
    endings = {f"AutoModel{end.removeprefix('Model')}": end for end in _endings(backbone)} | {"AutoConfig": "Config"}
    return {auto: f"{place}.ContraNorm{backbone.prefix}{end}" for auto, end in endings.items()}


def _shortened(item: Any) -> str:
    """Return the source of a class or function with the first line of each docstring in place of all of it."""
    lines = inspect.getsource(item).splitlines()
    dropped: set[int] = set()
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
            start, end = node.body[0].lineno, node.body[0].end_lineno or 0
            if end > start:
                lines[start - 1] += '"""'
                dropped.update(range(start, end))
    return "\n".join(line for number, line in enumerate(lines) if number not in dropped)
