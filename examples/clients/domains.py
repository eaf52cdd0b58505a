#!/usr/bin/env python3
"""Adds a domain, lists domains, looks one up and adds a ticket to it."""

import os

import requests

API = os.environ["CRITS_URL"] + "/api/v1"
SOURCE = os.environ["CRITS_SOURCE"]

session = requests.Session()
session.headers["Authorization"] = "ApiKey {CRITS_USER}:{CRITS_KEY}".format(**os.environ)


def main():
    name = "www.fakedomain.com"
    answer = session.post(
        API + "/domains/",
        data={"domain": name, "source": SOURCE},
        headers={"Prefer": "status=201"},
        timeout=30,
    )
    body = answer.json()
    if body["return_code"] != 0:
        raise SystemExit(f"not added: {body.get('message')}")
    # 201: the domain is new. 200: it was there, and the source was added to it.
    print("added" if answer.status_code == 201 else "updated", name, body["id"])

    page = session.get(API + "/domains/", params={"limit": 3, "only": "domain,created"}, timeout=30).json()
    print(page["meta"]["total_count"], "domains, for example", [found["domain"] for found in page["objects"]])

    found = session.get(API + "/domains/", params={"c-domain": name}, timeout=30).json()["objects"][0]
    ticket = {"ticket_number": "CASE-1", "date": "2026-01-15 10:00:00"}
    answer = session.patch(
        f"{API}/domains/{found['_id']}/", json={"action": "ticket_add", "ticket": ticket}, timeout=30
    ).json()
    print("ticket:", answer["message"])


if __name__ == "__main__":
    main()
