"""Fetch the parts of a data set that come in a Debian package, and unpack them."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from lrcn.errors import DataError

_AR_MAGIC = b"!<arch>\n"
_AR_HEADER = 60


def fetch_package(name: str, what: str) -> Path:
    """Return a Debian package's file, which `apt-get download` puts into the user's cache folder the first time.

    Args:
        name: Of the package.
        what: What the user may give instead, for the message.

    Raises:
        DataError: If there is no apt here, or it does not get the package.
    """
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lrcn" / "packages"
    if found := sorted(folder.glob(f"{name}_*.deb")):
        return found[-1]
    remedy = f"fetch the Debian package {name} (packages.debian.org) and give it as --parts FILE.deb; {what}"
    if shutil.which("apt-get") is None:
        raise DataError(f"there is no apt-get here: {remedy}")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as place:
        # apt would hand the download to a user who may not write here
        command = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", name]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
        files = list(Path(place).glob("*.deb"))
        if done.returncode or not files:
            said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
            raise DataError(f"apt-get download {name}: {said}; run `apt-get update` first, or {remedy}")
        return files[0].replace(folder / files[0].name)


def unpack_package(package: Path, wanted: Callable[[str], bool], folder: Path) -> None:
    """Write the files of a Debian package for which `wanted(path in the package)` into a folder, flat paths kept.

    Raises:
        DataError: If the file is no Debian package, or packed in a way that Python cannot read.
    """
    name, content = _data_member(package)
    try:
        with tarfile.open(fileobj=BytesIO(content)) as archive:
            for member in archive:
                path = member.name.removeprefix("./")
                if member.isfile() and wanted(path):
                    member.name = path
                    archive.extract(member, folder, filter="data")
    except tarfile.TarError as exc:
        raise DataError(
            f"{package}: {name} in it cannot be unpacked here; unpack it (dpkg-deb -x) and give the folder as --parts"
        ) from exc


def file_digest(paths: list[Path]) -> str:
    """Return the sha256 of the contents of files, in this order."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _data_member(package: Path) -> tuple[str, bytes]:
    """Return name and content of the archive `data.tar.*` in a Debian package, an `ar` archive."""
    with package.open("rb") as file:
        if file.read(len(_AR_MAGIC)) != _AR_MAGIC:
            raise DataError(f"{package}: no Debian package; give the .deb file that apt-get download writes")
        while len(header := file.read(_AR_HEADER)) == _AR_HEADER:
            name, size = header[:16].decode("latin-1").strip().rstrip("/"), header[48:58].strip()
            if not size.isdigit():
                break
            if name.startswith("data.tar"):
                content = file.read(int(size))
                if len(content) == int(size):
                    return name, content
                break
            file.seek(int(size) + int(size) % 2, os.SEEK_CUR)
    raise DataError(f"{package}: cut short or damaged; fetch it again")
