"""What the scripts of the clients share; works on Python 2.7 and 3.

Each step prints a line, `ok   NAME` or `FAIL NAME   <- WHAT`; the last line has the numbers of both. Exit code 0: all passed.

Environment, all required:
  CRITS_URL       base URL, no slash at the end
  CRITS_USER      user name
  CRITS_KEY       API key
  CRITS_SOURCE    a source that the user may read and write
  CRITS_RAW_TYPE  a raw data type
  CRITS_SIG_TYPE  a signature type
"""
from __future__ import print_function
import os, sys, time, types, hashlib, binascii, struct

URL = os.environ["CRITS_URL"]
USER = os.environ["CRITS_USER"]
KEY = os.environ["CRITS_KEY"]
SOURCE = os.environ["CRITS_SOURCE"]
RAW_TYPE = os.environ["CRITS_RAW_TYPE"]
SIG_TYPE = os.environ["CRITS_SIG_TYPE"]
TAG = "%x%04x" % (int(time.time()), os.getpid() & 0xFFFF)   # unique per run

_ok, _bad = [], []


def check(name, cond, detail=""):
    (_ok if cond else _bad).append(name)
    print("%-4s %s%s" % ("ok" if cond else "FAIL", name, "" if cond else "   <- %r" % (detail,)))
    return cond


def attempt(name, fn, test=None):
    """Run fn(); fail on an exception of it or of test(result), or if that is false; return the result."""
    res = None
    try:
        res = fn()
        passed = True if test is None else bool(test(res))
    except BaseException as e:                              # clients raise all sorts of things
        check(name, False, "%s: %s (%r)" % (type(e).__name__, e, res))
        return res
    check(name, passed, res)
    return res


def done():
    print("-- %d ok, %d failed" % (len(_ok), len(_bad)))
    sys.exit(1 if _bad else 0)


def created(r):
    """The envelope every create call must give."""
    return isinstance(r, dict) and r.get("return_code") == 0 and len(str(r.get("id", ""))) == 24


# ---- small inputs, made here ------------------------------------------------
def sample_bytes(n=0):
    return b"MZ\x90\x00" + ("smoke %s %d" % (TAG, n)).encode() + bytes(bytearray(range(256)))

def pcap_bytes():
    pkt = b"\xff" * 12 + b"\x08\x00" + TAG.encode()
    return (struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
            + struct.pack("<IIII", 1, 0, len(pkt), len(pkt)) + pkt)

def cert_bytes():
    b = binascii.b2a_base64(("not parsed " + TAG).encode()).decode().strip()
    return ("-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n" % b).encode()

def png_bytes():
    import zlib
    def chunk(t, d):
        return struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d) & 0xFFFFFFFF)
    rgb = hashlib.md5(TAG.encode()).digest()[:3]
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(b"\x00" + rgb)) + chunk(b"IEND", b""))

def eml_bytes():
    return ("From: Sender <sender-%s@example.com>\r\nTo: rcpt@example.org\r\nSubject: smoke %s\r\n"
            "Date: Tue, 03 Mar 2020 10:11:12 +0000\r\nMessage-ID: <%s@example.com>\r\n"
            "Content-Type: text/plain\r\n\r\nbody %s\r\n" % ((TAG,) * 4)).encode()

def md5(b): return hashlib.md5(b).hexdigest()
def sha256(b): return hashlib.sha256(b).hexdigest()

def tmpfile(data, name):
    import tempfile
    p = os.path.join(tempfile.mkdtemp(prefix="smoke"), name)
    with open(p, "wb") as f:
        f.write(data)
    return p


# ---- plain HTTP, for checking what a client did --------------------------------
def get(path, **params):
    import requests
    params.update(username=USER, api_key=KEY)
    return requests.get(URL + path, params=params).json()
