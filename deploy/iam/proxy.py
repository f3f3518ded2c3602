"""A recording proxy between shadowtable and moto.

Does three things that moto does not:

* It writes down who asked for which action on which table.
* It looks at resources. moto's IAM compares actions only, so a policy that allows an action on one table allows it on
  all. Where a principal's policy allows the action, but not on this resource, the proxy denies it; everything else is
  moto's decision.
* It puts moto's refusals, which are XML whatever the service, into the words that DynamoDB and Systems Manager use.

And three that nobody else can: a key in `Record.expired` is answered as one whose session token has expired, one in
`Record.without_sts` finds no STS here, and what is in `Record.revoked` is denied from then on.
"""

import contextlib
import fnmatch
import http.client
import http.server
import json
import re
import sys
import threading
import time
import urllib.parse
from dataclasses import dataclass, field

REGION = "eu-central-1"
# moto's own. (Another one, given by MOTO_ACCOUNT_ID, would be everybody's, assumed roles of other accounts included.)
ACCOUNT = "123456789012"

CORAL = "com.amazon.coral.service#"
# moto's code: the service's code, the service's message (None: made from the request).
REFUSALS = {
    "AccessDenied": ("AccessDeniedException", None),
    "InvalidClientTokenId": (
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    ),
    "SignatureDoesNotMatch": (
        "InvalidSignatureException",
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access "
        "Key and signing method. Consult the service documentation for details.",
    ),
}


@dataclass(frozen=True)
class Principal:
    """Whom an access key belongs to."""

    scenario: str
    role: str
    account: str
    grants: tuple[tuple[str, str], ...]  # (action, resource pattern)

    def allows(self, action, resource=None):
        return any(
            action == granted and (resource is None or fnmatch.fnmatchcase(resource, pattern))
            for granted, pattern in self.grants
        )


@dataclass(frozen=True)
class Call:
    """One request."""

    scenario: str
    role: str
    action: str
    resource: str
    partition: str | None  # of the state table's entry
    denied_by: str | None  # moto, proxy, or nobody
    at: float = field(default_factory=time.monotonic)


@dataclass
class Record:
    """What the proxy knows and saw."""

    principals: dict[str, Principal] = field(default_factory=dict)  # by access key
    roles: dict[str, Principal] = field(default_factory=dict)  # by ARN
    expired: set[str] = field(default_factory=set)  # access keys
    without_sts: set[str] = field(default_factory=set)  # access keys
    revoked: set[tuple[str, str, str]] = field(default_factory=set)  # (scenario, action, resource)
    calls: list[Call] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, call):
        with self.lock:
            self.calls.append(call)

    def of(self, scenario):
        with self.lock:
            return [call for call in self.calls if call.scenario == scenario]


def resource_of(service, operation, body, account):
    """The ARN that IAM would look at."""
    if service == "sts":
        return body.get("RoleArn", "*")
    if service == "ssm":
        return f"arn:aws:ssm:{REGION}:{account}:parameter/{body['Name'].lstrip('/')}"
    if "StreamArn" in body:
        return body["StreamArn"]
    if "ResourceArn" in body:
        return body["ResourceArn"]
    if "ShardIterator" in body:
        return body["ShardIterator"].split("|")[0]
    if operation == "BatchWriteItem":
        (table,) = body["RequestItems"]
    else:
        table = body["TableName"]
    return f"arn:aws:dynamodb:{REGION}:{account}:table/{table}"


