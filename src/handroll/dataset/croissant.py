"""Croissant 1.1 description of a dataset (docs.mlcommons.org/croissant): JSON-LD for search engines and loaders."""

import pyarrow as pa

from handroll.dataset.card import HUB_LICENCES
from handroll.tables import SHARD

# Terms that the Croissant specification adds to schema.org.
_CROISSANT_TERMS = (
    *("arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileObject", "fileProperty"),
    *("fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet"),
    *("references", "regex", "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform"),
)

CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "name": {"@container": "@language"},
    "description": {"@container": "@language"},
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in _CROISSANT_TERMS},
}
"""JSON-LD context that the Croissant specification requires."""


def croissant(name, statistics, manifest):
    """Return the Croissant description of a dataset folder: its shards with checksums, and the columns of `handroll.tables.SHARD`.

    Parameters
    ----------
    name : str
        Title.
    statistics : dict
        Result of `statistics.describe`.
    manifest : dict
        Result of `shards.write_shards`.

    Returns
    -------
    dict, JSON values
    """
    totals, licences = statistics["totals"], list(statistics["made_by"]["licence"])
    spdx = licences[0] if len(licences) == 1 and licences[0] in HUB_LICENCES else None
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": name,
        "description": (
            f"3D motion of both hands of people playing the piano, with notes, pedal and audio: {totals['clips']} clips of "
            f"{totals['videos_in_dataset']} videos, estimated from the videos without manual labels."
        ),
        "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        "license": f"https://spdx.org/licenses/{spdx}.html" if spdx else "The recordings have their own licences: see README.md.",
        "rai:dataCollection": "Hands are detected in videos, poses are fitted to them and the audio is transcribed, all automatically.",
        "rai:dataLimitations": "Estimates, not motion capture; depth is metric only where the focal length is known. See README.md.",
        "rai:personalSensitiveInformation": "Names of the performers in the sheet of videos, the motion of their hands, their audio.",
        "distribution": [*map(_file_object, manifest["shards"]), _FILE_SET],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "clips",
                "name": "clips",
                "description": f"A row is {SHARD.row}.",
                "key": [{"@id": f"clips/{column}"} for column in ("subject", "video", "clip")],
                "field": [_column_field(column) for column in SHARD.columns],
            }
        ],
    }


# Croissant description of the set of all shards.
_FILE_SET = {
    "@type": "cr:FileSet",
    "@id": "shards",
    "name": "shards",
    "description": "All shards; their names begin with the split.",
    "encodingFormat": "application/x-parquet",
    "includes": "*-*.parquet",
}


def _file_object(shard):
    """Return a shard, as listed in the manifest, as a Croissant file."""
    return {
        "@type": "cr:FileObject",
        "@id": shard["name"],
        "name": shard["name"],
        "contentUrl": shard["name"],
        "contentSize": f"{shard['bytes']} B",
        "encodingFormat": "application/x-parquet",
        "sha256": shard["sha256"],
    }


def _column_field(column):
    """Return a column of the shards as a Croissant field."""
    unit = f" ({column.unit})" if column.unit else ""
    shape = [-1 if length is None else length for _, length in column.axes]
    return _field(f"clips/{column.name}", column.dtype, (column.name,), shape, column.description + unit)


def _field(name, dtype, path, shape=(), description=""):
    """Return a Croissant field for an Arrow type. Lists become arrays, structs become sub-fields.

    `path` is the name of the column, followed by the names of the nested struct fields.
    """
    if pa.types.is_list(dtype):
        dtype, shape = dtype.value_type, (-1,)
    field = {"@type": "cr:Field", "@id": name, "name": name}
    if description:
        field["description"] = description
    if shape:
        field |= {"isArray": True, "arrayShape": ",".join(map(str, shape))}
    column, *steps = path
    source = {"fileSet": {"@id": "shards"}, "extract": {"column": column}}
    if steps:
        source["transform"] = {"jsonPath": ".".join(steps)}
    if pa.types.is_struct(dtype):
        return field | {"source": source, "subField": [_field(f"{name}/{f.name}", f.type, (*path, f.name)) for f in dtype]}
    return field | {"dataType": _data_type(dtype), "source": source}


def _data_type(dtype):
    """Return the Croissant name of a scalar Arrow type."""
    if dtype == pa.string():
        return "sc:Text"
    if dtype == pa.binary():
        return "sc:AudioObject"
    if dtype == pa.bool_():
        return "sc:Boolean"
    return f"cr:{ {'float': 'Float32', 'double': 'Float64'}.get(str(dtype), str(dtype).capitalize()) }"
