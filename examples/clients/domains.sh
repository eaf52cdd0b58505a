#!/usr/bin/env bash
# Adds a domain, lists domains, looks one up and adds a ticket to it, with curl alone.
set -euo pipefail
: "${CRITS_URL:?}" "${CRITS_USER:?}" "${CRITS_KEY:?}" "${CRITS_SOURCE:?}"

api() { curl --silent --show-error --header "Authorization: ApiKey $CRITS_USER:$CRITS_KEY" "$@"; }

echo "Adding www.fakedomain.com:"
api --data-urlencode 'domain=www.fakedomain.com' --data-urlencode "source=$CRITS_SOURCE" "$CRITS_URL/api/v1/domains/"
echo

echo "The first three domains, with these fields alone:"
api "$CRITS_URL/api/v1/domains/?limit=3&only=domain,created"
echo

echo "Looking up www.fakedomain.com:"
found=$(api --get --data-urlencode 'c-domain=www.fakedomain.com' --data 'only=_id' "$CRITS_URL/api/v1/domains/")
echo "$found"
id=$(sed -n 's/.*"_id": *"\([0-9a-f]\{24\}\)".*/\1/p' <<<"$found")

echo "Adding a ticket to it:"
api --request PATCH --header 'Content-Type: application/json' \
  --data '{"action": "ticket_add", "ticket": {"ticket_number": "CASE-1", "date": "2026-01-15 10:00:00"}}' \
  "$CRITS_URL/api/v1/domains/$id/"
echo
