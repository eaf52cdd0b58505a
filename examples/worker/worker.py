#!/usr/bin/env python3
"""A worker of an analysis service: takes tasks from a critd server, looks at the files, reports what it finds.

It claims one task at a time, so any number of workers may run beside each other. Python 3.11, nothing else.
"""

import argparse
import http.client
import json
import logging
import math
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid
import zipfile

LOG = logging.getLogger("worker")

# Where the files of a type are downloaded, if it is not the type's name with an s.
RESOURCES = {"RawData": "raw_data"}

PIECE = 1 << 20
# The longest texts of a file are reported, so many of them and so much of each.
MOST_TEXTS = 50
LONGEST_TEXT = 1000
TEXT = re.compile(rb"[\x20-\x7e]{8,}")
TAIL = re.compile(rb"[\x20-\x7e]*\Z")
# Of a text that goes on in the next piece so much is kept.
CARRIED = 4096

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0


class Refused(Exception):
    """The server understood the request and said no."""


class LeaseLost(Exception):
    """Another worker has the task now, or it was cancelled."""


class Stopped(Exception):
    """The worker was asked to stop."""


class Server:
    """The server's API. Waits while the server is away; knows the key and tells it to nobody else."""

    def __init__(self, url, user, key, stopping):
        self.api = url.rstrip("/") + "/api/v1"
        self.stopping = stopping
        self._credentials = f"ApiKey {user}:{key}"

    def call(self, method, path, body=None, tries=None, once=False):
        """The JSON that the server answers. A request whose answer is lost is made again; with `once` it has a header by
        which the server knows it again and does not carry it out twice."""
        headers = {"Content-Type": "application/json"}
        if once:
            headers["Idempotency-Key"] = str(uuid.uuid4())
        text = self._request(method, path, body, headers, tries, lambda answer: answer.read())
        try:
            answer = json.loads(text)
        except ValueError:
            raise Refused("The answer is no JSON.") from None
        if answer.get("return_code", 0) != 0:
            message = str(answer.get("message") or "refused without a reason")
            raise (LeaseLost if message.startswith("Lease lost") else Refused)(message)
        return answer

    def download(self, path, target):
        """Writes the bytes of an answer to a file; begins again if the server goes away in between."""

        def copy(answer):
            target.seek(0)
            target.truncate()
            shutil.copyfileobj(answer, target, PIECE)

        self._request("GET", path, None, {}, None, copy)

    def _request(self, method, path, body, headers, tries, consume):
        data = None if body is None else json.dumps(body).encode()
        for number, _ in enumerate(waits(self.stopping), start=1):
            request = urllib.request.Request(self.api + path, data=data, headers=headers, method=method)
            # Unredirected: should the server send us elsewhere, the key stays here.
            request.add_unredirected_header("Authorization", self._credentials)
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return consume(answer)
            except urllib.error.HTTPError as error:
                with error:
                    said = error.read(2000).decode("utf-8", "replace")
                if error.code not in (408, 429) and error.code < 500:
                    raise Refused(f"{error.code} {message_of(said)}") from None
                reason = str(error.code)
            except (OSError, http.client.HTTPException) as error:
                # A refused or broken connection, a time-out, an answer that ends too early.
                reason = str(getattr(error, "reason", error)) or type(error).__name__
            if tries is not None and number >= tries:
                raise Refused(f"no answer: {reason}")
            LOG.warning("%s %s: %s; trying again", method, path.split("?")[0], reason)
        raise Stopped


def message_of(text):
    """The message in the body of an error, or the body."""
    try:
        body = json.loads(text)
        return body.get("message") or body.get("error_message") or text
    except (ValueError, AttributeError):
        return text


def waits(stopping):
    """Yields at once, then after longer and longer waits, which differ between workers. Ends if the worker is to stop."""
    wait = FIRST_WAIT
    yield
    while not stopping.wait(random.uniform(wait / 2, wait)):
        yield
        wait = min(wait * 2, LONGEST_WAIT)


