import SwarmCore

/// How answers have come to this node of late, whoever gave them: what may be assumed of those of whom nothing is known.
/// A node behind a satellite is far from everybody; it has to wait for strangers, or it never hears one.
package struct AnswerTimes: Sendable {
    /// Smoothed over all answers as TCP does for one path (RFC 6298 §2); nil before the first.
    private(set) var usual: Interval?
    private var timeoutsInARow = 0
    private static var timeoutsToBeCutOff: Int { 8 }

    package init() {}

    /// No answer ever, or none to the last eight requests that ended: either nobody is there or the ways have become long.
    var isCutOff: Bool { usual == nil || timeoutsInARow >= Self.timeoutsToBeCutOff }

    /// The longest ways on Earth by cable take about 400 ms. Who has met longer ones waits for as long as three usual round
    /// trips, so that nobody who is slow on purpose keeps one waiting that is used to less.
    var longestPatience: Interval { max(.milliseconds(600), min((usual ?? Self.longestEver) * 3, Self.longestEver)) }

    /// Two satellite links in a row take 1.2 s.
    static var longestEver: Interval { .milliseconds(1500) }

    package mutating func noteAnswer(after roundTrip: Interval) {
        usual = usual.map { ($0 * 7 + roundTrip) / 8 } ?? roundTrip
        timeoutsInARow = 0
    }

    package mutating func noteTimeout() { timeoutsInARow = min(timeoutsInARow + 1, Self.timeoutsToBeCutOff) }
}
