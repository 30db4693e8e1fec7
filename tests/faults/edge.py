"""The edge as it runs in production: nginx with the project's own configuration, in folders of one test."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.live import ROOT, Live, Program, eventually, free_port

PARTS = ("nginx.conf", "docker/nginx/web.conf", "docker/nginx/problem.conf", "docker/nginx/start")
MIME_TYPES = Path("/etc/nginx/mime.types")
NGINX = shutil.which("nginx", path=f"{os.defpath}:/usr/sbin:/sbin")


def start_edge(live: Live, ports: list[int], **settings: str) -> Program:
    """nginx in front of web servers on these ports; `live.port` is its own from then on."""
    folder = live.folder / "edge"
    for name in ("run", "cache"):
        (folder / name).mkdir(parents=True)
    live.port = free_port()
    for part in PARTS:
        (folder / Path(part).name).write_text(_moved((ROOT / part).read_text(), folder, live.port, ports))
    shutil.copy(MIME_TYPES, folder / "mime.types")
    env = {"PATH": f"{os.defpath}:/usr/sbin:/sbin"} | settings
    checked = [*("sh", str(folder / "start")), "-t"]
    subprocess.run(checked, env=env, check=True, capture_output=True, timeout=60)
    edge = Program("edge", ["sh", str(folder / "start")], live.folder, env)
    live.programs.append(edge.start())
    eventually("the edge answers", live.is_web_up, within=60)
    return edge


def _moved(text: str, folder: Path, port: int, ports: list[int]) -> str:
    """The file with the places and addresses of this test in place of those in a container."""
    terms = "max_fails=1 fail_timeout=2s max_conns=$most;"
    servers = " ".join(f"server 127.0.0.1:{one} {terms}" for one in ports)
    moves = {
        "/run/nginx": str(folder / "run"),
        "/etc/nginx": str(folder),
        "/var/cache/nginx": str(folder / "cache"),
        "    resolver 127.0.0.11 valid=2s ipv6=off;\n    resolver_timeout 2s;\n": "",
        f"server web:7012 resolve {terms}": servers,
        "listen 8080": f"listen 127.0.0.1:{port}",
        "listen 127.0.0.1:8081": f"listen 127.0.0.1:{free_port()}",
        "$host$is_request_port$request_port": "$http_host",  # for nginx before 1.29
        "/dev/stdout edge": "off",
        "exec nginx": f"exec nginx -c {folder}/nginx.conf",
        "'daemon off;'": "'daemon off;' \"$@\"",
        "worker_processes auto;": "worker_processes auto;" + ("\nuser root;" if os.geteuid() == 0 else ""),
    }
    for there, here in moves.items():
        text = text.replace(there, here)
    return text
