#!/bin/bash
# Creates and fills the source, and the item that names the table which the writer uses. Ends at once where both are there.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/items.sh"

for ((attempt = 1; ; attempt++)); do
  if tables=$(aws dynamodb list-tables --query 'TableNames' --output text 2>&1); then
    break
  fi
  if ((attempt == 60)); then
    echo "DynamoDB Local does not answer: $tables" >&2
    exit 1
  fi
  sleep 1
done

# The pointer is written last, so it is there only when all is.
if [[ " ${tables//$'\t'/ } " == *" $POINTER_TABLE "* ]] \
  && [[ $(aws dynamodb get-item --table-name "$POINTER_TABLE" --key "$POINTER_KEY" --query 'Item.value.S' --output text) != None ]]; then
  echo "the source is there already"
  exit 0
fi

aws dynamodb create-table --table-name "$SOURCE" --billing-mode PAY_PER_REQUEST \
  --attribute-definitions AttributeName=approval_id,AttributeType=S \
  --key-schema AttributeName=approval_id,KeyType=HASH \
  --stream-specification StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES >/dev/null
aws dynamodb create-table --table-name "$POINTER_TABLE" --billing-mode PAY_PER_REQUEST \
  --attribute-definitions AttributeName=name,AttributeType=S \
  --key-schema AttributeName=name,KeyType=HASH >/dev/null
aws dynamodb wait table-exists --table-name "$SOURCE"
aws dynamodb wait table-exists --table-name "$POINTER_TABLE"

for ((first = 1; first <= ITEMS; first += 25)); do
  last=$((first + 24))
  put_approvals "$SOURCE" "$first" "$((last < ITEMS ? last : ITEMS))"
done
aws dynamodb put-item --table-name "$POINTER_TABLE" \
  --item '{"name": {"S": "task-approvals-table"}, "value": {"S": "'"$SOURCE"'"}}'
echo "$SOURCE has $ITEMS items"
