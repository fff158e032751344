import SwarmCore

/// What a simulator's checkers read at every sweep: without putting whole descriptions together.
extension Membership {
    package var knownCount: Int { table.count + foreign.members.count }

    /// Every member of the own cell in the view, dead ones included; of foreign ones only a sample is known, and old.
    package func forEachKnown(
        _ body: (_ id: NodeID, _ instance: UInt64, _ version: UInt64, _ status: MemberStatus) -> Void
    ) {
        for present in table.present.elements {
            let version = table.version(of: present.id) ?? present.record.version
            body(present.id, present.record.instance, version, present.isSuspected ? .suspected : .alive)
        }
        for index in 0..<table.gone.count {
            let gone = table.gone[index]
            body(gone.id, gone.record.instance, gone.version, gone.status)
        }
    }
}
