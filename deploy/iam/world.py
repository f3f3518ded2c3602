"""One moto server with its IAM switched on, the proxy before it, and two accounts."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import boto3
from botocore.config import Config

from proxy import REGION, Proxy

# The account of a source that is reached by a role.
ELSEWHERE = "222222222222"

class World:
    """One moto server, one proxy."""

    def __init__(self, folder, binary):
        self.folder, self.binary = Path(folder), binary
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        environment = {
            "PATH": os.environ["PATH"],
            "INITIAL_NO_AUTH_ACTION_COUNT": "inf",
            "AWS_DEFAULT_REGION": REGION,
            # Anything but the environment's own credentials.
            "AWS_ACCESS_KEY_ID": "moto",
            "AWS_SECRET_ACCESS_KEY": "moto",
        }
        self.log = open(self.folder / "moto.log", "wb")
        self.moto = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            env=environment, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
        )
        self.moto_url = f"http://127.0.0.1:{self.port}"
        try:
            self.wait_for_moto()
            self.set_up()
        except BaseException:
            self.moto.kill()
            raise
        self.proxy = Proxy(self.port)

    def set_up(self):
        """Administrators of both accounts; then every request is checked, theirs too."""
        anybody = ("moto", "moto")
        self.iam = self.client("iam", anybody)
        everything = [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
        admin = self.user("admin", everything)
        # Until requests are checked, a role can be assumed that does not exist; its account then does.
        self.elsewhere = self.assume(self.client("sts", anybody), f"arn:aws:iam::{ELSEWHERE}:role/admin")
        self.role(self.client("iam", self.elsewhere), "admin", everything)
        enforce = urllib.request.Request(
            # (As a form, which is urllib's default, moto would not see the number.)
            f"{self.moto_url}/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"}
        )
        urllib.request.urlopen(enforce, timeout=10).close()
        self.iam, self.tables, self.parameters = (self.client(name, admin) for name in ("iam", "dynamodb", "ssm"))
        self.iam_elsewhere = self.client("iam", self.elsewhere)
        self.tables_elsewhere = self.client("dynamodb", self.elsewhere)
        self.parameters_elsewhere = self.client("ssm", self.elsewhere)

    def wait_for_moto(self):
        for _ in range(150):
            if self.moto.poll() is not None:
                break
            try:
                urllib.request.urlopen(f"{self.moto_url}/moto-api/", timeout=5).close()
                return
            except OSError:
                time.sleep(0.2)
        raise SystemExit(f"moto did not start; see {self.log.name}")

    def close(self):
        self.proxy.shutdown()
        self.moto.terminate()
        self.moto.wait()
        self.log.close()

    def client(self, service, keys):
        key, secret, *token = keys
        return boto3.client(
            service, endpoint_url=self.moto_url, region_name=REGION, aws_access_key_id=key,
            aws_secret_access_key=secret, aws_session_token=token[0] if token else None,
            config=Config(retries={"max_attempts": 0}),
        )

    @staticmethod
    def assume(sts, arn):
        made = sts.assume_role(RoleArn=arn, RoleSessionName="check")["Credentials"]
        return made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"]

    def user(self, name, allowed):
        """A new user and its access key."""
        self.iam.create_user(UserName=name)
        self.allow(name, allowed)
        made = self.iam.create_access_key(UserName=name)["AccessKey"]
        return made["AccessKeyId"], made["SecretAccessKey"]

    def allow(self, name, allowed):
        """Sets what a user may do."""
        self.iam.put_user_policy(UserName=name, PolicyName="policy", PolicyDocument=document(allowed))

    @staticmethod
    def role(iam, name, allowed, trusted="*"):
        trust = [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": trusted}}]
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))
        iam.put_role_policy(RoleName=name, PolicyName="policy", PolicyDocument=document(allowed))
        return made["Role"]["Arn"]


def document(allowed):
    return json.dumps({"Version": "2012-10-17", "Statement": allowed})
