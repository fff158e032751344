/// Why something that arrived was not acted on. Every early return of the receiving side names one.
package enum DHTRefusal: Int, CaseIterable, Sendable {
    /// Too short, too long, a varint not in its shortest form, invalid UTF-8.
    case malformed
    /// A type byte of the DHT's range that this version does not know.
    case unknownType
    /// An answer whose request id and sender match no request.
    case unasked
    /// A message that claims to come from this node itself.
    case fromSelf
    /// A PUT in a first handshake message, which may be a replay.
    case unconfirmed
    /// A record whose signature does not verify.
    case badSignature
    /// A record that does not belong under the key it was asked for.
    case wrongKey
    /// A PUT by somebody other than the record's publisher.
    case notPublisher
    /// A signing time too far from this node's clock.
    case clockSkew
    /// A sequence below the one held.
    case superseded
    /// A lifetime too short to be of use.
    case shortLifetime
    /// A kind this version does not store.
    case unknownKind
    /// A name or depth that breaks the naming rules.
    case badName
    /// A record of a bound name without a delegation; with one that is malformed, forged or for another name or node; with
    /// one whose time is over.
    case noDelegation
    case badDelegation
    case delegationExpired
    /// Another publisher holds the name.
    case nameTaken
    /// A copy of a kind that is not cached, a tombstone, or one whose version has had its time in this cache.
    case notCacheable
    /// The publisher, its subnet, the key or the store has no room left.
    case publisherFull
    case subnetShareFull
    case keyFull
    case storeFull
    /// At least 2k known nodes lie nearer to the key.
    case notResponsible
    /// A contact kept out of the table because its subnet is full.
    case subnetFull
    /// This node's own bounds: a request or lookup that could not be started.
    case tooManyRequests
    case tooManyLookups
    /// More contacts or records than an answer may hold.
    case oversizedAnswer
}

/// What the DHT did, for metrics.
package enum DHTTraffic: Int, CaseIterable, Sendable {
    case requestsSent
    /// Of those, steps of lookups that an owner waits for.
    case lookupRequestsSent
    /// What publishers send, repetitions included: PUTs, and steps of searches for holders.
    case publishingRequestsSent
    case requestsRepeated
    case requestsTimedOut
    case answersSent
    case answersReceived
    case recordsStored
    case recordsExpired
    /// Copies taken into the cache, copies offered to others, answers to GET given from the cache alone.
    case copiesStored
    case copiesOffered
    case copiesServed
    case lookupsStarted
    case lookupsFinished
}
