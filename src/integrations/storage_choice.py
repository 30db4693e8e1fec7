"""Which store a setting names; only the driver of that one is loaded."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from src.config import SettingsError
from src.integrations.storage import Storage


def open_storage(
    url: str, *, reserve_bytes: int, s3_endpoint_url: str = "", is_shared: bool = False
) -> Storage:
    """The store that a setting names: a folder, `s3://bucket/prefix`, or the URL of another fsspec driver.

    A folder that is shared can be read by whom the process's umask lets read it; others are private.
    """
    parts = urlsplit(url)
    if "://" not in url or parts.scheme == "file":
        from src.integrations.storage_disk import DiskStorage

        folder = unquote(parts.path) if parts.scheme == "file" else url
        return DiskStorage(Path(folder), reserve_bytes=reserve_bytes, is_shared=is_shared)
    if parts.scheme in ("s3", "s3a"):
        from src.integrations.storage_s3 import S3Storage

        return S3Storage(url, endpoint_url=s3_endpoint_url)
    import fsspec

    from src.integrations.storage_remote import RemoteStorage

    try:  # a driver that is not installed is told now, not by an upload
        fsspec.get_filesystem_class(parts.scheme)
    except (ValueError, ImportError) as error:
        raise SettingsError(
            f"STORAGE_URL must name a folder or a store that is known here: {error}"
        ) from error
    return RemoteStorage(url)