def partition_of(body):
    """The partition key of a request to the state table."""
    for item in (body.get("Key"), body.get("Item")):
        if item and "pk" in item:
            return item["pk"]["S"]
    return body.get("ExpressionAttributeValues", {}).get(":p", {}).get("S")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Otherwise each reply waits for an acknowledgement of its headers.
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_POST(self):
        record = self.server.record
        payload = self.rfile.read(int(self.headers["Content-Length"]))
        credential = re.search(r"Credential=([^/]+)/[^/]+/[^/]+/([^/]+)/", self.headers["Authorization"])
        key, service = credential.groups()
        if service == "sts":
            body = dict(urllib.parse.parse_qsl(payload.decode()))
            operation = body["Action"]
        else:
            body = json.loads(payload)
            operation = self.headers["X-Amz-Target"].rsplit(".", 1)[-1]
        principal = record.principals.get(key)
        action = f"{service}:{operation}"
        resource = resource_of(service, operation, body, principal.account if principal else ACCOUNT)
        denied_by = None
        if service == "sts" and key in record.without_sts:
            reply = 404, b"", {}
        elif key in record.expired:
            reply = refusal(service, "ExpiredTokenException", "The security token included in the request is expired")
        elif principal and is_proxys_to_deny(record, principal, action, resource):
            reply = refusal(service, "AccessDeniedException", denial(principal, action, resource))
            denied_by = "proxy"
        else:
            reply, denied_by = self.relayed(service, payload, (principal, action, resource))
        # First: whoever gets the reply may look at the record.
        if principal and operation != "GetCallerIdentity":
            partition = partition_of(body)
            record.add(Call(principal.scenario, principal.role, action, resource, partition, denied_by))
        self.answer(*reply)

    def relayed(self, service, payload, asked):
        """moto's answer, and who denied it."""
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.moto_port, timeout=30)
        try:
            # All headers as they came, `Host` too: they are signed.
            upstream.putrequest("POST", self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() != "connection":
                    upstream.putheader(name, value)
            upstream.putheader("Connection", "close")
            upstream.endheaders(payload)
            reply = upstream.getresponse()
            text = reply.read()
        finally:
            upstream.close()
        code = re.search(rb"<Code>(\w+)</Code>", text) if reply.status == 403 else None
        if code and code[1].decode() in REFUSALS:
            name, message = REFUSALS[code[1].decode()]
            return refusal(service, name, message or denial(*asked)), "moto" if message is None else None
        if asked[1] == "sts:AssumeRole" and reply.status == 200:
            made = re.search(rb"<AccessKeyId>(\w+)</AccessKeyId>", text)[1].decode()
            self.server.record.principals[made] = self.server.record.roles[asked[2]]
        headers = {name: reply.getheader(name) for name in ("Content-Type", "x-amzn-requestid", "x-amz-crc32")}
        return (reply.status, text, headers), None

    def answer(self, status, text, headers):
        self.send_response(status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        # The process may have been stopped meanwhile.
        with contextlib.suppress(ConnectionError):
            self.end_headers()
            self.wfile.write(text)
            self.wfile.flush()

    def log_message(self, *_):
        pass


def refusal(service, code, message):
    """As status, body and headers, in the service's words."""
    if service == "sts":
        motos = {theirs: code for code, (theirs, _) in REFUSALS.items()}
        code = motos.get(code, code.removesuffix("Exception"))
        text = (
            '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
            f"<Code>{code}</Code><Message>{message}</Message></Error><RequestId>proxy</RequestId></ErrorResponse>"
        )
        return 403, text.encode(), {"Content-Type": "text/xml"}
    name, version = (code, "1.1") if service == "ssm" else (CORAL + code, "1.0")
    text = json.dumps({"__type": name, "Message": message})
    return 400, text.encode(), {"Content-Type": f"application/x-amz-json-{version}"}


def is_proxys_to_deny(record, principal, action, resource):
    """What moto would let through: it knows no resources."""
    revoked = (principal.scenario, action, resource) in record.revoked
    return revoked or (principal.allows(action) and not principal.allows(action, resource))


def denial(principal, action, resource):
    user = f"arn:aws:iam::{principal.account}:user/{principal.scenario}.{principal.role}"
    return (
        f"User: {user} is not authorized to perform: {action} on resource: {resource} because no identity-based policy "
        f"allows the {action} action"
    )


class Proxy(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, moto_port):
        super().__init__(("127.0.0.1", 0), Handler)
        self.moto_port = moto_port
        self.record = Record()
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        # Processes are killed here.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)
