#!/bin/bash
# The made-up application: puts, changes and deletes approvals, in the table that the pointer names. It reads the pointer
# before each round, so it moves over with the switch.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/items.sh"

# As the first process of a container it gets no default handling of signals. A request that was begun is finished.
trap 'echo "stopped"; exit 0' TERM INT

change() {
  aws dynamodb update-item --table-name "$1" --key "$(key_of "$1" "$2")" \
    --condition-expression 'attribute_exists(approval_id)' \
    --update-expression 'SET #status = :status, changed_at = :now' \
    --expression-attribute-names '{"#status": "status"}' \
    --expression-attribute-values '{":status": {"S": "APPROVED"}, ":now": {"N": "'"$(date +%s)"'"}}'
}

ROUND_ITEMS=5
# Beyond the items of init.sh. The time keeps numbers of a restarted writer apart from older ones.
next=$(($(date +%s) % 100000000 * 100))

while true; do
  table=$(aws dynamodb get-item --table-name "$POINTER_TABLE" --key "$POINTER_KEY" --consistent-read \
    --query 'Item.value.S' --output text)
  last=$((next + ROUND_ITEMS - 1))
  put_approvals "$table" "$next" "$last"
  # One that the copy may not have reached yet. It may have been deleted; whatever else fails is a failure.
  changed=$((RANDOM % ITEMS + 1))
  if ! said=$(change "$table" "$changed" 2>&1) && [[ $said != *ConditionalCheckFailed* ]]; then
    echo "$said" >&2
    exit 1
  fi
  deleted=$((RANDOM % ITEMS + 1))
  aws dynamodb delete-item --table-name "$table" --key "$(key_of "$table" "$deleted")"
  echo "$table: put approval-$next to approval-$last, changed approval-$changed, deleted approval-$deleted"
  next=$((last + 1))
done
