"""The files of a submission, in the job: fetched, verified, unpacked, ready to be imported.

::

    rios-awsbatch submit          S3: submissions/<id>/            main job, and its workers
    --------------------          ----------------------           -------------------------
    pack: script, folder,  -----> files.tar.gz        ---------->  fetch, verify, unpack
          requirements,           record.json (job,                  pip install the requirements
          variables               definition)                        main: run the script with
    SHA-256  -------- in the                                               its variables
              job's environment ----------------------------------->

The archive holds a manifest, the files under ``files/``, and the list of requirements. Nothing in
it is read before its SHA-256 is that of the environment, which only the submitter can set.
"""

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from rios_plugin_awsbatch.aws.errors import AWS_ERRORS, is_missing_object, sentence_for
from rios_plugin_awsbatch.aws.names import archive_key
from rios_plugin_awsbatch.errors import SubmissionError

if TYPE_CHECKING:
    from rios_plugin_awsbatch.aws.clients import Clients

__all__ = ["Files", "Manifest", "digest_of", "fetched", "importable"]

log = logging.getLogger(__name__)

# Within the archive.
FILES: Final = "files"
MANIFEST: Final = "manifest.json"
REQUIREMENTS: Final = "requirements.txt"
_INSTALLED: Final = "installed"
_CHUNK: Final = 1024 * 1024
_PIP: Final = ("-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check")


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What to do with the files.

    Attributes:
        script: The script to run, relative to the folder of files.
        arguments: The script's arguments.
        variables: The script's environment variables, beside those of the job. They may be secret.
        salt: A random text: without it, the archive's SHA-256, which is no secret, would tell
            whether a guess of a variable is right.
    """

    script: str
    arguments: tuple[str, ...] = ()
    variables: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    salt: str = ""

    def to_json(self) -> bytes:
        """Return it as the archive holds it."""
        return json.dumps(dataclasses.asdict(self)).encode()

    @classmethod
    def from_json(cls, text: bytes) -> "Manifest":
        """Read it from an archive that has been verified."""
        content: dict[str, Any] = json.loads(text)
        return cls(content["script"], tuple(content["arguments"]), content["variables"])


@dataclasses.dataclass(frozen=True)
class Files:
    """An unpacked submission.

    Attributes:
        folder: The folder in which the script runs.
        manifest: What to do.
        import_path: Where its modules are, and after them its requirements.
    """

    folder: Path
    manifest: Manifest
    import_path: tuple[Path, ...]

    def python_path(self, environ: Mapping[str, str]) -> str:
        """Return a PYTHONPATH for these files, and for what could be imported before."""
        already = environ.get("PYTHONPATH", "")
        return os.pathsep.join(
            [*map(str, self.import_path), *filter(None, already.split(os.pathsep))]
        )


def digest_of(archive: IO[bytes]) -> str:
    """Return the SHA-256 of a whole file in hexadecimal digits; leave the file at its beginning."""
    digest = hashlib.sha256()
    archive.seek(0)
    while chunk := archive.read(_CHUNK):
        digest.update(chunk)
    archive.seek(0)
    return digest.hexdigest()


@contextlib.contextmanager
def fetched(clients: "Clients", bucket: str, submission: str) -> Iterator[Files]:
    """Unpack the files of a submission into a folder of their own, and delete it afterwards.

    Args:
        clients: The AWS clients.
        bucket: The stack's bucket.
        submission: The submission's id and the SHA-256 of its archive, separated by a colon.

    Raises:
        SubmissionError: The files cannot be fetched, are not what was submitted, or their
            requirements cannot be installed.
    """
    identity, _, digest = submission.partition(":")
    with tempfile.TemporaryDirectory(prefix="submission-", ignore_cleanup_errors=True) as scratch:
        root = Path(scratch)
        with tempfile.TemporaryFile(dir=root) as archive:
            _download(clients, bucket, identity, archive)
            if digest_of(archive) != digest:
                place = f"s3://{bucket}/{archive_key(identity)}"
                raise SubmissionError(
                    f"The files of submission {identity} ({place}) are not those that were "
                    "submitted: their SHA-256 differs. Nothing of them was run; find out who "
                    "writes to the bucket."
                )
            _extract(archive, root)
        files = _unpacked(root)
        if (root / REQUIREMENTS).exists():
            _install(root / REQUIREMENTS, root / _INSTALLED, identity, files.manifest.variables)
        yield files


@contextlib.contextmanager
def importable(clients: "Clients", bucket: str, submission: str | None) -> Iterator[None]:
    """Let the processes that this one starts import what a submission holds, if there is one.

    Raises:
        SubmissionError: As for `fetched`.
    """
    if submission is None:
        yield
        return
    with fetched(clients, bucket, submission) as files:
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = files.python_path(os.environ)
        try:
            yield
        finally:
            if before is None:
                del os.environ["PYTHONPATH"]
            else:
                os.environ["PYTHONPATH"] = before


def _download(clients: "Clients", bucket: str, identity: str, archive: IO[bytes]) -> None:
    key = archive_key(identity)
    try:
        clients.s3.download_fileobj(bucket, key, archive)
    except AWS_ERRORS as error:
        reason = (
            "they are gone. They are deleted when the script has ended or is cancelled; submit it "
            "again."
            if is_missing_object(error)
            else sentence_for(error)
        )
        raise SubmissionError(
            f"Cannot fetch the files of submission {identity} (s3://{bucket}/{key}): {reason}"
        ) from error


def _extract(archive: IO[bytes], root: Path) -> None:
    with tarfile.open(fileobj=archive, mode="r:gz") as tar:
        # The archive is our own and verified; a Python that knows the filter warns without it.
        options: Any = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        tar.extractall(root, **options)  # noqa: S202 - verified above


def _unpacked(root: Path) -> Files:
    manifest = Manifest.from_json((root / MANIFEST).read_bytes())
    folder = root / FILES
    path = dict.fromkeys([(folder / manifest.script).parent, folder, root / _INSTALLED])
    return Files(folder, manifest, tuple(path))


def _install(requirements: Path, target: Path, identity: str, variables: Mapping[str, str]) -> None:
    log.info("submission=%s installs its requirements", identity)
    # Into a folder of its own: that works in every image, whoever the user is.
    where = ["--target", str(target), "--requirement", str(requirements)]
    done = subprocess.run(  # noqa: S603 - our own interpreter; the list is the submitter's
        [sys.executable, *_PIP, *where],
        env={**os.environ, **variables},  # PIP_INDEX_URL may be among them
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.stderr.write(done.stdout)
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        raise SubmissionError(
            f"The requirements of submission {identity} cannot be installed (the log has all that "
            f"pip says): {lines[-1] if lines else 'pip says nothing'}"
        )
