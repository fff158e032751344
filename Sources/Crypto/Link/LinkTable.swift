import SwarmCore

/// The keyed relations of this node with others: who may talk, and under which keys (PROTOCOL.md, "Links").
///
/// Sans-IO. Call order, for every datagram of the swarm socket:
///
///     if let delivery = links.receive(&datagram, from: source, at: now, into: &out, events: &events) {
///         // Dispatch datagram.span.extracting(delivery.range); send replies with `links.send` right away.
///     }
///     links.finishReceive(at: now, into: &out, events: &events)
///
/// The first `send` to the sender of a handshake message between the two calls rides in the handshake's answer, so an
/// early request is answered in one round trip; `finishReceive` sends the answer if nothing did. One call of `receive`,
/// `send` or `finishReceive` emits at most two events, `advance` one per relation that is due.
package struct LinkTable: ~Copyable, Sendable {
    let identity: Identity
    let suite: CryptoSuite
    let limits: LinkLimits
    var entropy: Entropy
    var generator: SeededGenerator

    /// The current secret's keys, then the previous one's if there is one.
    var secrets: [LinkSecretKeys] = []
    /// mac1's keys for packets to us, in the same order.
    var ownMacKeys: [Bytes32] = []

    /// Hashes of the tables below are salted with this, because strangers choose what they are hashes of.
    let salt: LinkSalt
    var relations: Slab<LinkRelation>
    var relationByNode = SlotIndex()
    /// Where peers are that we share keys with: known sources have a share of the handshakes under load.
    var relationByAddress = SlotIndex()
    var pending: Slab<PendingResponse>
    var pendingByNode = SlotIndex()
    /// By message 1's ephemeral key: repeats of it are answered without a key agreement.
    var pendingByEphemeral = SlotIndex()
    /// Pending responses in the order of their expiry, from `pendingHead`, which is one that still waits; among those
    /// after it some may be gone already.
    var pendingOrder: [SlotID] = []
    var pendingHead = 0
    /// Who owns which connection id.
    var connections = SlotIndex()
    var timers = LinkTimers()
    /// Which first messages are served.
    var gate = HandshakeGate()
    var cookieSecrets = CookieSecrets()
    var cookies = CookieJar()

    /// The handshake being answered between `receive` and `finishReceive`, with what is needed to write message 2.
    var openResponse: SlotID?
    var openNoise = OptionalBox<NoiseHandshake>()
    /// The relation whose new session `finishReceive` confirms to the responder.
    var confirmation: SlotID?
    var queuedBytes = 0
    var lastTimestamp: UInt64 = 0

    /// Everything that went no further, by reason.
    package internal(set) var refusals = Counters<LinkRefusal>()
    /// Handshakes completed, by either side.
    package internal(set) var completedHandshakes: UInt64 = 0
    private let inPlace = InPlace()

    /// `entropy` makes the keys and connection ids, `generator` the jitter of timers.
    package init(
        identity: Identity, secret: SwarmSecret, entropy: Entropy, generator: SeededGenerator,
        limits: LinkLimits = LinkLimits()
    ) {
        Sodium.prepare()
        self.identity = identity
        suite = identity.suite
        self.limits = limits
        self.entropy = entropy
        self.generator = generator
        salt = LinkSalt(from: generator)
        relations = Slab(capacity: limits.relations)
        pending = Slab(capacity: limits.pendingResponses)
        replaceSecret(secret)
    }

    // MARK: Asking

    /// How others reach this node.
    package func ownContact(at addresses: AddressList) -> Contact { identity.contact(at: addresses) }

    /// Peers with whom something is shared or being agreed.
    package var relationCount: Int { relations.count }
    package var pendingCount: Int { pending.count }

    /// Bytes of the heap that the table holds for open links: relations, their boxes, indexes and timers. Pending
    /// responses and waiting messages, which are passing, are left out.
    package var linkBytes: Int {
        var bytes = relations.allocatedBytes + relationByNode.allocatedBytes + relationByAddress.allocatedBytes
        bytes += connections.allocatedBytes + timers.allocatedBytes
        for index in 0..<relations.slotCount {
            if let slot = relations.id(at: index) { bytes += relations[slot].allocatedBytes }
        }
        return bytes
    }

    /// Whether keys are shared with `id`. After a silence (`LinkLimits.trustedIdle`) a message begins a new handshake
    /// all the same.
    package func isEstablished(_ id: NodeID) -> Bool {
        guard let slot = slot(of: id) else { return false }
        return preferredSession(of: slot) != nil
    }

    /// Where the newest authenticated packet of `id` came from.
    package func address(of id: NodeID) -> NetworkAddress? {
        guard let slot = slot(of: id), !relations[slot].address.isUnspecified else { return nil }
        return relations[slot].address
    }

    /// What is known of a peer with whom there is a relation.
    package func contact(of id: NodeID) -> Contact? {
        guard let slot = slot(of: id) else { return nil }
        return relations[slot].contact
    }

    /// The smoothed round-trip time of handshakes and probes.
    package func roundTrip(to id: NodeID) -> Interval? {
        guard let slot = slot(of: id) else { return nil }
        return relations[slot].roundTrip
    }

    /// Since when nothing has been heard of an established peer.
    package func lastHeard(of id: NodeID) -> MonotonicInstant? {
        guard let slot = slot(of: id) else { return nil }
        return relations[slot].lastHeard
    }

    /// The newest session that media keys may be derived from: the one being answered right now, else the one messages
    /// are sent on, else one that waits to be confirmed.
    package func mediaSecret(with id: NodeID) -> (epoch: UInt64, secret: Bytes32)? {
        if let openResponse, pending.contains(openResponse), pending[openResponse].id == id {
            return (pending[openResponse].session.epoch, pending[openResponse].session.mediaSecret)
        }
        if let slot = slot(of: id), let position = preferredSession(of: slot) {
            return relations[slot].readSession(position) { ($0.epoch, $0.mediaSecret) }
        }
        guard let slot = newestPending(of: id) else { return nil }
        return (pending[slot].session.epoch, pending[slot].session.mediaSecret)
    }

    /// The media secret of the session that `epoch` names, while it lives or waits to be confirmed.
    package func mediaSecret(with id: NodeID, epoch: UInt64) -> Bytes32? {
        if let slot = slot(of: id) {
            for position in 0..<relations[slot].sessionCount {
                let secret = relations[slot].readSession(position) { $0.epoch == epoch ? $0.mediaSecret : nil }
                if let secret { return secret }
            }
        }
        var cursor = pendingByNode.cursor(salt.hash(id))
        while let index = pendingByNode.next(&cursor) {
            guard let slot = pending.id(at: index), pending[slot].id == id, pending[slot].session.epoch == epoch else {
                continue
            }
            return pending[slot].session.mediaSecret
        }
        return nil
    }

    // MARK: Changing

    /// Takes another swarm secret. Sessions stay; handshakes from now on use it.
    package mutating func replaceSecret(_ secret: SwarmSecret) {
        secrets = [LinkSecretKeys(secret.current, suite: suite)]
        if let previous = secret.previous, previous != secret.current {
            secrets.append(LinkSecretKeys(previous, suite: suite))
        }
        ownMacKeys = secrets.map { $0.macKey(to: identity.key, suite: suite) }
    }

    /// Drops everything shared with `id`, without an event.
    package mutating func forget(_ id: NodeID) {
        if let slot = slot(of: id) { removeRelation(slot) }
        while let slot = newestPending(of: id) { removePending(slot) }
    }
}
