"""A second implementation of the node-to-node protocol, written from PROTOCOL.md alone: join string, link handshake,
bootstrap, iterative lookup, signature check. It publishes nothing and cannot be dialled.

It is a reader's proof that the text suffices, not a product: one thread, blocking sockets, no rekey, no IPv6.

    python3 protocol_client.py mfs1:… live/alice
"""

import argparse
import base64
import dataclasses
import hashlib
import hmac
import os
import select
import socket
import struct
import time

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

# --- "Identity, texts, links": notation


class Malformed(Exception):
    """Bytes that PROTOCOL.md does not allow."""


def h256(data, key=b""):
    return hashlib.blake2b(data, digest_size=32, key=key).digest()


def h128(data, key):
    return hashlib.blake2b(data, digest_size=16, key=key).digest()


def kdf(secret, label, context=b""):
    return h256(label.encode() + b"\0" + context, key=secret)


def varint(value):
    for prefix, size in ((0, 1), (1, 2), (2, 4), (3, 8)):
        if value < 1 << (8 * size - 2):
            return (value | prefix << (8 * size - 2)).to_bytes(size, "big")
    raise ValueError(value)


class Reader:
    """Front to back; running short is malformed."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, count):
        if len(self.data) - self.at < count:
            raise Malformed("too short")
        self.at += count
        return self.data[self.at - count : self.at]

    def integer(self, size):
        return int.from_bytes(self.take(size), "big")

    def varint(self, limit=(1 << 62) - 1):
        first = self.integer(1)
        size = 1 << (first >> 6)
        value = int.from_bytes(bytes([first & 0x3F]) + self.take(size - 1), "big")
        if len(varint(value)) != size or value > limit:
            raise Malformed("varint")
        return value

    def prefixed(self, limit):
        return self.take(self.varint(limit))

    def string(self, limit):
        try:
            return self.prefixed(limit).decode()
        except UnicodeDecodeError as error:
            raise Malformed("UTF-8") from error

    @property
    def left(self):
        return len(self.data) - self.at


def base64url(text):
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != text:
        raise Malformed("base64url")
    return data


# --- Keys and names


def node_id(key):
    return h256(key)


def id_text(identifier):
    return base64.b32encode(identifier).decode().rstrip("=").lower()


def raw(public_key):
    return public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def link_key_of(ed25519_key):
    """The X25519 image: u = (1 + y) / (1 - y) mod 2^255 - 19."""
    prime = 2**255 - 19
    y = int.from_bytes(ed25519_key, "little") & ((1 << 255) - 1)
    return ((1 + y) * pow(1 - y, -1, prime) % prime).to_bytes(32, "little")


class Identity:
    def __init__(self, seed):
        self.signing = Ed25519PrivateKey.from_private_bytes(seed)
        self.key = raw(self.signing.public_key())
        self.id = node_id(self.key)
        # The clamped first half of SHA-512; X25519PrivateKey clamps by itself.
        self.link = X25519PrivateKey.from_private_bytes(hashlib.sha512(seed).digest()[:32])
        self.link_key = raw(self.link.public_key())
        assert self.link_key == link_key_of(self.key)

    def sign(self, domain, data):
        return self.signing.sign(domain.encode() + b"\0" + data)


def verify(key, domain, data, signature):
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, domain.encode() + b"\0" + data)
        return True
    except (InvalidSignature, ValueError):
        return False


def path_key(name):
    return h256(b"mafalda-swarm dht key v1\0\x01" + name.encode())


# --- Contacts, join string


@dataclasses.dataclass(frozen=True)
class Contact:
    key: bytes
    addresses: tuple  # (host, port), IPv4 and IPv6

    @property
    def id(self):
        return node_id(self.key)

    def encode(self):
        data = self.key + varint(len(self.addresses))
        for host, port in self.addresses:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            data += bytes([6 if ":" in host else 4]) + socket.inet_pton(family, host) + struct.pack(">H", port)
        return data


def read_address(reader):
    kind = reader.integer(1)
    if kind == 4:
        return socket.inet_ntop(socket.AF_INET, reader.take(4)), reader.integer(2)
    if kind == 6:
        address = reader.take(16)
        if address[:12] == bytes(10) + b"\xff\xff":
            raise Malformed("an IPv4-mapped address")
        return socket.inet_ntop(socket.AF_INET6, address), reader.integer(2)
    raise Malformed(f"address kind {kind}")


def read_contact(reader):
    key = reader.take(32)
    addresses = tuple(read_address(reader) for _ in range(reader.varint(4)))
    if len(set(addresses)) != len(addresses):
        raise Malformed("an address twice")
    return Contact(key, addresses)


def read_join_string(text):
    """The swarm secret and the contacts to begin with."""
    if not text.startswith("mfs1:"):
        raise Malformed("prefix")
    reader = Reader(base64url(text[5:]))
    if reader.integer(1) != 1:
        raise Malformed("version")
    secret = reader.take(32)
    peers = {}
    while reader.left:
        peers.setdefault(reader.take(32), []).append(read_address(reader))
    if not 1 <= sum(map(len, peers.values())) <= 8:
        raise Malformed("peers")
    return secret, [Contact(key, tuple(addresses)) for key, addresses in peers.items()]


# --- Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b (Noise Protocol Framework, revision 34, §5)


def blake2b(data):
    return hashlib.blake2b(data).digest()


def noise_hkdf(chaining_key, material, outputs):
    def keyed(key, data):
        return hmac.new(key, data, hashlib.blake2b).digest()

    secret = keyed(chaining_key, material)
    results, last = [], b""
    for number in range(1, outputs + 1):
        last = keyed(secret, last + bytes([number]))
        results.append(last)
    return results


def nonce(counter):
    return bytes(4) + struct.pack("<Q", counter)


class Symmetric:
    def __init__(self, prologue):
        name = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b"
        self.hash = name.ljust(64, b"\0")
        self.chaining_key = self.hash
        self.key = None
        self.counter = 0
        self.mix_hash(prologue)

    def mix_hash(self, data):
        self.hash = blake2b(self.hash + data)

    def mix_key(self, material):
        self.chaining_key, key = noise_hkdf(self.chaining_key, material, 2)
        self.key, self.counter = key[:32], 0

    def mix_key_and_hash(self, material):
        self.chaining_key, mixed, key = noise_hkdf(self.chaining_key, material, 3)
        self.mix_hash(mixed)
        self.key, self.counter = key[:32], 0

    def seal(self, plaintext):
        sealed = ChaCha20Poly1305(self.key).encrypt(nonce(self.counter), plaintext, self.hash)
        self.counter += 1
        self.mix_hash(sealed)
        return sealed

    def open(self, sealed):
        plaintext = ChaCha20Poly1305(self.key).decrypt(nonce(self.counter), sealed, self.hash)
        self.counter += 1
        self.mix_hash(sealed)
        return plaintext

    def split(self):
        return [key[:32] for key in noise_hkdf(self.chaining_key, b"", 2)]


def agree(private, public):
    return private.exchange(X25519PublicKey.from_public_bytes(public))


class Initiation:
    """The initiator's side of one handshake."""

    def __init__(self, identity, peer_key, secret, connection, timestamp, message, ephemeral):
        self.identity, self.secret, self.connection = identity, secret, connection
        self.ephemeral = X25519PrivateKey.from_private_bytes(ephemeral)
        peer_link_key = link_key_of(peer_key)
        head = b"\xc1\x01" + connection
        self.state = state = Symmetric(b"mafalda-swarm link v1\0" + head)
        state.mix_hash(peer_link_key)
        public = raw(self.ephemeral.public_key())
        state.mix_hash(public)
        state.mix_key(public)  # Noise §9.2: with a psk, `e` is mixed into the key as well
        state.mix_key(agree(self.ephemeral, peer_link_key))
        sealed_static = state.seal(identity.link_key)
        state.mix_key(agree(identity.link, peer_link_key))
        payload = struct.pack(">Q", timestamp) + identity.key + varint(len(message)) + message
        # 416 bytes in all: head, e, s, payload and tag, two macs.
        payload = payload.ljust(416 - 6 - 32 - 48 - 16 - 32, b"\0")
        body = head + public + sealed_static + state.seal(payload)
        self.datagram = body + h128(body, kdf(secret, "mafalda-swarm mac1 v1", peer_key)) + bytes(16)

    def finish(self, datagram):
        """The session that message 2 makes and the control message in it; None where it is not for us."""
        if len(datagram) < 42 + 16 + 1 + 32 or datagram[:2] != b"\xc2\x01" or datagram[6:10] != self.connection:
            return None
        mac_key = kdf(self.secret, "mafalda-swarm mac1 v1", self.identity.key)
        if not hmac.compare_digest(datagram[-32:-16], h128(datagram[:-32], mac_key)):
            return None
        state = self.state
        public = datagram[10:42]
        state.mix_hash(public)
        state.mix_key(public)
        state.mix_key(agree(self.ephemeral, public))
        state.mix_key(agree(self.identity.link, public))
        chaining_key = None
        state.mix_key_and_hash(kdf(self.secret, "mafalda-swarm psk v1"))
        chaining_key = state.chaining_key
        try:
            payload = Reader(state.open(datagram[42:-32]))
        except InvalidTag:
            return None
        message = payload.prefixed(1152)
        to_peer, from_peer = state.split()
        return Session(datagram[2:6], to_peer, from_peer, chaining_key), message


