#!/usr/bin/python3
"""A shim that does what its script says: one step a line, `key=value` words behind it.

It stands in for the server in the agent's tests: forced command of a real sshd, real frames, no Amanda.
Steps before `expect X` are said at once; `expect` reads frames until one says X.
"""
import json
import os
import struct
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def log(name, text):
    with open(os.path.join(HERE, name), "a") as out:
        out.write(text + "\n")


def raw(data):
    os.write(1, data)


def frame(message):
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    return struct.pack(">IB", len(payload), 0) + payload


def read_exactly(count):
    data = b""
    while len(data) < count:
        piece = os.read(0, count - len(data))
        if not piece:
            log("heard", "EOF")
            sys.exit(0)
        data += piece
    return data


def hear():
    length, _channel = struct.unpack(">IB", read_exactly(5))
    message = json.loads(read_exactly(length))
    if message["say"] == "measure":
        if message["last"]:
            raw(frame({"say": "measured"}))
    elif message["say"] != "heartbeat":
        log("heard", json.dumps(message, sort_keys=True))
    return message["say"]


def receipt(words):
    """outcome=OK disk=/home age=60 (seconds since it began) host=laptop1 config=laptops"""
    started = int(time.time()) - int(words.get("age", 5))
    outcome = words.get("outcome", "OK")
    chain = [{"level": 0, "datestamp": "20261122003709", "places": ["laptops-1:3"]}]
    return {
        "say": "receipt", "run": words.get("run", "run-%d" % started), "host": words.get("host", "laptop1"),
        "config": words.get("config", "laptops"), "disk": words.get("disk", "/home"), "outcome": outcome, "level": 0,
        "datestamp": "20261122003709", "started": started, "finished": started + 3, "bytes": 1234567,
        "crc32c": "0badcafe", "reason": words.get("reason", "").replace("_", " "),
        "chain": chain if outcome in ("OK", "STRANGE") else [],
    }


def message(step, words):
    if step == "hello":
        return {"say": "hello", "version": int(words.get("version", 1)), "program": "fake 1",
                "host": words.get("host", "laptop1"), "config": words.get("config", "laptops")}
    if step == "receipt":
        return receipt(words)
    if step == "queued":
        return {"say": "queued", "ticket": "t1", "joined": words.get("joined") == "yes",
                "position": int(words.get("position", 1)), "waits_for": words.get("waits_for", "").replace("_", " ")}
    if step == "progress":
        disk = {"disk": "/home", "state": "dumping", "level": 0, "bytes": 500, "estimate": 1000}
        return {"say": "progress", "run": "r1", "phase": words.get("phase", "dumping"), "disks": [disk]}
    if step == "standing":
        return {"say": "standing", "ticket": words.get("ticket")}
    if step == "end":
        return {"say": "end", "ticket": words.get("ticket")}
    if step == "checked":
        return {"say": "checked", "ok": words["ok"] == "yes", "lines": [words["line"].replace("_", " ")]}
    if step == "abort":
        return {"say": "abort", "code": words["code"], "message": words["message"].replace("_", " "),
                "hint": words.get("hint", "").replace("_", " ")}
    raise SystemExit("no such step: " + step)


def main():
    log("commands", os.environ.get("SSH_ORIGINAL_COMMAND", ""))
    for line in open(os.path.join(HERE, "script")):
        step, *words = line.split()
        words = dict(word.split("=", 1) for word in words)
        if step == "expect":
            while hear() != words["say"]:
                pass
        elif step == "wait-eof":
            while True:
                hear()
        elif step == "raw":
            raw(bytes.fromhex(words["hex"]))
        elif step == "stderr":
            sys.stderr.write(words["text"].replace("_", " ") + "\n")
            sys.stderr.flush()
        elif step == "cut":
            whole = frame(receipt({}))
            raw(whole[:int(words["after"])])
            sys.exit(0)
        elif step == "exit":
            sys.exit(int(words["status"]))
        else:
            raw(frame(message(step, words)))


main()
