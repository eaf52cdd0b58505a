"""phishme-intelligence 4.8.0 (PyPI sdist, Python 2.7): its CRITs output. Credentials in the query of every POST; campaign is a
(None, name) pair, i.e. sent once as name; campaigns get an unwanted `source`."""
from common import *
import ConfigParser
from phishme_intelligence.output.product.crits.crits import Crits
cp = ConfigParser.ConfigParser()
for s, kv in {"integration_crits": dict(user=USER, api_token=KEY, host_with_protocol=URL, source=SOURCE, ssl_verify="False"),
              "local_proxy": dict(use="False")}.items():
    cp.add_section(s)
    for k, v in kv.items(): cp.set(s, k, v)
class O(object):
    def __init__(self, **k): self.__dict__.update(k)
def block(t, v, impact="Major"): return O(block_type=t, watchlist_ioc=v, impact=impact, role_description="role")
mrti = O(threat_id=int(TAG[-4:], 16), label="Label " + TAG, executiveSummary="sum",
         executable_set=[O(md5=md5(TAG.encode()), sha1=None, sha256=None, file_name="a b.exe", malware_family=None, malware_family_description=None)],
         block_set=[block("Domain Name", "pm-%s.example.com." % TAG), block("IPv4 Address", "198.51.100.%d" % int(TAG[-2:], 16), "Minor"),
                    block("URL", "http://pm-%s[.]example[.]com/x?" % TAG, "Moderate"), block("Email", "pm-%s@example.com" % TAG, "None")])
import logging
errs = []
class H(logging.Handler):
    def emit(self, r):
        if r.levelno >= logging.ERROR: errs.append(r.getMessage())
logging.getLogger().addHandler(H())
c = Crits(cp, "integration_crits")
attempt("process one threat", lambda: c.process(mrti, mrti.threat_id) or True)
check("no errors logged", errs == [], errs)
name = "%s (%d)" % (mrti.label, mrti.threat_id)
check("campaign stored", get("/api/v1/campaigns/", **{"c-name": name})["meta"]["total_count"] == 1)
s = get("/api/v1/samples/", **{"c-md5": md5(TAG.encode())})
check("sample metadata stored with campaign", s["meta"]["total_count"] == 1 and s["objects"][0]["campaign"][0]["name"] == name, s)
for t, v in [("Domain", "pm-%s.example.com" % TAG), ("URI", "http://pm-%s.example.com/x" % TAG), ("Email Address", "pm-%s@example.com" % TAG),
             ("IPv4 Address", "198.51.100.%d" % int(TAG[-2:], 16))]:
    check("indicator " + t, get("/api/v1/indicators/", **{"c-type": t, "c-value": v})["meta"]["total_count"] == 1)
done()
