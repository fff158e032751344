import SwarmCore

/// Keys of the media links between the workers of two nodes.
package enum MediaKeys {
    /// The two directions of one media link: BLAKE2b-256, keyed by the session's media secret, of the label
    /// `mafalda-swarm media v1`, a zero byte, the instance (8 bytes), initiator's id, its worker (2 bytes), responder's
    /// id, its worker, and 0 for initiator to responder or 1 for the other way.
    ///
    /// `instance` is chosen anew by the initiator for every link it opens, so that no key serves two links.
    package static func derive(
        secret: Bytes32, instance: UInt64, initiatorID: NodeID, initiatorWorker: UInt16, responderID: NodeID,
        responderWorker: UInt16
    ) -> (initiatorToResponder: Bytes32, responderToInitiator: Bytes32) {
        func key(_ direction: UInt8) -> Bytes32 {
            Hash.blake2b256(key: secret) { hash in
                hash.update("mafalda-swarm media v1")
                hash.update(UInt8(0))
                hash.update(instance)
                hash.update(initiatorID.bytes)
                hash.update(UInt8(truncatingIfNeeded: initiatorWorker >> 8))
                hash.update(UInt8(truncatingIfNeeded: initiatorWorker))
                hash.update(responderID.bytes)
                hash.update(UInt8(truncatingIfNeeded: responderWorker >> 8))
                hash.update(UInt8(truncatingIfNeeded: responderWorker))
                hash.update(direction)
            }
        }
        return (key(0), key(1))
    }
}
