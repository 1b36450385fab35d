"""What an operator does with the units, as docs/systemd.md tells it: several daemons, copies, moves."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from functools import partial

from daemon.stores.places import postgres_program
from tests.acceptance.settings import ROOT
from tests.support.gateway_server import FakeEvolution
from tests.systemd.machine import Machine
from tests.systemd.service import CONFIG, MAJLIS, UNIT, Service, free_port, heard


def test_of_two_daemons_on_one_host_one_acts_and_the_other_takes_over(
    service: Service, gateway: FakeEvolution
) -> None:
    """`majlis@<port>`: each partition has one owner; any door takes anything; the owner stops, the other goes on."""
    box, stores = service.machine, "/var/lib/majlis-shared"
    box.systemctl("stop", "majlis.socket", UNIT)
    box.run(
        *("systemd-run", "--unit=shared-stores", "--uid=majlis", "--service-type=notify"),
        *("-p", "StateDirectory=majlis-shared", "-p", f"WorkingDirectory={ROOT}", "-p", "KillMode=mixed"),
        *("-p", "ProtectHome=tmpfs", "-p", f"BindReadOnlyPaths={sys.base_prefix} {sys.prefix} {ROOT}"),
        *(sys.executable, "-m", "tests.systemd.shared_stores", stores),
    )
    places = {
        "MAJLIS_REDIS__URL": f"unix://{stores}/run/redis.sock?db=0",
        "MAJLIS_POSTGRES__DSN": f"postgresql://majlis@/majlis?host={stores}/run",
    }
    box.run("env", *(f"{key}={value}" for key, value in places.items()), MAJLIS, "migrate", "-c", CONFIG)
    ports = (free_port(), free_port())
    for port in ports:
        box.write(f"/etc/majlis/{port}.env", "".join(f"{key}={value}\n" for key, value in places.items()))
    box.systemctl("start", *(f"majlis@{port}.{kind}" for port in ports for kind in ("socket", "service")))
    try:
        box.wait_for(lambda: sum(_owned(box, port) for port in ports) == 256, "each partition has its owner")
        owner, other = sorted(ports, key=partial(_owned, box), reverse=True)
        doors = [replace(service, port=port) for port in ports]
        phones = [f"551180100{number:04d}" for number in range(12)]
        posts = [(phone, door) for phone in phones for door in doors]
        told = [door.post(phone, f"to-{phone}-{door.port}") for phone, door in posts]
        assert set(told) == {200}
        box.systemctl("stop", f"majlis@{owner}.socket", f"majlis@{owner}.service")
        box.wait_for(lambda: _owned(box, other) == 256, "the other owns all")
        box.wait_for(
            lambda: all(len(heard(gateway, phone)) == len(doors) for phone in phones),
            "everybody is answered",
        )
        assert replace(service, port=other).post("5511801009999", "alone") == 200
        box.wait_for(lambda: heard(gateway, "5511801009999") == ["alone"], "it is answered")
    finally:
        box.systemctl("stop", *(f"majlis@{port}.{kind}" for port in ports for kind in ("socket", "service")))
        box.systemctl("stop", "shared-stores")
        box.systemctl("start", "majlis.socket", UNIT)


def test_a_backup_is_restored_and_the_ledger_moves(service: Service, gateway: FakeEvolution) -> None:
    """As docs/systemd.md says: a copy of the stopped data directory, a dump of its Postgres, and both used again."""
    box, data, copy = service.machine, "/var/lib/majlis", "/var/backups/majlis"
    assert service.post("5511800600001", "kept") == 200
    box.wait_for(lambda: heard(gateway, "5511800600001") == ["kept"], "it is answered")
    box.systemctl("stop", "majlis.socket", UNIT)
    box.run("mkdir", "-p", "/var/backups")
    box.run("cp", "-a", "--reflink=auto", data, copy)
    programs = postgres_program("postgres").parent
    as_majlis = (
        *("systemd-run", "--wait", "--pipe", "--quiet", "--uid=majlis", "-p", "ProtectHome=tmpfs"),
        *("-p", f"BindReadOnlyPaths={sys.base_prefix} {sys.prefix}", "-p", "Type=oneshot", "sh", "-ec"),
    )
    alone = f"-c listen_addresses= -k {data}/run"
    dump = box.run(
        *as_majlis,
        f"{programs}/pg_ctl -D {data}/postgres -o '{alone}' -w start >&2\n"
        f"{programs}/pg_dump -h {data}/run -U majlis --no-owner --no-privileges majlis\n"
        f"{programs}/pg_ctl -D {data}/postgres -w stop >&2",
    )
    assert "CREATE TABLE public.majlis_turns" in dump and "5511800600001" in dump
    box.run("mv", data, f"{data}.lost")
    box.run("cp", "-a", copy, data)
    box.systemctl("start", "majlis.socket", UNIT)
    shown = box.run(MAJLIS, "show", "demo/5511800600001", "--reveal", "--json", "-c", CONFIG)
    assert "kept" in shown
    assert service.post("5511800600001", "again") == 200
    box.wait_for(lambda: heard(gateway, "5511800600001") == ["kept", "again"], "the restored one answers")
    box.run("rm", "-rf", f"{data}.lost", copy)


def _owned(box: Machine, port: int) -> int:
    """How many partitions the daemon of this port owns; -1: it cannot say yet."""
    place = f"MAJLIS_DATA_DIR=/var/lib/majlis/{port}"
    said = box.run("env", place, MAJLIS, "status", "--json", "-c", CONFIG, check=False)
    try:
        owned: int = json.loads(said)["partitions_owned"]
    except ValueError:
        return -1
    return owned
