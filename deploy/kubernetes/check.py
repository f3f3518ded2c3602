"""Whether an overlay's objects are valid, safe and fit together: check.py <objects as YAML> <overlay>. Run by `cargo xtask deploy`."""

import os, pathlib, re, subprocess, sys, tempfile, tomllib
import kubernetes_validate
import yaml

made, overlay = pathlib.Path(sys.argv[1]), sys.argv[2]
objects = [one for one in yaml.safe_load_all(made.read_text()) if one]
mistakes = []


def demand(holds, what):
    if not holds:
        mistakes.append(what)


def named(one):
    return f"{one['kind']} {one['metadata']['name']}"


def of_kind(kind):
    found = [one for one in objects if one["kind"] == kind]
    if len(found) != 1:
        sys.exit(f"{overlay}: {len(found)} objects of kind {kind} instead of one")
    return found[0]


def known(what, value, keys):
    """The operator's schema is in no package: the monitor may say what is listed here."""
    demand(isinstance(value, dict) and set(value) <= set(keys), f"PodMonitor: {what} may have {keys}, and is {value}")


for one in objects:
    if (one["apiVersion"], one["kind"]) == ("monitoring.coreos.com/v1", "PodMonitor"):
        continue
    for version in os.environ["KUBERNETES"].split():
        try:
            kubernetes_validate.validate(one, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            demand(False, f"{named(one)}, Kubernetes {version}: {'.'.join(map(str, error.path))}: {error.message}")
        except kubernetes_validate.SchemaNotFoundError:
            demand(False, f"{named(one)}, Kubernetes {version}: there is no schema of {one['apiVersion']}")

deployment, config = of_kind("Deployment"), of_kind("ConfigMap")
pod = deployment["spec"]["template"]
labels, spec = pod["metadata"]["labels"], pod["spec"]
[container] = spec["containers"]
demand("app.kubernetes.io/instance" in labels, "pods of two migrations cannot be told apart")

monitor = of_kind("PodMonitor")
known("it", monitor, ["apiVersion", "kind", "metadata", "spec"])
known("spec", monitor["spec"], ["jobLabel", "selector", "podMetricsEndpoints"])
known("selector", monitor["spec"]["selector"], ["matchLabels"])
for endpoint in monitor["spec"]["podMetricsEndpoints"]:
    known("an endpoint", endpoint, ["port", "path", "interval"])
    demand(re.fullmatch(r"\d+s", endpoint.get("interval", "")), "PodMonitor: an interval is a number of seconds, such as 10s")
    demand(endpoint.get("path") == "/metrics", "PodMonitor: metrics are at /metrics")
jobs = set(re.findall(r'job="([^"]*)"', pathlib.Path("deploy/prometheus/rules.yml").read_text()))
demand(jobs == {labels.get(monitor["spec"]["jobLabel"])}, f"the rules look for jobs {jobs}, and the PodMonitor makes another")

# Whatever selects pods must select these, and no others.
selectors = {
    "Deployment": deployment["spec"]["selector"],
    "PodDisruptionBudget": of_kind("PodDisruptionBudget")["spec"].get("selector"),
    "NetworkPolicy": of_kind("NetworkPolicy")["spec"]["podSelector"],
    "PodMonitor": monitor["spec"]["selector"],
} | {constraint["topologyKey"]: constraint.get("labelSelector") for constraint in spec["topologySpreadConstraints"]}
for what, selector in selectors.items():
    demand(selector == {"matchLabels": labels}, f"{what} selects {selector}, and the pods have {labels}")

# Names and numbers that must agree.
demand(spec["serviceAccountName"] == of_kind("ServiceAccount")["metadata"]["name"], "the pods' service account is not there")
[volume] = spec["volumes"]
demand(volume["configMap"]["name"] == config["metadata"]["name"], "the pods' configuration is not there")
[port] = container["ports"]
probes = [container[f"{probe}Probe"]["httpGet"]["port"] for probe in ("startup", "liveness", "readiness")]
scraped = [endpoint.get("port") for endpoint in monitor["spec"]["podMetricsEndpoints"]]
demand({*probes, *scraped} == {port["name"]}, f"ports {probes} are probed, {scraped} is scraped, {port['name']} is there")
environment = {variable["name"]: variable["value"] for variable in container["env"]}
[opened] = of_kind("NetworkPolicy")["spec"]["ingress"][0]["ports"]
numbers = [port["containerPort"], opened["port"], int(environment["SHADOWTABLE_ADMIN_LISTEN"].rpartition(":")[2])]
demand(len(set(numbers)) == 1, f"port, network policy and admin.listen differ: {numbers}")
[mount] = container["volumeMounts"]
demand(environment["SHADOWTABLE_CONFIG"] == f"{mount['mountPath']}/shadowtable.toml", "SHADOWTABLE_CONFIG is not where it is mounted")
demand(":" in container["image"].rpartition("/")[2], f"no version of {container['image']}")
settings = tomllib.loads(config["data"]["shadowtable.toml"])
layout = config["data"].get(settings["target"]["layout"])
demand(layout and "KeySchema" in yaml.safe_load(layout), "the layout is not in the ConfigMap")
grace = settings.get("lease", {}).get("grace_seconds", 20)
demand(spec["terminationGracePeriodSeconds"] > grace, "pods are killed before lease.grace_seconds are over")
surge = deployment["spec"]["strategy"]["rollingUpdate"]
demand(surge == {"maxSurge": 1, "maxUnavailable": 0}, "a rollout does not stand by before it stops")

# What the restricted Pod Security Standard asks for, and a little more.
whole, one = spec["securityContext"], container["securityContext"]
demand(whole["runAsNonRoot"] is True and whole["runAsUser"] > 0, "pods run as root")
demand(whole["seccompProfile"] == {"type": "RuntimeDefault"}, "pods have no seccomp profile")
demand(one["allowPrivilegeEscalation"] is False and one["capabilities"] == {"drop": ["ALL"]}, "pods keep privileges")
demand(one["readOnlyRootFilesystem"] is True, "the root is writable")
demand(spec["automountServiceAccountToken"] is False and spec["enableServiceLinks"] is False, "pods are given what they do not need")

if binary := os.environ.get("BINARY"):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in config["data"].items():
            pathlib.Path(folder, name).write_text(text)
        variables = {key: value for key, value in environment.items() if key != "SHADOWTABLE_CONFIG"}
        command = [binary, "--config", f"{folder}/shadowtable.toml", "config", "check"]
        demand(subprocess.run(command, env=variables, stdout=subprocess.DEVNULL).returncode == 0, "the configuration is refused")

for mistake in mistakes:
    print(f"{overlay}: {mistake}", file=sys.stderr)
print(f"{overlay}: {len(objects)} objects")
sys.exit(bool(mistakes))
