"""pycrits 1.0.3 (PyPI, Python 2.7 only): new(), objects(), update() of every class.

Quirks this exercises: update() builds ".../<resource>//<id>/" (two slashes), PATCH bodies are JSON text without a
Content-Type, `only=` is sent empty, error bodies are parsed as {"error": {...}}.
"""
from common import *
import datetime
os.environ.setdefault("CRITS_API_URL", URL); os.environ.setdefault("CRITS_USER_ID", USER); os.environ.setdefault("CRITS_API_KEY", KEY)
# The published package cannot be imported as it is (it imports a name from its own half-loaded __init__);
# give it the missing name first.
_m = types.ModuleType("pycrits.__init__"); setattr(_m, "__ACCESS_TOKEN", None); sys.modules["pycrits.__init__"] = _m
from pycrits.access_token import access_token
access_token(crits_url=URL, user_id=USER, api_key=KEY)
from pycrits.actor import Actor
from pycrits.backdoor import Backdoor
from pycrits.campaign import Campaign
from pycrits.certificate import Certificate
from pycrits.comment import Comment
from pycrits.domain import Domain
from pycrits.email import Email
from pycrits.event import Event
from pycrits.exploit import Exploit
from pycrits.indicator import Indicator
from pycrits.ip import IP
from pycrits.pcap import PCAP
from pycrits.raw import Raw
from pycrits.sample import Sample
from pycrits.screenshot import Screenshot
from pycrits.signature import Signature
from pycrits.target import Target

S = {"source": SOURCE}
def P(**k): k.update(S); return k

ids = {}
def new(cls, params, file=None):
    r = attempt("new " + cls.__name__, lambda: cls.new(params=dict(params), file=file), created)
    ids[cls] = (r or {}).get("id")
    return ids[cls]

new(Actor, P(name="actor-" + TAG, aliases="a1,a2", description="d", bucket_list="smoke"))
new(Backdoor, P(name="bd-" + TAG, version="1.0"))
new(Campaign, {"name": "camp-" + TAG})
new(Certificate, P(), tmpfile(cert_bytes(), "c.pem"))
new(Domain, P(domain="www-%s.example.com" % TAG))
new(Event, P(title="ev-" + TAG, event_type="Phishing", description="d"))
new(Exploit, P(name="exp-" + TAG))
new(Indicator, P(value="http://%s.example.com/p?q=1" % TAG, type="URI"))
new(IP, P(ip="203.0.113.%d" % int(TAG[-2:], 16), ip_type="IPv4 Address"))
new(PCAP, P(), tmpfile(pcap_bytes(), "p.pcap"))
new(Raw, P(upload_type="file", data_type=RAW_TYPE, title="raw-" + TAG), tmpfile(b"raw " + TAG.encode(), "r.txt"))
new(Raw, P(upload_type="metadata", data_type=RAW_TYPE, title="raw2-" + TAG, data="inline " + TAG))
data = sample_bytes()
new(Sample, P(upload_type="file", file_format="raw"), tmpfile(data, "s.bin"))
new(Signature, P(title="sig-" + TAG, data_type=SIG_TYPE, data="alert tcp any any -> any any (sid:1;)"))
new(Target, {"email_address": "t-%s@example.com" % TAG, "firstname": "F"})
new(Email, P(date="2020-03-03 10:11:12", upload_type="fields", subject="s " + TAG, from_address="f@example.com", to="t@example.com"))
new(Screenshot, P(upload_type="screenshot", oid=ids[Sample], otype="Sample"), tmpfile(png_bytes(), "x.png"))
attempt("new Comment", lambda: Comment.new(params={"comment": "c", "object_id": ids[Sample], "object_type": "Sample"}),
        lambda r: r["return_code"] == 0)

for cls in (Actor, Backdoor, Campaign, Certificate, Domain, Email, Event, Exploit, Indicator, IP, PCAP, Raw, Sample,
            Screenshot, Signature, Target):
    def first():
        for o in cls.objects():            # follows meta.next
            return o
    attempt("objects %s yields an instance" % cls.__name__, first, lambda o: o is not None and o.get("_id"))
attempt("objects with query + returnfields (only= sent empty)",
        lambda: list(Backdoor.objects(query={"name": "bd-" + TAG, "version": "1.0"}, returnfields=["name"], dict_generator=True)),
        lambda l: len(l) == 1 and l[0]["_id"] == ids[Backdoor])
attempt("objects useor", lambda: list(Backdoor.objects(query={"name": "bd-" + TAG, "version": "nope"}, useor=True, dict_generator=True)),
        lambda l: len(l) >= 1)
attempt("objects useregex", lambda: list(Domain.objects(query={"domain": TAG}, useregex=True, dict_generator=True)),
        lambda l: len(l) >= 1)
for i in range(23):
    Actor.new(params=P(name="page-%s-%02d" % (TAG, i)))
attempt("objects pages through meta.next (23 > default 20)",
        lambda: list(Actor.objects(query={"name": "page-" + TAG}, useregex=True, dict_generator=True)),
        lambda l: len(set(o["_id"] for o in l)) == 23)

now = datetime.datetime.now().strftime("%Y-%m-%d %H:%M:%S.%f")
for cls in (Backdoor, Event, Indicator, Sample):
    attempt("update %s ticket_add (path with //)" % cls.__name__,
            lambda: cls.update(id=ids[cls], data={"action": "ticket_add", "ticket": {"ticket_number": "11", "date": now}}),
            lambda r: r["return_code"] == 0)
attempt("  ticket stored", lambda: get("/api/v1/backdoors/%s/" % ids[Backdoor]), lambda d: d["tickets"][0]["ticket_number"] == "11")
try:
    list(Backdoor.objects(query={"name": "x" * 3}, dict_generator=True)); check("no match gives an empty list", True)
except Exception as e:
    check("no match gives an empty list", False, e)
done()
