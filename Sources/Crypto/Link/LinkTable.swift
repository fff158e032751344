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

    var relations: Slab<LinkRelation>
    /// For look-up only; never iterated, because its order differs from process to process.
    var relationByNode: [NodeID: SlotID] = [:]
    var pending: Slab<PendingResponse>
    /// Pending responses in the order of their expiry, from `pendingHead`, which is one that still waits; among those
    /// after it some may be gone already.
    var pendingOrder: [SlotID] = []
    var pendingHead = 0
    /// Who owns which connection id. For look-up only.
    var connections: [UInt32: ConnectionOwner] = [:]
    var timers = LinkTimers()

    /// The handshake being answered between `receive` and `finishReceive`.
    var openResponse: SlotID?
    /// The relation whose new session `finishReceive` confirms to the responder.
    var confirmation: SlotID?
    var queuedBytes = 0
    var lastTimestamp: UInt64 = 0

    /// Everything that went no further, by reason.
    package internal(set) var refusals = Counters<LinkRefusal>()
    /// Handshakes completed, by either side.
    package internal(set) var completedHandshakes: UInt64 = 0

    enum ConnectionOwner: Sendable {
        case handshake(SlotID)
        case session(SlotID)
        case pending(SlotID)
    }

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

    /// Whether a message to `id` would leave at once.
    package func isEstablished(_ id: NodeID) -> Bool {
        guard let slot = relationByNode[id] else { return false }
        return !relations[slot].sessions.isEmpty
    }

    /// Where the newest authenticated packet of `id` came from.
    package func address(of id: NodeID) -> NetworkAddress? {
        guard let slot = relationByNode[id] else { return nil }
        return relations[slot].address
    }

    /// What is known of a peer with whom there is a relation.
    package func contact(of id: NodeID) -> Contact? {
        guard let slot = relationByNode[id] else { return nil }
        return relations[slot].contact
    }

    /// The smoothed round-trip time of handshakes and probes.
    package func roundTrip(to id: NodeID) -> Interval? {
        guard let slot = relationByNode[id] else { return nil }
        return relations[slot].roundTrip
    }

    /// Since when nothing has been heard of an established peer.
    package func lastHeard(of id: NodeID) -> MonotonicInstant? {
        guard let slot = relationByNode[id] else { return nil }
        return relations[slot].lastHeard
    }

    /// The newest session that media keys may be derived from: the one being answered right now, else the one messages
    /// are sent on, else one that waits to be confirmed.
    package func mediaSecret(with id: NodeID) -> (epoch: UInt64, secret: Bytes32)? {
        if let openResponse, pending.contains(openResponse), pending[openResponse].contact.id == id {
            return (pending[openResponse].session.epoch, pending[openResponse].session.mediaSecret)
        }
        if let slot = relationByNode[id], let index = preferredSession(of: slot) {
            return (relations[slot].sessions[index].epoch, relations[slot].sessions[index].mediaSecret)
        }
        for position in pendingOrder.indices.reversed() where position >= pendingHead {
            let slot = pendingOrder[position]
            guard pending.contains(slot), pending[slot].contact.id == id else { continue }
            return (pending[slot].session.epoch, pending[slot].session.mediaSecret)
        }
        return nil
    }

    /// The media secret of the session that `epoch` names, while it lives or waits to be confirmed.
    package func mediaSecret(with id: NodeID, epoch: UInt64) -> Bytes32? {
        if let slot = relationByNode[id] {
            for index in relations[slot].sessions.indices where relations[slot].sessions[index].epoch == epoch {
                return relations[slot].sessions[index].mediaSecret
            }
        }
        for position in pendingHead..<pendingOrder.count {
            let slot = pendingOrder[position]
            guard pending.contains(slot), pending[slot].contact.id == id, pending[slot].session.epoch == epoch else {
                continue
            }
            return pending[slot].session.mediaSecret
        }
        return nil
    }

    // MARK: Changing

    /// Takes another swarm secret. Sessions stay; handshakes from now on use it.
    package mutating func replaceSecret(_ secret: SwarmSecret) {
        secrets = [LinkSecretKeys(secret.current)]
        if let previous = secret.previous, previous != secret.current { secrets.append(LinkSecretKeys(previous)) }
        ownMacKeys = secrets.map { $0.macKey(to: identity.key) }
    }

    /// Drops everything shared with `id`, without an event.
    package mutating func forget(_ id: NodeID) {
        if let slot = relationByNode[id] { removeRelation(slot) }
        for position in pendingHead..<pendingOrder.count {
            let slot = pendingOrder[position]
            if pending.contains(slot), pending[slot].contact.id == id { removePending(slot) }
        }
    }
}