class Session:
    def __init__(self, peer_connection, to_peer, from_peer, chaining_key):
        self.peer_connection, self.to_peer, self.from_peer = peer_connection, to_peer, from_peer
        self.counter = 0
        self.seen = set()
        self.secret = h256(b"mafalda-swarm session v1\0" + chaining_key)

    @property
    def epoch(self):
        return kdf(self.secret, "mafalda-swarm session epoch v1")[:8]

    @property
    def media_secret(self):
        return kdf(self.secret, "mafalda-swarm media secret v1")

    def seal(self, message):
        head = b"\xc4" + self.peer_connection + struct.pack(">Q", self.counter)
        sealed = ChaCha20Poly1305(self.to_peer).encrypt(nonce(self.counter), message, head)
        self.counter += 1
        return head + sealed

    def open(self, datagram):
        """The message, or None for a packet that does not open or was seen before."""
        if len(datagram) < 29:
            return None
        counter = struct.unpack(">Q", datagram[5:13])[0]
        try:
            message = ChaCha20Poly1305(self.from_peer).decrypt(nonce(counter), datagram[13:], datagram[:13])
        except InvalidTag:
            return None
        if counter in self.seen:
            return None
        self.seen.add(counter)
        return message


# --- "DHT": records and delegations

ORIGIN, CARRIER, PREFIX, ADDRESSES = 1, 2, 3, 4


