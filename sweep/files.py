"""Files that users write: YAML, TOML and csv, told apart by their ending."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
        text = Path(path).read_text(encoding="utf-8")
        if path.endswith(".csv"):
            return list(csv.DictReader(text.splitlines(), skipinitialspace=True))
        if not path.endswith(".toml"):
            return yaml.load(text, Loader=yaml.BaseLoader)
        import tomllib

        return tomllib.loads(text, parse_float=str)
    except ImportError:
        raise UsageError(f"{flag} {path}: TOML takes Python 3.11; write it as YAML") from None
    except OSError as error:
        raise UsageError(f"{flag} {path}: {error.strerror}") from None
    except (ValueError, csv.Error, yaml.YAMLError) as error:
        raise UsageError(f"{flag} {path}: {error}") from None
