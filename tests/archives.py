"""Zip archives that tests write."""

import io
import zipfile


def zipped(entries: dict[str, bytes], compression=zipfile.ZIP_STORED) -> bytes:
    """An archive with these members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return buffer.getvalue()