@dataclasses.dataclass(frozen=True)
class Record:
    kind: int
    is_tombstone: bool
    publisher: Contact
    sequence: int
    lifetime: int
    epoch: int
    name: str
    depth: int
    delegation: bytes
    body: bytes
    signature: bytes

    @property
    def place(self):
        if self.kind == ADDRESSES:
            return self.publisher.id
        return path_key("/".join(self.name.split("/")[: self.depth]) if self.kind == PREFIX else self.name)

    def fault(self, key, now):
        """Why a reader does not believe it; None where it proves itself."""
        if self.place != key:
            return "wrong key"
        allowed = 300 + (690 if self.is_tombstone else 7200 if self.kind == ADDRESSES else 60)
        if abs(self.sequence - now) > allowed * 1000:
            return "clock"
        owner = owner_of(self.name)
        if owner and self.kind in (ORIGIN, PREFIX):
            fault = delegation_fault(self.delegation, owner, self, now)
            if fault:
                return fault
        if not verify(self.publisher.key, "mafalda-swarm dht record v1", self.body, self.signature):
            return "signature"
        return None


def read_record(reader):
    body = reader.prefixed(832)
    signature = reader.take(64)
    field = Reader(body)
    kind, flags = field.integer(1), field.integer(1)
    publisher = read_contact(field)
    sequence, lifetime, epoch = field.integer(8), field.integer(4), field.varint()
    name, depth = field.string(255), field.integer(1)
    delegation = field.prefixed(384) if field.left else b""
    return Record(
        kind, bool(flags & 1), publisher, sequence, lifetime, epoch, name, depth, delegation, body, signature
    )


def encode_record(identity, kind, addresses, sequence, lifetime, epoch, name, depth=0, delegation=b"", flags=0):
    body = bytes([kind, flags]) + Contact(identity.key, tuple(addresses)).encode()
    body += struct.pack(">QI", sequence, lifetime) + varint(epoch)
    body += varint(len(name.encode())) + name.encode() + bytes([depth])
    if delegation:
        body += varint(len(delegation)) + delegation
    return varint(len(body)) + body + identity.sign("mafalda-swarm dht record v1", body)


