"""Real S3 servers on this machine, for the time of a test session.

`SeaweedFS` checks modern checksums and respects conditions; the gateway of JuiceFS does neither.
"""

import contextlib
import copy
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import pytest

KEY, SECRET = "testkey-0123456789", "testsecret-0123456789"
READY_S = 60
BINARIES = Path(sys.executable).parent


@contextlib.contextmanager
def found(settings):
    """Let clients that are made in the block find a server by these settings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_PROFILE", raising=False)
        for name, value in settings.items():
            patch.setenv(name, value)
        yield


def moved(target):
    """Return a store with another prefix in its bucket: opening one each time is slow."""
    bucket = copy.copy(target._bucket)
    bucket.prefix = f"{bucket.prefix}/{uuid.uuid4().hex[:16]}"
    bucket.url = f"s3://{bucket.bucket}/{bucket.prefix}"
    other = type(target)(bucket, jobs=target._jobs, part_bytes=target._part_bytes)
    other._abilities._found = target._abilities._found
    return other


def free_ports(count):
    """Return free ports below those that the system assigns to clients."""
    found = []
    with contextlib.ExitStack() as stack:
        while len(found) < count:
            held = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                held.bind(("127.0.0.1", random.randrange(12_000, 32_000)))  # noqa: S311 (no secret)
                found.append(held.getsockname()[1])
    return found


class S3Server:
    """A server in a process of its own; a context manager."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="wdsremux-s3-"))
        self.process = None
        self.url = self.https_url = ""
        self.bucket = None

    def __enter__(self):
        try:
            try:
                self.start()
            except RuntimeError:
                # Another process may have taken one of its ports in the meantime.
                self.stop()
                self.__init__()
                self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc):
        self.stop()

    def start(self):
        """Begin to serve, where it served before if it did."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdout=log,
                stderr=log,
                env=os.environ | self.environment(),
                start_new_session=True,
            )
        end = time.monotonic() + READY_S
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError((self.folder / "log").read_text()[-4000:])
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.1)

    def kill(self):
        """End at once, as by a power cut."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """End, and remove all that was stored."""
        if self.process is not None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def settings(self, url=None):
        """Return the environment by which a client finds the server."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL_S3": url or self.url,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": str(self.folder / "no-config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.folder / "no-credentials"),
        }

    def client(self, url=None):
        """Return a client of boto3's own, to arrange and to look."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=url or self.url,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
            config=Config(
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                s3={"addressing_style": "path"},
            ),
        )

    def new_bucket(self):
        """Make an empty bucket and return its name."""
        name = f"t{uuid.uuid4().hex[:16]}"
        self.client().create_bucket(Bucket=name)
        return name

    def new_place(self):
        """Return "s3://BUCKET/PREFIX" where nothing is; the bucket is shared, since that is fast."""
        if self.bucket is None:
            self.bucket = self.new_bucket()
        return f"s3://{self.bucket}/{uuid.uuid4().hex[:16]}"

    def _answers(self):
        try:
            with urllib.request.urlopen(self.url, timeout=5) as answer:  # noqa: S310
                return answer.status == 200
        except urllib.error.HTTPError as exc:
            exc.close()
            return exc.code == 403
        except OSError:
            return False


class SeaweedFS(S3Server):
    """Modern checksums, conditional writes; http and https."""

    def __init__(self):
        super().__init__()
        self.ports = free_ports(9)
        self.port, self.https_port = self.ports[:2]
        self.url = f"http://127.0.0.1:{self.port}"
        self.https_url = f"https://127.0.0.1:{self.https_port}"
        self.certificate = self.folder / "certificate.pem"
        identity = {
            "name": "test",
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "List", "Tagging", "Write"],
        }
        config = {"identities": [identity]}
        (self.folder / "s3.json").write_text(json.dumps(config))
        (self.folder / "data").mkdir()
        make_certificate(self.certificate, self.folder / "key.pem")

    def environment(self):
        return {}

    def command(self):
        port = [str(number) for number in self.ports]
        return [
            str(BINARIES / "weed"),
            f"-logdir={self.folder}",
            "server",
            f"-dir={self.folder}/data",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            f"-master.port={port[2]}",
            f"-master.port.grpc={port[3]}",
            "-master.volumeSizeLimitMB=1024",
            # After a restart the only master asks for votes for twice this time.
            "-master.electionTimeout=1s",
            "-master.heartbeatInterval=100ms",
            f"-volume.port={port[4]}",
            f"-volume.port.grpc={port[5]}",
            "-volume.max=2000",
            "-filer",
            f"-filer.port={port[6]}",
            f"-filer.port.grpc={port[7]}",
            "-s3",
            f"-s3.port={port[0]}",
            f"-s3.port.grpc={port[8]}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-s3.port.https={port[1]}",
            f"-s3.cert.file={self.certificate}",
            f"-s3.key.file={self.folder}/key.pem",
            f"-s3.config={self.folder}/s3.json",
            f"-s3.localSocket={self.folder}/s3.sock",
        ]

    def fill(self, bucket, keys):
        """Make empty objects by the back door, which is much faster than by requests of S3."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[6])
        for key in keys:
            connection.request("PUT", f"/buckets/{bucket}/{key}", b"")
            connection.getresponse().read()
        connection.close()

    def secure_settings(self):
        """Return the environment by which a client finds it by https."""
        return self.settings(self.https_url) | {"AWS_CA_BUNDLE": str(self.certificate)}


class JuiceFS(S3Server):
    """MinIO's S3 layer of old: signatures and MD5 are checked, conditions are ignored.

    By default it returns no ETags of what it stores, and drops the metadata.
    """

    def __init__(self, *, keeps_etags=True):
        super().__init__()
        self.keeps_etags = keeps_etags
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self.meta = f"sqlite3://{self.folder}/meta.db"

    def environment(self):
        return {"MINIO_ROOT_USER": KEY, "MINIO_ROOT_PASSWORD": SECRET}

    def start(self):
        if not (self.folder / "meta.db").exists():
            subprocess.run(
                [
                    str(BINARIES / "juicefs"),
                    "format",
                    "--storage",
                    "file",
                    "--trash-days",
                    "0",
                    "--bucket",
                    f"{self.folder}/data/",
                    self.meta,
                    "test",
                ],
                check=True,
                capture_output=True,
            )
        super().start()

    def command(self):
        return [
            str(BINARIES / "juicefs"),
            "gateway",
            "--multi-buckets",
            "--no-usage-report",
            *(["--keep-etag", "--object-meta"] if self.keeps_etags else []),
            "--cache-dir",
            f"{self.folder}/cache",
            self.meta,
            f"127.0.0.1:{self.port}",
        ]


def make_certificate(certificate, key):
    """Make a certificate for this machine that signs itself."""
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "30",
            "-keyout",
            str(key),
            "-out",
            str(certificate),
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=IP:127.0.0.1,DNS:localhost",
        ],
        check=True,
        capture_output=True,
    )
