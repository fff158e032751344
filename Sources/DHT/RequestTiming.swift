import SwarmCore

/// When an unanswered request is late, when it is sent again and when it is given up, from what is known or predicted of
/// the way to a peer.
package struct RequestTiming: Hashable, Sendable {
    /// What is known of a round trip.
    package enum Knowledge: Hashable, Sendable {
        case measured(Interval)
        /// From coordinates, which are wrong by a fifth on average and by half now and then.
        case predicted(Interval)
        case none
    }

    /// After this long without an answer the peer is late: another may be asked meanwhile.
    package let hedge: Interval
    /// After this long it is sent again, and once more after twice that.
    package let patience: Interval
    /// After this long it has failed: not before a handshake whose first message was lost, and repeated by the link after
    /// 300 ms, could bring the answer.
    package var timeout: Interval { max(patience * 3, .milliseconds(500)) }

    package init(_ knowledge: Knowledge, experience: AnswerTimes, longestHedge: Interval? = nil) {
        let longest = experience.longestPatience
        let hedge: Interval
        let patience: Interval
        switch knowledge {
        case .measured(let time):
            hedge = min(time * 6 / 5 + .milliseconds(15), longest)
            patience = min(time * 3 / 2 + .milliseconds(30), longest)
        case .predicted(let time):
            hedge = min(time * 3 / 2 + .milliseconds(20), longest)
            patience = min(time * 2 + .milliseconds(40), longest)
        case .none:
            hedge = .milliseconds(150)
            patience = min(max(.milliseconds(250), (experience.usual ?? .zero) * 3 / 2), longest)
        }
        self.hedge = longestHedge.map { min($0, hedge) } ?? hedge
        self.patience = experience.isCutOff ? max(patience, AnswerTimes.longestEver) : patience
    }
}