def owner_of(name):
    """The id a bound name begins with, or None."""
    first = name.split("/")[0]
    if len(first) != 53 or first[0] != "~":
        return None
    try:
        identifier = base64.b32decode(first[1:].upper() + "====")
    except ValueError:
        return None
    return identifier if "~" + id_text(identifier) == first else None


def encode_delegation(owner, node, sequence, lifetime, scope):
    body = b"\x01" + owner.key + node + struct.pack(">QI", sequence, lifetime)
    body += varint(len(scope.encode())) + scope.encode()
    return body + owner.sign("mafalda-swarm name delegation v1", body)


def delegation_fault(delegation, owner, record, now):
    if len(delegation) < 64:
        return "no delegation"
    body, signature = delegation[:-64], delegation[-64:]
    field = Reader(body)
    version, key, node = field.integer(1), field.take(32), field.take(32)
    sequence, lifetime, scope = field.integer(8), field.integer(4), field.string(201)
    rest = record.name.split("/", 1)[1] if "/" in record.name else ""
    if version != 1 or node_id(key) != owner or node != record.publisher.id:
        return "delegation for another"
    if scope and rest != scope and not rest.startswith(scope + "/"):
        return "delegation for another name"
    ends = sequence + min(lifetime, 30 * 86_400) * 1000 + 300_000
    if now + 300_000 < sequence or (now > ends and not record.is_tombstone):
        return "delegation expired"
    if not verify(key, "mafalda-swarm name delegation v1", body, signature):
        return "delegation signature"
    return None


# --- Messages

PING, PONG, FIND_NODE, CONTACTS, GET, VALUES, PUT, PUT_RESULT = range(0x10, 0x18)
UNDIALLABLE = b"\x01"


@dataclasses.dataclass
class Held:
    is_copy: bool
    remaining: int
    age: int
    record: Record


def request(kind, request_id, fields=b""):
    return bytes([kind]) + request_id + UNDIALLABLE + fields


def find_node(request_id, target):
    return request(FIND_NODE, request_id, target)


def get(request_id, key, kinds, limit=16, skip=0):
    mask = sum(1 << kind for kind in kinds)
    return request(GET, request_id, key + bytes([mask]) + varint(limit) + varint(skip))


def read_near_contacts(reader):
    contacts = []
    for _ in range(reader.varint(20)):
        contact = read_contact(reader)
        flags = reader.integer(1)
        if flags & 1:
            reader.take(20)
        if flags & 2:
            reader.prefixed(1152)
        contacts.append(contact)
    return contacts


def read_contacts(fields):
    reader = Reader(fields)
    reader.take(20)
    return read_near_contacts(reader)


def read_values(fields):
    """Total of prefix entries, held records, near contacts. Records that cannot be read are stepped over."""
    reader = Reader(fields)
    reader.take(20)
    total, count = reader.varint(), reader.varint(16)
    held = []
    for _ in range(count):
        flags, remaining, age = reader.integer(1), reader.integer(4), reader.integer(4)
        start = reader.at
        reader.prefixed(832)
        reader.take(64)
        try:
            held.append(Held(bool(flags & 1), remaining, age, read_record(Reader(reader.data[start : reader.at]))))
        except Malformed:
            continue
    return total, held, read_near_contacts(reader)


# --- The client


