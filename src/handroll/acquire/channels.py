"""Read the sheet of channels, and list the videos of every channel, playlist and search page in it."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from handroll.acquire.candidates import candidate
from handroll.acquire.failures import FetchFailed
from handroll.acquire.listing import list_entries
from handroll.acquire.sites import without_credentials
from handroll.config.sheet import ID_LENGTH, IDENTIFIER, is_url, read_rows
from handroll.reasons import Reason


class Channel(BaseModel):
    """A row of the sheet of channels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(description="address of a channel, a playlist, a search page or a single video")
    subject: str | None = Field(
        None, pattern=IDENTIFIER, max_length=ID_LENGTH, description="performer of all videos of the channel; empty: the uploader's name"
    )
    permission: Literal["granted", "unknown", "refused"] | None = Field(None, description="permission for all videos of the channel")
    licence: str | None = Field(None, description="licence of all videos of the channel")
    notes: str | None = Field(None, description="notes for people")

    @field_validator("url")
    @classmethod
    def _url_is_an_address(cls, text):
        if not is_url(text) or text.partition(":")[0].lower() not in ("http", "https"):
            raise ValueError(f"expected an http(s) address, found {text!r}")
        return text


class ListingFailed(RuntimeError):
    """Raised if channels could not be listed; the message contains their addresses, the reasons, and what to do."""


@dataclass
class Listing:
    """Result of listing channels.

    Attributes
    ----------
    candidates : list of Candidate
        Rows for the sheet, in the order of the channels and of the sites' lists.
    listed : dict of str to int
        Number of listed videos of each channel, by address.
    skipped : Counter of str
        Number of skipped entries of lists, by reason.
    failed : dict of str to FetchFailed
        Failures of channels that could not be listed completely, by address.
    """

    candidates: list = field(default_factory=list)
    listed: dict[str, int] = field(default_factory=dict)
    skipped: Counter = field(default_factory=Counter)
    failed: dict[str, FetchFailed] = field(default_factory=dict)

    def report(self):
        """Yield lines of text: number of videos of each channel, number of skipped entries by reason, failed channels."""
        yield from (f"{count:6d} videos: {url}" for url, count in self.listed.items())
        yield from (f"{count:6d} entries skipped: {reason}" for reason, count in sorted(self.skipped.items()))
        yield from (f"failed: {url}: {Reason(failure.failure).sentence}" for url, failure in self.failed.items())

    def raise_if_failed(self):
        """Raise ListingFailed if a channel could not be listed completely."""
        if self.failed:
            failures = "; ".join(f"{url}: {failure.failure}" for url, failure in self.failed.items())
            raise ListingFailed(
                f"{len(self.failed)} of {len(self.listed)} channels could not be listed completely: {failures}. "
                "The listed videos are in the sheet; list again later to add the others"
            )


def read_channels(path):
    """Read a sheet of channels as a list of `Channel`, whose fields are the columns.

    Raises
    ------
    handroll.config.sheet.SheetError
        The sheet is invalid; the message lists every problem with its line number.
    """
    return read_rows(path, Channel, ("url",))


def list_channels(channels, max_listed=5000, pace=None):
    """List the videos of channels as rows for the sheet.

    Parameters
    ----------
    channels : iterable of Channel
    max_listed : int
        Maximum number of videos to list of one channel.
    pace : handroll.acquire.back_off.Pace, optional

    Returns
    -------
    Listing
    """
    listing = Listing()
    for channel in channels:
        found = list_entries(channel.url, max_listed, pace)
        listing.candidates += [candidate(entry, channel.subject, channel.permission, channel.licence) for entry in found.entries]
        url = without_credentials(channel.url)
        listing.listed[url] = len(found.entries)
        listing.skipped += found.skipped
        if found.failure is not None:
            listing.failed[url] = found.failure
    return listing
