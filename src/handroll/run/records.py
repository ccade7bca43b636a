"""Snakemake's records of what made a result. One that is damaged, as by a loss of power, would let a changed setting pass unnoticed."""

import base64
import json
from contextlib import suppress
from pathlib import Path


def drop_damaged(folder):
    """Remove records that are no JSON, and the results that they are of, so that these are made again.

    Parameters
    ----------
    folder : path
        In which Snakemake works.

    Returns
    -------
    int
        How many records were damaged.
    """
    folder, dropped = Path(folder), 0
    records = folder / ".snakemake" / "metadata"
    for record in records.rglob("*"):
        if record.is_dir():
            continue
        try:
            json.loads(record.read_bytes())
        except ValueError:
            # A record is named after its file, in base64; a long name is cut into folders that begin with `@`.
            code = "".join(part.removeprefix("@") for part in record.relative_to(records).parts)
            record.unlink()
            # Another file than a record names no result.
            with suppress(ValueError):
                result = Path(base64.urlsafe_b64decode(code).decode())
                if result.parts[:1] == ("results",) and ".." not in result.parts:
                    (folder / result).unlink(missing_ok=True)
            dropped += 1
    return dropped
