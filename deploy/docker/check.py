"""Whether Compose's model of this folder is safe, and its files fit together: check.py <model as JSON>. Run by `cargo xtask deploy`."""

import json, os, pathlib, re, subprocess, sys, tomllib
import yaml

folder = pathlib.Path("deploy/docker").resolve()
model = json.loads(pathlib.Path(sys.argv[1]).read_text())
services = model["services"]
mistakes = []


def demand(holds, what):
    if not holds:
        mistakes.append(what)


settings = tomllib.loads((folder / "shadowtable.toml").read_text())
grace = settings.get("lease", {}).get("grace_seconds", 20)

for name, service in services.items():
    demand(re.search(r":[^/]+$", service["image"]) and not service["image"].endswith(":latest"), f"{name}: no version of {service['image']}")
    demand(service.get("read_only") is True, f"{name}: its root is writable")
    demand(service.get("cap_drop") == ["ALL"], f"{name}: it keeps capabilities")
    demand(service.get("security_opt") == ["no-new-privileges:true"], f"{name}: it may gain privileges")
    demand(not service.get("privileged") and not service.get("cap_add"), f"{name}: it is given privileges")
    for port in service.get("ports", []):
        demand(port.get("host_ip") == "127.0.0.1", f"{name}: port {port['target']} is open to others")
    for mount in service.get("volumes", []):
        demand(os.path.exists(mount["source"]), f"{name}: {mount['source']} does not exist")
        demand(mount.get("read_only") is True, f"{name}: {mount['target']} is writable")
    if "build" in service:
        build = service["build"]
        demand((pathlib.Path(build["context"]) / build["dockerfile"]).is_file(), f"{name}: there is no {build['dockerfile']}")
        stop = re.fullmatch(r"(\d+)s", service.get("stop_grace_period", "10s"))
        demand(stop and int(stop[1]) > grace, f"{name}: it is killed before lease.grace_seconds are over")
    for other in service.get("depends_on") or {}:
        demand(other in services, f"{name}: there is no {other} to wait for")
    for path in [word for word in service.get("entrypoint") or [] if word.startswith("/scripts/")]:
        demand(path in [mount["target"] for mount in service["volumes"]], f"{name}: {path} is not mounted")

# Names that must agree between files.
scrapes = yaml.safe_load((folder / "prometheus.yml").read_text())["scrape_configs"]
targets = [target for scrape in scrapes for entry in scrape["static_configs"] for target in entry["targets"]]
built = [name for name, service in services.items() if "build" in service]
demand(sorted(targets) == sorted(f"{name}:9464" for name in built), f"Prometheus scrapes {targets}, and {built} run")
for name in built:
    environment = services[name]["environment"]
    demand(sorted(environment["SHADOWTABLE_ADMIN_ALLOWED_HOSTS"].split(",")) == sorted(built), f"{name}: Prometheus is refused")
    mounts = {mount["target"]: mount["source"] for mount in services[name]["volumes"]}
    demand(environment["SHADOWTABLE_CONFIG"] in mounts, f"{name}: its configuration is not mounted")
    layout = os.path.join(os.path.dirname(environment["SHADOWTABLE_CONFIG"]), settings["target"]["layout"])
    demand(layout in mounts, f"{name}: its layout is not mounted")
    if binary := os.environ.get("BINARY"):
        variables = {key: value for key, value in environment.items() if key != "SHADOWTABLE_CONFIG"}
        command = [binary, "--config", str(folder / "shadowtable.toml"), "config", "check"]
        demand(subprocess.run(command, env=variables, stdout=subprocess.DEVNULL).returncode == 0, f"{name}: its configuration is refused")

script = '. ./items.sh; printf "%s\\n" "$SOURCE" "$SHADOW" "$POINTER_TABLE" "$POINTER_KEY"'
source, shadow, table, key = subprocess.check_output(["bash", "-c", script], cwd=folder, text=True).splitlines()
demand(source == settings["source"]["table"] and shadow == settings["shadow"]["table"], "items.sh and shadowtable.toml name other tables")
cutover = settings["cutover"]
demand(table == cutover["pointer_table"] and json.loads(key) == json.loads(cutover["pointer_key"]), "items.sh and shadowtable.toml name other pointers")

grafana = {mount["target"]: mount["source"] for mount in services["grafana"]["volumes"]}
home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
dashboards = yaml.safe_load((folder / "grafana/dashboards.yml").read_text())["providers"]
demand([provider["options"]["path"] for provider in dashboards] == [os.path.dirname(home)], "the dashboard is not where Grafana looks")
demand(home in grafana, "the dashboard is not mounted")
uids = [source["uid"] for source in yaml.safe_load((folder / "grafana/datasources.yml").read_text())["datasources"]]
demand(uids == ["prometheus"], f"the dashboard's data source is `prometheus`, not {uids}")

# The image.
dockerfile = (folder / "Dockerfile").read_text()
rust = tomllib.loads(pathlib.Path("Cargo.toml").read_text())["package"]["rust-version"]
demand(re.search(rf"^FROM rust:{re.escape(rust)}(\.\d+)?-slim", dockerfile, re.M), f"the Dockerfile's Rust is not {rust}")
for line in (folder / "Dockerfile.dockerignore").read_text().splitlines():
    if line.startswith("!"):
        demand(any(pathlib.Path().glob(line[1:])), f"Dockerfile.dockerignore: there is no {line[1:]}")

for mistake in mistakes:
    print(f"deploy/docker: {mistake}", file=sys.stderr)
print(f"{len(services)} services")
sys.exit(bool(mistakes))
