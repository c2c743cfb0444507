#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Every line of the shared corpus of real logs: the records equal what its source expects.

Prints a table, a row a vendor. What differs is listed below with its reason and its exact count; a
count that changes fails the test, in either direction. Without the corpus it is skipped.
"""

import ipaddress
import json
import os
import pathlib
import subprocess
import sys

SETS = {
    "aws_elb", "cef", "cgnat_a10", "cgnat_juniper", "cgnat_nfware", "checkpoint", "cisco_asa", "cisco_ftd",
    "cisco_ios", "conntrack", "envoy", "fortinet", "haproxy", "iptables", "juniper_srx", "mikrotik",
    "netscreen", "nginx_ingress", "panw", "pensando", "pfsense", "sonicwall", "sophos_xg", "traefik", "ubiquiti",
}
SILENT = ("none", "deny")

NAME = "the line has a host's name where an address belongs"
CONTENT = "the line has no ports: nothing to be made into a session"
NO_CLIENT = "the client's address was not logged"
EXPLAINED = {
    ("cef", "cef_bypass", "no record: incomplete"): (1, "the line has no addresses"),
    ("cisco_asa", "302015", "no record: unmatched"): (2, NAME),
    ("cisco_asa", "302020", "no record: unmatched"): (2, NAME),
    ("cisco_asa", "302021", "no record: unmatched"): (1, NAME),
    ("cisco_asa", "305011", "no record: unmatched"): (1, NAME),
    ("cisco_asa", "305012", "no record: unmatched"): (1, NAME),
    ("cisco_asa", "304001", "no record: unknown"): (4, CONTENT),
    ("cisco_ftd", "302013", "no record: unmatched"): (1, NAME),
    ("cisco_ftd", "304001", "no record: unknown"): (1, CONTENT),
    ("envoy", "access_http", "no record: incomplete"): (1, NO_CLIENT),
    ("envoy", "access_tcp", "no record: incomplete"): (1, NO_CLIENT),
    ("haproxy", "http", "no record: unmatched"): (5, NO_CLIENT),
    ("iptables", "iptables_tcp", "no record: foreign"): (1, "a file's name, of grep, stands before the line"),
    ("iptables", "iptables_igmp", "no record: denied"): (2, "Shorewall says DROP; the source reads no prefix"),
    ("juniper_srx", "AAMW_HOST_INFECTED_EVENT_LOG", "no record: unknown"): (1, "the line names a host, no flow"),
    ("juniper_srx", "AV_FILE_NOT_SCANNED_DROPPED_MT", "no record: denied"): (1, "the source says allowed, the line BLOCKED"),
    ("nginx_ingress", "access", "no record: unmatched"): (1, "the upstream's address is none"),
    ("sophos_xg", "Event_Authentication", "no record: unmatched"): (1, "a user logged in, no flow"),
}


def parse(remediate, rules, path):
    out = subprocess.run([remediate, "parse", "--rules", rules, "--json", "--explain", "--quiet",
                          "--now", "2026-11-24T12:00:00", str(path)],
                         stdout=subprocess.PIPE, check=True).stdout
    records, verdicts = {}, {}
    for text in out.splitlines():
        item = json.loads(text)
        if "outcome" in item:
            verdicts[item["line"]] = item
        else:
            records.setdefault(item["line"], []).append(item)
    return records, verdicts


def address(text):
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def split(endpoint):
    """An endpoint of a record as an address and a port, 0 without one."""
    if not endpoint:
        return None, 0
    if endpoint.startswith("["):
        host, _, port = endpoint[1:].partition("]:")
        return address(host), int(port)
    if endpoint.count(":") == 1:
        host, _, port = endpoint.partition(":")
        return address(host), int(port)
    return address(endpoint), 0


def side(want, name, port, endpoint):
    """Whether one side is what the label says, as far as it says anything."""
    has, has_port = split(endpoint)
    wanted = address(want[name]) if want[name] is not None else None
    if wanted is not None and not wanted.is_unspecified and wanted != has:
        return False
    return want[port] in (None, 0, has_port) or wanted is not None and wanted.is_unspecified


def equal(want, record):
    body, kind = record["body"], record["kind"]
    if record["op"] != ("remove" if want["kind"] in ("close", "nat_close") else "upsert"):
        return False
    if want["proto"] is not None and str(body["protocol"]) != want["proto"]:
        return False
    if want["kind"].startswith("nat_"):
        return (kind == "nat-binding" and side(want, "src", "sport", body.get("inside")) and
                side(want, "xsrc", "xsport", body.get("outside")) and
                side(want, "dst", "dport", body.get("remote")))
    if kind == "lb-assignment":
        backend = want["backend"]
        endpoint = body.get("backend") or ""
        ours = {endpoint, body.get("backend_name"), endpoint.replace("[", "").replace("]", "")}
        return side(want, "src", "sport", body["client"]) and (backend is None or backend in ours)
    if kind != "session" or want["backend"] is not None:
        return False
    names = ["client", "server", "client_outside", "server_inside"]
    if want["init"] == "dst":
        names = ["server", "client", "server_inside", "client_outside"]
    return (side(want, "src", "sport", body[names[0]]) and
            side(want, "dst", "dport", body[names[1]]) and
            side(want, "xsrc", "xsport", body.get(names[2])) and
            side(want, "xdst", "xdport", body.get(names[3])))


def differs(want, records, verdict):
    """Why the line is not as its source expects; None when it is."""
    if want["kind"] in SILENT:
        if records:
            return f"{want['kind']} expected, a record given"
        return None
    if any(equal(want, record) for record in records):
        return None
    return "another record" if records else f"no record: {verdict['outcome']}"


def main():
    data = pathlib.Path(os.environ.get("REMED_TEST_DATA", "../shared/data")) / "logs"
    remediate = os.environ.get("REMEDIATE", "build/dev/remediate")
    if not data.is_dir():
        print(f"skipped: no {data}")
        return 77
    verbose = "-v" in sys.argv
    rows, found = {}, {}
    for log in sorted(data.glob("*.log")):
        vendor = log.name.split(".")[0]
        if vendor not in SETS:
            continue
        records, verdicts = parse(remediate, vendor, log)
        lines = log.read_bytes().split(b"\n")
        for text in log.with_suffix(".jsonl").read_text().splitlines():
            want = json.loads(text)
            number = want["line"]
            reason = differs(want, records.get(number, []), verdicts.get(number, {"outcome": "missing"}))
            row = rows.setdefault(vendor, [0, 0, 0, 0])
            row[0] += 1
            row[1] += reason is None
            row[2] += number in records
            row[3] += verdicts.get(number, {}).get("outcome") == "denied"
            if reason is not None:
                key = (vendor, want["msgtype"], reason)
                found[key] = found.get(key, 0) + 1
                if verbose:
                    text = lines[number - 1][:300].decode("latin-1")
                    print(vendor, number, reason, text, want, records.get(number), sep="\n   ")
    print(f"{'vendor':16} {'lines':>6} {'equal':>6} {'differ':>6} {'with records':>12} {'denied':>6}")
    for vendor, (total, same, recorded, denied) in rows.items():
        print(f"{vendor:16} {total:6} {same:6} {total - same:6} {recorded:12} {denied:6}")
    total, same = (sum(row[i] for row in rows.values()) for i in (0, 1))
    print(f"{'all':16} {total:6} {same:6} {total - same:6}")
    failed = total == 0
    for key in sorted(found.keys() | EXPLAINED.keys()):
        count, (expected, why) = found.get(key, 0), EXPLAINED.get(key, (0, "NOT EXPLAINED"))
        print(count, *key, why, sep=" | ")
        if count != expected:
            print(f"  expected {expected}")
            failed = True
    return 1 if failed else 0


sys.exit(main())
