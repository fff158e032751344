import SwarmCore

/// The nodes this one knows to be there, by distance in Kademlia's XOR space (Maymounkov and Mazières 2002, §2.2):
/// bucket i holds nodes that share exactly i leading bits with this node.
///
/// The 2k nodes nearest to this one are its siblings (S/Kademlia, Baumgart and Mies 2007, §4.2): whoever is that near is
/// always entered, whatever bucket it falls into, so that the neighbourhood is known completely. Beyond them a bucket
/// holds at most k. Its members stay as long as they answer (old nodes tend to stay); newcomers wait in a short queue.
/// Places of a bucket that are taken over slowly: a share by nodes that are clearly nearer in time, a share by nodes that
/// came to this one by themselves, its guests. The rest belongs to those who came first, so that no attacker can flush it.
///
/// Guests are there for variety. Whoever is named by others is known to ever more, until everybody asks the same few;
/// and liars name each other. But who comes by itself is anybody, and takes the place of whoever others name most.
///
/// Only nodes that have spoken for themselves are entered, never hearsay. Subnets are bounded, so that one landlord
/// cannot fill a bucket. The order of everything is that of arrival or of distance: it replays.
package struct RoutingTable: Sendable {
    /// What became of an observed contact.
    package enum Outcome: Hashable, Sendable {
        case added, updated
        /// The bucket is full: the newcomer waits, and `oldest` has not been heard for longest.
        case waiting(oldest: NodeID)
        case refused
    }

    struct Bucket: Sendable {
        var peers: [TablePeer] = []
        var waiting: [TablePeer] = []
        /// When a peer last lost its place to a nearer one, and to a guest.
        var lastSwap = MonotonicInstant.zero
        var lastGuest = MonotonicInstant.zero
    }

    package let own: NodeID
    let configuration: DHTConfiguration
    private(set) var buckets: [Bucket] = []
    package private(set) var count = 0
    /// Distances up to this one (their first 64 bits) are those of siblings.
    private(set) var siblingRadius = UInt64.max
    /// Grows with every change of who is in the table.
    package private(set) var changes: UInt64 = 0
    /// How long a silent node is believed to be there: a newcomer takes the place of one silent for longer.
    package var trust = DHTConfiguration.longestTrust
    /// Peers in the table by subnet. Only ever looked up.
    private var subnets: [UInt32: UInt8] = [:]
    /// Address lists that do not fit their peer's entry, and the free places among them.
    private var longLists: [AddressList] = []
    private var freeLists: [UInt16] = []

    package init(own: NodeID, configuration: DHTConfiguration) {
        self.own = own
        self.configuration = configuration
    }

    // MARK: Changing

    /// Enters or refreshes a node that was heard at `now`. Its newest addresses replace the old ones. `isGuest`: it came by
    /// itself, and was not asked.
    package mutating func observe(
        _ contact: Contact, coordinate: Coordinate? = nil, roundTrip: Interval?, isGuest: Bool = false,
        at now: MonotonicInstant
    ) -> Outcome {
        guard contact.id != own, !contact.addresses.isEmpty else { return .refused }
        let index = bucketIndex(of: contact.id)
        while buckets.count <= index { buckets.append(Bucket()) }
        if let position = position(of: contact.id, inBucket: index) {
            hear(contact, coordinate, roundTrip, at: now, position, inBucket: index)
            return .updated
        }
        guard subnetHasRoom(for: contact, inBucket: index) else { return .refused }
        var peer = TablePeer(contact, coordinate: coordinate, roundTrip: roundTrip, at: now)
        if isSibling(contact.id) || strangers(inBucket: index) < configuration.bucketSize {
            enter(peer, contact.addresses, inBucket: index)
            return .added
        }
        let census = census(ofBucket: index, at: now)
        if let (position, reason) = giver(to: peer, isGuest: isGuest, census, inBucket: index, at: now) {
            removePeer(at: position, inBucket: index)
            peer.isChosenNear = reason == .nearness
            peer.isGuest = reason == .variety
            enter(peer, contact.addresses, inBucket: index)
            return .added
        }
        wait(peer, contact.addresses, inBucket: index)
        return census.oldest.map { .waiting(oldest: buckets[index].peers[$0].id) } ?? .refused
    }

    /// Counts an unanswered request; after enough of them, or sooner where somebody waits, the node is forgotten. True
    /// where that happened.
    @discardableResult
    package mutating func recordFailure(of id: NodeID) -> Bool {
        let index = bucketIndex(of: id)
        guard index < buckets.count, let position = position(of: id, inBucket: index) else { return false }
        buckets[index].peers[position].fail()
        let patience = buckets[index].waiting.isEmpty ? configuration.failuresToForget : 2
        guard buckets[index].peers[position].failures >= patience else { return false }
        removePeer(at: position, inBucket: index)
        promote(inBucket: index)
        return true
    }

    /// Forgets a node at once: somebody else found it dead, it said goodbye, or it is nobody one can dial.
    package mutating func remove(_ id: NodeID) {
        let index = bucketIndex(of: id)
        guard id != own, index < buckets.count else { return }
        if let place = buckets[index].waiting.firstIndex(where: { $0.id == id }) {
            release(buckets[index].waiting.remove(at: place))
        }
        guard let position = position(of: id, inBucket: index) else { return }
        removePeer(at: position, inBucket: index)
        promote(inBucket: index)
    }

    /// Notes that a ping was sent to `id`. False where one is on its way already, or the node is not in the table.
    mutating func beginTest(of id: NodeID) -> Bool {
        let index = bucketIndex(of: id)
        guard index < buckets.count, let position = position(of: id, inBucket: index),
            !buckets[index].peers[position].isUnderTest
        else { return false }
        buckets[index].peers[position].isUnderTest = true
        return true
    }

    /// Somebody has named `id`. Nothing where it is not in the table, or a sibling.
    package mutating func noteMention(of id: NodeID) {
        let index = bucketIndex(of: id)
        guard index < buckets.count, !isSibling(id), let position = position(of: id, inBucket: index) else { return }
        buckets[index].peers[position].mention()
        guard buckets[index].peers[position].mentions == TablePeer.mostMentions else { return }
        for position in buckets[index].peers.indices { buckets[index].peers[position].halveMentions() }
    }

    // MARK: Inside

    func bucketIndex(of id: NodeID) -> Int { min(id.distance(to: own.bytes).leadingZeroBitCount, 255) }

    func isSibling(_ id: NodeID) -> Bool { id.bytes.word0 ^ own.bytes.word0 <= siblingRadius }

    func position(of id: NodeID, inBucket index: Int) -> Int? {
        let peers = buckets[index].peers
        for position in peers.indices where peers[position].id.bytes.word0 == id.bytes.word0 {
            if peers[position].id == id { return position }
        }
        return nil
    }

    func addresses(of peer: TablePeer) -> AddressList { peer.heldAddresses ?? longLists[Int(peer.elsewhere)] }

    func contact(of peer: TablePeer) -> Contact {
        Contact(id: peer.id, key: peer.key, addresses: addresses(of: peer))
    }

    /// Peers of a bucket that are no siblings: those that k bounds.
    private func strangers(inBucket index: Int) -> Int {
        guard siblingRadius < .max else { return 0 }
        return buckets[index].peers.count { !isSibling($0.id) }
    }

    private mutating func hear(
        _ contact: Contact, _ coordinate: Coordinate?, _ roundTrip: Interval?, at now: MonotonicInstant,
        _ position: Int, inBucket index: Int
    ) {
        buckets[index].peers[position].hear(coordinate: coordinate, roundTrip: roundTrip, at: now)
        let old = buckets[index].peers[position]
        guard addresses(of: old) != contact.addresses else { return }
        var renewed = old
        count(old, -1)
        release(old)
        settle(&renewed, contact.addresses)
        buckets[index].peers[position] = renewed
        count(renewed, 1)
    }

    private mutating func enter(_ peer: TablePeer, _ addresses: AddressList, inBucket index: Int) {
        if let place = buckets[index].waiting.firstIndex(where: { $0.id == peer.id }) {
            release(buckets[index].waiting.remove(at: place))
        }
        var peer = peer
        settle(&peer, addresses)
        buckets[index].peers.append(peer)
        count += 1
        count(peer, 1)
        peersChanged()
    }

    private mutating func wait(_ peer: TablePeer, _ addresses: AddressList, inBucket index: Int) {
        if let place = buckets[index].waiting.firstIndex(where: { $0.id == peer.id }) {
            release(buckets[index].waiting.remove(at: place))
        }
        if buckets[index].waiting.count >= DHTLimits.replacementsPerBucket {
            release(buckets[index].waiting.removeFirst())
        }
        var peer = peer
        settle(&peer, addresses)
        buckets[index].waiting.append(peer)
    }

    private mutating func removePeer(at position: Int, inBucket index: Int) {
        let peer = buckets[index].peers.remove(at: position)
        count(peer, -1)
        release(peer)
        count -= 1
        peersChanged()
    }

    /// The newest of those who wait takes the free place: it is the likeliest to be alive.
    private mutating func promote(inBucket index: Int) {
        while let peer = buckets[index].waiting.popLast() {
            let contact = contact(of: peer)
            release(peer)
            guard subnetHasRoom(for: contact, inBucket: index) else { continue }
            enter(peer, contact.addresses, inBucket: index)
            return
        }
    }

    /// What there is to know about the strangers of a full bucket before one of them gives up its place.
    private struct Census {
        var mostFailing: Int?
        /// Silent for longest; of several the one that came first.
        var oldest: Int?
        /// Of those who are no guests.
        var farthest: Int?
        var farthestChosen: Int?
        var chosen = 0
        /// Of the guests, and of the settled, the one that others name most; of several the one that came first.
        var famousGuest: Int?
        var famousSettled: Int?
        var guests = 0
        /// Neither chosen nor guests.
        var settled = 0
    }

    private func census(ofBucket index: Int, at now: MonotonicInstant) -> Census {
        let peers = buckets[index].peers
        let tick = TablePeer.tick(now)
        var census = Census()
        func isFarther(_ position: Int, than other: Int?) -> Bool {
            guard let time = peers[position].roundTrip else { return false }
            return other.map { time > peers[$0].roundTrip ?? .zero } ?? true
        }
        func isMoreFamous(_ position: Int, than other: Int?) -> Bool {
            other.map { peers[position].mentions > peers[$0].mentions } ?? true
        }
        for position in peers.indices where !isSibling(peers[position].id) {
            if census.mostFailing.map({ peers[position].failures > peers[$0].failures }) ?? true {
                census.mostFailing = position
            }
            if census.oldest.map({ peers[position].silence(at: tick) > peers[$0].silence(at: tick) }) ?? true {
                census.oldest = position
            }
            guard !peers[position].isGuest else {
                census.guests += 1
                if isMoreFamous(position, than: census.famousGuest) { census.famousGuest = position }
                continue
            }
            if isFarther(position, than: census.farthest) { census.farthest = position }
            guard peers[position].isChosenNear else {
                census.settled += 1
                if isMoreFamous(position, than: census.famousSettled) { census.famousSettled = position }
                continue
            }
            census.chosen += 1
            if isFarther(position, than: census.farthestChosen) { census.farthestChosen = position }
        }
        return census
    }

    private enum Reason { case absence, nearness, variety }

    /// Who gives up its place to `newcomer` in a full bucket: one that fails, one silent for longer than it is trusted,
    /// one much farther in time, or, to a guest, an earlier guest or anybody.
    private mutating func giver(
        to newcomer: TablePeer, isGuest: Bool, _ census: Census, inBucket index: Int, at now: MonotonicInstant
    ) -> (position: Int, reason: Reason)? {
        let peers = buckets[index].peers
        if let failing = census.mostFailing, peers[failing].failures >= 2 { return (failing, .absence) }
        if let silent = census.oldest, peers[silent].silence(at: TablePeer.tick(now)) > TablePeer.ticks(trust) {
            return (silent, .absence)
        }
        let maySettledLeave = census.settled > configuration.settledPerBucket
        if isGuest, now - buckets[index].lastGuest >= configuration.guestInterval {
            let hasRoom = census.guests < configuration.guestsPerBucket && maySettledLeave
            if let loser = hasRoom ? census.famousSettled : census.famousGuest {
                buckets[index].lastGuest = now
                return (loser, .variety)
            }
        }
        guard let roundTrip = newcomer.roundTrip, now - buckets[index].lastSwap >= configuration.swapInterval else {
            return nil
        }
        // Once enough were chosen for nearness, only those can lose their place to somebody nearer still.
        let mayChoose = census.chosen < configuration.chosenPerBucket && maySettledLeave
        let loser = mayChoose ? census.farthest : census.farthestChosen
        guard let loser, let time = peers[loser].roundTrip, roundTrip * 3 / 2 + .milliseconds(10) < time else {
            return nil
        }
        buckets[index].lastSwap = now
        return (loser, .nearness)
    }

    private mutating func peersChanged() {
        changes &+= 1
        siblingRadius = radius(ofNearest: configuration.siblings)
        trim()
    }

    /// The distance of the sibling number `limit`; the largest there is where fewer are known.
    func radius(ofNearest limit: Int) -> UInt64 {
        guard limit > 0 else { return 0 }
        guard count >= limit else { return .max }
        var wanted = limit
        for bucket in buckets.reversed() {
            guard bucket.peers.count >= wanted else {
                wanted -= bucket.peers.count
                continue
            }
            let distances = bucket.peers.map { $0.id.bytes.word0 ^ own.bytes.word0 }.sorted()
            return distances[wanted - 1]
        }
        return .max
    }

    /// A newcomer among the siblings has pushed the farthest of them out: where its bucket is then above k, the one
    /// silent for longest waits. That bucket is the farthest sibling's, or the next one outside it that holds anybody.
    private mutating func trim() {
        guard siblingRadius < .max else { return }
        var index = min(siblingRadius.leadingZeroBitCount, buckets.count - 1)
        if strangers(inBucket: index) <= configuration.bucketSize {
            guard let outside = (0..<index).last(where: { !buckets[$0].peers.isEmpty }) else { return }
            index = outside
        }
        guard strangers(inBucket: index) > configuration.bucketSize else { return }
        let peers = buckets[index].peers
        var loser: Int?
        for position in peers.indices where !isSibling(peers[position].id) {
            guard let present = loser else {
                loser = position
                continue
            }
            let (a, b) = (peers[position], peers[present])
            if a.failures > b.failures || (a.failures == b.failures && b.heardTick &- a.heardTick &- 1 < UInt32.max / 2)
            {
                loser = position
            }
        }
        guard let loser else { return }
        let peer = buckets[index].peers.remove(at: loser)
        count(peer, -1)
        count -= 1
        let list = addresses(of: peer)
        release(peer)
        wait(peer, list, inBucket: index)
    }

    // MARK: Addresses kept beside the entries

    private mutating func settle(_ peer: inout TablePeer, _ addresses: AddressList) {
        guard !peer.hold(addresses) else { return }
        if let free = freeLists.popLast() {
            longLists[Int(free)] = addresses
            peer.elsewhere = free
        } else {
            peer.elsewhere = UInt16(longLists.count)
            longLists.append(addresses)
        }
    }

    private mutating func release(_ peer: TablePeer) {
        if peer.form == .elsewhere { freeLists.append(peer.elsewhere) }
    }

    /// What is kept beside the buckets, by the arithmetic of its types.
    var bytesBeside: Int {
        longLists.count * MemoryLayout<AddressList>.stride + freeLists.count * 2 + subnets.count * 8 * 4 / 3
    }

    // MARK: Subnets

    /// A 32-bit image of the subnet; nil for addresses that are exempt. Two subnets with one image share their room.
    private static func subnet(of addresses: AddressList) -> UInt32? {
        guard let address = addresses.first, !address.isLoopback, !address.isPrivate else { return nil }
        let mixed = (address.subnet &* 2 &+ (address.isIPv4 ? 1 : 0)) &* 0x9e37_79b9_7f4a_7c15
        return UInt32(truncatingIfNeeded: mixed >> 32)
    }

    private mutating func count(_ peer: TablePeer, _ change: Int) {
        guard let subnet = Self.subnet(of: addresses(of: peer)) else { return }
        let present = Int(subnets[subnet] ?? 0) + change
        subnets[subnet] = present > 0 ? UInt8(clamping: present) : nil
    }

    private func subnetHasRoom(for contact: Contact, inBucket index: Int) -> Bool {
        guard let subnet = Self.subnet(of: contact.addresses) else { return true }
        guard Int(subnets[subnet] ?? 0) < configuration.subnetLimitInTable else { return false }
        let inBucket = buckets[index].peers.count { Self.subnet(of: addresses(of: $0)) == subnet }
        return inBucket < configuration.subnetLimitPerBucket
    }
}