class Task:
    """A claimed task. Its lease is renewed from another thread until it is done."""

    def __init__(self, server, claimed, lease_seconds):
        self.server = server
        self.id = claimed["id"]
        self.analysis_id = claimed["analysis_id"]
        self.object_type = claimed["object_type"]
        self.object_id = claimed["object_id"]
        self.config = claimed.get("config") or {}
        self._token = claimed["lease_token"]
        self._seconds = lease_seconds
        self._lost = threading.Event()
        self._done = threading.Event()
        self._renewing = threading.Thread(target=self._renew, daemon=True)
        self._renewing.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._done.set()
        self._renewing.join()

    def _renew(self):
        while not self._done.wait(self._seconds / 3):
            try:
                self._patch("renew_lease", lease_seconds=self._seconds)
                LOG.debug("%s: lease renewed", self.analysis_id)
            except LeaseLost:
                self._lost.set()
                return
            except (Refused, Stopped, ValueError) as error:
                # Another third of the time is left for the next try.
                LOG.warning("%s: lease not renewed: %s", self.analysis_id, error)

    def check(self):
        """To be called now and then during the work."""
        if self._lost.is_set():
            raise LeaseLost("Lease lost.")
        if self.server.stopping.is_set():
            raise Stopped

    def report(self, **what):
        """Reports results, a line of the log, the end, or all of them at once."""
        self.server.call(
            "POST",
            "/services/",
            {
                "object_type": self.object_type,
                "object_id": self.object_id,
                "analysis_id": self.analysis_id,
                "lease_token": self._token,
                **what,
            },
            once=True,
        )

    def results(self, found):
        """Reports (subtype, result, details) each."""
        self.report(
            result_is_batch=True,
            result_subtype=[subtype for subtype, _, _ in found],
            result=[result for _, result, _ in found],
            result_type=[details for _, _, details in found],
        )

    def finish(self, status, message):
        level = "info" if status == "completed" else "error"
        self.report(finish=True, status=status, log_message=message, log_level=level)

    def release(self):
        """Gives the task back, for another worker."""
        self._patch("release_task")

    def _patch(self, action, **arguments):
        # One try: the worker may be about to stop, and a lease is renewed again soon.
        body = {"action": action, "lease_token": self._token, **arguments}
        return self.server.call("PATCH", f"/analysis_results/{self.id}/", body, tries=1)

    def files(self, folder):
        """The files of the object as (name, open file), out of the archive that the server sends."""
        resource = RESOURCES.get(self.object_type, self.object_type.lower() + "s")
        with tempfile.TemporaryFile(dir=folder) as target:
            self.server.download(f"/{resource}/{self.object_id}/?file=1", target)
            self.check()
            if not zipfile.is_zipfile(target):
                target.seek(0)
                raise ValueError(target.read(200).decode("utf-8", "replace").strip() or "The server sent no file.")
            with zipfile.ZipFile(target) as archive:
                for member in archive.infolist():
                    with archive.open(member, pwd=b"infected") as file:
                        yield member.filename, file


def analyse(task, file):
    """The statistics of a file's bytes, and its longest texts, as (subtype, result, details) each."""
    counts, texts, carried, place = [0] * 256, {}, b"", 0
    while piece := file.read(PIECE):
        task.check()
        for byte in range(256):
            counts[byte] += piece.count(byte)
        piece = carried + piece
        place -= len(carried)
        # A text at the end may go on in the next piece.
        carried = TAIL.search(piece, max(0, len(piece) - CARRIED)).group()
        if len(carried) == CARRIED:
            carried = b""
        gather(texts, piece[: len(piece) - len(carried)], place)
        place += len(piece)
    gather(texts, carried, place - len(carried))
    total = sum(counts)
    shares = [count / total for count in counts if count]
    entropy = abs(sum(share * math.log2(share) for share in shares))
    most = sorted(range(256), key=lambda byte: (-counts[byte], byte))[:8]
    yield "bytes", str(total), {
        "entropy": round(entropy, 3),
        "distinct": len(shares),
        "printable": sum(counts[0x20:0x7F]),
        "most_frequent": [{"byte": byte, "count": counts[byte]} for byte in most if counts[byte]],
    }
    for text, offset in longest(texts).items():
        yield "string", text.decode("ascii"), {"offset": offset, "length": len(text)}


