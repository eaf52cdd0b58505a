"""critsapi 0.1.1 (PyPI, Python 3): every call of CRITsAPI."""
from common import *
from critsapi.critsapi import CRITsAPI

c = CRITsAPI(api_url=URL + "/api/v1/", api_key=KEY, username=USER)
ref, b = "https://example.com/r/" + TAG, ["smoke", "two words"]

ind = attempt("add_indicator", lambda: c.add_indicator("host-%s.example.com" % TAG, "Domain", SOURCE, ref,
              campaign="smoke-camp", confidence="high", bucket_list=b, ticket="T-1", indicator_confidence="low",
              indicator_impact="medium", description="d"), created)
attempt("add_indicator defaults (campaign None, empty strings)",
        lambda: c.add_indicator("198.51.100.%d" % (int(TAG[-2:], 16)), "IPv4 Address", SOURCE), created)
title = "smoke event %s & more" % TAG      # the client puts the title into the URL by itself, unescaped
plain = "smoke-event-" + TAG
ev = attempt("add_event new (date None)", lambda: c.add_event(SOURCE, ref, plain, "Intel Sharing",
             description="d", bucket_list=b), created)
again = attempt("add_event existing returns the stored event", lambda: c.add_event(SOURCE, ref, plain, "Intel Sharing"),
                lambda r: r and r.get("_id") == ev["id"])
attempt("get_events regex=0", lambda: c.get_events(plain), lambda r: r["meta"]["total_count"] == 1)
attempt("get_events regex=0 is not a regex", lambda: c.get_events("smoke-event"), lambda r: r["meta"]["total_count"] == 0)
attempt("get_events regex=1", lambda: c.get_events(plain[:-2], regex=True), lambda r: r["meta"]["total_count"] >= 1)
attempt("get_events title with & does not break the call", lambda: c.get_events(title), lambda r: r is not None)

data = sample_bytes()
path = tmpfile(data, "smoke.bin")
s = attempt("add_sample_file", lambda: c.add_sample_file(path, SOURCE, ref, sample_name="named-%s.exe" % TAG,
            bucket_list=b, description="d"), created)
attempt("add_sample_meta (upload_type 'meta', empty size)", lambda: c.add_sample_meta(SOURCE, ref, filename="m.exe",
        md5=md5(b"m" + TAG.encode()), bucket_list=b), lambda r: r is not None)
attempt("get_samples md5", lambda: c.get_samples(md5=md5(data)), lambda r: r["objects"][0]["_id"] == s["id"])
attempt("get_samples sha256", lambda: c.get_samples(sha256=sha256(data)), lambda r: r["meta"]["total_count"] == 1)
attempt("get_samples none", lambda: c.get_samples(md5="0" * 32), lambda r: r is None)
em = tmpfile(eml_bytes(), "m.eml")
e = attempt("add_email eml (bucket_list as repeated keys)", lambda: c.add_email(em, SOURCE, ref, upload_type="eml",
            bucket_list=b), created)
attempt("  both buckets stored", lambda: get("/api/v1/emails/%s/" % e["id"]), lambda d: set(b) <= set(d["bucket_list"]))
attempt("add_email raw", lambda: c.add_email(em, SOURCE, ref), created)
bd = attempt("add_backdoor", lambda: c.add_backdoor("bd-" + TAG, SOURCE, ref, aliases=["x", "y"], version="1.0",
             bucket_list=b), created)
attempt("get_backdoors sends no credentials -> client says None", lambda: c.get_backdoors("bd-" + TAG), lambda r: r is None)
attempt("get_backdoor sends no credentials -> client says None", lambda: c.get_backdoor("bd-" + TAG, "1.0"), lambda r: r is None)
attempt("add_profile_point (resource no longer exists) -> None", lambda: c.add_profile_point("pp", SOURCE), lambda r: r is None)
attempt("get_object", lambda: c.get_object(ind["id"], "Indicator"), lambda d: d["_id"] == ind["id"] and "relationships" in d)
attempt("get_object unknown id -> None", lambda: c.get_object("0" * 24, "Sample"), lambda r: r is None)
attempt("forge_relationship (form PATCH, str(datetime))", lambda: c.forge_relationship(ev["id"], "Event", ind["id"], "Indicator",
        rel_reason="because"), lambda r: r is True)
attempt("has_relationship left", lambda: c.has_relationship(ev["id"], "Event", ind["id"], "Indicator"), lambda r: r is True)
attempt("has_relationship right (inverse stored)", lambda: c.has_relationship(ind["id"], "Indicator", ev["id"], "Event"),
        lambda r: r is True)
attempt("status_update", lambda: c.status_update(ind["id"], "Indicator", "Analyzed"), lambda r: r is True)
attempt("  status stored", lambda: c.get_object(ind["id"], "Indicator"), lambda d: d["status"] == "Analyzed")
attempt("source_add_update (JSON text, no Content-Type, no tlp)", lambda: c.source_add_update(ind["id"], "Indicator", SOURCE,
        method="again", reference="r2"), lambda r: r is True)
attempt("  instance stored", lambda: get("/api/v1/indicators/%s/" % ind["id"]),
        lambda d: [i["tlp"] for s in d["source"] for i in s["instances"] if i["reference"] == "r2"] == ["amber"])
done()
