import SwarmCore

/// One iterative search for the nodes nearest to a target, as a value (Kademlia, §2.3; disjoint paths: S/Kademlia, §4.4).
///
/// The owner calls `next()` until it says `.wait` or `.finished`, sends a request for each `.ask`, and reports what became
/// of it by `onSuccess`, `onLate` (no answer when one was due) or `onFailure`. At most `parallelism` peers (once inside the
/// region `wideParallelism`) are asked and not late; as many more may be late. Late peers are still welcome to answer.
///
/// The search begins as one path from the nearest seeds. Of the candidates that may still count it asks first who
/// promises most for the time it takes: the predicted round trip, and a price for each bit of distance from the target's
/// region; inside the region all are equally good and only time counts. A path ends when the nearest candidates it knows,
/// `width` of them, have answered (a quarter of them may be late), or when it has nobody left.
///
/// When the first path ends, or a node of the region has answered in vain, the remaining seeds are dealt to further
/// paths. No peer is asked by two paths, and a path knows only its seeds and whom its own peers named: nodes that name each
/// other to capture the search hold one path, and have used themselves up for the others. Half of the paths make for other
/// parts of the region where its middle is found crowded beyond chance; in a search for holders they are a reserve, which
/// begins only then or where the region is emptier than chance has it.
package struct ClosestLookup: Sendable {
    package struct Parameters: Sendable {
        /// How many nearest nodes are wanted (k): what the first path goes on for.
        package var width = 20
        package var parallelism = 3
        /// The same once a node of the target's region has answered: those that remain are known and equally good, and an
        /// answer from all of them is wanted.
        package var wideParallelism = 3
        /// Paths in all; one means that only the first is gone.
        package var paths = 1
        /// What a further path goes on for.
        package var pathWidth = 3
        /// Nothing can end the search early: half of the paths begin at once, the others are a reserve.
        package var needsItsEnd = false
        /// The holders' region around the target; without one distance counts to the end.
        package var region: HolderRegion?
        /// What is assumed of the way to a node of which nothing is known.
        package var typicalRoundTrip = Interval.milliseconds(100)
        package var candidateLimit = DHTLimits.candidates
        package var askLimit = DHTLimits.asksPerLookup

        package init() {}
    }

    /// A node that might be near the target, with its round trip where it has been measured or can be predicted.
    package struct Hint: Hashable, Sendable {
        package var contact: Contact
        package var roundTrip: Interval?

        package init(_ contact: Contact, roundTrip: Interval? = nil) {
            self.contact = contact
            self.roundTrip = roundTrip
        }
    }

    package enum Step: Hashable, Sendable {
        /// Send the request to this peer, now; `toward` is the point whose neighbours it shall name.
        case ask(Contact, toward: Bytes32)
        /// Nothing to do before an answer, lateness or a failure.
        case wait
        case finished
    }

    private enum State: Hashable, Sendable { case new, asked, late, answered, failed }

    private struct Candidate: Sendable {
        var contact: Contact
        var distance: Bytes32
        /// The expected cost of asking, in steps of 1/16 ms; less is better.
        var score: Int32
        /// The expected round trip in the same steps; 0 where nothing is known.
        var time: Int32
        /// The paths that know it, a bit each.
        var views: UInt8
        /// The path that asked it.
        var path: UInt8
        var state: State
        var isSeed: Bool
    }

    private struct Path: Sendable {
        var point: Bytes32
        let width: Int
    }

    package let target: Bytes32
    private let own: NodeID
    private let parameters: Parameters
    /// In the order they were learnt.
    private var candidates: [Candidate] = []
    /// Places in `candidates`, nearest to the target first; no duplicates, never this node itself.
    private var order: [UInt8] = []
    private var paths: [Path]
    /// Paths under way: the first, then all, of a search for holders half before that.
    private var openCount = 1
    /// Whether the reserve has been sent on.
    private var hasSpread = false
    private var turn = 0
    private var insideAnswered = 0
    /// Peers asked and not yet late; never above the parallelism of the moment.
    package private(set) var inFlight = 0
    /// Peers asked and late; with those in flight never above twice the parallelism.
    private var late = 0
    package private(set) var asked = 0
    private var answeredCount = 0
    /// Whether it ended, or will end, with somebody left to ask.
    private var wasCutShort = false
    package private(set) var isFinished = false

    /// Up to 8 paths and at most 255 candidates, whatever the parameters say.
    package init(target: Bytes32, own: NodeID, seeds: [Hint], parameters: Parameters) {
        self.target = target
        self.own = own
        self.parameters = parameters
        paths = [Path(point: target, width: parameters.width)]
        for seed in seeds.prefix(DHTLimits.seedsPerLookup) { learn(seed, path: 0, isSeed: true) }
    }

    // MARK: The verbs

    package mutating func next() -> Step {
        guard !isFinished else { return .finished }
        if paths.count == 1, insideAnswered > 0 || parameters.needsItsEnd { openPaths() }
        while true {
            var choice: (path: Int, candidate: Int)?
            var isDone = true
            for step in 0..<openCount {
                let path = (turn + step) % openCount
                let survey = survey(path)
                if !survey.isDone { isDone = false }
                if choice == nil, let candidate = survey.best { choice = (path, candidate) }
            }
            if isDone {
                guard openPaths() || openReserve() else { return finish() }
                continue
            }
            guard let choice, asked < parameters.askLimit else {
                wasCutShort = wasCutShort || choice != nil
                return outstanding > 0 ? .wait : finish()
            }
            guard inFlight < parallelism, outstanding < 2 * parallelism else { return .wait }
            turn = choice.path + 1
            return ask(choice.candidate, for: choice.path)
        }
    }

    /// `peer` answered and named `closer`. False where the peer was not asked; nothing changes then.
    @discardableResult
    package mutating func onSuccess(_ peer: NodeID, closer: [Hint]) -> Bool {
        guard let place = place(of: peer), isOutstanding(place) else { return false }
        leave(place, for: .answered)
        answeredCount += 1
        let path = Int(candidates[place].path)
        if let region = parameters.region, region.contains(peer) { insideAnswered += 1 }
        guard !isFinished else { return true }
        for hint in closer.prefix(DHTLimits.contactsPerAnswer) { learn(hint, path: path, isSeed: false) }
        return true
    }

    /// `peer` should have answered by now: another may be asked meanwhile.
    package mutating func onLate(_ peer: NodeID) {
        guard let place = place(of: peer), candidates[place].state == .asked else { return }
        leave(place, for: .late)
        late += 1
    }

    /// `peer` did not answer, or answered nonsense.
    package mutating func onFailure(_ peer: NodeID) {
        guard let place = place(of: peer), isOutstanding(place) else { return }
        leave(place, for: .failed)
    }

    /// Ends the search where it stands.
    package mutating func cancel() {
        wasCutShort = true
        isFinished = true
    }

    // MARK: Reading

    /// The nodes that answered, nearest first, at most k.
    package var closest: [Contact] { answered(limit: parameters.width) }

    /// The nodes that answered, nearest first.
    package func answered(limit: Int) -> [Contact] {
        Array(order.lazy.map { candidates[Int($0)] }.filter { $0.state == .answered }.map(\.contact).prefix(limit))
    }

    /// Peers whose answer is still awaited, late ones included; never above twice the parallelism.
    package var outstanding: Int { inFlight + late }
    package var candidateCount: Int { candidates.count }
    package var pathCount: Int { paths.count }

    /// Whether the search came to its full end and was heard: by half of the width, or by more than half of those asked
    /// where the swarm is small. Otherwise what it did not find may exist: this node, or all around it, may be cut off.
    package var isConclusive: Bool {
        isFinished && !wasCutShort && (answeredCount * 2 >= parameters.width || answeredCount * 2 >= asked)
    }

    /// The round trip expected of a peer in the search.
    package func expectedRoundTrip(of peer: NodeID) -> Interval? {
        guard let place = place(of: peer), candidates[place].time > 0 else { return nil }
        return Interval(nanoseconds: Int64(candidates[place].time) * 62_500)
    }

    /// Nobody is waited for longer before another is asked, however far away: three usual round trips.
    package var longestHedge: Interval { max(parameters.typicalRoundTrip * 3, .milliseconds(150)) }

    /// The first 64 bits of the distance of the k-th node that answered; nil where fewer did.
    package var reach: UInt64? {
        var count = 0
        for place in order where candidates[Int(place)].state == .answered {
            count += 1
            if count == parameters.width { return candidates[Int(place)].distance.word0 }
        }
        return nil
    }

    /// Whether the nodes found lie closer together than a swarm of this size has them by chance.
    package var isCrowded: Bool {
        guard let region = parameters.region, let reach else { return false }
        return region.isCrowded(reach, count: parameters.width, holders: parameters.width)
    }

    // MARK: Inside

    private var parallelism: Int {
        insideAnswered > 0 ? max(parameters.wideParallelism, parameters.parallelism) : parameters.parallelism
    }

    private func isOutstanding(_ place: Int) -> Bool {
        candidates[place].state == .asked || candidates[place].state == .late
    }

    private mutating func leave(_ place: Int, for state: State) {
        if candidates[place].state == .asked { inFlight -= 1 } else { late -= 1 }
        candidates[place].state = state
    }

    private mutating func ask(_ place: Int, for path: Int) -> Step {
        candidates[place].state = .asked
        candidates[place].path = UInt8(path)
        inFlight += 1
        asked += 1
        return .ask(candidates[place].contact, toward: paths[path].point)
    }

    private mutating func finish() -> Step {
        isFinished = true
        return .finished
    }

    /// How a path stands: whether it has ended, and whom it would ask next.
    private func survey(_ path: Int) -> (isDone: Bool, best: Int?) {
        let view = UInt8(1) << UInt8(path)
        let width = paths[path].width
        var counted = 0
        var late = 0
        var isBlocked = false
        var best: Int?
        for place in sequence(of: path) {
            let place = Int(place)
            guard candidates[place].views & view != 0 else { continue }
            let state = candidates[place].state
            if state == .failed || (state != .new && candidates[place].path != UInt8(path)) { continue }
            if state == .late {
                late += 1
                guard late * 4 <= width else { continue }
            }
            counted += 1
            if state == .new || state == .asked { isBlocked = true }
            if state == .new, best.map({ candidates[place].score < candidates[$0].score }) ?? true { best = place }
            if counted == width { break }
        }
        // With nobody left to take their place the late ones are waited for; further paths do without.
        if path == 0, counted < width, late > 0 { isBlocked = true }
        return (!isBlocked, best)
    }

    /// The candidates by distance from the path's point.
    private func sequence(of path: Int) -> [UInt8] {
        let point = paths[path].point
        guard point != target else { return order }
        let view = UInt8(1) << UInt8(path)
        return order.filter { candidates[Int($0)].views & view != 0 }.sorted {
            candidates[Int($0)].contact.id.distance(to: point) < candidates[Int($1)].contact.id.distance(to: point)
        }
    }

    /// Deals the seeds that nobody asked to further paths, and opens these, of a search for holders half. False where that
    /// was done, or there are to be none.
    @discardableResult
    private mutating func openPaths() -> Bool {
        guard paths.count == 1, parameters.paths > 1 else { return false }
        let count = min(parameters.paths, 8)
        paths += [Path](repeating: Path(point: target, width: parameters.pathWidth), count: count - 1)
        openCount = parameters.needsItsEnd ? (count + 1) / 2 : count
        var dealt = 0
        for place in order where candidates[Int(place)].isSeed && candidates[Int(place)].state == .new {
            candidates[Int(place)].views |= UInt8(1) << UInt8(1 + dealt % (count - 1))
            dealt += 1
        }
        return true
    }

    /// Opens the other half where two thirds of the region's nodes seem to be missing, as when liars have led the first
    /// paths to themselves; where its middle is crowded, sends that half to other parts of it. False where neither is
    /// called for, or it was done.
    private mutating func openReserve() -> Bool {
        guard !hasSpread, paths.count > 1, let region = parameters.region else { return false }
        let isCrowded = isCrowded
        let isSparse = openCount < paths.count && insideAnswered * 3 < parameters.width
        guard isCrowded || isSparse else { return false }
        let reserve = (paths.count + 1) / 2
        // Every other part, from the one next to the target's own.
        for path in reserve..<paths.count where isCrowded {
            paths[path].point = region.point(inPart: (2 * (path - reserve) + 1) % HolderRegion.parts)
        }
        hasSpread = true
        openCount = paths.count
        return true
    }

    private func place(of id: NodeID) -> Int? {
        let distance = id.distance(to: target)
        let index = firstIndex(notNearerThan: distance)
        guard index < order.count, candidates[Int(order[index])].distance == distance else { return nil }
        return Int(order[index])
    }

    private func firstIndex(notNearerThan distance: Bytes32) -> Int {
        var low = 0
        var high = order.count
        while low < high {
            let middle = (low + high) / 2
            if candidates[Int(order[middle])].distance < distance { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private mutating func learn(_ hint: Hint, path: Int, isSeed: Bool) {
        guard hint.contact.id != own, !hint.contact.addresses.isEmpty else { return }
        let view = UInt8(1) << UInt8(path)
        let distance = hint.contact.id.distance(to: target)
        let index = firstIndex(notNearerThan: distance)
        if index < order.count, candidates[Int(order[index])].distance == distance {
            candidates[Int(order[index])].views |= view
            return
        }
        let time = hint.roundTrip.map { Int32(clamping: max(1, $0.nanoseconds / 62_500)) } ?? 0
        let candidate = Candidate(
            contact: hint.contact, distance: distance, score: score(time, distance), time: time, views: view, path: 0,
            state: .new, isSeed: isSeed)
        if candidates.count < min(parameters.candidateLimit, 255) {
            order.insert(UInt8(candidates.count), at: index)
            candidates.append(candidate)
            return
        }
        // The farthest one that nobody waits for makes room, but never a seed: the way out of a captured search.
        let farthest = order.lastIndex {
            let state = candidates[Int($0)].state
            return (state == .new || state == .failed) && !candidates[Int($0)].isSeed
        }
        guard let farthest, farthest >= index else { return }
        let place = order.remove(at: farthest)
        candidates[Int(place)] = candidate
        order.insert(place, at: index)
    }

    /// What asking costs: the way there, and a quarter of a usual round trip for each bit still missing to the region
    /// (a node with full buckets of 20 names one about four bits nearer, at the price of one more round trip).
    private func score(_ time: Int32, _ distance: Bytes32) -> Int32 {
        let typical = Int32(clamping: parameters.typicalRoundTrip.nanoseconds / 62_500)
        let missing = Self.logarithm(distance.word0) - Self.logarithm(parameters.region?.radius ?? 0)
        return (time > 0 ? time : typical) + max(0, missing) * typical / (16 * 4)
    }

    /// The logarithm to base 2, in sixteenths, linear between powers; 0 for 0.
    private static func logarithm(_ value: UInt64) -> Int32 {
        guard value > 0 else { return 0 }
        let zeros = value.leadingZeroBitCount
        let fraction = zeros == 63 ? 0 : (value << UInt64(zeros + 1)) >> 60
        return Int32(63 - zeros) * 16 + Int32(fraction)
    }
}
