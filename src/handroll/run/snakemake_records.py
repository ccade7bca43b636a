"""Remove damaged records of Snakemake about the provenance of results.

A power loss can damage a record. Without a readable record, Snakemake would keep the result even after a setting changes. So the
result is removed, too.
"""

import base64
import json
from contextlib import suppress
from pathlib import Path


def drop_damaged(folder):
    """Remove records that are not JSON, together with their results, so that the results are created again.

    Parameters
    ----------
    folder : path
        Working directory of Snakemake.

    Returns
    -------
    int
        Number of damaged records.
    """
    folder, dropped = Path(folder), 0
    records = folder / ".snakemake" / "metadata"
    for record in records.rglob("*"):
        if record.is_dir():
            continue
        try:
            json.loads(record.read_bytes())
        except ValueError:
            # The name of a record is the path of its result in base64. A long name is split into folders that start with `@`.
            code = "".join(part.removeprefix("@") for part in record.relative_to(records).parts)
            record.unlink()
            # A file whose name is not base64 belongs to no result.
            with suppress(ValueError):
                result = Path(base64.urlsafe_b64decode(code).decode())
                if result.parts[:1] == ("results",) and ".." not in result.parts:
                    (folder / result).unlink(missing_ok=True)
            dropped += 1
    return dropped