class Client:
    """Asks one node at a time, each over a link of its own."""

    def __init__(self, join_string, seed=None):
        self.secret, self.seeds = read_join_string(join_string)
        self.identity = Identity(seed or os.urandom(32))
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("0.0.0.0", 0))
        self.sessions = {}
        self.last_timestamp = 0

    def close(self):
        self.socket.close()

    def receive(self, until):
        left = until - time.monotonic()
        if left <= 0 or not select.select([self.socket], [], [], left)[0]:
            return None, None
        return self.socket.recvfrom(2048)

    def connect(self, contact, message):
        """Opens a link with `message` inside the first datagram; the answer that came with message 2, or None."""
        self.last_timestamp = max(int(time.time() * 1000), self.last_timestamp + 1)
        connection = os.urandom(4)
        handshake = Initiation(
            self.identity, contact.key, self.secret, connection, self.last_timestamp, message, os.urandom(32)
        )
        addresses = [address for address in contact.addresses if ":" not in address[0]]
        started = time.monotonic()
        for number, pause in enumerate((0.3, 0.5, 0.8, 1.3)):
            if not addresses:
                return None
            address = addresses[number % len(addresses)]
            self.socket.sendto(handshake.datagram, address)
            until = time.monotonic() + pause
            while True:
                datagram, source = self.receive(until)
                if datagram is None:
                    break
                result = handshake.finish(datagram)
                if result is None:
                    continue
                session, answer = result
                self.sessions[contact.id] = (session, source, connection)
                # The responder forgets a session whose initiator stays silent.
                self.socket.sendto(session.seal(b"\x01" + os.urandom(8)), source)
                return answer
        assert time.monotonic() - started < 5
        return None

    def ask(self, contact, message):
        """The answer's fields to a request, or None after repetitions."""
        request_id, kind = message[1:9], message[0] + 1

        def fields(answer):
            return answer[9:] if answer and answer[0] == kind and answer[1:9] == request_id else None

        if contact.id not in self.sessions:
            answer = fields(self.connect(contact, message))
            if answer is not None or contact.id not in self.sessions:
                return answer
        session, address, connection = self.sessions[contact.id]
        for _ in range(3):
            self.socket.sendto(session.seal(message), address)
            until = time.monotonic() + 0.3
            while True:
                datagram, _ = self.receive(until)
                if datagram is None:
                    break
                if datagram[:5] != b"\xc4" + connection:
                    continue
                plaintext = session.open(datagram)
                if plaintext and plaintext[0] == 0x01:
                    self.socket.sendto(session.seal(b"\x02" + plaintext[1:9]), address)
                answer = fields(plaintext)
                if answer is not None:
                    return answer
        return None

    def search(self, key, kinds=None):
        """Asks nearer and nearer nodes until the 20 nearest have answered. Yields (contact, held records, total)."""

        def distance(contact):
            return int.from_bytes(contact.id, "big") ^ int.from_bytes(key, "big")

        known = {contact.id: contact for contact in self.seeds}
        asked = set()
        while True:
            nearest = sorted(known.values(), key=distance)[:20]
            waiting = [contact for contact in nearest if contact.id not in asked]
            if not waiting or len(asked) >= 128:
                return
            contact = waiting[0]
            asked.add(contact.id)
            request_id = os.urandom(8)
            message = get(request_id, key, kinds) if kinds else find_node(request_id, key)
            fields = self.ask(contact, message)
            if fields is None:
                del known[contact.id]
                continue
            total, held, closer = read_values(fields) if kinds else (0, [], read_contacts(fields))
            for nearer in closer:
                if nearer.id != self.identity.id:
                    known.setdefault(nearer.id, nearer)
            yield contact, held, total

    def bootstrap(self):
        """The nodes that answer on the way to our own place."""
        return [contact for contact, _, _ in self.search(self.identity.id)]

    def lookup(self, stream):
        """The verified record of the stream's origin and the contact that told it, or None after a full search."""
        key = path_key(stream)
        for contact, held, _ in self.search(key, (ORIGIN, CARRIER)):
            for item in held:
                record = item.record
                if record.kind == ORIGIN and not record.is_tombstone:
                    if record.fault(key, time.time() * 1000) is None:
                        return record, contact
        return None

    def addresses(self, identifier):
        """What a node has published of its own addresses."""
        for _, held, _ in self.search(identifier, (ADDRESSES,)):
            for item in held:
                if item.record.fault(identifier, time.time() * 1000) is None:
                    return item.record.publisher.addresses
        return None


def main():
    parser = argparse.ArgumentParser(description="Looks up a stream in a swarm.")
    parser.add_argument("join", help="the swarm's join string")
    parser.add_argument("stream")
    options = parser.parse_args()
    client = Client(options.join)
    print(f"this client {id_text(client.identity.id)}")
    print(f"{len(client.bootstrap())} nodes answer")
    found = client.lookup(options.stream)
    if not found:
        raise SystemExit("not live")
    record, teller = found
    print(f"origin {id_text(record.publisher.id)} at {record.publisher.addresses}, told by {id_text(teller.id)}")


if __name__ == "__main__":
    main()