def gather(texts, piece, place):
    """Adds the texts of a piece, which lies at this place, with the places where they were seen first."""
    for found in TEXT.finditer(piece):
        texts.setdefault(found.group()[:LONGEST_TEXT], place + found.start())
    if len(texts) > 20 * MOST_TEXTS:
        kept = longest(texts)
        texts.clear()
        texts.update(kept)


def longest(texts):
    return dict(sorted(texts.items(), key=lambda item: (-len(item[0]), item[1]))[:MOST_TEXTS])


def work(task, folder):
    """Looks at all files of the task's object, and reports."""
    found = []
    for name, file in task.files(folder):
        for subtype, result, details in analyse(task, file):
            found.append((subtype, result, {"file": name, **details}))
    task.results(found)
    task.finish("completed", f"{len(found)} results.")


def handle(task, folder):
    try:
        work(task, folder)
        LOG.info("%s: done", task.analysis_id)
    except LeaseLost:
        LOG.warning("%s: another worker has it now, or it was cancelled", task.analysis_id)
    except Stopped:
        LOG.info("%s: given back", task.analysis_id)
        task.release()
        raise
    except (Refused, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile, OSError) as error:
        LOG.error("%s: %s", task.analysis_id, error)
        task.finish("error", f"{type(error).__name__}: {error}"[:1000])


def run(server, options):
    claim = {"service_name": options.service, "worker": options.worker, "lease_seconds": options.lease_seconds}
    if options.object_type:
        claim["object_type"] = options.object_type
    with tempfile.TemporaryDirectory(prefix="worker-") as folder:
        while not server.stopping.is_set():
            claimed = server.call("POST", "/analysis_results/", claim)
            if "id" not in claimed:
                if options.once:
                    return
                server.stopping.wait(options.poll_seconds)
                continue
            LOG.info("%s: claimed, attempt %s", claimed["analysis_id"], claimed.get("attempt"))
            with Task(server, claimed, options.lease_seconds) as task:
                try:
                    handle(task, folder)
                except (LeaseLost, Refused) as error:
                    # The task ends, or is taken over when the lease has run out.
                    LOG.warning("%s: %s", task.analysis_id, error)


class Redacted(logging.Filter):
    """Whatever a message quotes: the key is not in the log."""

    def __init__(self, secret):
        super().__init__()
        self.secret = secret

    def filter(self, record):
        record.msg, record.args = record.getMessage().replace(self.secret, "********"), None
        return True


def options_of(arguments):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--service", required=True, help="name of the service")
    parser.add_argument("--worker", default=f"{os.uname().nodename}-{os.getpid()}", help="name of this worker")
    parser.add_argument("--object-type", help="only tasks on objects of this type")
    parser.add_argument("--lease-seconds", type=int, default=300, help="10 to 86400")
    parser.add_argument("--poll-seconds", type=float, default=5.0, help="pause when nothing is pending")
    parser.add_argument("--once", action="store_true", help="end when nothing is pending")
    parser.add_argument("--verbose", action="store_true")
    return parser.parse_args(arguments)


def main(arguments):
    options = options_of(arguments)
    try:
        url, user = os.environ["CRITS_URL"], os.environ["CRITS_USER"]
        # Taken out of the environment: what this process starts doesn't get it.
        key = os.environ.pop("CRITS_KEY")
    except KeyError as error:
        print(f"{error.args[0]} is not set", file=sys.stderr)
        return 2
    handler = logging.StreamHandler()
    handler.addFilter(Redacted(key))
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        handlers=[handler],
    )
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    try:
        run(Server(url, user, key, stopping), options)
    except Stopped:
        pass
    except (Refused, LeaseLost) as error:
        LOG.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
