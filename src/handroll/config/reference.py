"""The configuration and the sheet as JSON schemas and as a page: `python -m handroll.config.reference`; a test holds them equal."""

import json
import sys
from pathlib import Path
from typing import get_args

from handroll.config.pipeline import Config
from handroll.config.section import Section
from handroll.config.sheet import Video


def json_schemas():
    """JSON schemas by file name: what `workflow/schemas` holds."""
    config, row = Config.model_json_schema(), Video.model_json_schema()
    return {
        name: json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=2) + "\n"
        for name, schema in (("config.schema.json", config), ("videos.schema.json", row))
    }


def reference_markdown():
    """`docs/configuration.md`: every key with type, default and meaning."""
    lines = ["# Configuration", "", "<!-- Made by `python -m handroll.config.reference`; edit `src/handroll/{config,sheet}.py`. -->", ""]
    lines += ["Defaults stand in `config/config.yaml`; a file given with `--configfile` changes only the keys it names.", ""]
    lines += ["| key | type | default | meaning |", "|---|---|---|---|", *_reference_rows(Config(), "")]
    lines += [
        "",
        "## The sheet of videos",
        "",
        "Tab-separated, one row a video, with a header. Relative paths are relative to the sheet.",
        "",
    ]
    lines += ["| column | needed | meaning |", "|---|---|---|"]
    lines += [
        f"| `{name}` | {'yes' if field.is_required() else 'no'} | {field.description}{_choices(field.annotation)} |"
        for name, field in Video.model_fields.items()
    ]
    return "\n".join(lines) + "\n"


def _reference_rows(section, prefix):
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, Section):
            yield f"| **{prefix}{name}** | | | {type(value).__doc__} |"
            yield from _reference_rows(value, f"{prefix}{name}.")
        else:
            kind = type(value).__name__ if value is not None else "float or null"
            default = f"[{', '.join(map(str, value))}]" if kind == "list" else json.dumps(value) if kind != "str" else value
            yield f"| `{prefix}{name}` | {kind} | {default} | {field.description}{_choices(field.annotation)} |"


def _choices(annotation):
    options = [option for part in (annotation, *get_args(annotation)) for option in get_args(part) if isinstance(option, str)]
    return f" ({', '.join(dict.fromkeys(options))})" if options else ""


def write_references(root):
    """Write schemas and reference page below a checkout."""
    texts = {f"workflow/schemas/{name}": text for name, text in json_schemas().items()}
    for name, text in {**texts, "docs/configuration.md": reference_markdown()}.items():
        (Path(root) / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_references(sys.argv[1] if len(sys.argv) > 1 else ".")
