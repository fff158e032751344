"""PROTOCOL.md is enough: a second implementation (protocol_client.py) meets its vectors and finds a stream in a real swarm."""

import os
import pathlib
import re
import socket
import struct
import time

import pytest

from conftest import background, wait_until
from protocol_client import (
    ORIGIN,
    Client,
    Identity,
    Initiation,
    Malformed,
    Reader,
    Symmetric,
    X25519PrivateKey,
    agree,
    base64url,
    encode_delegation,
    encode_record,
    h128,
    id_text,
    kdf,
    path_key,
    raw,
    read_contacts,
    read_join_string,
    read_record,
    read_values,
    varint,
)

TEXT = (pathlib.Path(__file__).resolve().parents[2] / "PROTOCOL.md").read_text()


def vector(name):
    """The bytes of one row of PROTOCOL.md's vectors, over as many lines as they take."""
    row = re.search(rf"^ *{re.escape(name)}  *([0-9a-f]{{2,}}(?:\n +[0-9a-f]{{2,}}$)*)", TEXT, re.MULTILINE)
    assert row, f"no vector {name}"
    return bytes.fromhex("".join(row.group(1).split()))


# --- Vectors, without a node

A, B = Identity(struct.pack(">4Q", 1, 2, 3, 4)), Identity(struct.pack(">4Q", 2, 2, 3, 4))
SECRET = struct.pack(">4Q", 7, 7, 7, 7)


def initiation():
    message1 = vector("message 1")
    return message1, Initiation(
        A, B.key, SECRET, message1[2:6], 1_700_000_000_000, bytes.fromhex("102a"), vector("A's ephemeral")
    )


def test_keys_and_ids():
    assert A.key == vector("A's Ed25519 key") and A.link_key == vector("A's link key")
    assert B.key == vector("B's Ed25519 key")
    assert id_text(A.id) in TEXT


def test_message_1_is_the_vector():
    expected, made = initiation()
    assert made.datagram == expected


def test_message_2_and_transport_are_understood():
    _, made = initiation()
    session, answer = made.finish(vector("message 2"))
    assert answer == bytes.fromhex("112a")
    assert session.epoch == vector("epoch") and session.media_secret == vector("media secret")
    assert session.seal(vector("plaintext")) == vector("transport 0")
    # A changed byte anywhere is silence.
    for index in range(len(vector("message 2")) - 16):
        changed = bytearray(vector("message 2"))
        changed[index] ^= 1
        if index not in range(2, 6):  # the responder's connection id is covered by mac1 as well
            assert initiation()[1].finish(bytes(changed)) is None


def test_records_and_delegations_are_the_vectors():
    publisher, owner = Identity(bytes(range(32))), Identity(bytes(range(32, 64)))
    addresses = [("192.0.2.1", 7788), ("2001:db8::1", 7788)]
    now = 1_800_000_000_000
    made = encode_record(publisher, ORIGIN, addresses, now, 45_000, 7, "live/alice")
    record = read_record(Reader(made))
    assert record.body == vector("body") and record.signature == vector("signature")
    assert path_key("live/alice") == vector('path("live/alice")') and path_key("") == vector('path("")')
    assert record.fault(path_key("live/alice"), now) is None
    assert record.fault(path_key("live/alice"), now + 361_000) == "clock"
    assert record.fault(path_key("live/bob"), now) == "wrong key"
    assert owner.key == vector("owner's key")
    delegation = encode_delegation(owner, publisher.id, now - 10_000, 3600, "live")
    assert delegation == vector("delegation")
    name = f"~{id_text(owner.id)}/live/a"
    bound = encode_record(publisher, ORIGIN, addresses[:1], now, 45_000, 7, name, delegation=delegation)
    assert bound == vector("its record") and name in TEXT
    assert read_record(Reader(bound)).fault(path_key(name), now) is None
    naked = encode_record(publisher, ORIGIN, addresses[:1], now, 45_000, 7, name)
    assert read_record(Reader(naked)).fault(path_key(name), now) == "no delegation"
    foreign = encode_delegation(publisher, publisher.id, now, 3600, "live")
    theft = encode_record(publisher, ORIGIN, addresses[:1], now, 45_000, 7, name, delegation=foreign)
    assert read_record(Reader(theft)).fault(path_key(name), now) == "delegation for another"


def test_answers_are_read():
    (contact,) = read_contacts(vector("CONTACTS")[9:])
    assert contact.key == Identity(bytes(range(32))).key and contact.addresses[0] == ("192.0.2.1", 7788)
    record = varint(len(vector("body"))) + vector("body") + vector("signature")
    near = vector("CONTACTS")[9 + 20 :]
    total, held, closer = read_values(vector("VALUES")[9:] + record + near)
    assert total == 0 and closer == [contact]
    assert [(item.is_copy, item.remaining, item.age) for item in held] == [(False, 30_000, 60_000)]


@pytest.mark.parametrize("text", ["mfs1:", "mfs2:AQ", "mfs1:AQ", "mfs1:AQ" + "A" * 85 + "!", ""])
def test_bad_join_strings(text):
    with pytest.raises((Malformed, ValueError)):
        read_join_string(text)


def test_join_string_is_the_vector():
    secret, (contact,) = read_join_string("mfs1:AQ" + "A" * 84 + "EEfwAAAR5s")
    assert secret == bytes(32) and contact.key == bytes(31) + b"\x01" and contact.addresses == (("127.0.0.1", 7788),)


# --- A real swarm


@pytest.fixture
def stranger():
    """A function that makes clients of a join string; their sockets are closed in the end."""
    clients = []

    def make(join_string):
        clients.append(Client(join_string))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def test_a_stranger_finds_a_stream(swarm, stranger):
    nodes = swarm(3)
    with background("publish", "live/alice", "--duration", "60", "--api", nodes[2].url):
        wait_until(lambda: "live/alice" in nodes[1].stream_names(), what="the stream to be known at another node")
        client = stranger(nodes[0].join_key())
        assert {id_text(contact.id) for contact in client.bootstrap()} == {node.id for node in nodes}
        found = wait_until(lambda: client.lookup("live/alice"), what="the record")
        record, _ = found
        assert id_text(record.publisher.id) == nodes[2].id and record.name == "live/alice"
        assert abs(record.sequence - time.time() * 1000) < 60_000 and record.lifetime == 45_000
        assert client.lookup("live/bob") is None
        # Nobody has entered the client into a table, and nothing it said was refused.
        assert all(id_text(client.identity.id) not in str(node.get("/api/v1/members")) for node in nodes)
    wait_until(lambda: client.lookup("live/alice") is None, what="the stream to be gone")


def test_without_the_secret_there_is_silence(swarm, stranger):
    node = swarm()
    client = stranger(node.join_key())
    client.secret = os.urandom(32)
    assert client.bootstrap() == [] and client.sessions == {}


def test_noise_does_no_harm(swarm, stranger):
    node = swarm()
    client = stranger(node.join_key())
    (contact,) = client.seeds
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as noise:
        for length in (1, 2, 40, 416, 1232):
            for kind in (0xC1, 0xC2, 0xC3, 0xC4):
                noise.sendto(bytes([kind, 1]) + os.urandom(length), contact.addresses[0])
    assert [id_text(answerer.id) for answerer in client.bootstrap()] == [node.id]
