"""Files that users write: YAML, TOML and csv, told apart by their ending."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from glue.data.readers import check_separator
from glue.errors import UsageError


def read_file(flag: str, path: str) -> Any:
    """Return the content of a file; values are texts as they are written there, whatever YAML takes `no` for.

    Args:
        flag: what it was given for.
        path: a csv is a list of mappings, anything but csv and TOML is YAML.

    Raises:
        UsageError: it cannot be read.
    """
    import csv

    import yaml

    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        if path.endswith(".csv"):
            rows = csv.DictReader(text.splitlines(), skipinitialspace=True)
            check_separator(f"{flag} {path}", rows.fieldnames or (), ",")
            return list(rows)
        if not path.endswith(".toml"):
            _check_keys(yaml.compose(text, Loader=yaml.BaseLoader))
            return yaml.load(text, Loader=yaml.BaseLoader)
        import tomllib

        return tomllib.loads(text, parse_float=str)
    except ImportError:
        raise UsageError(f"{flag} {path}: TOML takes Python 3.11; write it as YAML") from None
    except OSError as error:
        raise UsageError(f"{flag} {path}: {error.strerror}") from None
    except (ValueError, csv.Error, yaml.YAMLError) as error:
        raise UsageError(f"{flag} {path}: {' '.join(str(error).split())}") from None


def _check_keys(node: Any) -> None:
    """Check that no key of a YAML file stands there twice: the last one would count, without a word."""
    keys = [key.value for key, _ in node.value] if getattr(node, "id", "") == "mapping" else []
    twice = next((key for key in keys if isinstance(key, str) and keys.count(key) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice} is given twice: give all its values in one list")
