"""Base class and value types of the sections of the configuration."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Angle = Annotated[float, Field(ge=0, le=180)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(min_length=1)]


class Section(BaseModel):
    """A section of the configuration. Unknown keys, wrong types and infinite numbers are errors.

    Numbers may be text, as Snakemake's --config gives them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
