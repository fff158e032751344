import SwarmCore

/// Every bound of the DHT in one place, with the arithmetic that set it.
package enum DHTLimits {
    // MARK: Messages

    /// Contacts in one answer: the k of Kademlia. Twenty contacts with one IPv6 address each are 20 × 52 = 1,040 bytes,
    /// which fits a message; whatever does not fit is left out, nearest first.
    package static var contactsPerAnswer: Int { 20 }
    /// Records in one answer: the smallest record is about 120 bytes, so a message never holds more.
    package static var recordsPerAnswer: Int { 16 }
    /// The body of a record: kind, flags, contact with four IPv6 addresses (109), sequence, lifetime, epoch (20), a name
    /// of 255 bytes with its length (257) and the depth come to 389; a delegation with its length to 386; the rest is
    /// room for fields to come. With its signature it fits every message.
    package static var recordBodyBytes: Int { 832 }
    /// A delegation: version, key, node, sequence, lifetime (77), a scope with its length (203), signature (64) come to
    /// 344; the rest is room for fields to come.
    package static var delegationBytes: Int { 384 }
    /// A name of 255 bytes less `~`, fingerprint and slash.
    package static var delegationScopeBytes: Int { 201 }
    /// How far a page of records may start: no holder keeps more under one key.
    package static var recordsToSkip: Int { 4096 }

    // MARK: Store

    /// Living records of all kinds: 16,384 × 512 bytes are 8 MiB.
    package static var records: Int { 16_384 }
    /// Bodies and signatures of all records, living and remembered: 16,384 × 256 bytes, the other half being the tables.
    package static var storedBytes: Int { 4 << 20 }
    /// Tombstones and sequences of the dead, beside them: 4 MiB.
    package static var rememberedRecords: Int { 8192 }
    /// Of one publisher, living and again remembered: 512 live streams at one node, each with its origin and the entry of one prefix.
    package static var recordsPerPublisher: Int { 1024 }
    /// Of all publishers of one subnet (/24, /48) as they sent them, living: a quarter of the store, so that keys are no
    /// way round the limit of one publisher. Loopback and private addresses are exempt.
    package static var recordsPerSubnet: Int { 4096 }
    /// Origins remembered under one name, tombstones included: the incumbent and a few who left.
    package static var originsPerKey: Int { 8 }
    /// Carriers kept of one stream: a sample, large enough to choose a near one and small enough to forget quickly.
    package static var carriersPerKey: Int { 16 }
    /// Streams listed under one prefix at one holder.
    package static var prefixEntriesPerKey: Int { 1024 }
    /// Address records under one key: only the node itself may publish there.
    package static var addressesPerKey: Int { 1 }

    // MARK: Cache

    /// Copies of records that readers have offered, those whose time is over included: 2,048 × 512 bytes are 1 MiB.
    package static var copies: Int { 2048 }
    /// Nodes that one lookup offers a copy of what it found.
    package static var copiesOffered: Int { 6 }
    /// Living copies from one node, and from one subnet: a node that looks up a new stream every second for all its
    /// viewers offers each of its peers fewer than 16 of five seconds each.
    package static var copiesPerSource: Int { 32 }
    package static var copiesPerSubnet: Int { 256 }
    /// Living copies under one key: after a partition two origins are possible, and of carriers a few are enough.
    package static var originCopiesPerKey: Int { 2 }
    package static var carrierCopiesPerKey: Int { 4 }
    /// Versions remembered under one key whose stay is over: of as many publishers as may live there, twice.
    package static var spentCopiesPerKey: Int { 12 }

    // MARK: Work in hand

    /// Lookups of all purposes at once; each holds at most `candidates` contacts of about 200 bytes.
    package static var lookups: Int { 256 }
    /// Of them for the DHT's own upkeep, so that it never crowds out viewers.
    package static var upkeepLookups: Int { 48 }
    /// Candidates one lookup remembers: eleven times k.
    package static var candidates: Int { 224 }
    /// Seeds of one lookup from the own table: 2k.
    package static var seedsPerLookup: Int { 40 }
    /// Peers one lookup asks at most, however many nearer ones it is told of. In a swarm of
    /// 10,000 honest nodes a wide search comes to 130 or so; more is somebody leading us about, and is no verdict.
    package static var asksPerLookup: Int { 192 }
    /// Requests awaiting an answer: `lookups` × (6 on time and as many late ones) are 3,072, and wide lookups share what
    /// room there is; a request's id has 12 bits for its place.
    package static var requests: Int { 3072 }
    /// Streams one node publishes or carries, each as origin or carrier: as many as the holders accept.
    package static var publishedStreams: Int { 512 }
    /// Publications being stored at the same time, each with k requests.
    package static var concurrentStores: Int { 16 }
    /// Streams one listing returns.
    package static var listedStreams: Int { 4096 }
    /// Holders a listing reads page by page, and pages of each.
    package static var pagedHolders: Int { 3 }
    package static var pagesPerHolder: Int { 256 }
    /// Carriers one location names.
    package static var carriersPerLocation: Int { 16 }
    /// Contacts remembered from `bootstrap`, to be asked again when everybody is lost.
    package static var seeds: Int { 16 }

    // MARK: Routing table

    /// Candidates that wait for a place in a bucket: 4 × 112 bytes in each of a dozen buckets.
    package static var replacementsPerBucket: Int { 4 }
}
