import SwarmCore

/// What the owner reads.
extension Membership {
    /// All known members without this node, by id; the dead stay for two minutes.
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
        return members
    }

    /// Members that are alive or suspected, without this node.
    package var presentCount: Int { table.present.count }

    package func member(_ id: NodeID) -> Member? {
        if let index = table.present.index(of: id) { return member(table.present[index]) }
        return table.gone.index(of: id).map { member(table.gone[$0]) }
    }

    /// `member(_:)?.status` without putting the rest together.
    package func status(of id: NodeID) -> MemberStatus? { table.standing(of: id).status }

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
        return probe(of: id)?.coordinate ?? table.record(of: id)?.coordinate
    }

    private func probe(of id: NodeID) -> Probe? { probes.first { $0.id == id } }

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
}
