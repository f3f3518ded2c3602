# Items of the made-up application, for init.sh and writer.sh. To be sourced.
# shellcheck shell=bash
# shellcheck disable=SC2034 # used by those who source it

# Version 1 of the AWS CLI reads this one.
export AWS_DEFAULT_REGION="${AWS_DEFAULT_REGION:-${AWS_REGION:-}}"

# In the source at the start: approvals 1 to this.
ITEMS=1000
SOURCE=TaskApprovals
SHADOW=TaskApprovals-v2
POINTER_TABLE=settings
POINTER_KEY='{"name": {"S": "task-approvals-table"}}'

# An approval's task follows from its number, so that the shadow's key is known to whoever knows the source's.
task_of() { echo "task-$(($1 % 20))"; }

# Puts the approvals numbered $2 to $3 into table $1, at most 25, in one request.
put_approvals() {
  local table=$1 first=$2 last=$3 number requests=""
  for ((number = first; number <= last; number++)); do
    requests+="${requests:+,}{\"PutRequest\": {\"Item\": {
      \"approval_id\": {\"S\": \"approval-$number\"}, \"task_id\": {\"S\": \"$(task_of "$number")\"},
      \"user_id\": {\"S\": \"user-$((number % 50))\"}, \"status\": {\"S\": \"PENDING\"},
      \"title\": {\"S\": \"Approval $number\"}, \"requested_at\": {\"N\": \"$(date +%s)\"},
      \"text\": {\"S\": \"$(printf '%0400d' "$number")\"}}}}"
  done
  aws dynamodb batch-write-item --request-items "{\"$table\": [$requests]}" >/dev/null
}

# The primary key of approval $2 in table $1: the application knows both layouts before it is moved.
key_of() {
  local key="\"approval_id\": {\"S\": \"approval-$2\"}"
  if [[ $1 == "$SHADOW" ]]; then
    key="\"task_id\": {\"S\": \"$(task_of "$2")\"}, $key"
  fi
  echo "{$key}"
}
