"""The parts of a data set that come in a Debian package: its file, and what is in it."""

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


def package_file(name: str, *, fetch: bool) -> Path:
    """Return a Debian package's file in the user's cache folder.

    Args:
        name: Of the package.
        fetch: Put it there with `apt-get download`, if it is not there; otherwise nothing is run.

    Raises:
        DataError: If it is not there; the message holds the command that gets it.
    """
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lrcn" / "packages"
    if found := sorted(folder.glob(f"{name}_*.deb")):
        return found[-1]
    by_hand = f"or get {name} from packages.debian.org and give it with --parts FILE.deb"
    if not fetch:
        raise DataError(
            f"the pictures are in the Debian package {name}, which is not here: run `apt-get download {name}` and give "
            f"the file with --parts FILE.deb, or let --fetch run that, {by_hand}"
        )
    if shutil.which("apt-get") is None:
        raise DataError(f"--fetch: there is no apt-get here; use a machine that has it, {by_hand}")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as place:
        # apt would hand the download to a user who may not write here
        command = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", name]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
        files = list(Path(place).glob("*.deb"))
        if done.returncode or not files:
            why = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
            raise DataError(f"apt-get download {name}: {why}; run `apt-get update` first, {by_hand}")
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
