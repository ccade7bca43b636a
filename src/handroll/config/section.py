"""Base class and value types for the sections of the configuration."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
"""Share of a whole, 0..1."""

Positive = Annotated[float, Field(gt=0)]
"""Number above 0."""

Angle = Annotated[float, Field(ge=0, le=180)]
"""Angle, 0..180 degrees."""

NotNegative = Annotated[float, Field(ge=0)]
"""Number of at least 0."""

Count = Annotated[int, Field(ge=1)]
"""Integer of at least 1."""

Name = Annotated[str, Field(min_length=1)]
"""Text that is not empty."""


class Section(BaseModel):
    """Base class of a section of the configuration. Unknown keys, wrong types and infinite numbers are errors.

    A number may be given as text, since Snakemake's option `--config` may give it as text.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
