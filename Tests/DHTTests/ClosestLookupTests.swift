import DHT
import SwarmCore
import Testing

@Suite struct ClosestLookupTests {
    private let start = MonotonicInstant(nanoseconds: 1_000_000_000)

    /// A search over random worlds: honest nodes that know a random few, silent ones, and liars that invent nearer
    /// nodes without end. Whatever they do, the bounds hold and the search ends.
    @Test(arguments: 1...60 as ClosedRange<UInt64>) func boundsHoldWhateverIsAnswered(seed: UInt64) {
        var samples = Samples(seed: seed)
        let own = NodeID(samples.bytes32())
        let target = samples.bytes32()
        var parameters = ClosestLookup.Parameters()
        parameters.width = 1 + samples.generator.integer(below: 20)
        parameters.parallelism = 1 + samples.generator.integer(below: 6)
        parameters.wideParallelism = parameters.parallelism + samples.generator.integer(below: 6)
        parameters.seedsFollowed = samples.generator.integer(below: 6)
        parameters.namesFollowed = samples.generator.integer(below: 9)
        parameters.awaitsAll = samples.generator.next() & 1 == 0
        parameters.isWideFromStart = samples.generator.next() & 1 == 0
        parameters.sparesSurroundings = samples.generator.next() & 1 == 0
        parameters.opening = samples.generator.integer(below: 9)
        if samples.generator.next() & 1 == 0 {
            parameters.region = HolderRegion(key: target, swarmSize: 200, holders: parameters.width)
        }
        parameters.candidateLimit = 40 + samples.generator.integer(below: 100)
        parameters.askLimit = 20 + samples.generator.integer(below: 60)
        let world = (0..<200).map { _ in samples.contact() }
        let ownContact = Contact(id: own, key: PublicKey(.zero), addresses: world[0].addresses)
        var lookup = ClosestLookup(
            target: target, own: own, seeds: world.prefix(5).map { ClosestLookup.Hint($0) }, parameters: parameters)
        var waiting: [Contact] = []
        var asked: Set<NodeID> = []
        var answered: Set<NodeID> = []
        var late: Set<NodeID> = []
        var steps = 0
        search: while steps < 5000 {
            steps += 1
            switch lookup.next() {
            case .finished: break search
            case .ask(let peer, _):
                #expect(peer.id != own)
                #expect(asked.insert(peer.id).inserted, "nobody is asked twice")
                waiting.append(peer)
            case .wait:
                #expect(lookup.outstanding == waiting.count && !waiting.isEmpty)
                let peer = waiting.remove(at: samples.generator.integer(below: waiting.count))
                switch samples.generator.integer(below: 4) {
                case 0: lookup.onFailure(peer.id)
                case 1:
                    // A liar: nearer and nearer nodes that do not exist, this node, and itself.
                    let lies = (0..<30).map { index -> ClosestLookup.Hint in
                        var bytes = target
                        bytes.word1 ^= samples.generator.next() >> UInt64(index)
                        let contact = Contact(
                            id: NodeID(bytes), key: PublicKey(.zero), addresses: world[0].addresses)
                        return ClosestLookup.Hint(contact)
                    }
                    lookup.onSuccess(
                        peer.id, closer: [ClosestLookup.Hint(ownContact), ClosestLookup.Hint(peer)] + lies)
                    answered.insert(peer.id)
                default:
                    let known = (0..<10).map { _ in world[samples.generator.integer(below: world.count)] }
                    lookup.onSuccess(peer.id, closer: known.map { ClosestLookup.Hint($0) })
                    answered.insert(peer.id)
                }
                if samples.generator.next() & 3 == 0, let slow = waiting.first, late.insert(slow.id).inserted {
                    lookup.onLate(slow.id)
                }
            }
            #expect(lookup.inFlight <= parameters.wideParallelism)
            #expect(lookup.outstanding <= 2 * parameters.wideParallelism)
            #expect(lookup.candidateCount <= parameters.candidateLimit)
            #expect(lookup.asked <= parameters.askLimit)
        }
        #expect(lookup.isFinished && lookup.next() == .finished)
        let closest = lookup.closest
        #expect(closest.count <= parameters.width)
        #expect(closest.allSatisfy { answered.contains($0.id) })
        #expect(
            zip(closest, closest.dropFirst()).allSatisfy { near, far in
                near.id.distance(to: target) < far.id.distance(to: target)
            })
    }

    /// In an honest world where every node knows its neighbourhood, the true k nearest are found.
    @Test(arguments: 1...10 as ClosedRange<UInt64>) func honestWorldsGiveTheTrueNearest(seed: UInt64) {
        var samples = Samples(seed: seed)
        let target = samples.bytes32()
        let world = (0..<300).map { _ in samples.contact() }
        var tables: [NodeID: RoutingTable] = [:]
        for node in world {
            var table = RoutingTable(own: node.id, configuration: DHTConfiguration())
            for other in world { _ = table.observe(other, roundTrip: nil, at: start) }
            tables[node.id] = table
        }
        let own = NodeID(samples.bytes32())
        var lookup = ClosestLookup(
            target: target, own: own, seeds: [ClosestLookup.Hint(world[0])], parameters: ClosestLookup.Parameters())
        drive(&lookup) { peer in
            (tables[peer.id]?.closest(to: target, limit: 20) ?? []).map { ClosestLookup.Hint($0.contact) }
        }
        let expected = world.sorted { $0.id.distance(to: target) < $1.id.distance(to: target) }.prefix(20)
        #expect(lookup.closest == Array(expected))
    }

    /// Runs a search to its end; of those asked, whoever comes `first` answers first, else whoever was asked first.
    private func drive(
        _ lookup: inout ClosestLookup, first: (Contact) -> Bool = { _ in true },
        answer: (Contact) -> [ClosestLookup.Hint]
    ) {
        var waiting: [Contact] = []
        while true {
            switch lookup.next() {
            case .finished: return
            case .ask(let peer, _): waiting.append(peer)
            case .wait:
                let peer = waiting.remove(at: waiting.firstIndex(where: first) ?? 0)
                lookup.onSuccess(peer.id, closer: answer(peer))
            }
        }
    }

    @Test func lateAndUnaskedAnswers() {
        var samples = Samples(seed: 5)
        let peers = (0..<8).map { _ in samples.contact() }
        var parameters = ClosestLookup.Parameters()
        parameters.parallelism = 1
        parameters.wideParallelism = 1
        var lookup = ClosestLookup(
            target: .zero, own: NodeID(samples.bytes32()),
            seeds: peers.map { ClosestLookup.Hint($0, roundTrip: .milliseconds(50)) }, parameters: parameters)
        guard case .ask(let first, _) = lookup.next() else {
            Issue.record("nobody asked")
            return
        }
        #expect(lookup.next() == .wait)
        lookup.onLate(first.id)
        // Late, so another is asked meanwhile; but no third, since two are out.
        guard case .ask(let second, _) = lookup.next() else {
            Issue.record("no hedge")
            return
        }
        lookup.onLate(second.id)
        #expect(lookup.next() == .wait)
        let stranger = samples.contact()
        #expect(lookup.onSuccess(stranger.id, closer: []) == false)
        #expect(lookup.onSuccess(first.id, closer: []) == true)
        #expect(lookup.onSuccess(first.id, closer: []) == false)
        lookup.onFailure(second.id)
        #expect(lookup.closest == [first])
    }

    /// Among candidates of like progress who is near in time is asked first; a little nearer in distance weighs less. (The
    /// draw at most doubles a time: these are farther apart.)
    @Test func theNearInTimeAreAskedFirst() {
        var parameters = ClosestLookup.Parameters()
        parameters.region = HolderRegion(key: .zero, swarmSize: 1024, holders: 16)
        func hint(_ bits: UInt64, _ tail: UInt64, _ milliseconds: Int64) -> ClosestLookup.Hint {
            let id = NodeID(Bytes32(1 << (63 - bits) | tail, 0, 0, 0))
            let address = AddressList(NetworkAddress(ipv4: 0x0a00_0001, port: 1))
            return ClosestLookup.Hint(
                Contact(id: id, key: PublicKey(.zero), addresses: address), roundTrip: .milliseconds(milliseconds))
        }
        // Two inside the region, where only time counts; one just outside; one far out but very near in time.
        let seeds = [hint(12, 1, 90), hint(8, 2, 15), hint(4, 3, 10), hint(0, 4, 5)]
        var lookup = ClosestLookup(
            target: .zero, own: NodeID(Bytes32(7, 7, 7, 7)), seeds: seeds, parameters: parameters)
        var order: [Int] = []
        for _ in 0..<3 {
            guard case .ask(let peer, _) = lookup.next() else { break }
            if let index = seeds.firstIndex(where: { $0.contact == peer }) { order.append(index) }
        }
        #expect(order == [1, 2, 0])
    }

    /// The nodes around the region wait for what others say, more and more of them are asked, and when the region has answered
    /// in vain all are.
    @Test(arguments: [false, true]) func theSurroundingsAreSpared(isWide: Bool) {
        var samples = Samples(seed: 15)
        let target = samples.bytes32()
        let region = HolderRegion(key: target, swarmSize: 2560, holders: 20)
        func isNear(_ contact: Contact) -> Bool { region.contains(contact.id, within: 8) }
        let world = (0..<2560).map { _ in samples.contact() }
        let near = world.filter { isNear($0) && !region.contains($0.id) }.prefix(12)
        let far = world.filter { !isNear($0) }.prefix(20)
        let holder = world.filter { region.contains($0.id) }[0]
        var parameters = ClosestLookup.Parameters()
        parameters.parallelism = 40
        parameters.wideParallelism = 40
        parameters.seedsFollowed = 40
        parameters.isWideFromStart = isWide
        parameters.sparesSurroundings = true
        parameters.region = region
        var lookup = ClosestLookup(
            target: target, own: NodeID(samples.bytes32()), seeds: (near + far).map { ClosestLookup.Hint($0) },
            parameters: parameters)
        var waiting: [Contact] = []
        func ask() {
            while case .ask(let peer, _) = lookup.next() { waiting.append(peer) }
        }
        for answers in 0..<4 {
            ask()
            // Before anybody is asked the most promising may be, even if it is near.
            #expect(waiting.count { isNear($0) } == max(1, answers * (answers - 1) / 2))
            #expect(waiting.count { !isNear($0) } >= (isWide ? 16 : 8) - answers)
            guard let index = waiting.firstIndex(where: { !isNear($0) }) else { break }
            let peer = waiting.remove(at: index)
            lookup.onSuccess(peer.id, closer: answers == 3 ? [ClosestLookup.Hint(holder)] : [])
        }
        ask()
        #expect(waiting.count { isNear($0) } == 6)
        // Who is late is in nobody's way.
        let slow = waiting.filter { isNear($0) && $0 != holder }
        for peer in slow.prefix(2) { lookup.onLate(peer.id) }
        ask()
        #expect(waiting.count { isNear($0) } == 8)
        #expect(waiting.contains(holder), "the nearest of all is asked among the first")
        waiting.removeAll { $0 == holder }
        lookup.onSuccess(holder.id, closer: [])
        ask()
        #expect(waiting.count { isNear($0) } == 12)
        while let peer = waiting.popLast() {
            lookup.onSuccess(peer.id, closer: [])
            ask()
        }
        #expect(lookup.isFinished && lookup.isConclusive)
        #expect(near.allSatisfy { lookup.answered(limit: 255).contains($0) }, "in the end everybody is asked")
    }

    /// A search over `peers`, of whom the first `silent` fail and the next `late` are late for ever; the rest know nobody.
    private func ended(_ peers: [Contact], silent: Int = 0, late: Int = 0, askLimit: Int = 128) -> ClosestLookup? {
        var parameters = ClosestLookup.Parameters()
        parameters.askLimit = askLimit
        parameters.parallelism = peers.count
        let seeds = peers.map { ClosestLookup.Hint($0) }
        var lookup = ClosestLookup(target: .zero, own: NodeID(.zero), seeds: seeds, parameters: parameters)
        var asked: [NodeID] = []
        while case .ask(let peer, _) = lookup.next() { asked.append(peer.id) }
        for (index, peer) in peers.enumerated() where asked.contains(peer.id) {
            if index < silent {
                lookup.onFailure(peer.id)
            } else if index < silent + late {
                lookup.onLate(peer.id)
            } else {
                lookup.onSuccess(peer.id, closer: [])
            }
        }
        while case .ask(let peer, _) = lookup.next() { lookup.onSuccess(peer.id, closer: []) }
        return lookup.isFinished ? lookup : nil
    }

    @Test func aQuarterMayBeLateAtTheEnd() {
        var samples = Samples(seed: 6)
        let peers = (0..<20).map { _ in samples.contact() }
        #expect(ended(peers, late: 5)?.isConclusive == true)
        #expect(ended(peers, late: 6) == nil, "one more, and nobody left to ask: it is waited for")
    }

    @Test func absenceNeedsToBeHeard() {
        var samples = Samples(seed: 7)
        let peers = (0..<30).map { _ in samples.contact() }
        let few = Array(peers.prefix(4))
        #expect(ended(peers)?.isConclusive == true)
        #expect(ended(few, silent: 2)?.isConclusive == true)
        #expect(ended(few, silent: 3)?.isConclusive == false, "three of four said nothing")
        #expect(ended(Array(peers.prefix(20)), silent: 11)?.isConclusive == false)
        #expect(ended(peers, askLimit: 12)?.isConclusive == false, "cut short")
        var unasked = ClosestLookup(
            target: .zero, own: NodeID(.zero), seeds: peers.map { ClosestLookup.Hint($0) },
            parameters: ClosestLookup.Parameters())
        if case .ask(let first, _) = unasked.next() { unasked.onNoRoom(first.id) }
        while case .ask(let peer, _) = unasked.next() { unasked.onSuccess(peer.id, closer: []) }
        #expect(unasked.isFinished && !unasked.isConclusive, "one could not be asked")
        var cancelled = ended(peers)
        cancelled?.cancel()
        #expect(cancelled?.isConclusive == false)
    }

    /// Who knows nodes of the region asks three of them and waits; the rest follows when one has nothing, or all are late.
    @Test(arguments: [0, 1, 2]) func aSearchBeginsWithKnownHolders(course: Int) {
        var samples = Samples(seed: 9)
        var inside: [Contact] = []
        var outside: [Contact] = []
        let region = HolderRegion(key: .zero, swarmSize: 400, holders: 20)
        while inside.count < 5 || outside.count < 25 {
            let contact = samples.contact()
            if region.contains(contact.id) { inside.append(contact) } else { outside.append(contact) }
        }
        let seeds = (outside.prefix(25) + inside.prefix(5)).map { ClosestLookup.Hint($0) }
        var parameters = ClosestLookup.Parameters()
        parameters.width = 20
        parameters.region = region
        parameters.isWideFromStart = true
        parameters.wideParallelism = 64
        parameters.seedsFollowed = 40
        parameters.opening = 3
        var lookup = ClosestLookup(target: .zero, own: NodeID(.zero), seeds: seeds, parameters: parameters)
        var first: [NodeID] = []
        while case .ask(let peer, _) = lookup.next() { first.append(peer.id) }
        #expect(first.count == 3 && first.allSatisfy { region.contains($0) })
        switch course {
        case 0:
            lookup.onSuccess(first[1], closer: [])
        case 1:
            for peer in first.dropLast() { lookup.onLate(peer) }
            #expect(lookup.next() == .wait, "one is on time")
            lookup.onLate(first[2])
        default:
            lookup.onFailure(first[0])
            lookup.onLate(first[1])
            #expect(lookup.next() == .wait, "one is on time")
            lookup.onFailure(first[2])
        }
        var rest = 0
        while case .ask = lookup.next() { rest += 1 }
        #expect(rest == 27)
    }

    /// Of forty asked ten is a quarter, and enough where the ten nearest are wanted; with one less most may be out of reach.
    @Test(arguments: [(30, true), (31, false)]) func absenceNeedsAQuarterOfThoseAsked(silent: Int, isHeard: Bool) {
        var samples = Samples(seed: 8)
        let peers = (0..<DHTLimits.seedsPerLookup).map { _ in samples.contact() }
        var parameters = ClosestLookup.Parameters()
        parameters.width = 10
        parameters.seedsFollowed = peers.count
        var lookup = ClosestLookup(
            target: .zero, own: NodeID(.zero), seeds: peers.map { ClosestLookup.Hint($0) }, parameters: parameters)
        let silentOnes = peers.prefix(silent).map(\.id)
        while case .ask(let peer, _) = lookup.next() {
            if silentOnes.contains(peer.id) {
                lookup.onFailure(peer.id)
            } else {
                lookup.onSuccess(peer.id, closer: [])
            }
        }
        #expect(lookup.isFinished && lookup.asked == 40)
        #expect(lookup.isConclusive == isHeard)
    }

    /// Colluders, as many as honest nodes, answer at once and name the 20 of them nearest to the target, so that all the
    /// nearest places are theirs. Of the own table three quarters are colluders. The honest holders are found all the same;
    /// by a search that asks only the nearest they are not.
    @Test func liarsDisplaceNobody() {
        var wide = 0.0
        var narrow = 0.0
        for seed in 1...20 as ClosedRange<UInt64> {
            let (found, asked) = honestShare(seed: seed, seedsFollowed: 40, namesFollowed: 2)
            #expect(asked < DHTLimits.asksPerLookup)
            wide += found / 20
            narrow += honestShare(seed: seed, seedsFollowed: 0, namesFollowed: 0).found / 20
        }
        #expect(wide >= 0.95, "\(wide) of the honest holders")
        #expect(narrow < 0.8, "\(narrow) of the honest holders")
    }

    /// The share of the honest nodes of the region that a search finds in a world with as many colluders.
    private func honestShare(seed: UInt64, seedsFollowed: Int, namesFollowed: Int) -> (found: Double, asked: Int) {
        var samples = Samples(seed: seed)
        let target = samples.bytes32()
        let honest = (0..<500).map { _ in samples.contact() }
        let colluders = (0..<500).map { _ in samples.contact() }
        func nearest(_ contacts: some Sequence<Contact>) -> [ClosestLookup.Hint] {
            let sorted = contacts.sorted { $0.id.distance(to: target) < $1.id.distance(to: target) }
            return sorted.prefix(20).map { ClosestLookup.Hint($0) }
        }
        let lie = nearest(colluders)
        let isHonest = Set(honest.map(\.id))
        // Nodes of the same half of the key space know a tenth of it, those of the same 16th all of it.
        func knows(_ a: NodeID, _ b: NodeID) -> Bool {
            let shared = a.distance(to: b.bytes).leadingZeroBitCount
            return shared >= 4 || samples.generator.integer(below: 10) == 0
        }
        var seeds: [Contact] = []
        for _ in 0..<10 { seeds.append(honest[samples.generator.integer(below: 500)]) }
        for index in 0..<30 { seeds.append(colluders[index]) }
        var parameters = ClosestLookup.Parameters()
        parameters.parallelism = 6
        parameters.wideParallelism = 64
        parameters.seedsFollowed = seedsFollowed
        parameters.namesFollowed = namesFollowed
        parameters.isWideFromStart = true
        let region = HolderRegion(key: target, swarmSize: 1000, holders: 20)
        parameters.region = region
        seeds.sort { $0.id.distance(to: target) < $1.id.distance(to: target) }
        var lookup = ClosestLookup(
            target: target, own: NodeID(samples.bytes32()), seeds: seeds.map { ClosestLookup.Hint($0) },
            parameters: parameters)
        // Colluders first: they are quick.
        drive(&lookup, first: { !isHonest.contains($0.id) }) { peer in
            guard isHonest.contains(peer.id) else { return lie }
            return nearest((honest + colluders).filter { $0.id != peer.id && knows(peer.id, $0.id) })
        }
        let holders = honest.filter { region.contains($0.id) }
        let found = Set(lookup.answered(limit: 255).map(\.id))
        let share = Double(holders.count { found.contains($0.id) }) / Double(max(holders.count, 1))
        return (holders.isEmpty ? 1 : share, lookup.asked)
    }

    /// Ids ground next to the key fill all the nearest places, and the answers of honest nodes about the key.
    @Test func groundIdsDoNotHideTheRegion() {
        var samples = Samples(seed: 9)
        let target = samples.bytes32()
        let region = HolderRegion(key: target, swarmSize: 1000, holders: 20)
        let ground = (0..<45).map { index -> Contact in
            var bytes = target
            bytes.word1 ^= UInt64(index + 1)
            return Contact(id: NodeID(bytes), key: PublicKey(.zero), addresses: samples.contact().addresses)
        }
        let honest = (0..<1000).map { _ in samples.contact() }
        var parameters = ClosestLookup.Parameters()
        parameters.wideParallelism = 24
        parameters.seedsFollowed = 40
        parameters.namesFollowed = 2
        parameters.isWideFromStart = true
        parameters.region = region
        var lookup = ClosestLookup(
            target: target, own: NodeID(samples.bytes32()), seeds: honest.prefix(20).map { ClosestLookup.Hint($0) },
            parameters: parameters)
        let isGround = Set(ground.map(\.id))
        while case .ask(let peer, let point) = lookup.next() {
            let known = isGround.contains(peer.id) ? ground : honest + ground
            let sorted = known.sorted { $0.id.distance(to: point) < $1.id.distance(to: point) }
            lookup.onSuccess(peer.id, closer: sorted.prefix(20).map { ClosestLookup.Hint($0) })
        }
        #expect(lookup.isFinished)
        let found = Set(lookup.answered(limit: 255).map(\.id))
        let holders = honest.filter { region.contains($0.id) }
        #expect(holders.count { found.contains($0.id) } >= 10, "of \(holders.count)")
    }

    @Test func nobodyToAskIsTheEnd() {
        var lookup = ClosestLookup(target: .zero, own: NodeID(.zero), seeds: [], parameters: ClosestLookup.Parameters())
        #expect(lookup.next() == .finished)
        #expect(lookup.closest.isEmpty)
    }

    @Test(
        arguments: [
            (.none, 150, 250), (.measured(.milliseconds(1)), 16, 31), (.measured(.milliseconds(50)), 75, 105),
            (.predicted(.milliseconds(50)), 95, 140), (.measured(.seconds(9)), 600, 600),
        ] as [(RequestTiming.Knowledge, Int64, Int64)])
    func patienceFollowsTheRoundTrip(knowledge: RequestTiming.Knowledge, hedge: Int64, patience: Int64) {
        var experience = AnswerTimes()
        experience.noteAnswer(after: .milliseconds(40))
        let timing = RequestTiming(knowledge, experience: experience)
        #expect(timing.hedge.milliseconds == hedge)
        #expect(timing.patience.milliseconds == patience)
        #expect(timing.timeout.milliseconds == max(3 * patience, 500))
    }

    /// Of strangers nobody knows more than how long answers took so far.
    @Test func whoIsFarFromAllWaitsLonger() {
        var experience = AnswerTimes()
        func patience(_ knowledge: RequestTiming.Knowledge) -> Int64 {
            RequestTiming(knowledge, experience: experience).patience.milliseconds
        }
        #expect(patience(.none) == 1500, "nobody has answered yet")
        experience.noteAnswer(after: .milliseconds(800))
        #expect(patience(.none) == 1200)
        #expect(patience(.measured(.milliseconds(700))) == 1080)
        #expect(patience(.measured(.seconds(9))) == 1500)
        for _ in 0..<60 { experience.noteAnswer(after: .milliseconds(40)) }
        #expect(patience(.none) == 250)
        #expect(patience(.measured(.seconds(9))) == 600)
        for _ in 0..<7 { experience.noteTimeout() }
        #expect(patience(.measured(.milliseconds(40))) == 90)
        experience.noteTimeout()
        #expect(patience(.measured(.milliseconds(40))) == 1500, "eight in a row: the ways may have become long")
        #expect(RequestTiming(.measured(.milliseconds(40)), experience: experience).hedge.milliseconds == 63)
        experience.noteAnswer(after: .milliseconds(1400))
        #expect(patience(.measured(.milliseconds(40))) == 90)
    }
}
