import SwarmCore

/// What the owner reads.
extension Membership {
    /// All known members without this node, by id; the dead stay for two minutes. In a large swarm these are the own
    /// cell and a sample of the rest, of which nobody here knows more than that they were alive a short while ago.
    package var members: [Member] {
        var members: [Member] = []
        members.reserveCapacity(table.count)
        var goneIndex = 0
        for present in table.present.elements {
            while goneIndex < table.gone.count, table.gone[goneIndex].id < present.id {
                members.append(member(table.gone[goneIndex]))
                goneIndex += 1
            }
            members.append(member(present))
        }
        for index in goneIndex..<table.gone.count { members.append(member(table.gone[index])) }
        guard !foreign.members.isEmpty else { return members }
        return (members + foreign.members.elements.map { member($0) }).sorted { $0.id < $1.id }
    }

    /// Known members that are alive or suspected, without this node.
    package var presentCount: Int { table.present.count + foreign.members.count }

    /// Leading bits of the id that this node's cell shares; 0 while it follows the whole swarm.
    package var cellDepth: Int { cell.bits }
    /// Members of the own cell, this node included.
    package var cellCount: Int { table.present.count + 1 }
    /// How many nodes the swarm has: exact while undivided, else by the size of the cell.
    package var estimatedSize: Int { cellCount << cell.bits }

    /// The mean and the greatest load (0–1000 ‰) of the own cell, which is a fair sample of the swarm.
    package var sampledLoad: (mean: Int, maximum: Int) {
        var sum = Int(own.load)
        var maximum = Int(own.load)
        for present in table.present.elements {
            sum += Int(present.record.load)
            maximum = max(maximum, Int(present.record.load))
        }
        return (sum / cellCount, maximum)
    }

    package func member(_ id: NodeID) -> Member? {
        if let index = table.present.index(of: id) { return member(table.present[index]) }
        if let index = table.gone.index(of: id) { return member(table.gone[index]) }
        return foreign.members.index(of: id).map { member(foreign.members[$0]) }
    }

    /// `member(_:)?.status` without putting the rest together.
    package func status(of id: NodeID) -> MemberStatus? {
        table.standing(of: id).status ?? (foreign.members.index(of: id) == nil ? nil : .alive)
    }

    /// Measured where this node measures, else predicted by coordinates; nil for strangers and before any measurement.
    package func predictedRoundTrip(from first: NodeID, to second: NodeID) -> Interval? {
        guard first != second else { return .zero }
        if first == own.contact.id, let measured = probe(of: second)?.quality.roundTrip { return measured }
        if second == own.contact.id, let measured = probe(of: first)?.quality.roundTrip { return measured }
        guard let one = coordinate(of: first), let other = coordinate(of: second) else { return nil }
        guard one.relativeError < 1.2, other.relativeError < 1.2 else { return nil }
        return .microseconds(Int64(one.distance(to: other) * 1000))
    }

    private func coordinate(of id: NodeID) -> Coordinate? {
        if id == own.contact.id { return own.coordinate }
        return probe(of: id)?.coordinate ?? record(of: id)?.coordinate
    }

    /// The description of a member of whichever cell.
    func record(of id: NodeID) -> MemberRecord? {
        table.record(of: id) ?? foreign.members.index(of: id).map { foreign.members[$0].record }
    }

    private func probe(of id: NodeID) -> Probe? { probeIndex(of: id).map { probes[$0] } }

    private func member(_ present: PresentMember) -> Member {
        var member = Member(
            description: present.record.description, status: present.isSuspected ? .suspected : .alive,
            statusSince: present.since.instant ?? .zero, lastHeard: lastHeard(present.id), quality: LinkQuality())
        if let version = table.version(of: present.id) { member.description.version = version }
        if let probe = probe(of: present.id) {
            member.quality = probe.quality
            if let load = probe.load { member.description.load = load }
            if let coordinate = probe.coordinate { member.description.coordinate = coordinate }
        }
        return member
    }

    private func member(_ gone: GoneMember) -> Member {
        var member = Member(
            description: gone.record.description, status: gone.status, statusSince: gone.since, lastHeard: nil,
            quality: LinkQuality())
        member.description.version = gone.version
        return member
    }

    private func member(_ foreign: ForeignMember) -> Member {
        Member(
            description: foreign.record.description, status: .alive, statusSince: foreign.vouched, lastHeard: nil,
            quality: LinkQuality())
    }
}
