import SwarmCore

/// When an unanswered request is sent again and when it is given up, from what is known of the way to a peer.
package struct RequestTiming: Hashable, Sendable {
    /// After this long without an answer the request is late: it is repeated, and another peer may be asked meanwhile.
    package let patience: Interval
    /// After this long it has failed: the first transmission, one after `patience`, one after three times that.
    package var timeout: Interval { patience * 6 }

    /// Twice the round trip and a margin for scheduling; 200 ms for a peer never met, whose link must first be opened.
    package init(roundTrip: Interval?) {
        guard let roundTrip else {
            patience = .milliseconds(200)
            return
        }
        patience = min(max(roundTrip * 2 + .milliseconds(20), .milliseconds(40)), .milliseconds(400))
    }

    /// When transmission number `sent` + 1 is due, counted from the first; nil when there is none.
    package func nextTransmission(afterSending sent: Int) -> Interval? {
        switch sent {
        case 1: patience
        case 2: patience * 3
        default: nil
        }
    }
}

/// One iterative search for the k nodes nearest to a target, as a value (Kademlia, §2.3).
///
/// The owner calls `next(now)` until it says `.wait` or `.finished`, sends a request for each `.ask`, and reports what
/// became of it by `onSuccess` or `onFailure`. At most `parallelism` peers are asked and not yet late; as many more may
/// be late. Late peers are still welcome to answer. The search ends when the k nearest candidates that have not failed
/// have all answered, when nobody is left to ask, or when it has asked as many peers as it may.
package struct ClosestLookup: Sendable {
    package struct Parameters: Sendable {
        /// How many nearest nodes are wanted (k).
        package var width = 20
        package var parallelism = 3
        /// Late peers among the k nearest hold up the end: for claims of absence. Otherwise they are passed over.
        package var waitsForLatePeers = false
        package var candidateLimit = DHTLimits.candidates
        package var askLimit = DHTLimits.asksPerLookup

        package init() {}
    }

    /// A node that might be near the target, with its round trip where it has been measured.
    package struct Hint: Hashable, Sendable {
        package var contact: Contact
        package var roundTrip: Interval?

        package init(_ contact: Contact, roundTrip: Interval? = nil) {
            self.contact = contact
            self.roundTrip = roundTrip
        }
    }

    package enum Step: Hashable, Sendable {
        /// Send the request to this peer, now.
        case ask(Contact)
        /// Nothing to do before an answer, a failure or `nextDeadline`.
        case wait
        case finished
    }

    private enum State: Hashable, Sendable {
        case new
        case asked(lateAt: MonotonicInstant)
        case late
        case answered
        case failed
    }

    private struct Candidate: Sendable {
        var contact: Contact
        var distance: Bytes32
        var state: State
        var roundTrip: Interval?
    }

    package let target: Bytes32
    private let own: NodeID
    private let parameters: Parameters
    /// Sorted by distance, no duplicates, never this node itself.
    private var candidates: [Candidate] = []
    private var asks = 0
    package private(set) var isFinished = false

    /// `seeds` are the nearest known nodes.
    package init(target: Bytes32, own: NodeID, seeds: [Hint], parameters: Parameters) {
        self.target = target
        self.own = own
        self.parameters = parameters
        for seed in seeds { learn(seed) }
    }

    // MARK: The verbs

    package mutating func next(_ now: MonotonicInstant) -> Step {
        guard !isFinished else { return .finished }
        markLate(now)
        if nearestHaveAnswered { return finish() }
        guard let index = nextToAsk else { return hasOutstanding ? .wait : finish() }
        let timing = RequestTiming(roundTrip: candidates[index].roundTrip)
        candidates[index].state = .asked(lateAt: now + timing.patience)
        asks += 1
        return .ask(candidates[index].contact)
    }

    /// `peer` answered and named `closer`. False where the peer was not asked; nothing changes then.
    @discardableResult
    package mutating func onSuccess(_ peer: NodeID, closer: [Hint]) -> Bool {
        guard let index = position(of: peer), isOutstanding(index) else { return false }
        candidates[index].state = .answered
        guard !isFinished else { return true }
        for hint in closer.prefix(DHTLimits.contactsPerAnswer) { learn(hint) }
        return true
    }

    /// `peer` did not answer, or answered nonsense.
    package mutating func onFailure(_ peer: NodeID) {
        guard let index = position(of: peer), isOutstanding(index) else { return }
        candidates[index].state = .failed
    }

    /// Ends the search where it stands.
    package mutating func cancel() { isFinished = true }

    /// When the next peer becomes late and another may be asked.
    package var nextDeadline: MonotonicInstant? {
        guard !isFinished else { return nil }
        var earliest: MonotonicInstant?
        for candidate in candidates {
            if case .asked(let lateAt) = candidate.state { earliest = Deadline.earlier(earliest, lateAt) }
        }
        return earliest
    }

    // MARK: Reading

    /// The nodes that answered, nearest first, at most k.
    package var closest: [Contact] {
        Array(candidates.lazy.filter { $0.state == .answered }.map(\.contact).prefix(parameters.width))
    }

    /// Peers asked and not yet late; never above `parallelism`.
    package var inFlight: Int { candidates.count { if case .asked = $0.state { true } else { false } } }
    /// Peers whose answer is still awaited, late ones included; never above twice `parallelism`.
    package var outstanding: Int { candidates.indices.count(where: isOutstanding) }
    package var candidateCount: Int { candidates.count }
    package var asked: Int { asks }

    // MARK: Inside

    private var hasOutstanding: Bool { candidates.indices.contains(where: isOutstanding) }

    private func isOutstanding(_ index: Int) -> Bool {
        switch candidates[index].state {
        case .asked, .late: true
        case .new, .answered, .failed: false
        }
    }

    /// The k nearest that have not failed have all answered; late ones count as failed unless they are waited for.
    private var nearestHaveAnswered: Bool {
        var answered = 0
        for candidate in candidates where answered < parameters.width {
            switch candidate.state {
            case .answered: answered += 1
            case .failed: continue
            case .late where !parameters.waitsForLatePeers: continue
            case .new, .asked, .late: return false
            }
        }
        return answered == parameters.width
    }

    /// The nearest candidate not yet asked, within the k nearest that may still count, if there is room to ask.
    private var nextToAsk: Int? {
        guard asks < parameters.askLimit, inFlight < parameters.parallelism,
            outstanding < 2 * parameters.parallelism
        else { return nil }
        var considered = 0
        for index in candidates.indices {
            switch candidates[index].state {
            case .new: return index
            case .failed, .late: continue
            case .asked, .answered: considered += 1
            }
            guard considered < parameters.width else { return nil }
        }
        return nil
    }

    private mutating func markLate(_ now: MonotonicInstant) {
        for index in candidates.indices {
            if case .asked(let lateAt) = candidates[index].state, lateAt <= now { candidates[index].state = .late }
        }
    }

    private mutating func finish() -> Step {
        isFinished = true
        return .finished
    }

    private func position(of id: NodeID) -> Int? {
        let distance = id.distance(to: target)
        let index = firstIndex(notNearerThan: distance)
        guard index < candidates.count, candidates[index].distance == distance else { return nil }
        return index
    }

    private func firstIndex(notNearerThan distance: Bytes32) -> Int {
        var low = 0
        var high = candidates.count
        while low < high {
            let middle = (low + high) / 2
            if candidates[middle].distance < distance { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private mutating func learn(_ hint: Hint) {
        let contact = hint.contact
        guard contact.id != own, !contact.addresses.isEmpty else { return }
        let distance = contact.id.distance(to: target)
        let index = firstIndex(notNearerThan: distance)
        if index < candidates.count, candidates[index].distance == distance { return }
        candidates.insert(
            Candidate(contact: contact, distance: distance, state: .new, roundTrip: hint.roundTrip), at: index)
        guard candidates.count > parameters.candidateLimit else { return }
        // The farthest one that nobody is waiting for makes room; there is always one, since few are ever asked.
        if let farthest = candidates.lastIndex(where: { $0.state == .new || $0.state == .failed }) {
            candidates.remove(at: farthest)
        }
    }
}
