"""Check what `python -m build` made as a user has it: installed in a clean environment, away from this folder.

    python scripts/check_release.py dist

Beside the wheel and the source archive comes `lrcn-VERSION.cdx.json`, which lists what was installed with it (SBOM,
CycloneDX). Ends with code 1 where anything is not as it should be.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import venv
import zipfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

_ASSETS = ("demo.safetensors", "efficientnet_lite0.safetensors", "emoji.safetensors", "photos.safetensors")


class ReleaseError(Exception):
    """The release is not as it should be."""


def built_files(folder: Path) -> tuple[Path, Path, str]:
    """Return the wheel and the source archive of a folder, and their version.

    Raises:
        ReleaseError: If they are not the two of `pyproject.toml`'s version.
    """
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    wheel, archive = folder / f"lrcn-{version}-py3-none-any.whl", folder / f"lrcn-{version}.tar.gz"
    found = sorted(path.name for path in folder.glob("lrcn-*") if path.suffix in (".whl", ".gz"))
    if found != sorted((wheel.name, archive.name)):
        raise ReleaseError(f"{folder}: holds {found}, expected {wheel.name} and {archive.name}; empty it and build")
    return wheel, archive, version


def check_contents(wheel: Path, archive: Path) -> None:
    """Check that both hold the package whole, and nothing that is not for users.

    Raises:
        ReleaseError: If not.
    """
    with zipfile.ZipFile(wheel) as inside:
        names = set(inside.namelist())
    sources = {str(path.relative_to(ROOT / "src")) for path in _package_files()}
    _compare(wheel, sources, {name for name in names if ".dist-info/" not in name})
    with tarfile.open(archive) as outside:
        members = {name.partition("/")[2] for name in outside.getnames()}
    _compare(archive, {f"src/{name}" for name in sources}, {name for name in members if name.startswith("src/")})
    strange = {name.partition("/")[0] for name in members} - {"src", "configs", "PKG-INFO", "pyproject.toml"}
    if odd := sorted(strange - {"README.md", "CHANGELOG.md", "LICENSE", "NOTICE", ".gitignore"}):
        raise ReleaseError(f"{archive}: holds {odd}, which are not for users")


def _package_files() -> Iterable[Path]:
    listed = subprocess.run(["git", "ls-files", "-z", "src"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def _compare(where: Path, expected: set[str], found: set[str]) -> None:
    if expected != found:
        missing, added = sorted(expected - found)[:5], sorted(found - expected)[:5]
        raise ReleaseError(f"{where}: lacks {missing} and has besides {added}; build it from a clean checkout")


def _run(folder: Path, *command: str | Path) -> str:
    """Return what a command prints that knows nothing of this folder.

    Raises:
        ReleaseError: If it fails.
    """
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment = {**kept, "HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReleaseError(f"{' '.join(map(str, command))}: ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def check_installed(wheel: Path, version: str, folder: Path) -> Path:
    """Install a wheel into a new environment in a folder, and use it there; return the environment's Python.

    Raises:
        ReleaseError: If anything is not as the README says.
    """
    venv.create(folder / "venv", with_pip=True)
    binaries = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    python, lrcn = binaries / "python", binaries / "lrcn"
    lock = ROOT / "requirements-ci.lock"
    # no HOME of its own: pip's settings and what it has downloaded before lie in the user's
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-c", lock, wheel.resolve()], cwd=folder, check=True)
    where = _run(folder, python, "-c", "import lrcn, lrcn_sets; print(lrcn.__file__)").strip()
    if not Path(where).is_relative_to(folder):
        raise ReleaseError(f"{where} was imported, which is not what was installed")
    if (stated := _run(folder, lrcn, "--version").strip()) != version:
        raise ReleaseError(f"lrcn --version says {stated}, expected {version}")
    for command in ("recognize", "caption", "train", "evaluate"):
        if command not in _run(folder, lrcn, "--help"):
            raise ReleaseError(f"lrcn --help does not know {command}")
    assets = Path(where).parent / "assets"
    for name in _ASSETS:
        if not (assets / name).is_file():
            raise ReleaseError(f"{name} was not installed")
    if "walk" not in _run(folder, lrcn, "info", "demo"):
        raise ReleaseError("lrcn info demo does not name its labels")
    said = json.loads(_run(folder, lrcn, "recognize", assets / "walking.mp4", "--json", "--quiet"))
    if (label := said["top"][0]["label"]) != "walk":
        raise ReleaseError(f"walking.mp4 is said to show {label!r}, expected 'walk'")
    return python


def write_bill(python: Path, path: Path) -> int:
    """Write what is installed in an environment as a bill of materials, and return the number of packages.

    Raises:
        ReleaseError: If something is missing in it.
    """
    tool = Path(sys.executable).with_name("cyclonedx-py")
    subprocess.run([tool, "environment", python, "-o", path, "--of", "JSON", "--output-reproducible"], check=True)
    bill = json.loads(path.read_text(encoding="utf-8"))
    for part in bill["components"]:  # where the wheel lay on this machine is nobody's business
        kept = [one for one in part.pop("externalReferences", ()) if not one["url"].startswith("file:")]
        part |= {"externalReferences": kept} if kept else {}
    path.write_text(json.dumps(bill, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    names = {part["name"] for part in bill["components"]}
    if missing := {"lrcn", "torch", "av", "numpy"} - names:
        raise ReleaseError(f"{path}: lacks {sorted(missing)}")
    return len(names)


def audit(python: Path) -> str:
    """Return one line of what is known of holes in the packages of an environment.

    Raises:
        ReleaseError: If one is known.
    """
    site = next(python.parent.parent.glob("**/site-packages"))
    tool = Path(sys.executable).with_name("pip-audit")
    done = subprocess.run(
        [tool, "--path", site, "--format", "json", "--progress-spinner", "off", "--timeout", "15"],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        why = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return f"pip-audit: not done, the list of known holes is out of reach from here ({why[:150]})"
    known = [f"{one['name']} {one['version']}: {hole['id']}" for one in packages for hole in one.get("vulns", ())]
    if known:
        raise ReleaseError("known holes, raise the bounds in pyproject.toml and `make lock`:\n" + "\n".join(known))
    return f"pip-audit: no hole is known in {len(packages)} packages"


def main() -> int:
    """Check the folder that is named, and print what was found."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "dist")
    try:
        wheel, archive, version = built_files(folder)
        check_contents(wheel, archive)
        print(f"{wheel.name}, {archive.name}: complete")
        with tempfile.TemporaryDirectory() as name:
            python = check_installed(wheel, version, Path(name).resolve())
            print("installed in a clean environment: imported, helped, described its model, recognised its clip")
            bill = folder / f"lrcn-{version}.cdx.json"
            print(f"{bill.name}: {write_bill(python, bill)} packages")
            print(audit(python))
    except ReleaseError as exc:
        print(f"release: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
