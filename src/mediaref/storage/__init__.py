"""From a uri to something that can be opened: a local path, bytes that the uri carries itself, or an fsspec file."""

from mediaref.storage.access import AccessPolicy
from mediaref.storage.source import Source, StorageOptions, locate, locate_trusted
from mediaref.storage.uris import cut, join, scheme_of, shorten

__all__ = [
    "AccessPolicy",
    "Source",
    "StorageOptions",
    "cut",
    "join",
    "locate",
    "locate_trusted",
    "scheme_of",
    "shorten",
]
