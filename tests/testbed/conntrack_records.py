#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What `conntrack -L -o xml` says, as records in JSON: an oracle that shares nothing with the rule sets.

conntrack_records.py DOMAIN <XML >RECORDS
"""
import json
import sys
import xml.etree.ElementTree


def end(address, port):
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def side(flow, direction):
    meta = flow.find(f"meta[@direction='{direction}']")
    text = lambda path: meta.findtext(path)
    return (text("layer4") is not None and meta.find("layer4").get("protoname"),
            end(text("layer3/src"), text("layer4/sport")), end(text("layer3/dst"), text("layer4/dport")))


for flow in xml.etree.ElementTree.parse(sys.stdin).getroot().findall("flow"):
    protocol, client, server = side(flow, "original")
    _, server_inside, client_outside = side(flow, "reply")
    if protocol not in ("tcp", "udp"):
        sys.exit(f"a flow of {protocol} is not expected here")
    print(json.dumps({"domain": sys.argv[1], "kind": "session", "source": "logged",
                      "body": {"protocol": protocol, "client": client, "server": server,
                               "client_outside": client_outside, "server_inside": server_inside}}))
